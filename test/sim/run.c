/*
 * A run has three parts: the work in all weathers; the calm, in which hosts bring what they still
 * have; the inspection, by POP3 and then in the store itself, before and after core was started
 * anew.
 */
#include "sim.h"

#include "base/must.h"
#include "exam.h"
#include "policies.h"
#include "routes.h"
#include "rush.h"
#include "seeded_tls.h"
#include "store/message_head.h"
#include "store/trace.h"

enum {
    LAST_LETTER = 3000, /* octets */
    LAST_LETTERS = HOSTS + 8 + RUSH_LETTERS,
};

#define TIMEOUTS (1800 * NS_PER_SECOND)
#define LAST_TIME ((uint64_t)120 * NS_PER_SECOND) /* in which they come */
#define DRAIN_STEP (30 * NS_PER_SECOND)
#define DRAIN_SLACK (3600 * NS_PER_SECOND)
#define WORK_MOST (24 * 3600 * NS_PER_SECOND)

int64_t sim_now(const struct sim *sim)
{
    return world_mono(&sim->fake->world);
}

uint64_t sim_below(struct sim *sim, uint64_t n)
{
    return fake_random_below(&sim->random, n);
}

void sim_say(struct sim *sim, const char *format, ...)
{
    if (!sim->verbose)
        return;
    va_list args;
    printf("%12.6f  ", (double)sim_now(sim) / NS_PER_SECOND);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
}

static void log_line(void *arg, int role, int word, struct str line)
{
    struct sim *sim = arg;
    (void)word;
    if (sim->verbose)
        printf("%12.6f  [%d] %.*s\n", (double)sim_now(sim) / NS_PER_SECOND, role, STR_FMT(line));
}

static void house_wrong(void *arg, const char *what, struct str detail)
{
    struct sim *sim = arg;
    oracle_wrong(&sim->oracle, "%s %.*s", what, STR_FMT(detail));
}

static void role_died(struct fake_world *fake, int role, void *arg)
{
    (void)fake;
    struct sim *sim = arg;
    sim_say(sim, "weather: role %d died", role);
    house_role_died(&sim->house, role);
}

/* --- What the plan leaves open
 * -------------------------------------------------------------------------------- */

static size_t letter_size(struct sim *sim)
{
    uint64_t kind = sim_below(sim, 100);
    if (kind < 5)
        return 0;
    if (sim->plan.tiny || kind < 70)
        return 1 + sim_below(sim, sim->plan.tiny ? 300 : 3000);
    if (kind < 90)
        return sim_below(sim, 40000);
    return kind < 98 ? sim_below(sim, 200 * 1024) : 250 * 1024 + sim_below(sim, 150 * 1024);
}

static void house_plan(struct sim *sim)
{
    struct house *house = &sim->house;
    local_settings_default(&house->settings);
    house->settings.segment_size = sim_below(sim, 2) ? 1 << 20 : 512 << 10;
    house->settings.overlay_soft = sim_below(sim, 2) ? 20000 : 1 << 20;
    house->settings.prefill = sim_below(sim, 2);
    house->settings.least_free = 0;
    house->restart_most = (int64_t)(1 + sim_below(sim, 3000)) * NS_PER_MS;
    house->index_is_lost = sim_below(sim, 4) == 0;
    house->routes_first = sim_below(sim, ROUTE_SETS + 1) % ROUTE_SETS; /* none, half the time */
    house->wrong = house_wrong;
    house->arg = sim;
}

static bool is_done(const struct sim *sim)
{
    for (int i = 0; i < HOSTS + MAILERS; i++)
        if (!sim->hosts[i].idle)
            return false;
    for (int i = 0; i < READERS; i++)
        if (!sim->readers[i].idle)
            return false;
    if (!sim->crowd.idle || !sim->clerk.idle || !sim->hand.idle ||
        !locksmith_is_settled(&sim->locksmith))
        return false;
    for (int i = 0; i < VISITORS; i++)
        if (!sim->visitors[i].idle)
            return false;
    for (int i = 0; i < STRANGERS; i++)
        if (!sim->strangers[i].idle)
            return false;
    return true;
}

void sim_look_done(struct sim *sim)
{
    if (is_done(sim))
        fake_stop(sim->fake);
}

/* Until all have done what they were given. */
static void work(struct sim *sim)
{
    int64_t until = sim_now(sim) + WORK_MOST;
    while (!sim->oracle.violated && !is_done(sim)) {
        enum fake_end end = fake_run(sim->fake, until);
        house_look(&sim->house);
        if (end == FAKE_STOPPED)
            continue;
        oracle_wrong(&sim->oracle,
                     end == FAKE_SPINS ? "somebody spins" : "somebody waits for ever");
    }
}

/* Connections that died unnoticed are given up by then, and what they had begun is over. */
static void settle(struct sim *sim)
{
    int64_t until = sim_now(sim) + TIMEOUTS;
    while (!sim->oracle.violated && sim_now(sim) < until) {
        enum fake_end end = fake_run(sim->fake, until);
        house_look(&sim->house);
        if (end != FAKE_STOPPED && end != FAKE_UNTIL)
            oracle_wrong(&sim->oracle, "somebody spins in calm weather");
    }
    if (!sim->oracle.violated && house_sessions(&sim->house) > 0)
        oracle_wrong(&sim->oracle, "a session without a client does not end");
}

/* In calm weather the server does its work, whatever was before: each host brings one letter more,
 * and those that may send to elsewhere some, while the servers there still have their troubles, and
 * a rush of them for one domain. All are taken. */
static void last_letters(struct sim *sim)
{
    struct fake_random letters;
    struct letter *last[LAST_LETTERS];
    sim->calm_at = sim_now(sim);
    fake_world_random(sim->fake, "last letters", &letters);
    rush_pause(sim);
    for (int i = 0; i < LAST_LETTERS; i++) {
        int host = i < HOSTS ? i : i % ORACLE_RELAYING;
        last[i] = oracle_letter(&sim->oracle, host, false, &letters, LAST_LETTER);
        if (i >= LAST_LETTERS - RUSH_LETTERS)
            rush_make(last[i], &letters);
        host_give(&sim->hosts[host], last[i],
                  sim_now(sim) + (int64_t)fake_random_below(&letters, LAST_TIME));
        fake_event_set(sim->fake, &sim->hosts[host].wake, sim_now(sim));
    }
    work(sim);
    rush_resume(sim);
    for (int i = 0; i < LAST_LETTERS && !sim->oracle.violated; i++)
        if (last[i]->certain && last[i]->settled == 0)
            oracle_wrong(&sim->oracle, "letter %llu is not taken in calm weather",
                         (unsigned long long)last[i]->number);
}

/* --- What waits to be sent -------------------------------------------------------------------- */

/* All goes, or expires: behind the last try there is nothing. */
static void drain(struct sim *sim)
{
    int64_t until = sim_now(sim) + HOUSE_EXPIRE + HOUSE_EXPIRE_BOUNCE + DRAIN_SLACK;
    internet_heal(&sim->internet);
    while (!sim->oracle.violated && house_waiting(&sim->house) > 0 && sim_now(sim) < until) {
        if (fake_run(sim->fake, sim_now(sim) + DRAIN_STEP) == FAKE_SPINS)
            oracle_wrong(&sim->oracle, "somebody spins while the queue drains");
        house_look(&sim->house);
    }
    if (!sim->oracle.violated && house_waiting(&sim->house) > 0)
        oracle_wrong(&sim->oracle, "%zu entries and jobs still wait when all has expired",
                     house_waiting(&sim->house));
}

/* --- The inspection -------------------------------------------------------------------------- */

static void wait_for_roles(struct sim *sim)
{
    int64_t until = sim_now(sim) + WORK_MOST;
    while (!sim->oracle.violated && !house_is_up(&sim->house)) {
        if (fake_run(sim->fake, sim_now(sim) + NS_PER_SECOND) == FAKE_SPINS || sim_now(sim) > until)
            oracle_wrong(&sim->oracle, "the server does not come back");
        house_look(&sim->house);
    }
}

static void inspect_by_pop3(struct sim *sim)
{
    sim->inspection = sim->oracle.listings + 1;
    struct reader *reader = &sim->readers[0];
    reader->inspects = true;
    for (int account = 0; account < PEOPLE_ACCOUNTS && !sim->oracle.violated; account++) {
        reader->account = account;
        reader->sessions_left = 1;
        reader_start(reader, sim_now(sim));
        work(sim);
    }
    if (!sim->oracle.violated)
        oracle_judge(&sim->oracle, sim->inspection);
}

/* --- The trace is the log: it says of each message what became of every copy -------------------
 */

static int account_named(struct str address)
{
    for (int i = 0; i < PEOPLE_ACCOUNTS; i++)
        if (str_eq(people_accounts[i], address))
            return i;
    return -1;
}

struct told {
    uint64_t accepted, notices;
    uint64_t delivered;
};

static void trace_told(struct sim *sim, const struct trace_event *event, struct told *told)
{
    told->accepted += event->kind == TRACED_accepted;
    told->notices += event->kind == TRACED_quota_notice;
    for (size_t i = 0; event->kind == TRACED_delivered && i < event->value_count; i++) {
        if (event->values[i].field != TRACE_account)
            continue;
        int account = account_named(event->values[i].text);
        /* A notice is delivered too, and told as such. */
        if (account >= 0)
            told->delivered |= PEOPLE_BIT(account);
        else
            oracle_wrong(&sim->oracle, "the trace has a copy for nobody");
    }
}

/* An account that left took its copies with it. */
static void trace_look(struct sim *sim, struct core *core, const struct outcome *outcome)
{
    struct arena arena;
    struct trace_event *events;
    size_t count = 0;
    struct told told = {.accepted = 0};
    uint64_t shown =
        ~(PEOPLE_BIT(PEOPLE_LEAVER) | (outcome->notices ? PEOPLE_BIT(PEOPLE_OWNER) : 0));
    arena_init(&arena, 1 << 20);
    struct err e = trace_by_message(core->engine, outcome->message, world_wall(&sim->fake->world),
                                    &arena, &events, &count);
    for (size_t i = 0; !err_is(e) && i < count; i++)
        trace_told(sim, &events[i], &told);
    arena_done(&arena);
    if (err_is(e) || told.accepted != 1 || told.notices != outcome->notices ||
        (told.delivered & shown) != (outcome->accounts & shown))
        oracle_wrong(
            &sim->oracle,
            "letter %llu: the trace has accounts %llx and %llu notices, there are %llx and "
            "%llu",
            (unsigned long long)outcome->letter->number, (unsigned long long)told.delivered,
            (unsigned long long)told.notices, (unsigned long long)outcome->accounts,
            (unsigned long long)outcome->notices);
}

struct store_look {
    struct sim *sim;
    struct arena arena;
};

static void store_message(struct store_look *look, struct core *core, const struct account *account,
                          int number, uint32_t uid)
{
    struct sim *sim = look->sim;
    struct arena *arena = &look->arena;
    struct mailbox_message message;
    struct message_head head;
    struct str record;
    uint64_t head_octets, body_octets = 0;
    char *body = NULL;
    struct buf text = BUF_INIT(LETTER_SIZE_MAX + ENGINE_HEAD_MAX);
    struct err e = mailbox_message(core->engine, account->inbox, uid, arena, &message);
    if (!err_is(e))
        e = engine_blob_head(core->engine, message.blob, arena, &record);
    if (!err_is(e))
        e = message_head_decode(record, arena, &head);
    if (!err_is(e))
        e = engine_blob_size(core->engine, message.blob, &head_octets, &body_octets);
    if (!err_is(e)) {
        message_prefix(&head, message.recipient, &text);
        body = buf_room(&text, body_octets + 1);
        must(body);
        e = engine_blob_read(core->engine, message.blob, 0, body, body_octets);
        buf_added(&text, body_octets);
    }
    if (err_is(e))
        oracle_wrong(&sim->oracle, "the store cannot read account %d, uid %u: %s", number, uid,
                     err_row(e.code)->name);
    else
        oracle_find(&sim->oracle, number, buf_str(&text));
    buf_done(&text);
}

static void store_account(struct store_look *look, struct core *core, int number)
{
    struct sim *sim = look->sim;
    struct account account;
    struct mailbox_row *rows;
    size_t count = 0;
    bool more = false;
    struct err e =
        directory_login(&core->directory, people_accounts[number], &look->arena, &account);
    if (!err_is(e))
        e = mailbox_rows(core->engine, account.inbox, 0, 100000, &look->arena, &rows, &count,
                         &more);
    size_t living = 0;
    const struct known_list *list = &sim->oracle.accounts[number];
    for (size_t i = 0; i < list->count; i++)
        living += list->at[i].state != KNOWN_GONE && list->at[i].seen_in >= sim->inspection;
    if (err_is(e) || more || count != living)
        oracle_wrong(&sim->oracle, "account %d: %zu messages by POP3, %zu in the store (%s)",
                     number, living, count, err_row(e.code)->name);
    for (size_t i = 0; i < count && !sim->oracle.violated; i++)
        store_message(look, core, &account, number, rows[i].uid);
}

static void store_look(struct core *core, void *arg)
{
    struct store_look *look = arg;
    for (int i = 0; i < PEOPLE_ACCOUNTS && !look->sim->oracle.violated; i++) {
        arena_init(&look->arena, 64 << 20);
        store_account(look, core, i);
        arena_done(&look->arena);
    }
    const struct oracle *oracle = &look->sim->oracle;
    for (size_t i = 0; i < oracle->outcome_count && !oracle->violated; i++)
        trace_look(look->sim, core, &oracle->outcomes[i]);
}

static void inspect_store(struct sim *sim)
{
    struct store_look look = {.sim = sim};
    struct local_status status;
    if (sim->oracle.violated)
        return;
    house_status(&sim->house, &status);
    if (status.damaged || status.read_only)
        oracle_wrong(&sim->oracle, "the store says: %s", status.why);
    if (!house_do(&sim->house, store_look, &look))
        oracle_wrong(&sim->oracle, "the store does not answer");
}

/* --- A run ----------------------------------------------------------------------------------- */

static void sim_open(struct sim *sim, uint64_t seed, const struct sim_plan *plan, bool verbose)
{
    *sim = (struct sim){.seed = seed, .plan = *plan, .verbose = verbose};
    sim->disk = fake_disk_open(NULL);
    sim->fake = fake_world_open(seed, NULL);
    fake_world_random(sim->fake, "plan", &sim->random);
    fake_log_watch(sim->fake, log_line, sim);
    fake_role_watch(sim->fake, role_died, sim);
    oracle_open(&sim->oracle, sim->fake, sim->plan.letters + sim->plan.mails + LAST_LETTERS);
    returns_open(&sim->returns, sim);
    recorder_open(&sim->recorder, sim->fake, house_wrong, sim);
    internet_open(&sim->internet, sim);
    sim->house.zones = sim->internet.zones;
    sim->house.authorities = buf_str(&sim->internet.papers.authorities);
    house_plan(sim);
    house_open(&sim->house, sim->fake, sim->disk);
    struct err e = err_none();
    if (!house_do(&sim->house, people_move_in, &e) || err_is(e))
        oracle_wrong(&sim->oracle, "the directory: %s", err_row(e.code)->name);
    if (!house_do(&sim->house, policies_move_in, &e) || err_is(e))
        oracle_wrong(&sim->oracle, "the policies: %s", err_row(e.code)->name);
    access_open(&sim->access, sim);
    sent_open(&sim->sent, sim);
    locksmith_open(&sim->locksmith, sim, sim->plan.keys);
}

static void work_give(struct sim *sim)
{
    struct fake_random letters;
    fake_world_random(sim->fake, "letters", &letters);
    for (int i = 0; i < HOSTS + MAILERS; i++)
        host_open(&sim->hosts[i], sim, i);
    for (size_t i = 0; i < sim->plan.letters + sim->plan.mails; i++) {
        bool submitted = i >= sim->plan.letters;
        int host = submitted ? HOSTS + (int)sim_below(sim, MAILERS) : (int)sim_below(sim, HOSTS);
        size_t size = letter_size(sim) + submitted;
        struct letter *letter = oracle_letter(&sim->oracle, host, submitted, &letters, size);
        host_give(&sim->hosts[host], letter,
                  sim_now(sim) + (int64_t)sim_below(sim, NS_PER_SECOND / 5));
    }
    for (int i = 0; i < HOSTS + MAILERS; i++)
        fake_event_set(sim->fake, &sim->hosts[i].wake, sim_now(sim));
    for (int i = 0; i < READERS; i++) {
        reader_open(&sim->readers[i], sim);
        sim->readers[i].sessions_left = (int)sim->plan.readings;
        if (sim->plan.readings)
            reader_start(&sim->readers[i],
                         sim_now(sim) + (int64_t)sim_below(sim, NS_PER_SECOND / 10));
    }
    for (int i = 0; i < STRANGERS; i++)
        stranger_open(&sim->strangers[i], sim, i, sim->plan.strangers);
    for (int i = 0; i < VISITORS; i++)
        visitor_open(&sim->visitors[i], sim, sim->plan.logins, sim->plan.guesses);
    crowd_open(&sim->crowd, sim, sim->plan.crowds);
    clerk_open(&sim->clerk, sim, sim->plan.changes);
    hand_open(&sim->hand, sim, sim->plan.operations);
    locksmith_start(&sim->locksmith);
    weather_open(&sim->weather, sim);
}

static void sim_close(struct sim *sim)
{
    for (int i = 0; i < HOSTS + MAILERS; i++)
        host_close(&sim->hosts[i]);
    for (int i = 0; i < READERS; i++)
        reader_close(&sim->readers[i]);
    for (int i = 0; i < STRANGERS; i++)
        stranger_close(&sim->strangers[i]);
    for (int i = 0; i < VISITORS; i++)
        visitor_close(&sim->visitors[i]);
    crowd_close(&sim->crowd);
    clerk_close(&sim->clerk);
    hand_close(&sim->hand);
    access_close(&sim->access);
    sent_close(&sim->sent);
    if (!sim->oracle.violated)
        house_close(&sim->house);
    recorder_close(&sim->recorder, sim->fake);
    internet_close(&sim->internet);
    returns_close(&sim->returns);
    seeded_tls_end();
    fake_world_close(sim->fake);
    fake_disk_close(sim->disk);
    fake_zones_close(sim->internet.zones);
    house_free(&sim->house);
}

static struct sim_result result_of(const struct sim *sim)
{
    struct sim_result result = {.hash = oracle_hash(&sim->oracle, sim->fake->hash),
                                .sessions = sim->sessions,
                                .submitted = sim->sent.accepted,
                                .limited = sim->sent.refused,
                                .turned_away = sim->crowd.turned_away,
                                .slowed = sim->crowd.slowed,
                                .in = sim->access.in,
                                .wrong = sim->access.wrong,
                                .back_off = sim->access.back_off,
                                .banned = sim->access.banned,
                                .accepted = sim->oracle.accepted,
                                .unknown = sim->oracle.unknown,
                                .repeated = sim->oracle.repeated,
                                .read = sim->oracle.read,
                                .removed = sim->oracle.removed,
                                .troubles = sim->weather.troubles,
                                .power_cuts = sim->house.power_cuts,
                                .out = sim->judged,
                                .in_tls = sim->internet.taken_in_tls,
                                .violated = sim->oracle.violated};
    for (int i = 0; i < HOUSE_SLOTS; i++)
        result.deaths += sim->house.roles[i].deaths;
    return result;
}

struct sim_result sim_run(uint64_t seed, const struct sim_plan *plan, bool verbose,
                          struct buf *report)
{
    struct sim *sim = malloc(sizeof(*sim));
    must(sim);
    sim_open(sim, seed, plan, verbose);
    work_give(sim);
    work(sim);
    sim->calm = true;
    weather_calm(&sim->weather);
    wait_for_roles(sim);
    clerk_settle(&sim->clerk);
    hand_settle(&sim->hand);
    work(sim);
    settle(sim);
    if (!sim->oracle.violated)
        exam(sim);
    last_letters(sim);
    law_judge(sim, false, &sim->judged);
    drain(sim);
    inspect_by_pop3(sim);
    inspect_store(sim);
    law_judge(sim, true, &sim->judged);
    if (!sim->oracle.violated)
        house_reopen_core(&sim->house);
    inspect_store(sim);
    if (sim->oracle.accepted > 0 && sim->recorder.replies == 0)
        oracle_wrong(&sim->oracle, "the recorder saw no reply");
    struct sim_result result = result_of(sim);
    sim_close(sim);
    result.violated = sim->oracle.violated; /* the end is judged too */
    buf_put(report, buf_str(&sim->oracle.text));
    oracle_close(&sim->oracle);
    free(sim);
    return result;
}
