/*
 * Why a name backs off at all, when anybody can make it do so: its guesses would else be unlimited
 * to who has many addresses. What this costs its owner is bounded by known networks, and by the
 * cache of successes, which is asked behind the guard and so makes no guess cheaper.
 *
 * Why only the address's own back-off leads to its ban: a name backs off because of strangers, and
 * a network because of neighbours.
 */
#include "core/guard.h"

#include "base/must.h"
#include "sys/world.h"

enum {
    ADDRESS_V4 = 32,
    ADDRESS_V6 = 64,
    NETWORK_V4_BITS = 24,
    NETWORK_V6_BITS = 56,
    LONGEST_SHIFT = 40,
    NS_PER_US = 1000,
};

struct guard {
    const struct conf *conf;
    unsigned char key[SIPHASH_KEY];
    struct suspects *addresses, *networks, *names;
    struct bans *bans;
};

struct guard *guard_open(const struct conf *conf, const unsigned char key[SIPHASH_KEY])
{
    struct guard *guard = calloc(1, sizeof(*guard));
    if (!guard)
        return NULL;
    guard->conf = conf;
    memcpy(guard->key, key, sizeof(guard->key));
    guard->addresses = suspects_open(GUARD_ADDRESSES);
    guard->networks = suspects_open(GUARD_NETWORKS);
    guard->names = suspects_open(GUARD_NAMES);
    guard->bans = bans_open(BANS_MOST, key);
    if (guard->addresses && guard->networks && guard->names && guard->bans)
        return guard;
    guard_close(guard);
    return NULL;
}

void guard_close(struct guard *guard)
{
    if (!guard)
        return;
    suspects_close(guard->addresses);
    suspects_close(guard->networks);
    suspects_close(guard->names);
    bans_close(guard->bans);
    free(guard);
}

void guard_configure(struct guard *guard, const struct conf *conf)
{
    guard->conf = conf;
}

struct guard_sizes guard_sizes(const struct guard *guard)
{
    return (struct guard_sizes){.addresses = suspects_count(guard->addresses),
                                .networks = suspects_count(guard->networks),
                                .names = suspects_count(guard->names),
                                .bans = bans_count(guard->bans)};
}

/* --- Limits and keys ------------------------------------------------------------------------- */

static struct suspect_limits limits_of(const struct guard *guard, uint64_t failures)
{
    return (struct suspect_limits){.failures = (uint32_t)failures,
                                   .within = guard->conf->login.failures_within,
                                   .back_off = guard->conf->login.back_off,
                                   .back_off_most = guard->conf->login.back_off_most};
}

static struct suspect_limits address_limits(const struct guard *guard)
{
    return limits_of(guard, guard->conf->login.failures_per_address);
}

static struct suspect_limits network_limits(const struct guard *guard)
{
    return limits_of(guard, guard->conf->login.failures_per_network);
}

static struct suspect_limits name_limits(const struct guard *guard)
{
    return limits_of(guard, guard->conf->login.failures_per_account);
}

static struct network address_of(const struct network *client)
{
    return network_cut(client, ADDRESS_V4, ADDRESS_V6);
}

static uint64_t network_key(const struct guard *guard, struct network network)
{
    return siphash(guard->key, str_make(network.octets, sizeof(network.octets)));
}

static bool is_unlimited(const struct guard *guard, const struct network *client)
{
    char text[NETWORK_TEXT];
    struct buf buf = {.p = text, .cap = sizeof(text), .max = sizeof(text)};
    network_print(client, &buf);
    struct str rest = buf_str(&buf);
    return conf_networks_hold(&guard->conf->login.unlimited_from, str_cut(&rest, '/'));
}

/* --- Asking ---------------------------------------------------------------------------------- */

static struct guard_answer banned(const struct ban *ban, int64_t wall, bool is_new)
{
    return (struct guard_answer){.verdict = GUARD_BANNED,
                                 .wait = (ban->until - wall) * NS_PER_US,
                                 .new_ban = is_new,
                                 .ban = *ban};
}

/* Those that are being looked at, if they all fail, reach the limit. The first is never stopped. */
static bool is_full(const struct suspect *suspect, const struct suspect_limits *limits)
{
    uint64_t most = (uint64_t)limits->failures * SUSPECT_FAILURE;
    return suspect->pending == UINT16_MAX ||
           (suspect->pending > 0 &&
            suspect->level + ((uint64_t)suspect->pending + 1) * SUSPECT_FAILURE > most);
}

static void judge(const struct suspect *suspect, int64_t now, const struct suspect_limits *limits,
                  struct guard_answer *answer)
{
    if (!suspect)
        return;
    if (suspect->until > now) {
        int64_t wait = suspect->until - now;
        answer->wait = wait > answer->wait ? wait : answer->wait;
        answer->verdict = GUARD_LATER;
    } else if (is_full(suspect, limits) && answer->verdict == GUARD_ALLOWED) {
        answer->verdict = GUARD_WAIT;
    }
}

static int64_t ban_length(const struct guard *guard, uint32_t times)
{
    int64_t length = guard->conf->login.ban, most = guard->conf->login.ban_most;
    for (uint32_t i = 1; i < times && i < LONGEST_SHIFT && length < most; i++)
        length *= 2;
    return length < most ? length : most;
}

/* An address that goes on while it backs off. */
static struct guard_answer ban_begin(struct guard *guard, struct guard_now now,
                                     const struct network *client, struct suspect *suspect)
{
    if (suspect->bans < UINT16_MAX)
        suspect->bans++;
    suspect->refused = 0;
    int64_t length = ban_length(guard, suspect->bans);
    struct ban ban = {.network = address_of(client),
                      .since = now.wall,
                      .until = now.wall + length / NS_PER_US,
                      .times = suspect->bans};
    if (now.mono + length > suspect->until) /* how often is remembered beyond its end */
        suspect->until = suspect->faded = now.mono + length;
    struct guard_answer answer = banned(&ban, now.wall, true);
    answer.has_dropped = bans_put(guard->bans, &ban, &answer.dropped);
    return answer;
}

const struct ban *guard_ban_of(const struct guard *guard, struct network client, int64_t wall)
{
    return bans_find(guard->bans, &client, wall);
}

static struct guard_attempt suspects_of(struct guard *guard, int64_t now,
                                        const struct network *client, uint64_t name, bool known)
{
    struct guard_attempt found = {.address = NULL};
    struct suspect_limits a = address_limits(guard), n = network_limits(guard);
    struct suspect_limits m = name_limits(guard);
    if (!is_unlimited(guard, client)) {
        struct network wide = network_cut(client, NETWORK_V4_BITS, NETWORK_V6_BITS);
        uint64_t address = network_key(guard, address_of(client));
        found.address = suspects_take(guard->addresses, address, now, &a);
        found.network = suspects_take(guard->networks, network_key(guard, wide), now, &n);
    }
    if (!known)
        found.name = suspects_take(guard->names, name, now, &m);
    return found;
}

static void pending_add(const struct guard_attempt *attempt, int change)
{
    struct suspect *const all[] = {attempt->address, attempt->network, attempt->name};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        if (!all[i])
            continue;
        must(change > 0 || all[i]->pending > 0);
        all[i]->pending = (uint16_t)(all[i]->pending + change);
    }
}

static bool is_fresh(const struct suspect *suspect, int64_t now, int64_t within)
{
    return !suspect ||
           (suspect->level == 0 && (suspect->tried == 0 || now - suspect->tried >= within));
}

static void tried_set(const struct guard_attempt *attempt, int64_t when)
{
    if (attempt->address)
        attempt->address->tried = when;
    if (attempt->network)
        attempt->network->tried = when;
}

struct guard_answer guard_ask(struct guard *guard, struct guard_now now, struct network client,
                              struct str name, bool known, struct guard_attempt *attempt_r)
{
    struct guard_answer answer = {.verdict = GUARD_ALLOWED};
    const struct ban *ban = guard_ban_of(guard, client, now.wall);
    if (ban)
        return banned(ban, now.wall, false);
    uint64_t key = siphash(guard->key, name);
    struct guard_attempt attempt = suspects_of(guard, now.mono, &client, key, known);
    struct suspect_limits a = address_limits(guard), n = network_limits(guard);
    struct suspect_limits m = name_limits(guard);
    judge(attempt.address, now.mono, &a, &answer);
    judge(attempt.network, now.mono, &n, &answer);
    judge(attempt.name, now.mono, &m, &answer);
    attempt.fresh = is_fresh(attempt.address, now.mono, a.within) &&
                    is_fresh(attempt.network, now.mono, n.within);
    if (answer.verdict != GUARD_WAIT) /* who waits asks again */
        tried_set(&attempt, now.mono);
    if (attempt.address && attempt.address->until > now.mono &&
        ++attempt.address->refused >= guard->conf->login.ban_after)
        return ban_begin(guard, now, &client, attempt.address);
    if (answer.verdict == GUARD_ALLOWED) {
        pending_add(&attempt, 1);
        *attempt_r = attempt;
    }
    return answer;
}

void guard_let_go(struct guard *guard, struct guard_attempt *attempt)
{
    (void)guard;
    pending_add(attempt, -1);
    *attempt = (struct guard_attempt){.address = NULL};
}

void guard_right(struct guard *guard, struct guard_attempt *attempt)
{
    tried_set(attempt, 0);
    guard_let_go(guard, attempt);
}

void guard_failed(struct guard *guard, struct guard_now now, struct guard_attempt *attempt)
{
    struct suspect_limits a = address_limits(guard), n = network_limits(guard);
    struct suspect_limits m = name_limits(guard);
    if (attempt->address)
        suspect_failed(attempt->address, now.mono, &a);
    if (attempt->network)
        suspect_failed(attempt->network, now.mono, &n);
    if (attempt->name)
        suspect_failed(attempt->name, now.mono, &m);
    guard_let_go(guard, attempt);
}

/* --- Bans ------------------------------------------------------------------------------------ */

const struct bans *guard_bans(const struct guard *guard)
{
    return guard->bans;
}

bool guard_ban(struct guard *guard, struct guard_now now, const struct ban *ban,
               struct ban *dropped_r)
{
    struct suspect_limits a = address_limits(guard);
    struct network own = address_of(&ban->network);
    struct suspect *suspect = NULL;
    if (!ban->by_hand && network_eq(&own, &ban->network))
        suspect = suspects_take(guard->addresses, network_key(guard, own), now.mono, &a);
    if (suspect) { /* a restart does not make the next ban a first one */
        suspect->bans = ban->times < UINT16_MAX ? (uint16_t)ban->times : UINT16_MAX;
        suspect->until = now.mono + (ban->until - now.wall) * NS_PER_US;
        suspect->faded = suspect->until;
    }
    return bans_put(guard->bans, ban, dropped_r);
}

bool guard_lift(struct guard *guard, const struct network *network)
{
    struct suspect_limits a = address_limits(guard), n = network_limits(guard);
    struct suspect *address = suspects_find(guard->addresses, network_key(guard, *network), 0, &a);
    struct network wide = network_cut(network, NETWORK_V4_BITS, NETWORK_V6_BITS);
    struct suspect *around = suspects_find(guard->networks, network_key(guard, wide), 0, &n);
    struct suspect *const all[] = {address, around};
    for (size_t i = 0; i < 2; i++) {
        if (!all[i])
            continue;
        all[i]->level = all[i]->refused = 0;
        all[i]->back_offs = all[i]->bans = 0;
        all[i]->until = all[i]->faded = 0;
    }
    return bans_remove(guard->bans, network);
}

bool guard_expire(struct guard *guard, int64_t wall, struct ban *ban_r)
{
    for (size_t i = bans_count(guard->bans); i > 0; i--) {
        const struct ban *ban = bans_at(guard->bans, i - 1);
        if (ban->until > wall)
            continue;
        *ban_r = *ban;
        bans_remove(guard->bans, &ban_r->network);
        return true;
    }
    return false;
}
