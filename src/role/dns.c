/*
 * Why the client waits for the resolver and not its callers: each of them would do it in its own
 * way. Why it repeats a question once: the first resolver may have died by the answer, and so may
 * the next one; whoever asks has time limits of his own.
 */
#include "role/dns.h"

#include <errno.h>

#include "base/must.h"

struct dns_client_waiter {
    TAILQ_ENTRY(dns_client_waiter) link;
    struct dns_client *client;
    struct wait wait;
    struct timer timer;
};

/* --- The link -------------------------------------------------------------------------------- */

static bool is_up(const struct dns_client *client)
{
    return client->link && !client->link->over;
}

static void alone_run(struct timer *timer)
{
    struct dns_client *client = timer->arg;
    if (client->link)
        return;
    client->alone(client->arg);
    timer_set(client->loop, timer, client->loop->now + DNS_CLIENT_ALONE);
}

static void alone_begin(struct dns_client *client)
{
    if (client->alone)
        timer_set(client->loop, &client->alone_timer, client->loop->now + DNS_CLIENT_ALONE);
}

static void waiter_over(struct dns_client_waiter *waiter)
{
    TAILQ_REMOVE(&waiter->client->waiters, waiter, link);
    timer_clear(waiter->client->loop, &waiter->timer);
    wait_over(&waiter->wait);
}

static void waiters_over(struct dns_client *client)
{
    while (!TAILQ_EMPTY(&client->waiters))
        waiter_over(TAILQ_FIRST(&client->waiters));
}

static void waited_enough(struct timer *timer)
{
    waiter_over(timer->arg);
}

static void wait_for_link(struct dns_client *client)
{
    struct dns_client_waiter waiter = {.client = client};
    waiter.timer = (struct timer){.run = waited_enough, .arg = &waiter};
    TAILQ_INSERT_TAIL(&client->waiters, &waiter, link);
    timer_set(client->loop, &waiter.timer, client->loop->now + DNS_CLIENT_WAIT);
    wait_for(&waiter.wait);
}

static void link_end(struct dns_client *client)
{
    struct link *link = client->link;
    client->link = NULL;
    if (!link)
        return;
    link_done(link);
    free(link);
}

/* The resolver says nothing unasked. */
static void got(struct link *link, const struct msg *msg, int passed)
{
    (void)msg;
    must(passed < 0);
    link_cut(link, err_detail(ERR_BUS_BROKEN, STR("the resolver spoke unasked")));
}

static void ended(struct link *link, struct err why)
{
    struct dns_client *client = link->arg;
    (void)why; /* the resolver's own log has it, or the parent's */
    link_end(client);
    alone_begin(client);
}

void dns_client_init(struct dns_client *client, struct loop *loop, enum bus_role own,
                     void (*alone)(void *arg), void *arg)
{
    *client = (struct dns_client){.loop = loop, .own = own, .alone = alone, .arg = arg};
    client->alone_timer = (struct timer){.run = alone_run, .arg = client};
    TAILQ_INIT(&client->waiters);
    alone_begin(client);
}

struct err dns_client_attach(struct dns_client *client, int handle)
{
    static const struct link_owner owner = {.got = got, .ended = ended};
    link_end(client);
    client->link = calloc(1, sizeof(*client->link));
    int failed = client->link ? link_init(client->link, client->loop, handle, client->own,
                                          ROLE_RESOLVER, &owner, client)
                              : -ENOMEM;
    if (failed) {
        client->loop->world->ops->close(client->loop->world, handle);
        free(client->link);
        client->link = NULL;
        alone_begin(client);
        return err_os(-failed, STR("link to the resolver"));
    }
    timer_clear(client->loop, &client->alone_timer);
    waiters_over(client);
    return err_none();
}

void dns_client_done(struct dns_client *client)
{
    client->over = true;
    timer_clear(client->loop, &client->alone_timer);
    link_end(client);
    waiters_over(client);
}

/* --- A question ------------------------------------------------------------------------------ */

/* Twice at most, and no longer than the waits for a link. */
static struct err ask(struct dns_client *client, struct str name, uint16_t type,
                      struct arena *arena, struct msg_dns_answer *answer_r)
{
    struct msg question = {.kind = MSG_dns_ask, .dns_ask = {.name = name, .type = type}};
    for (int tries = 0; tries < 2; tries++) {
        struct msg answer;
        if (!is_up(client) && !client->over)
            wait_for_link(client);
        if (!is_up(client))
            break;
        client->asked++;
        struct err e = link_ask(client->link, &question, arena, &answer);
        *answer_r = answer.dns_answer;
        if (e.code != ERR_BUS_BROKEN)
            return e;
    }
    return err_detail(ERR_TRY_LATER, STR("the resolver is not there"));
}

/* What a resolver says that was taken over may be anything. */
static struct err answer_check(const struct msg_dns_answer *answer)
{
    enum err_code code = (enum err_code)answer->error;
    if (code == ERR_DNS_FAILED || code == ERR_USAGE)
        return err_detail(code, answer->why);
    if (code != ERR_NONE)
        return err_detail(ERR_TRY_LATER, answer->why);
    if (answer->verdict == DNS_BOGUS)
        return err_detail(ERR_DNS_BOGUS, answer->why);
    if (answer->verdict > DNS_BOGUS || !dns_name_ok(answer->canonical))
        return err_detail(ERR_DNS_FAILED, STR("the resolver's answer is none"));
    if (answer->rcode == DNS_NXDOMAIN)
        return err_make(ERR_DNS_NO_NAME);
    if (answer->rcode != DNS_NOERROR)
        return err_detail(ERR_DNS_FAILED, STR("the resolver's answer is none"));
    return err_make(answer->records_count ? ERR_NONE : ERR_DNS_NO_DATA);
}

static bool is_known(struct err e)
{
    return !err_is(e) || e.code == ERR_DNS_NO_NAME || e.code == ERR_DNS_NO_DATA;
}

static struct err records_take(const struct msg_dns_answer *answer, struct arena *arena,
                               struct dns_raw *raw)
{
    raw->records = arena_take_array(arena, answer->records_count, sizeof(raw->records[0]));
    if (!raw->records)
        return err_make(ERR_OVER_LIMIT);
    for (size_t i = 0; i < answer->records_count; i++)
        raw->records[raw->count++].rdata = answer->records[i].rdata;
    return err_none();
}

struct err dns_raw(struct dns_client *client, struct str name, uint16_t type, struct arena *arena,
                   struct dns_raw *raw_r)
{
    struct msg_dns_answer answer;
    *raw_r = (struct dns_raw){.found = {.canonical = name}};
    if (!dns_name_ok(name))
        return err_detail(ERR_USAGE, STR("not a name"));
    struct err e = ask(client, name, type, arena, &answer);
    if (err_is(e))
        return e;
    e = answer_check(&answer);
    raw_r->found.why = e.detail;
    raw_r->verdict = e.code == ERR_DNS_BOGUS ? DNS_BOGUS : DNS_INSECURE;
    if (!is_known(e))
        return e;
    raw_r->verdict = (enum dns_verdict)answer.verdict;
    raw_r->rcode = answer.rcode;
    raw_r->cut = answer.cut;
    raw_r->found.secure = answer.verdict == DNS_SECURE;
    raw_r->found.ttl = answer.ttl;
    raw_r->found.canonical = answer.canonical;
    return err_is(e) ? e : records_take(&answer, arena, raw_r);
}

/* --- Typed ----------------------------------------------------------------------------------- */

static struct err malformed(const struct arena *arena, struct dns_found *found, struct str why)
{
    if (arena_over(arena))
        return err_make(ERR_OVER_LIMIT);
    found->why = why;
    return err_detail(ERR_DNS_FAILED, why);
}

/* Room for all records; NULL: an error. */
static void *list_take(struct arena *arena, const struct dns_raw *raw, size_t size, struct err *e)
{
    void *list = err_is(*e) ? NULL : arena_take_array(arena, raw->count, size);
    if (!list && !err_is(*e))
        *e = err_make(ERR_OVER_LIMIT);
    return list;
}

/* Equal ones stay in the order they came. */
static void mx_insert(struct dns_mxs *mxs, struct dns_mx mx)
{
    size_t at = mxs->count++;
    for (; at > 0 && mxs->list[at - 1].preference > mx.preference; at--)
        mxs->list[at] = mxs->list[at - 1];
    mxs->list[at] = mx;
}

struct err dns_mx(struct dns_client *client, struct str domain, struct arena *arena,
                  struct dns_mxs *mxs_r)
{
    struct dns_raw raw;
    struct err e = dns_raw(client, domain, DNS_MX, arena, &raw);
    *mxs_r = (struct dns_mxs){.found = raw.found,
                              .list = list_take(arena, &raw, sizeof(struct dns_mx), &e)};
    if (err_is(e))
        return e;
    for (size_t i = 0; i < raw.count; i++) {
        struct dns_mx mx;
        if (dns_mx_parse(raw.records[i].rdata, arena, &mx))
            mx_insert(mxs_r, mx);
    }
    return mxs_r->count ? e : malformed(arena, &mxs_r->found, STR("no MX names a host"));
}

struct err dns_address(struct dns_client *client, struct str host, enum dns_type type,
                       struct arena *arena, struct dns_addresses *addresses_r)
{
    struct dns_raw raw;
    must(type == DNS_A || type == DNS_AAAA);
    struct err e = dns_raw(client, host, (uint16_t)type, arena, &raw);
    *addresses_r = (struct dns_addresses){
        .found = raw.found, .list = list_take(arena, &raw, sizeof(struct dns_address), &e)};
    if (err_is(e))
        return e;
    for (size_t i = 0; i < raw.count; i++) {
        struct str rdata = raw.records[i].rdata;
        bool of_type = rdata.n == (type == DNS_A ? 4 : 16);
        if (of_type && dns_address_parse(rdata, addresses_r->list[addresses_r->count].text))
            addresses_r->count++;
    }
    return addresses_r->count ? e : malformed(arena, &addresses_r->found, STR("no address in it"));
}

struct err dns_txt(struct dns_client *client, struct str name, struct arena *arena,
                   struct dns_txts *txts_r)
{
    struct dns_raw raw;
    struct err e = dns_raw(client, name, DNS_TXT, arena, &raw);
    *txts_r = (struct dns_txts){.found = raw.found,
                                .list = list_take(arena, &raw, sizeof(struct dns_txt), &e)};
    if (err_is(e))
        return e;
    for (size_t i = 0; i < raw.count; i++)
        if (!dns_txt_parse(raw.records[i].rdata, arena, &txts_r->list[txts_r->count++]))
            return malformed(arena, &txts_r->found, STR("a malformed TXT record"));
    return e;
}

struct err dns_tlsa(struct dns_client *client, struct str name, struct arena *arena,
                    struct dns_tlsas *tlsas_r)
{
    struct dns_raw raw;
    struct err e = dns_raw(client, name, DNS_TLSA, arena, &raw);
    *tlsas_r = (struct dns_tlsas){.found = raw.found,
                                  .list = list_take(arena, &raw, sizeof(struct dns_tlsa), &e)};
    if (err_is(e))
        return e;
    for (size_t i = 0; i < raw.count; i++)
        if (dns_tlsa_parse(raw.records[i].rdata, &tlsas_r->list[tlsas_r->count]))
            tlsas_r->count++;
        else
            tlsas_r->unusable++;
    return e;
}

struct err dns_ptr(struct dns_client *client, struct str address, struct arena *arena,
                   struct dns_names *names_r)
{
    struct dns_raw raw;
    struct buf name = buf_in(arena, DNS_NAME_MAX);
    *names_r = (struct dns_names){.count = 0};
    if (!dns_reverse(address, str_null(), &name))
        return err_detail(ERR_USAGE, STR("not an IP address"));
    struct err e = dns_raw(client, buf_built(&name), DNS_PTR, arena, &raw);
    *names_r = (struct dns_names){.found = raw.found,
                                  .list = list_take(arena, &raw, sizeof(struct str), &e)};
    if (err_is(e))
        return e;
    for (size_t i = 0; i < raw.count; i++)
        if (dns_ptr_parse(raw.records[i].rdata, arena, &names_r->list[names_r->count]))
            names_r->count++;
    return names_r->count ? e : malformed(arena, &names_r->found, STR("no PTR names a host"));
}
