#include "edge/smtp/dns_stage_test.h"

#include "base/must.h"

enum {
    UNDER_WAY = 500,
    RECORDS_ARENA = 1 << 20,
};

/* One question on its way. */
struct asked {
    LIST_ENTRY(asked) link;
    struct dns_question dns;
    struct dns_stage *stage;
    uint32_t call;
    char name[DNS_NAME_MAX + 1];
};

static void answer_send(struct asked *asked, struct msg_dns_answer answer)
{
    struct msg msg = {.kind = MSG_dns_answer, .dns_answer = answer};
    msg_set_call(&msg, asked->call);
    if (asked->stage->up)
        (void)link_send(&asked->stage->link, &msg);
    LIST_REMOVE(asked, link);
    free(asked);
}

static void answered(struct dns_question *question, struct err e, const struct dns_reply *reply)
{
    struct asked *asked = question->arg;
    struct dns_answer read;
    struct arena arena;
    struct msg_dns_answer answer = {.error = (uint16_t)e.code};
    arena_init(&arena, RECORDS_ARENA);
    if (!err_is(e) && reply->verdict != DNS_BOGUS) {
        must(!err_is(
            dns_answer_parse(reply->message, question->name, question->type, &arena, &read)));
        struct msg_dns_record *records =
            arena_take_array(&arena, read.count, sizeof(struct msg_dns_record));
        for (size_t i = 0; i < read.count; i++)
            records[i].rdata = read.records[i].rdata;
        answer = (struct msg_dns_answer){.rcode = (uint16_t)read.rcode,
                                         .ttl = read.ttl,
                                         .canonical = read.canonical,
                                         .records = records,
                                         .records_count = read.count};
    }
    if (!err_is(e))
        answer.verdict = (uint8_t)reply->verdict;
    answer_send(asked, answer);
    arena_done(&arena);
}

static void got(struct link *link, const struct msg *msg, int passed)
{
    struct dns_stage *stage = link->arg;
    must(passed < 0 && msg->kind == MSG_dns_ask && msg->dns_ask.name.n <= DNS_NAME_MAX);
    struct asked *asked = calloc(1, sizeof *asked);
    must(asked);
    LIST_INSERT_HEAD(&stage->asked, asked, link);
    memcpy(asked->name, msg->dns_ask.name.p, msg->dns_ask.name.n);
    asked->stage = stage;
    asked->call = msg->dns_ask.call;
    asked->dns = (struct dns_question){
        .name = str_from(asked->name), .type = msg->dns_ask.type, .done = answered, .arg = asked};
    dns_ask(stage->dns, &asked->dns);
}

static void ended(struct link *link, struct err why)
{
    struct dns_stage *stage = link->arg;
    (void)why;
    stage->up = false;
    link_done(link);
}

void dns_stage_open(struct dns_stage *dns, struct stage *stage)
{
    static const struct link_owner owner = {.got = got, .ended = ended};
    int pair[2];
    *dns = (struct dns_stage){.zones = fake_zones_open()};
    LIST_INIT(&dns->asked);
    dns->role = fake_role_open(stage->fake, "resolver");
    fake_packet_pair(stage->fake, dns->role, stage->edge_role, pair);
    fake_role_enter(stage->fake, dns->role);
    must(loop_init(&dns->loop, &stage->fake->world) == 0);
    dns->dns = fake_dns_open(dns->zones, &dns->loop, 20 * NS_PER_SECOND, UNDER_WAY);
    must(link_init(&dns->link, &dns->loop, pair[0], ROLE_RESOLVER, stage->role, &owner, dns) == 0);
    dns->up = true;
    fake_role_enter(stage->fake, stage->edge_role);
    must(!err_is(dns_client_attach(&stage->edge.dns, pair[1])));
    fake_role_enter(stage->fake, 0);
}

static void role_close(void *arg)
{
    struct dns_stage *dns = arg;
    struct asked *asked;
    if (dns->up)
        link_done(&dns->link);
    dns->up = false;
    dns_close(dns->dns); /* what was asked and not answered is so no more */
    while ((asked = LIST_FIRST(&dns->asked))) {
        LIST_REMOVE(asked, link);
        free(asked);
    }
    loop_done(&dns->loop);
}

void dns_stage_close(struct dns_stage *dns, struct stage *stage)
{
    stage_close_with(stage, dns->role, role_close, dns);
    fake_zones_close(dns->zones);
}

/* --- Lines ----------------------------------------------------------------------------------- */

static void behave(struct dns_stage *dns, const char *name, struct str word, struct str rest)
{
    uint64_t seconds = 0;
    struct fake_behaviour how = {.silent = str_eq(word, STR("SILENT")),
                                 .failing = str_eq(word, STR("FAILS"))};
    if (str_eq(word, STR("BOGUS")))
        how.verdict = DNS_BOGUS;
    if (str_eq(word, STR("SLOW")) && str_to_u64(rest, &seconds))
        how.delay = (int64_t)seconds * NS_PER_SECOND;
    must(how.silent || how.failing || how.verdict || how.delay);
    fake_zones_behave(dns->zones, name, how);
}

static void name_of(struct str text, struct buf *to)
{
    if (!dns_reverse(text, str_null(), to))
        buf_put(to, text);
    buf_putc(to, 0);
}

void dns_stage_add(struct dns_stage *dns, struct str line)
{
    char name_room[DNS_NAME_MAX + 2], value[512] = {0};
    struct buf name = {.p = name_room, .cap = sizeof name_room, .max = sizeof name_room};
    name_of(str_cut(&line, ' '), &name);
    struct str type = str_cut(&line, ' ');
    must(line.n < sizeof value);
    memcpy(value, line.p ? line.p : "", line.n);
    uint64_t preference;
    if (str_eq(type, STR("A")) || str_eq(type, STR("AAAA"))) {
        fake_zones_address(dns->zones, name_room, value);
    } else if (str_eq(type, STR("PTR")) || str_eq(type, STR("CNAME"))) {
        fake_zones_name(dns->zones, name_room, type.p[0] == 'P' ? DNS_PTR : DNS_CNAME, value);
    } else if (str_eq(type, STR("TXT"))) {
        fake_zones_txt(dns->zones, name_room, value);
    } else if (str_eq(type, STR("MX"))) {
        must(str_to_u64(str_cut(&line, ' '), &preference));
        const char *host = strchr(value, ' ') + 1;
        fake_zones_mx(dns->zones, name_room, (unsigned)preference,
                      strcmp(host, ".") == 0 ? "" : host);
    } else {
        behave(dns, name_room, type, line);
    }
}
