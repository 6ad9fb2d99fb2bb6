/*
 * Handles, and who loses them. Why a review of all log-ins instead of a note of who changed: the
 * directory changes by many ways (a command, a text that is applied, another process some day), and
 * a look at one version costs microseconds. The gap between two reviews keeps an import of 100,000
 * accounts from being followed by as many reviews.
 */
#include "core/login.h"

#include "base/must.h"

enum {
    LOGIN_ARENA = 64 * 1024,
    REVIEW_SLICE = 256, /* log-ins between two turns of the loop */
};
#define REVIEW_GAP NS_PER_SECOND

struct login *login_find(struct peer *peer, uint64_t handle)
{
    struct login *login;
    HASH_FIND(hh, peer->logins, &handle, sizeof(handle), login);
    return login;
}

void login_hold(struct login *login)
{
    login->holds++;
}

void login_release(struct login *login)
{
    must(login->holds > 0);
    if (--login->holds > 0)
        return;
    arena_done(&login->arena);
    free(login->expunge.uids);
    free(login->reading.prefix);
    free(login);
}

void login_end(struct peer *peer, struct login *login)
{
    if (login->over)
        return;
    login->over = true;
    HASH_DEL(peer->logins, login);
    login_release(login);
}

void logins_drop(struct peer *peer)
{
    struct login *login, *next;
    HASH_ITER (hh, peer->logins, login, next) {
        login_end(peer, login);
    }
}

/* Nobody's guess, and never that of an earlier core: an edge that did not yet notice that core was
 * restarted must not reach somebody else's mailbox. */
static uint64_t handle_new(struct peer *peer)
{
    uint64_t handle = 0;
    while (handle == 0 || login_find(peer, handle))
        world_random(peer->core->world, &handle, sizeof(handle));
    return handle;
}

static struct login *login_make(const struct login *like)
{
    struct login *login = calloc(1, sizeof(*login));
    if (!login)
        return NULL;
    arena_init(&login->arena, LOGIN_ARENA);
    login->holds = 1;
    login->account = like->account;
    login->inbox = like->inbox;
    login->version = like->version;
    login->protocol = like->protocol;
    login->mechanism = like->mechanism;
    login->from_new_network = like->from_new_network;
    login->local = like->local;
    login->uid = like->uid;
    login->address = arena_str(&login->arena, like->address);
    login->client = arena_str(&login->arena, like->client);
    return login;
}

struct err login_add(struct peer *peer, const struct login *like, struct login **login_r)
{
    if (HASH_COUNT(peer->logins) >= PEER_LOGINS_MAX)
        return err_make(ERR_TOO_MANY_SESSIONS);
    struct login *login = login_make(like);
    if (!login)
        return err_make(ERR_NO_MEMORY);
    bool added = !arena_over(&login->arena);
    if (added) {
        login->handle = handle_new(peer);
        HASH_ADD(hh, peer->logins, handle, sizeof(login->handle), login);
        added = HASH_ADDED(login);
    }
    if (!added) {
        login_release(login);
        return err_make(ERR_NO_MEMORY);
    }
    *login_r = login;
    return err_none();
}

void serve_logout(struct request *request)
{
    struct login *login = login_find(request->peer, request->msg.logout.handle);
    if (login)
        login_end(request->peer, login);
}

/* --- The review ------------------------------------------------------------------------------ */

struct reviewed {
    struct peer *peer;
    uint64_t handle, account, version;
};

static size_t logins_count(const struct core *core)
{
    const struct peer *peer;
    size_t count = 0;
    LIST_FOREACH (peer, &core->peers, link_in_core)
        count += HASH_COUNT(peer->logins);
    return count;
}

/* All there are now, each with a hold on its peer: both lists may change while we look. */
static struct reviewed *logins_list(struct core *core, size_t *count_r)
{
    struct reviewed *list = calloc(logins_count(core) + 1, sizeof(*list));
    struct peer *peer;
    struct login *login, *next;
    *count_r = 0;
    if (!list)
        return NULL;
    LIST_FOREACH (peer, &core->peers, link_in_core) {
        HASH_ITER (hh, peer->logins, login, next) {
            if (login->local)
                continue;
            peer_hold(peer);
            list[(*count_r)++] =
                (struct reviewed){peer, login->handle, login->account, login->version};
        }
    }
    return list;
}

static void login_take_back(struct peer *peer, struct login *login)
{
    struct msg msg = {.kind = MSG_login_ended, .login_ended = {.handle = login->handle}};
    login_end(peer, login);
    struct err e = link_send(&peer->link, &msg);
    if (err_is(e))
        peer_cut(peer, e);
}

/* May yield. An error of the disk ends nobody's session: the next review will see. */
static void review_one(struct core *core, const struct reviewed *one)
{
    uint64_t version;
    struct err e = directory_credential_version(&core->directory, one->account, &version);
    bool same = !err_is(e) && version == one->version;
    struct login *login = one->peer->gone ? NULL : login_find(one->peer, one->handle);
    if (err_is(e) && e.code != ERR_NOT_FOUND)
        core->desk.review.due = true;
    else if (!same && login)
        login_take_back(one->peer, login);
}

static void review_all(struct core *core)
{
    size_t count;
    struct reviewed *list = logins_list(core, &count);
    if (!list)
        core->desk.review.due = true;
    for (size_t i = 0; i < count; i++) {
        review_one(core, &list[i]);
        peer_release(list[i].peer);
        if (i % REVIEW_SLICE == REVIEW_SLICE - 1)
            fiber_sleep_until(core->loop, core->loop->now);
    }
    free(list);
}

static void review_run(void *arg)
{
    struct core *core = arg;
    struct login_review *review = &core->desk.review;
    review->due = false;
    review->last = core->loop->now;
    review_all(core);
    review->running = false;
    if (review->ended)
        wait_over(review->ended);
    else if (review->due)
        timer_set(core->loop, &review->timer, review->last + REVIEW_GAP);
}

static void review_begin(struct timer *timer)
{
    struct core *core = timer->arg;
    struct login_review *review = &core->desk.review;
    review->running = true;
    review->start = (struct fiber_start){.run = review_run, .arg = core};
    fiber_run(core->fibers, &review->start);
}

void logins_review(struct core *core)
{
    struct login_review *review = &core->desk.review;
    int64_t now = core->loop->now;
    review->due = true;
    if (review->running || review->timer.set)
        return;
    review->timer = (struct timer){.run = review_begin, .arg = core};
    bool first = review->last == 0 || now - review->last >= REVIEW_GAP;
    timer_set(core->loop, &review->timer, first ? now : review->last + REVIEW_GAP);
}

void logins_review_close(struct core *core)
{
    struct login_review *review = &core->desk.review;
    timer_clear(core->loop, &review->timer);
    struct wait ended = {.done = !review->running};
    review->ended = &ended;
    wait_for(&ended);
    timer_clear(core->loop, &review->timer);
}
