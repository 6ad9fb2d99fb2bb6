/*
 * What a mailbox session asks: rows, octets, removal. The view is the session's own (the edge
 * keeps the rows it was given); here every question is answered from what is durable now.
 */
#include "core/mailbox.h"

#include "base/must.h"
#include "core/delivery.h"
#include "store/message_head.h"
#include "store/trace.h"

enum {
    ROWS_PAGE = 2000,
    EXPUNGE_TRIES = 5,
    EXPUNGE_OPS_PER_UID = MAILBOX_EXPUNGE_OPS + 1, /* and the event of its message, */
    EXPUNGE_OPS_MORE = MAILBOX_EXPUNGE_MORE + 1,   /* and what the trace has grown by */
    EXPUNGE_ARENA = 64 * 1024,
    EXPUNGE_ARENA_PER_OP = 512, /* octets for an operation, its key, what it removes or writes */
    CHUNK = 16 * 1024,          /* what has a checksum of its own (engine.h) */
    FETCH_MESSAGE = 0,          /* of MSG_fetch */
    FETCH_SUMMARY = 1,
    /* A head, the list in it, the prefix made of it. */
    FETCH_ARENA = 3 * ENGINE_HEAD_MAX,
};

_Static_assert(MAILBOX_EXPUNGE_MAX *EXPUNGE_OPS_PER_UID + EXPUNGE_OPS_MORE <= ENGINE_COMMIT_OPS_MAX,
               "all that one session may remove is one commit");

/* --- mailbox_open --- */

static struct err mailbox_choose(struct request *request, struct mailbox_login *login,
                                 struct str asked)
{
    struct str name;
    struct mailbox mailbox;
    struct err e = mailbox_name_parse(asked, &request->arena, &name);
    if (!err_is(e))
        e = mailbox_find(request->peer->core->engine, login->account, name, &request->arena,
                         &mailbox);
    if (err_is(e))
        return e;
    login->open = mailbox.id;
    login->uid_validity = mailbox.uid_validity;
    return err_none();
}

static struct err rows_read(struct request *request, struct mailbox_login *login,
                            struct msg_mailbox_rows *rows)
{
    const struct msg_mailbox_open *asked = &request->msg.mailbox_open;
    struct mailbox_row *found;
    size_t count;
    bool more;
    struct err e = err_none();
    if (asked->from_uid == 0)
        e = mailbox_choose(request, login, asked->mailbox);
    if (!err_is(e) && login->open == 0)
        e = err_make(ERR_COMMAND_ORDER);
    if (!err_is(e))
        e = mailbox_rows(request->peer->core->engine, login->open, asked->from_uid, ROWS_PAGE,
                         &request->arena, &found, &count, &more);
    if (err_is(e))
        return e;
    rows->rows = arena_take_array(&request->arena, count, sizeof(struct msg_row));
    if (!rows->rows)
        return err_make(ERR_NO_MEMORY);
    for (size_t i = 0; i < count; i++)
        rows->rows[i] = (struct msg_row){.uid = found[i].uid, .size = found[i].size};
    rows->rows_count = count;
    rows->more = more;
    rows->uid_validity = login->uid_validity;
    return err_none();
}

void serve_mailbox_open(struct request *request)
{
    struct mailbox_login *login = login_find(request->peer, request->msg.mailbox_open.handle);
    struct msg answer = {.kind = MSG_mailbox_rows};
    struct err e = err_make(ERR_NOT_ALLOWED);
    if (login) {
        login_hold(login);
        e = rows_read(request, login, &answer.mailbox_rows);
        login_release(login);
    }
    answer.mailbox_rows.error = (uint16_t)e.code;
    request_answer(request, &answer);
}

/* --- fetch --- */

/* A source of octets: prefix and body, or the summary record. */
struct source {
    struct engine *engine;
    blob_id blob;
    struct str front; /* the prefix, or all there is */
    uint64_t total;   /* what is behind `front` is the blob's body */
    bool binary;      /* parts of it may be */
};

/* Octets from `at` on up to the next border: the front's end, a chunk's end, the end. At least one
 * where at < total, at most CHUNK. */
static size_t stretch_at(const struct source *source, uint64_t at)
{
    uint64_t begin = source->front.n, until = begin;
    if (at >= begin)
        until = at + CHUNK - (at - begin) % CHUNK;
    else if (begin - at > CHUNK)
        until = at + CHUNK;
    return (size_t)((until < source->total ? until : source->total) - at);
}

static struct err source_read(const struct source *source, uint64_t at, char *to, size_t n)
{
    if (at >= source->front.n)
        return engine_blob_read(source->engine, source->blob, at - source->front.n, to, n);
    memcpy(to, source->front.p + at, n);
    return err_none();
}

/* From what the head says. */
static struct err source_make(struct request *request, const struct mailbox_message *message,
                              struct arena *arena, struct source *source)
{
    struct engine *engine = request->peer->core->engine;
    struct message_head head;
    struct str record;
    uint64_t head_octets, body_octets;
    struct err e = engine_blob_size(engine, message->blob, &head_octets, &body_octets);
    if (!err_is(e))
        e = engine_blob_head(engine, message->blob, arena, &record);
    if (!err_is(e))
        e = message_head_decode(record, arena, &head);
    if (err_is(e))
        return e;
    *source = (struct source){
        .engine = engine, .blob = message->blob, .binary = head.body_type == BODY_BINARYMIME};
    if (request->msg.fetch.part == FETCH_SUMMARY) {
        source->front = head.summary;
        source->total = head.summary.n;
        return err_none();
    }
    struct buf prefix = buf_in(arena, ENGINE_HEAD_MAX);
    message_prefix(&head, message->recipient, &prefix);
    source->front = buf_built(&prefix);
    source->total = source->front.n + body_octets;
    return source->front.p ? err_none() : err_make(ERR_NO_MEMORY);
}

static bool reading_is(const struct mailbox_login *login, uint32_t uid, blob_id blob)
{
    const struct reading *reading = &login->reading;
    return reading->mailbox == login->open && reading->uid == uid && reading->blob == blob;
}

/* Whether the message is still there is looked at each time. */
static struct err source_open(struct request *request, const struct mailbox_login *login,
                              struct arena *arena, struct source *source)
{
    const struct msg_fetch *asked = &request->msg.fetch;
    const struct reading *reading = &login->reading;
    struct engine *engine = request->peer->core->engine;
    struct mailbox_message message;
    struct err e = mailbox_message(engine, login->open, asked->uid, arena, &message);
    if (err_is(e))
        return e;
    if (asked->part == FETCH_SUMMARY || !reading_is(login, asked->uid, message.blob))
        return source_make(request, &message, arena, source);
    *source = (struct source){
        .engine = engine,
        .blob = message.blob,
        .front = arena_str(arena, str_make(reading->prefix, reading->prefix_octets)),
        .total = reading->total,
        .binary = reading->binary};
    return source->front.p ? err_none() : err_make(ERR_NO_MEMORY);
}

static bool reading_room(struct reading *reading, size_t octets)
{
    if (octets <= reading->prefix_room)
        return true;
    char *prefix = realloc(reading->prefix, octets);
    if (!prefix)
        return false;
    reading->prefix = prefix;
    reading->prefix_room = octets;
    return true;
}

/* `more`: another piece is likely to be asked for. */
static void reading_go_on(struct mailbox_login *login, uint32_t uid, const struct source *source,
                          bool more)
{
    struct reading *reading = &login->reading;
    if (more && reading_is(login, uid, source->blob))
        return;
    reading->blob = 0;
    if (!more || !reading_room(reading, source->front.n))
        return;
    if (source->front.n)
        memcpy(reading->prefix, source->front.p, source->front.n);
    reading->prefix_octets = source->front.n;
    reading->mailbox = login->open;
    reading->uid = uid;
    reading->blob = source->blob;
    reading->total = source->total;
    reading->binary = source->binary;
}

/* The slabs that an edge offers, filled in order. */
struct slab_row {
    struct iovec *parts;
    size_t count, at; /* which part is filled next, */
    size_t filled;    /* from here on */
    uint64_t room;    /* in all that is left */
};

static struct err slab_row_take(struct request *request, struct slab_row *row)
{
    const struct msg_fetch *asked = &request->msg.fetch;
    uint64_t room = 0;
    for (size_t i = 0; i < asked->slabs_count; i++)
        room += asked->slabs[i].length;
    *row = (struct slab_row){.count = asked->slabs_count, .room = room};
    row->parts = arena_take_array(&request->arena, asked->slabs_count, sizeof(*row->parts));
    if (!row->parts)
        return err_make(ERR_NO_MEMORY);
    return peer_slabs(request->peer, asked->slabs, asked->slabs_count, room, row->parts)
               ? err_none()
               : err_detail(ERR_BUS_BROKEN, STR("a slab out of range"));
}

static void slab_row_put(struct slab_row *row, struct str octets)
{
    row->room -= octets.n;
    while (octets.n) {
        must(row->at < row->count);
        const struct iovec *part = &row->parts[row->at];
        struct str here = str_head(octets, part->iov_len - row->filled);
        if (here.n)
            memcpy((char *)part->iov_base + row->filled, here.p, here.n);
        row->filled += here.n;
        octets = str_from_index(octets, here.n);
        if (row->filled == part->iov_len) {
            row->at++;
            row->filled = 0;
        }
    }
}

/*
 * A stretch at a time, so that each chunk is read and summed once, and no more than fits whole:
 * what is given may be less than was offered. Reads into memory of our own, then copies: nothing is
 * checked where the edge can change it.
 */
static struct err slabs_fill(struct request *request, const struct source *source,
                             uint64_t *octets_r)
{
    uint64_t at = request->msg.fetch.offset;
    struct slab_row row;
    struct err e = slab_row_take(request, &row);
    char *own = arena_take(&request->arena, CHUNK);
    if (!err_is(e) && !own)
        e = err_make(ERR_NO_MEMORY);
    *octets_r = 0;
    while (!err_is(e) && at < source->total && row.room) {
        size_t n = stretch_at(source, at);
        if (n > row.room && *octets_r)
            break;
        if (n > row.room)
            n = (size_t)row.room;
        e = source_read(source, at, own, n);
        if (err_is(e))
            return e;
        slab_row_put(&row, str_make(own, n));
        at += n;
        *octets_r += n;
    }
    return e;
}

static struct err fetch(struct request *request, struct mailbox_login *login,
                        struct msg_fetched *fetched)
{
    struct source source = {.engine = NULL};
    struct arena arena;
    arena_init_from(&arena, FETCH_ARENA, &request->peer->core->spares);
    struct err e = source_open(request, login, &arena, &source);
    if (!err_is(e)) {
        fetched->prefix = request->msg.fetch.part == FETCH_MESSAGE ? source.front.n : 0;
        fetched->total = source.total;
        fetched->binary = source.binary;
        e = slabs_fill(request, &source, &fetched->octets);
    }
    const struct msg_fetch *asked = &request->msg.fetch;
    if (!err_is(e) && asked->part == FETCH_MESSAGE)
        reading_go_on(login, asked->uid, &source, asked->offset + fetched->octets < source.total);
    arena_done(&arena);
    return e;
}

void serve_fetch(struct request *request)
{
    struct mailbox_login *login = login_find(request->peer, request->msg.fetch.handle);
    struct msg answer = {.kind = MSG_fetched};
    struct err e = err_make(ERR_NOT_ALLOWED);
    if (login) {
        login_hold(login);
        e = fetch(request, login, &answer.fetched);
        login_release(login);
    }
    answer.fetched.error = (uint16_t)e.code;
    request_answer(request, &answer);
    if (e.code == ERR_BUS_BROKEN)
        peer_cut(request->peer, e);
    else if (err_is(e) && e.code != ERR_NOT_FOUND)
        log_err(request->peer->core->log, "fetch_failed", e);
}

/* --- expunge --- */

static struct err pages_add(struct request *request, struct uid_set *set)
{
    const struct msg_expunge *asked = &request->msg.expunge;
    size_t need = set->count + asked->uids_count;
    if (need > MAILBOX_EXPUNGE_MAX)
        return err_make(ERR_OVER_LIMIT);
    if (need > set->room) {
        uint32_t *uids = realloc(set->uids, need * sizeof(*uids));
        if (!uids)
            return err_make(ERR_NO_MEMORY);
        set->uids = uids;
        set->room = need;
    }
    for (size_t i = 0; i < asked->uids_count; i++)
        set->uids[set->count++] = asked->uids[i].uid;
    return err_none();
}

static int uid_order(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* In order, each once. */
static void uids_tidy(struct uid_set *set)
{
    size_t kept = 0;
    if (set->count)
        qsort(set->uids, set->count, sizeof(*set->uids), uid_order);
    for (size_t i = 0; i < set->count; i++)
        if (i == 0 || set->uids[i] != set->uids[i - 1])
            set->uids[kept++] = set->uids[i];
    set->count = kept;
}

static struct str protocol_name(enum listen_protocol protocol)
{
    return protocol == LISTEN_POP3 ? STR("POP3") : STR("-");
}

/* May yield. Each message's trace tells who removed this copy. */
static struct err removals_trace(struct core *core, const struct mailbox_login *login,
                                 const struct mailbox_removed *removed, size_t count,
                                 struct arena *arena, struct op_list *ops)
{
    struct str name;
    struct err e = mailbox_name(core->engine, login->open, arena, &name);
    int64_t now = world_wall(core->world);
    struct trace_growth growth = trace_growth(now);
    for (size_t i = 0; i < count && !err_is(e); i++) {
        struct trace_event event = trace_event(TRACED_removed, now);
        trace_text(&event, TRACE_mailbox, name);
        trace_text(&event, TRACE_account, login->address);
        trace_number(&event, TRACE_uid, removed[i].uid);
        trace_text(&event, TRACE_protocol, protocol_name(login->protocol));
        trace_text(&event, TRACE_client, login->client);
        trace_add(&growth, removed[i].message, &event, arena, ops);
    }
    trace_grown(&growth, arena, ops);
    return e;
}

static struct err expunge_once(struct core *core, const struct mailbox_login *login,
                               const struct uid_set *set, size_t *removed_r)
{
    struct arena arena;
    struct mailbox_removed *removed;
    size_t room = set->count * EXPUNGE_OPS_PER_UID + EXPUNGE_OPS_MORE;
    arena_init(&arena, EXPUNGE_ARENA + room * EXPUNGE_ARENA_PER_OP);
    struct op_list ops = op_list_take(&arena, room);
    struct err e = mailbox_expunge_ops(core->engine, login->account, login->open, set->uids,
                                       set->count, &arena, &ops, &removed, removed_r);
    if (!err_is(e) && *removed_r)
        e = removals_trace(core, login, removed, *removed_r, &arena, &ops);
    if (!err_is(e) && (ops.over || arena_over(&arena)))
        e = err_make(ERR_NO_MEMORY);
    if (!err_is(e) && *removed_r) {
        struct commit commit = {.ops = ops.ops, .op_count = ops.count};
        e = engine_commit_wait(core->engine, &commit);
    }
    arena_done(&arena);
    return e;
}

static struct err expunge_all(struct core *core, const struct mailbox_login *login,
                              struct uid_set *set)
{
    struct err e = err_none();
    size_t removed = 0;
    if (login->open == 0)
        return err_make(ERR_COMMAND_ORDER);
    uids_tidy(set);
    for (int i = 0; i < EXPUNGE_TRIES; i++) {
        e = expunge_once(core, login, set, &removed);
        if (e.code != ERR_CONFLICT)
            break; /* else another session removed one of them meanwhile: that is no error */
    }
    if (!err_is(e))
        log_event(core->log, LOG_INFO, "expunged", log_str("account", login->address),
                  log_str("client", login->client), log_u64("messages", removed));
    return e;
}

static struct err expunge(struct request *request, struct mailbox_login *login)
{
    struct err e = pages_add(request, &login->expunge);
    if (!err_is(e) && request->msg.expunge.more)
        return e;
    /* Taken out before we wait: another question of this handle may come meanwhile. */
    struct uid_set set = login->expunge;
    login->expunge = (struct uid_set){.uids = NULL};
    if (!err_is(e))
        e = expunge_all(request->peer->core, login, &set);
    free(set.uids);
    return e;
}

void serve_expunge(struct request *request)
{
    struct mailbox_login *login = login_find(request->peer, request->msg.expunge.handle);
    struct msg answer = {.kind = MSG_expunged};
    struct err e = err_make(ERR_NOT_ALLOWED);
    if (login) {
        login_hold(login);
        e = expunge(request, login);
        login_release(login);
    }
    answer.expunged.error = (uint16_t)e.code;
    request_answer(request, &answer);
}
