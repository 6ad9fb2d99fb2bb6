/*
 * The reply is written where core's answer is read, and nowhere else: there is no path to a 250
 * that does not hold a `committed` without error in its hands.
 */
#include "edge/smtp/message.h"

#include "edge/smtp/commands.h"
#include "edge/smtp/commit.h"
#include "edge/smtp/extensions.h"
#include "edge/smtp/reply.h"
#include "edge/smtp/terminals.h"
#include "format/message_id.h"

enum {
    ABSURD_BEYOND = 1 << 20 /* octets swallowed beyond twice the limit */
};

static const char *verb(const struct smtp_session *s)
{
    return s->mail->body.chunked ? "BDAT" : "DATA";
}

/* Their domain completes addresses; a session always has an address where somebody logged in. */
static struct smtp_submitted *submitted_new(struct smtp_session *s)
{
    struct smtp_mail *mail = s->mail;
    char id[MESSAGE_ID_TEXT];
    message_id_print(mail->message, id);
    uint64_t most = smtp_conf(s)->smtp.header_size + sizeof("\r\n") - 1;
    const struct submission_facts facts = {
        .account = arena_str(&mail->arena, str_from(s->base.login.address)),
        .hostname = arena_str(&mail->arena, smtp_hostname(s)),
        .id = arena_str(&mail->arena, str_make(id, sizeof id)),
        .time = world_wall(s->base.edge->world) / US_PER_SECOND,
        .most = most,
    };
    return arena_over(&mail->arena) ? NULL : smtp_submitted_new(&facts, &mail->arena);
}

struct err smtp_message_begin(struct smtp_session *s, bool chunked, bool binary)
{
    bool submission = smtp_is_submission(s);
    struct smtp_submitted *submitted = submission ? submitted_new(s) : NULL;
    if (submission && !submitted)
        return err_make(ERR_OVER_LIMIT);
    struct smtp_body *body = &s->mail->body;
    smtp_body_begin(body, s->base.edge, smtp_conf(s), chunked, binary, submission || s->normalise);
    smtp_body_submit(body, submitted);
    if (smtp_conf(s)->dkim.sign && smtp_is_trusted(s))
        smtp_body_sign(body);
    bool shown = s->mail->command != MAIL_MAIL;
    return err_make(shown && !smtp_screen_begin(s->mail) ? ERR_OVER_LIMIT : ERR_NONE);
}

static void log_refused(struct smtp_session *s, enum err_code error)
{
    const struct smtp_mail *mail = s->mail;
    log_event(s->base.edge->log, LOG_INFO, "message_refused",
              log_str("client", edge_session_client(&s->base)), log_str("from", mail->reverse_path),
              log_u64("recipients", mail->recipient_count), log_u64("size", mail->body.size),
              log_str("error", str_from(err_row(error)->name)));
}

/* -> S2, or S8 where the error closes */
static void refuse(struct smtp_session *s, struct err why)
{
    /* LMTP's reply for each recipient stands behind the message, not behind an earlier chunk. */
    bool whole = !s->mail->body.chunked || s->chunk_last;
    size_t replies = smtp_is_lmtp(s) && whole ? s->mail->recipient_count : 1;
    /* Users are told what is wrong with their message; strangers only that it is refused. */
    struct str text = smtp_is_submission(s) ? why.detail : str_null();
    for (size_t i = 0; i < replies; i++)
        smtp_reply_error_text(s, why.code, 0, text);
    log_refused(s, why.code);
    smtp_tell_refused(s, verb(s), why.code, str_null(), why.detail);
    smtp_transaction_end(s, str_from(err_row(why.code)->name));
    int code = err_row(why.code)->smtp;
    if (code == 421 || code == 521)
        smtp_close_after_reply(s, "refused");
}

static enum err_code outcome_of(const struct msg_committed *committed, uint32_t token, size_t hint)
{
    if (committed->error != ERR_NONE)
        return committed->error;
    if (hint < committed->outcomes_count && committed->outcomes[hint].token == token)
        return committed->outcomes[hint].error;
    for (size_t i = 0; i < committed->outcomes_count; i++) {
        if (committed->outcomes[i].token == token)
            return committed->outcomes[i].error;
    }
    return ERR_NONE;
}

static void reply_accepted(struct smtp_session *s, const struct msg_committed *committed)
{
    char room[SMTP_REPLY_MAX], id[MESSAGE_ID_TEXT];
    struct buf line = {.p = room, .cap = sizeof room, .max = sizeof room};
    message_id_print(committed->message, id);
    buf_put(&line, committed->text.n > 0 ? str_head(committed->text, SMTP_REPLY_MAX / 2)
                                         : STR("Accepted"));
    buf_put(&line, STR(" id "));
    buf_put(&line, str_make(id, sizeof id));
    smtp_reply(s, 250, "2.0.0", buf_str(&line));
}

static void reply_each(struct smtp_session *s, const struct msg_committed *committed)
{
    for (size_t i = 0; i < s->mail->recipient_count; i++) {
        enum err_code error = outcome_of(committed, s->mail->recipients[i].token, i);
        if (error == ERR_NONE)
            reply_accepted(s, committed);
        else
            smtp_reply_error(s, error);
    }
}

static void log_accepted(struct smtp_session *s, const struct msg_committed *committed)
{
    const struct smtp_mail *mail = s->mail;
    char id[MESSAGE_ID_TEXT];
    message_id_print(committed->message, id);
    log_event(s->base.edge->log, LOG_INFO, committed->repeated ? "message_again" : "message",
              log_str("id", str_make(id, sizeof id)),
              log_str("client", edge_session_client(&s->base)), log_str("from", mail->reverse_path),
              log_u64("recipients", mail->recipient_count), log_u64("size", mail->body.size));
}

/* What its client does next decides what the same message is when it comes again. */
static void answered(struct smtp_session *s, uint64_t message, bool repeated)
{
    must(s->answered.message == 0); /* octets have come since */
    s->answered = (struct edge_try){.message = message, .repeated = repeated};
    memcpy(s->answered.token, s->mail->token, sizeof s->answered.token);
    edge_try_open(s->base.edge, &s->answered);
}

/* -> S8: neither yes nor no may be said, and core may have it nevertheless. */
static void cut_unanswered(struct smtp_session *s)
{
    answered(s, s->mail->message, false);
    edge_try_unseen(s->base.edge, &s->answered);
    smtp_close_after_reply(s, "core-lost");
}

/* -> S2: durable, and said so */
static void accept(struct smtp_session *s, const struct msg_committed *committed)
{
    if (smtp_is_lmtp(s))
        reply_each(s, committed);
    else
        reply_accepted(s, committed);
    log_accepted(s, committed);
    s->messages++;
    s->recipients += s->mail->recipient_count;
    answered(s, committed->message, committed->repeated);
    s->mail->core_since = 0;
    smtp_transaction_end(s, str_null());
}

void smtp_message_end(struct smtp_session *s)
{
    struct msg_committed committed;
    smtp_body_finish(&s->mail->body, smtp_conf(s)->smtp.hops);
    if (err_is(s->mail->body.refused)) {
        refuse(s, s->mail->body.refused);
        return;
    }
    struct err e = smtp_commit(s, &committed);
    if (e.code == ERR_BUS_BROKEN)
        cut_unanswered(s);
    else if (err_is(e))
        refuse(s, e);
    else if (committed.error != ERR_NONE)
        refuse(s, err_detail(committed.error, committed.text));
    else
        accept(s, &committed);
}

void smtp_message_bare(struct smtp_session *s)
{
    smtp_body_refuse(&s->mail->body, err_make(ERR_BARE_NEWLINE));
    smtp_reply_error(s, ERR_BARE_NEWLINE);
    log_refused(s, ERR_BARE_NEWLINE);
    smtp_tell_refused(s, verb(s), ERR_BARE_NEWLINE, str_null(), str_null());
    smtp_transaction_end(s, STR("BARE_NEWLINE"));
    smtp_close_after_reply(s, "bare-newline");
}

void smtp_message_cut(struct smtp_session *s)
{
    smtp_reply_error(s, ERR_TOO_SLOW_NOW);
    log_refused(s, ERR_TOO_SLOW_NOW);
    smtp_tell_refused(s, verb(s), ERR_TOO_SLOW_NOW, str_null(), str_null());
    smtp_transaction_end(s, STR("TOO_SLOW_NOW"));
    smtp_close_after_reply(s, "slowest");
}

void smtp_message_absurd(struct smtp_session *s)
{
    const struct smtp_body *body = &s->mail->body;
    if (body->raw < ABSURD_BEYOND || (body->raw - ABSURD_BEYOND) / 2 < body->limit)
        return;
    smtp_reply_error(s, ERR_MESSAGE_TOO_LARGE);
    log_refused(s, ERR_MESSAGE_TOO_LARGE);
    smtp_transaction_end(s, STR("MESSAGE_TOO_LARGE"));
    smtp_close_after_reply(s, "absurd-size");
}
