/*
 * DATA (RFC 5321 4.1.1.4) and the octets behind it.
 */
#include "edge/smtp/commands.h"
#include "edge/smtp/message.h"
#include "edge/smtp/reply.h"

static enum err_code may_begin(const struct smtp_session *s)
{
    const struct smtp_mail *mail = s->mail;
    if (mail->body_type == SMTP_BINARYMIME) /* RFC 3030 3 */
        return ERR_COMMAND_ORDER;
    if (mail->recipient_count > 0)
        return ERR_NONE;
    /* RFC 2033 4.2 fixes 503; RFC 5321 3.3 lets us say what is the matter. */
    return mail->any_refused && !smtp_is_lmtp(s) ? ERR_NO_RECIPIENTS : ERR_COMMAND_ORDER;
}

/* S4 -> S5 */
void smtp_data_run(struct smtp_session *s, struct smtp_arguments *args)
{
    (void)args;
    enum err_code error = may_begin(s);
    if (error != ERR_NONE) {
        bool order = error == ERR_COMMAND_ORDER;
        smtp_reply_error_text(s, error, 0, order ? smtp_order_missing(s, "DATA") : str_null());
        return;
    }
    /* A client must wait for the 354 (catalogue S04). */
    stream_read_more(&s->stream);
    if (stream_pending(&s->stream).n > 0) {
        smtp_tell_refused(s, "DATA", ERR_TALKS_OUT_OF_TURN, str_null(), str_null());
        smtp_reply_error(s, ERR_TALKS_OUT_OF_TURN);
        smtp_close_after_reply(s, "out-of-turn");
        return;
    }
    struct err e = smtp_message_begin(s, false, false);
    if (err_is(e)) {
        smtp_reply_error(s, e.code);
        return;
    }
    s->state = SMTP_DATA;
    smtp_phase_begin(s);
    smtp_reply(s, 354, NULL, STR("Start mail input; end with <CRLF>.<CRLF>"));
}

void smtp_data_octets(struct smtp_session *s)
{
    struct smtp_body *body = &s->mail->body;
    size_t room = smtp_body_room(body, stream_pending(&s->stream).n);
    if (body->refused.code == ERR_TOO_SLOW_NOW) {
        smtp_message_cut(s);
        return;
    }
    struct str pending = stream_pending(&s->stream), rest = str_head(pending, room);
    size_t given = rest.n;
    enum data_found found = smtp_body_feed(body, &rest);
    stream_take(&s->stream, given - rest.n);
    if (found == DATA_BARE) {
        smtp_message_bare(s);
    } else if (found == DATA_END) {
        smtp_message_end(s);
    } else {
        smtp_body_pass(body);
        smtp_message_absurd(s);
    }
}
