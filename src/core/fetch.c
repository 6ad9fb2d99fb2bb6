/*
 * Octets of messages, for an edge that serves them: a message piece by piece (fetch), or those that
 * its client is likely to ask for next, whole (fetch_ahead).
 *
 * A message is read in one go where it is small, since most are, and each look-up and each system
 * call costs as much as its octets; a large one chunk by chunk, so that a request never holds more
 * than WHOLE_MOST of it.
 *
 * fetch_ahead stops in front of whatever is not plain: gone, damaged, to be re-encoded, too large.
 * So an edge learns of an error only when it asks for that message, and its client only then. The
 * client waits for the first of them: where the disk is slow the others are not waited for.
 */
#include "base/must.h"
#include "core/login.h"
#include "store/message_head.h"

enum {
    CHUNK = 16 * 1024,      /* what has a checksum of its own (engine.h) */
    WHOLE_MOST = 64 * 1024, /* octets of head and body that are read at once */
    FETCH_MESSAGE = 0,      /* of MSG_fetch */
    FETCH_SUMMARY = 1,
    /* A head, the list in it, the prefix made of it. */
    FETCH_ARENA = 3 * ENGINE_HEAD_MAX,
};
#define AHEAD_TIME (20 * NS_PER_MS) /* for messages behind the one that is waited for */

/* A source of octets: prefix and body, or the summary record. */
struct source {
    struct engine *engine;
    blob_id blob;
    struct str front; /* the prefix, or all there is */
    struct str body;  /* what is behind it; null: still to be read */
    uint64_t total;
    bool binary; /* parts of it may be */
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
    struct str from = source->front;
    if (at >= source->front.n) {
        at -= source->front.n;
        from = source->body;
        if (!from.p)
            return engine_blob_read(source->engine, source->blob, at, to, n);
    }
    memcpy(to, from.p + at, n);
    return err_none();
}

/* The head, and its body where both are small. */
static struct err blob_read(struct source *source, struct arena *arena, struct str *head_r,
                            uint64_t *body_octets_r)
{
    uint64_t head_octets;
    struct err e =
        engine_blob_whole(source->engine, source->blob, WHOLE_MOST, arena, head_r, &source->body);
    *body_octets_r = source->body.n;
    if (e.code != ERR_OVER_LIMIT)
        return e;
    e = engine_blob_size(source->engine, source->blob, &head_octets, body_octets_r);
    return err_is(e) ? e : engine_blob_head(source->engine, source->blob, arena, head_r);
}

/* From what the head says. */
static struct err source_make(struct engine *engine, const struct mailbox_message *message,
                              uint8_t part, struct arena *arena, struct source *source)
{
    struct message_head head;
    struct str record;
    uint64_t body_octets;
    *source = (struct source){.engine = engine, .blob = message->blob};
    struct err e = blob_read(source, arena, &record, &body_octets);
    if (!err_is(e))
        e = message_head_decode(record, arena, &head);
    if (err_is(e))
        return e;
    source->binary = head.body_type == BODY_BINARYMIME;
    if (part == FETCH_SUMMARY) {
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

static bool reading_is(const struct login *login, uint32_t uid, blob_id blob)
{
    const struct reading *reading = &login->reading;
    return reading->mailbox == login->open && reading->uid == uid && reading->blob == blob;
}

/* Whether the message is still there is looked at each time. */
static struct err source_open(struct request *request, const struct login *login,
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
        return source_make(engine, &message, asked->part, arena, source);
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
static void reading_go_on(struct login *login, uint32_t uid, const struct source *source, bool more)
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

static struct err slab_row_take(struct request *request, const struct msg_slab *slabs, size_t count,
                                struct slab_row *row)
{
    uint64_t room = 0;
    for (size_t i = 0; i < count; i++)
        room += slabs[i].length;
    *row = (struct slab_row){.count = count, .room = room};
    row->parts = arena_take_array(&request->arena, count, sizeof(*row->parts));
    if (!row->parts)
        return err_make(ERR_NO_MEMORY);
    return peer_slabs(request->peer, slabs, count, room, row->parts)
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
    const struct msg_fetch *asked = &request->msg.fetch;
    uint64_t at = asked->offset;
    struct slab_row row;
    struct err e = slab_row_take(request, asked->slabs, asked->slabs_count, &row);
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

static struct err fetch(struct request *request, struct login *login, struct msg_fetched *fetched)
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
    struct login *login = login_find(request->peer, request->msg.fetch.handle);
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

/* --- fetch_ahead --- */

/* The next one, all of it. False: nothing of it was put into the slabs. */
static bool whole_put(struct engine *engine, const struct login *login, uint32_t uid,
                      struct arena *arena, struct slab_row *row, struct msg_whole *whole_r)
{
    struct mailbox_message message;
    struct source source;
    if (err_is(mailbox_message(engine, login->open, uid, arena, &message)) ||
        message.size > row->room ||
        err_is(source_make(engine, &message, FETCH_MESSAGE, arena, &source)) || source.binary ||
        !source.body.p || source.total > row->room)
        return false;
    slab_row_put(row, source.front);
    slab_row_put(row, source.body);
    whole_r->octets = (uint32_t)source.total;
    return true;
}

static struct err fetch_ahead(struct request *request, const struct login *login,
                              struct msg_fetched_ahead *fetched)
{
    const struct msg_fetch_ahead *asked = &request->msg.fetch_ahead;
    struct core *core = request->peer->core;
    struct slab_row row;
    struct err e = slab_row_take(request, asked->slabs, asked->slabs_count, &row);
    fetched->messages =
        arena_take_array(&request->arena, asked->uids_count, sizeof(*fetched->messages));
    if (!err_is(e) && !fetched->messages)
        e = err_make(ERR_NO_MEMORY);
    struct arena arena;
    arena_init_from(&arena, FETCH_ARENA, &core->spares);
    int64_t until = core->loop->now + AHEAD_TIME;
    bool more = !err_is(e);
    for (size_t i = 0; more && i < asked->uids_count && core->loop->now < until; i++) {
        more =
            whole_put(core->engine, login, asked->uids[i].uid, &arena, &row, &fetched->messages[i]);
        fetched->messages_count += more;
        arena_reset(&arena);
    }
    arena_done(&arena);
    return e;
}

void serve_fetch_ahead(struct request *request)
{
    struct login *login = login_find(request->peer, request->msg.fetch_ahead.handle);
    struct msg answer = {.kind = MSG_fetched_ahead};
    struct err e = err_none();
    if (login) {
        login_hold(login);
        e = fetch_ahead(request, login, &answer.fetched_ahead);
        login_release(login);
    }
    request_answer(request, &answer);
    if (e.code == ERR_BUS_BROKEN)
        peer_cut(request->peer, e);
}
