/*
 * BDAT (RFC 3030 2). A chunk's octets follow the command whatever we think of it, so a chunk that
 * is refused is counted and swallowed exactly, and the refusal comes behind it. Only where its size
 * is unreadable or beyond all measure is there nothing to count: then the connection closes.
 */
#include "edge/smtp/commands.h"
#include "edge/smtp/message.h"
#include "edge/smtp/reply.h"
#include "format/smtp_words.h"

struct err smtp_bdat_parse(struct smtp_session *s, struct str text, struct smtp_arguments *args)
{
    struct str size = str_cut(&text, ' ');
    struct str last = str_trim(text);
    args->chunk.last = str_eq_nocase(last, STR("LAST"));
    if (last.n > 0 && !args->chunk.last)
        return err_make(ERR_COMMAND_SYNTAX);
    struct err e = esmtp_size_parse(size, &args->chunk.octets);
    if (!err_is(e) && args->chunk.octets > smtp_conf(s)->smtp.message_size)
        return err_make(ERR_MESSAGE_TOO_LARGE);
    return e.code == ERR_PARAMETER_VALUE ? err_make(ERR_COMMAND_SYNTAX) : e;
}

static enum err_code may_take(const struct smtp_session *s)
{
    if (s->state == SMTP_RCPTS || s->state == SMTP_CHUNKED)
        return ERR_NONE;
    return s->state == SMTP_SENDER && s->mail->any_refused && !smtp_is_lmtp(s) ? ERR_NO_RECIPIENTS
                                                                               : ERR_COMMAND_ORDER;
}

static void chunk_over(struct smtp_session *s);

/* S1 to S4, S7 -> S6 */
void smtp_bdat_run(struct smtp_session *s, struct smtp_arguments *args)
{
    s->chunk_error = may_take(s);
    s->chunk_back = s->state;
    s->chunk_left = args->chunk.octets;
    s->chunk_last = args->chunk.last;
    smtp_phase_begin(s);
    if (s->chunk_error == ERR_NONE && s->state != SMTP_CHUNKED)
        s->chunk_error = smtp_message_begin(s, true, s->mail->body_type == SMTP_BINARYMIME).code;
    s->state = SMTP_CHUNK;
    if (s->chunk_left == 0)
        chunk_over(s);
}

/* S6 -> S7, or by the end of the message -> S2, or back where a swallowed chunk began */
static void chunk_over(struct smtp_session *s)
{
    if (s->chunk_error != ERR_NONE) {
        bool order = s->chunk_error == ERR_COMMAND_ORDER;
        s->state = s->chunk_back;
        smtp_reply_error_text(s, s->chunk_error, 0,
                              order ? smtp_order_missing(s, "BDAT") : str_null());
        return;
    }
    s->state = SMTP_CHUNKED;
    if (s->chunk_last || err_is(s->mail->body.refused)) {
        smtp_message_end(s);
        return;
    }
    char room[64];
    struct buf text = {.p = room, .cap = sizeof room, .max = sizeof room};
    buf_put_u64(&text, s->mail->body.raw);
    buf_put(&text, STR(" octets so far"));
    smtp_reply(s, 250, "2.0.0", buf_str(&text));
}

static bool swallow(struct smtp_session *s)
{
    if (s->chunk_error == ERR_NONE)
        return false;
    struct str pending = str_head(stream_pending(&s->stream), s->chunk_left);
    stream_take(&s->stream, pending.n);
    s->chunk_left -= pending.n;
    return true;
}

/* False: bare CR or LF where none may be, or no memory for one so slow; the session closes. */
static bool feed(struct smtp_session *s)
{
    struct smtp_body *body = &s->mail->body;
    size_t room = smtp_body_room(body, stream_pending(&s->stream).n);
    if (body->refused.code == ERR_TOO_SLOW_NOW) {
        smtp_message_cut(s);
        return false;
    }
    if (room > s->chunk_left)
        room = s->chunk_left;
    struct str rest = str_head(stream_pending(&s->stream), room);
    size_t given = rest.n;
    enum data_found found = smtp_body_feed(body, &rest);
    if (found == DATA_BARE) {
        smtp_message_bare(s);
        return false;
    }
    stream_take(&s->stream, given);
    s->chunk_left -= given;
    smtp_body_pass(body);
    return true;
}

void smtp_chunk_octets(struct smtp_session *s)
{
    if (!swallow(s) && !feed(s))
        return;
    if (s->chunk_left == 0)
        chunk_over(s);
}
