/*
 * STARTTLS (RFC 3207). A client must wait for our 220; who does not is a fool, or somebody who put
 * commands in front of another's handshake, to have them obeyed behind it (CVE-2011-0411; catalogue
 * S07). So octets that are there already end the session instead of being forgotten: an operator
 * should hear of it. What comes later meets the handshake, which knows no commands.
 */
#include "edge/smtp/commands.h"
#include "edge/smtp/extensions.h"
#include "edge/smtp/reply.h"
#include "edge/tls.h"

bool smtp_starttls_is_offered(const struct smtp_session *s)
{
    return !edge_session_is_encrypted(&s->base) && !s->base.login.handle &&
           edge_tls(s->base.edge, s->base.listen) != NULL;
}

static enum err_code may_begin(const struct smtp_session *s, struct str *why_r)
{
    bool encrypted = edge_session_is_encrypted(&s->base);
    *why_r = encrypted ? STR("this is TLS") : STR("TLS comes before AUTH");
    if (encrypted || s->base.login.handle)
        return ERR_COMMAND_ORDER;
    *why_r = str_null();
    return smtp_starttls_is_offered(s) ? ERR_NONE : ERR_TLS_UNAVAILABLE;
}

static bool sent_ahead(struct smtp_session *s)
{
    stream_read_more(&s->stream);
    if (stream_pending(&s->stream).n == 0)
        return false;
    smtp_tell_refused(s, "STARTTLS", ERR_TALKS_OUT_OF_TURN, str_null(), str_null());
    smtp_reply_error_text(s, ERR_TALKS_OUT_OF_TURN, 501, str_null());
    smtp_close_after_reply(s, "starttls-injection");
    return true;
}

/* What was learnt in clear text may be somebody else's (RFC 3207 4.2). */
static void forget(struct smtp_session *s)
{
    smtp_transaction_end(s, STR("STARTTLS"));
    s->extended = false;
    s->helo_length = 0;
}

void smtp_starttls_run(struct smtp_session *s, struct smtp_arguments *args)
{
    struct str why;
    enum err_code error = may_begin(s, &why);
    (void)args;
    if (error != ERR_NONE) {
        smtp_reply_error_text(s, error, 0, why);
        return;
    }
    if (sent_ahead(s))
        return;
    smtp_reply(s, 220, "2.0.0", STR("Ready for TLS"));
    forget(s);
    s->state = SMTP_HANDSHAKE; /* S1 to S4, S7 -> S10 */
    smtp_phase_begin(s);
    if (!edge_session_start_tls(&s->base, s->phase + smtp_conf(s)->tls.handshake_timeout))
        smtp_cut(s, "tls-failed");
}
