/*
 * Why messages and not records come out of it: what reads messages (format/dns.h) is then in every
 * test that asks.
 */
#include "sys/fake/dns.h"

#include <arpa/inet.h>

#include "base/must.h"
#include "sys/dns_backend.h"

enum {
    NAME_ROOM = 256,
    MESSAGE_MOST = 65535,
    TYPE_A = 1,
    TYPE_CNAME = 5,
    TYPE_MX = 15,
    TYPE_TXT = 16,
    TYPE_AAAA = 28,
    CLASS_IN = 1,
    NXDOMAIN = 3,
    ANSWER = 0x8180,
    TTL = 300,
    CHAIN_MOST = 64,
};

struct fake_record {
    TAILQ_ENTRY(fake_record) entry;
    char name[NAME_ROOM];
    uint16_t type;
    uint32_t ttl;
    size_t n;
    char rdata[];
};

struct fake_zone {
    TAILQ_ENTRY(fake_zone) entry;
    char name[NAME_ROOM];
    struct fake_behaviour how;
};

struct fake_zones {
    TAILQ_HEAD(, fake_record) records;
    TAILQ_HEAD(, fake_zone) zones;
    uint64_t asked;
};

/* --- Filling --------------------------------------------------------------------------------- */

static void name_copy(char to[NAME_ROOM], struct str name)
{
    must(name.n < NAME_ROOM);
    for (size_t i = 0; i < name.n; i++)
        to[i] = ascii_lower(name.p[i]);
    to[name.n] = '\0';
}

struct fake_zones *fake_zones_open(void)
{
    struct fake_zones *zones = calloc(1, sizeof(*zones));
    must(zones);
    TAILQ_INIT(&zones->records);
    TAILQ_INIT(&zones->zones);
    return zones;
}

void fake_zones_close(struct fake_zones *zones)
{
    struct fake_record *record;
    struct fake_zone *zone;
    while ((record = TAILQ_FIRST(&zones->records))) {
        TAILQ_REMOVE(&zones->records, record, entry);
        free(record);
    }
    while ((zone = TAILQ_FIRST(&zones->zones))) {
        TAILQ_REMOVE(&zones->zones, zone, entry);
        free(zone);
    }
    free(zones);
}

void fake_zones_behave(struct fake_zones *zones, const char *name, struct fake_behaviour how)
{
    struct fake_zone *zone;
    TAILQ_FOREACH (zone, &zones->zones, entry)
        if (str_eq_nocase(str_from(zone->name), str_from(name)))
            break;
    if (!zone) {
        zone = calloc(1, sizeof(*zone));
        must(zone);
        name_copy(zone->name, str_from(name));
        TAILQ_INSERT_TAIL(&zones->zones, zone, entry);
    }
    zone->how = how;
}

void fake_zones_put(struct fake_zones *zones, const char *name, uint16_t type, uint32_t ttl,
                    struct str rdata)
{
    struct fake_record *record = calloc(1, sizeof(*record) + rdata.n + 1);
    must(record);
    name_copy(record->name, str_from(name));
    record->type = type;
    record->ttl = ttl;
    record->n = rdata.n;
    if (rdata.n)
        memcpy(record->rdata, rdata.p, rdata.n);
    TAILQ_INSERT_TAIL(&zones->records, record, entry);
}

static void put16(struct buf *to, unsigned value)
{
    buf_putc(to, (char)(value >> 8));
    buf_putc(to, (char)value);
}

static void name_put(struct buf *to, struct str text)
{
    while (text.n) {
        struct str label = str_cut(&text, '.');
        buf_putc(to, (char)label.n);
        buf_put(to, label);
    }
    buf_putc(to, '\0');
}

void fake_zones_mx(struct fake_zones *zones, const char *name, unsigned preference,
                   const char *host)
{
    struct buf rdata = BUF_INIT(NAME_ROOM + 2);
    put16(&rdata, preference);
    name_put(&rdata, str_from(host));
    fake_zones_put(zones, name, TYPE_MX, TTL, buf_str(&rdata));
    buf_done(&rdata);
}

void fake_zones_address(struct fake_zones *zones, const char *name, const char *address)
{
    char octets[sizeof(struct in6_addr)];
    bool v6 = strchr(address, ':');
    must(inet_pton(v6 ? AF_INET6 : AF_INET, address, octets) == 1);
    fake_zones_put(zones, name, v6 ? TYPE_AAAA : TYPE_A, TTL,
                   str_make(octets, v6 ? sizeof(octets) : sizeof(struct in_addr)));
}

void fake_zones_name(struct fake_zones *zones, const char *name, uint16_t type, const char *target)
{
    struct buf rdata = BUF_INIT(NAME_ROOM);
    name_put(&rdata, str_from(target));
    fake_zones_put(zones, name, type, TTL, buf_str(&rdata));
    buf_done(&rdata);
}

void fake_zones_txt(struct fake_zones *zones, const char *name, const char *text)
{
    struct buf rdata = BUF_INIT(NAME_ROOM);
    buf_putc(&rdata, (char)strlen(text));
    buf_put(&rdata, str_from(text));
    must(!buf_over(&rdata));
    fake_zones_put(zones, name, TYPE_TXT, TTL, buf_str(&rdata));
    buf_done(&rdata);
}

void fake_zones_drop(struct fake_zones *zones, const char *name)
{
    struct fake_record *record = TAILQ_FIRST(&zones->records);
    while (record) {
        struct fake_record *next = TAILQ_NEXT(record, entry);
        if (str_eq_nocase(str_from(record->name), str_from(name))) {
            TAILQ_REMOVE(&zones->records, record, entry);
            free(record);
        }
        record = next;
    }
}

uint64_t fake_zones_asked(const struct fake_zones *zones)
{
    return zones->asked;
}

/* --- Answering ------------------------------------------------------------------------------- */

struct fake_dns {
    struct dns dns; /* first */
    struct fake_zones *zones;
};

/* A question whose answer waits. */
struct fake_wait {
    struct timer timer;
    struct dns_question *question;
    struct fake_behaviour how;
};

static bool lies_in(struct str name, struct str zone)
{
    return zone.n == 0 || str_eq_nocase(name, zone) ||
           (name.n > zone.n && str_ends_nocase(name, zone) && name.p[name.n - zone.n - 1] == '.');
}

static struct fake_behaviour behaviour(const struct fake_zones *zones, struct str name)
{
    const struct fake_zone *zone, *best = NULL;
    TAILQ_FOREACH (zone, &zones->zones, entry)
        if (lies_in(name, str_from(zone->name)) &&
            (!best || strlen(zone->name) > strlen(best->name)))
            best = zone;
    return best ? best->how : (struct fake_behaviour){.verdict = DNS_INSECURE};
}

static bool exists(const struct fake_zones *zones, struct str name)
{
    const struct fake_record *record;
    TAILQ_FOREACH (record, &zones->records, entry)
        if (lies_in(str_from(record->name), name))
            return true;
    return false;
}

static void record_put(struct buf *to, const struct fake_record *record)
{
    name_put(to, str_from(record->name));
    put16(to, record->type);
    put16(to, CLASS_IN);
    put16(to, record->ttl >> 16);
    put16(to, record->ttl & 0xffff);
    put16(to, (unsigned)record->n);
    buf_put(to, str_make(record->rdata, record->n));
}

/* Those of a name; its CNAME where that leads on, whose target is *name_r then. */
static unsigned records_put(const struct fake_zones *zones, uint16_t type, char name[NAME_ROOM],
                            bool *on_r, struct buf *to)
{
    const struct fake_record *record, *alias = NULL;
    unsigned count = 0;
    TAILQ_FOREACH (record, &zones->records, entry) {
        if (strcmp(record->name, name) != 0)
            continue;
        if (record->type == type) {
            record_put(to, record);
            count++;
        } else if (record->type == TYPE_CNAME) {
            alias = record;
        }
    }
    *on_r = alias && !count;
    if (!*on_r)
        return count;
    record_put(to, alias);
    size_t n = 0;
    for (size_t at = 0; at < alias->n && alias->rdata[at];) {
        size_t label = (unsigned char)alias->rdata[at++];
        if (n)
            name[n++] = '.';
        memcpy(name + n, alias->rdata + at, label);
        n += label;
        at += label;
    }
    name[n] = '\0';
    return 1;
}

static void message_put(const struct fake_zones *zones, const struct dns_question *question,
                        struct buf *to)
{
    struct buf answers = BUF_INIT(MESSAGE_MOST);
    struct fake_behaviour how = behaviour(zones, question->name);
    char name[NAME_ROOM];
    unsigned count = 0;
    bool on = how.rcode == 0;
    name_copy(name, question->name);
    for (unsigned links = 0; on && links < CHAIN_MOST; links++)
        count += records_put(zones, question->type, name, &on, &answers);
    put16(to, 0);
    put16(to, ANSWER | (how.rcode ? how.rcode : exists(zones, str_from(name)) ? 0u : NXDOMAIN));
    put16(to, 1);
    put16(to, count);
    put16(to, 0);
    put16(to, 0);
    name_put(to, question->name);
    put16(to, question->type);
    put16(to, CLASS_IN);
    buf_put(to, buf_str(&answers));
    buf_done(&answers);
}

static void answer(struct fake_dns *fake, struct dns_question *question, struct fake_behaviour how)
{
    struct buf message = BUF_INIT(MESSAGE_MOST);
    struct dns_reply reply = {.verdict = how.verdict};
    if (how.failing) {
        dns_answered(question, err_detail(ERR_DNS_FAILED, STR("no server gave an answer")), NULL);
        return;
    }
    message_put(fake->zones, question, &message);
    must(!buf_over(&message));
    if (how.verdict == DNS_BOGUS)
        reply.why = STR("a signature that is none");
    else
        reply.message = how.octets ? *how.octets : buf_str(&message);
    dns_answered(question, err_none(), &reply);
    buf_done(&message);
}

static void time_came(struct timer *timer)
{
    struct fake_wait *wait = timer->arg;
    struct dns_question *question = wait->question;
    struct fake_behaviour how = wait->how;
    question->backend = NULL;
    free(wait);
    answer((struct fake_dns *)question->dns, question, how);
}

static struct err fake_ask(struct dns *dns, struct dns_question *question)
{
    struct fake_dns *fake = (struct fake_dns *)dns;
    struct fake_behaviour how = behaviour(fake->zones, question->name);
    fake->zones->asked++;
    question->backend = NULL;
    if (how.delay) {
        struct fake_wait *wait = calloc(1, sizeof(*wait));
        must(wait);
        *wait = (struct fake_wait){.question = question, .how = how};
        wait->timer = (struct timer){.run = time_came, .arg = wait};
        question->backend = wait;
        timer_set(dns->loop, &wait->timer, dns->loop->now + how.delay);
    } else if (!how.silent) {
        answer(fake, question, how);
    }
    return err_none();
}

static void fake_cancel(struct dns *dns, struct dns_question *question)
{
    struct fake_wait *wait = question->backend;
    if (!wait)
        return;
    timer_clear(dns->loop, &wait->timer);
    free(wait);
    question->backend = NULL;
}

static void fake_close(struct dns *dns)
{
    free(dns);
}

struct dns *fake_dns_open(struct fake_zones *zones, struct loop *loop, int64_t limit, size_t most)
{
    static const struct dns_backend backend = {
        .ask = fake_ask, .cancel = fake_cancel, .close = fake_close};
    struct fake_dns *fake = calloc(1, sizeof(*fake));
    must(fake);
    dns_init(&fake->dns, &backend, loop, limit, most);
    fake->zones = zones;
    return &fake->dns;
}
