/*
 * STLS (RFC 2595 4). As in edge/smtp/cmd_starttls.c: what the client, or somebody in front of it,
 * sent without waiting for our answer ends the session (catalogue S07).
 */
#include "edge/pop3/commands.h"

#include "edge/tls.h"

bool pop3_stls_is_offered(const struct pop3_session *s)
{
    return !edge_session_is_encrypted(&s->base) && edge_tls(s->base.edge, s->base.listen) != NULL;
}

/* What was learnt in clear text may be somebody else's. */
static void forget(struct pop3_session *s)
{
    free(s->user);
    s->user = NULL;
}

static bool may_begin(struct pop3_session *s)
{
    if (edge_session_is_encrypted(&s->base))
        pop3_err(s, NULL, STR("This is TLS"));
    else if (!pop3_stls_is_offered(s))
        pop3_error(s, ERR_TLS_UNAVAILABLE);
    else
        return true;
    return false;
}

void pop3_stls(struct pop3_session *s, const struct pop3_arguments *args)
{
    (void)args;
    if (!may_begin(s))
        return;
    stream_read_more(&s->stream);
    if (stream_pending(&s->stream).n > 0) {
        pop3_err(s, NULL, str_from(err_row(ERR_TALKS_OUT_OF_TURN)->text));
        pop3_close_after_reply(s, "stls-injection");
        return;
    }
    pop3_ok(s, STR("Ready for TLS"));
    forget(s);
    s->state = POP3_HANDSHAKE; /* P1 -> P6 */
    int64_t now = s->base.edge->loop->now;
    if (!edge_session_start_tls(&s->base, now + s->base.conf->tls.handshake_timeout))
        pop3_cut(s, "tls-failed");
}
