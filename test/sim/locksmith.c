/*
 * Which networks are banned is a table: those that strangers come from, and a public one that good
 * users go to, too; never anybody's home.
 */
#include "locksmith.h"

#include "base/must.h"
#include "sim.h"

enum {
    COMMAND_MOST = 200,
    NOT_THERE = 67,
    IS_THERE = 73,
};

struct banned_network {
    const char *text;
    uint32_t network;
    unsigned bits;
};

static const struct banned_network networks[] = {
    {"10.66.0.0/24", 10u << 24 | 66 << 16, 24},
    {"10.66.0.3/32", 10u << 24 | 66 << 16 | 3, 32},
    {"10.70.0.0/16", 10u << 24 | 70 << 16, 16},
    {"10.5.0.0/24", 10u << 24 | 5 << 16, 24},
};

enum {
    NETWORKS = sizeof(networks) / sizeof(networks[0])
};

static uint64_t below(struct locksmith *locksmith, uint64_t n)
{
    return fake_random_below(&locksmith->random, n);
}

static uint64_t step_of(const struct locksmith *locksmith)
{
    return locksmith->sim->fake->steps;
}

static struct str address_of(int user)
{
    return people_accounts[PEOPLE_FIRST_USER + user];
}

/* --- On a fiber of core, which may be killed in the middle of it ------------------------------ */

static int run(struct locksmith *locksmith, struct core *core, struct str input, const char *format,
               ...) __attribute__((format(printf, 4, 5)));

static int run(struct locksmith *locksmith, struct core *core, struct str input, const char *format,
               ...)
{
    char text[COMMAND_MOST];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    locksmith->answer.n = 0;
    return command_run(core, text, input, &locksmith->answer);
}

static int app_add(struct locksmith *locksmith, struct core *core)
{
    static const char *const services[] = {"smtp,pop3", "smtp", "pop3"};
    struct str address = address_of(locksmith->user);
    unsigned which = locksmith->key->services == KEY_ALL ? 0 : locksmith->key->services;
    if (locksmith->again)
        (void)run(locksmith, core, str_null(), "account app-password remove %.*s phone",
                  STR_FMT(address));
    return run(locksmith, core, str_null(), "account app-password add %.*s phone --services %s",
               STR_FMT(address), services[which]);
}

static void act_make(struct core *core, void *arg)
{
    struct locksmith *of = arg;
    struct str address = address_of(of->user);
    int code = 0;
    switch (of->act) {
    case ACT_PASSWORD:
        code = run(of, core, str_from(of->key->secret), "account password %.*s --password-stdin",
                   STR_FMT(address));
        break;
    case ACT_APP_ADD:
        code = app_add(of, core);
        break;
    case ACT_APP_REMOVE:
        code =
            run(of, core, str_null(), "account app-password remove %.*s phone", STR_FMT(address));
        break;
    case ACT_BAN:
        code = run(of, core, str_null(), "ban add %s --for %us", of->network, of->seconds);
        break;
    case ACT_LIFT:
        code = run(of, core, str_null(), "ban lift %s", of->network);
        break;
    case ACT_BAN_LIST:
    case ACTS:
        code = run(of, core, str_null(), "ban list");
        break;
    }
    /* Done by an earlier try. */
    bool was_done = (of->act == ACT_APP_REMOVE || of->act == ACT_LIFT) && code == NOT_THERE;
    of->exit_code = was_done ? 0 : code;
}

/* --- What is known of it ---------------------------------------------------------------------- */

static void secret_make(struct locksmith *locksmith, char *to, size_t size)
{
    snprintf(to, size, "key-%llu", (unsigned long long)++locksmith->secrets);
}

static void password_begin(struct locksmith *of)
{
    char secret[KEYRING_SECRET];
    secret_make(of, secret, sizeof(secret));
    of->old = keyring_newest(&of->keyring, of->user, false);
    of->key = keyring_add(&of->keyring, of->user, false, str_from(secret), step_of(of));
    if (of->key && of->old)
        of->old->life.is_until = step_of(of);
    of->busy = of->key != NULL;
}

/* Nobody knows it before it was printed. */
static void app_begin(struct locksmith *of)
{
    struct key *app = keyring_newest(&of->keyring, of->user, true);
    bool adds = of->act == ACT_APP_ADD;
    if ((app != NULL) == adds)
        return;
    of->key = adds ? keyring_add(&of->keyring, of->user, true, STR("?"), step_of(of)) : app;
    if (!of->key)
        return;
    if (adds)
        of->key->services = 1 + (unsigned)below(of, KEY_ALL);
    else
        of->key->life.is_until = step_of(of);
    of->busy = true;
}

static struct known_ban *ban_newest(struct locksmith *of, const struct banned_network *network)
{
    for (size_t i = of->keyring.ban_count; i > 0; i--) {
        struct known_ban *ban = &of->keyring.bans[i - 1];
        if (ban->network == network->network && ban->bits == network->bits &&
            ban->life.may_until == NEVER_STEP)
            return ban;
    }
    return NULL;
}

static void ban_begin(struct locksmith *of, const struct banned_network *network)
{
    struct known_ban *before = ban_newest(of, network);
    snprintf(of->network, sizeof(of->network), "%s", network->text);
    if (before)
        before->life.is_until = step_of(of);
    if (of->act == ACT_LIFT) {
        of->ban = before;
        of->busy = before != NULL;
        return;
    }
    of->ban = keyring_ban(&of->keyring, network->network, network->bits, step_of(of));
    of->busy = of->ban != NULL;
    if (of->busy) { /* it may be there from now on, and its own end is not known */
        of->ban->most_until = INT64_MAX;
        of->ban->least_until = 0;
    }
}

static void act_begin(struct locksmith *of, enum locksmith_act act)
{
    of->act = act;
    of->user = (int)below(of, PEOPLE_USERS);
    of->again = false;
    of->key = of->old = NULL;
    of->ban = NULL;
    if (act == ACT_PASSWORD)
        password_begin(of);
    else if (act == ACT_APP_ADD || act == ACT_APP_REMOVE)
        app_begin(of);
    else if (act == ACT_BAN || act == ACT_LIFT)
        ban_begin(of, &networks[below(of, NETWORKS)]);
    else
        of->busy = true;
    of->begun_step = step_of(of);
    if (of->busy)
        sim_say(of->sim, "locksmith: act %d, user %d, %s", act, of->user,
                of->key ? of->key->secret : of->network);
}

/* "password":"...." */
static bool secret_take(struct locksmith *of)
{
    struct str text = str_make(of->answer.text, of->answer.n), mark = STR("\"password\":\"");
    ssize_t at = str_find(text, mark);
    if (at < 0)
        return false;
    struct str rest = str_from_index(text, (size_t)at + mark.n);
    struct str secret = str_cut(&rest, '"');
    must(secret.n < sizeof(of->key->secret));
    memcpy(of->key->secret, secret.p, secret.n);
    of->key->secret[secret.n] = '\0';
    return true;
}

static void key_ends(const struct locksmith *of, struct key *key)
{
    if (!key)
        return;
    key->life.may_until = step_of(of);
    key->ended_at = sim_now(of->sim);
}

/* A listing has each ban that is in force, and none that was lifted or is over. */
static void list_judge(const struct locksmith *of)
{
    struct str text = str_make(of->answer.text, of->answer.n);
    uint64_t now = step_of(of);
    int64_t at = sim_now(of->sim);
    for (size_t i = 0; i < NETWORKS; i++) {
        bool must_be = false, may_be = false;
        for (size_t j = 0; j < of->keyring.ban_count; j++) {
            const struct known_ban *ban = &of->keyring.bans[j];
            if (ban->network != networks[i].network || ban->bits != networks[i].bits)
                continue;
            must_be |= life_must(&ban->life, of->begun_step, now) && ban->least_until > at;
            may_be |= life_may(&ban->life, of->begun_step, now) && ban->most_until > of->begun_at;
        }
        bool is_listed = str_find(text, str_from(networks[i].text)) >= 0;
        /* A single address the guard may have banned by itself. */
        if ((must_be && !is_listed) || (is_listed && !may_be && networks[i].bits < 32))
            oracle_wrong(&of->sim->oracle, "the ban of %s is %slisted", networks[i].text,
                         is_listed ? "" : "not ");
    }
}

static void act_done(struct locksmith *of)
{
    uint64_t step = step_of(of);
    switch (of->act) {
    case ACT_PASSWORD:
        of->key->life.is_from = step;
        key_ends(of, of->old);
        break;
    case ACT_APP_ADD:
        if (!secret_take(of))
            oracle_wrong(&of->sim->oracle, "no application password is printed");
        of->key->life.is_from = step;
        break;
    case ACT_APP_REMOVE:
        key_ends(of, of->key);
        break;
    case ACT_BAN:
        for (struct known_ban *ban = of->keyring.bans; ban < of->ban; ban++)
            if (ban->network == of->ban->network && ban->bits == of->ban->bits &&
                ban->life.may_until == NEVER_STEP)
                ban->life.may_until = step;
        of->ban->life.is_from = step;
        of->ban->least_until = of->begun_at + of->seconds * NS_PER_SECOND;
        of->ban->most_until = sim_now(of->sim) + of->seconds * NS_PER_SECOND;
        break;
    case ACT_LIFT:
        of->ban->life.may_until = step;
        access_lifted(&of->sim->access);
        break;
    case ACT_BAN_LIST:
    case ACTS:
        list_judge(of);
        break;
    }
    of->busy = false;
    sim_say(of->sim, "locksmith: act %d is done", of->act);
}

/* --- One act after the other ------------------------------------------------------------------ */

static void later(struct locksmith *locksmith, int64_t ns)
{
    fake_event_set(locksmith->sim->fake, &locksmith->next, sim_now(locksmith->sim) + ns);
}

static void ask(struct locksmith *of)
{
    struct house *house = &of->sim->house;
    of->core_deaths = house->roles[HOUSE_CORE].deaths;
    of->begun_at = sim_now(of->sim);
    of->errand = (struct house_errand){.run = act_make, .arg = of};
    of->asked = house_errand(house, &of->errand);
}

/* What is half done is done again. A listing that came to nothing is not. */
static void errand_look(struct locksmith *of)
{
    uint64_t core_deaths = of->sim->house.roles[HOUSE_CORE].deaths;
    if (!of->errand.done && core_deaths == of->core_deaths)
        return;
    of->asked = false;
    if (of->errand.done && of->exit_code == 0)
        act_done(of);
    else if (of->act == ACT_BAN_LIST)
        of->busy = false;
    of->again = of->busy;
}

static void choose(struct locksmith *of)
{
    static const enum locksmith_act acts[] = {ACT_PASSWORD, ACT_PASSWORD,   ACT_PASSWORD,
                                              ACT_APP_ADD,  ACT_APP_REMOVE, ACT_BAN,
                                              ACT_BAN,      ACT_LIFT,       ACT_BAN_LIST};
    if (of->acts_left == 0 || of->sim->calm) {
        of->idle = true;
        sim_look_done(of->sim);
        return;
    }
    of->acts_left--;
    of->seconds = 30 + (uint32_t)below(of, 600);
    act_begin(of, acts[below(of, sizeof(acts) / sizeof(acts[0]))]);
}

static void wake(struct fake_world *fake, struct fake_event *event)
{
    (void)fake;
    struct locksmith *of = event->arg;
    if (of->asked)
        errand_look(of);
    else if (of->busy)
        ask(of);
    else
        choose(of);
    if (of->asked)
        later(of, NS_PER_MS / 2);
    else if (of->busy)
        later(of, (int64_t)below(of, 5 * NS_PER_MS));
    else if (!of->idle)
        later(of, (int64_t)below(of, below(of, 3) ? 30 * NS_PER_MS : 100 * NS_PER_SECOND));
}

bool locksmith_is_settled(const struct locksmith *locksmith)
{
    return locksmith->idle && !locksmith->busy;
}

void locksmith_start(struct locksmith *locksmith)
{
    locksmith->idle = false;
    later(locksmith, (int64_t)below(locksmith, 20 * NS_PER_MS));
}

/* --- In fair weather -------------------------------------------------------------------------- */

static void act_whole(struct locksmith *of)
{
    of->begun_at = sim_now(of->sim);
    if (of->busy && (!house_do(&of->sim->house, act_make, of) || of->exit_code != 0))
        oracle_wrong(&of->sim->oracle, "act %d of the locksmith fails in fair weather", of->act);
    else if (of->busy)
        act_done(of);
}

void locksmith_ban(struct locksmith *locksmith, const char *network, uint32_t seconds)
{
    struct banned_network row = {.text = network};
    unsigned a, b, c, d;
    must(sscanf(network, "%u.%u.%u.%u/%u", &a, &b, &c, &d, &row.bits) == 5);
    row.network = a << 24 | b << 16 | c << 8 | d;
    locksmith->act = ACT_BAN;
    locksmith->seconds = seconds;
    ban_begin(locksmith, &row);
    act_whole(locksmith);
}

struct str locksmith_password(struct locksmith *locksmith, int user)
{
    return str_from(keyring_newest(&locksmith->keyring, user, false)->secret);
}

void locksmith_open(struct locksmith *locksmith, struct sim *sim, uint32_t acts)
{
    *locksmith = (struct locksmith){.sim = sim, .acts_left = acts, .idle = true};
    fake_world_random(sim->fake, "locksmith", &locksmith->random);
    locksmith->next = (struct fake_event){.run = wake, .arg = locksmith};
    for (int user = 0; user < PEOPLE_USERS; user++) {
        locksmith->act = ACT_PASSWORD;
        locksmith->user = user;
        password_begin(locksmith);
        act_whole(locksmith);
    }
}
