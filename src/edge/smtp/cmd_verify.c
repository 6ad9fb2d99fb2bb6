/*
 * VRFY and EXPN (RFC 5321 3.5). Who may not ask gets the same answer for every name, at once and
 * without core, so that neither words nor time tell whether there is such a user (catalogue S22).
 */
#include "edge/smtp/commands.h"
#include "edge/smtp/extensions.h"
#include "edge/smtp/pace.h"
#include "edge/smtp/reply.h"

#define CANNOT_VERIFY "Cannot VRFY user, but will accept message and attempt delivery"

struct err smtp_verify_parse(struct smtp_session *s, struct str text, struct smtp_arguments *args)
{
    (void)s;
    args->verify.text = text;
    if (str_ends_nocase(text, STR(" SMTPUTF8"))) {
        args->verify.text = str_trim(str_head(text, text.n - 9));
        args->verify.utf8 = true;
    }
    if (args->verify.text.n == 0)
        return err_detail(ERR_COMMAND_SYNTAX, STR("a name is expected"));
    if (str_starts(args->verify.text, STR("<")) && !str_ends(args->verify.text, STR(">")))
        return err_detail(ERR_COMMAND_SYNTAX, STR("the path has no end"));
    return str_is_utf8(text) ? err_none() : err_make(ERR_COMMAND_SYNTAX);
}

static bool may_ask(const struct smtp_session *s)
{
    const struct conf *conf = smtp_conf(s);
    return conf->smtp.verify == CONF_VERIFY_OPEN ||
           conf_networks_hold(&conf->smtp.verify_from, edge_session_client(&s->base));
}

/* "Name <address>" with U-labels; as it was where those are too long for a reply. */
static struct str line_display(struct str line, struct arena *arena)
{
    struct buf buf = BUF_INIT(SMTP_REPLY_MAX);
    if (!str_ends(line, STR(">")))
        return line;
    addr_text_display(&buf, str_head(line, line.n - 1));
    buf_putc(&buf, '>');
    struct str shown = buf_copy(&buf, arena);
    buf_done(&buf);
    return shown.p ? shown : line;
}

static void lines_display(struct msg_verified *verified, struct arena *arena)
{
    for (size_t i = 0; i < verified->lines_count; i++)
        verified->lines[i].text = line_display(verified->lines[i].text, arena);
}

static bool all_ascii(const struct msg_verified *verified)
{
    for (size_t i = 0; i < verified->lines_count; i++) {
        if (!str_is_ascii(verified->lines[i].text))
            return false;
    }
    return true;
}

static void reply_lines(struct smtp_session *s, const struct msg_verified *verified, int code,
                        const char *enhanced)
{
    for (size_t i = 0; i < verified->lines_count; i++)
        smtp_reply_line(s, code, enhanced, i + 1 < verified->lines_count, verified->lines[i].text);
}

static void reply_found(struct smtp_session *s, const struct msg_verified *verified)
{
    int code = verified->reply >= 250 && verified->reply <= 252 ? verified->reply : 250;
    if (code == 251 && verified->lines_count == 1)
        smtp_reply_moved(s, code, verified->lines[0].text);
    else if (verified->lines_count > 0)
        reply_lines(s, verified, code, "2.1.5");
    else
        smtp_reply(s, code, "2.1.5", code == 252 ? STR(CANNOT_VERIFY) : STR("OK"));
}

static void reply_not_found(struct smtp_session *s, const struct msg_verified *verified)
{
    const struct err_row *row = err_row(verified->error);
    if (verified->error == ERR_MAILBOX_UNKNOWN)
        smtp_pace_unknown(s);
    if (verified->lines_count == 0) {
        smtp_reply_error_text(s, verified->error, verified->reply, str_null());
        return;
    }
    if (verified->error == ERR_MAILBOX_MOVED && verified->lines_count == 1) {
        smtp_reply_moved(s, 551, verified->lines[0].text);
        return;
    }
    int code = verified->reply >= 400 && verified->reply <= 599 ? verified->reply : row->smtp;
    smtp_reply_line(s, code, row->enhanced, true, str_from(row->text));
    reply_lines(s, verified, code, row->enhanced);
}

/* May yield. */
static void ask(struct smtp_session *s, const struct smtp_arguments *args, bool expand)
{
    struct edge *edge = s->base.edge;
    struct arena *arena = edge_scratch_take(edge);
    struct msg answer, msg = {.kind = MSG_verify,
                              .verify = {.expand = expand,
                                         .client = edge_session_client(&s->base),
                                         .text = args->verify.text}};
    struct err e = arena ? edge_ask(edge, &msg, arena, &answer) : err_make(ERR_NO_MEMORY);
    if (!err_is(e) && answer.kind == MSG_verified && args->verify.utf8)
        lines_display(&answer.verified, arena);
    if (err_is(e) || answer.kind != MSG_verified)
        smtp_reply_error(s, err_is(e) ? e.code : ERR_TRY_LATER);
    else if (!args->verify.utf8 && !all_ascii(&answer.verified)) /* RFC 6531 3.7.4.2 */
        smtp_reply(s, expand ? 550 : 252, expand ? "5.6.8" : "2.6.8",
                   STR("The answer needs SMTPUTF8"));
    else if (answer.verified.error == ERR_NONE)
        reply_found(s, &answer.verified);
    else
        reply_not_found(s, &answer.verified);
    if (arena)
        edge_scratch_give(edge, arena);
}

void smtp_vrfy_run(struct smtp_session *s, struct smtp_arguments *args)
{
    if (!smtp_verify_is_on(s))
        smtp_reply_error(s, ERR_COMMAND_NOT_BUILT);
    else if (!may_ask(s))
        smtp_reply(s, 252, "2.1.5", STR(CANNOT_VERIFY));
    else
        ask(s, args, false);
}

void smtp_expn_run(struct smtp_session *s, struct smtp_arguments *args)
{
    if (!smtp_verify_is_on(s))
        smtp_reply_error(s, ERR_COMMAND_NOT_BUILT);
    else if (!may_ask(s))
        smtp_reply_error(s, ERR_ACCESS_DENIED);
    else
        ask(s, args, true);
}
