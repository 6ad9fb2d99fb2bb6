/*
 * Whatever a stranger says, three things hold: nothing of it becomes a message, the session ends,
 * and the people of the house do not notice. What each must hear is looked at only where nothing
 * was in the server's way meanwhile.
 */
#include "sim.h"

#include "base/must.h"

enum {
    DEAF_LINES = 3000
};

#define PATIENCE (40 * 60 * NS_PER_SECOND) /* the server ends every one of them before */

enum stranger_way {
    WAY_SAYS,   /* its octets, then waits for the end */
    WAY_LEAVES, /* its octets, then goes without a word */
    WAY_DRIPS,  /* its last octets again and again, a few every second, for ever */
    WAY_DEAF,   /* its octets over and over, and reads nothing */
};

struct stranger_row {
    const char *listener;
    enum stranger_way way;
    struct str first;
    struct str until; /* a reply that begins so is waited for before the second part */
    struct str second;
    struct str hears; /* a reply that begins so must come; empty: any */
};

#define ENVELOPE "EHLO attack.test\r\nMAIL FROM:<a@attack.test>\r\nRCPT TO:<alice@example.test>\r\n"
#define BODY "Subject: one\r\n\r\ntext"
#define SMUGGLED                                                                                   \
    "MAIL FROM:<b@attack.test>\r\nRCPT TO:<bob@example.test>\r\nDATA\r\nSubject: two\r\n\r\n"      \
    "text\r\n.\r\n"
#define SMUGGLING(end)                                                                             \
    {                                                                                              \
        .listener = "smtp", .first = STR_INIT(ENVELOPE "DATA\r\n"), .until = STR_INIT("354"),      \
        .second = STR_INIT(BODY end SMUGGLED), .hears = STR_INIT("521 5.5.2")                      \
    }
#define SAYS(octets, reply)                                                                        \
    {                                                                                              \
        .listener = "smtp", .first = STR_INIT("EHLO attack.test\r\n" octets "\r\nQUIT\r\n"),       \
        .hears = STR_INIT(reply)                                                                   \
    }
#define KILO(x) x x x x x x x x x x x x x x x x
#define A64 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

static const struct stranger_row rows[] = {
    /* Ends of data that are none (smuggling). */
    SMUGGLING("\n.\n"),
    SMUGGLING("\n.\r\n"),
    SMUGGLING("\r\n.\n"),
    SMUGGLING("\r.\r"),
    SMUGGLING("\r.\r\n"),
    SMUGGLING("\r\n.\r"),
    SMUGGLING("\n.\r"),
    /* The body before anybody asked for it. */
    {.listener = "smtp", .first = STR_INIT(ENVELOPE "DATA\r\n" BODY "\r\nQUIT\r\n")},
    /* Sizes of chunks. */
    {.listener = "smtp", .first = STR_INIT(ENVELOPE "BDAT -1\r\n"), .hears = STR_INIT("501")},
    {.listener = "smtp",
     .first = STR_INIT(ENVELOPE "BDAT 18446744073709551615 LAST\r\n"),
     .hears = STR_INIT("552")},
    {.listener = "smtp",
     .first = STR_INIT(ENVELOPE "BDAT 99999999999999999999 LAST\r\n"),
     .hears = STR_INIT("5")},
    {.listener = "smtp",
     .first = STR_INIT("EHLO attack.test\r\nBDAT 5 LAST\r\nQUIT\nNOOP\r\nQUIT\r\n"),
     .hears = STR_INIT("503")},
    {.listener = "smtp",
     .way = WAY_LEAVES,
     .first = STR_INIT(ENVELOPE "BDAT 1000 LAST\r\n" BODY "\r\n")},
    {.listener = "lmtp",
     .way = WAY_LEAVES,
     .first = STR_INIT("LHLO attack.test\r\nMAIL FROM:<a@attack.test>\r\n"
                       "RCPT TO:<alice@example.test>\r\nBDAT 10\r\n0123456789BDAT 10\r\n01234")},
    /* Parameters and paths. */
    SAYS("MAIL FROM:<> =\"", "501"),
    SAYS("MAIL FROM:<a@attack.test> SIZE=-1", "501"),
    SAYS("MAIL FROM:<a@attack.test> SIZE=99999999999999999999", "5"),
    SAYS("MAIL FROM:<a@attack.test> SIZE=1 SIZE=2", "5"),
    SAYS("MAIL FROM:<;for i in 0 1;do read r;done;sh;exit 0;>", "5"),
    SAYS("MAIL FROM:<a@attack.test>\r\nRCPT TO:<${run{x}}@example.test>", "550"),
    SAYS("MAIL FROM:<a@attack.test>\r\nRCPT TO:<bob%else.test@elsewhere.test>", "550"),
    SAYS("MAIL FROM:<a@attack.test>\r\nRCPT TO:<j\xc3\xbcrgen@example.test>", "553"),
    /* Long lines and octets that no command has. */
    {.listener = "smtp",
     .first = STR_INIT(KILO(KILO(A64)) "\r\nQUIT\r\n"),
     .hears = STR_INIT("500")},
    SAYS("NOOP a\0b", "5"),
    {.listener = "smtp",
     .first = STR_INIT(ENVELOPE "DATA\r\n"),
     .until = STR_INIT("354"),
     .second = STR_INIT("Subject: nul\r\n\r\na\0b\r\n.\r\nQUIT\r\n"),
     .hears = STR_INIT("550 5.6.0")},
    {.listener = "smtp", .first = STR_INIT("GET / HTTP/1.1\r\nHost: x\r\n\r\n")},
    {.listener = "pop3",
     .first = STR_INIT("USER alice@example.test\r\nRETR 1\r\nDELE 1\r\nPASS \r\nQUIT\r\n"),
     .hears = STR_INIT("-ERR")},
    /* Silence, drips and deafness. */
    {.listener = "smtp", .first = STR_INIT("")},
    {.listener = "lmtp", .first = STR_INIT("LHLO attack.test\r\nMAIL FROM:<a@attack.test>\r\n")},
    {.listener = "pop3", .first = STR_INIT("USER alice@example.test\r\n")},
    {.listener = "smtp",
     .way = WAY_DRIPS,
     .first = STR_INIT("NOOP aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")},
    {.listener = "smtp",
     .way = WAY_DRIPS,
     .first = STR_INIT(ENVELOPE "DATA\r\n"),
     .until = STR_INIT("354"),
     .second = STR_INIT(BODY)},
    {.listener = "smtp", .way = WAY_DEAF, .first = STR_INIT("VRFY bob\r\n")},
    {.listener = "smtp", .way = WAY_DEAF, .first = STR_INIT("EHLO attack.test\r\n")},
    {.listener = "pop3", .way = WAY_DEAF, .first = STR_INIT("CAPA\r\n")},
};

enum {
    ROWS = sizeof(rows) / sizeof(rows[0])
};

static uint64_t deaths(const struct sim *sim)
{
    uint64_t count = 0;
    for (int slot = 0; slot < HOUSE_SLOTS; slot++)
        count += sim->house.roles[slot].deaths;
    return count;
}

/* --- The end -----------------------------------------------------------------------------------
 */

static void wake_later(struct stranger *stranger)
{
    struct sim *sim = stranger->sim;
    stranger->idle = stranger->sessions_left == 0;
    if (stranger->idle)
        sim_look_done(sim);
    else
        fake_event_set(sim->fake, &stranger->wake,
                       sim_now(sim) + (int64_t)sim_below(sim, 50 * NS_PER_MS));
}

static void session_over(struct stranger *stranger, enum dialog_end how)
{
    fake_event_clear(stranger->sim->fake, &stranger->limit);
    fake_event_clear(stranger->sim->fake, &stranger->drip);
    dialog_end(&stranger->dialog, how);
    wake_later(stranger);
}

/* Nothing was in its way: no role died, the network brought everything. */
static bool was_undisturbed(const struct stranger *stranger)
{
    return deaths(stranger->sim) == stranger->deaths &&
           !fake_client_is_vanished(stranger->dialog.client) &&
           fake_client_state(stranger->dialog.client) == FAKE_CLIENT_ENDED;
}

static void ended(struct stranger *stranger)
{
    const struct stranger_row *row = stranger->row;
    if (row->hears.n && !stranger->answered && was_undisturbed(stranger))
        oracle_wrong(&stranger->sim->oracle, "a stranger says %.*s and does not hear %.*s",
                     STR_FMT(row->second.n ? row->second : row->first), STR_FMT(row->hears));
    session_over(stranger, DIALOG_CLOSES);
}

/* The server must have ended it long ago, where it could know of it. */
static void limit_reached(struct fake_world *fake, struct fake_event *event)
{
    (void)fake;
    struct stranger *stranger = event->arg;
    if (!stranger->deaf && !fake_client_is_vanished(stranger->dialog.client))
        oracle_wrong(&stranger->sim->oracle, "a stranger's session does not end: %.*s",
                     STR_FMT(stranger->row->first));
    session_over(stranger, DIALOG_VANISHES);
}

/* --- The session -------------------------------------------------------------------------------
 */

static void drip_later(struct stranger *stranger)
{
    fake_event_set(stranger->sim->fake, &stranger->drip,
                   sim_now(stranger->sim) + NS_PER_SECOND +
                       (int64_t)sim_below(stranger->sim, 8 * NS_PER_SECOND));
}

static bool all_is_said(const struct stranger *stranger)
{
    return stranger->first && dialog_is_pushed(&stranger->dialog) &&
           (stranger->second || !stranger->row->until.n);
}

static void said_all(struct stranger *stranger)
{
    if (stranger->row->way == WAY_DRIPS && stranger->drip.heap_place == 0 &&
        stranger->drip.ready_place == 0)
        drip_later(stranger);
    else if (stranger->row->way == WAY_LEAVES)
        session_over(stranger, (enum dialog_end)sim_below(stranger->sim, 3));
}

static void say_first(struct stranger *stranger)
{
    const struct stranger_row *row = stranger->row;
    stranger->first = true;
    stranger->deaf = row->way == WAY_DEAF;
    for (int i = 0; i < (stranger->deaf ? DEAF_LINES : 1); i++)
        dialog_say(&stranger->dialog, row->first);
}

static void heard(struct stranger *stranger, struct str line)
{
    const struct stranger_row *row = stranger->row;
    if (str_find(line, STR("Accepted id ")) >= 0)
        oracle_wrong(&stranger->sim->oracle, "a stranger's message is accepted: %.*s",
                     STR_FMT(row->second.n ? row->second : row->first));
    /* 421 and 451 are of the weather. */
    if ((stranger->first && str_starts(line, row->hears)) || str_starts(line, STR("421")) ||
        str_starts(line, STR("45")))
        stranger->answered = true;
    if (!stranger->first && (str_starts(line, STR("220")) || str_starts(line, STR("+OK"))))
        say_first(stranger);
    else if (!stranger->second && row->until.n && str_starts(line, row->until)) {
        stranger->second = true;
        dialog_say(&stranger->dialog, row->second);
    }
}

static void changed(struct fake_client *client, void *arg)
{
    (void)client;
    struct stranger *stranger = arg;
    struct str line;
    dialog_push(&stranger->dialog);
    if (stranger->deaf)
        return;
    dialog_pull(&stranger->dialog);
    while (!stranger->deaf && dialog_line(&stranger->dialog, &line))
        heard(stranger, line);
    dialog_push(&stranger->dialog);
    if (dialog_is_over(&stranger->dialog))
        ended(stranger);
    else if (all_is_said(stranger))
        said_all(stranger);
}

static void drip_falls(struct fake_world *fake, struct fake_event *event)
{
    (void)fake;
    struct stranger *stranger = event->arg;
    dialog_say(&stranger->dialog, STR("a"));
    dialog_push(&stranger->dialog);
    drip_later(stranger);
}

static void wake(struct fake_world *fake, struct fake_event *event)
{
    struct stranger *stranger = event->arg;
    struct sim *sim = stranger->sim;
    const struct stranger_row *row = &rows[sim_below(sim, ROWS)];
    stranger->sessions_left--;
    stranger->row = row;
    stranger->first = stranger->second = stranger->answered = stranger->deaf = false;
    stranger->deaths = deaths(sim);
    if (!dialog_open(&stranger->dialog, fake, row->listener, stranger->address, changed,
                     stranger)) {
        session_over(stranger, DIALOG_CLOSES);
        return;
    }
    sim->sessions++;
    sim_say(sim, "stranger: %.*s", STR_FMT(row->first));
    fake_event_set(fake, &stranger->limit, sim_now(sim) + PATIENCE);
}

void stranger_open(struct stranger *stranger, struct sim *sim, int number, uint32_t sessions)
{
    *stranger = (struct stranger){.sim = sim, .sessions_left = sessions, .idle = true};
    snprintf(stranger->address, sizeof(stranger->address), "198.51.100.%d", number + 1);
    stranger->wake = (struct fake_event){.run = wake, .arg = stranger};
    stranger->drip = (struct fake_event){.run = drip_falls, .arg = stranger};
    stranger->limit = (struct fake_event){.run = limit_reached, .arg = stranger};
    if (sessions)
        wake_later(stranger);
}

void stranger_close(struct stranger *stranger)
{
    dialog_end(&stranger->dialog, DIALOG_CLOSES);
}
