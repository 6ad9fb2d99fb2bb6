/*
 * SEND, SOML, SAML (RFC 821 3.4, RFC 5321 F.6): MAIL by another name, for the terminals of users of
 * this machine. Who is on is core's to say, at RCPT; what a terminal is to show is made here, where
 * strangers' octets are read.
 */
#include "edge/smtp/terminals.h"

#include "edge/smtp/commands.h"
#include "edge/smtp/extensions.h"

bool smtp_terminals_are_on(const struct smtp_session *s)
{
    return smtp_conf(s)->terminal.commands && !smtp_is_lmtp(s);
}

bool smtp_may_use_terminals(const struct smtp_session *s)
{
    return smtp_terminals_are_on(s) &&
           (smtp_is_trusted(s) ||
            conf_networks_hold(&smtp_conf(s)->terminal.from, edge_session_client(&s->base)));
}

static struct err parse(struct smtp_session *s, struct str text, struct smtp_arguments *args,
                        enum mail_command command)
{
    struct err e = smtp_mail_parse(s, text, args);
    args->mail.command = command;
    if (err_is(e))
        return e;
    /* What is asked of the queue and of reports is about mail, and SEND makes none. */
    struct str asked = mail_options_keep(&args->mail.options, args->arena);
    return err_make(command == MAIL_SEND && asked.n ? ERR_PARAMETER_UNKNOWN : ERR_NONE);
}

struct err smtp_send_parse(struct smtp_session *s, struct str text, struct smtp_arguments *args)
{
    return parse(s, text, args, MAIL_SEND);
}

struct err smtp_soml_parse(struct smtp_session *s, struct str text, struct smtp_arguments *args)
{
    return parse(s, text, args, MAIL_SOML);
}

struct err smtp_saml_parse(struct smtp_session *s, struct str text, struct smtp_arguments *args)
{
    return parse(s, text, args, MAIL_SAML);
}

bool smtp_screen_begin(struct smtp_mail *mail)
{
    mail->head = arena_new(&mail->arena, struct buf);
    if (!mail->head)
        return false;
    *mail->head = buf_in(&mail->arena, SCREEN_HEAD);
    smtp_body_look(&mail->body, mail->head);
    return true;
}

struct err smtp_screen_make(struct smtp_session *s, struct str *shown_r)
{
    struct smtp_mail *mail = s->mail;
    struct edge *edge = s->base.edge;
    struct arena *arena = edge_scratch_take(edge);
    struct summary_view view;
    if (!arena)
        return err_make(ERR_NO_MEMORY);
    struct buf text = buf_in(&mail->arena, SCREEN_OCTETS);
    struct err e = summary_read_back(&mail->body.summary, arena, &view);
    if (!err_is(e))
        screen_put_message(&text, &view, buf_str(mail->head), arena);
    edge_scratch_give(edge, arena);
    *shown_r = buf_built(&text);
    return !err_is(e) && !shown_r->p ? err_make(ERR_OVER_LIMIT) : e;
}
