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
#include "core/login.h"
#include "core/source.h"
#include "store/message_head.h"

enum {
    FETCH_MESSAGE = 0, /* of MSG_fetch */
    FETCH_SUMMARY = 1,
    /* A head, the list in it, the prefix made of it. */
    FETCH_ARENA = 3 * ENGINE_HEAD_MAX,
};
#define AHEAD_TIME (20 * NS_PER_MS) /* for messages behind the one that is waited for */

/* From what the head says. */
static struct err source_make(struct engine *engine, const struct mailbox_message *message,
                              uint8_t part, struct arena *arena, struct source *source)
{
    struct message_head head;
    struct str record;
    uint64_t body_octets;
    *source = (struct source){.engine = engine, .blob = message->blob};
    struct err e = source_blob(source, arena, &record, &body_octets);
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
        e = source_fill(request, &source, request->msg.fetch.slabs, request->msg.fetch.slabs_count,
                        request->msg.fetch.offset, &fetched->octets);
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
