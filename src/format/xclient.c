#include "format/xclient.h"

#include <arpa/inet.h>

#include "format/smtp_words.h"

enum {
    FOR_XCLIENT = 1,
    FOR_XFORWARD = 2,
};

static bool take_text(struct str value, struct arena *arena, struct str *value_r)
{
    (void)arena;
    *value_r = value;
    return true;
}

static bool take_port(struct str value, struct arena *arena, struct str *value_r)
{
    uint64_t port;
    (void)arena;
    *value_r = value;
    return str_to_u64(value, &port) && port <= UINT16_MAX;
}

static bool take_protocol(struct str value, struct arena *arena, struct str *value_r)
{
    (void)arena;
    *value_r = value;
    return str_eq_nocase(value, STR("SMTP")) || str_eq_nocase(value, STR("ESMTP"));
}

static bool take_source(struct str value, struct arena *arena, struct str *value_r)
{
    (void)arena;
    *value_r = value;
    return str_eq_nocase(value, STR("LOCAL")) || str_eq_nocase(value, STR("REMOTE"));
}

/* In the one form that everything else compares. */
static bool take_address(struct str value, struct arena *arena, struct str *value_r)
{
    static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};
    char text[XCLIENT_ADDRESS];
    unsigned char octets[sizeof(struct in6_addr)];
    bool v6 = str_eq_nocase(str_head(value, 5), STR("IPV6:"));
    struct str number = v6 ? str_from_index(value, 5) : value;
    int family = v6 ? AF_INET6 : AF_INET;
    if (number.n == 0 || number.n >= sizeof text)
        return false;
    memcpy(text, number.p, number.n);
    text[number.n] = '\0';
    if (inet_pton(family, text, octets) != 1)
        return false;
    bool is_mapped = v6 && memcmp(octets, mapped, sizeof mapped) == 0;
    inet_ntop(is_mapped ? AF_INET : family, is_mapped ? octets + sizeof mapped : octets, text,
              sizeof text);
    *value_r = arena_str(arena, str_from(text));
    return true;
}

static const struct row {
    const char *name;
    unsigned commands;
    bool (*take)(struct str value, struct arena *arena, struct str *value_r);
} rows[XCLIENT_NAMES] = {
    [XCLIENT_NAME] = {"NAME", FOR_XCLIENT | FOR_XFORWARD, take_text},
    [XCLIENT_ADDR] = {"ADDR", FOR_XCLIENT | FOR_XFORWARD, take_address},
    [XCLIENT_PORT] = {"PORT", FOR_XCLIENT | FOR_XFORWARD, take_port},
    [XCLIENT_PROTO] = {"PROTO", FOR_XCLIENT | FOR_XFORWARD, take_protocol},
    [XCLIENT_HELO] = {"HELO", FOR_XCLIENT | FOR_XFORWARD, take_text},
    [XCLIENT_LOGIN] = {"LOGIN", FOR_XCLIENT, take_text},
    [XCLIENT_DESTADDR] = {"DESTADDR", FOR_XCLIENT, take_address},
    [XCLIENT_DESTPORT] = {"DESTPORT", FOR_XCLIENT, take_port},
    [XCLIENT_IDENT] = {"IDENT", FOR_XFORWARD, take_text},
    [XCLIENT_SOURCE] = {"SOURCE", FOR_XFORWARD, take_source},
};

static const struct row *row_of(struct str name, bool forward)
{
    for (size_t i = 0; i < XCLIENT_NAMES; i++)
        if (str_eq_nocase(str_from(rows[i].name), name))
            return rows[i].commands & (forward ? FOR_XFORWARD : FOR_XCLIENT) ? &rows[i] : NULL;
    return NULL;
}

static bool is_unavailable(struct str value)
{
    return str_eq_nocase(value, STR("[UNAVAILABLE]")) || str_eq_nocase(value, STR("[TEMPUNAVAIL]"));
}

static struct err value_take(const struct row *row, struct str text, struct arena *arena,
                             struct str *value_r)
{
    struct str plain;
    if (is_unavailable(text))
        return err_none();
    struct err e = xtext_parse(text, arena, &plain);
    if (err_is(e))
        return e;
    if (plain.n == 0 || plain.n > XCLIENT_VALUE_MAX || !row->take(plain, arena, value_r))
        return err_detail(ERR_PARAMETER_VALUE, str_from(row->name));
    return arena_over(arena) ? err_make(ERR_OVER_LIMIT) : err_none();
}

static struct err word_take(struct str word, bool forward, struct arena *arena,
                            struct xclient *xclient)
{
    struct str value = word;
    struct str name = str_cut(&value, '=');
    const struct row *row = row_of(name, forward);
    if (!row || !value.p)
        return err_detail(ERR_COMMAND_SYNTAX, STR("NAME=VALUE words are expected"));
    size_t at = (size_t)(row - rows);
    if (xclient->given[at])
        return err_detail(ERR_COMMAND_SYNTAX, STR("a name stands twice"));
    xclient->given[at] = true;
    return value_take(row, value, arena, &xclient->value[at]);
}

struct err xclient_parse(struct str text, bool forward, struct arena *arena,
                         struct xclient *xclient_r)
{
    struct err e = err_none();
    *xclient_r = (struct xclient){0};
    if (text.n == 0)
        return err_detail(ERR_COMMAND_SYNTAX, STR("NAME=VALUE words are expected"));
    while (text.p && !err_is(e))
        e = word_take(str_cut(&text, ' '), forward, arena, xclient_r);
    return e;
}

void xclient_names_print(bool forward, struct buf *to)
{
    for (size_t i = 0; i < XCLIENT_NAMES; i++) {
        if (!(rows[i].commands & (forward ? FOR_XFORWARD : FOR_XCLIENT)))
            continue;
        buf_putc(to, ' ');
        buf_put(to, str_from(rows[i].name));
    }
}

void xclient_facts_print(const struct xclient *xclient, struct buf *to)
{
    for (size_t i = 0; i < XCLIENT_NAMES; i++) {
        if (!xclient->value[i].p)
            continue;
        if (to->n > 0)
            buf_putc(to, ' ');
        buf_put(to, STR("forwarded_"));
        for (const char *c = rows[i].name; *c; c++)
            buf_putc(to, ascii_lower(*c));
        buf_put(to, STR("=\""));
        buf_put_escaped(to, xclient->value[i], XCLIENT_VALUE_MAX);
        buf_putc(to, '"');
    }
}
