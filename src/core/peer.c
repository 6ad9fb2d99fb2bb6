/*
 * Why a copy of each message: the link's packet is gone when its callback returns, and a request
 * may wait for the disk. The copy goes into the request's own arena, which is kept for the next
 * request, so that a question costs no malloc.
 */
#include "core/peer.h"

#include "base/must.h"
#include "core/keys.h"
#include "core/queue.h"

#define POOL_OCTETS ((size_t)CORE_SLABS * SLAB_SIZE)

/*
 * --- The end of a peer ---------------------------------------------------------------------------
 *
 * Its last hold frees it: from a task, because the link's own code may still be running below us,
 * and on a fiber, because dropping an upload may yield.
 */

static void farewell(void *arg)
{
    struct peer *peer = arg;
    struct core *core = peer->core;
    transactions_drop(peer);
    uploads_drop(peer);
    logins_drop(peer);
    login_attempts_drop(peer);
    resent_peer_gone(core->resent, peer);
    if (peer->slabs)
        core->world->ops->shm_unmap(core->world, peer->slabs, POOL_OCTETS);
    str_wipe(buf_str(&peer->admin_input));
    buf_done(&peer->admin_input);
    peer->magic = 0;
    free(peer);
    if (--core->peer_count == 0 && core->emptied)
        wait_over(core->emptied);
}

static void farewell_start(struct task *task)
{
    struct peer *peer = task->arg;
    must_be(peer, PEER_MAGIC);
    peer->farewell = (struct fiber_start){.run = farewell, .arg = peer};
    fiber_run(peer->core->fibers, &peer->farewell);
}

struct peer *peer_courier(const struct core *core)
{
    struct peer *peer;
    LIST_FOREACH (peer, &core->peers, link_in_core)
        if (peer->role == ROLE_COURIER && peer->takes_jobs && !peer->gone)
            return peer;
    return NULL;
}

void peer_hold(struct peer *peer)
{
    peer->holds++;
}

void peer_release(struct peer *peer)
{
    must(peer->holds > 0);
    if (--peer->holds > 0)
        return;
    must(peer->gone);
    peer->last_task = (struct task){.run = farewell_start, .arg = peer};
    loop_soon(peer->core->loop, &peer->last_task);
}

static void peer_over(struct peer *peer, struct err why)
{
    if (err_is(why) && why.code != ERR_PEER_GONE)
        log_err(peer->core->log, "peer_cut", why);
    LIST_REMOVE(peer, link_in_core);
    peer->gone = true;
    link_done(&peer->link);
    /* At once: its clients may be back before its last request has ended. */
    resent_peer_gone(peer->core->resent, peer);
    queue_peer_gone(peer);
    peer_release(peer);
}

void peer_cut(struct peer *peer, struct err why)
{
    if (!peer->gone)
        peer_over(peer, why);
}

static void peer_ended(struct link *link, struct err why)
{
    struct peer *peer = link->arg;
    must_be(peer, PEER_MAGIC);
    peer_over(peer, why);
}

/* --- Requests --- */

static struct request *request_take(struct core *core)
{
    struct request *request = TAILQ_FIRST(&core->spare_requests);
    if (request) {
        TAILQ_REMOVE(&core->spare_requests, request, link);
        core->spare_request_count--;
        return request;
    }
    request = calloc(1, sizeof(*request));
    if (request)
        arena_init_from(&request->arena, REQUEST_ARENA, &core->spares);
    return request;
}

static void request_give_back(struct core *core, struct request *request)
{
    msg_wipe(&request->msg);
    arena_reset(&request->arena);
    request->peer = NULL;
    if (core->spare_request_count < REQUESTS_KEPT) {
        TAILQ_INSERT_HEAD(&core->spare_requests, request, link);
        core->spare_request_count++;
    } else {
        arena_done(&request->arena);
        free(request);
    }
}

static void request_run(void *arg)
{
    struct request *request = arg;
    struct peer *peer = request->peer;
    request->serve(request);
    conf_let_go(request->conf);
    request_give_back(peer->core, request);
    peer_release(peer);
}

static void request_start(struct peer *peer, const struct msg *msg, void (*serve)(struct request *))
{
    struct request *request = request_take(peer->core);
    if (!request) {
        peer_cut(peer, err_make(ERR_NO_MEMORY));
        return;
    }
    if (err_is(msg_copy(msg, &request->arena, &request->msg))) {
        request_give_back(peer->core, request);
        peer_cut(peer, err_make(ERR_NO_MEMORY));
        return;
    }
    request->peer = peer;
    request->conf = conf_hold(peer->core->conf);
    request->serve = serve;
    request->start = (struct fiber_start){.run = request_run, .arg = request};
    peer->holds++;
    fiber_run(peer->core->fibers, &request->start);
}

void request_answer(struct request *request, struct msg *answer)
{
    struct peer *peer = request->peer;
    uint32_t call;
    if (peer->gone || !msg_asks(&request->msg, &call))
        return;
    msg_set_call(answer, call);
    struct err e = link_send(&peer->link, answer);
    if (err_is(e))
        peer_cut(peer, e);
}

bool request_piece(struct request *request, struct msg *piece)
{
    struct peer *peer = request->peer;
    struct loop *loop = peer->core->loop;
    uint32_t call;
    if (!msg_asks(&request->msg, &call))
        return false;
    msg_set_call(piece, call);
    while (!peer->gone) {
        struct err e = link_send(&peer->link, piece);
        if (e.code != ERR_OVER_LIMIT)
            return !err_is(e);
        fiber_sleep_until(loop, loop->now + 5 * NS_PER_MS);
    }
    return false;
}

/* --- What a peer says --- */

static struct err pool_make(struct peer *peer, const struct msg *hello)
{
    struct world *world = peer->core->world;
    if (peer->slabs)
        return err_detail(ERR_BUS_BROKEN, STR("hello twice"));
    peer->instance = hello->hello.instance;
    int handle = world->ops->shm_create(world, POOL_OCTETS);
    if (handle < 0)
        return err_os(-handle, STR("shared memory"));
    peer->slabs = world->ops->shm_map(world, handle, POOL_OCTETS);
    struct msg welcome = {.kind = MSG_welcome, .welcome = {.slabs = CORE_SLABS}};
    struct err e =
        peer->slabs ? link_send_handle(&peer->link, &welcome, handle) : err_make(ERR_NO_MEMORY);
    world->ops->close(world, handle);
    if (!err_is(e))
        e = bans_tell(peer);
    return err_is(e) || !peer->core->keys ? e : keys_tell(peer->core->keys, peer);
}

/* Who may send what is in messages.def and was checked by the link. */
static void (*const serves[MSG_COUNT])(struct request *) = {
    [MSG_resolve] = serve_resolve,
    [MSG_forget] = serve_forget,
    [MSG_sender] = serve_sender,
    [MSG_verify] = serve_verify,
    [MSG_etrn] = serve_etrn,
    [MSG_collect] = serve_collect,
    [MSG_collection_ended] = serve_collection_ended,
    [MSG_refused] = serve_refused,
    [MSG_upload_open] = serve_upload_open,
    [MSG_upload_data] = serve_upload_data,
    [MSG_upload_drop] = serve_upload_drop,
    [MSG_commit] = serve_commit,
    [MSG_ask_commit] = serve_ask_commit,
    [MSG_seen] = serve_seen,
    [MSG_tries] = serve_tries,
    [MSG_sign] = serve_sign,
    [MSG_login] = serve_login,
    [MSG_login_begin] = serve_login_begin,
    [MSG_login_proof] = serve_login_proof,
    [MSG_login_dropped] = serve_login_dropped,
    [MSG_login_token] = serve_login_token,
    [MSG_login_certificate] = serve_login_certificate,
    [MSG_login_local] = serve_login_local,
    [MSG_logout] = serve_logout,
    [MSG_mailbox_open] = serve_mailbox_open,
    [MSG_fetch] = serve_fetch,
    [MSG_fetch_ahead] = serve_fetch_ahead,
    [MSG_expunge] = serve_expunge,
    [MSG_unsubscribe] = serve_unsubscribe,
    [MSG_admin_input] = serve_admin_input,
    [MSG_admin] = serve_admin,
    [MSG_jobs] = serve_jobs,
    [MSG_job_fetch] = serve_job_fetch,
    [MSG_job_dot] = serve_job_dot,
    [MSG_job_over] = serve_job_over,
    [MSG_sts_learned] = serve_sts_learned,
};

static struct err peer_serve(struct peer *peer, const struct msg *msg)
{
    if (msg->kind == MSG_hello)
        return pool_make(peer, msg);
    if (!serves[msg->kind])
        return err_detail(ERR_BUS_BROKEN, STR("a message core does not serve"));
    if (!peer->slabs && peer->role != ROLE_CLI)
        return err_detail(ERR_BUS_BROKEN, STR("a question before hello"));
    request_start(peer, msg, serves[msg->kind]);
    return err_none();
}

static void peer_got(struct link *link, const struct msg *msg, int passed)
{
    struct peer *peer = link->arg;
    must_be(peer, PEER_MAGIC);
    struct world *world = peer->core->world;
    if (passed >= 0)
        world->ops->close(world, passed);
    struct err e = peer_serve(peer, msg);
    if (err_is(e))
        peer_cut(peer, e);
}

struct err peer_add(struct core *core, int handle, enum bus_role role, uint32_t instance)
{
    static const struct link_owner owner = {.got = peer_got, .ended = peer_ended};
    struct peer *peer = calloc(1, sizeof(*peer));
    if (!peer)
        return err_make(ERR_NO_MEMORY);
    *peer = (struct peer){.magic = PEER_MAGIC,
                          .core = core,
                          .role = role,
                          .instance = instance,
                          .holds = 1,
                          .admin_input = BUF_INIT(ADMIN_INPUT_MAX)};
    buf_init(&peer->admin_input, ADMIN_INPUT_MAX);
    int failed = link_init(&peer->link, core->loop, handle, ROLE_CORE, role, &owner, peer);
    if (failed) {
        free(peer);
        return err_os(-failed, STR("link"));
    }
    RB_INIT(&peer->transactions);
    TAILQ_INIT(&peer->attempts_order);
    LIST_INSERT_HEAD(&core->peers, peer, link_in_core);
    core->peer_count++;
    return err_none();
}

/* --- Slabs --- */

bool peer_slabs(const struct peer *peer, const struct msg_slab *slabs, size_t count, uint64_t total,
                struct iovec *parts_r)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        if (slabs[i].index >= CORE_SLABS || slabs[i].length > SLAB_SIZE)
            return false;
        parts_r[i] = (struct iovec){.iov_base = peer->slabs + (size_t)slabs[i].index * SLAB_SIZE,
                                    .iov_len = slabs[i].length};
        sum += slabs[i].length;
    }
    return sum == total;
}

struct str peer_slabs_copy(const struct peer *peer, const struct msg_slab *slabs, size_t count,
                           struct arena *arena)
{
    uint64_t total = 0;
    for (size_t i = 0; i < count; i++)
        total += slabs[i].length;
    struct iovec *parts = arena_take_array(arena, count, sizeof(*parts));
    char *copy = arena_take(arena, total);
    if (!parts || !copy || !peer_slabs(peer, slabs, count, total, parts))
        return str_null();
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        memcpy(copy + at, parts[i].iov_base, parts[i].iov_len);
        at += parts[i].iov_len;
    }
    return str_make(copy, at);
}
