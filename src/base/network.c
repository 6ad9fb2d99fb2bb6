/*
 * Why strict: "10.1.2.3/8" means one thing to one reader and another to the next, so it is nothing.
 */
#include "base/network.h"

#include <arpa/inet.h>

#include "base/must.h"

static const unsigned char mapped[NETWORK_V4 / 8] = {[10] = 0xff, [11] = 0xff};

bool network_is_v4(const struct network *network)
{
    return network->bits >= NETWORK_V4 && memcmp(network->octets, mapped, sizeof(mapped)) == 0;
}

struct network network_of(const struct network *network, unsigned bits)
{
    struct network cut = {.bits = (uint8_t)bits};
    must(bits <= network->bits);
    memcpy(cut.octets, network->octets, bits / 8);
    if (bits % 8)
        cut.octets[bits / 8] = (unsigned char)(network->octets[bits / 8] & (0xff00 >> bits % 8));
    return cut;
}

struct network network_cut(const struct network *network, unsigned v4, unsigned v6)
{
    unsigned bits = network_is_v4(network) ? NETWORK_V4 + v4 : v6;
    return network_of(network, bits < network->bits ? bits : network->bits);
}

bool network_eq(const struct network *a, const struct network *b)
{
    return a->bits == b->bits && memcmp(a->octets, b->octets, sizeof(a->octets)) == 0;
}

bool network_within(const struct network *network, const struct network *outer)
{
    if (network->bits < outer->bits)
        return false;
    struct network cut = network_of(network, outer->bits);
    return network_eq(&cut, outer);
}

/* inet_pton of a slice. */
static bool ip_parse(int family, struct str text, void *to)
{
    char cstring[NETWORK_TEXT] = {0};
    if (text.n == 0 || text.n >= sizeof(cstring) || memchr(text.p, '\0', text.n))
        return false;
    memcpy(cstring, text.p, text.n);
    return inet_pton(family, cstring, to) == 1;
}

bool network_address(struct str text, struct network *network_r)
{
    struct network network = {.bits = NETWORK_BITS};
    memcpy(network.octets, mapped, sizeof(mapped));
    if (!ip_parse(AF_INET, text, network.octets + sizeof(mapped)) &&
        !ip_parse(AF_INET6, text, network.octets))
        return false;
    *network_r = network;
    return true;
}

bool network_parse(struct str text, struct network *network_r)
{
    struct str rest = text, address = str_cut(&rest, '/');
    struct network network;
    uint64_t bits;
    if (!network_address(address, &network))
        return false;
    if (!rest.p) {
        *network_r = network;
        return true;
    }
    unsigned before = str_index(address, ':') < 0 ? NETWORK_V4 : 0;
    if (!str_to_u64(rest, &bits) || bits > NETWORK_BITS - before)
        return false;
    *network_r = network_of(&network, before + (unsigned)bits);
    return memcmp(network_r->octets, network.octets, sizeof(network.octets)) == 0;
}

void network_print(const struct network *network, struct buf *to)
{
    char text[NETWORK_TEXT];
    bool v4 = network_is_v4(network);
    unsigned before = v4 ? NETWORK_V4 : 0;
    must(inet_ntop(v4 ? AF_INET : AF_INET6, network->octets + before / 8, text, sizeof(text)));
    buf_printf(to, "%s/%u", text, network->bits - before);
}
