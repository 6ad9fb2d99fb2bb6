#include "courier/stage_test.h"

#include "base/test.h"
#include "courier/sessions.h"
#include "format/dns.h"
#include "sys/dns.h"

enum {
    CONF_MAX = 4 << 20,
    FIBERS = 512,
    STOP = 60, /* seconds within which all is over */
};

/* --- Core ------------------------------------------------------------------------------------ */

static void core_answer(struct stage_core *core, struct msg *msg, uint32_t call)
{
    msg_set_call(msg, call);
    must(!err_is(link_send(&core->link, msg)));
}

static void welcome(struct stage_core *core)
{
    struct msg msg = {.kind = MSG_welcome, .welcome = {.slabs = STAGE_SLABS}};
    must(!err_is(link_send_handle(&core->link, &msg, core->pool)));
}

static void fetched(struct stage_core *core, const struct msg_job_fetch *asked)
{
    struct msg msg = {.kind = MSG_job_fetched};
    struct str left = str_from_index(buf_str(&core->body), asked->offset);
    core->fetches++;
    if (core->mute)
        return;
    if (core->half && left.n > 1)
        left = str_head(left, (left.n + 1) / 2);
    if (core->forgot)
        msg.job_fetched.error = ERR_NOT_FOUND;
    for (size_t i = 0; i < asked->slabs_count && !core->forgot; i++) {
        struct str here = str_head(left, asked->slabs[i].length);
        if (here.n)
            memcpy(core->slabs + (size_t)asked->slabs[i].index * SLAB_SIZE, here.p, here.n);
        msg.job_fetched.octets += here.n;
        left = str_from_index(left, here.n);
    }
    core_answer(core, &msg, asked->call);
}

static const char *const verdicts[JOB_VERDICTS] = {
    [JOB_NOT_TRIED] = "not_tried",
    [JOB_SENT] = "sent",
    [JOB_LATER] = "later",
    [JOB_FAILED] = "failed",
};

/* Text for people, in one line. */
static void check_clean(struct str text)
{
    must(str_is_utf8(text) && text.n <= 512);
    for (size_t i = 0; i < text.n; i++)
        must((unsigned char)text.p[i] >= 0x20 && text.p[i] != 0x7f);
}

static void session(struct stage_core *core, const struct msg_tls_session *session)
{
    static const char *const types[TLS_REPORT_POLICY_TYPES] = {"none", "dane", "sts"};
    struct str lines = session->lines;
    must(session->policy < TLS_REPORT_POLICY_TYPES && session->result < TLS_RESULTS);
    must(lines.n <= SESSION_LINES_MAX && session->reason.n <= SESSION_REASON_MAX);
    must(session->domain.n > 0 && (session->result == TLS_RESULT_OK) == (session->mx.n == 0));
    check_clean(session->reason);
    if (!core->counts)
        return;
    buf_printf(&core->said, "session %s %.*s ", types[session->policy], STR_FMT(session->domain));
    if (session->result == TLS_RESULT_OK)
        buf_put(&core->said, STR("ok |"));
    else
        buf_printf(&core->said, "%.*s %.*s %.*s %.*s %.*s |",
                   STR_FMT(tls_result_word(session->result)), STR_FMT(session->mx),
                   STR_FMT(session->sending), STR_FMT(session->receiving),
                   STR_FMT(session->reason));
    while (lines.n > 0) {
        struct str line = str_cut(&lines, '\n');
        buf_printf(&core->said, " %.*s;", STR_FMT(line));
    }
    buf_putc(&core->said, '\n');
}

static void over(struct stage_core *core, const struct msg_job_over *over)
{
    struct msg msg = {.kind = MSG_job_recorded, .job_recorded = {.job = over->job}};
    core->overs++;
    core->dotted += over->dotted;
    buf_printf(&core->said, "over %llu trouble=%u dotted=%u reports=%u host=%.*s\n",
               (unsigned long long)over->job, over->trouble, over->dotted, over->reports,
               STR_FMT(over->host));
    for (size_t i = 0; i < over->results_count; i++) {
        const struct msg_job_result *result = &over->results[i];
        must(result->verdict < JOB_VERDICTS);
        core->sent += result->verdict == JOB_SENT;
        check_clean(result->text);
        check_clean(result->status);
        buf_printf(&core->said, "result %u %s %u %.*s %.*s\n", result->number,
                   verdicts[result->verdict], result->code, STR_FMT(result->status),
                   STR_FMT(result->text));
    }
    for (size_t i = 0; i < over->sessions_count; i++)
        session(core, &over->sessions[i]);
    if (!core->keeps_nothing)
        must(!err_is(link_send(&core->link, &msg)));
}

static void names(struct stage_core *core, const struct msg_jobs *jobs)
{
    buf_put(&core->said, STR("jobs"));
    for (size_t i = 0; i < jobs->names_count; i++)
        buf_printf(&core->said, " %llu%s", (unsigned long long)jobs->names[i].job,
                   jobs->names[i].dotted ? "(dotted)" : "");
    buf_putc(&core->said, '\n');
}

static void learned(struct stage_core *core, const struct msg_sts_learned *said)
{
    struct str policy = said->policy;
    buf_printf(&core->said, "sts %.*s %.*s age=%llu", STR_FMT(said->domain), STR_FMT(said->id),
               (unsigned long long)(said->until - said->fetched));
    while (policy.n > 0) {
        struct str line = str_cut(&policy, '\n');
        buf_printf(&core->said, " %.*s;", STR_FMT(line));
    }
    buf_putc(&core->said, '\n');
}

static void core_got(struct link *link, const struct msg *msg, int passed)
{
    struct stage_core *core = link->arg;
    must(passed < 0);
    if (msg->kind == MSG_hello) {
        welcome(core);
    } else if (msg->kind == MSG_jobs) {
        names(core, &msg->jobs);
    } else if (msg->kind == MSG_job_fetch) {
        fetched(core, &msg->job_fetch);
    } else if (msg->kind == MSG_job_dot) {
        core->dots++;
        buf_printf(&core->said, "dot %llu\n", (unsigned long long)msg->job_dot.job);
    } else if (msg->kind == MSG_collection_ended) {
        buf_printf(&core->said, "collection_ended %llu\n",
                   (unsigned long long)msg->collection_ended.collection);
    } else if (msg->kind == MSG_sts_learned) {
        learned(core, &msg->sts_learned);
    } else {
        must(msg->kind == MSG_job_over);
        over(core, &msg->job_over);
    }
}

static void core_die(struct stage *stage)
{
    struct stage_core *core = &stage->core;
    if (!core->up)
        return;
    core->up = false;
    link_done(&core->link);
    stage->fake->world.ops->shm_unmap(&stage->fake->world, core->slabs,
                                      (size_t)STAGE_SLABS * SLAB_SIZE);
    stage->fake->world.ops->close(&stage->fake->world, core->pool);
}

static void core_ended(struct link *link, struct err why)
{
    struct stage_core *core = link->arg;
    (void)why;
    core_die((struct stage *)((char *)core - offsetof(struct stage, core)));
}

void stage_core_start(struct stage *stage)
{
    static const struct link_owner owner = {.got = core_got, .ended = core_ended};
    struct stage_core *core = &stage->core;
    struct world *world = &stage->fake->world;
    int pair[2];
    fake_packet_pair(stage->fake, core->role, stage->role, pair);
    fake_role_enter(stage->fake, core->role);
    core->pool = world->ops->shm_create(world, (size_t)STAGE_SLABS * SLAB_SIZE);
    core->slabs = world->ops->shm_map(world, core->pool, (size_t)STAGE_SLABS * SLAB_SIZE);
    must(core->pool >= 0 && core->slabs);
    must(link_init(&core->link, &core->loop, pair[0], ROLE_CORE, ROLE_COURIER, &owner, core) == 0);
    core->up = true;
    fake_role_enter(stage->fake, stage->role);
    must(!err_is(courier_core_attach(&stage->courier, pair[1])));
    fake_role_enter(stage->fake, 0);
    stage_settle(stage);
}

void stage_core_die(struct stage *stage)
{
    fake_role_enter(stage->fake, stage->core.role);
    core_die(stage);
    fake_role_enter(stage->fake, 0);
    stage_settle(stage);
}

void stage_core_tell(struct stage *stage, const struct msg *msg)
{
    fake_role_enter(stage->fake, stage->core.role);
    must(!err_is(link_send(&stage->core.link, msg)));
    fake_role_enter(stage->fake, 0);
    stage_settle(stage);
}

void stage_order(struct stage *stage, struct msg_job *job)
{
    struct msg msg = {.kind = MSG_job, .job = *job};
    msg.job.size = stage->core.body.n;
    stage_core_tell(stage, &msg);
}

/* --- The resolver ---------------------------------------------------------------------------- */

static struct stage_name *name_find(struct stage_resolver *resolver, struct str name, uint16_t type,
                                    bool *exists_r)
{
    struct stage_name *found = NULL;
    for (size_t i = 0; i < resolver->count; i++) {
        struct stage_name *other = &resolver->names[i];
        if (!str_eq_nocase(str_from(other->name), name))
            continue;
        *exists_r = true;
        if (other->type == type)
            found = other;
    }
    return found;
}

/* A zone proves what is not there as it proves what is. */
static bool is_secure(const struct stage_resolver *resolver, struct str name,
                      const struct stage_name *found)
{
    for (size_t i = 0; !found && i < resolver->count; i++)
        if (resolver->names[i].secure && str_eq_nocase(str_from(resolver->names[i].name), name))
            return true;
    return found && found->secure;
}

static struct stage_name *name_of(struct stage_resolver *resolver, struct str name, uint16_t type,
                                  struct msg_dns_answer *answer)
{
    bool exists = false;
    struct stage_name *found = name_find(resolver, name, type, &exists);
    struct stage_name *alias = found ? NULL : name_find(resolver, name, DNS_CNAME, &exists);
    answer->verdict = DNS_INSECURE;
    if (alias) {
        answer->canonical = str_from(alias->target);
        found = name_find(resolver, answer->canonical, type, &exists);
    }
    if (is_secure(resolver, answer->canonical, found) && (!alias || alias->secure))
        answer->verdict = DNS_SECURE;
    answer->rcode = exists ? DNS_NOERROR : DNS_NXDOMAIN;
    return found;
}

static void resolver_got(struct link *link, const struct msg *asked, int passed)
{
    struct stage_resolver *resolver = link->arg;
    must(passed < 0 && asked->kind == MSG_dns_ask);
    struct msg_dns_record records[8];
    struct msg msg = {
        .kind = MSG_dns_answer,
        .dns_answer = {.records = records, .ttl = 60, .canonical = asked->dns_ask.name}};
    struct stage_name *name =
        name_of(resolver, asked->dns_ask.name, asked->dns_ask.type, &msg.dns_answer);
    resolver->asked++;
    if (name && name->fails)
        msg.dns_answer = (struct msg_dns_answer){.error = ERR_DNS_FAILED, .why = STR("by rule")};
    if (name && name->bogus)
        msg.dns_answer = (struct msg_dns_answer){.verdict = DNS_BOGUS, .why = STR("by rule")};
    for (size_t i = 0; name && i < name->count; i++)
        records[msg.dns_answer.records_count++].rdata = buf_str(&name->rdata[i]);
    msg_set_call(&msg, asked->dns_ask.call);
    must(!err_is(link_send(&resolver->link, &msg)));
}

static void resolver_ended(struct link *link, struct err why)
{
    struct stage_resolver *resolver = link->arg;
    (void)why;
    resolver->up = false;
    link_done(link);
}

static void resolver_start(struct stage *stage)
{
    static const struct link_owner owner = {.got = resolver_got, .ended = resolver_ended};
    struct stage_resolver *resolver = &stage->resolver;
    int pair[2];
    fake_packet_pair(stage->fake, resolver->role, stage->role, pair);
    fake_role_enter(stage->fake, resolver->role);
    must(link_init(&resolver->link, &resolver->loop, pair[0], ROLE_RESOLVER, ROLE_COURIER, &owner,
                   resolver) == 0);
    resolver->up = true;
    fake_role_enter(stage->fake, stage->role);
    must(!err_is(dns_client_attach(&stage->courier.dns, pair[1])));
    fake_role_enter(stage->fake, 0);
}

/* As on the wire (RFC 1035 3.1). */
static void name_put(struct buf *to, struct str name)
{
    while (name.n > 0 && !str_eq(name, STR("."))) {
        struct str label = str_cut(&name, '.');
        buf_putc(to, (char)label.n);
        buf_put(to, label);
    }
    buf_putc(to, 0);
}

static void tlsa_put(struct buf *to, struct str rest)
{
    uint64_t number;
    for (size_t i = 0; i < 3; i++) {
        must(str_to_u64(str_cut(&rest, ' '), &number));
        buf_putc(to, (char)number);
    }
    for (size_t i = 0; i + 1 < rest.n; i += 2) {
        char hex[3] = {rest.p[i], rest.p[i + 1], 0};
        buf_putc(to, (char)strtol(hex, NULL, 16));
    }
}

static void rdata_put(struct buf *to, uint16_t type, struct str rest)
{
    struct network network;
    uint64_t preference;
    if (type == DNS_MX) {
        must(str_to_u64(str_cut(&rest, ' '), &preference));
        buf_putc(to, (char)(preference >> 8));
        buf_putc(to, (char)preference);
        name_put(to, rest);
        return;
    }
    if (type == DNS_CNAME) {
        name_put(to, rest);
        return;
    }
    if (type == DNS_TXT) {
        must(rest.n < 256);
        buf_putc(to, (char)rest.n);
        buf_put(to, rest);
        return;
    }
    if (type == DNS_TLSA) {
        tlsa_put(to, rest);
        return;
    }
    must(network_address(rest, &network));
    buf_put(to, str_make(network.octets + (type == DNS_A ? 12 : 0), type == DNS_A ? 4 : 16));
}

static struct stage_name *name_add(struct stage_resolver *resolver, struct str name, uint16_t type)
{
    bool exists;
    struct stage_name *found = name_find(resolver, name, type, &exists);
    if (found)
        return found;
    must(resolver->count < STAGE_NAMES);
    found = &resolver->names[resolver->count++];
    *found = (struct stage_name){.name = str_to_cstring(name), .type = type};
    return found;
}

void stage_dns(struct stage *stage, const char *line)
{
    struct str rest = str_from(line);
    bool secure = str_starts(rest, STR("secure "));
    if (secure)
        (void)str_cut(&rest, ' ');
    struct str name = str_cut(&rest, ' '), kind = str_cut(&rest, ' ');
    uint16_t type;
    must(dns_type_parse(kind, &type));
    struct stage_name *entry = name_add(&stage->resolver, name, type);
    entry->secure |= secure;
    entry->fails = str_eq(rest, STR("FAILS"));
    entry->bogus = str_eq(rest, STR("BOGUS"));
    if (entry->fails || entry->bogus || rest.n == 0)
        return;
    if (type == DNS_CNAME && !entry->target)
        entry->target = str_to_cstring(rest);
    must(entry->count < 8);
    buf_init(&entry->rdata[entry->count], 512);
    rdata_put(&entry->rdata[entry->count++], type, rest);
}

/* --- The stage ------------------------------------------------------------------------------- */

static void conf_open(struct stage *stage, struct str text)
{
    struct conf_trouble trouble = {.text = BUF_INIT(4096)};
    arena_init(&stage->conf_arena, CONF_MAX);
    struct err e =
        conf_parse(text, STR("stage"), STR("/"), &stage->conf_arena, &stage->conf, &trouble);
    if (err_is(e))
        fprintf(stderr, "%.*s\n", STR_FMT(buf_str(&trouble.text)));
    must(!err_is(e));
    buf_done(&trouble.text);
}

static int role_open(struct stage *stage, const char *name, struct loop *loop)
{
    int role = fake_role_open(stage->fake, name);
    fake_role_enter(stage->fake, role);
    must(loop_init(loop, &stage->fake->world) == 0);
    fake_role_enter(stage->fake, 0);
    return role;
}

void stage_open(struct stage *stage, struct str conf_text, const struct fake_settings *settings,
                uint64_t seed)
{
    *stage = (struct stage){
        .core = {.body = BUF_INIT(STAGE_BODY_MAX), .said = BUF_INIT(STAGE_SAID_MAX)}};
    conf_open(stage, conf_text);
    stage->fake = fake_world_open(seed, settings);
    stage->role = role_open(stage, "courier", &stage->loop);
    stage->core.role = role_open(stage, "core", &stage->core.loop);
    stage->resolver.role = role_open(stage, "resolver", &stage->resolver.loop);
    fake_role_enter(stage->fake, stage->role);
    stage->fibers = fiber_pool_open(&stage->loop, FIBERS);
    log_init(&stage->log, &stage->fake->world, "courier");
    must(!err_is(
        courier_open(&stage->courier, &stage->loop, stage->fibers, &stage->log, 1, &stage->conf)));
    stage->courier.tls = tls_client_new();
    must(stage->courier.tls);
    fake_role_enter(stage->fake, 0);
    resolver_start(stage);
    stage_core_start(stage);
    buf_clear(&stage->core.said);
}

static void stop_run(void *arg)
{
    struct stage *stage = arg;
    must(courier_stop(&stage->courier));
    courier_close(&stage->courier);
    loop_stop(&stage->loop);
}

static void names_close(struct stage_resolver *resolver)
{
    for (size_t i = 0; i < resolver->count; i++) {
        for (size_t j = 0; j < resolver->names[i].count; j++)
            buf_done(&resolver->names[i].rdata[j]);
        free(resolver->names[i].name);
        free(resolver->names[i].target);
    }
}

void stage_close(struct stage *stage)
{
    struct fiber_start start = {.run = stop_run, .arg = stage};
    fake_role_enter(stage->fake, stage->role);
    fiber_run(stage->fibers, &start);
    fake_role_enter(stage->fake, 0);
    stage_pass(stage, STOP * NS_PER_SECOND);
    must(stage->courier.magic == 0);
    stage_core_die(stage);
    fake_role_enter(stage->fake, stage->role);
    fiber_pool_close(stage->fibers);
    loop_done(&stage->loop);
    fake_role_enter(stage->fake, stage->core.role);
    loop_done(&stage->core.loop);
    fake_role_enter(stage->fake, stage->resolver.role);
    must(!stage->resolver.up);
    loop_done(&stage->resolver.loop);
    fake_role_enter(stage->fake, 0);
    must(fake_role_handles(stage->fake, stage->role) == 0);
    fake_world_close(stage->fake);
    arena_done(&stage->conf_arena);
    names_close(&stage->resolver);
    buf_done(&stage->core.body);
    buf_done(&stage->core.said);
}

void stage_settle(struct stage *stage)
{
    stage_pass(stage, 0);
}

static void passed(struct fake_world *fake, struct fake_event *event)
{
    (void)fake;
    (void)event;
}

/* Time goes by where nothing happens, too. */
void stage_pass(struct stage *stage, int64_t ns)
{
    int64_t until = world_mono(&stage->fake->world) + ns;
    struct fake_event end = {.run = passed};
    if (ns > 0)
        fake_event_set(stage->fake, &end, until);
    (void)fake_run(stage->fake, until);
    fake_event_clear(stage->fake, &end);
    stage_answer_note(&stage->core);
}
