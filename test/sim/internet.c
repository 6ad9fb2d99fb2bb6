/*
 * Names end in .test; addresses are those for documents. A site that takes what is not its domain's
 * is a site that mail went astray to.
 */
#include "internet.h"

#include "base/hash.h"
#include "base/must.h"
#include "format/dns.h"
#include "format/message_id.h"
#include "policies.h"
#include "seeded_tls.h"
#include "sim.h"

enum {
    GREY_LEAST = 50, /* seconds before it is taken */
    NAME_MOST = 100,
    TLSA_LIFE = 300, /* seconds */
};

#define SOUND 0

static const struct site_row rows[SITES] = {
    {"mx1.good.test", "203.0.113.1", "2001:db8:1::1", "good.test", QUIRK_TLS | QUIRK_WRONG},
    {"mx2.good.test", "203.0.113.2", NULL, "good.test", SOUND},
    {"mx.grey.test", "203.0.113.3", "2001:db8:1::3", "grey.test", QUIRK_GREY | QUIRK_TLS},
    {"mx1.dead.test", "203.0.113.4", "2001:db8:1::4", "dead.test", QUIRK_REFUSES},
    {"mx2.dead.test", "203.0.113.5", "2001:db8:1::5", "dead.test", QUIRK_SILENT},
    {"mx.tarpit.test", "203.0.113.6", NULL, "tarpit.test", QUIRK_DRIPS | QUIRK_VARIES},
    {"mx.reset.test", "203.0.113.7", "2001:db8:1::7", "reset.test",
     QUIRK_RESETS | QUIRK_VARIES | QUIRK_TLS | QUIRK_TLS_FAILS},
    {"mx.closing.test", "203.0.113.8", NULL, "closing.test",
     QUIRK_CLOSES | QUIRK_TLS | QUIRK_TLS_OLD | QUIRK_TLS_FAILS},
    {"mx.mixed.test", "203.0.113.9", "2001:db8:1::9", "mixed.test",
     QUIRK_MIXED | QUIRK_TLS | QUIRK_FORGED},
    {"mx.limit.test", "203.0.113.10", NULL, "limit.test", QUIRK_LIMITS | QUIRK_CLOSES | QUIRK_TLS},
    {"mx1.liar.test", "203.0.113.11", NULL, "liar.test", QUIRK_LIES},
    {"mx2.liar.test", "203.0.113.12", NULL, "liar.test", QUIRK_LIES | QUIRK_DEAF},
    {"mx.old.test", "203.0.113.13", NULL, "old.test", QUIRK_OLD | QUIRK_RESETS},
    {"mx.small.test", "203.0.113.14", "2001:db8:1::14", "small.test",
     QUIRK_SMALL | QUIRK_TLS | QUIRK_TLS_OLD},
    {"mx.garbage.test", "203.0.113.15", NULL, "garbage.test", QUIRK_GARBAGE | QUIRK_DEAF},
    {"mx.bogus.test", "203.0.113.16", NULL, "bogus.test", SOUND},
    {"host.alias.test", "203.0.113.17", "2001:db8:1::17", "alias.test", QUIRK_VARIES},
    {"mx.sender.test", "203.0.113.18", "2001:db8:1::18", "sender.test",
     QUIRK_RETURNS | QUIRK_RESETS | QUIRK_TLS | QUIRK_TLS_FAILS},
    {"mx.inside.test", "127.0.0.1", NULL, "inside.test", QUIRK_FORBIDDEN},
    {"mx.inside.test", "169.254.7.7", NULL, "inside.test", QUIRK_FORBIDDEN},
    {"mx1.dane.test", "203.0.113.19", "2001:db8:1::19", "dane.test", QUIRK_TLS | QUIRK_WRONG,
     POLICY_DANE_EE},
    {"mx2.dane.test", "203.0.113.20", NULL, "dane.test", QUIRK_TLS, POLICY_DANE_EE},
    {"mx.wrong.test", "203.0.113.21", NULL, "wrong.test", QUIRK_TLS | QUIRK_WRONG, POLICY_DANE_EE},
    {"mx.forged.test", "203.0.113.22", "2001:db8:1::22", "forged.test",
     QUIRK_TLS | QUIRK_TLS_FAILS | QUIRK_FORGED, POLICY_DANE_TA},
    {"mx.clumsy.test", "203.0.113.23", NULL, "clumsy.test", QUIRK_TLS | QUIRK_CLUMSY},
    {"mx.strict.test", "203.0.113.24", "2001:db8:1::24", "strict.test",
     QUIRK_TLS | QUIRK_TLS_OLD | QUIRK_TLS_FAILS | QUIRK_FORGED, POLICY_STS},
    {"mx1.sts.test", "203.0.113.25", NULL, "sts.test", QUIRK_TLS, POLICY_STS_ANOTHER},
    {"mx2.sts.test", "203.0.113.26", NULL, "sts.test", QUIRK_TLS, POLICY_STS},
    {"relay.smart.test", "203.0.113.40", "2001:db8:1::40", "*", SOUND},
    {"relay.tight.test", "203.0.113.41", NULL, "*", SOUND},
    {"first.smart.test", "203.0.113.42", NULL, "*", QUIRK_REFUSES},
    {"second.smart.test", "203.0.113.43", "2001:db8:1::43", "*", SOUND},
};

static struct sim *sim_of(const struct internet *internet)
{
    return internet->sim;
}

/* --- Names ----------------------------------------------------------------------------------- */

static void zones_fill(struct internet *internet)
{
    struct fake_zones *zones = internet->zones;
    for (size_t i = 0; i < SITES; i++) {
        const struct site_row *row = &rows[i];
        fake_zones_address(zones, row->name, row->v4);
        if (row->v6)
            fake_zones_address(zones, row->name, row->v6);
        if (!str_eq(str_from(row->domain), STR("alias.test")) &&
            !str_eq(str_from(row->domain), STR("*")))
            fake_zones_mx(zones, row->domain, 10 * (1 + (unsigned)i % 2), row->name);
    }
    fake_zones_mx(zones, "bogus.test", 5, "nowhere.bogus.test"); /* has no address */
    fake_zones_mx(zones, "null.test", 0, "");
    fake_zones_name(zones, "alias.test", DNS_CNAME, "host.alias.test");
}

/* Where there are TLSA records the whole domain is signed. */
static void tlsa_put(struct internet *internet, const struct site *site)
{
    char name[NAME_MOST];
    struct buf record = BUF_INIT(PAPERS_TLSA_MAX);
    must((size_t)snprintf(name, sizeof(name), "_25._tcp.%s", site->row->name) < sizeof(name));
    if (site->row->policy == POLICY_DANE_EE)
        papers_tlsa_own(site->shown, &record);
    else
        papers_tlsa_authority(&internet->papers, &record);
    fake_zones_put(internet->zones, name, DNS_TLSA, TLSA_LIFE, buf_str(&record));
    fake_zones_behave(internet->zones, site->row->domain,
                      (struct fake_behaviour){.verdict = DNS_SECURE});
    buf_done(&record);
}

/* Nobody can say whether there are TLSA records. */
static void records_trouble(struct internet *internet)
{
    struct fake_behaviour how = {.verdict = DNS_SECURE, .delay = NS_PER_SECOND};
    uint64_t kind = fake_random_below(&internet->random, 6);
    how.silent = kind == 0;
    how.failing = kind == 1;
    how.verdict = kind == 2 ? DNS_BOGUS : DNS_SECURE;
    how.rcode = kind == 3 ? DNS_SERVFAIL : 0;
    fake_zones_behave(internet->zones, "_tcp.mx.forged.test", how);
}

/* The DNS of one domain is out of order, in one of these ways. */
static void zones_trouble(struct internet *internet)
{
    struct fake_behaviour how = {.delay = NS_PER_SECOND};
    uint64_t kind = fake_random_below(&internet->random, 4);
    how.silent = kind == 0;
    how.failing = kind == 1;
    how.verdict = kind == 2 ? DNS_BOGUS : DNS_INSECURE;
    how.rcode = kind == 3 ? DNS_SERVFAIL : 0;
    fake_zones_behave(internet->zones, "bogus.test", how);
    records_trouble(internet);
}

/* --- Opening, healing ------------------------------------------------------------------------ */

static void ways_set(struct site *site)
{
    enum fake_host_way way = FAKE_HOST_ANSWERS;
    if (site->quirks & QUIRK_REFUSES)
        way = FAKE_HOST_REFUSES;
    else if (site->quirks & QUIRK_SILENT)
        way = FAKE_HOST_SILENT;
    site->v4.way = site->v6.way = way;
}

static struct fake_host fake_host_of(struct site *site, const char *address)
{
    return (struct fake_host){.address = address, .called = site_called, .arg = site};
}

static void site_open(struct internet *internet, size_t i)
{
    struct fake_world *fake = sim_of(internet)->fake;
    struct site *site = &internet->sites[i];
    *site = (struct site){.internet = internet, .row = &rows[i], .quirks = rows[i].quirks};
    site->v4 = fake_host_of(site, site->row->v4);
    fake_host_add(fake, &site->v4);
    if (site->row->v6) {
        site->v6 = fake_host_of(site, site->row->v6);
        fake_host_add(fake, &site->v6);
    }
    ways_set(site);
    if (!(site->quirks & QUIRK_TLS))
        return;
    site->shown = papers_issue(&internet->papers, site->row->name, site->quirks & QUIRK_TLS_OLD);
    if (site->row->policy == POLICY_DANE_EE || site->row->policy == POLICY_DANE_TA)
        tlsa_put(internet, site);
}

void internet_open(struct internet *internet, struct sim *sim)
{
    *internet = (struct internet){.sim = sim, .zones = fake_zones_open()};
    LIST_INIT(&internet->calls);
    fake_world_random(sim->fake, "internet", &internet->random);
    seeded_tls_begin(sim->fake);
    papers_open(&internet->papers);
    zones_fill(internet);
    policies_publish(internet->zones);
    zones_trouble(internet);
    for (size_t i = 0; i < SITES; i++)
        site_open(internet, i);
}

void internet_heal(struct internet *internet)
{
    bool stays_dead = fake_random_below(&internet->random, 3) == 0;
    internet->healed = true;
    internet->healed_at = sim_now(internet->sim);
    fake_zones_behave(internet->zones, "bogus.test", (struct fake_behaviour){.delay = 0});
    fake_zones_behave(internet->zones, "_tcp.mx.forged.test",
                      (struct fake_behaviour){.verdict = DNS_SECURE});
    for (size_t i = 0; i < SITES; i++) {
        struct site *site = &internet->sites[i];
        if (stays_dead && str_eq(str_from(site->row->domain), STR("dead.test")))
            continue;
        site->quirks &= QUIRKS_LASTING;
        ways_set(site);
    }
}

void internet_close(struct internet *internet)
{
    site_calls_end(internet);
    papers_close(&internet->papers);
    for (size_t i = 0; i < SITES; i++) {
        SSL_CTX_free(internet->sites[i].shown);
        fake_host_remove(&internet->sites[i].v4);
        if (internet->sites[i].row->v6)
            fake_host_remove(&internet->sites[i].v6);
    }
    for (size_t i = 0; i < internet->ledger_count; i++) {
        free(internet->ledger[i]->recipients);
        free(internet->ledger[i]);
    }
    free(internet->ledger);
    free(internet->greys);
}

/* --- Grey lists ------------------------------------------------------------------------------ */

bool internet_greys(struct internet *internet, const struct site *site, struct str from,
                    struct str to)
{
    uint64_t who =
        fake_mix_bytes(fake_mix_bytes(fake_mix(1, (uint64_t)(site - internet->sites)), from), to);
    int64_t now = sim_now(internet->sim);
    for (size_t i = 0; i < internet->grey_count; i++)
        if (internet->greys[i].who == who)
            return now < internet->greys[i].since + GREY_LEAST * NS_PER_SECOND;
    if (internet->grey_count == internet->grey_room) {
        internet->grey_room = internet->grey_room ? 2 * internet->grey_room : 64;
        internet->greys = realloc(internet->greys, internet->grey_room * sizeof(struct grey));
        must(internet->greys);
    }
    internet->greys[internet->grey_count++] = (struct grey){who, now};
    return true;
}

/* --- The ledger ------------------------------------------------------------------------------ */

bool ledger_courier_died(const struct internet *internet, const struct ledger_row *row)
{
    return internet->sim->house.roles[row->courier].deaths != row->courier_deaths;
}

bool ledger_core_died(const struct internet *internet, const struct ledger_row *row)
{
    return internet->sim->house.roles[HOUSE_CORE].deaths != row->core_deaths;
}

bool ledger_row_has(const struct ledger_row *row, struct str recipient)
{
    for (size_t i = 0; i < row->recipient_count; i++)
        if (str_eq(str_from(row->recipients[i]), recipient))
            return true;
    return false;
}

static enum house_slot courier_of(const struct house *house, int role)
{
    for (enum house_slot slot = HOUSE_COURIER_1; slot < HOUSE_RESOLVER; slot++)
        if (house->roles[slot].role == role)
            return slot;
    return HOUSE_COURIER_1;
}

static struct ledger_row *row_new(struct internet *internet, const struct site *site, int role)
{
    const struct house *house = &internet->sim->house;
    if (internet->ledger_count == internet->ledger_room) {
        internet->ledger_room = internet->ledger_room ? 2 * internet->ledger_room : 64;
        internet->ledger =
            realloc(internet->ledger, internet->ledger_room * sizeof(internet->ledger[0]));
        must(internet->ledger);
    }
    struct ledger_row *row = calloc(1, sizeof(*row));
    must(row);
    enum house_slot courier = courier_of(house, role);
    *row = (struct ledger_row){.site = site,
                               .at = sim_now(internet->sim),
                               .courier = courier,
                               .courier_deaths = house->roles[courier].deaths,
                               .core_deaths = house->roles[HOUSE_CORE].deaths,
                               .courier_died_at = house->roles[courier].died_at};
    internet->ledger[internet->ledger_count++] = row;
    return row;
}

struct ledger_row *ledger_add(struct internet *internet, const struct site *site, struct str from,
                              char (*to)[SITE_ADDRESS_MAX], size_t to_count, struct str content,
                              bool by, int role)
{
    struct sim *sim = internet->sim;
    struct ledger_row *row = row_new(internet, site, role);
    row->recipients = calloc(to_count, SITE_ADDRESS_MAX);
    must(row->recipients);
    memcpy(row->recipients, to, to_count * SITE_ADDRESS_MAX);
    must(from.n < sizeof(row->from));
    memcpy(row->from, from.p, from.n);
    row->recipient_count = to_count;
    internet->taken++;
    weather_at_taken(&sim->weather);
    if (returns_is_report(content)) {
        row->message = returns_id(content);
        returns_read(&sim->returns, content, -1);
        if (from.n)
            oracle_wrong(&sim->oracle, "a report leaves with the sender <%.*s>", STR_FMT(from));
    } else {
        row->message = oracle_relayed(&sim->oracle, content, by, &row->letter);
        if (!from.n)
            oracle_wrong(&sim->oracle, "a letter leaves without a sender");
    }
    struct str domain = str_from(to[0]);
    (void)str_cut(&domain, '@');
    row->began = house_job_began(&sim->house, (enum house_slot)row->courier, row->message, domain);
    sim_say(sim, "site %s: takes %zu octets for %zu, of letter %llu", site->row->name, content.n,
            to_count, row->letter ? (unsigned long long)row->letter->number : 0);
    return row;
}
