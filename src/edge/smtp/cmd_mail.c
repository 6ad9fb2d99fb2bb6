/*
 * MAIL (RFC 5321 4.1.1.2), and what SEND, SOML and SAML do as it does; its parameters: SIZE (RFC
 * 1870), BODY (6152, 3030), SMTPUTF8 (6531), AUTH (4954 5: read and ignored; who logged in is the
 * author, RFC 6409 4.2), and what a sender asks for (format/mail_options.h), which is core's to do.
 * Core is not asked: it hears of the sender with the first recipient, so that MAIL costs nothing. A
 * submission is another matter: its user is to hear at once that he may not send as this.
 */
#include "edge/smtp/commands.h"
#include "edge/smtp/extensions.h"
#include "edge/smtp/inquiry.h"
#include "edge/smtp/pace.h"
#include "edge/smtp/reply.h"
#include "format/smtp_words.h"

static struct err body_value(struct str value, struct smtp_mail_arguments *mail)
{
    static const struct {
        struct str word;
        enum smtp_body_type type;
    } types[] = {
        {STR_INIT("7BIT"), SMTP_7BIT},
        {STR_INIT("8BITMIME"), SMTP_8BITMIME},
        {STR_INIT("BINARYMIME"), SMTP_BINARYMIME},
    };
    if (value.n == 0)
        return err_make(ERR_PARAMETER_VALUE);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (str_eq_nocase(types[i].word, value)) {
            mail->body_type = types[i].type;
            return err_none();
        }
    }
    return err_make(ERR_PARAMETER_NOT_BUILT);
}

static struct err auth_value(struct str value, struct arena *arena)
{
    struct str plain;
    struct addr addr;
    if (str_eq(value, STR("<>")))
        return err_none();
    if (value.n == 0 || err_is(xtext_parse(value, arena, &plain)) ||
        err_is(addr_parse(plain, arena, &addr)))
        return err_make(ERR_PARAMETER_VALUE);
    return err_none();
}

static int64_t clock_now(const struct smtp_session *s)
{
    return world_wall(s->base.edge->world) / US_PER_SECOND;
}

/* RFC 4865 4.2: not beyond what was announced. */
static struct err options_check(const struct smtp_session *s, const struct mail_options *options)
{
    int64_t most = smtp_conf(s)->submission.hold_most / NS_PER_SECOND;
    if (options->hold_until - clock_now(s) > most)
        return err_detail(ERR_PARAMETER_VALUE, STR("longer than messages are held here"));
    return mail_options_check(options);
}

static struct err option(struct smtp_session *s, const struct esmtp_param *param,
                         struct smtp_arguments *args)
{
    if (!smtp_parameter_is_taken(s, param->key))
        return err_make(ERR_PARAMETER_UNKNOWN);
    return mail_options_take(&args->mail.options, param, clock_now(s), args->arena);
}

static struct err parameter(struct smtp_session *s, const struct esmtp_param *param,
                            struct smtp_arguments *args)
{
    if (str_eq_nocase(param->key, STR("SIZE"))) {
        struct err e = esmtp_size_parse(param->value, &args->mail.size);
        bool too_large = !err_is(e) && args->mail.size > smtp_conf(s)->smtp.message_size;
        return too_large ? err_make(ERR_MESSAGE_TOO_LARGE) : e;
    }
    if (str_eq_nocase(param->key, STR("BODY")))
        return body_value(param->value, &args->mail);
    if (str_eq_nocase(param->key, STR("SMTPUTF8"))) {
        args->mail.utf8 = true;
        return param->value.p ? err_make(ERR_PARAMETER_VALUE) : err_none();
    }
    if (str_eq_nocase(param->key, STR("AUTH")))
        return auth_value(param->value, args->arena);
    return option(s, param, args);
}

struct err smtp_mail_parse(struct smtp_session *s, struct str text, struct smtp_arguments *args)
{
    struct path path;
    struct str rest;
    struct esmtp_params params;
    if (!str_starts_nocase(text, STR("FROM:")))
        return err_detail(ERR_COMMAND_SYNTAX, STR("FROM:<reverse-path>"));
    struct err e = path_parse(str_from_index(text, 5), true, args->arena, &path, &rest);
    if (!err_is(e))
        e = esmtp_params_parse(rest, &params);
    for (uint32_t i = 0; !err_is(e) && i < params.n; i++)
        e = parameter(s, &params.at[i], args);
    if (!err_is(e))
        e = options_check(s, &args->mail.options);
    if (err_is(e))
        return e;
    if (path.addr.utf8 && !args->mail.utf8)
        return err_make(ERR_ADDRESS_NEEDS_UTF8);
    args->mail.sender = path.addr;
    return err_none();
}

static bool within_limit(struct smtp_session *s)
{
    if (s->transactions++ < smtp_conf(s)->smtp.messages)
        return true;
    smtp_reply_error(s, ERR_TOO_MANY_MESSAGES);
    smtp_close_after_reply(s, "messages");
    return false;
}

static struct smtp_mail *mail_begin(struct smtp_session *s, const struct smtp_mail_arguments *args)
{
    struct edge *edge = s->base.edge;
    struct smtp_mail *mail = smtp_mail_take(edge->smtp);
    if (!mail)
        return NULL;
    char room[ADDR_PATH_MAX];
    struct buf path = {.p = room, .cap = sizeof room, .max = sizeof room};
    addr_print(&path, &args->sender);
    mail->number = ++edge->transactions;
    mail->command = args->command;
    mail->reverse_path = buf_copy(&path, &mail->arena);
    mail->utf8 = args->utf8;
    mail->body_type = args->body_type;
    mail->size = args->size;
    mail->asked = mail_options_keep(&args->options, &mail->arena);
    if (arena_over(&mail->arena))
        smtp_mail_give(edge->smtp, &mail);
    return mail;
}

/* May yield. May who logged in send as this? A program of this host is known to core from here on.
 */
static struct err sender_judge(struct smtp_session *s)
{
    struct smtp_mail *mail = s->mail;
    struct err known =
        smtp_is_local(s) && !s->base.login.handle ? edge_login_local(&s->base) : err_none();
    if (err_is(known))
        return known;
    struct msg answer,
        msg = {
            .kind = MSG_sender,
            .sender = {.login = s->base.login.handle, .reverse_path = mail->reverse_path},
        };
    struct err e = edge_ask(s->base.edge, &msg, &mail->arena, &answer);
    if (err_is(e))
        return e;
    if (answer.kind != MSG_sender_judged)
        return err_make(ERR_TRY_LATER);
    return err_detail((enum err_code)answer.sender_judged.error, answer.sender_judged.text);
}

static void refused(struct smtp_session *s, struct err why)
{
    smtp_tell_refused(s, mail_command_word(s->mail->command).p, why.code, str_null(), why.detail);
    smtp_reply_error_text(s, why.code, 0, why.detail);
    smtp_mail_give(s->base.edge->smtp, &s->mail);
}

static bool not_too_fast(struct smtp_session *s, enum mail_command command)
{
    if (smtp_pace_message(s))
        return true;
    smtp_tell_refused(s, mail_command_word(command).p, ERR_MESSAGES_TOO_FAST, str_null(),
                      str_null());
    smtp_reply_error(s, ERR_MESSAGES_TOO_FAST);
    return false;
}

void smtp_mail_run(struct smtp_session *s, struct smtp_arguments *args)
{
    if (!within_limit(s) || !not_too_fast(s, args->mail.command))
        return;
    s->mail = mail_begin(s, &args->mail);
    if (!s->mail) {
        smtp_reply_error(s, ERR_NO_MEMORY);
        return;
    }
    struct err e = smtp_is_submission(s) ? sender_judge(s) : err_none();
    if (err_is(e)) {
        refused(s, e);
        return;
    }
    s->state = SMTP_SENDER; /* S2 -> S3 */
    smtp_inquiry_sender(s, args->mail.sender.domain);
    smtp_reply(s, 250, "2.1.0", STR("Sender OK"));
}
