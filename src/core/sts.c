/*
 * A domain's row is written again on the first use of a day, so that only those are fetched anew
 * that mail goes to: whoever was written to once is not asked for ever.
 */
#include "core/sts.h"

#include "base/must.h"
#include "core/queue.h"

enum {
    PAGE = 50,
    ARENA = 8 << 20, /* of a page: its texts */
    ASK_ARENA = 256 << 10,
    ASKED_A_TURN = 20,  /* that are fetched again by one look: others are next hour's */
    IN_USE = 30,        /* days */
    AGE_MAX = 31557600, /* seconds (RFC 8461 3.2) */
    SECONDS_A_DAY = 86400,
};
#define LOOK_EVERY (3600 * NS_PER_SECOND)

static int64_t now_of(const struct core *core)
{
    return world_wall(core->world) / US_PER_SECOND;
}

static uint32_t today(const struct core *core)
{
    return (uint32_t)(now_of(core) / SECONDS_A_DAY);
}

void sts_give(struct core *core, struct str domain, struct arena *arena, struct sts_kept *kept_r)
{
    *kept_r = (struct sts_kept){.mode = 0};
    struct sts_kept kept;
    struct err e = sts_kept_read(core->engine, domain, arena, &kept);
    if (err_is(e) && e.code != ERR_NOT_FOUND)
        log_err(core->log, "mta_sts_not_read", e);
    if (err_is(e) || kept.until <= now_of(core))
        return;
    *kept_r = kept;
    if (kept.used == today(core))
        return;
    kept_r->used = today(core);
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
                                  .fetched = now_of(core),
                                  .until = now_of(core) + (int64_t)(age < AGE_MAX ? age : AGE_MAX),
                                  .used = today(core)};
    struct err e = sts_kept_write(core->engine, &kept);
    if (err_is(e))
        log_err(core->log, "mta_sts_not_kept", e);
}

/* --- Asking couriers ------------------------------------------------------------------------- */

static struct peer *courier_of(const struct core *core)
{
    struct peer *peer;
    LIST_FOREACH (peer, &core->peers, link_in_core)
        if (peer->role == ROLE_COURIER && peer->takes_jobs && !peer->gone)
            return peer;
    return NULL;
}

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
    struct peer *peer = courier_of(core);
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
    arena_init(&arena, ASK_ARENA);
    struct err e = sts_kept_read(core->engine, domain, &arena, &kept);
    arena_done(&arena);
    if (e.code != ERR_NOT_FOUND)
        e = sts_kept_remove(core->engine, domain);
    LIST_FOREACH (peer, &core->peers, link_in_core)
        if (peer->role == ROLE_COURIER && peer->takes_jobs && !peer->gone)
            (void)link_send(&peer->link, &msg); /* one that cannot hear forgets by its end */
    return e;
}

/* --- Keeping them up ------------------------------------------------------------------------- */

static bool is_half_over(const struct core *core, const struct sts_kept *kept)
{
    int64_t now = now_of(core);
    return today(core) - kept->used <= IN_USE && now - kept->fetched > (kept->until - now);
}

static void fetch_again(struct core *core, struct str domain)
{
    struct arena arena;
    struct msg answer;
    arena_init(&arena, ASK_ARENA);
    const struct msg_job by_mx = {.domain = domain};
    struct err e = sts_ask(core, &by_mx, true, &arena, &answer);
    if (err_is(e))
        log_err(core->log, "mta_sts_not_asked", e);
    else if (answer.policy_told.sts_why.n > 0)
        log_event(core->log, LOG_WARN, "mta_sts_not_renewed", log_str("domain", domain),
                  log_str("why", answer.policy_told.sts_why));
    arena_done(&arena);
}

static struct err page_look(struct core *core, struct buf *after, size_t *asked, bool *more_r)
{
    struct arena arena;
    struct sts_kept *kept;
    size_t count;
    arena_init(&arena, ARENA);
    struct err e = sts_kept_page(core->engine, buf_str(after), PAGE, &arena, &kept, &count, more_r);
    for (size_t i = 0; i < count && !err_is(e); i++) {
        if (kept[i].until <= now_of(core)) {
            e = sts_kept_remove(core->engine, kept[i].domain);
        } else if (*asked < ASKED_A_TURN && is_half_over(core, &kept[i])) {
            (*asked)++;
            fetch_again(core, kept[i].domain);
        }
    }
    if (count > 0) {
        buf_clear(after);
        buf_put(after, kept[count - 1].domain);
    }
    *more_r &= count > 0;
    arena_done(&arena);
    return e;
}

struct err sts_duty(struct core *core)
{
    struct buf after = BUF_INIT(ENGINE_KEY_MAX);
    struct err e = err_none();
    size_t asked = 0;
    bool more = core->loop->now >= core->sts_looked + LOOK_EVERY;
    if (more)
        core->sts_looked = core->loop->now;
    while (more && !err_is(e))
        e = page_look(core, &after, &asked, &more);
    buf_done(&after);
    return e;
}
