/*
 * The commands: one row each. RFC 1939 leaves the judgement's order open; here it is: is there such
 * a command, may it stand here, are its arguments whole.
 */
#include "edge/pop3/commands.h"

#include "edge/pop3/reader.h"

static const struct pop3_command rows[] = {
    {"CAPA", POP3_COMMANDING, 0, 0, pop3_capa},
    {"USER", POP3_AUTHORIZATION, 1, POP3_TEXT, pop3_user},
    {"PASS", POP3_AUTHORIZATION, 1, POP3_TEXT, pop3_pass},
    {"AUTH", POP3_AUTHORIZATION, 1, POP3_TEXT, pop3_auth},
    {"STLS", POP3_AUTHORIZATION, 0, 0, pop3_stls},
    {"UTF8", POP3_AUTHORIZATION, 0, 0, pop3_utf8},
    {"STAT", POP3_TRANSACTION, 0, 0, pop3_stat},
    {"LIST", POP3_TRANSACTION, 0, 1, pop3_list},
    {"UIDL", POP3_TRANSACTION, 0, 1, pop3_uidl},
    {"RETR", POP3_TRANSACTION, 1, 1, pop3_retr},
    {"TOP", POP3_TRANSACTION, 2, 2, pop3_top},
    {"DELE", POP3_TRANSACTION, 1, 1, pop3_dele},
    {"RSET", POP3_TRANSACTION, 0, 0, pop3_rset},
    {"NOOP", POP3_TRANSACTION, 0, 0, pop3_noop},
    {"QUIT", POP3_COMMANDING, 0, 0, pop3_quit},
};

/* Up to two numbers; false: one is none, or there are more. */
static bool numbers_parse(struct str text, struct pop3_arguments *args)
{
    while (text.n) {
        struct str word = str_cut(&text, ' ');
        if (word.n == 0)
            continue;
        if (args->count == POP3_NUMBERS_MAX)
            return false;
        uint64_t number;
        if (!str_to_u64(word, &number) || number > UINT32_MAX)
            return false;
        args->number[args->count++] = (uint32_t)number;
    }
    return true;
}

static const struct pop3_command *find(struct str verb)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (str_eq_nocase(str_from(rows[i].verb), verb))
            return &rows[i];
    return NULL;
}

/* A log-in is void with the core that gave it: what took it back since (a new password) is told to
 * the sessions of the next core only. QUIT has its own words for marks. */
static bool is_void(struct pop3_session *s, const struct pop3_command *row)
{
    return s->state == POP3_TRANSACTION && row->run != pop3_quit && !pop3_core_is_ours(s);
}

void pop3_command_line(struct pop3_session *s, struct str line)
{
    struct str text = line;
    struct str verb = str_cut(&text, ' ');
    const struct pop3_command *row = find(verb);
    struct pop3_arguments args = {.text = text};
    if (!row) {
        pop3_err(s, NULL, STR("Command not recognised"));
        return;
    }
    if (!(row->states & s->state)) {
        pop3_err(s, NULL, STR("That command has no place here"));
        return;
    }
    bool whole = row->most == POP3_TEXT ? text.n > 0
                                        : numbers_parse(text, &args) && args.count >= row->least &&
                                              args.count <= row->most;
    if (!whole)
        pop3_err(s, NULL, STR("Syntax error in arguments"));
    else if (!is_void(s, row))
        row->run(s, &args);
}

/* --- Commands of either state --- */

/* Also to who has logged in (RFC 5034 3). */
static void say_mechanisms(struct pop3_session *s)
{
    char room[POP3_LINE_MAX];
    struct buf names = {.p = room, .cap = sizeof(room), .max = sizeof(room)};
    edge_login_mechanisms_print(&s->base, &names);
    if (names.n > 0)
        pop3_line(s, "SASL%.*s", STR_FMT(buf_str(&names)));
}

void pop3_capa(struct pop3_session *s, const struct pop3_arguments *args)
{
    (void)args;
    pop3_ok(s, STR("Capability list follows"));
    pop3_line(s, "TOP");
    pop3_line(s, "UIDL");
    if (edge_login_offers_passwords(&s->base))
        pop3_line(s, "USER");
    say_mechanisms(s);
    if (s->state == POP3_AUTHORIZATION && pop3_stls_is_offered(s))
        pop3_line(s, "STLS");
    pop3_line(s, "PIPELINING");
    pop3_line(s, "RESP-CODES");
    pop3_line(s, "AUTH-RESP-CODE");
    pop3_line(s, "EXPIRE NEVER");
    pop3_line(s, "UTF8 USER");
    pop3_line(s, "IMPLEMENTATION Veredus");
    stream_put(&s->stream, STR(".\r\n"));
}

/* What was stored is served as it is in either mode: doc/architecture.md 6 says why. */
void pop3_utf8(struct pop3_session *s, const struct pop3_arguments *args)
{
    (void)args;
    pop3_ok(s, STR("UTF-8 it is"));
}

void pop3_noop(struct pop3_session *s, const struct pop3_arguments *args)
{
    (void)args;
    pop3_ok(s, str_null());
}

/* --- Replies --- */

void pop3_ok(struct pop3_session *s, struct str text)
{
    stream_put(&s->stream, STR("+OK"));
    if (text.n) {
        stream_put(&s->stream, STR(" "));
        stream_put(&s->stream, text);
    }
    stream_put(&s->stream, STR("\r\n"));
}

void pop3_err(struct pop3_session *s, const char *code, struct str text)
{
    s->errors++;
    stream_put(&s->stream, STR("-ERR "));
    if (code) {
        stream_put(&s->stream, STR("["));
        stream_put(&s->stream, str_from(code));
        stream_put(&s->stream, STR("] "));
    }
    stream_put(&s->stream, text);
    stream_put(&s->stream, STR("\r\n"));
}

/* RFC 2449 8, RFC 3206; none where the command itself was wrong. */
static const char *response_code(enum err_code error, enum err_retry retry)
{
    static const struct {
        enum err_code error;
        const char *code;
    } codes[] = {
        {ERR_LOGIN_FAILED, "AUTH"},      {ERR_LOGIN_DISABLED, "AUTH"},
        {ERR_LOGIN_SERVICE_OFF, "AUTH"}, {ERR_ENCRYPTION_NEEDED, "AUTH"},
        {ERR_SASL_MECHANISM, NULL},      {ERR_SASL_SYNTAX, NULL},
        {ERR_SASL_CANCELLED, NULL},      {ERR_SASL_NO_INITIAL, NULL},
    };
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
        if (codes[i].error == error)
            return codes[i].code;
    return retry == LATER ? "SYS/TEMP" : "SYS/PERM";
}

void pop3_error(struct pop3_session *s, enum err_code error)
{
    const struct err_row *row = err_row(error);
    pop3_err(s, response_code(error, row->retry), str_from(row->text));
}

void pop3_line(struct pop3_session *s, const char *format, ...)
{
    char room[POP3_LINE_MAX];
    struct buf line = {.p = room, .cap = sizeof(room), .max = sizeof(room)};
    va_list args;
    va_start(args, format);
    buf_vprintf(&line, format, args);
    va_end(args);
    buf_put(&line, STR("\r\n"));
    stream_put(&s->stream, buf_str(&line));
}
