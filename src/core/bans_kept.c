/*
 * Bans over a restart, and at the edges. The guard's own table is what holds; the disk and the
 * edges follow it. A ban that could not be written is told to the log and holds until core ends.
 */
#include "core/login_desk.h"

#include "base/must.h"
#include "base/wire.h"
#include "core/peer.h"

enum {
    KEY = 1 + NETWORK_OCTETS + 1,
    VALUE_MAX = 64,
    FORMAT = 1,
    PAGE = 1000,          /* rows of one scan, bans of one message */
    EXPIRED_A_CALL = 500, /* bans that end in one duty */
    ROWS_ARENA = 1 << 20,
};

static const struct partition partition = {PARTITION_GUARD, 0};

/* --- Rows ------------------------------------------------------------------------------------ */

struct ban_row {
    unsigned char key[KEY];
    char value[VALUE_MAX];
    struct op op;
};

static void row_key(struct ban_row *row, const struct network *network)
{
    row->key[0] = 'b';
    memcpy(row->key + 1, network->octets, NETWORK_OCTETS);
    row->key[KEY - 1] = network->bits;
    row->op.partition = partition;
    row->op.key = str_make(row->key, KEY);
}

static void row_put(struct ban_row *row, const struct ban *ban)
{
    struct buf value = {.p = row->value, .cap = VALUE_MAX, .max = VALUE_MAX};
    row_key(row, &ban->network);
    wire_put_u8(&value, FORMAT);
    wire_put_u64(&value, (uint64_t)ban->since);
    wire_put_u64(&value, (uint64_t)ban->until);
    wire_put_u32(&value, ban->times);
    wire_put_u8(&value, ban->by_hand);
    must(!buf_over(&value));
    row->op.kind = OP_PUT;
    row->op.value = buf_str(&value);
}

static void row_remove(struct ban_row *row, const struct network *network)
{
    row_key(row, network);
    row->op.kind = OP_REMOVE;
}

static bool row_read(const struct entry *entry, struct ban *ban_r)
{
    struct wire_in in = wire_in(entry->value);
    uint8_t format = wire_get_u8(&in);
    struct ban ban = {.since = (int64_t)wire_get_u64(&in)};
    ban.until = (int64_t)wire_get_u64(&in);
    ban.times = wire_get_u32(&in);
    ban.by_hand = wire_get_u8(&in) != 0;
    if (!wire_end(&in) || format != FORMAT || entry->key.n != KEY ||
        (unsigned char)entry->key.p[KEY - 1] > NETWORK_BITS)
        return false;
    memcpy(ban.network.octets, entry->key.p + 1, NETWORK_OCTETS);
    ban.network.bits = (uint8_t)entry->key.p[KEY - 1];
    *ban_r = ban;
    return true;
}

static struct err rows_commit(struct engine *engine, struct ban_row *rows, size_t count)
{
    struct op ops[2];
    must(count <= sizeof(ops) / sizeof(ops[0]));
    for (size_t i = 0; i < count; i++)
        ops[i] = rows[i].op;
    struct commit commit = {.ops = ops, .op_count = count};
    return engine_commit_wait(engine, &commit);
}

struct err bans_store_put(struct engine *engine, const struct ban *ban)
{
    struct ban_row row = {.op = {.blob = 0}};
    row_put(&row, ban);
    return rows_commit(engine, &row, 1);
}

struct err bans_store_remove(struct engine *engine, const struct network *network)
{
    struct ban_row row = {.op = {.blob = 0}};
    struct arena arena;
    struct entry entry;
    row_remove(&row, network);
    arena_init(&arena, ROWS_ARENA);
    struct err e = engine_get(engine, partition, row.op.key, &arena, &entry);
    arena_done(&arena);
    if (e.code == ERR_NOT_FOUND)
        return err_detail(ERR_NOT_FOUND, STR("no such ban"));
    return err_is(e) ? e : rows_commit(engine, &row, 1);
}

/* A page of rows from `after` on, which becomes the last key. */
static struct err page_list(struct engine *engine, struct buf *after, int64_t now,
                            struct err (*each)(void *arg, const struct ban *), void *arg,
                            bool *more_r)
{
    struct arena arena;
    struct entry *entries;
    size_t count = 0;
    arena_init(&arena, ROWS_ARENA);
    struct err e =
        engine_scan(engine, partition, buf_str(after), STR("c"), PAGE, &arena, &entries, &count);
    for (size_t i = 0; !err_is(e) && i < count; i++) {
        struct ban ban;
        if (row_read(&entries[i], &ban) && ban.until > now)
            e = each(arg, &ban);
    }
    *more_r = !err_is(e) && count == PAGE;
    if (*more_r) {
        buf_clear(after);
        buf_put(after, entries[count - 1].key);
        buf_putc(after, '\0');
    }
    arena_done(&arena);
    return e;
}

struct err bans_store_list(struct engine *engine, int64_t now,
                           struct err (*each)(void *arg, const struct ban *), void *arg)
{
    char key[KEY + 1] = "b";
    struct buf after = {.p = key, .n = 1, .cap = sizeof(key), .max = sizeof(key)};
    bool more = true;
    struct err e = err_none();
    while (more && !err_is(e))
        e = page_list(engine, &after, now, each, arg, &more);
    return e;
}

/* --- Edges ----------------------------------------------------------------------------------- */

static bool is_told(const struct peer *peer)
{
    return (peer->role == ROLE_SUB || peer->role == ROLE_BOX) && peer->slabs && !peer->gone;
}

static uint64_t seconds_left(const struct ban *ban, int64_t now)
{
    return ban->until > now ? (uint64_t)((ban->until - now + US_PER_SECOND - 1) / US_PER_SECOND)
                            : 0;
}

struct ban_texts {
    struct msg_ban bans[PAGE];
    char text[PAGE][NETWORK_TEXT];
    size_t count;
};

static void texts_add(struct ban_texts *texts, const struct ban *ban, int64_t now)
{
    char *text = texts->text[texts->count];
    struct buf buf = {.p = text, .cap = NETWORK_TEXT, .max = NETWORK_TEXT};
    network_print(&ban->network, &buf);
    texts->bans[texts->count++] =
        (struct msg_ban){.network = buf_str(&buf), .seconds = seconds_left(ban, now)};
}

static struct err texts_send(struct peer *peer, struct ban_texts *texts)
{
    struct msg msg = {.kind = MSG_bans, .bans = {.bans = texts->bans, .bans_count = texts->count}};
    struct err e = texts->count ? link_send(&peer->link, &msg) : err_none();
    texts->count = 0;
    return e;
}

struct err bans_tell(struct peer *peer)
{
    struct core *core = peer->core;
    const struct bans *bans = guard_bans(core->desk.guard);
    int64_t now = world_wall(core->world);
    if (!is_told(peer) || bans_count(bans) == 0)
        return err_none();
    struct ban_texts *texts = calloc(1, sizeof(*texts));
    struct err e = err_make(texts ? ERR_NONE : ERR_NO_MEMORY);
    for (size_t i = 0; i < bans_count(bans) && !err_is(e); i++) {
        texts_add(texts, bans_at(bans, i), now);
        if (texts->count == PAGE)
            e = texts_send(peer, texts);
    }
    if (!err_is(e))
        e = texts_send(peer, texts);
    free(texts);
    return e;
}

static void all_told(struct core *core, const struct msg *msg)
{
    struct peer *peer, *next;
    for (peer = LIST_FIRST(&core->peers); peer; peer = next) {
        next = LIST_NEXT(peer, link_in_core);
        struct err e = is_told(peer) ? link_send(&peer->link, msg) : err_none();
        if (err_is(e))
            peer_cut(peer, e);
    }
}

static void ban_told(struct core *core, const struct ban *ban)
{
    char text[NETWORK_TEXT];
    struct buf buf = {.p = text, .cap = sizeof(text), .max = sizeof(text)};
    network_print(&ban->network, &buf);
    struct msg_ban one = {.network = buf_str(&buf),
                          .seconds = seconds_left(ban, world_wall(core->world))};
    all_told(core, &(struct msg){.kind = MSG_bans, .bans = {.bans = &one, .bans_count = 1}});
    struct trace_event event = trace_event(TRACED_banned, world_wall(core->world));
    trace_text(&event, TRACE_network, one.network);
    trace_number(&event, TRACE_seconds, one.seconds);
    trace_text(&event, TRACE_text,
               ban->by_hand ? STR("by an operator") : STR("it went on while it was told later"));
    audit_tell(&core->audit, &event);
    log_event(core->log, LOG_WARN, "banned", log_str("network", one.network),
              log_u64("seconds", one.seconds), log_u64("times", ban->times));
}

/* --- What changes ---------------------------------------------------------------------------- */

struct ban_chore {
    struct core *core;
    struct fiber_start start;
    struct ban_row rows[2];
    size_t count;
};

static void chore_run(void *arg)
{
    struct ban_chore *chore = arg;
    struct core *core = chore->core;
    struct err e = rows_commit(core->engine, chore->rows, chore->count);
    if (err_is(e))
        log_err(core->log, "ban_not_kept", e);
    free(chore);
    if (--core->desk.chores == 0 && core->desk.no_chores)
        wait_over(core->desk.no_chores);
}

/* `dropped`: of another one that had to go, or NULL. */
static void ban_keep(struct core *core, const struct ban *ban, const struct ban *dropped)
{
    struct ban_chore *chore = calloc(1, sizeof(*chore));
    if (!chore) {
        log_err(core->log, "ban_not_kept", err_make(ERR_NO_MEMORY));
        return;
    }
    chore->core = core;
    row_put(&chore->rows[chore->count++], ban);
    if (dropped)
        row_remove(&chore->rows[chore->count++], &dropped->network);
    chore->start = (struct fiber_start){.run = chore_run, .arg = chore};
    core->desk.chores++;
    fiber_run(core->fibers, &chore->start);
}

void ban_begun(struct core *core, const struct ban *ban, const struct ban *dropped)
{
    ban_keep(core, ban, dropped);
    ban_told(core, ban);
}

struct err ban_set(struct core *core, const struct ban *ban)
{
    struct guard_now now = {core->loop->now, world_wall(core->world)};
    struct ban dropped;
    struct err e = bans_store_put(core->engine, ban);
    if (err_is(e))
        return e;
    if (guard_ban(core->desk.guard, now, ban, &dropped))
        (void)bans_store_remove(core->engine, &dropped.network);
    ban_told(core, ban);
    return e;
}

struct err ban_lift(struct core *core, const struct network *network)
{
    char text[NETWORK_TEXT];
    struct buf buf = {.p = text, .cap = sizeof(text), .max = sizeof(text)};
    struct err e = bans_store_remove(core->engine, network);
    bool was = guard_lift(core->desk.guard, network);
    if (e.code == ERR_NOT_FOUND && was)
        e = err_none();
    if (err_is(e))
        return e;
    network_print(network, &buf);
    all_told(core, &(struct msg){.kind = MSG_ban_lifted, .ban_lifted = {.network = buf_str(&buf)}});
    struct trace_event event = trace_event(TRACED_ban_lifted, world_wall(core->world));
    trace_text(&event, TRACE_network, buf_str(&buf));
    trace_text(&event, TRACE_text, STR("by an operator"));
    audit_tell(&core->audit, &event);
    log_event(core->log, LOG_INFO, "ban_lifted", log_str("network", buf_str(&buf)));
    return e;
}

/* The edges know when a ban ends, and the guard looks at the clock: only the rows are left. */
struct err bans_expire(struct core *core)
{
    struct ban ban;
    struct err e = err_none();
    for (int i = 0; i < EXPIRED_A_CALL && !err_is(e); i++) {
        if (!guard_expire(core->desk.guard, world_wall(core->world), &ban))
            break;
        e = bans_store_remove(core->engine, &ban.network);
        if (e.code == ERR_NOT_FOUND)
            e = err_none();
    }
    return e;
}
