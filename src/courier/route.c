/*
 * No answer of the DNS makes a refusal but knowledge (role/dns.h): what is missing, late or bogus
 * makes the job wait. Our own addresses are not looked for here, where a name server could give
 * others a moment later: the kernel says so when we connect (connect.h), and that cuts the list
 * where it stands.
 */
#include "courier/route.h"

#include "courier/result.h"
#include "role/dns.h"

enum {
    NO_MAIL_CODE = 556, /* RFC 7505 4.2 */
    PORT_DIGITS = 5,
};

bool route_is_us(const struct conf *conf, struct str name)
{
    return str_eq_nocase(name, conf->server.hostname) ||
           (conf->sending.helo.n > 0 && str_eq_nocase(name, conf->sending.helo));
}

/* --- host:port ------------------------------------------------------------------------------- */

static bool port_parse(struct str text, uint16_t *port_r)
{
    uint64_t port;
    if (text.n == 0 || text.n > PORT_DIGITS || !str_to_u64(text, &port) || port == 0 ||
        port > UINT16_MAX)
        return false;
    *port_r = (uint16_t)port;
    return true;
}

/* "192.0.2.1", "2001:db8::1": of a literal without its brackets, too. */
static bool is_address(struct str text)
{
    struct network network;
    return network_address(text, &network);
}

/* "host:port" or "[address]:port". */
static bool host_port_parse(struct str text, struct route_host *host_r)
{
    ssize_t colon = str_last_index(text, ':');
    if (colon <= 0 || !port_parse(str_from_index(text, (size_t)colon + 1), &host_r->port))
        return false;
    struct str name = str_head(text, (size_t)colon);
    if (str_starts(name, STR("[")) && str_ends(name, STR("]")))
        name = str_make(name.p + 1, name.n - 2);
    else if (str_index(name, ':') >= 0)
        return false;
    host_r->name = name;
    host_r->address = is_address(name) ? name : STR("");
    return name.n > 0;
}

/* "[192.0.2.1]", "[IPv6:2001:db8::1]" (RFC 5321 4.1.3). */
static bool literal_parse(struct str domain, struct route_host *host_r)
{
    if (!str_starts(domain, STR("[")) || !str_ends(domain, STR("]")))
        return false;
    struct str address = str_make(domain.p + 1, domain.n - 2);
    if (str_starts_nocase(address, STR("IPv6:")))
        address = str_from_index(address, sizeof "IPv6:" - 1);
    *host_r = (struct route_host){.name = domain, .address = address, .port = ROUTE_PORT};
    return is_address(address);
}

static bool one_host(struct job *job, const struct route_host *host, struct route *route_r)
{
    route_r->hosts = arena_new(&job->arena, struct route_host);
    if (!route_r->hosts)
        return false;
    *route_r->hosts = *host;
    route_r->count = 1;
    return true;
}

/* --- MX -------------------------------------------------------------------------------------- */

static void dns_note(struct job *job, struct str asked, const struct dns_found *found)
{
    struct buf text = BUF_INIT(JOB_TEXT_MAX);
    buf_printf(&text, "no usable DNS answer about %.*s", STR_FMT(asked));
    if (found->why.n > 0) {
        buf_put(&text, STR(": "));
        buf_put_escaped(&text, found->why, JOB_TEXT_MAX / 2);
    }
    job_note(job, JOB_TROUBLE_DNS, NULL, buf_str(&text));
    buf_done(&text);
}

/* Equal ones stand next to each other: each place is given to one of those that are left. */
static void equal_ones_shuffle(struct job *job, struct route_host *hosts, size_t count)
{
    struct world *world = job->courier->world;
    for (size_t i = 0; i < count; i++) {
        size_t same = 1;
        while (i + same < count && hosts[i + same].preference == hosts[i].preference)
            same++;
        uint64_t chance;
        world_random(world, &chance, sizeof chance);
        struct route_host *other = &hosts[i + chance % same];
        struct route_host swapped = *other;
        *other = hosts[i];
        hosts[i] = swapped;
    }
}

static void failed(struct job *job, uint16_t code, const char *status, struct str text)
{
    results_say(job, JOB_FAILED, status, text);
    for (size_t i = 0; i < job->order->recipients_count; i++)
        job->results[i].code = code;
}

/* Where we stand among them, those behind us would send it to us (RFC 5321 5.1). */
static size_t own_cut(const struct job *job, const struct dns_mxs *mxs)
{
    size_t count = mxs->count;
    for (size_t i = 0; i < mxs->count; i++)
        if (route_is_us(job->conf, mxs->list[i].host)) {
            count = i;
            while (count > 0 && mxs->list[count - 1].preference == mxs->list[i].preference)
                count--;
            break;
        }
    return count;
}

static bool mx_hosts(struct job *job, const struct dns_mxs *mxs, struct route *route_r)
{
    size_t count = own_cut(job, mxs);
    if (mxs->count > 0 && count == 0) {
        failed(
            job, 0, "5.4.6",
            STR("the mail exchanger of this domain is this server, which has no such mailboxes"));
        return false;
    }
    if (count == 1 && mxs->list[0].host.n == 0) {
        failed(job, NO_MAIL_CODE, "5.1.10", STR("the domain says that it takes no mail (null MX)"));
        return false;
    }
    route_r->hosts = arena_take_array(&job->arena, count, sizeof *route_r->hosts);
    if (!route_r->hosts)
        return false;
    for (size_t i = 0; i < count; i++)
        if (mxs->list[i].host.n > 0) /* one that is null among others means nothing */
            route_r->hosts[route_r->count++] =
                (struct route_host){.name = mxs->list[i].host,
                                    .port = ROUTE_PORT,
                                    .preference = mxs->list[i].preference,
                                    .proven = mxs->found.secure};
    equal_ones_shuffle(job, route_r->hosts, route_r->count);
    if (route_r->count > ROUTE_HOSTS_MAX)
        route_r->count = ROUTE_HOSTS_MAX;
    return true;
}

static bool mx_find(struct job *job, struct route *route_r)
{
    struct str domain = job->order->domain;
    struct dns_mxs mxs = {.count = 0};
    struct err e = dns_mx(&job->courier->dns, domain, &job->arena, &mxs);
    route_r->domain = domain;
    route_r->canonical = mxs.found.canonical;
    if (e.code == ERR_NONE)
        return mx_hosts(job, &mxs, route_r);
    if (e.code == ERR_DNS_NO_DATA) {
        const struct route_host itself = {
            .name = domain, .port = ROUTE_PORT, .proven = mxs.found.secure, .is_domain = true};
        return one_host(job, &itself, route_r);
    }
    if (e.code == ERR_DNS_NO_NAME)
        failed(job, 0, "5.1.2", STR("there is no such domain"));
    else
        dns_note(job, domain, &mxs.found);
    return false;
}

/* --- The block of the configuration ---------------------------------------------------------- */

static size_t words_in(struct str text)
{
    size_t count = 0;
    while (text.n > 0) {
        str_cut(&text, ' ');
        count++;
    }
    return count;
}

/* Core has checked them; one that is none is left out. */
static bool via_hosts(struct job *job, struct route *route_r)
{
    const struct msg_job *order = job->order;
    struct str rest = order->via;
    route_r->hosts = arena_take_array(&job->arena, words_in(order->via), sizeof *route_r->hosts);
    if (!route_r->hosts)
        return false;
    while (rest.n > 0 && route_r->count < ROUTE_HOSTS_MAX) {
        struct route_host host = {.lmtp = order->lmtp != 0, .proven = true, .named = true};
        if (!host_port_parse(str_cut(&rest, ' '), &host))
            continue;
        host.preference = order->shuffle ? 0 : (uint16_t)route_r->count;
        route_r->hosts[route_r->count++] = host;
    }
    equal_ones_shuffle(job, route_r->hosts, route_r->count);
    return route_r->count > 0;
}

static bool is_block(struct str route)
{
    return str_starts(route, STR("@"));
}

/* A server's socket on this host, "unix:/run/veredus/submission": for commands, which have a
 * courier of their own. One in its sandbox can connect to none. */
static bool local_parse(struct str route, struct route_host *host_r)
{
    if (!str_starts(route, STR("unix:")))
        return false;
    *host_r = (struct route_host){.name = STR("localhost"),
                                  .address = str_from_index(route, sizeof "unix:" - 1),
                                  .local = true};
    return host_r->address.n > 0;
}

bool route_find(struct job *job, struct route *route_r)
{
    struct route_host host = {.port = 0};
    *route_r = (struct route){.hosts = NULL};
    if (local_parse(job->order->route, &host))
        return one_host(job, &host, route_r);
    if (job->order->via.n > 0)
        return via_hosts(job, route_r);
    if (job->order->route.n > 0 && !is_block(job->order->route)) {
        struct str text = job->order->route;
        host.lmtp = str_starts(text, STR("lmtp:"));
        if (host.lmtp)
            text = str_from_index(text, sizeof "lmtp:" - 1);
        host.proven = true;
        if (host_port_parse(text, &host))
            return one_host(job, &host, route_r);
        job_note(job, JOB_TROUBLE_CONNECT, NULL, STR("there is no such route"));
        return false;
    }
    if (literal_parse(job->order->domain, &host))
        return one_host(job, &host, route_r);
    return mx_find(job, route_r);
}

/* --- Addresses ------------------------------------------------------------------------------- */

static struct err family_find(struct job *job, struct str name, enum dns_type type,
                              struct dns_addresses *found_r)
{
    *found_r = (struct dns_addresses){.count = 0};
    return dns_address(&job->courier->dns, name, type, &job->arena, found_r);
}

static bool is_knowledge(struct err e)
{
    return e.code == ERR_NONE || e.code == ERR_DNS_NO_DATA || e.code == ERR_DNS_NO_NAME;
}

/* Of a family that is known: so it is. What is not known proves nothing and is not used. */
static bool is_proven(struct err e, const struct dns_addresses *addresses)
{
    return !is_knowledge(e) || addresses->found.secure;
}

static void in_turn(const struct dns_addresses *six, const struct dns_addresses *four, size_t most,
                    struct route_addresses *to)
{
    const struct dns_addresses *turn[] = {six, four};
    for (size_t i = 0; i < six->count || i < four->count; i++)
        for (size_t j = 0; j < 2; j++)
            if (i < turn[j]->count && to->count < most)
                to->list[to->count++] = str_from(turn[j]->list[i].text);
}

enum route_found route_addresses(struct job *job, const struct route_host *host, size_t most,
                                 struct route_addresses *addresses_r)
{
    struct dns_addresses six, four;
    *addresses_r = (struct route_addresses){.canonical = host->name};
    if (host->address.n > 0) {
        addresses_r->list[addresses_r->count++] = host->address;
        return ROUTE_FOUND;
    }
    struct err e6 = family_find(job, host->name, DNS_AAAA, &six);
    struct err e4 = family_find(job, host->name, DNS_A, &four);
    in_turn(&six, &four, most < ROUTE_ADDRESSES_MAX ? most : ROUTE_ADDRESSES_MAX, addresses_r);
    if (addresses_r->count > 0) {
        const struct dns_found *any = e4.code == ERR_NONE ? &four.found : &six.found;
        addresses_r->secure = is_proven(e6, &six) && is_proven(e4, &four);
        addresses_r->canonical = any->canonical;
        return ROUTE_FOUND;
    }
    if (is_knowledge(e6) && is_knowledge(e4))
        return ROUTE_NO_ADDRESS;
    dns_note(job, host->name, is_knowledge(e6) ? &four.found : &six.found);
    return ROUTE_UNKNOWN;
}
