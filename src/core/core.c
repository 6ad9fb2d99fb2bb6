#include "core/core.h"

#include "base/must.h"
#include "core/forwarding.h"
#include "core/login.h"
#include "core/newsletter.h"
#include "core/queue.h"
#include "core/signing.h"
#include "core/sts.h"
#include "core/tls_counts.h"
#include "core/tls_reports.h"
#include "core/tokens.h"
#include "core/transaction.h"
#include "format/message_id.h"
#include "store/trace.h"

enum {
    SPARES_MOST = 16 << 20, /* octets kept for the next requests */
    MESSAGE_NUMBER_MASK = (1 << MESSAGE_ID_NUMBER_BITS) - 1,
};

#define DUTY_EVERY (60 * NS_PER_SECOND)
#define AUDIT_LOG_EVERY (3600 * NS_PER_SECOND)

/* --- Duties: what is past its time is removed, in slices, once a minute --- */

static struct err traces_expire(struct core *core)
{
    bool more = true;
    struct err e = err_none();
    while (more && !err_is(e))
        e = trace_expire(core->engine, world_wall(core->world), core->conf->store.trace_days,
                         core->conf->store.trace_size, &more);
    return e;
}

static struct err audit_days_expire(struct core *core)
{
    bool more = true;
    struct err e = err_none();
    while (more && !err_is(e))
        e = audit_expire(core->engine, world_wall(core->world), core->conf->store.audit_days,
                         &more);
    return e;
}

/* Where the chain stands, in a place that who can write the store cannot reach: what is said here
 * can be held against it later (veredus audit verify --head). */
static void audit_head_log(struct core *core)
{
    char text[2 * AUDIT_LINK + 1];
    if (core->loop->now < core->audit_logged + AUDIT_LOG_EVERY)
        return;
    core->audit_logged = core->loop->now;
    for (size_t i = 0; i < AUDIT_LINK; i++)
        snprintf(text + 2 * i, 3, "%02x", core->audit.head.link[i]);
    log_event(core->log, LOG_INFO, "audit_head", log_u64("number", core->audit.head.number),
              log_str("link", str_make(text, 2 * AUDIT_LINK)));
}

static void duty_run(void *arg)
{
    struct core *core = arg;
    resent_expire(core->resent);
    struct err e = traces_expire(core);
    if (err_is(e))
        log_err(core->log, "traces_not_expired", e);
    e = audit_days_expire(core);
    if (err_is(e))
        log_err(core->log, "audit_not_expired", e);
    e = bans_expire(core);
    if (err_is(e))
        log_err(core->log, "bans_not_expired", e);
    e = signing_duty(core);
    if (err_is(e))
        log_err(core->log, "signing_keys_not_kept_up", e);
    e = forwarding_keys(core);
    if (err_is(e))
        log_err(core->log, "forward_keys_not_kept_up", e);
    e = tokens_duty(core);
    if (err_is(e))
        log_err(core->log, "refresh_tokens_not_kept_up", e);
    e = tls_counts_duty(core);
    if (err_is(e))
        log_err(core->log, "tls_counts_not_written", e);
    tls_reports_duty(core);
    audit_head_log(core);
    core->duty_running = false;
    if (core->duty_over)
        wait_over(core->duty_over);
}

static void duty_due(struct timer *timer)
{
    struct core *core = timer->arg;
    must_be(core, CORE_MAGIC);
    timer_set(core->loop, &core->duty, core->loop->now + DUTY_EVERY);
    if (core->duty_running)
        return;
    core->duty_running = true;
    core->duty_start = (struct fiber_start){.run = duty_run, .arg = core};
    fiber_run(core->fibers, &core->duty_start);
}

/* --- Opening and closing --- */

static void directory_configure(struct core *core)
{
    struct str plus = core->conf->server.plus;
    core->directory.settings = (struct directory_settings){
        .plus = plus.n ? plus.p[0] : '\0',
        .quota = core->conf->store.quota,
        .postmaster = core->conf->server.postmaster,
        .hostname = core->conf->server.hostname,
        .language = core->conf->server.language,
    };
}

/* To the edges that answer RCPT by themselves for whom we accepted a moment ago. One that is not
 * reached says 451 at the end of the message instead of 550 at RCPT. */
static void directory_changed_tell(struct core *core)
{
    struct peer *peer, *next;
    for (peer = LIST_FIRST(&core->peers); peer; peer = next) {
        const struct msg msg = {.kind = MSG_directory_changed};
        next = LIST_NEXT(peer, link_in_core);
        if (peer->role == ROLE_MX || peer->role == ROLE_SUB)
            (void)link_send(&peer->link, &msg);
    }
}

static void directory_changed(struct partition_watch *watch)
{
    struct core *core = watch->arg;
    must_be(core, CORE_MAGIC);
    directory_changed_tell(core);
    logins_review(core);
}

static void conf_take(struct core *core, const struct conf *conf)
{
    core->conf = conf;
    directory_configure(core);
    directory_changed_tell(core);
    resent_set_window(core->resent, conf->smtp.resent_window);
}

/* `before`: NULL at the start, where all is told that is not as by default. */
static void configured_tell(struct core *core, const struct conf *before, const struct conf *now)
{
    struct trace_event event = trace_event(TRACED_configured, world_wall(core->world));
    struct str how = before ? STR("by a reload: ") : STR("at the start: ");
    struct buf text = BUF_INIT(TRACE_TEXT_MAX), changes = BUF_INIT(TRACE_TEXT_MAX);
    conf_changes(before, now, TRACE_TEXT_MAX - how.n, &changes);
    if (!changes.n)
        buf_put(&changes, before ? STR("no setting changed") : STR("all as by default"));
    buf_put(&text, how);
    buf_put(&text, buf_str(&changes));
    trace_text(&event, TRACE_text, buf_str(&text));
    audit_tell(&core->audit, &event);
    buf_done(&changes);
    buf_done(&text);
}

void core_configure(struct core *core, const struct conf *conf)
{
    const struct conf *before = core->conf;
    configured_tell(core, before, conf);
    conf_take(core, conf_hold(conf));
    guard_configure(core->desk.guard, conf);
    queue_configure(core);
    conf_follow(before, conf);
    conf_let_go(before);
}

/* May yield. */
static struct err log_ins_open(struct core *core)
{
    int threads = core->world->ops->processors(core->world);
    int failed = lane_init(&core->hashes, core->loop, "passwords", threads);
    if (failed)
        return err_os(-failed, STR("password threads"));
    struct err e = login_desk_open(core);
    if (err_is(e))
        lane_done(&core->hashes);
    return e;
}

/* May yield. */
static void log_ins_close(struct core *core)
{
    logins_review_close(core);
    login_desk_close(core);
    lane_done(&core->hashes);
}

/* May yield. Who logs in, what signs, and what forwards are marked with. */
static struct err secrets_open(struct core *core)
{
    struct err e = forwarding_keys(core);
    if (!err_is(e))
        e = signing_open(core);
    if (err_is(e))
        return e;
    e = log_ins_open(core);
    if (err_is(e))
        signing_close(core);
    return e;
}

static void secrets_close(struct core *core)
{
    log_ins_close(core);
    signing_close(core);
    explicit_bzero(&core->forward, sizeof(core->forward));
}

static void sending_close(struct core *core)
{
    sts_upkeep_close(core);
    tls_reports_close(core);
    queue_close(core);
    tls_counts_close(core);
}

/* May yield. What leaves, and what is known of where it goes. */
static struct err sending_open(struct core *core)
{
    struct err e = sts_upkeep_open(core);
    if (err_is(e))
        return e;
    e = tls_counts_open(core);
    if (!err_is(e)) {
        e = queue_open(core);
        if (err_is(e))
            tls_counts_close(core);
    }
    if (err_is(e)) {
        sts_upkeep_close(core);
        return e;
    }
    e = newsletters_open(core);
    if (err_is(e))
        sending_close(core);
    return e;
}

struct err core_open(struct core *core, struct loop *loop, struct fiber_pool *fibers,
                     struct log *log, const struct conf *conf, struct engine *engine,
                     struct resent *resent)
{
    *core = (struct core){.magic = CORE_MAGIC,
                          .world = loop->world,
                          .loop = loop,
                          .fibers = fibers,
                          .log = log,
                          .engine = engine,
                          .resent = resent};
    dns_client_init(&core->dns, loop, ROLE_CORE, NULL, NULL);
    terminals_init(&core->terminals, loop, NULL, NULL);
    LIST_INIT(&core->peers);
    spares_init(&core->spares, SPARES_MOST);
    TAILQ_INIT(&core->spare_requests);
    LIST_INIT(&core->spare_transactions);
    senders_init(&core->senders, engine, core->world);
    struct directory_settings none = {.plus = '\0'};
    directory_init(&core->directory, engine, core->world, &none);
    core->directory.loop = core->loop;
    core->directory.spares = &core->spares;
    core->directory_watch = (struct partition_watch){
        .partition = {.kind = PARTITION_DIRECTORY}, .changed = directory_changed, .arg = core};
    conf_take(core, conf);
    struct err e = resent_load(resent, engine);
    if (!err_is(e))
        e = directory_sweep(&core->directory);
    if (err_is(e))
        return e;
    e = audit_open(&core->audit, loop, fibers, engine, log);
    if (err_is(e))
        return e;
    e = secrets_open(core);
    if (err_is(e)) {
        audit_close(&core->audit);
        return e;
    }
    e = sending_open(core);
    if (err_is(e)) {
        secrets_close(core);
        audit_close(&core->audit);
        return e;
    }
    core->duty = (struct timer){.run = duty_due, .arg = core};
    timer_set(loop, &core->duty, loop->now + DUTY_EVERY);
    engine_watch(engine, &core->directory_watch);
    configured_tell(core, NULL, conf_hold(conf));
    return err_none();
}

void core_close(struct core *core)
{
    must_be(core, CORE_MAGIC);
    timer_clear(core->loop, &core->duty);
    engine_unwatch(core->engine, &core->directory_watch);
    dns_client_done(&core->dns);
    terminals_done(&core->terminals);
    struct peer *peer;
    while ((peer = LIST_FIRST(&core->peers)))
        peer_cut(peer, err_make(ERR_PEER_GONE));
    struct wait empty = {.done = core->peer_count == 0};
    core->emptied = &empty;
    wait_for(&empty);
    struct wait idle = {.done = !core->duty_running};
    core->duty_over = &idle;
    wait_for(&idle);
    sending_close(core);
    secrets_close(core);
    audit_close(&core->audit);
    struct request *request;
    while ((request = TAILQ_FIRST(&core->spare_requests))) {
        TAILQ_REMOVE(&core->spare_requests, request, link);
        arena_done(&request->arena);
        free(request);
    }
    transactions_spare_free(core);
    senders_done(&core->senders);
    spares_done(&core->spares);
    conf_let_go(core->conf);
    core->magic = 0;
}

uint64_t core_message_id(struct core *core)
{
    uint64_t id = message_id_make(world_wall(core->world), 0);
    /* Ids rise also within a millisecond and while the clock is set back. */
    if (id <= core->last_message)
        return ++core->last_message;
    uint32_t number;
    world_random(core->world, &number, sizeof(number));
    core->last_message = id | (number & MESSAGE_NUMBER_MASK);
    return core->last_message;
}
