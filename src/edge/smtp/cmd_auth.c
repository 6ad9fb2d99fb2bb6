/*
 * AUTH (RFC 4954), on submission listeners only: who takes over the edge that strangers talk to
 * must find no log-in there. What a mechanism is, is in edge/login.h; here are its words in SMTP.
 *
 * RFC 4954 4 keeps AUTH itself within the length of other commands. Programs put tokens of some
 * kilobytes behind it all the same, so it may be as long as the lines that follow it (turn.c).
 */
#include "edge/smtp/commands.h"
#include "edge/smtp/reply.h"

struct err smtp_auth_parse(struct smtp_session *s, struct str text, struct smtp_arguments *args)
{
    (void)s;
    args->auth.mechanism = str_cut(&text, ' ');
    args->auth.initial = text;
    if (args->auth.mechanism.n == 0 || (text.p && (text.n == 0 || str_index(text, ' ') >= 0)))
        return err_detail(ERR_COMMAND_SYNTAX, STR("AUTH mechanism [initial-response]"));
    return err_none();
}

/* S11: 334 and nothing but the challenge, which may be longer than other replies. */
static void ask(struct smtp_session *s, struct str challenge)
{
    s->state = SMTP_EXCHANGE; /* S2, S11 -> S11 */
    stream_put(&s->stream, STR("334 "));
    stream_put(&s->stream, challenge);
    stream_put(&s->stream, STR("\r\n"));
}

static void refuse(struct smtp_session *s, enum err_code error)
{
    /* RFC 4954 6: what is ours and will pass is 454. */
    smtp_reply_error_text(s, error, err_row(error)->smtp == 451 ? 454 : 0, str_null());
    if (err_row(error)->smtp == 421) {
        smtp_close_after_reply(s, "login");
    } else if (s->base.login_failures >= EDGE_LOGIN_FAILURES) {
        smtp_reply_error(s, ERR_TOO_MANY_ERRORS);
        smtp_close_after_reply(s, "login");
    }
}

static void answer(struct smtp_session *s, const struct edge_exchange_says *says)
{
    if (says->step == EDGE_EXCHANGE_CHALLENGE) {
        ask(s, says->challenge);
        return;
    }
    s->state = SMTP_READY; /* S11 -> S2 */
    if (says->step == EDGE_EXCHANGE_DONE)
        smtp_reply(s, 235, "2.7.0", STR("Authentication successful"));
    else
        refuse(s, says->error);
}

void smtp_auth_run(struct smtp_session *s, struct smtp_arguments *args)
{
    if (s->base.login.handle) {
        smtp_reply_error_text(s, ERR_COMMAND_ORDER, 0, STR("you have logged in"));
        return;
    }
    struct edge_exchange_says says =
        edge_exchange_begin(&s->base, args->auth.mechanism, args->auth.initial, &s->exchange);
    answer(s, &says);
}

void smtp_auth_line(struct smtp_session *s, struct str line)
{
    struct edge_exchange_says says = edge_exchange_line(&s->exchange, line);
    answer(s, &says);
}

void smtp_auth_too_long(struct smtp_session *s)
{
    edge_exchange_drop(&s->exchange);
    if (s->state == SMTP_EXCHANGE)
        s->state = SMTP_READY; /* S11 -> S2 */
    smtp_reply_error(s, ERR_SASL_TOO_LONG);
}
