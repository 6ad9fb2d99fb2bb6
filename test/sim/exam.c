/*
 * Step by step, each log-in waited for. The addresses are nobody else's, so nothing that happened
 * before is in their way but what was guessed at a name, and that has faded.
 */
#include "exam.h"

#include "sim.h"

enum {
    LINE_MOST = 1200,
    GUESSES = 7, /* at one name, from one address: more than it may */
    NETWORKS = 9,
    BAN_SECONDS = 1200,
};

#define IPV4(a, b, c, d) ((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (d))

/* One log-in of one session. */
struct sitting {
    struct sim *sim;
    struct dialog dialog;
    struct auth auth;
    struct access_attempt attempt;
    bool begun, over;
    enum access_outcome outcome;
};

static void say(struct sitting *sitting, struct buf *line)
{
    sim_say(sitting->sim, "exam: %.*s", STR_FMT(buf_str(line)));
    dialog_say(&sitting->dialog, buf_str(line));
    dialog_say(&sitting->dialog, STR("\r\n"));
    buf_done(line);
}

static void ends(struct sitting *sitting, enum access_outcome outcome)
{
    sitting->outcome = outcome;
    sitting->over = true;
    fake_stop(sitting->sim->fake);
}

static void auth_say(struct sitting *sitting)
{
    struct buf line = BUF_INIT(LINE_MOST);
    sitting->begun = true;
    auth_begin(&sitting->auth, &line);
    say(sitting, &line);
}

static void heard(struct sitting *sitting, struct str line)
{
    struct access *access = &sitting->sim->access;
    struct buf next = BUF_INIT(LINE_MOST);
    sim_say(sitting->sim, "exam:     %.*s", STR_FMT(line));
    bool is_greeting = str_starts(line, STR("220")) || str_starts(line, STR("+OK Veredus"));
    if (sitting->begun && auth_next(&sitting->auth, line, &next)) {
        if (sitting->auth.proves)
            access_said(access, &sitting->attempt);
        say(sitting, &next);
        return;
    }
    if (sitting->begun || access_says_banned(line)) {
        ends(sitting, access_judge(access, &sitting->attempt, line));
    } else if (is_greeting && sitting->auth.smtp) {
        buf_printf(&next, "EHLO exam.test");
        say(sitting, &next);
    } else if (is_greeting || str_starts(line, STR("250 "))) {
        auth_say(sitting);
    }
    buf_done(&next);
}

static void changed(struct fake_client *client, void *arg)
{
    (void)client;
    struct sitting *sitting = arg;
    struct str line;
    dialog_pull(&sitting->dialog);
    while (!sitting->over && dialog_line(&sitting->dialog, &line))
        heard(sitting, line);
    if (!sitting->over && dialog_is_over(&sitting->dialog))
        ends(sitting, ACCESS_CUT);
    dialog_push(&sitting->dialog);
}

static enum access_outcome log_in(struct sim *sim, uint32_t from, struct auth auth, int user)
{
    struct sitting sitting = {.sim = sim, .auth = auth, .outcome = ACCESS_CUT};
    char address[16];
    snprintf(address, sizeof(address), "%u.%u.%u.%u", from >> 24, from >> 16 & 255, from >> 8 & 255,
             from & 255);
    sitting.attempt = access_begin(&sim->access, &sitting.auth, user, from);
    sim->sessions++;
    if (sim->oracle.violated ||
        !dialog_open(&sitting.dialog, sim->fake, auth.smtp ? "submission" : "pop3", address,
                     changed, &sitting))
        return ACCESS_CUT;
    while (!sitting.over && !sim->oracle.violated &&
           fake_run(sim->fake, sim_now(sim) + 60 * NS_PER_SECOND) == FAKE_STOPPED)
        house_look(&sim->house);
    dialog_end(&sitting.dialog, DIALOG_CLOSES);
    return sitting.outcome;
}

static void expect(struct sim *sim, const char *what, enum access_outcome outcome,
                   enum access_outcome expected)
{
    if (outcome != expected)
        oracle_wrong(&sim->oracle, "in fair weather: %s: %d instead of %d", what, outcome,
                     expected);
}

static struct auth right(struct sim *sim, int user, enum auth_way way, bool smtp)
{
    return auth_make(way, smtp, people_names[user][way % PEOPLE_NAMES],
                     locksmith_password(&sim->locksmith, user), &sim->random);
}

/* --- What is asked ---------------------------------------------------------------------------- */

static uint32_t home_of(int user)
{
    return IPV4(10, 1, (uint32_t)user, 200);
}

/* What he has works by every way; what he had does not. */
static void everybody_is_in(struct sim *sim)
{
    for (int user = 0; user < PEOPLE_USERS; user++) {
        for (enum auth_way way = AUTH_USER_PASS; way <= AUTH_SCRAM; way++)
            expect(sim, "what a user has",
                   log_in(sim, home_of(user), right(sim, user, way, way % 2), user), ACCESS_IN);
        const struct key *older = keyring_older(&sim->locksmith.keyring, user, KEYRING_MOST);
        if (!older || older->life.may_until == NEVER_STEP)
            continue;
        struct auth auth = auth_make(AUTH_PLAIN, true, people_names[user][0],
                                     str_from(older->secret), &sim->random);
        expect(sim, "what a user had", log_in(sim, IPV4(10, 89, (uint32_t)user, 1), auth, user),
               ACCESS_WRONG);
    }
}

/* The same things are said of who is there and of who is not, from the first guess to the last. */
static void nobody_is_told_apart(struct sim *sim)
{
    struct str nobody = STR("nobody@example.test");
    for (int guess = 0; guess < GUESSES; guess++) {
        enum auth_way way = guess % 2 ? AUTH_SCRAM : AUTH_PLAIN;
        struct auth one = auth_make(way, true, people_names[1][0], STR("guess"), &sim->random);
        struct auth other = auth_make(way, true, nobody, STR("guess"), &sim->random);
        enum access_outcome first = log_in(sim, IPV4(10, 90, 1, 1), one, 1);
        expect(sim, "a name that there is not, and one that there is",
               log_in(sim, IPV4(10, 90, 2, 1), other, -1), first);
    }
}

/* Strangers guess at a name from everywhere: it backs off for them, and not at its owner's home. */
static void home_is_open(struct sim *sim)
{
    for (uint32_t network = 0; network < NETWORKS; network++) {
        struct auth guess =
            auth_make(AUTH_PLAIN, true, people_names[0][0], STR("guess"), &sim->random);
        log_in(sim, IPV4(10, 93, network, 1), guess, 0);
    }
    struct auth auth = right(sim, 0, AUTH_USER_PASS, true);
    expect(sim, "at a name that backs off", log_in(sim, IPV4(10, 94, 0, 1), auth, 0),
           ACCESS_BACK_OFF);
    expect(sim, "at home", log_in(sim, home_of(0), auth, 0), ACCESS_IN);
}

static uint64_t hashes(const struct sim *sim)
{
    return house_hashes(&sim->house);
}

static void wait(struct sim *sim, int64_t ns)
{
    int64_t until = sim_now(sim) + ns;
    while (!sim->oracle.violated && sim_now(sim) < until)
        if (fake_run(sim->fake, until) == FAKE_STOPPED)
            house_look(&sim->house);
}

/* No hash, no log-in; over a death of core; until its end, and no longer. */
static void a_ban_holds_to_its_end(struct sim *sim)
{
    uint32_t from = IPV4(10, 91, 7, 7);
    locksmith_ban(&sim->locksmith, "10.91.0.0/16", BAN_SECONDS);
    int64_t begun = sim_now(sim);
    for (int i = 0; i < 4 && !sim->oracle.violated; i++) {
        uint64_t before = hashes(sim);
        expect(sim, "from a banned network",
               log_in(sim, from, right(sim, 1, i % 2 ? AUTH_PLAIN : AUTH_USER_PASS, i % 2), 1),
               ACCESS_BANNED);
        if (hashes(sim) != before)
            oracle_wrong(&sim->oracle, "a hash is computed for who is banned");
        if (i == 1) {
            house_kill(&sim->house, HOUSE_CORE, 0);
            wait(sim, 10 * NS_PER_SECOND);
        }
    }
    wait(sim, begun + (BAN_SECONDS + 2) * NS_PER_SECOND - sim_now(sim));
    expect(sim, "behind a ban's end", log_in(sim, from, right(sim, 1, AUTH_PLAIN, true), 1),
           ACCESS_IN);
}

void exam(struct sim *sim)
{
    sim->access.fair = true;
    everybody_is_in(sim);
    nobody_is_told_apart(sim);
    home_is_open(sim);
    if (!sim->oracle.violated)
        a_ban_holds_to_its_end(sim);
}
