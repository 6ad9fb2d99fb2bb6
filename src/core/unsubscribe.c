/*
 * A link of a newsletter is followed (RFC 8058): core reads what it says and keeps that its member
 * left. Whoever has the link may, as whoever has the message; the token is the only proof there is,
 * and the only one that is needed.
 */
#include "core/peer.h"

#include "store/unsubscribe_key.h"

static struct err token_read(struct core *core, struct str token, struct arena *arena,
                             struct addr *list_r, struct addr *member_r)
{
    unsigned char key[UNSUBSCRIBE_KEY];
    struct str list, member;
    struct err e = unsubscribe_key(core->engine, core->world, false, key);
    if (err_is(e))
        return e;
    bool ours = unsubscribe_read(key, token, arena, &list, &member);
    explicit_bzero(key, sizeof(key));
    if (!ours)
        return err_make(ERR_NOT_FOUND);
    e = addr_parse(list, arena, list_r);
    return err_is(e) ? e : addr_parse(member, arena, member_r);
}

static void log_left(struct core *core, const struct msg_unsubscribe *asked, struct str list,
                     const struct addr *member)
{
    char room[ADDR_PATH_MAX];
    struct buf text = {.p = room, .cap = sizeof(room), .max = sizeof(room)};
    addr_print(&text, member);
    log_event(core->log, LOG_INFO, "unsubscribed", log_str("list", list),
              log_str("member", buf_str(&text)), log_str("client", asked->client));
}

static struct err leave(struct request *request, struct msg_unsubscribed *answer)
{
    struct core *core = request->peer->core;
    const struct msg_unsubscribe *asked = &request->msg.unsubscribe;
    struct arena *arena = &request->arena;
    struct addr list, member;
    struct mailing_list found = {.id = 0};
    struct err e = token_read(core, asked->token, arena, &list, &member);
    if (!err_is(e))
        e = directory_list_find(&core->directory, &list, arena, &found);
    if (!err_is(e) && asked->leaves)
        e = directory_unsubscribe(&core->directory, &list, &member, UNSUBSCRIBED_BY_LINK, arena);
    if (err_is(e))
        return e;
    answer->list = found.address;
    answer->name = found.name;
    if (asked->leaves)
        log_left(core, asked, found.address, &member);
    return err_none();
}

void serve_unsubscribe(struct request *request)
{
    struct msg answer = {.kind = MSG_unsubscribed};
    struct err e = leave(request, &answer.unsubscribed);
    answer.unsubscribed.error = (uint16_t)e.code;
    request_answer(request, &answer);
    if (err_is(e) && e.code != ERR_NOT_FOUND)
        log_err(request->peer->core->log, "not_unsubscribed", e);
}
