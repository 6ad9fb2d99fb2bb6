/*
 * Why the envelope's sender is judged three times: MAIL is for the user, who hears at once; resolve
 * and commit are for us, since an edge that was taken over need not ask at MAIL, and between two
 * commands an operator may have taken a grant back.
 */
#include "core/submission.h"

#include "core/login.h"

/* A sub edge has no log-ins but for submission (core/login.c). */
static struct err login_of(struct peer *peer, uint64_t handle, struct login **login_r)
{
    *login_r = NULL;
    if (peer->role != ROLE_SUB)
        return handle ? err_detail(ERR_BUS_BROKEN, STR("a log-in of an edge for strangers"))
                      : err_none();
    if (!handle)
        return err_detail(ERR_BUS_BROKEN, STR("a submission of nobody"));
    *login_r = login_find(peer, handle);
    return err_make(*login_r ? ERR_NONE : ERR_LOGIN_NEEDED);
}

struct err submission_enter(struct peer *peer, uint64_t handle, struct transaction *transaction)
{
    struct login *login;
    struct err e = login_of(peer, handle, &login);
    if (err_is(e))
        return e;
    if (transaction->login && transaction->login != handle)
        return err_detail(ERR_BUS_BROKEN, STR("a transaction of another log-in"));
    if (!login || transaction->login)
        return err_none();
    transaction->account_address = arena_str(&transaction->arena, login->address);
    if (!transaction->account_address.p)
        return err_make(ERR_NO_MEMORY);
    transaction->login = handle;
    transaction->account = login->account;
    transaction->local = login->local;
    transaction->uid = login->uid;
    transaction->from_new_network = login->from_new_network;
    return err_none();
}

/* --- As whom? --- */

static struct err may_send(struct core *core, uint64_t account, const struct addr *addr,
                           struct arena *arena)
{
    bool may = false;
    struct err e = directory_may_send(&core->directory, account, addr, arena, &may);
    if (err_is(e) && e.code != ERR_NOT_FOUND)
        return e;
    return err_make(may ? ERR_NONE : ERR_SENDER_NOT_OWNED);
}

/* The null path is everybody's: disposition notifications have it (RFC 8098 3). */
static struct err sender_judge(struct core *core, uint64_t account, const struct addr *sender,
                               struct arena *arena)
{
    return sender->kind == ADDR_NULL ? err_none() : may_send(core, account, sender, arena);
}

static struct err authors_judge(struct request *request, uint64_t account)
{
    const struct msg_commit *asked = &request->msg.commit;
    struct core *core = request->peer->core;
    for (size_t i = 0; i < asked->authors_count; i++) {
        struct str author = asked->authors[i].text;
        struct addr addr;
        if (err_is(addr_parse(author, &request->arena, &addr)))
            return err_detail(ERR_BUS_BROKEN, STR("an author that is no address"));
        struct err e = may_send(core, account, &addr, &request->arena);
        if (e.code == ERR_SENDER_NOT_OWNED && str_is_ascii(author))
            e.detail = author;
        if (err_is(e))
            return e;
    }
    return err_none();
}

struct err submission_judge(struct request *request, const struct transaction *transaction)
{
    const struct msg_commit *asked = &request->msg.commit;
    struct peer *peer = request->peer;
    struct login *login;
    struct err e = login_of(peer, asked->login, &login);
    if (err_is(e))
        return e;
    if (asked->login != transaction->login || (login != NULL) != (asked->authors_count > 0))
        return err_detail(ERR_BUS_BROKEN, STR("a commit of another log-in, or without authors"));
    if (!login)
        return err_none();
    if (login->local)
        return err_none();
    e = sender_judge(peer->core, transaction->account, &transaction->sender, &request->arena);
    return err_is(e) ? e : authors_judge(request, transaction->account);
}

/* --- How much? --- */

/* Whose count it is; 0: nobody's. */
static uint64_t counted_as(uint64_t account, bool local, uint32_t uid)
{
    return !local ? account : uid ? SENDER_LOCAL | uid : 0;
}

static struct err account_left(struct core *core, uint64_t account, uint64_t *left_r)
{
    struct sender *sender;
    *left_r = UINT64_MAX;
    if (!account)
        return err_none();
    struct err e = senders_take(&core->senders, account, &sender);
    if (err_is(e))
        return e;
    e = sender_left(&core->senders, sender, core->conf, left_r);
    senders_give(&core->senders, sender);
    return e;
}

struct err submission_left(struct transaction *transaction, uint64_t *left_r)
{
    *left_r = UINT64_MAX;
    if (!transaction->login)
        return err_none();
    struct err e = transaction->local ? err_none()
                                      : sender_judge(transaction->core, transaction->account,
                                                     &transaction->sender, &transaction->arena);
    uint64_t who = counted_as(transaction->account, transaction->local, transaction->uid);
    return err_is(e) ? e : account_left(transaction->core, who, left_r);
}

struct err submission_count(struct request *request, struct transaction *transaction)
{
    struct core *core = request->peer->core;
    struct sender_load load = {.recipients = (uint32_t)request->msg.commit.recipients_count,
                               .from_new_network = transaction->from_new_network,
                               .local = transaction->local};
    uint64_t who = counted_as(transaction->account, transaction->local, transaction->uid);
    struct sender *sender;
    if (!transaction->login || !who)
        return err_none();
    struct err e = senders_take(&core->senders, who, &sender);
    if (err_is(e))
        return e;
    transaction->counted_at = world_wall(core->world);
    switch (sender_add(&core->senders, sender, core->conf, &load, transaction->counted_at)) {
    case SENDER_MAY:
        transaction->sends = sender;
        return err_none();
    case SENDER_BRAKE:
        sender_brake(core, sender, transaction->account_address, &load);
        e = err_make(ERR_SENDING_HELD);
        break;
    case SENDER_IS_HELD:
        e = err_make(ERR_SENDING_HELD);
        break;
    case SENDER_LIMIT:
        e = err_make(ERR_SENDING_LIMIT);
        break;
    }
    senders_give(&core->senders, sender);
    return e;
}

void submission_counted(struct request *request, struct transaction *transaction, bool accepted)
{
    struct core *core = request->peer->core;
    if (!transaction->sends)
        return;
    if (!accepted)
        sender_take_back(transaction->sends, (uint32_t)request->msg.commit.recipients_count,
                         transaction->counted_at);
    senders_give(&core->senders, transaction->sends);
    transaction->sends = NULL;
}

/* --- At MAIL --- */

static struct err path_parse_again(struct str path, struct arena *arena, struct addr *addr_r)
{
    *addr_r = (struct addr){.kind = ADDR_NULL};
    return path.n ? addr_parse(path, arena, addr_r) : err_none();
}

static struct err mail_judge(struct request *request, const struct login *login)
{
    struct core *core = request->peer->core;
    uint64_t left = 0;
    struct addr sender;
    struct err e = path_parse_again(request->msg.sender.reverse_path, &request->arena, &sender);
    if (!err_is(e) && !login->local)
        e = sender_judge(core, login->account, &sender, &request->arena);
    if (!err_is(e))
        e = account_left(core, counted_as(login->account, login->local, login->uid), &left);
    return !err_is(e) && left == 0 ? err_make(ERR_SENDING_LIMIT) : e;
}

void serve_sender(struct request *request)
{
    struct msg answer = {.kind = MSG_sender_judged};
    struct login *login;
    struct err e = login_of(request->peer, request->msg.sender.login, &login);
    if (e.code == ERR_BUS_BROKEN) {
        peer_cut(request->peer, e);
        return;
    }
    if (!err_is(e))
        e = mail_judge(request, login);
    answer.sender_judged.error = (uint16_t)err_told(e).code;
    request_answer(request, &answer);
}
