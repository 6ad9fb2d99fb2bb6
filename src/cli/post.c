/*
 * Why a whole courier, for one message: it is what reads strangers' replies here, was fuzzed and
 * simulated, and knows of dots, down-conversion, SMTPUTF8, log-ins and TLS. What it wants of a core
 * is little: a pool of slabs, a job, its octets, and a word when it is over.
 *
 * A job has at most a hundred recipients; a letter with more goes as several, one after the other.
 */
#include "cli/post.h"

#include "base/must.h"
#include "courier/courier.h"
#include "courier/role.h"
#include "format/dns.h"
#include "sys/process.h"

enum {
    SLABS = 64,
    JOB_RECIPIENTS = 100, /* bus/messages.def */
    FIBERS = 32,
    CONF_ROOM = 4096,
    ADDRESSES = 16,
};
#define POOL_OCTETS ((size_t)SLABS * SLAB_SIZE)
#define LEAVING_WAIT (500 * NS_PER_MS)
#define LEAVING_LOOK (5 * NS_PER_MS)

struct post {
    const struct post_way *way;
    const struct letter *letter;
    const struct post_watch *watch;
    struct arena *arena;
    struct post_outcome *outcome;
    struct loop loop;
    struct log log;
    struct fiber_pool *fibers;
    struct conf conf;
    struct arena conf_arena;
    struct courier courier;
    struct link core, names; /* the other ends of the courier's links */
    bool core_up, names_up;
    char *slabs;
    size_t first; /* recipient of the job that is under way */
    uint64_t jobs;
    struct fiber_start end;
    struct err failed;
};

/* --- The end --------------------------------------------------------------------------------- */

/* QUIT is said, and heard, before the process goes. */
static void let_leave(struct post *post)
{
    int64_t until = post->loop.now + LEAVING_WAIT;
    while (!TAILQ_EMPTY(&post->courier.leaving) && post->loop.now < until)
        fiber_sleep_until(&post->loop, post->loop.now + LEAVING_LOOK);
}

static void end_run(void *arg)
{
    struct post *post = arg;
    must(courier_stop(&post->courier)); /* its one job is over */
    let_leave(post);
    courier_close(&post->courier);
    loop_stop(&post->loop);
}

static void post_end(struct post *post, struct err e)
{
    post->failed = e;
    post->end = (struct fiber_start){.run = end_run, .arg = post};
    fiber_run(post->fibers, &post->end);
}

/* --- Core ------------------------------------------------------------------------------------ */

static size_t job_recipients(const struct post *post)
{
    size_t left = post->letter->count - post->first;
    return left < JOB_RECIPIENTS ? left : JOB_RECIPIENTS;
}

static void way_name(const struct post *post, struct msg_job *job, struct buf *route)
{
    const struct post_way *way = post->way;
    if (way->local.n > 0) {
        buf_put(route, STR("unix:"));
        buf_put(route, way->local);
        job->route = buf_str(route);
        return;
    }
    job->route = STR("@smarthost");
    job->via = way->via;
    job->tls = (uint8_t)way->tls;
    job->user = way->user;
    job->password = way->password;
    job->helo = way->helo;
}

static struct err job_order(struct post *post)
{
    const struct letter *letter = post->letter;
    struct msg_job_recipient recipients[JOB_RECIPIENTS];
    struct buf route = buf_in(post->arena, CONF_ROOM);
    struct msg msg = {.kind = MSG_job,
                      .job = {.job = ++post->jobs,
                              .message = 1,
                              .domain = STR("localhost"),
                              .sender = letter->sender,
                              .asked = letter->asked,
                              .body_type = letter->eight_bit,
                              .utf8 = letter->utf8,
                              .submits = 1,
                              .size = letter->message.n,
                              .recipients = recipients,
                              .recipients_count = job_recipients(post)}};
    for (size_t i = 0; i < msg.job.recipients_count; i++)
        recipients[i] =
            (struct msg_job_recipient){.number = (uint32_t)i,
                                       .address = letter->recipients[post->first + i].address,
                                       .asked = letter->recipients[post->first + i].asked};
    way_name(post, &msg.job, &route);
    return arena_over(post->arena) ? err_make(ERR_NO_MEMORY) : link_send(&post->core, &msg);
}

static struct err welcome(struct post *post)
{
    struct world *world = post->loop.world;
    int pool = world->ops->shm_create(world, POOL_OCTETS);
    if (pool < 0)
        return err_os(-pool, STR("shared memory"));
    post->slabs = world->ops->shm_map(world, pool, POOL_OCTETS);
    struct msg msg = {.kind = MSG_welcome, .welcome = {.slabs = SLABS}};
    struct err e =
        post->slabs ? link_send_handle(&post->core, &msg, pool) : err_make(ERR_NO_MEMORY);
    world->ops->close(world, pool);
    return err_is(e) ? e : job_order(post);
}

static struct err fetched(struct post *post, const struct msg_job_fetch *asked)
{
    struct msg msg = {.kind = MSG_job_fetched};
    struct str left = str_from_index(post->letter->message, asked->offset);
    for (size_t i = 0; i < asked->slabs_count; i++) {
        struct str here = str_head(left, asked->slabs[i].length);
        if (here.n && asked->slabs[i].index < SLABS && asked->slabs[i].length <= SLAB_SIZE)
            memcpy(post->slabs + (size_t)asked->slabs[i].index * SLAB_SIZE, here.p, here.n);
        msg.job_fetched.octets += here.n;
        left = str_from_index(left, here.n);
    }
    msg_set_call(&msg, asked->call);
    return link_send(&post->core, &msg);
}

static void result_take(struct post *post, const struct msg_job_result *said)
{
    struct post_result *result = &post->outcome->results[post->first + said->number];
    *result = (struct post_result){.verdict = (enum job_verdict)said->verdict,
                                   .code = said->code,
                                   .status = arena_str(post->arena, said->status),
                                   .text = arena_str(post->arena, said->text)};
}

static struct err over(struct post *post, const struct msg_job_over *over)
{
    struct msg msg = {.kind = MSG_job_recorded, .job_recorded = {.job = over->job}};
    size_t count = job_recipients(post);
    for (size_t i = 0; i < over->results_count; i++)
        if (over->results[i].number < count)
            result_take(post, &over->results[i]);
    post->outcome->trouble = (enum job_trouble)over->trouble;
    post->outcome->dotted |= over->dotted != 0;
    struct err e = link_send(&post->core, &msg);
    if (!err_is(e) && post->first + count < post->letter->count) {
        post->first += count;
        return job_order(post);
    }
    post_end(post, e);
    return err_none();
}

static void core_got(struct link *link, const struct msg *msg, int passed)
{
    struct post *post = link->arg;
    struct err e = err_none();
    must(passed < 0);
    if (msg->kind == MSG_hello)
        e = welcome(post);
    else if (msg->kind == MSG_job_fetch)
        e = fetched(post, &msg->job_fetch);
    else if (msg->kind == MSG_job_dot && post->watch && post->watch->dotted)
        post->watch->dotted(post->watch->arg);
    else if (msg->kind == MSG_job_over)
        e = over(post, &msg->job_over);
    if (err_is(e))
        post_end(post, e);
}

static void core_ended(struct link *link, struct err why)
{
    struct post *post = link->arg;
    (void)why;
    post->core_up = false;
    link_done(link);
}

/* --- Names ----------------------------------------------------------------------------------- */

/* As any program of this host looks them up: hosts(5) and all. */
static void names_got(struct link *link, const struct msg *asked, int passed)
{
    struct post *post = link->arg;
    const struct msg_dns_ask *question = &asked->dns_ask;
    struct process_address found[ADDRESSES];
    struct msg_dns_record records[ADDRESSES];
    must(passed < 0);
    bool six = question->type == DNS_AAAA, known = true;
    size_t count = 0;
    if (six || question->type == DNS_A)
        known = process_addresses(question->name, six, found, ADDRESSES, &count);
    struct msg msg = {.kind = MSG_dns_answer,
                      .dns_answer = {.error = known ? ERR_NONE : ERR_DNS_FAILED,
                                     .canonical = question->name,
                                     .records = records,
                                     .records_count = count}};
    for (size_t i = 0; i < count; i++)
        records[i].rdata = str_make(found[i].octets, six ? 16 : 4);
    msg_set_call(&msg, question->call);
    (void)link_send(&post->names, &msg);
}

static void names_ended(struct link *link, struct err why)
{
    struct post *post = link->arg;
    (void)why;
    post->names_up = false;
    link_done(link);
}

/* --- Beginning ------------------------------------------------------------------------------- */

static struct err pair_link(struct post *post, struct link *link, bool *up, enum bus_role own,
                            const struct link_owner *owner, int *other_r)
{
    int pair[2];
    struct err e = process_socket_pair(pair);
    if (err_is(e))
        return e;
    int failed = link_init(link, &post->loop, pair[0], own, ROLE_COURIER, owner, post);
    *up = failed == 0;
    if (!failed) {
        *other_r = pair[1];
        return err_none();
    }
    post->loop.world->ops->close(post->loop.world, pair[0]);
    post->loop.world->ops->close(post->loop.world, pair[1]);
    return err_os(-failed, STR("link"));
}

static struct err links_begin(struct post *post)
{
    static const struct link_owner core = {.got = core_got, .ended = core_ended};
    static const struct link_owner names = {.got = names_got, .ended = names_ended};
    int handle;
    struct err e = pair_link(post, &post->names, &post->names_up, ROLE_RESOLVER, &names, &handle);
    if (!err_is(e))
        e = dns_client_attach(&post->courier.dns, handle);
    if (!err_is(e))
        e = pair_link(post, &post->core, &post->core_up, ROLE_CORE, &core, &handle);
    return err_is(e) ? e : courier_core_attach(&post->courier, handle);
}

/* A smart host may well be this host, or in its network: whoever wrote it down meant it. */
static struct err conf_make(struct post *post)
{
    struct buf text = BUF_INIT(CONF_ROOM);
    struct conf_trouble trouble = {.text = BUF_INIT(CONF_ROOM)};
    buf_put(&text, STR("hostname = \""));
    buf_put(&text, post->way->helo);
    buf_put(&text, STR("\"\nsending { allow_to = {0.0.0.0/0, ::/0} connect_timeout = 20s }\n"));
    arena_init(&post->conf_arena, CONF_ARENA);
    struct err e =
        conf_parse(buf_str(&text), STR("send"), STR("/"), &post->conf_arena, &post->conf, &trouble);
    buf_done(&text);
    buf_done(&trouble.text);
    return e;
}

static void talk_run(void *arg)
{
    struct post *post = arg;
    struct err e = links_begin(post);
    if (err_is(e))
        post_end(post, e);
}

static struct err post_run(struct post *post)
{
    struct fiber_start start = {.run = talk_run, .arg = post};
    struct world *world = post->loop.world;
    struct err e =
        courier_open(&post->courier, &post->loop, post->fibers, &post->log, 0, &post->conf);
    if (err_is(e))
        return e;
    post->courier.tls = courier_tls_open(&post->log, post->way->authorities);
    fiber_run(post->fibers, &start);
    loop_run(&post->loop);
    if (post->core_up)
        link_done(&post->core);
    if (post->names_up)
        link_done(&post->names);
    if (post->slabs)
        world->ops->shm_unmap(world, post->slabs, POOL_OCTETS);
    return post->failed;
}

static struct err post_begin(struct post *post)
{
    int failed = loop_init(&post->loop, world_real());
    if (failed)
        return err_os(-failed, STR("event loop"));
    log_init(&post->log, world_real(), "courier");
    post->log.least = LOG_FAIL;
    post->fibers = fiber_pool_open(&post->loop, FIBERS);
    struct err e = post->fibers && tls_prepare() ? post_run(post) : err_make(ERR_NO_MEMORY);
    if (post->fibers)
        fiber_pool_close(post->fibers);
    loop_done(&post->loop);
    return e;
}

struct err post_letter(const struct post_way *way, const struct letter *letter,
                       const struct post_watch *watch, struct arena *arena,
                       struct post_outcome *outcome_r)
{
    must(letter->count > 0);
    *outcome_r = (struct post_outcome){
        .results = arena_take_array(arena, letter->count, sizeof(struct post_result))};
    struct post *post = calloc(1, sizeof *post);
    if (!post || !outcome_r->results) {
        free(post);
        return err_make(ERR_NO_MEMORY);
    }
    *post = (struct post){
        .way = way, .letter = letter, .watch = watch, .arena = arena, .outcome = outcome_r};
    struct err e = conf_make(post);
    if (!err_is(e))
        e = post_begin(post);
    arena_done(&post->conf_arena);
    free(post);
    return e;
}

bool post_is_reachable(struct str local)
{
    int handle;
    struct world *world = world_real();
    if (err_is(process_connect_local(local, &handle)))
        return false;
    world->ops->close(world, handle);
    return true;
}
