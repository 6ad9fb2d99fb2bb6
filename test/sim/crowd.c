/*
 * What is counted is what one session, or one edge at one moment, gave: other visits from the same
 * address can only make the server stricter.
 */
#include "crowd.h"

#include "sim.h"

enum {
    LINE_MOST = 100,
    MESSAGES = CROWD_MESSAGES + 8, /* that it tries */
    NAMES = CROWD_NAMES + 4,
};

#define STAYS (3 * NS_PER_SECOND)          /* a crowd that has come */
#define PATIENCE (12 * 60 * NS_PER_SECOND) /* who waits for replies */
#define TARPIT NS_PER_SECOND
#define MINUTE (60 * NS_PER_SECOND)
#define TEN_MINUTES (10 * MINUTE)

static void wake_later(struct crowd *crowd)
{
    struct sim *sim = crowd->sim;
    crowd->idle = crowd->visits_left == 0;
    if (crowd->idle)
        sim_look_done(sim);
    else
        fake_event_set(sim->fake, &crowd->wake,
                       sim_now(sim) + (int64_t)sim_below(sim, 30 * NS_PER_SECOND));
}

static void leave(struct crowd *crowd)
{
    fake_event_clear(crowd->sim->fake, &crowd->enough);
    for (int i = 0; i < CROWD_GUESTS; i++)
        dialog_end(&crowd->guests[i].dialog, (enum dialog_end)sim_below(crowd->sim, 3));
    wake_later(crowd);
}

static void has_enough(struct fake_world *fake, struct fake_event *event)
{
    (void)fake;
    leave(event->arg);
}

/* --- Many at once ----------------------------------------------------------------------------- */

/* A dead edge's are not counted with those of the next one. */
static void sessions_judge(struct crowd *crowd, const struct crowd_guest *last)
{
    int role = fake_client_role(last->dialog.client), open = 0;
    for (int i = 0; i < CROWD_GUESTS; i++) {
        const struct crowd_guest *guest = &crowd->guests[i];
        open += guest->greeted && guest->dialog.client && !dialog_is_over(&guest->dialog) &&
                fake_client_role(guest->dialog.client) == role;
    }
    if (open > CROWD_SESSIONS)
        oracle_wrong(&crowd->sim->oracle, "an address has %d sessions at a time", open);
}

static void heard_greeting(struct crowd_guest *guest, struct str line)
{
    struct crowd *crowd = guest->crowd;
    guest->greeted = str_starts(line, crowd->smtp ? STR("220") : STR("+OK"));
    crowd->turned_away += !guest->greeted;
    if (guest->greeted && crowd->kind == CROWD_AT_ONCE)
        sessions_judge(crowd, guest);
}

/* --- Much from one ---------------------------------------------------------------------------- */

static void say(struct crowd_guest *guest)
{
    char line[LINE_MOST];
    const char *command = "QUIT";
    bool begins = guest->said % 2 == 0;
    if (!guest->hello)
        command = "EHLO crowd.test";
    else if (guest->crowd->kind == CROWD_SENDS && guest->said < (uint64_t)2 * MESSAGES)
        command = begins ? "MAIL FROM:<a@crowd.test>" : "RSET";
    else if (guest->crowd->kind == CROWD_TRIES_NAMES && guest->said == 0)
        command = "MAIL FROM:<a@crowd.test>";
    else if (guest->crowd->kind == CROWD_TRIES_NAMES && guest->said <= NAMES)
        command = "RCPT TO:<nobody@example.test>";
    snprintf(line, sizeof(line), "%s\r\n", command);
    dialog_say(&guest->dialog, str_from(line));
    guest->asked = sim_now(guest->crowd->sim);
    guest->said += guest->hello;
}

/* A burst, and what came evenly since; one more for rounding. */
static void messages_judge(struct crowd_guest *guest, struct str line)
{
    struct sim *sim = guest->crowd->sim;
    bool is_mail = guest->said % 2 == 1;
    guest->taken += is_mail && str_starts(line, STR("250"));
    guest->crowd->slowed += str_starts(line, STR("450 4.7.1 Too many messages"));
    uint64_t more = (uint64_t)(sim_now(sim) - guest->began) * CROWD_MESSAGES / MINUTE;
    if (guest->taken > CROWD_MESSAGES + 1 + more)
        oracle_wrong(&sim->oracle, "an address begins %llu messages in a minute",
                     (unsigned long long)guest->taken);
}

/* So many are answered at once, then one whenever an earlier one is forgotten; all others wait. */
static void names_judge(struct crowd_guest *guest, struct str line)
{
    struct sim *sim = guest->crowd->sim;
    bool waited = sim_now(sim) - guest->asked >= TARPIT;
    uint64_t more = (uint64_t)(sim_now(sim) - guest->began) * CROWD_NAMES / TEN_MINUTES;
    guest->crowd->slowed += waited;
    guest->taken += str_starts(line, STR("550")) && !waited;
    if (guest->taken > CROWD_NAMES + 1 + more)
        oracle_wrong(&sim->oracle, "%llu names that there are not are answered at once",
                     (unsigned long long)guest->taken);
    if (str_starts(line, STR("250")) && guest->said > 1 && guest->said <= NAMES + 1)
        oracle_wrong(&sim->oracle, "there is somebody called nobody");
}

static void heard(struct crowd_guest *guest, struct str line)
{
    if (!guest->greeted)
        heard_greeting(guest, line);
    else if (guest->hello && guest->crowd->kind == CROWD_SENDS)
        messages_judge(guest, line);
    else if (guest->hello && guest->crowd->kind == CROWD_TRIES_NAMES)
        names_judge(guest, line);
    else
        guest->hello = guest->crowd->smtp && str_starts(line, STR("250"));
    if (guest->greeted && guest->crowd->kind != CROWD_AT_ONCE)
        say(guest);
}

static void changed(struct fake_client *client, void *arg)
{
    (void)client;
    struct crowd_guest *guest = arg;
    struct crowd *crowd = guest->crowd;
    struct str line;
    dialog_pull(&guest->dialog);
    while (!crowd->sim->oracle.violated && dialog_line(&guest->dialog, &line)) {
        sim_say(crowd->sim, "crowd: guest %d:     %.*s", (int)(guest - crowd->guests),
                STR_FMT(line));
        if (line.n < 4 || line.p[3] != '-')
            heard(guest, line);
    }
    dialog_push(&guest->dialog);
    if (dialog_is_over(&guest->dialog) && crowd->kind != CROWD_AT_ONCE)
        leave(crowd);
}

/* --- Visits ----------------------------------------------------------------------------------- */

static void guest_comes(struct crowd *crowd, struct crowd_guest *guest)
{
    struct sim *sim = crowd->sim;
    bool at_once = crowd->kind == CROWD_AT_ONCE;
    *guest = (struct crowd_guest){.crowd = crowd, .began = sim_now(sim)};
    if (dialog_open(&guest->dialog, sim->fake,
                    !at_once      ? "smtp"
                    : crowd->smtp ? "submission"
                                  : "pop3",
                    at_once ? "10.92.0.1" : "198.51.100.77", changed, guest))
        sim->sessions++;
}

static void wake(struct fake_world *fake, struct fake_event *event)
{
    struct crowd *crowd = event->arg;
    struct sim *sim = crowd->sim;
    crowd->visits_left--;
    crowd->kind = (enum crowd_kind)sim_below(sim, CROWD_KINDS);
    crowd->smtp = crowd->kind != CROWD_AT_ONCE || sim_below(sim, 2);
    sim_say(sim, "crowd: comes, kind %d", crowd->kind);
    for (int i = 0; i < (crowd->kind == CROWD_AT_ONCE ? CROWD_GUESTS : 1); i++)
        guest_comes(crowd, &crowd->guests[i]);
    fake_event_set(fake, &crowd->enough,
                   sim_now(sim) + (crowd->kind == CROWD_AT_ONCE ? STAYS : PATIENCE));
}

void crowd_open(struct crowd *crowd, struct sim *sim, uint32_t visits)
{
    *crowd = (struct crowd){.sim = sim, .visits_left = visits, .idle = true};
    crowd->wake = (struct fake_event){.run = wake, .arg = crowd};
    crowd->enough = (struct fake_event){.run = has_enough, .arg = crowd};
    if (visits)
        wake_later(crowd);
}

void crowd_close(struct crowd *crowd)
{
    for (int i = 0; i < CROWD_GUESTS; i++)
        dialog_end(&crowd->guests[i].dialog, DIALOG_CLOSES);
}
