/*
 * One table, the narrower rows first where networks lie in each other. An address is judged in each
 * of its readings: as it stands, and as the IPv4 address that a gateway would take out of it.
 */
#include "base/destination.h"

#include <arpa/inet.h>

#include "base/must.h"

static const struct forbidden {
    const char *network;
    enum destination why;
} forbidden[] = {
    {"255.255.255.255", DESTINATION_BROADCAST},
    {"0.0.0.0/8", DESTINATION_UNSPECIFIED}, /* RFC 1122 3.2.1.3 */
    {"127.0.0.0/8", DESTINATION_LOOPBACK},
    {"169.254.0.0/16", DESTINATION_LINK_LOCAL}, /* RFC 3927 */
    {"224.0.0.0/4", DESTINATION_MULTICAST},     /* RFC 5771 */
    {"240.0.0.0/4", DESTINATION_RESERVED},      /* RFC 1112 4 */
    {"::/128", DESTINATION_UNSPECIFIED},        /* RFC 4291 2.5.2 */
    {"::1/128", DESTINATION_LOOPBACK},
    {"::/96", DESTINATION_MAPPED},           /* RFC 4291 2.5.5.1 */
    {"::ffff:0:0:0/96", DESTINATION_MAPPED}, /* RFC 2765 2.1 */
    {"fe80::/10", DESTINATION_LINK_LOCAL},
    {"fec0::/10", DESTINATION_LINK_LOCAL}, /* site-local: RFC 3879 */
    {"ff00::/8", DESTINATION_MULTICAST},
    {"100::/64", DESTINATION_RESERVED}, /* RFC 6666 */
};

/* Where gateways find an IPv4 address. */
static const struct carrier {
    const char *network;
    unsigned at; /* octets in front of it */
} carriers[] = {
    {"64:ff9b::/96", 12},   /* RFC 6052 2.1 */
    {"64:ff9b:1::/48", 12}, /* RFC 8215, where it is used as the one above */
    {"2002::/16", 2},       /* RFC 3056 2 */
};

static struct network row_network(const char *text)
{
    struct network network;
    must(network_parse(str_from(text), &network));
    return network;
}

static bool lies_in(const struct network *address, const char *text)
{
    struct network row = row_network(text);
    return network_is_v4(address) == network_is_v4(&row) && network_within(address, &row);
}

static enum destination judge_as_it_stands(const struct network *address)
{
    for (size_t i = 0; i < sizeof(forbidden) / sizeof(forbidden[0]); i++)
        if (lies_in(address, forbidden[i].network))
            return forbidden[i].why;
    return DESTINATION_FINE;
}

/* The IPv4 address that it carries. */
static bool carried(const struct network *address, struct network *v4_r)
{
    char text[INET_ADDRSTRLEN];
    for (size_t i = 0; i < sizeof(carriers) / sizeof(carriers[0]); i++)
        if (lies_in(address, carriers[i].network)) {
            must(inet_ntop(AF_INET, address->octets + carriers[i].at, text, sizeof(text)));
            return network_address(str_from(text), v4_r);
        }
    return false;
}

static bool lies_in_any(const struct network *address, const struct network *networks, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (network_within(address, &networks[i]))
            return true;
    return false;
}

static bool is_mapped(struct str text, const struct network *address)
{
    return network_is_v4(address) && str_index(text, ':') >= 0;
}

bool destination_is_allowed(struct str text, const struct destination_rules *rules)
{
    struct network address;
    return network_address(text, &address) && !is_mapped(text, &address) &&
           lies_in_any(&address, rules->allowed, rules->allowed_count);
}

enum destination destination_judge(struct str text, const struct destination_rules *rules)
{
    struct network address, inner;
    if (!network_address(text, &address))
        return DESTINATION_NO_ADDRESS;
    if (is_mapped(text, &address))
        return DESTINATION_MAPPED;
    if (lies_in_any(&address, rules->allowed, rules->allowed_count))
        return DESTINATION_FINE;
    bool carries = carried(&address, &inner);
    if (lies_in_any(&address, rules->own, rules->own_count) ||
        (carries && lies_in_any(&inner, rules->own, rules->own_count)))
        return DESTINATION_OWN;
    enum destination why = judge_as_it_stands(&address);
    return why == DESTINATION_FINE && carries ? judge_as_it_stands(&inner) : why;
}

struct str destination_words(enum destination destination)
{
    static const struct str words[DESTINATIONS] = {
        [DESTINATION_FINE] = STR_INIT("an address like any other"),
        [DESTINATION_NO_ADDRESS] = STR_INIT("not an IP address"),
        [DESTINATION_UNSPECIFIED] = STR_INIT("an unspecified address"),
        [DESTINATION_LOOPBACK] = STR_INIT("a loopback address"),
        [DESTINATION_LINK_LOCAL] = STR_INIT("a link-local address"),
        [DESTINATION_MULTICAST] = STR_INIT("a multicast address"),
        [DESTINATION_BROADCAST] = STR_INIT("a broadcast address"),
        [DESTINATION_RESERVED] = STR_INIT("a reserved address"),
        [DESTINATION_MAPPED] = STR_INIT("an IPv4 address in IPv6's clothes"),
        [DESTINATION_OWN] = STR_INIT("our own address"),
    };
    must(destination < DESTINATIONS);
    return words[destination];
}
