/*
 * A header is one of two things that differ from the first octet on, so it is decided there, and
 * what can no longer become a header is bad at once: a stranger's bytes are not waited for.
 */
#include "format/proxy.h"

#include <arpa/inet.h>

enum {
    V1_WORD = 6, /* "PROXY " */
    V2_SIGNATURE = 12,
    V2_LOCAL = 0x20, /* version 2, command LOCAL */
    V2_PROXY = 0x21,
    V2_TCP4 = 0x11,
    V2_TCP6 = 0x21,
    V4_SIZE = 12, /* two addresses and two ports */
    V6_SIZE = 36,
};

static const char v2_signature[V2_SIGNATURE + 1] = "\r\n\r\n\0\r\nQUIT\n";

static bool begins(struct str octets, struct str with)
{
    size_t n = octets.n < with.n ? octets.n : with.n;
    return memcmp(octets.p, with.p, n) == 0;
}

static bool is_v2(struct str octets)
{
    return octets.n > 0 && octets.p[0] == '\r';
}

static unsigned number16(const char *at)
{
    return (unsigned)(unsigned char)at[0] << 8 | (unsigned char)at[1];
}

/* --- Addresses ------------------------------------------------------------------------------- */

static void address_print(int family, const unsigned char *octets, char text_r[PROXY_ADDRESS])
{
    static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};
    if (family == AF_INET6 && memcmp(octets, mapped, sizeof mapped) == 0) {
        family = AF_INET;
        octets += sizeof mapped;
    }
    inet_ntop(family, octets, text_r, PROXY_ADDRESS);
}

static bool address_parse(int family, struct str word, char text_r[PROXY_ADDRESS])
{
    char text[PROXY_ADDRESS];
    unsigned char octets[sizeof(struct in6_addr)];
    if (word.n == 0 || word.n >= sizeof text || memchr(word.p, '\0', word.n))
        return false;
    memcpy(text, word.p, word.n);
    text[word.n] = '\0';
    if (inet_pton(family, text, octets) != 1)
        return false;
    address_print(family, octets, text_r);
    return true;
}

static bool port_parse(struct str word, uint16_t *port_r)
{
    uint64_t port;
    if (word.n > 1 && word.p[0] == '0')
        return false;
    if (!str_to_u64(word, &port) || port > UINT16_MAX)
        return false;
    *port_r = (uint16_t)port;
    return true;
}

/* --- Version 1 ------------------------------------------------------------------------------- */

/* "TCP4 192.0.2.1 192.0.2.2 56324 25": one space between words, no more and no less. */
static bool line_parse(struct str line, struct proxy *proxy_r)
{
    struct str family = str_cut(&line, ' ');
    if (str_eq(family, STR("UNKNOWN"))) {
        proxy_r->local = true;
        return true;
    }
    int af = str_eq(family, STR("TCP4")) ? AF_INET : AF_INET6;
    if (af == AF_INET6 && !str_eq(family, STR("TCP6")))
        return false;
    return address_parse(af, str_cut(&line, ' '), proxy_r->client) &&
           address_parse(af, str_cut(&line, ' '), proxy_r->server) &&
           port_parse(str_cut(&line, ' '), &proxy_r->client_port) &&
           port_parse(line, &proxy_r->server_port);
}

static enum proxy_found v1_parse(struct str octets, struct proxy *proxy_r, size_t *used_r)
{
    struct str head = str_head(octets, PROXY_LINE_MAX);
    ssize_t end = str_index(head, '\n');
    if (end < 0)
        return head.n < PROXY_LINE_MAX ? PROXY_MORE : PROXY_BAD;
    struct str line = str_head(head, (size_t)end);
    if (!str_ends(line, STR("\r")) || line.n <= V1_WORD)
        return PROXY_BAD;
    line = str_from_index(str_head(line, line.n - 1), V1_WORD);
    *used_r = (size_t)end + 1;
    return line_parse(line, proxy_r) ? PROXY_WHOLE : PROXY_BAD;
}

/* --- Version 2 ------------------------------------------------------------------------------- */

static bool v2_addresses(struct str head, struct str rest, struct proxy *proxy_r)
{
    unsigned command = (unsigned char)head.p[V2_SIGNATURE];
    unsigned family = (unsigned char)head.p[V2_SIGNATURE + 1];
    const unsigned char *at = (const unsigned char *)rest.p;
    if (command == V2_LOCAL) {
        proxy_r->local = true;
        return true;
    }
    bool v6 = family == V2_TCP6;
    if (command != V2_PROXY || (family != V2_TCP4 && !v6) || rest.n < (v6 ? V6_SIZE : V4_SIZE))
        return false;
    size_t size = v6 ? sizeof(struct in6_addr) : sizeof(struct in_addr);
    address_print(v6 ? AF_INET6 : AF_INET, at, proxy_r->client);
    address_print(v6 ? AF_INET6 : AF_INET, at + size, proxy_r->server);
    proxy_r->client_port = (uint16_t)number16(rest.p + 2 * size);
    proxy_r->server_port = (uint16_t)number16(rest.p + 2 * size + 2);
    return true;
}

static size_t v2_size(struct str octets)
{
    return PROXY_FIRST + number16(octets.p + V2_SIGNATURE + 2);
}

static enum proxy_found v2_parse(struct str octets, struct proxy *proxy_r, size_t *used_r)
{
    if (octets.n < PROXY_FIRST)
        return PROXY_MORE;
    size_t size = v2_size(octets);
    if (size > PROXY_MAX)
        return PROXY_BAD;
    if (octets.n < size)
        return PROXY_MORE;
    *used_r = size;
    struct str rest = str_from_index(str_head(octets, size), PROXY_FIRST);
    return v2_addresses(str_head(octets, PROXY_FIRST), rest, proxy_r) ? PROXY_WHOLE : PROXY_BAD;
}

/* --- Both ------------------------------------------------------------------------------------ */

static bool may_be_header(struct str octets)
{
    return octets.n == 0 ||
           begins(octets, is_v2(octets) ? str_make(v2_signature, V2_SIGNATURE) : STR("PROXY "));
}

size_t proxy_wanted(struct str octets)
{
    /* The shortest line is shorter than the head of version 2. */
    if (!is_v2(octets))
        return octets.n < V1_WORD ? V1_WORD - octets.n : 1;
    if (octets.n < PROXY_FIRST)
        return PROXY_FIRST - octets.n;
    size_t size = v2_size(octets);
    return octets.n < size ? size - octets.n : 1;
}

enum proxy_found proxy_parse(struct str octets, struct proxy *proxy_r, size_t *used_r)
{
    *proxy_r = (struct proxy){.local = false};
    *used_r = 0;
    if (!may_be_header(octets))
        return PROXY_BAD;
    if (octets.n < V1_WORD)
        return PROXY_MORE;
    return is_v2(octets) ? v2_parse(octets, proxy_r, used_r) : v1_parse(octets, proxy_r, used_r);
}
