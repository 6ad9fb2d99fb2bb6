/*
 * RCPT (RFC 5321 4.1.1.3). Who is local, moved, a list or somebody else's is core's to say; the
 * edge checks form and limits. Source routes are read and ignored (appendix C).
 */
#include "edge/smtp/commands.h"
#include "edge/smtp/extensions.h"
#include "edge/smtp/inquiry.h"
#include "edge/smtp/pace.h"
#include "edge/smtp/reply.h"
#include "edge/smtp/resolve.h"

static struct err parameter(struct smtp_session *s, const struct esmtp_param *param,
                            struct smtp_arguments *args)
{
    bool utf8 = s->mail && s->mail->utf8;
    if (!smtp_parameter_is_taken(s, param->key))
        return err_make(ERR_PARAMETER_UNKNOWN);
    return rcpt_options_take(&args->options, param, utf8, args->arena);
}

struct err smtp_rcpt_parse(struct smtp_session *s, struct str text, struct smtp_arguments *args)
{
    struct path path;
    struct str rest;
    struct esmtp_params params;
    if (!str_starts_nocase(text, STR("TO:")))
        return err_detail(ERR_COMMAND_SYNTAX, STR("RCPT TO:<forward-path>"));
    struct err e = path_parse(str_from_index(text, 3), false, args->arena, &path, &rest);
    if (!err_is(e))
        e = esmtp_params_parse(rest, &params);
    for (uint32_t i = 0; !err_is(e) && i < params.n; i++)
        e = parameter(s, &params.at[i], args);
    if (err_is(e))
        return e;
    if (path.addr.utf8 && !(s->mail && s->mail->utf8))
        return err_make(ERR_ADDRESS_NEEDS_UTF8);
    args->recipient = path.addr;
    return err_none();
}

static bool over_limits(const struct smtp_session *s, struct str address)
{
    const struct smtp_mail *mail = s->mail;
    const struct conf *conf = smtp_conf(s);
    if (mail->recipient_count >= smtp_recipients_most(s))
        return true;
    return mail->domain_count >= conf->smtp.recipient_domains &&
           smtp_mail_new_domain(mail, address);
}

/* `path`: in addr_print form. */
/* With U-labels for who reads UTF-8, where they leave room for the rest of the reply. */
static void reply_moved(struct smtp_session *s, int code, struct str path)
{
    char shown_room[SMTP_REPLY_MAX / 2];
    struct buf shown = {.p = shown_room, .cap = sizeof shown_room, .max = sizeof shown_room};
    addr_text_display(&shown, path);
    if (s->mail->utf8 && !buf_over(&shown))
        path = buf_str(&shown);
    char room[SMTP_REPLY_MAX];
    struct buf bracketed = {.p = room, .cap = sizeof room, .max = sizeof room};
    buf_putc(&bracketed, '<');
    buf_put(&bracketed, path);
    buf_putc(&bracketed, '>');
    smtp_reply_moved(s, code, buf_str(&bracketed));
}

static void refused(struct smtp_session *s, struct str address, enum err_code error, int code,
                    struct str text)
{
    s->mail->any_refused = true;
    smtp_tell_refused(s, "RCPT", error, address, text);
    if (error == ERR_MAILBOX_UNKNOWN)
        smtp_pace_unknown(s);
    /* No UTF-8 to somebody who did not say he reads it: 551 becomes 550 (RFC 6531 3.7.4.1). */
    bool unreadable = !s->mail->utf8 && !str_is_ascii(text);
    if (unreadable && error == ERR_MAILBOX_MOVED)
        smtp_reply(s, 550, "5.1.6", STR("User has moved; the new path needs SMTPUTF8"));
    else if (error == ERR_MAILBOX_MOVED && text.n > 0)
        reply_moved(s, 551, text);
    else
        smtp_reply_error_text(s, error, code, unreadable ? str_null() : text);
}

/* S3 or S4 -> S4 */
static void accepted(struct smtp_session *s, const struct msg_address *asked,
                     const struct msg_answer *answer)
{
    if (!smtp_mail_add(s->mail, asked->text, asked->asked, answer->token)) {
        smtp_reply_error(s, ERR_OVER_LIMIT);
        return;
    }
    s->state = SMTP_RCPTS;
    if (answer->reply == 251 && (s->mail->utf8 || str_is_ascii(answer->text)))
        reply_moved(s, 251, answer->text);
    else if (s->mail->command != MAIL_MAIL && answer->reply == 250 && answer->text.n > 0)
        smtp_reply(s, 250, "2.1.5", answer->text);
    else
        smtp_reply(s, 250, "2.1.5", STR("Recipient OK"));
}

/* May yield. What the DNS says of the client; in front of core, so that it learns nothing here. */
static bool is_turned_away(struct smtp_session *s, struct str address)
{
    struct judgement judgement;
    smtp_inquiry_judge(s, address, &judgement);
    if (judgement.refusal == ERR_NONE)
        return false;
    log_event(s->base.edge->log, LOG_INFO, "refused_by_dns",
              log_str("client", edge_session_client(&s->base)), log_str("helo", smtp_helo(s)),
              log_str("from", s->mail->reverse_path), log_str("to", address),
              log_str("found", str_from(judgement.words)));
    refused(s, address, judgement.refusal, 0, str_from(judgement.text));
    return true;
}

void smtp_rcpt_run(struct smtp_session *s, struct smtp_arguments *args)
{
    char room[ADDR_PATH_MAX];
    struct buf printed = {.p = room, .cap = sizeof room, .max = sizeof room};
    struct msg_answer answer;
    addr_print(&printed, &args->recipient);
    struct str address = buf_copy(&printed, args->arena);
    struct msg_address asked = {.text = address,
                                .asked = rcpt_options_keep(&args->options, args->arena)};
    if (!address.p || !asked.asked.p || over_limits(s, address)) {
        refused(s, buf_str(&printed), ERR_TOO_MANY_RECIPIENTS, 0, str_null());
        return;
    }
    if (is_turned_away(s, address))
        return;
    struct err e = smtp_resolve(s, &asked, &answer);
    if (err_is(e))
        refused(s, address, e.code, 0, str_null());
    else if (answer.error != ERR_NONE)
        refused(s, address, answer.error, answer.reply, answer.text);
    else
        accepted(s, &asked, &answer);
}
