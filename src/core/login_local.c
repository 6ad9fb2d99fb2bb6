/*
 * Programs of this host. Who connected is what the kernel told the edge when it accepted; core
 * hears it from the edge. A sub edge that was taken over could claim any user, and so send without
 * a log-in: less than what it has already, the passwords of whoever logs in through it. An mx edge
 * may not say this at all (bus/messages.def).
 */
#include "core/core.h"
#include "core/login.h"

enum {
    ADDRESS_MAX = 320
};

/* Under this name it stands in the trace and the log; who leaves From out writes as this. */
static void address_print(const struct core *core, uint32_t uid, struct buf *to)
{
    struct str host = core->conf->server.hostname;
    buf_printf(to, "uid-%u@", uid);
    buf_put(to, host.n > 0 ? host : STR("localhost"));
}

void serve_login_local(struct request *request)
{
    struct peer *peer = request->peer;
    char room[ADDRESS_MAX];
    struct buf address = {.p = room, .cap = sizeof(room), .max = sizeof(room)};
    struct msg answer = {.kind = MSG_logged_in};
    struct login *login = NULL;
    struct login like = {.protocol = LISTEN_LOCAL,
                         .mechanism = SASL_EXTERNAL,
                         .local = true,
                         .uid = request->msg.login_local.uid,
                         .client = STR("")};
    address_print(peer->core, like.uid, &address);
    like.address = buf_str(&address);
    struct err e = peer->core->conf->submission.local ? login_add(peer, &like, &login)
                                                      : err_make(ERR_NOT_ALLOWED);
    answer.logged_in.error = (uint16_t)e.code;
    if (login) {
        answer.logged_in.handle = login->handle;
        answer.logged_in.address = login->address;
    }
    request_answer(request, &answer);
}
