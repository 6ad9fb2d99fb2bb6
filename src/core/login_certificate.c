/*
 * EXTERNAL (RFC 4422 A): client certificates, whose key the client proved to have in the handshake,
 * by their fingerprint. Whom to act as is the only name there is, and is counted as one.
 */
#include "core/login_try.h"

static struct err certificate_prove(struct login_try *try)
{
    const struct msg_login_certificate *asked = &try->request->msg.login_certificate;
    struct str as = try->name;
    struct err e = directory_login_certificate(&try->core->directory,
                                               (const unsigned char *)asked->fingerprint.p, as,
                                               &try->request->arena, &try->account);
    try->exists = !err_is(e);
    return e;
}

void serve_login_certificate(struct request *request)
{
    const struct msg_login_certificate *asked = &request->msg.login_certificate;
    struct login_try try;
    if (!login_try_init(&try, request,
                        &(struct login_said){.mechanisms = 1u << SASL_EXTERNAL,
                                             .protocol = asked->protocol,
                                             .mechanism = SASL_EXTERNAL,
                                             .client = asked->client,
                                             .user = asked->as}))
        return;
    if (asked->fingerprint.n != SHA256_SIZE) {
        peer_cut(request->peer, err_detail(ERR_BUS_BROKEN, STR("a fingerprint")));
        return;
    }
    try.nameless = asked->as.n == 0;
    struct err e = login_admit(&try);
    if (!err_is(e))
        e = login_decide_by(&try, certificate_prove(&try));
    login_answer(&try, e);
    login_afterwards(&try);
}
