/*
 * A domain's row is written again on the first use of a day, so that only those are fetched anew
 * that mail goes to: whoever was written to once is not asked for ever.
 */
#include "core/sts.h"

#include "base/must.h"
#include "core/queue.h"

enum {
    AGE_MAX = 31557600, /* seconds (RFC 8461 3.2) */
    SECONDS_A_DAY = 86400,
};

int64_t sts_now(const struct core *core)
{
    return world_wall(core->world) / US_PER_SECOND;
}

uint32_t sts_today(const struct core *core)
{
    return (uint32_t)(sts_now(core) / SECONDS_A_DAY);
}

void sts_give(struct core *core, struct str domain, struct arena *arena, struct sts_kept *kept_r)
{
    *kept_r = (struct sts_kept){.mode = 0};
    struct sts_kept kept;
    struct err e = sts_kept_read(core->engine, domain, arena, &kept);
    if (err_is(e) && e.code != ERR_NOT_FOUND)
        log_err(core->log, "mta_sts_not_read", e);
    if (err_is(e) || kept.until <= sts_now(core))
        return;
    *kept_r = kept;
    if (kept.used == sts_today(core))
        return;
    kept_r->used = sts_today(core);
    e = sts_kept_write(core->engine, kept_r);
    if (err_is(e))
        log_err(core->log, "mta_sts_not_kept", e);
}

/* --- What a courier learns ------------------------------------------------------------------- */

static bool is_asked(const struct peer *peer, struct str domain)
{
    const struct sts_question *question;
    LIST_FOREACH (question, &peer->core->sts_questions, link)
        if (question->peer == peer && str_eq(question->domain, domain))
            return true;
    return queue_courier_serves(peer, domain);
}

static bool is_word(struct str text)
{
    for (size_t i = 0; i < text.n; i++)
        if (!ascii_is_alpha(text.p[i]) && !ascii_is_digit(text.p[i]))
            return false;
    return text.n > 0 && text.n <= STS_ID_MAX;
}

static bool is_text(struct str text)
{
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] != '\n' && (text.p[i] < ' ' || text.p[i] > '~'))
            return false;
    return text.n > 0 && text.n <= STS_POLICY_MAX;
}

static bool is_kept(struct core *core, struct str domain)
{
    struct arena arena;
    struct sts_kept kept;
    arena_init(&arena, STS_ASK_ARENA);
    struct err e = sts_kept_read(core->engine, domain, &arena, &kept);
    arena_done(&arena);
    return e.code != ERR_NOT_FOUND;
}

static struct err learned(struct core *core, const struct sts_kept *kept)
{
    bool is_new = !is_kept(core, kept->domain);
    struct err e = is_new ? sts_room(core) : err_none();
    if (err_is(e))
        return e;
    e = sts_kept_write(core->engine, kept);
    if (err_is(e) && is_new)
        sts_gone(core);
    return e;
}

/* Times by our own clock. */
void serve_sts_learned(struct request *request)
{
    const struct msg_sts_learned *said = &request->msg.sts_learned;
    struct peer *peer = request->peer;
    struct core *core = peer->core;
    if (said->mode >= STS_MODES || !is_word(said->id) || !is_text(said->policy)) {
        peer_cut(peer, err_detail(ERR_BUS_BROKEN, STR("a policy that there is not")));
        return;
    }
    if (!is_asked(peer, said->domain)) {
        log_event(core->log, LOG_WARN, "mta_sts_of_nobody", log_str("domain", said->domain));
        return;
    }
    uint64_t age = said->until > said->fetched ? said->until - said->fetched : 0;
    const struct sts_kept kept = {.domain = said->domain,
                                  .id = said->id,
                                  .policy = said->policy,
                                  .mode = said->mode,
                                  .fetched = sts_now(core),
                                  .until = sts_now(core) + (int64_t)(age < AGE_MAX ? age : AGE_MAX),
                                  .used = sts_today(core)};
    struct err e = learned(core, &kept);
    if (err_is(e))
        log_err(core->log, "mta_sts_not_kept", e);
}

/* --- Asking couriers ------------------------------------------------------------------------- */

/* Policies are of domains that mail goes to by their MX. */
static bool goes_by_mx(const struct msg_job *way)
{
    bool block = str_starts(way->route, STR("@"));
    return way->via.n == 0 && (way->route.n == 0 || block);
}

struct err sts_ask(struct core *core, const struct msg_job *way, bool fresh, struct arena *arena,
                   struct msg *answer_r)
{
    struct sts_kept kept;
    struct str domain = way->domain;
    sts_give(core, goes_by_mx(way) ? domain : STR(""), arena, &kept);
    struct peer *peer = peer_courier(core);
    if (!peer)
        return err_detail(ERR_TRY_LATER, STR("no courier is there"));
    struct msg msg = {.kind = MSG_policy_ask,
                      .policy_ask = {.domain = domain,
                                     .route = way->route,
                                     .via = way->via,
                                     .shuffle = way->shuffle,
                                     .lmtp = way->lmtp,
                                     .tls = way->tls,
                                     .source = way->source,
                                     .asked = way->asked,
                                     .fresh = fresh,
                                     .sts_policy = kept.policy,
                                     .sts_id = kept.id,
                                     .sts_fetched = (uint64_t)kept.fetched,
                                     .sts_until = (uint64_t)kept.until}};
    struct sts_question question = {.peer = peer, .domain = domain};
    peer_hold(peer);
    LIST_INSERT_HEAD(&core->sts_questions, &question, link);
    struct err e = link_ask(&peer->link, &msg, arena, answer_r);
    LIST_REMOVE(&question, link);
    peer_release(peer);
    return e;
}

struct err sts_drop(struct core *core, struct str domain)
{
    const struct msg msg = {.kind = MSG_sts_forget, .sts_forget = {.domain = domain}};
    struct arena arena;
    struct sts_kept kept;
    struct peer *peer;
    arena_init(&arena, STS_ASK_ARENA);
    struct err e = sts_kept_read(core->engine, domain, &arena, &kept);
    arena_done(&arena);
    if (e.code != ERR_NOT_FOUND)
        e = sts_kept_remove(core->engine, domain);
    if (!err_is(e))
        sts_gone(core);
    LIST_FOREACH (peer, &core->peers, link_in_core)
        if (peer->role == ROLE_COURIER && peer->takes_jobs && !peer->gone)
            (void)link_send(&peer->link, &msg); /* one that cannot hear forgets by its end */
    return e;
}
