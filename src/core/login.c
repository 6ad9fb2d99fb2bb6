/*
 * login: who is this? The hash is computed on its own lane, one thread a processor, for unknown
 * users too (an equally dear hash of nothing), so that neither words nor time tell them apart. The
 * account's state is looked at only after the password was right.
 */
#include "core/mailbox.h"

#include "base/must.h"
#include "trust/password.h"

enum {
    LOGIN_ARENA = 64 * 1024
};

struct mailbox_login *login_find(struct peer *peer, uint64_t handle)
{
    struct mailbox_login *login;
    HASH_FIND(hh, peer->logins, &handle, sizeof(handle), login);
    return login;
}

void login_hold(struct mailbox_login *login)
{
    login->holds++;
}

void login_release(struct mailbox_login *login)
{
    must(login->holds > 0);
    if (--login->holds > 0)
        return;
    arena_done(&login->arena);
    free(login->expunge.uids);
    free(login->reading.prefix);
    free(login);
}

void login_end(struct peer *peer, struct mailbox_login *login)
{
    if (login->over)
        return;
    login->over = true;
    HASH_DEL(peer->logins, login);
    login_release(login);
}

void logins_drop(struct peer *peer)
{
    struct mailbox_login *login, *next;
    HASH_ITER (hh, peer->logins, login, next) {
        login_end(peer, login);
    }
}

/* --- The password --- */

struct password_check {
    struct str password, hash;
    bool right;
};

static void password_check(void *arg)
{
    struct password_check *check = arg;
    struct arena scratch;
    arena_init(&scratch, PASSWORD_SCRATCH);
    check->right = password_verify(check->password, check->hash, &scratch);
    arena_done(&scratch);
}

static struct err who(struct request *request, struct account *account_r)
{
    struct core *core = request->peer->core;
    const struct msg_login *asked = &request->msg.login;
    struct err found = directory_login(&core->directory, asked->user, &request->arena, account_r);
    if (err_is(found) && found.code != ERR_LOGIN_FAILED)
        return found;
    struct password_check check = {.password = asked->password};
    if (!err_is(found))
        check.hash = account_r->password;
    lane_call(&core->hashes, password_check, &check);
    if (err_is(found) || !check.right)
        return err_make(ERR_LOGIN_FAILED);
    return account_r->disabled ? err_make(ERR_LOGIN_DISABLED) : err_none();
}

/* --- The handle --- */

/* Nobody's guess, and never that of an earlier core: an edge that did not yet notice that core was
 * restarted must not reach somebody else's mailbox. */
static uint64_t handle_new(struct peer *peer)
{
    uint64_t handle = 0;
    while (handle == 0 || login_find(peer, handle))
        world_random(peer->core->world, &handle, sizeof(handle));
    return handle;
}

static struct err login_add(struct request *request, const struct account *account,
                            struct mailbox_login **login_r)
{
    struct peer *peer = request->peer;
    if (HASH_COUNT(peer->logins) >= PEER_LOGINS_MAX)
        return err_make(ERR_TOO_MANY_SESSIONS);
    struct mailbox_login *login = calloc(1, sizeof(*login));
    if (!login)
        return err_make(ERR_NO_MEMORY);
    arena_init(&login->arena, LOGIN_ARENA);
    login->holds = 1;
    login->handle = handle_new(peer);
    login->account = account->id;
    login->inbox = account->inbox;
    login->protocol = (enum listen_protocol)request->msg.login.protocol;
    login->address = arena_str(&login->arena, account->address);
    login->client = arena_str(&login->arena, request->msg.login.client);
    if (arena_over(&login->arena)) {
        login_release(login);
        return err_make(ERR_NO_MEMORY);
    }
    HASH_ADD(hh, peer->logins, handle, sizeof(login->handle), login);
    if (!HASH_ADDED(login)) {
        login_release(login);
        return err_make(ERR_NO_MEMORY);
    }
    *login_r = login;
    return err_none();
}

/* A log line of a log-in that went well has no error, not even the one named NONE. */
static void login_log(const struct request *request, enum err_code error)
{
    const struct msg_login *asked = &request->msg.login;
    struct log *log = request->peer->core->log;
    if (error == ERR_NONE)
        log_event(log, LOG_INFO, "login", log_str("user", asked->user),
                  log_str("client", asked->client));
    else
        log_event(log, LOG_INFO, "login_failed", log_str("user", asked->user),
                  log_str("client", asked->client),
                  log_str("error", str_from(err_row(error)->name)));
}

void serve_login(struct request *request)
{
    struct peer *peer = request->peer;
    struct msg answer = {.kind = MSG_logged_in};
    struct account account;
    struct mailbox_login *login = NULL;
    struct err e = who(request, &account);
    if (!err_is(e) && !peer->gone)
        e = login_add(request, &account, &login);
    if (login) {
        answer.logged_in.handle = login->handle;
        answer.logged_in.address = login->address;
    }
    answer.logged_in.error = (uint16_t)e.code;
    login_log(request, e.code);
    request_answer(request, &answer);
}

void serve_logout(struct request *request)
{
    struct mailbox_login *login = login_find(request->peer, request->msg.logout.handle);
    if (login)
        login_end(request->peer, login);
}
