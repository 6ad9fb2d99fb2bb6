/*
 * RSET, NOOP, HELP, QUIT: the commands that need nobody.
 */
#include "edge/smtp/commands.h"
#include "edge/smtp/reply.h"
#include "edge/smtp/terminals.h"

void smtp_rset_run(struct smtp_session *s, struct smtp_arguments *args)
{
    (void)args;
    smtp_transaction_end(s, str_null());
    smtp_reply(s, 250, "2.0.0", STR("Flushed"));
}

void smtp_noop_run(struct smtp_session *s, struct smtp_arguments *args)
{
    (void)args;
    smtp_reply(s, 250, "2.0.0", STR("OK"));
}

void smtp_quit_run(struct smtp_session *s, struct smtp_arguments *args)
{
    char room[SMTP_REPLY_MAX];
    struct buf line = {.p = room, .cap = sizeof room, .max = sizeof room};
    (void)args;
    buf_put(&line, smtp_hostname(s));
    buf_put(&line, STR(" closing connection"));
    smtp_transaction_end(s, str_null());
    smtp_reply(s, 221, "2.0.0", buf_str(&line));
    smtp_close_after_reply(s, "quit");
}

static const struct smtp_command *known(const struct smtp_session *s, struct str verb)
{
    unsigned not_for = (smtp_is_lmtp(s) ? SMTP_ONLY : LMTP_ONLY) |
                       (smtp_is_submission(s) ? 0 : SMTP_USERS_ONLY) |
                       (smtp_may_use_terminals(s) ? 0 : SMTP_TO_TERMINALS);
    const struct smtp_command *row;
    for (size_t i = 0; (row = smtp_command_row(i)); i++) {
        if (row->help && !(row->flags & not_for) && (!row->offered || row->offered(s)) &&
            str_eq_nocase(str_from(row->verb), verb))
            return row;
    }
    return NULL;
}

static void help_list(struct smtp_session *s)
{
    char room[SMTP_REPLY_MAX];
    struct buf line = {.p = room, .cap = sizeof room, .max = sizeof room};
    const struct smtp_command *row;
    buf_put(&line, STR("Commands:"));
    for (size_t i = 0; (row = smtp_command_row(i)); i++) {
        if (!known(s, str_from(row->verb)))
            continue;
        buf_putc(&line, ' ');
        buf_put(&line, str_from(row->verb));
    }
    smtp_reply_line(s, 214, "2.0.0", true, buf_str(&line));
    smtp_reply(s, 214, "2.0.0", STR("HELP command tells its syntax"));
}

void smtp_help_run(struct smtp_session *s, struct smtp_arguments *args)
{
    const struct smtp_command *row = known(s, args->text);
    if (args->text.n == 0)
        help_list(s);
    else if (row)
        smtp_reply(s, 214, "2.0.0", str_from(row->help));
    else
        smtp_reply(s, 504, "5.5.4", STR("No such command; HELP lists them"));
}
