/*
 * Each rule is written so that it holds whatever the network, deaths and other clients did: what is
 * between asking and hearing is taken as it suits the server.
 */
#include "access.h"

#include "base/must.h"
#include "sim.h"

#define WITHIN (600 * NS_PER_SECOND)        /* login.failures_within */
#define BLAME_WITHIN (3600 * NS_PER_SECOND) /* who backs off failed since, at the latest */
#define BAN_LEAST (300 * NS_PER_SECOND)     /* login.ban */
#define BAN_SLACK (2 * NS_PER_SECOND)       /* edges count in seconds */
#define CHALLENGE_LIFE                                                                             \
    (55 * NS_PER_SECOND)                 /* an attempt that takes longer is forgotten by core      \
                                          */
#define TIME_LIMIT (290 * NS_PER_SECOND) /* smtp.command_timeout, nearly */
#define NOTED_AFTER (5 * NS_PER_SECOND)  /* what a log-in leaves behind is on the disk by then */

static uint64_t core_deaths(const struct access *access)
{
    return access->sim->house.roles[HOUSE_CORE].deaths;
}

static void wrong(struct access *access, const struct access_attempt *attempt, const char *what)
{
    const struct auth *auth = attempt->auth;
    uint32_t a = attempt->from;
    oracle_wrong(&access->sim->oracle, "%u.%u.%u.%u as %s with %s by way %d: %s", a >> 24,
                 a >> 16 & 255, a >> 8 & 255, a & 255, auth->name, auth->secret, auth->way, what);
}

/* --- What a reply says ------------------------------------------------------------------------ */

struct words {
    enum access_outcome outcome;
    struct str smtp, pop3; /* the whole line; "...": it begins like that */
};

static const struct words words[] = {
    {ACCESS_IN, STR_INIT("235 2.7.0 Authentication successful"), STR_INIT("+OK Logged in")},
    {ACCESS_WRONG, STR_INIT("535 5.7.8 Authentication failed"),
     STR_INIT("-ERR [AUTH] Authentication failed")},
    {ACCESS_OFF, STR_INIT("535 5.7.8 This service is switched off for the account"),
     STR_INIT("-ERR [AUTH] This service is switched off for the account")},
    {ACCESS_BACK_OFF, STR_INIT("454 4.7.0 Too many failed log-ins; try again later"),
     STR_INIT("-ERR [SYS/TEMP] Too many failed log-ins; try again later")},
    {ACCESS_LATER, STR_INIT("454 4.7.0 Too many log-ins at once; try again later"),
     STR_INIT("-ERR [SYS/TEMP] Too many log-ins at once; try again later")},
    {ACCESS_BANNED,
     STR_INIT(
         "421 4.7.0 mx.example.test Too many failed log-ins from your network; try again later"),
     STR_INIT("-ERR [SYS/TEMP] Too many failed log-ins from your network; try again later")},
    {ACCESS_MALFORMED, STR_INIT("501 5.7.0 Authentication cancelled"),
     STR_INIT("-ERR Authentication cancelled")},
    {ACCESS_MALFORMED, STR_INIT("501 5.5.2 Cannot decode that"),
     STR_INIT("-ERR Cannot decode that")},
    {ACCESS_TROUBLE, STR_INIT("45..."), STR_INIT("-ERR [AUTH] The log-in is over; log in again")},
    {ACCESS_TROUBLE, STR_INIT("421..."), STR_INIT("-ERR [SYS/TEMP]...")},
};

static bool is_said(struct str line, struct str as)
{
    if (!str_ends(as, STR("...")))
        return str_eq(line, as);
    return str_starts(line, str_head(as, as.n - 3));
}

static enum access_outcome outcome_of(struct str line, bool smtp)
{
    if (!line.p)
        return ACCESS_CUT;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (is_said(line, smtp ? words[i].smtp : words[i].pop3))
            return words[i].outcome;
    return ACCESS_STRANGE;
}

bool access_says_banned(struct str line)
{
    return outcome_of(line, true) == ACCESS_BANNED || outcome_of(line, false) == ACCESS_BANNED;
}

/* --- Who counts ------------------------------------------------------------------------------- */

bool access_is_home(uint32_t from)
{
    return from >> 16 == (10u << 8 | 1);
}

static bool is_users_place(uint32_t from)
{
    return access_is_home(from) || from >> 8 == (10u << 16 | 5 << 8);
}

static uint32_t name_hash(const char *name)
{
    uint32_t hash = 2166136261;
    for (; *name; name++)
        hash =
            (hash ^ (unsigned char)(*name >= 'A' && *name <= 'Z' ? *name + 32 : *name)) * 16777619;
    return hash;
}

static struct access_mark *mark_of(const struct access *access,
                                   const struct access_attempt *attempt)
{
    return &access->marks[attempt->mark];
}

static size_t mark_add(struct access *access, const struct auth *auth, uint32_t from)
{
    if (access->mark_count == access->mark_room) {
        access->mark_room = access->mark_room ? 2 * access->mark_room : 64;
        access->marks = realloc(access->marks, access->mark_room * sizeof(*access->marks));
        must(access->marks);
    }
    access->marks[access->mark_count] = (struct access_mark){.from = from,
                                                             .name = name_hash(auth->name),
                                                             .at_home = is_users_place(from),
                                                             .counts = COUNTS_PERHAPS,
                                                             .said_at = sim_now(access->sim),
                                                             .heard_at = INT64_MAX,
                                                             .core_deaths = core_deaths(access)};
    return access->mark_count++;
}

static void mark_heard(struct access *access, const struct access_attempt *attempt,
                       enum access_counts counts)
{
    struct access_mark *mark = mark_of(access, attempt);
    mark->counts = counts;
    mark->heard_at = sim_now(access->sim);
    mark->is_old = attempt->lifts != access->lifts;
    if (mark->core_deaths != core_deaths(access))
        mark->core_deaths = NEVER_STEP;
}

void access_lifted(struct access *access)
{
    access->lifts++;
    for (size_t i = 0; i < access->mark_count; i++)
        access->marks[i].is_old = true;
    access->ban_count = 0;
}

enum by {
    BY_ADDRESS,
    BY_NETWORK,
    BY_NAME
};

static bool is_same(const struct access_mark *a, const struct access_mark *b, enum by by)
{
    if (by == BY_NAME)
        return a->name == b->name;
    return by == BY_ADDRESS ? a->from == b->from : a->from >> 8 == b->from >> 8;
}

enum {
    LOOKED_AT_MOST = 200 /* by which a limit is far behind */
};

/* When the secrets were said that one core looked at, and that count with this one. */
static size_t looked_at(const struct access *access, const struct access_mark *last, enum by by,
                        int64_t said_at[LOOKED_AT_MOST])
{
    size_t count = 0;
    for (size_t i = 0; i < access->mark_count && count < LOOKED_AT_MOST; i++) {
        const struct access_mark *mark = &access->marks[i];
        if (mark->counts == COUNTS_WRONG && !mark->is_old &&
            mark->core_deaths == last->core_deaths && is_same(mark, last, by) &&
            (by != BY_NAME || !mark->at_home))
            said_at[count++] = mark->said_at;
    }
    return count;
}

/* A bucket of `limit` that fills evenly; and one more, since rounding is the server's. */
static bool is_above(const struct access *access, const struct access_attempt *attempt, enum by by,
                     uint64_t limit)
{
    const struct access_mark *last = mark_of(access, attempt);
    int64_t said_at[LOOKED_AT_MOST];
    if (last->core_deaths == NEVER_STEP || last->is_old)
        return false;
    size_t count = looked_at(access, last, by, said_at);
    for (size_t i = 0; i < count; i++) {
        uint64_t since = 0;
        for (size_t j = 0; j < count; j++)
            since += said_at[j] >= said_at[i];
        if (since > limit + 1 + (uint64_t)(last->heard_at - said_at[i]) * limit / WITHIN)
            return true;
    }
    return false;
}

/* Of this client or name, beside the attempt itself: what may have failed, or, with `refused`, been
 * asked. */
static uint64_t failures(const struct access *access, const struct access_attempt *attempt,
                         enum by by, bool refused)
{
    struct access_mark *own = mark_of(access, attempt);
    uint64_t count = 0;
    for (size_t i = 0; i < access->mark_count; i++) {
        const struct access_mark *mark = &access->marks[i];
        bool counts = mark->counts == COUNTS_WRONG || mark->counts == COUNTS_PERHAPS ||
                      (refused && mark->counts == COUNTS_REFUSED);
        count += mark != own && counts && is_same(mark, own, by) &&
                 sim_now(access->sim) < mark->said_at + BLAME_WITHIN;
    }
    return count;
}

/* --- Bans ------------------------------------------------------------------------------------- */

static bool operator_bans(const struct access *access, const struct access_attempt *attempt,
                          bool surely)
{
    const struct keyring *keyring = &access->sim->locksmith.keyring;
    uint64_t step = access->sim->fake->steps;
    int64_t now = sim_now(access->sim);
    for (size_t i = 0; i < keyring->ban_count; i++) {
        const struct known_ban *ban = &keyring->bans[i];
        if (!ban_covers(ban, attempt->from))
            continue;
        if (surely ? life_must(&ban->life, attempt->begun_step, step) && now < ban->least_until
                   : life_may(&ban->life, attempt->begun_step, step) &&
                         attempt->begun_at - BAN_SLACK < ban->most_until)
            return true;
    }
    return false;
}

/* One that may not have reached the disk ends with its core. */
static bool guard_ban_holds(struct access *access, const struct access_attempt *attempt)
{
    int64_t now = sim_now(access->sim);
    for (size_t i = 0; i < access->ban_count; i++) {
        struct access_ban *ban = &access->bans[i];
        if (ban->from != attempt->from)
            continue;
        bool same_core = ban->core_deaths == core_deaths(access);
        if (same_core && now > ban->heard_at + NOTED_AFTER && !access->sim->plan.disk)
            ban->durable = true;
        if (!same_core && !ban->durable)
            continue;
        if (attempt->begun_at > ban->heard_at && now < ban->least_until)
            return true;
    }
    return false;
}

static bool is_banned(struct access *access, const struct access_attempt *attempt)
{
    return operator_bans(access, attempt, true) || guard_ban_holds(access, attempt);
}

/* Since when it was not banned yet, as far as we know. */
static int64_t unbanned_at(const struct access *access, uint32_t from)
{
    int64_t at = 0;
    for (size_t i = 0; i < access->mark_count; i++)
        if (access->marks[i].from == from && access->marks[i].counts >= COUNTS_REFUSED &&
            access->marks[i].said_at > at)
            at = access->marks[i].said_at;
    return at;
}

static void ban_heard(struct access *access, const struct access_attempt *attempt)
{
    access->banned++;
    mark_heard(access, attempt, COUNTS_NOT);
    if (operator_bans(access, attempt, false))
        return;
    if (failures(access, attempt, BY_ADDRESS, true) < ACCESS_BAN_AFTER) {
        wrong(access, attempt, "is banned without a reason");
        return;
    }
    if (access->ban_count == access->ban_room) {
        access->ban_room = access->ban_room ? 2 * access->ban_room : 16;
        access->bans = realloc(access->bans, access->ban_room * sizeof(*access->bans));
        must(access->bans);
    }
    access->bans[access->ban_count++] =
        (struct access_ban){.from = attempt->from,
                            .least_until = unbanned_at(access, attempt->from) + BAN_LEAST,
                            .heard_at = sim_now(access->sim),
                            .core_deaths = core_deaths(access)};
}

void access_turned_away(struct access *access, uint32_t from, struct str line)
{
    struct auth auth = {.way = AUTH_WAYS, .name = "(connecting)"};
    struct access_attempt attempt = access_begin(access, &auth, -1, from);
    if (access_says_banned(line))
        ban_heard(access, &attempt);
}

/* --- Home ------------------------------------------------------------------------------------- */

/* A log-in that went well is noted behind its answer. */
static void home_look(struct access *access, int user)
{
    int64_t at = access->home_success[user].at;
    if (access->home_known[user] || at == 0)
        return;
    if (access->home_success[user].core_deaths != core_deaths(access))
        access->home_success[user].at = 0;
    else if (sim_now(access->sim) > at + NOTED_AFTER && !access->sim->plan.disk)
        access->home_known[user] = true;
}

static void home_succeeds(struct access *access, const struct access_attempt *attempt)
{
    if (!access_is_home(attempt->from) || access->home_success[attempt->user].at)
        return;
    access->home_success[attempt->user].at = sim_now(access->sim);
    access->home_success[attempt->user].core_deaths = core_deaths(access);
}

/* --- Judgment --------------------------------------------------------------------------------- */

static const struct key *key_of(const struct access *access, const struct access_attempt *attempt)
{
    if (attempt->user < 0)
        return NULL;
    return keyring_find(&access->sim->locksmith.keyring, attempt->user,
                        str_from(attempt->auth->secret));
}

static unsigned service_of(const struct access_attempt *attempt)
{
    return attempt->auth->smtp ? KEY_SMTP : KEY_POP3;
}

static bool is_no_attempt(const struct access_attempt *attempt)
{
    return attempt->auth->way == AUTH_CANCEL || attempt->auth->way == AUTH_BROKEN;
}

static void judge_in(struct access *access, const struct access_attempt *attempt)
{
    const struct key *key = key_of(access, attempt);
    uint64_t step = access->sim->fake->steps;
    access->in++;
    mark_heard(access, attempt, COUNTS_NOT);
    if (is_no_attempt(attempt) || !key || !life_may(&key->life, attempt->said_step, step) ||
        !(key->services & service_of(attempt)))
        wrong(access, attempt, "logs in with what is not valid");
    else if (attempt->auth->impostor)
        wrong(access, attempt, "the server does not show that it knows the keys");
    else if (is_banned(access, attempt))
        wrong(access, attempt, "logs in though it is banned");
    else
        home_succeeds(access, attempt);
}

static void judge_wrong(struct access *access, const struct access_attempt *attempt)
{
    const struct key *key = key_of(access, attempt);
    bool forgotten =
        attempt->auth->way == AUTH_SCRAM &&
        (sim_now(access->sim) - attempt->begun_at > CHALLENGE_LIFE ||
         keyring_changed(&access->sim->locksmith.keyring, attempt->user, attempt->begun_step));
    access->wrong++;
    if (is_no_attempt(attempt))
        wrong(access, attempt, "is told a wrong password, and said none");
    else if (key && life_must(&key->life, attempt->begun_step, access->sim->fake->steps) &&
             !forgotten)
        wrong(access, attempt, "is refused, and was valid");
    else if (is_banned(access, attempt))
        wrong(access, attempt, "is looked at though it is banned");
    mark_heard(access, attempt, forgotten ? COUNTS_PERHAPS : COUNTS_WRONG);
    if (is_above(access, attempt, BY_ADDRESS, ACCESS_PER_ADDRESS))
        wrong(access, attempt, "guesses more than an address may");
    if (is_above(access, attempt, BY_NETWORK, ACCESS_PER_NETWORK))
        wrong(access, attempt, "guesses more than a network may");
    if (!is_users_place(attempt->from) && is_above(access, attempt, BY_NAME, ACCESS_PER_NAME))
        wrong(access, attempt, "guesses more than a name may be guessed at");
}

static void judge_off(struct access *access, const struct access_attempt *attempt)
{
    const struct key *key = key_of(access, attempt);
    if (!key || !life_may(&key->life, attempt->said_step, access->sim->fake->steps) ||
        key->services & service_of(attempt))
        wrong(access, attempt, "is told of a service that is off");
}

static void judge_back_off(struct access *access, const struct access_attempt *attempt)
{
    bool is_known =
        access_is_home(attempt->from) && attempt->user >= 0 && access->home_known[attempt->user];
    access->back_off++;
    if (failures(access, attempt, BY_ADDRESS, false) < ACCESS_PER_ADDRESS &&
        failures(access, attempt, BY_NETWORK, false) < ACCESS_PER_NETWORK &&
        (is_known || failures(access, attempt, BY_NAME, false) < ACCESS_PER_NAME))
        wrong(access, attempt, is_known ? "is locked out at home" : "is told later for nothing");
    mark_heard(access, attempt, COUNTS_REFUSED);
}

static void judge_trouble(struct access *access, const struct access_attempt *attempt)
{
    bool too_slow = sim_now(access->sim) - attempt->begun_at > TIME_LIMIT;
    /* A log-in may be over before its last word was said. */
    bool is_over =
        attempt->auth->way == AUTH_SCRAM && attempt->said &&
        keyring_changed(&access->sim->locksmith.keyring, attempt->user, attempt->begun_step);
    bool troubled = (access->sim->plan.disk || too_slow || is_over) && !access->fair;
    for (int slot = 0; slot < HOUSE_SLOTS; slot++)
        troubled |= access->sim->house.roles[slot].deaths > 0 && !access->fair;
    if (!troubled)
        wrong(access, attempt, "meets a trouble where there is none");
}

enum access_outcome access_judge(struct access *access, const struct access_attempt *attempt,
                                 struct str line)
{
    enum access_outcome outcome = outcome_of(line, attempt->auth->smtp);
    if (attempt->user >= 0)
        home_look(access, attempt->user);
    switch (outcome) {
    case ACCESS_IN:
        judge_in(access, attempt);
        break;
    case ACCESS_WRONG:
        judge_wrong(access, attempt);
        break;
    case ACCESS_OFF:
        judge_off(access, attempt);
        break;
    case ACCESS_BACK_OFF:
        judge_back_off(access, attempt);
        break;
    case ACCESS_BANNED:
        ban_heard(access, attempt);
        break;
    case ACCESS_TROUBLE:
        judge_trouble(access, attempt);
        break;
    case ACCESS_CUT:
        break;
    case ACCESS_LATER:
        if (access->fair)
            wrong(access, attempt, "is told to wait for others, and there are none");
        break;
    case ACCESS_MALFORMED:
        if (!is_no_attempt(attempt))
            wrong(access, attempt, "is told that it says nonsense");
        mark_heard(access, attempt, COUNTS_NOT);
        break;
    case ACCESS_STRANGE:
        wrong(access, attempt, "hears what no log-in is told");
        break;
    }
    return outcome;
}

struct access_attempt access_begin(struct access *access, struct auth *auth, int user,
                                   uint32_t from)
{
    uint64_t step = access->sim->fake->steps;
    return (struct access_attempt){.auth = auth,
                                   .user = user,
                                   .from = from,
                                   .mark = mark_add(access, auth, from),
                                   .begun_step = step,
                                   .said_step = step,
                                   .begun_at = sim_now(access->sim),
                                   .lifts = access->lifts};
}

void access_said(struct access *access, struct access_attempt *attempt)
{
    if (attempt->said)
        return;
    attempt->said = true;
    attempt->said_step = access->sim->fake->steps;
    mark_of(access, attempt)->said_at = sim_now(access->sim);
}

void access_open(struct access *access, struct sim *sim)
{
    *access = (struct access){.sim = sim};
}

void access_close(struct access *access)
{
    free(access->marks);
    free(access->bans);
}
