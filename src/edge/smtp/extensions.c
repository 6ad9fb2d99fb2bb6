#include "edge/smtp/extensions.h"

#include "edge/smtp/reply.h"
#include "edge/smtp/terminals.h"
#include "format/date.h"
#include "format/xclient.h"

struct extension {
    const char *keyword;
    const char *rfc;
    const char *parameters; /* of MAIL and RCPT (format/mail_options.h), a space between them */
    void (*values)(const struct smtp_session *s, struct buf *to);
    bool (*offered)(const struct smtp_session *s);
};

static void size_values(const struct smtp_session *s, struct buf *to)
{
    buf_putc(to, ' ');
    buf_put_u64(to, smtp_conf(s)->smtp.message_size);
}

static void limits_values(const struct smtp_session *s, struct buf *to)
{
    const struct conf *conf = smtp_conf(s);
    buf_put(to, STR(" RCPTMAX="));
    buf_put_u64(to, smtp_recipients_most(s));
    buf_put(to, STR(" MAILMAX="));
    buf_put_u64(to, conf->smtp.messages);
    buf_put(to, STR(" RCPTDOMAINMAX="));
    buf_put_u64(to, conf->smtp.recipient_domains);
}

static void auth_values(const struct smtp_session *s, struct buf *to)
{
    edge_login_mechanisms_print(&s->base, to);
}

/* To who has logged in, too: what was offered before can be compared with it (RFC 4954 4). */
static bool has_mechanisms(const struct smtp_session *s)
{
    char room[SMTP_REPLY_MAX];
    struct buf names = {.p = room, .cap = sizeof room, .max = sizeof room};
    if (smtp_is_submission(s))
        edge_login_mechanisms_print(&s->base, &names);
    return names.n > 0;
}

bool smtp_verify_is_on(const struct smtp_session *s)
{
    return smtp_conf(s)->smtp.verify != CONF_VERIFY_OFF;
}

/* What was believed once is not believed again: behind XCLIENT another one speaks. */
bool smtp_may_stand_in(const struct smtp_session *s)
{
    return s->base.listen == LISTEN_SMTP && !s->stands_in &&
           conf_networks_hold(&smtp_conf(s)->smtp.xclient_from, edge_session_client(&s->base));
}

static void xclient_values(const struct smtp_session *s, struct buf *to)
{
    (void)s;
    xclient_names_print(false, to);
}

static void xforward_values(const struct smtp_session *s, struct buf *to)
{
    (void)s;
    xclient_names_print(true, to);
}

/* What is asked of the queue is asked in vain where nothing is sent. */
static bool sends(const struct smtp_session *s)
{
    return smtp_conf(s)->sending.processes > 0;
}

/* RFC 2033 has no queue behind it: who gives us mail by LMTP has one, and reports itself. */
static bool reports(const struct smtp_session *s)
{
    return sends(s) && !smtp_is_lmtp(s);
}

/* RFC 4865 4.2: nowhere else. */
static bool holds(const struct smtp_session *s)
{
    return sends(s) && smtp_is_submission(s) && smtp_conf(s)->submission.hold_most > 0;
}

bool smtp_is_trusted(const struct smtp_session *s)
{
    return smtp_is_submission(s) ||
           conf_networks_hold(&smtp_conf(s)->smtp.relay_from, edge_session_client(&s->base));
}

/* Whose word is taken about what goes first, and by when. MT-PRIORITY names no policy, which is the
 * default one (RFC 6710 9). */
static bool hurries(const struct smtp_session *s)
{
    return reports(s) && smtp_is_trusted(s);
}

static void hold_values(const struct smtp_session *s, struct buf *to)
{
    int64_t most = smtp_conf(s)->submission.hold_most / NS_PER_SECOND;
    buf_putc(to, ' ');
    buf_put_u64(to, (uint64_t)most);
    buf_putc(to, ' ');
    date_print_rfc3339(to, world_wall(s->base.edge->world) / US_PER_SECOND + most);
}

/* RFC 8689 2: in TLS. What comes by a socket of this host was on no wire. */
static bool keeps_tls(const struct smtp_session *s)
{
    return sends(s) && (edge_session_is_encrypted(&s->base) || smtp_is_local(s));
}

static const struct extension rows[] = {
    {.keyword = "PIPELINING", .rfc = "2920"},
    {.keyword = "SIZE", .rfc = "1870", .values = size_values},
    {.keyword = "8BITMIME", .rfc = "6152"},
    {.keyword = "SMTPUTF8", .rfc = "6531"},
    {.keyword = "CHUNKING", .rfc = "3030"},
    {.keyword = "BINARYMIME", .rfc = "3030"},
    {.keyword = "ENHANCEDSTATUSCODES", .rfc = "2034"},
    {.keyword = "LIMITS", .rfc = "9422", .values = limits_values},
    {.keyword = "STARTTLS", .rfc = "3207", .offered = smtp_starttls_is_offered},
    {.keyword = "AUTH", .rfc = "4954", .values = auth_values, .offered = has_mechanisms},
    {.keyword = "DSN", .rfc = "3461", .parameters = "RET ENVID NOTIFY ORCPT", .offered = reports},
    {.keyword = "FUTURERELEASE",
     .rfc = "4865",
     .parameters = "HOLDFOR HOLDUNTIL",
     .values = hold_values,
     .offered = holds},
    {.keyword = "DELIVERBY", .rfc = "2852", .parameters = "BY", .offered = hurries},
    {.keyword = "MT-PRIORITY", .rfc = "6710", .parameters = "MT-PRIORITY", .offered = hurries},
    {.keyword = "REQUIRETLS", .rfc = "8689", .parameters = "REQUIRETLS", .offered = keeps_tls},
    {.keyword = "ATRN", .rfc = "2645", .offered = smtp_atrn_is_served},
    {.keyword = "TURN", .rfc = "821", .offered = smtp_turn_is_served},
    {.keyword = "ETRN", .rfc = "1985", .offered = smtp_etrn_is_served},
    {.keyword = "VRFY", .rfc = "5321", .offered = smtp_verify_is_on},
    {.keyword = "SEND", .rfc = "821", .offered = smtp_may_use_terminals},
    {.keyword = "SOML", .rfc = "821", .offered = smtp_may_use_terminals},
    {.keyword = "SAML", .rfc = "821", .offered = smtp_may_use_terminals},
    {.keyword = "XCLIENT", .values = xclient_values, .offered = smtp_may_stand_in},
    {.keyword = "XFORWARD", .values = xforward_values, .offered = smtp_may_stand_in},
    {.keyword = "HELP", .rfc = "5321"},
};

enum {
    ROWS = sizeof rows / sizeof *rows /* the last is always offered: it ends the reply */
};

static bool is_offered(const struct extension *row, const struct smtp_session *s)
{
    return !row->offered || row->offered(s);
}

static bool has_word(struct str words, struct str word)
{
    while (words.n)
        if (str_eq_nocase(str_cut(&words, ' '), word))
            return true;
    return false;
}

bool smtp_parameter_is_taken(const struct smtp_session *s, struct str key)
{
    for (size_t i = 0; i < ROWS; i++)
        if (rows[i].parameters && has_word(str_from(rows[i].parameters), key))
            return is_offered(&rows[i], s);
    return false;
}

void smtp_extensions_print(struct smtp_session *s)
{
    for (size_t i = 0; i < ROWS; i++) {
        char room[SMTP_REPLY_MAX];
        struct buf line = {.p = room, .cap = sizeof room, .max = sizeof room};
        if (!is_offered(&rows[i], s))
            continue;
        buf_put(&line, str_from(rows[i].keyword));
        if (rows[i].values)
            rows[i].values(s, &line);
        smtp_reply_line(s, 250, NULL, i + 1 < ROWS, buf_str(&line));
    }
}
