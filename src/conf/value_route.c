/*
 * Values of routes: hosts, senders and recipients, addresses of this host.
 */
#include "conf/value.h"
#include "format/addr.h"

enum {
    PORT_DIGITS = 5,
    HOP_MOST = ADDR_DOMAIN_MAX + 16
};

/* --- Hosts ----------------------------------------------------------------------------------- */

static bool port_parse(struct str text, uint64_t *port_r)
{
    return text.n > 0 && text.n <= PORT_DIGITS && str_to_u64(text, port_r) && *port_r > 0 &&
           *port_r <= UINT16_MAX;
}

static bool is_address(struct str text)
{
    struct network network;
    return network_address(text, &network);
}

static struct str hop_kept(struct str host, bool brackets, uint64_t port, struct arena *arena)
{
    struct buf kept = buf_in(arena, HOP_MOST);
    buf_printf(&kept, brackets ? "[%.*s]:%llu" : "%.*s:%llu", STR_FMT(host),
               (unsigned long long)port);
    return buf_built(&kept);
}

bool value_hop(struct str word, struct arena *arena, struct str *hop_r, struct buf *why)
{
    ssize_t colon = str_last_index(word, ':');
    struct str host = str_head(word, colon > 0 ? (size_t)colon : 0);
    uint64_t port;
    if (str_eq(word, STR("mx"))) {
        *hop_r = STR("mx");
        return true;
    }
    if (colon < 0)
        return value_wrong(why, word, "has no port");
    if (!port_parse(str_from_index(word, (size_t)colon + 1), &port))
        return value_wrong(why, word, "has no port from 1 to 65535");
    bool brackets = str_starts(host, STR("[")) && str_ends(host, STR("]"));
    if (brackets)
        host = str_make(host.p + 1, host.n - 2);
    bool address = is_address(host);
    if (brackets ? !address : address && str_index(host, ':') >= 0)
        return value_wrong(why, word, "is not an IPv6 address in brackets");
    if (!address && !value_host(host, arena, &host, why))
        return false;
    *hop_r = hop_kept(host, str_index(host, ':') >= 0, port, arena);
    return true;
}

/* --- People ---------------------------------------------------------------------------------- */

static bool domain_below(struct str word, struct arena *arena, struct str *people_r,
                         struct buf *why)
{
    struct buf kept = buf_in(arena, HOP_MOST);
    struct str domain = str_null();
    if (!value_host(str_from_index(word, 1), arena, &domain, why))
        return false;
    buf_putc(&kept, '.');
    buf_put(&kept, domain);
    *people_r = buf_built(&kept);
    return true;
}

/* An address by its key, so that Bob@ and bob@ are one. */
static bool one_address(struct str word, struct arena *arena, struct str *people_r, struct buf *why)
{
    struct addr addr;
    struct buf key = buf_in(arena, 2 * ADDR_PATH_MAX);
    struct err e = addr_parse(word, arena, &addr);
    if (err_is(e))
        return e.code == ERR_OVER_LIMIT || value_wrong(why, word, "is no mail address");
    addr_local_key(&addr, &key);
    *people_r = buf_built(&key);
    return true;
}

bool value_people(struct str word, struct arena *arena, struct str *people_r, struct buf *why)
{
    *people_r = arena_str(arena, word);
    if (str_eq(word, STR("*")) || str_eq(word, STR("<>")))
        return true;
    if (str_starts(word, STR(".")))
        return domain_below(word, arena, people_r, why);
    if (str_index(word, '@') >= 0)
        return one_address(word, arena, people_r, why);
    return value_host(word, arena, people_r, why);
}

/* --- Addresses of this host ------------------------------------------------------------------ */

bool value_ip(struct str word, struct arena *arena, struct str *address_r, struct buf *why)
{
    *address_r = arena_str(arena, word);
    return is_address(word) || value_wrong(why, word, "is no IP address");
}
