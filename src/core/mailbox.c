/*
 * What a mailbox session asks: rows, octets, removal. The view is the session's own (the edge
 * keeps the rows it was given); here every question is answered from what is durable now.
 */
#include "core/mailbox.h"

#include "base/must.h"
#include "core/delivery.h"
#include "store/message_head.h"

enum {
    ROWS_PAGE = 2000,
    EXPUNGE_TRIES = 5,
    EXPUNGE_OPS_PER_UID = 2,
};

/* --- mailbox_open --------------------------------------------------------------------------------
 */

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

/* --- fetch ---------------------------------------------------------------------------------------
 */

/* A source of octets: prefix and body, or the summary record. */
struct source {
    struct engine *engine;
    blob_id blob;
    struct str front; /* the prefix, or all there is */
    uint64_t body;    /* octets behind it, of the blob's body */
};

static struct err source_read(const struct source *source, uint64_t at, char *to, size_t n)
{
    if (at < source->front.n) {
        size_t here = source->front.n - at < n ? source->front.n - at : n;
        memcpy(to, source->front.p + at, here);
        to += here;
        n -= here;
        at += here;
    }
    return n ? engine_blob_read(source->engine, source->blob, at - source->front.n, to, n)
             : err_none();
}

static struct err source_open(struct request *request, const struct mailbox_login *login,
                              struct source *source)
{
    const struct msg_fetch *asked = &request->msg.fetch;
    struct engine *engine = request->peer->core->engine;
    struct arena *arena = &request->arena;
    struct mailbox_message message;
    struct message_head head;
    struct str record;
    uint64_t head_octets, body_octets;
    struct err e = mailbox_message(engine, login->open, asked->uid, arena, &message);
    if (!err_is(e))
        e = engine_blob_size(engine, message.blob, &head_octets, &body_octets);
    if (!err_is(e))
        e = engine_blob_head(engine, message.blob, arena, &record);
    if (!err_is(e))
        e = message_head_decode(record, arena, &head);
    if (err_is(e))
        return e;
    *source = (struct source){.engine = engine, .blob = message.blob};
    if (asked->part == 1) {
        source->front = head.summary;
        return err_none();
    }
    struct buf prefix = BUF_INIT(ENGINE_HEAD_MAX);
    message_prefix(&head, message.recipient, &prefix);
    source->front = buf_copy(&prefix, arena);
    source->body = body_octets;
    buf_done(&prefix);
    return source->front.p ? err_none() : err_make(ERR_NO_MEMORY);
}

/* Reads into memory of our own, then copies: nothing is checked where the edge can change it. */
static struct err slabs_fill(struct request *request, const struct source *source,
                             struct msg_fetched *fetched)
{
    const struct msg_fetch *asked = &request->msg.fetch;
    char *own = arena_take(&request->arena, SLAB_SIZE);
    if (!own)
        return err_make(ERR_NO_MEMORY);
    uint64_t at = asked->offset;
    for (size_t i = 0; i < asked->slabs_count && at < fetched->total; i++) {
        struct iovec part;
        if (!peer_slabs(request->peer, &asked->slabs[i], 1, asked->slabs[i].length, &part))
            return err_detail(ERR_BUS_BROKEN, STR("a slab out of range"));
        uint64_t left = fetched->total - at;
        size_t n = part.iov_len < left ? part.iov_len : (size_t)left;
        struct err e = source_read(source, at, own, n);
        if (err_is(e))
            return e;
        memcpy(part.iov_base, own, n);
        at += n;
    }
    fetched->octets = at > asked->offset ? at - asked->offset : 0;
    return err_none();
}

void serve_fetch(struct request *request)
{
    struct mailbox_login *login = login_find(request->peer, request->msg.fetch.handle);
    struct msg answer = {.kind = MSG_fetched};
    struct msg_fetched *fetched = &answer.fetched;
    struct err e = err_make(ERR_NOT_ALLOWED);
    if (login) {
        login_hold(login);
        struct source source = {.engine = NULL};
        e = source_open(request, login, &source);
        if (!err_is(e)) {
            fetched->prefix = source.body ? source.front.n : 0;
            fetched->total = source.front.n + source.body;
            e = slabs_fill(request, &source, fetched);
        }
        login_release(login);
    }
    fetched->error = (uint16_t)e.code;
    request_answer(request, &answer);
    if (e.code == ERR_BUS_BROKEN)
        peer_cut(request->peer, e);
    else if (err_is(e) && e.code != ERR_NOT_FOUND)
        log_err(request->peer->core->log, "fetch_failed", e);
}

/* --- expunge -------------------------------------------------------------------------------------
 */

static struct err pages_add(struct request *request, struct mailbox_login *login)
{
    const struct msg_expunge *asked = &request->msg.expunge;
    size_t need = login->expunge_count + asked->uids_count;
    if (need > request->peer->core->conf->pop3.messages || need > MAILBOX_EXPUNGE_MAX)
        return err_make(ERR_OVER_LIMIT);
    if (need > login->expunge_room) {
        uint32_t *uids = realloc(login->expunge, need * sizeof(*uids));
        if (!uids)
            return err_make(ERR_NO_MEMORY);
        login->expunge = uids;
        login->expunge_room = need;
    }
    for (size_t i = 0; i < asked->uids_count; i++)
        login->expunge[login->expunge_count++] = asked->uids[i].uid;
    return err_none();
}

static int uid_order(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static void uids_tidy(struct mailbox_login *login)
{
    qsort(login->expunge, login->expunge_count, sizeof(*login->expunge), uid_order);
    size_t kept = 0;
    for (size_t i = 0; i < login->expunge_count; i++)
        if (i == 0 || login->expunge[i] != login->expunge[i - 1])
            login->expunge[kept++] = login->expunge[i];
    login->expunge_count = kept;
}

static struct err expunge_once(struct core *core, struct mailbox_login *login, size_t *removed_r)
{
    struct arena arena;
    size_t room = login->expunge_count * EXPUNGE_OPS_PER_UID + 2;
    arena_init(&arena, 64 * 1024 + room * 512);
    struct op_list ops = op_list_take(&arena, room);
    struct err e = mailbox_expunge_ops(core->engine, login->account, login->open, login->expunge,
                                       login->expunge_count, &arena, &ops, removed_r);
    if (!err_is(e) && (ops.over || arena_over(&arena)))
        e = err_make(ERR_NO_MEMORY);
    if (!err_is(e) && *removed_r) {
        struct commit commit = {.ops = ops.ops, .op_count = ops.count};
        e = engine_commit_wait(core->engine, &commit);
    }
    arena_done(&arena);
    return e;
}

static struct err expunge_all(struct core *core, struct mailbox_login *login)
{
    struct err e = err_none();
    size_t removed = 0;
    if (login->open == 0)
        return err_make(ERR_COMMAND_ORDER);
    uids_tidy(login);
    for (int i = 0; i < EXPUNGE_TRIES; i++) {
        e = expunge_once(core, login, &removed);
        if (e.code != ERR_CONFLICT)
            break; /* else another session removed one of them meanwhile: that is no error */
    }
    if (!err_is(e))
        log_event(core->log, LOG_INFO, "expunged", log_str("account", login->address),
                  log_str("client", login->client), log_u64("messages", removed));
    return e;
}

void serve_expunge(struct request *request)
{
    const struct msg_expunge *asked = &request->msg.expunge;
    struct mailbox_login *login = login_find(request->peer, asked->handle);
    struct msg answer = {.kind = MSG_expunged};
    struct err e = err_make(ERR_NOT_ALLOWED);
    if (login) {
        login_hold(login);
        e = pages_add(request, login);
        if (!err_is(e) && !asked->more)
            e = expunge_all(request->peer->core, login);
        if (!asked->more || err_is(e))
            login->expunge_count = 0;
        login_release(login);
    }
    answer.expunged.error = (uint16_t)e.code;
    request_answer(request, &answer);
}
