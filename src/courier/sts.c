/*
 * A fiber that waits for another one's fetch looks again behind it, for the fetch may have failed.
 * Nothing here decides whether mail may go: who asks gets what is known.
 */
#include "courier/sts.h"

#include "base/hash.h"
#include "courier/result.h"
#include "role/https.h"

enum {
    HOST_ROOM = 300,
    STATUS_OK = 200,
};

struct sts_waiter {
    TAILQ_ENTRY(sts_waiter) link;
    struct wait wait;
};

struct sts_known {
    UT_hash_handle hh;
    TAILQ_ENTRY(sts_known) link;
    char *domain;
    size_t holds; /* fibers that look at it */
    char *policy; /* NULL: none is known */
    char id[MTA_STS_ID_MAX + 1];
    int64_t fetched, until; /* seconds since 1970 */
    int64_t failed;         /* mono, when the last fetch failed; 0: it did not */
    char failed_id[MTA_STS_ID_MAX + 1];
    enum tls_result trouble;
    char why[STS_WHY];
    bool busy; /* it is being fetched */
    TAILQ_HEAD(, sts_waiter) waiters;
};

struct sts {
    struct sts_known *all;        /* by domain */
    TAILQ_HEAD(, sts_known) uses; /* the latest last */
    size_t count;
};

/* --- What is known --------------------------------------------------------------------------- */

struct sts *sts_open(void)
{
    struct sts *sts = calloc(1, sizeof *sts);
    if (sts)
        TAILQ_INIT(&sts->uses);
    return sts;
}

static void known_drop(struct sts *sts, struct sts_known *known)
{
    HASH_DEL(sts->all, known);
    TAILQ_REMOVE(&sts->uses, known, link);
    sts->count--;
    free(known->domain);
    free(known->policy);
    free(known);
}

void sts_close(struct sts *sts)
{
    struct sts_known *known;
    while (sts && (known = TAILQ_FIRST(&sts->uses))) {
        must(known->holds == 0);
        known_drop(sts, known);
    }
    free(sts);
}

static void oldest_go(struct sts *sts)
{
    struct sts_known *known, *next;
    for (known = TAILQ_FIRST(&sts->uses); known && sts->count > STS_KEPT; known = next) {
        next = TAILQ_NEXT(known, link);
        if (known->holds == 0)
            known_drop(sts, known);
    }
}

static struct sts_known *known_new(struct sts *sts, struct str domain)
{
    struct sts_known *known = calloc(1, sizeof *known);
    if (!known)
        return NULL;
    known->domain = str_to_cstring(domain);
    TAILQ_INIT(&known->waiters);
    if (known->domain)
        HASH_ADD_KEYPTR(hh, sts->all, known->domain, domain.n, known);
    if (!known->domain || !HASH_ADDED(known)) {
        free(known->domain);
        free(known);
        return NULL;
    }
    TAILQ_INSERT_TAIL(&sts->uses, known, link);
    sts->count++;
    return known;
}

/* Held by the caller; NULL: no memory. */
static struct sts_known *known_take(struct sts *sts, struct str domain)
{
    struct sts_known *known;
    HASH_FIND(hh, sts->all, domain.p, domain.n, known);
    if (!known)
        known = known_new(sts, domain);
    if (!known)
        return NULL;
    TAILQ_REMOVE(&sts->uses, known, link);
    TAILQ_INSERT_TAIL(&sts->uses, known, link);
    known->holds++;
    oldest_go(sts);
    return known;
}

void sts_forget(struct sts *sts, struct str domain)
{
    struct sts_known *known;
    HASH_FIND(hh, sts->all, domain.p, domain.n, known);
    if (!known)
        return;
    free(known->policy);
    known->policy = NULL;
    known->failed = 0;
    known->fetched = 0;
    known->trouble = TLS_RESULT_OK;
    known->why[0] = '\0';
}

static int64_t now_of(const struct courier *courier)
{
    return world_wall(courier->world) / US_PER_SECOND;
}

static bool holds(const struct job *job, const struct sts_known *known)
{
    return known->policy && known->until > now_of(job->courier);
}

static void policy_set(struct sts_known *known, struct str policy, struct str id, int64_t fetched,
                       int64_t until)
{
    char *copy = str_to_cstring(policy);
    if (!copy)
        return;
    free(known->policy);
    known->policy = copy;
    snprintf(known->id, sizeof known->id, "%.*s", STR_FMT(id));
    known->fetched = fetched;
    known->until = until;
}

/* What core knew when it gave the job, where that is younger than what we know. */
static void core_hear(const struct job *job, struct sts_known *known)
{
    const struct msg_job *order = job->order;
    if (order->sts_policy.n == 0 ||
        (known->policy && known->fetched >= (int64_t)order->sts_fetched))
        return;
    policy_set(known, order->sts_policy, order->sts_id, (int64_t)order->sts_fetched,
               (int64_t)order->sts_until);
}

/* --- Fetching -------------------------------------------------------------------------------- */

static void failed(struct job *job, struct sts_known *known, enum tls_result how, struct str id,
                   const char *why)
{
    known->failed = job->courier->loop->now;
    known->trouble = how;
    snprintf(known->failed_id, sizeof known->failed_id, "%.*s", STR_FMT(id));
    snprintf(known->why, sizeof known->why, "%s", why);
    log_event(job->courier->log, LOG_WARN, "mta_sts_failed",
              log_str("domain", str_from(known->domain)), log_str("result", tls_result_word(how)),
              log_str("why", str_from(known->why)), log_u64("holds", holds(job, known)));
}

static void core_tell(struct job *job, const struct sts_known *known, enum mta_sts_mode mode)
{
    const struct msg msg = {.kind = MSG_sts_learned,
                            .sts_learned = {.domain = str_from(known->domain),
                                            .id = str_from(known->id),
                                            .policy = str_from(known->policy),
                                            .mode = (uint8_t)mode,
                                            .fetched = (uint64_t)known->fetched,
                                            .until = (uint64_t)known->until}};
    (void)courier_tell(job->courier, &msg); /* else it is learnt once more */
}

static void learn(struct job *job, struct sts_known *known, struct str id,
                  const struct sts_served *served)
{
    int64_t now = now_of(job->courier);
    policy_set(known, served->text, id, now, now + served->policy.max_age);
    known->failed = 0;
    known->trouble = TLS_RESULT_OK;
    known->why[0] = '\0';
    core_tell(job, known, served->policy.mode);
    log_event(job->courier->log, LOG_INFO, "mta_sts", log_str("domain", str_from(known->domain)),
              log_str("id", id), log_str("mode", mta_sts_mode_word(served->policy.mode)),
              log_u64("max_age", served->policy.max_age));
}

static void serve_failed(struct sts_served *served, enum tls_result result, const char *why)
{
    served->result = result;
    snprintf(served->why, sizeof served->why, "%s", why);
}

static void policy_read(struct str body, struct arena *arena, struct sts_served *served)
{
    struct buf text = buf_in(arena, MTA_STS_POLICY_MAX);
    struct str wrong;
    if (!mta_sts_policy_parse(body, arena, &served->policy, &wrong)) {
        serve_failed(served, TLS_RESULT_STS_POLICY_INVALID, wrong.p);
        return;
    }
    mta_sts_policy_print(&served->policy, &text);
    served->text = buf_built(&text);
    if (!served->text.p)
        serve_failed(served, TLS_RESULT_STS_POLICY_FETCH_ERROR, "no memory");
}

/* RFC 8461 3.3: 200, and text. */
static void answered(const struct https_answer *answer, struct arena *arena,
                     struct sts_served *served)
{
    char why[STS_WHY];
    if (answer->end == HTTPS_TLS) {
        serve_failed(served, TLS_RESULT_STS_WEBPKI_INVALID, answer->why);
    } else if (answer->end != HTTPS_ANSWERED) {
        serve_failed(served, TLS_RESULT_STS_POLICY_FETCH_ERROR, answer->why);
    } else if (answer->response.status != STATUS_OK) {
        snprintf(why, sizeof why, "its web server answers %u", answer->response.status);
        serve_failed(served, TLS_RESULT_STS_POLICY_FETCH_ERROR, why);
    } else if (strcmp(answer->response.type, "text/plain") != 0) {
        serve_failed(served, TLS_RESULT_STS_POLICY_INVALID, "it is not text/plain");
    } else {
        policy_read(buf_str(&answer->response.body), arena, served);
    }
}

void sts_fetch(const struct sts_order *order, struct arena *arena, struct sts_served *served_r)
{
    struct courier *courier = order->courier;
    char host[HOST_ROOM];
    const struct https https = {.loop = courier->loop,
                                .streams = courier->streams,
                                .tls = courier->tls,
                                .dns = &courier->dns,
                                .allow = &order->conf->sending.allow_to,
                                .deny = &order->conf->sending.deny_to,
                                .own = order->own,
                                .own_count = order->own_count};
    snprintf(host, sizeof host, "mta-sts.%.*s", STR_FMT(order->domain));
    const struct https_order call = {
        .host = str_from(host),
        .port = HTTPS_PORT,
        .request = {.method = STR("GET"), .path = STR("/.well-known/mta-sts.txt")},
        .body_most = MTA_STS_POLICY_MAX,
        .within = STS_WITHIN};
    struct https_answer *answer = malloc(sizeof *answer); /* a fiber's stack is small */
    *served_r = (struct sts_served){.result = TLS_RESULT_OK};
    if (!answer) {
        serve_failed(served_r, TLS_RESULT_STS_POLICY_FETCH_ERROR, "no memory");
        return;
    }
    (void)https_call(&https, &call, answer);
    answered(answer, arena, served_r);
    https_answer_done(answer);
    free(answer);
}

static void fetch(struct job *job, struct sts_known *known, struct str id)
{
    const struct sts_order order = {
        .courier = job->courier, .conf = job->conf, .domain = str_from(known->domain)};
    struct sts_served served;
    struct arena arena;
    arena_init(&arena, JOB_ARENA);
    sts_fetch(&order, &arena, &served);
    if (served.result == TLS_RESULT_OK)
        learn(job, known, id, &served);
    else
        failed(job, known, served.result, id, served.why);
    arena_done(&arena);
}

/* One fiber at a time. */
static void fetch_alone(struct job *job, struct sts_known *known, struct str id)
{
    known->busy = true;
    fetch(job, known, id);
    known->busy = false;
    while (!TAILQ_EMPTY(&known->waiters)) {
        struct sts_waiter *waiter = TAILQ_FIRST(&known->waiters);
        TAILQ_REMOVE(&known->waiters, waiter, link);
        wait_over(&waiter->wait);
    }
}

static void others_await(struct sts_known *known)
{
    struct sts_waiter waiter = {.wait = {.fiber = NULL}};
    if (!known->busy)
        return;
    TAILQ_INSERT_TAIL(&known->waiters, &waiter, link);
    wait_for(&waiter.wait);
}

/* --- Finding --------------------------------------------------------------------------------- */

/* The record's id; p NULL: there is none, or, with *unknown_r, nobody knows. */
static struct str id_find(struct job *job, struct str domain, bool *unknown_r)
{
    struct buf name = buf_in(&job->arena, DNS_NAME_MAX);
    struct dns_txts txts;
    struct str id = str_null(), wrong;
    buf_printf(&name, "_mta-sts.%.*s", STR_FMT(domain));
    struct str asked = buf_built(&name);
    *unknown_r = false;
    if (!asked.p)
        return id;
    struct err e = dns_txt(&job->courier->dns, asked, &job->arena, &txts);
    *unknown_r = err_is(e) && e.code != ERR_DNS_NO_DATA && e.code != ERR_DNS_NO_NAME;
    if (err_is(e))
        return id;
    struct str *texts = arena_take_array(&job->arena, txts.count, sizeof *texts);
    for (size_t i = 0; texts && i < txts.count; i++)
        texts[i] = txts.list[i].joined;
    if (!texts || !mta_sts_record_find(texts, txts.count, &id, &wrong))
        return str_null();
    return id;
}

static bool wants_fetch(const struct job *job, const struct sts_known *known, struct str id,
                        bool fresh)
{
    if (!id.p)
        return false;
    bool same = holds(job, known) && str_eq(id, str_from(known->id));
    bool failed_lately = known->failed && str_eq(id, str_from(known->failed_id)) &&
                         job->courier->loop->now - known->failed < STS_AGAIN;
    return (!same || fresh) && !failed_lately;
}

static void tell(struct job *job, const struct sts_known *known, int64_t began,
                 struct sts_found *found)
{
    struct str wrong;
    found->trouble = known->trouble;
    found->why = arena_str(&job->arena, str_from(known->why));
    if (!holds(job, known))
        return;
    found->text = arena_str(&job->arena, str_from(known->policy));
    found->id = arena_str(&job->arena, str_from(known->id));
    found->until = known->until;
    found->fetched = known->fetched >= began;
    found->any =
        found->text.p && mta_sts_policy_parse(found->text, &job->arena, &found->policy, &wrong);
}

void sts_find(struct job *job, struct str domain, bool fresh, struct sts_found *found_r)
{
    *found_r = (struct sts_found){.any = false};
    struct sts_known *known = known_take(job->courier->sts, domain);
    int64_t began = now_of(job->courier);
    if (!known)
        return;
    core_hear(job, known);
    struct str id = id_find(job, domain, &found_r->unknown);
    others_await(known);
    if (!known->busy && wants_fetch(job, known, id, fresh && known->fetched < began))
        fetch_alone(job, known, id);
    tell(job, known, began, found_r);
    found_r->unknown = !found_r->any && (found_r->unknown || id.p);
    known->holds--;
}
