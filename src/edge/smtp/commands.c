/*
 * The order of judgement is that of RFC 5321 4.3.2: is there such a command (500), is it built
 * (502), may it stand here (503), is its argument well formed (501); only then does it take effect.
 * BDAT judges its place by itself, since its octets follow whatever we answer.
 */
#include "edge/smtp/commands.h"

#include "edge/smtp/extensions.h"
#include "edge/smtp/mail.h"
#include "edge/smtp/reply.h"
#include "edge/smtp/terminals.h"

static const struct smtp_command rows[] = {
    {.verb = "HELO",
     .states = SMTP_COMMANDING,
     .flags = SMTP_ONLY,
     .help = "HELO domain",
     .parse = smtp_hello_parse,
     .run = smtp_helo_run},
    {.verb = "EHLO",
     .states = SMTP_COMMANDING,
     .flags = SMTP_ONLY,
     .help = "EHLO domain",
     .parse = smtp_hello_parse,
     .run = smtp_ehlo_run},
    {.verb = "LHLO",
     .states = SMTP_COMMANDING,
     .flags = LMTP_ONLY,
     .help = "LHLO domain",
     .parse = smtp_hello_parse,
     .run = smtp_ehlo_run},
    {.verb = "STARTTLS",
     .states = SMTP_COMMANDING,
     .flags = SMTP_NO_ARGUMENT,
     .help = "STARTTLS",
     .run = smtp_starttls_run},
    {.verb = "AUTH",
     .states = SMTP_READY,
     .flags = SMTP_USERS_ONLY,
     .help = "AUTH mechanism [initial-response]",
     .parse = smtp_auth_parse,
     .run = smtp_auth_run},
    {.verb = "MAIL",
     .states = SMTP_READY,
     .flags = SMTP_LOGGED_IN,
     .help = "MAIL FROM:<reverse-path> [SIZE=n] [BODY=type] [SMTPUTF8]",
     .parse = smtp_mail_parse,
     .run = smtp_mail_run},
    {.verb = "RCPT",
     .states = SMTP_SENDER | SMTP_RCPTS,
     .help = "RCPT TO:<forward-path>",
     .parse = smtp_rcpt_parse,
     .run = smtp_rcpt_run},
    {.verb = "DATA",
     .states = SMTP_SENDER | SMTP_RCPTS,
     .flags = SMTP_NO_ARGUMENT,
     .help = "DATA",
     .run = smtp_data_run},
    {.verb = "BDAT",
     .states = SMTP_COMMANDING,
     .flags = SMTP_SWALLOWS,
     .help = "BDAT octets [LAST]",
     .parse = smtp_bdat_parse,
     .run = smtp_bdat_run},
    {.verb = "RSET",
     .states = SMTP_COMMANDING,
     .flags = SMTP_NO_ARGUMENT,
     .help = "RSET",
     .run = smtp_rset_run},
    {.verb = "NOOP",
     .states = SMTP_COMMANDING,
     .flags = SMTP_FREE_TEXT,
     .help = "NOOP [text]",
     .run = smtp_noop_run},
    {.verb = "VRFY",
     .states = SMTP_COMMANDING,
     .flags = SMTP_FREE_TEXT | SMTP_LOGGED_IN,
     .help = "VRFY text [SMTPUTF8]",
     .parse = smtp_verify_parse,
     .run = smtp_vrfy_run},
    {.verb = "EXPN",
     .states = SMTP_COMMANDING,
     .flags = SMTP_FREE_TEXT | SMTP_LOGGED_IN,
     .help = "EXPN text [SMTPUTF8]",
     .parse = smtp_verify_parse,
     .run = smtp_expn_run},
    {.verb = "ETRN",
     .states = SMTP_READY,
     .flags = SMTP_ONLY | SMTP_LOGGED_IN,
     .help = "ETRN domain, ETRN @domain or ETRN #route",
     .offered = smtp_etrn_is_served,
     .parse = smtp_etrn_parse,
     .run = smtp_etrn_run},
    {.verb = "ATRN",
     .states = SMTP_READY,
     .flags = SMTP_USERS_ONLY | SMTP_LOGGED_IN,
     .help = "ATRN [domain[,domain...]]",
     .offered = smtp_atrn_is_served,
     .parse = smtp_atrn_parse,
     .run = smtp_atrn_run},
    {.verb = "TURN",
     .states = SMTP_READY,
     .flags = SMTP_USERS_ONLY | SMTP_LOGGED_IN | SMTP_NO_ARGUMENT,
     .help = "TURN",
     .offered = smtp_turn_is_served,
     .run = smtp_turn_run},
    {.verb = "HELP",
     .states = SMTP_COMMANDING,
     .flags = SMTP_FREE_TEXT,
     .help = "HELP [command]",
     .run = smtp_help_run},
    {.verb = "QUIT",
     .states = SMTP_COMMANDING,
     .flags = SMTP_NO_ARGUMENT,
     .help = "QUIT",
     .run = smtp_quit_run},
    {.verb = "XCLIENT",
     .states = SMTP_GREETED | SMTP_READY,
     .flags = SMTP_ONLY | SMTP_STANDS_IN,
     .parse = smtp_xclient_parse,
     .run = smtp_xclient_run},
    {.verb = "XFORWARD",
     .states = SMTP_GREETED | SMTP_READY,
     .flags = SMTP_ONLY | SMTP_STANDS_IN,
     .parse = smtp_xforward_parse,
     .run = smtp_xforward_run},
    {.verb = "SEND",
     .states = SMTP_READY,
     .flags = SMTP_LOGGED_IN | SMTP_TO_TERMINALS,
     .help = "SEND FROM:<reverse-path> [SIZE=n] [BODY=type] [SMTPUTF8]",
     .offered = smtp_terminals_are_on,
     .parse = smtp_send_parse,
     .run = smtp_mail_run},
    {.verb = "SOML",
     .states = SMTP_READY,
     .flags = SMTP_LOGGED_IN | SMTP_TO_TERMINALS,
     .help = "SOML FROM:<reverse-path> [SIZE=n] [BODY=type] [SMTPUTF8]",
     .offered = smtp_terminals_are_on,
     .parse = smtp_soml_parse,
     .run = smtp_mail_run},
    {.verb = "SAML",
     .states = SMTP_READY,
     .flags = SMTP_LOGGED_IN | SMTP_TO_TERMINALS,
     .help = "SAML FROM:<reverse-path> [SIZE=n] [BODY=type] [SMTPUTF8]",
     .offered = smtp_terminals_are_on,
     .parse = smtp_saml_parse,
     .run = smtp_mail_run},
};

/* Browsers talked into speaking to us (catalogue S16); a proxy that we were not told of (S23). */
static const char *const foreign[] = {"GET",     "POST",    "HEAD",  "PUT",   "DELETE",
                                      "OPTIONS", "CONNECT", "PATCH", "TRACE", "PROXY"};

const struct smtp_command *smtp_command_row(size_t i)
{
    return i < sizeof rows / sizeof *rows ? &rows[i] : NULL;
}

static const struct smtp_command *find(const struct smtp_session *s, struct str verb)
{
    unsigned not_for = smtp_is_lmtp(s) ? SMTP_ONLY : LMTP_ONLY;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (str_eq_nocase(str_from(rows[i].verb), verb))
            return rows[i].flags & not_for ? NULL : &rows[i];
    }
    return NULL;
}

static bool is_foreign(struct str verb)
{
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++) {
        if (str_eq(str_from(foreign[i]), verb))
            return true;
    }
    return false;
}

static bool has_control(struct str text)
{
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return true;
    }
    return false;
}

static bool begins_transaction(const char *verb)
{
    for (enum mail_command command = 0; command < MAIL_COMMANDS; command++)
        if (str_eq(mail_command_word(command), str_from(verb)))
            return true;
    return false;
}

struct str smtp_order_missing(const struct smtp_session *s, const char *verb)
{
    if (s->state == SMTP_GREETED)
        return smtp_is_lmtp(s) ? STR("LHLO first") : STR("EHLO or HELO first");
    if (s->state == SMTP_READY)
        return STR("MAIL first");
    if (s->state == SMTP_CHUNKED)
        return STR("the last BDAT or RSET first");
    if (strcmp(verb, "AUTH") == 0 || strcmp(verb, "XCLIENT") == 0 ||
        strcmp(verb, "XFORWARD") == 0 || strcmp(verb, "ETRN") == 0 || strcmp(verb, "ATRN") == 0 ||
        strcmp(verb, "TURN") == 0)
        return STR("not within a transaction");
    if (begins_transaction(verb))
        return s->mail->command == MAIL_MAIL ? STR("MAIL was given already")
                                             : STR("a transaction has begun already");
    return s->state == SMTP_SENDER ? STR("RCPT first") : STR("BINARYMIME comes by BDAT");
}

static enum err_code judge(const struct smtp_session *s, const struct smtp_command *row,
                           struct str text)
{
    if (!row)
        return ERR_COMMAND_UNKNOWN;
    if (row->flags & SMTP_NOT_BUILT || (row->offered && !row->offered(s)) ||
        (row->flags & SMTP_USERS_ONLY && (!smtp_is_submission(s) || smtp_is_local(s))))
        return ERR_COMMAND_NOT_BUILT;
    if ((row->flags & SMTP_STANDS_IN && !smtp_may_stand_in(s)) ||
        (row->flags & SMTP_TO_TERMINALS && !smtp_may_use_terminals(s)))
        return ERR_NOT_ALLOWED;
    if (row->flags & SMTP_FREE_TEXT && has_control(text))
        return ERR_COMMAND_UNKNOWN;
    if (!(row->states & s->state))
        return ERR_COMMAND_ORDER;
    if (row->flags & SMTP_LOGGED_IN && smtp_is_submission(s) && !smtp_is_local(s) &&
        !s->base.login.handle)
        return ERR_LOGIN_NEEDED;
    if (row->flags & SMTP_NO_ARGUMENT && text.n > 0)
        return ERR_COMMAND_SYNTAX;
    return ERR_NONE;
}

static void refuse(struct smtp_session *s, const struct smtp_command *row, struct err why)
{
    /* RFC 6531 3.5 wants 550 at MAIL where RCPT has 553. */
    bool sender = why.code == ERR_ADDRESS_NEEDS_UTF8 && s->state == SMTP_READY;
    smtp_reply_error_text(s, why.code, sender ? 550 : 0, why.detail);
    if (row)
        smtp_tell_refused(s, row->verb, why.code, str_null(), why.detail);
    /* What follows a BDAT that we could not read is unknown. */
    if (row && row->flags & SMTP_SWALLOWS)
        smtp_close_after_reply(s, "chunk-syntax");
}

static void run(struct smtp_session *s, const struct smtp_command *row, struct str text)
{
    struct smtp_shared *shared = s->base.edge->smtp;
    struct smtp_arguments args = {.text = text};
    args.arena = s->mail ? &s->mail->arena : &shared->scratch;
    arena_reset(&shared->scratch);
    struct err e = row->parse ? row->parse(s, text, &args) : err_none();
    if (err_is(e))
        refuse(s, row, e);
    else
        row->run(s, &args);
}

static bool may_go_on(struct smtp_session *s)
{
    if (s->commands++ < smtp_conf(s)->smtp.commands)
        return true;
    smtp_reply_error(s, ERR_TOO_MANY_COMMANDS);
    smtp_close_after_reply(s, "commands");
    return false;
}

void smtp_command_line(struct smtp_session *s, struct str line)
{
    struct str text = line;
    struct str verb = str_cut(&text, ' ');
    text = str_trim(text);
    /* White space in front of the CR LF is tolerated (RFC 5321 4.1.1). */
    verb = str_trim(verb);
    if (!may_go_on(s))
        return;
    if (is_foreign(verb)) {
        smtp_reply_error(s, ERR_NOT_SMTP);
        smtp_close_after_reply(s, "not-smtp");
        return;
    }
    const struct smtp_command *row = find(s, verb);
    enum err_code error = judge(s, row, text);
    struct str why = error == ERR_COMMAND_ORDER ? smtp_order_missing(s, row->verb) : str_null();
    bool is_told = row && row->flags & (SMTP_SWALLOWS | SMTP_STANDS_IN);
    if (error != ERR_NONE)
        refuse(s, is_told ? row : NULL, err_detail(error, why));
    else
        run(s, row, text);
}

void smtp_tell_refused(struct smtp_session *s, const char *verb, enum err_code error,
                       struct str recipient, struct str text)
{
    struct msg_refused refused = {
        .client = edge_session_client(&s->base),
        .helo = smtp_helo(s),
        .reverse_path = s->mail ? s->mail->reverse_path : str_null(),
        .recipient = recipient,
        .error = (uint16_t)error,
        .command = str_from(verb),
        .text = text,
    };
    edge_refused(s->base.edge, &refused);
}
