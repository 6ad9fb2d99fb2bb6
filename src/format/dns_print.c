/*
 * Records for people. What cannot be shown as its type is shown as octets: nothing is left out, and
 * no octet reaches a terminal as it came.
 */
#include <arpa/inet.h>

#include "format/dns.h"

enum {
    TYPE_MOST = 65535,
};

static const struct name_of {
    unsigned number;
    const char *name;
} types[] =
    {
        {DNS_A, "A"},       {DNS_NS, "NS"}, {DNS_CNAME, "CNAME"}, {DNS_SOA, "SOA"},
        {DNS_PTR, "PTR"},   {DNS_MX, "MX"}, {DNS_TXT, "TXT"},     {DNS_AAAA, "AAAA"},
        {DNS_TLSA, "TLSA"}, {33, "SRV"},    {39, "DNAME"},        {43, "DS"},
        {48, "DNSKEY"},     {257, "CAA"},   {64, "SVCB"},         {65, "HTTPS"},
},
  rcodes[] = {
      {DNS_NOERROR, "NOERROR"},   {1, "FORMERR"}, {DNS_SERVFAIL, "SERVFAIL"},
      {DNS_NXDOMAIN, "NXDOMAIN"}, {4, "NOTIMP"},  {5, "REFUSED"},
};

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static void named_print(const struct name_of *list, size_t count, const char *other,
                        unsigned number, struct buf *to)
{
    for (size_t i = 0; i < count; i++)
        if (list[i].number == number) {
            buf_put(to, str_from(list[i].name));
            return;
        }
    buf_printf(to, "%s%u", other, number);
}

void dns_type_print(uint16_t type, struct buf *to)
{
    named_print(types, COUNT(types), "TYPE", type, to);
}

void dns_rcode_print(unsigned rcode, struct buf *to)
{
    named_print(rcodes, COUNT(rcodes), "RCODE", rcode, to);
}

bool dns_type_parse(struct str text, uint16_t *type_r)
{
    uint64_t number;
    for (size_t i = 0; i < COUNT(types); i++)
        if (str_eq_nocase(text, str_from(types[i].name))) {
            *type_r = (uint16_t)types[i].number;
            return true;
        }
    if (!str_starts_nocase(text, STR("TYPE")) || !str_to_u64(str_from_index(text, 4), &number) ||
        number > TYPE_MOST)
        return false;
    *type_r = (uint16_t)number;
    return true;
}

/* --- By type: false where it is not of its type ---------------------------------------------- */

static bool name_put(struct str rdata, struct arena *arena, struct buf *to)
{
    struct str name;
    if (!dns_name_parse(rdata, arena, &name))
        return false;
    buf_put(to, name);
    return buf_putc(to, '.');
}

static bool mx_put(struct str rdata, struct arena *arena, struct buf *to)
{
    if (rdata.n < 3)
        return false;
    buf_printf(to, "%u ", (unsigned char)rdata.p[0] << 8 | (unsigned char)rdata.p[1]);
    return name_put(str_from_index(rdata, 2), arena, to);
}

/* One that is mapped is shown as it is. */
static bool address_put(int family, struct str rdata, struct buf *to)
{
    char text[DNS_ADDRESS_TEXT];
    return inet_ntop(family, rdata.p, text, sizeof(text)) && buf_put(to, str_from(text));
}

static bool v4_put(struct str rdata, struct arena *arena, struct buf *to)
{
    (void)arena;
    return rdata.n == sizeof(struct in_addr) && address_put(AF_INET, rdata, to);
}

static bool v6_put(struct str rdata, struct arena *arena, struct buf *to)
{
    (void)arena;
    return rdata.n == sizeof(struct in6_addr) && address_put(AF_INET6, rdata, to);
}

static void quoted_put(struct str part, struct buf *to)
{
    buf_putc(to, '"');
    for (size_t i = 0; i < part.n; i++) {
        unsigned char c = (unsigned char)part.p[i];
        if (c < ' ' || c > '~')
            buf_printf(to, "\\%03u", c);
        else
            buf_printf(to, c == '"' || c == '\\' ? "\\%c" : "%c", c);
    }
    buf_putc(to, '"');
}

static bool txt_put(struct str rdata, struct arena *arena, struct buf *to)
{
    struct dns_txt txt;
    if (!dns_txt_parse(rdata, arena, &txt))
        return false;
    for (size_t i = 0; i < txt.count; i++) {
        buf_put(to, i ? STR(" ") : str_null());
        quoted_put(txt.parts[i], to);
    }
    return true;
}

static void hex_put(struct str octets, struct buf *to)
{
    for (size_t i = 0; i < octets.n; i++)
        buf_printf(to, "%02x", (unsigned char)octets.p[i]);
}

static bool tlsa_put(struct str rdata, struct arena *arena, struct buf *to)
{
    struct dns_tlsa tlsa;
    (void)arena;
    if (!dns_tlsa_parse(rdata, &tlsa))
        return false;
    buf_printf(to, "%u %u %u ", tlsa.usage, tlsa.selector, tlsa.matching);
    hex_put(tlsa.data, to);
    return true;
}

static const struct printer {
    uint16_t type;
    bool (*put)(struct str rdata, struct arena *arena, struct buf *to);
} printers[] = {
    {DNS_A, v4_put},     {DNS_AAAA, v6_put}, {DNS_NS, name_put}, {DNS_CNAME, name_put},
    {DNS_PTR, name_put}, {DNS_MX, mx_put},   {DNS_TXT, txt_put}, {DNS_TLSA, tlsa_put},
};

void dns_rdata_print(uint16_t type, struct str rdata, struct arena *arena, struct buf *to)
{
    size_t before = to->n;
    bool shown = false;
    for (size_t i = 0; i < COUNT(printers) && !shown; i++)
        if (printers[i].type == type)
            shown = printers[i].put(rdata, arena, to);
    if (shown)
        return;
    if (!buf_over(to))
        buf_cut(to, before);
    buf_printf(to, "\\# %zu%s", rdata.n, rdata.n ? " " : "");
    hex_put(rdata, to);
}
