/*
 * What is found in a look is noted first and done then: making a key takes a while, and a scan of
 * the store must not wait for it.
 */
#include "core/signing_keys.h"

#include "base/must.h"

enum {
    MAKE_ARENA = 64 * 1024,
    LOOK_ARENA = 256 * 1024,
};

/* --- Making ----------------------------------------------------------------------------------- */

struct making {
    enum dkim_algorithm algorithm;
    struct dkim_key *key;
    struct err e;
};

static void make_run(void *arg)
{
    struct making *making = arg;
    making->e = dkim_key_make(making->algorithm, &making->key);
}

/* Record and private key, in the arena. */
static struct err key_print(const struct dkim_key *key, struct arena *arena, struct dkim_new *new_r)
{
    struct buf record = buf_in(arena, DKIM_RECORD_MAX), octets = buf_in(arena, DKIM_KEY_MAX);
    struct err e = dkim_key_record(key, &record);
    new_r->record = buf_built(&record);
    if (!err_is(e))
        e = dkim_key_write(key, &octets);
    new_r->private_key = buf_built(&octets);
    return e;
}

static struct err new_make(struct lane *lane, enum dkim_algorithm algorithm, struct arena *arena,
                           struct dkim_new *new_r)
{
    struct making making = {.algorithm = algorithm};
    lane_call(lane, make_run, &making);
    if (err_is(making.e))
        return making.e;
    new_r->algorithm = algorithm;
    struct err e = key_print(making.key, arena, new_r);
    dkim_key_free(making.key);
    return e;
}

struct err signing_make(struct engine *engine, struct lane *lane, struct str domain, bool first,
                        int64_t now)
{
    struct dkim_new keys[2];
    struct arena arena;
    arena_init(&arena, MAKE_ARENA);
    struct err e = new_make(lane, DKIM_RSA, &arena, &keys[0]);
    if (!err_is(e))
        e = new_make(lane, DKIM_ED25519, &arena, &keys[1]);
    if (!err_is(e))
        e = dkim_kept_add(engine, domain, first, keys, 2, now);
    arena_wipe(&arena);
    return e;
}

/* --- What is told ----------------------------------------------------------------------------- */

/* What happened to a key without an operator's command. */
static void key_tell(struct core *core, struct str domain, struct str selector, struct str what)
{
    char text[SIGNING_NAME_MAX];
    struct buf name = {.p = text, .cap = sizeof(text), .max = sizeof(text)};
    struct trace_event event = trace_event(TRACED_signing_key, world_wall(core->world));
    dkim_record_name(selector, domain, &name);
    trace_text(&event, TRACE_key, buf_str(&name));
    trace_text(&event, TRACE_text, what);
    audit_tell(&core->audit, &event);
    log_event(core->log, LOG_INFO, "signing_key", log_str("key", buf_str(&name)),
              log_str("what", what));
}

/* --- Published -------------------------------------------------------------------------------- */

struct sought {
    struct str selector, txt;
    bool found, waits;
    struct err e;
};

static struct err sought_look(void *arg, const struct dkim_kept *kept)
{
    struct sought *sought = arg;
    if (!str_eq(kept->selector, sought->selector))
        return err_none();
    sought->found = true;
    sought->waits = kept->state == DKIM_MADE;
    sought->e = dkim_record_check(sought->txt, kept->record);
    return err_none();
}

struct err signing_published(struct core *core, struct str domain, struct str selector,
                             struct str txt)
{
    struct sought sought = {.selector = selector, .txt = txt};
    struct err e = dkim_kept_each(core->engine, domain, sought_look, &sought);
    if (!err_is(e))
        e = sought.found ? sought.e : err_make(ERR_NOT_FOUND);
    if (err_is(e) || !sought.waits)
        return e;
    e = dkim_kept_published(core->engine, domain, selector, world_wall(core->world));
    if (!err_is(e))
        e = signing_reload(core, domain);
    if (!err_is(e))
        key_tell(core, domain, selector, STR("its record was seen; it signs"));
    return e;
}

/* --- The schedule ----------------------------------------------------------------------------- */

enum chore_kind {
    CHORE_MAKE,
    CHORE_RETIRE
};

struct chore {
    enum chore_kind kind;
    struct str domain, selector;
};

/* Keys come by domain. */
struct look {
    struct core *core;
    int64_t made_before, retiring_before; /* wall, microseconds */
    bool remind;
    struct arena arena;
    struct chore chores[SIGNING_CHORES_MAX];
    size_t count;
    char domain[DKIM_DOMAIN_MAX]; /* whose keys come */
    size_t domain_n;
    bool waits, old; /* of it: keys that are made, and active ones from before made_before */
};

static struct str domain_of(const struct look *look)
{
    return str_make(look->domain, look->domain_n);
}

static void chore_note(struct look *look, enum chore_kind kind, struct str selector)
{
    struct chore chore = {.kind = kind,
                          .domain = arena_str(&look->arena, domain_of(look)),
                          .selector = arena_str(&look->arena, selector)};
    if (look->count < SIGNING_CHORES_MAX && !arena_over(&look->arena))
        look->chores[look->count++] = chore;
}

static void domain_end(struct look *look)
{
    if (look->old && !look->waits)
        chore_note(look, CHORE_MAKE, STR(""));
    look->old = look->waits = false;
}

static void record_remind(struct look *look, const struct dkim_kept *kept)
{
    char text[SIGNING_NAME_MAX];
    struct buf name = {.p = text, .cap = sizeof(text), .max = sizeof(text)};
    if (!look->remind || kept->state == DKIM_ACTIVE || kept->state == DKIM_RETIRING)
        return;
    dkim_record_name(kept->selector, kept->domain, &name);
    log_event(look->core->log, LOG_WARN,
              kept->state == DKIM_MADE ? "dkim_record_to_publish" : "dkim_record_to_remove",
              log_str("record", buf_str(&name)));
}

static struct err key_look(void *arg, const struct dkim_kept *kept)
{
    struct look *look = arg;
    if (kept->domain.n > DKIM_DOMAIN_MAX)
        return err_detail(ERR_STORE_DAMAGED, STR("a domain that is too long"));
    if (!str_eq(kept->domain, domain_of(look))) {
        domain_end(look);
        look->domain_n = kept->domain.n;
        memcpy(look->domain, kept->domain.p, kept->domain.n);
    }
    look->waits |= kept->state == DKIM_MADE;
    look->old |= kept->state == DKIM_ACTIVE && kept->since <= look->made_before;
    if (kept->state == DKIM_RETIRING && kept->since <= look->retiring_before)
        chore_note(look, CHORE_RETIRE, kept->selector);
    record_remind(look, kept);
    return err_none();
}

static struct err chore_do(struct core *core, const struct chore *chore)
{
    int64_t now = world_wall(core->world);
    bool make = chore->kind == CHORE_MAKE;
    struct err e = make
                       ? signing_make(core->engine, &core->signing->lane, chore->domain, false, now)
                       : dkim_kept_retired(core->engine, chore->domain, chore->selector, now);
    if (e.code == ERR_NOT_FOUND || e.code == ERR_EXISTS || e.code == ERR_CONFLICT)
        return err_none(); /* an operator was at it meanwhile */
    if (!err_is(e))
        key_tell(core, chore->domain, chore->selector,
                 make ? STR("the next keys were made; their records are to be published")
                      : STR("its record may be removed"));
    return e;
}

/* Wall time so many nanoseconds ago. */
static int64_t ago(int64_t now, int64_t span)
{
    return now - span / (NS_PER_SECOND / US_PER_SECOND);
}

static struct err look_run(struct look *look)
{
    struct err e = dkim_kept_each(look->core->engine, str_null(), key_look, look);
    if (!err_is(e))
        domain_end(look);
    for (size_t i = 0; i < look->count && !err_is(e); i++)
        e = chore_do(look->core, &look->chores[i]);
    return e;
}

struct err signing_duty(struct core *core)
{
    struct signing *signing = core->signing;
    const struct conf *conf = core->conf;
    int64_t mono = core->loop->now, now = world_wall(core->world);
    must_be(signing, SIGNING_MAGIC);
    if (signing->looked && mono < signing->looked + SIGNING_LOOK)
        return err_none();
    struct look *look = calloc(1, sizeof(*look));
    if (!look)
        return err_make(ERR_NO_MEMORY);
    signing->looked = mono;
    look->core = core;
    look->made_before = conf->dkim.rotate_every ? ago(now, conf->dkim.rotate_every) : INT64_MIN;
    look->retiring_before = ago(now, conf->dkim.keep_old);
    look->remind = !signing->reminded || mono >= signing->reminded + SIGNING_REMIND;
    if (look->remind)
        signing->reminded = mono;
    arena_init(&look->arena, LOOK_ARENA);
    struct err e = look_run(look);
    arena_done(&look->arena);
    free(look);
    return err_is(e) ? e : signing_seek_all(core);
}
