/*
 * One command at a time, each waited for: what is tried is who gets in, not how fast. Many guess at
 * once because there are many visitors, and the pools of addresses are small.
 */
#include "visitor.h"

#include "base/must.h"
#include "sim.h"

enum {
    LINE_MOST = 1200,
    TEXT_MOST = 2 * LETTER_SIZE_MAX,
    UNKNOWN_NAMES = 3,
};

#define PATIENCE (12 * 60 * NS_PER_SECOND)
#define LINGERS_MOST (20 * NS_PER_SECOND)
#define REVIEWED_AFTER (5 * NS_PER_SECOND) /* whose credentials ended is out by then */
#define NOTICED_AFTER NS_PER_SECOND        /* an edge knows by then that its core died */
#define IPV4(a, b, c, d) ((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (d))

static const struct str unknown_names[UNKNOWN_NAMES] = {
    STR_INIT("nobody@example.test"), STR_INIT("admin"), STR_INIT("mona@elsewhere.test")};

static uint32_t below(struct visitor *visitor, uint64_t n)
{
    return (uint32_t)sim_below(visitor->sim, n);
}

static int number(const struct visitor *visitor)
{
    return (int)(visitor - visitor->sim->visitors);
}

/* --- The end of a session --------------------------------------------------------------------- */

static void wake_later(struct visitor *visitor)
{
    struct sim *sim = visitor->sim;
    visitor->idle = visitor->logins_left + visitor->guesses_left == 0;
    if (visitor->idle)
        sim_look_done(sim);
    else
        fake_event_set(sim->fake, &visitor->wake,
                       sim_now(sim) + (int64_t)sim_below(sim, below(visitor, 8)
                                                                  ? 20 * NS_PER_MS
                                                                  : 200 * NS_PER_SECOND));
}

static void judge(struct visitor *visitor, struct str line)
{
    if (visitor->attempting)
        visitor->in = access_judge(&visitor->sim->access, &visitor->attempt, line) == ACCESS_IN;
    visitor->attempting = false;
}

static void session_over(struct visitor *visitor, enum dialog_end how)
{
    struct sim *sim = visitor->sim;
    if (sim->oracle.violated)
        return;
    judge(visitor, str_null());
    fake_event_clear(sim->fake, &visitor->limit);
    dialog_end(&visitor->dialog, how);
    buf_done(&visitor->text);
    wake_later(visitor);
}

static void limit_reached(struct fake_world *fake, struct fake_event *event);

/* --- Saying ----------------------------------------------------------------------------------- */

static void say(struct visitor *visitor, enum visit_asked kind, struct str words)
{
    sim_say(visitor->sim, "visitor %d: %.*s", number(visitor), STR_FMT(words));
    dialog_say(&visitor->dialog, words);
    dialog_say(&visitor->dialog, STR("\r\n"));
    visitor->asked = kind;
    visitor->asked_at = sim_now(visitor->sim);
}

static void say_quit(struct visitor *visitor)
{
    say(visitor, VISIT_QUIT, STR("QUIT"));
}

/* What he has, had, mistypes, or what is another's. */
static struct str secret_choose(struct visitor *visitor, char room[KEYRING_SECRET])
{
    struct keyring *keyring = &visitor->sim->locksmith.keyring;
    uint32_t kind = below(visitor, 20);
    const struct key *key = keyring_newest(keyring, visitor->user, false);
    if (kind < 4) {
        const struct key *app = keyring_newest(keyring, visitor->user, true);
        key = app && app->life.is_from != NEVER_STEP ? app : key;
    } else if (kind < 6) {
        const struct key *older = keyring_older(keyring, visitor->user, below(visitor, 10));
        key = older ? older : key;
    } else if (kind == 6) {
        key = keyring_newest(keyring, (visitor->user + 1) % PEOPLE_USERS, false);
    }
    memcpy(room, key->secret, KEYRING_SECRET);
    if (kind == 7)
        room[0] ^= 1;
    return str_from(room);
}

static struct str guess_choose(struct visitor *visitor, char room[KEYRING_SECRET])
{
    snprintf(room, KEYRING_SECRET, "guess-%u", below(visitor, 1000000));
    return str_from(room);
}

/* SCRAM seldom, for it costs the client thousands of rounds. */
static enum auth_way way_choose(struct visitor *visitor)
{
    uint32_t way = below(visitor, visitor->guesses ? 20 : 10);
    return way < AUTH_WAYS ? (enum auth_way)way : way % 2 ? AUTH_USER_PASS : AUTH_PLAIN;
}

static void say_line(struct visitor *visitor, enum visit_asked kind, struct buf *line)
{
    bool said = visitor->auth.proves && visitor->attempting;
    say(visitor, kind, buf_str(line));
    if (said && kind == VISIT_AUTH)
        access_said(&visitor->sim->access, &visitor->attempt);
    buf_done(line);
}

static void say_auth(struct visitor *visitor)
{
    char secret[KEYRING_SECRET];
    struct buf line = BUF_INIT(LINE_MOST);
    struct str name = visitor->user < 0 ? unknown_names[below(visitor, UNKNOWN_NAMES)]
                                        : people_names[visitor->user][below(visitor, PEOPLE_NAMES)];
    struct str word =
        visitor->guesses ? guess_choose(visitor, secret) : secret_choose(visitor, secret);
    visitor->auth =
        auth_make(way_choose(visitor), visitor->smtp, name, word, &visitor->sim->random);
    visitor->attempt =
        access_begin(&visitor->sim->access, &visitor->auth, visitor->user, visitor->from);
    visitor->attempting = true;
    visitor->attempts_left--;
    auth_begin(&visitor->auth, &line);
    say_line(visitor, VISIT_AUTH, &line);
    if (visitor->drops && visitor->auth.proves) {
        dialog_push(&visitor->dialog);
        session_over(visitor, (enum dialog_end)below(visitor, 3));
    }
}

/* Something that is for those who logged in. */
static void say_needing(struct visitor *visitor, enum visit_asked kind)
{
    if (visitor->smtp)
        say(visitor, kind,
            visitor->in ? STR("MAIL FROM:<>") : STR("MAIL FROM:<mona@example.test>"));
    else
        say(visitor, kind, visitor->in ? STR("STAT") : STR("RETR 1"));
}

static void say_foreign(struct visitor *visitor)
{
    static const struct str senders[] = {
        STR_INIT("MAIL FROM:<alice@example.test>"), STR_INIT("MAIL FROM:<team@example.test>"),
        STR_INIT("MAIL FROM:<nobody@example.test>"), STR_INIT("MAIL FROM:<a@elsewhere.test>")};
    say(visitor, VISIT_FOREIGN, senders[below(visitor, 4)]);
}

/* --- Hearing ---------------------------------------------------------------------------------- */

static void wrong_reply(struct visitor *visitor, const char *to, struct str line)
{
    oracle_wrong(&visitor->sim->oracle, "visitor %d: the answer to %s is %.*s", number(visitor), to,
                 STR_FMT(line));
}

static bool is_yes(const struct visitor *visitor, struct str line)
{
    return visitor->smtp ? str_starts(line, STR("2")) : str_starts(line, STR("+OK"));
}

static bool is_trouble(const struct visitor *visitor, struct str line)
{
    return visitor->smtp ? str_starts(line, STR("4")) : str_starts(line, STR("-ERR [SYS/TEMP]"));
}

static void go_on_outside(struct visitor *visitor)
{
    if (visitor->attempts_left > 0)
        say_auth(visitor);
    else
        say_quit(visitor);
}

static void heard_auth(struct visitor *visitor, struct str line)
{
    struct buf next = BUF_INIT(LINE_MOST);
    if (auth_next(&visitor->auth, line, &next)) {
        say_line(visitor, VISIT_AUTH, &next);
        return;
    }
    buf_done(&next);
    judge(visitor, line);
    visitor->attempt_deaths = visitor->sim->house.roles[HOUSE_CORE].deaths;
    visitor->in_at = sim_now(visitor->sim);
    if (visitor->in && below(visitor, 3) == 0) {
        visitor->lingers = true;
        fake_event_set(visitor->sim->fake, &visitor->wake,
                       sim_now(visitor->sim) + (int64_t)sim_below(visitor->sim, LINGERS_MOST));
    } else if (visitor->in) {
        say_needing(visitor, VISIT_INSIDE);
    } else if (below(visitor, 4) == 0) {
        say_needing(visitor, VISIT_PROBE);
    } else {
        go_on_outside(visitor);
    }
}

/* He is put out: his core died, or his passwords changed. */
static bool is_put_out(const struct visitor *visitor, struct str line)
{
    const struct sim *sim = visitor->sim;
    return str_eq(line, STR("-ERR [AUTH] The log-in is over; log in again")) &&
           (sim->house.roles[HOUSE_CORE].deaths != visitor->core_deaths ||
            keyring_changed(&sim->locksmith.keyring, visitor->user, visitor->attempt.begun_step));
}

/* The core that he logged in with died a while ago. */
static bool is_orphan(const struct visitor *visitor)
{
    const struct house_role *core = &visitor->sim->house.roles[HOUSE_CORE];
    return core->deaths != visitor->attempt_deaths && visitor->in_at < core->died_at &&
           visitor->asked_at > core->died_at + NOTICED_AFTER;
}

/* Nobody is in with what ended a while ago. */
static void heard_inside(struct visitor *visitor, struct str line)
{
    const struct key *key = keyring_find(&visitor->sim->locksmith.keyring, visitor->user,
                                         str_from(visitor->auth.secret));
    bool ended = key->life.may_until != NEVER_STEP &&
                 visitor->asked_at > key->ended_at + REVIEWED_AFTER && !visitor->sim->plan.disk;
    if (!is_yes(visitor, line) && !is_trouble(visitor, line) && !is_put_out(visitor, line))
        wrong_reply(visitor, "who is in", line);
    else if (is_yes(visitor, line) && (ended || is_orphan(visitor)))
        wrong_reply(visitor, "who is in with what has ended", line);
    if (!is_yes(visitor, line))
        say_quit(visitor);
    else if (visitor->smtp)
        say(visitor, VISIT_HELLO, STR("RSET"));
    else
        say(visitor, VISIT_READ, STR("RETR 1"));
}

static void heard_read(struct visitor *visitor, struct str line)
{
    if (visitor->in_text && !str_eq(line, STR("."))) {
        struct str unstuffed = line.n && line.p[0] == '.' ? str_from_index(line, 1) : line;
        buf_put(&visitor->text, unstuffed);
        buf_put(&visitor->text, STR("\r\n"));
        return;
    }
    if (visitor->in_text)
        (void)oracle_find(&visitor->sim->oracle, PEOPLE_FIRST_USER + visitor->user,
                          buf_str(&visitor->text));
    visitor->in_text = !visitor->in_text && is_yes(visitor, line);
    if (!visitor->in_text)
        say_quit(visitor);
}

static void heard_greeting(struct visitor *visitor, struct str line)
{
    if (access_says_banned(line))
        access_turned_away(&visitor->sim->access, visitor->from, line);
    if (!is_yes(visitor, line))
        return;
    if (visitor->smtp)
        say(visitor, VISIT_HELLO, STR("EHLO visitor.test"));
    else
        say_auth(visitor);
}

static void heard(struct visitor *visitor, struct str line)
{
    switch (visitor->asked) {
    case VISIT_GREETING:
        heard_greeting(visitor, line);
        break;
    case VISIT_HELLO:
        if (!is_yes(visitor, line))
            say_quit(visitor);
        else if (visitor->in)
            say_foreign(visitor);
        else
            go_on_outside(visitor);
        break;
    case VISIT_AUTH:
        heard_auth(visitor, line);
        break;
    case VISIT_PROBE:
        if (is_yes(visitor, line))
            wrong_reply(visitor, "who is not in", line);
        go_on_outside(visitor);
        break;
    case VISIT_INSIDE:
        heard_inside(visitor, line);
        break;
    case VISIT_FOREIGN:
        if (!str_eq(line, STR("553 5.7.1 You may not send as this address")) &&
            !is_trouble(visitor, line))
            wrong_reply(visitor, "MAIL as somebody else", line);
        say_quit(visitor);
        break;
    case VISIT_READ:
        heard_read(visitor, line);
        break;
    case VISIT_QUIT:
        break;
    }
}

static void changed(struct fake_client *client, void *arg)
{
    (void)client;
    struct visitor *visitor = arg;
    struct str line;
    fake_event_set(visitor->sim->fake, &visitor->limit, sim_now(visitor->sim) + PATIENCE);
    dialog_pull(&visitor->dialog);
    while (visitor->dialog.client && !visitor->lingers && dialog_line(&visitor->dialog, &line)) {
        if (!visitor->in_text)
            sim_say(visitor->sim, "visitor %d:     %.*s", number(visitor), STR_FMT(line));
        if (!visitor->smtp || line.n < 4 || line.p[3] != '-')
            heard(visitor, line);
    }
    if (!visitor->dialog.client)
        return;
    dialog_push(&visitor->dialog);
    if (!visitor->lingers && dialog_is_over(&visitor->dialog))
        session_over(visitor, DIALOG_CLOSES);
}

static void limit_reached(struct fake_world *fake, struct fake_event *event)
{
    (void)fake;
    session_over(event->arg, DIALOG_VANISHES);
}

/* --- Sessions --------------------------------------------------------------------------------- */

static void from_set(struct visitor *visitor, uint32_t from)
{
    visitor->from = from;
    snprintf(visitor->address, sizeof(visitor->address), "%u.%u.%u.%u", from >> 24,
             from >> 16 & 255, from >> 8 & 255, from & 255);
}

/* One address, one network, or any. */
static uint32_t stranger_from(struct visitor *visitor)
{
    switch (below(visitor, 3)) {
    case 0:
        return IPV4(10, 66, 0, 1 + below(visitor, 3));
    case 1:
        return IPV4(10, 67, 0, 1 + below(visitor, 200));
    default:
        return IPV4(10, 70 + below(visitor, 4), below(visitor, 250), 1);
    }
}

static void session_plan(struct visitor *visitor)
{
    uint32_t left = visitor->logins_left + visitor->guesses_left;
    visitor->guesses = below(visitor, left) >= visitor->logins_left;
    visitor->guesses ? visitor->guesses_left-- : visitor->logins_left--;
    visitor->smtp = below(visitor, 2);
    visitor->user = (int)below(visitor, PEOPLE_USERS);
    if (visitor->guesses && below(visitor, 3) == 0)
        visitor->user = -1;
    if (visitor->guesses)
        from_set(visitor, stranger_from(visitor));
    else if (below(visitor, 4))
        from_set(visitor, IPV4(10, 1, (uint32_t)visitor->user, 1 + below(visitor, 3)));
    else
        from_set(visitor, IPV4(10, 5, 0, 1 + below(visitor, 5)));
    visitor->attempts_left = 1 + (int)below(visitor, visitor->guesses ? VISIT_ATTEMPTS : 2);
    visitor->drops = visitor->sim->plan.drops && below(visitor, 10) == 0;
    visitor->in = visitor->in_text = visitor->lingers = visitor->attempting = false;
    visitor->asked = VISIT_GREETING;
    visitor->core_deaths = visitor->sim->house.roles[HOUSE_CORE].deaths;
    buf_init(&visitor->text, TEXT_MOST);
}

static void session_begin(struct visitor *visitor)
{
    struct sim *sim = visitor->sim;
    session_plan(visitor);
    if (!dialog_open(&visitor->dialog, sim->fake, visitor->smtp ? "submission" : "pop3",
                     visitor->address, changed, visitor)) {
        session_over(visitor, DIALOG_CLOSES);
        return;
    }
    sim->sessions++;
    sim_say(sim, "visitor %d: connects from %s", number(visitor), visitor->address);
    fake_event_set(sim->fake, &visitor->limit, sim_now(sim) + PATIENCE);
}

/* A session begins, or who lingered goes on. */
static void wake(struct fake_world *fake, struct fake_event *event)
{
    (void)fake;
    struct visitor *visitor = event->arg;
    if (!visitor->dialog.client) {
        session_begin(visitor);
        return;
    }
    visitor->lingers = false;
    say_needing(visitor, VISIT_INSIDE);
    changed(visitor->dialog.client, visitor);
}

void visitor_open(struct visitor *visitor, struct sim *sim, uint32_t logins, uint32_t guesses)
{
    *visitor =
        (struct visitor){.sim = sim, .logins_left = logins, .guesses_left = guesses, .idle = true};
    visitor->wake = (struct fake_event){.run = wake, .arg = visitor};
    visitor->limit = (struct fake_event){.run = limit_reached, .arg = visitor};
    if (logins + guesses)
        wake_later(visitor);
}

void visitor_close(struct visitor *visitor)
{
    dialog_end(&visitor->dialog, DIALOG_CLOSES);
    buf_done(&visitor->text);
}
