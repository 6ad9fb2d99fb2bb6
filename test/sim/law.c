/*
 * The law: accepted x recipients = relayed + returned + removed by an operator + waiting
 * (doc/sending.md, 2), held for each
 * message by what its trace says, by the entries that wait, by what sites took and by the reports
 * that somebody got. In particular:
 *
 *  1. what was queued is sent, not sent, removed, or waits; none of it twice or not at all
 *  2. what was sent was taken by a site of its domain, at least once
 *  3. what a site took and said so is sent, but for what nobody could know: its reply was lost on
 *     the way, or the courier died behind it. Then the trace says that the next may be a second
 *     copy, unless core died as well
 *  4. whoever failed is reported, once: to the sender, or where that is a report, to the postmaster
 *  5. nobody is told twice that it waits, and nothing is reported that is not so
 *
 * law_order.c has when nothing may be sent, law_routes.c which way and how much, law_fair.c how
 * soon.
 */
#include "base/must.h"
#include "format/addr.h"
#include "format/message_id.h"
#include "law_fair.h"
#include "law_order.h"
#include "law_routes.h"
#include "sim.h"
#include "store/queue.h"
#include "store/trace.h"

enum {
    LAW_ARENA = 64 << 20,
    MESSAGE_ARENA = 4 << 20,
    TARGETS_MAX = 128, /* of one message */
    REPORTS_MAX = 64,
    IDS_MAX = 1000,    /* messages of one letter, or reports */
    BITS_ALICE_BOB = 3 /* whoever is postmaster */
};

struct target {
    char address[SITE_ADDRESS_MAX];
    size_t sent, not_sent, waiting;
    size_t dropped, sent_back; /* removed while it was under way; or with a report */
};

struct report_told {
    uint64_t id, count;
    bool failed;
};

/* All that is known of one message. */
struct account_of {
    uint64_t message;
    const struct letter *letter; /* NULL: it is a report */
    uint64_t queued, removed;    /* removed: at once, and nobody was told */
    bool sends_back;             /* somebody asked for that: of two who remove it one is enough */
    struct target targets[TARGETS_MAX];
    size_t target_count;
    struct report_told reports[REPORTS_MAX];
    size_t report_count;
    uint64_t dotted, accepted, not_reported;
    struct order_question order; /* until another one is collected */
};

struct law {
    struct sim *sim;
    struct core *core;
    bool over;
    struct arena arena, message; /* message: of one that is looked at */
    struct queue_entry *entries;
    size_t entry_count;
    uint64_t *reports; /* ids still to be looked at */
    size_t report_count, report_at;
    struct law_totals totals;
};

static void wrong(struct law *law, const struct account_of *account, const char *what,
                  const char *target)
{
    char id[MESSAGE_ID_TEXT];
    message_id_print(account->message, id);
    oracle_wrong(&law->sim->oracle, "message %.*s: %s%s%s", MESSAGE_ID_TEXT, id, what,
                 target ? ": " : "", target ? target : "");
}

/* --- Collecting ------------------------------------------------------------------------------ */

static struct target *target_of(struct account_of *account, struct str address)
{
    for (size_t i = 0; i < account->target_count; i++)
        if (str_eq(str_from(account->targets[i].address), address))
            return &account->targets[i];
    must(account->target_count < TARGETS_MAX && address.n < SITE_ADDRESS_MAX);
    struct target *target = &account->targets[account->target_count++];
    *target = (struct target){.sent = 0};
    memcpy(target->address, address.p, address.n);
    return target;
}

static struct str text_of(const struct trace_event *event, enum trace_field field)
{
    for (size_t i = 0; i < event->value_count; i++)
        if (event->values[i].field == field)
            return event->values[i].text;
    return STR("");
}

static uint64_t number_of(const struct trace_event *event, enum trace_field field)
{
    for (size_t i = 0; i < event->value_count; i++)
        if (event->values[i].field == field)
            return event->values[i].number;
    return 0;
}

static void report_told(struct account_of *account, const struct trace_event *event)
{
    must(account->report_count < REPORTS_MAX);
    struct report_told *told = &account->reports[account->report_count++];
    *told = (struct report_told){.count = number_of(event, TRACE_count),
                                 .failed = str_eq(text_of(event, TRACE_text), STR("failed"))};
    (void)message_id_parse(text_of(event, TRACE_message), &told->id);
}

/* By an operator who wanted nobody to be told. One who does has it go by its outcome. */
static bool is_dropped(const struct trace_event *event)
{
    return str_find(text_of(event, TRACE_text), STR(HAND_DROPS)) >= 0;
}

static void event_take(struct account_of *account, const struct trace_event *event)
{
    if (event->kind == TRACED_to_be_dequeued)
        account->sends_back |= !is_dropped(event);
    if (event->kind == TRACED_queued)
        account->queued += number_of(event, TRACE_count);
    else if (event->kind == TRACED_sent)
        target_of(account, text_of(event, TRACE_recipient))->sent++;
    else if (event->kind == TRACED_not_sent)
        target_of(account, text_of(event, TRACE_recipient))->not_sent++;
    else if (event->kind == TRACED_dequeued)
        account->removed += is_dropped(event) ? number_of(event, TRACE_count) : 0;
    else if (event->kind == TRACED_dropped && is_dropped(event))
        target_of(account, text_of(event, TRACE_recipient))->dropped++;
    else if (event->kind == TRACED_dropped)
        target_of(account, text_of(event, TRACE_recipient))->sent_back++;
    else if (event->kind == TRACED_reported)
        report_told(account, event);
    account->dotted += event->kind == TRACED_dotted;
    account->accepted += event->kind == TRACED_accepted;
    account->not_reported += event->kind == TRACED_not_reported;
}

static void entries_take(struct law *law, struct account_of *account)
{
    for (size_t i = 0; i < law->entry_count; i++) {
        const struct queue_entry *entry = &law->entries[i];
        if (entry->message != account->message)
            continue;
        account->dotted += (entry->flags & QUEUE_DOTTED) != 0;
        for (size_t j = 0; j < entry->recipient_count; j++)
            target_of(account, entry->recipients[j].address)->waiting++;
    }
}

static bool collect(struct law *law, uint64_t message, struct account_of *account)
{
    struct trace_event *events;
    size_t count = 0;
    *account = (struct account_of){.message = message};
    arena_reset(&law->message);
    struct err e = trace_by_message(law->core->engine, message, world_wall(&law->sim->fake->world),
                                    &law->message, &events, &count);
    if (err_is(e) && e.code != ERR_NOT_FOUND)
        wrong(law, account, "its trace cannot be read", NULL);
    for (size_t i = 0; !err_is(e) && i < count; i++)
        event_take(account, &events[i]);
    account->order = (struct order_question){
        .message = message, .events = events, .count = err_is(e) ? 0 : count};
    entries_take(law, account);
    return !err_is(e);
}

/* --- Sites ----------------------------------------------------------------------------------- */

struct taken {
    size_t sure; /* the courier heard of it, and lived */
    size_t all;
    bool excused; /* core died since the first of them, or who took it miscounts */
    bool relayed; /* by a smart host */
};

static struct taken taken_of(const struct law *law, uint64_t message, struct str address)
{
    const struct internet *internet = &law->sim->internet;
    struct taken taken = {.all = 0};
    for (size_t i = 0; i < internet->ledger_count; i++) {
        const struct ledger_row *row = internet->ledger[i];
        if (row->message != message || !ledger_row_has(row, address))
            continue;
        taken.all++;
        taken.sure += row->heard && !ledger_courier_died(internet, row);
        taken.relayed |= str_eq(str_from(row->site->row->domain), STR("*"));
        taken.excused |= row->doubtful || ledger_core_died(internet, row);
    }
    return taken;
}

static void sites_judge(struct law *law, const struct account_of *account,
                        const struct target *target)
{
    struct taken taken = taken_of(law, account->message, str_from(target->address));
    if (taken.all < target->sent)
        wrong(law, account, "it is said to be sent, and no site has it", target->address);
    if (taken.sure > target->sent + (law->over ? 0 : target->waiting))
        wrong(law, account, "a second copy left, or one that nobody recorded", target->address);
    if (law->over && taken.all > target->sent && !account->dotted && !taken.excused)
        wrong(law, account, "it may be a second copy, and the trace does not say so",
              target->address);
    law->totals.routed += taken.relayed;
    law->totals.doubled += taken.all > target->sent ? taken.all - target->sent : 0;
}

/* May other mail that fails there keep it from being tried in its time? */
static bool stands_behind(const struct law *law, const struct letter *letter, int at)
{
    const struct oracle *oracle = &law->sim->oracle;
    bool behind = letter->by > 0;
    for (size_t i = 0; i < oracle->letter_count; i++)
        behind |= oracle->letters[i]->accounts >> (PEOPLE_ACCOUNTS + at) & 1 &&
                  oracle->letters[i]->priority > letter->priority;
    return behind;
}

static void fate_judge(struct law *law, const struct account_of *account,
                       const struct target *target)
{
    int at = people_outside_find(str_from(target->address));
    enum people_fate fate = at < 0 ? FATE_ANY : people_outside[at].fate;
    if (at >= 0 && people_outside[at].policy && account->letter && account->letter->tls_optional)
        fate = stands_behind(law, account->letter, at) ? FATE_ANY : FATE_SENT;
    if (fate == FATE_SENT && target->not_sent &&
        !order_was_paused(law->sim, str_from(target->address)))
        wrong(law, account, "it was given up, though its site is well", target->address);
    if (fate == FATE_FAILED && target->sent &&
        !taken_of(law, account->message, str_from(target->address)).relayed)
        wrong(law, account, "it is said to be sent where nothing can be sent", target->address);
}

/* --- Reports --------------------------------------------------------------------------------- */

static size_t returned_count(const struct law *law, const struct account_of *account,
                             const struct target *target, enum return_action action)
{
    const struct returns *returns = &law->sim->returns;
    size_t count = 0;
    for (size_t i = 0; i < returns->count; i++)
        count += returns->rows[i].about == account->message && returns->rows[i].action == action &&
                 str_eq(str_from(returns->rows[i].recipient), str_from(target->address));
    return count;
}

/* What nobody asked for. Who is on a list is its owner's to be told of. */
static void wishes_judge(struct law *law, const struct account_of *account,
                         const struct returned *row)
{
    const struct letter *letter = account->letter;
    enum letter_notify notify = letter ? letter->notify : NOTIFY_UNSAID;
    bool success = notify == NOTIFY_SUCCESS || notify == NOTIFY_ALL;
    bool failure = notify != NOTIFY_NEVER && notify != NOTIFY_SUCCESS;
    if (row->action >= RETURN_RELAYED ? success : failure)
        return;
    if (!str_eq(str_from(row->recipient), people_outside[PEOPLE_GUEST].address))
        wrong(law, account, "a report that nobody asked for", row->recipient);
}

static void returns_judge(struct law *law, const struct account_of *account,
                          const struct target *target)
{
    size_t failed = target->not_sent + target->sent_back;
    size_t entries = target->sent + failed + target->dropped + target->waiting + account->removed;
    size_t perhaps = account->sends_back ? target->dropped : 0;
    if (returned_count(law, account, target, RETURN_FAILED) > failed + perhaps)
        wrong(law, account, "its failure is told twice, or was none", target->address);
    if (returned_count(law, account, target, RETURN_DELAYED) > entries)
        wrong(law, account, "it is told twice that it waits", target->address);
    if (returned_count(law, account, target, RETURN_RELAYED) > target->sent)
        wrong(law, account, "it is told to be relayed, and was not", target->address);
}

/* What a report that was found says, held against what is said of it: so many it told of. */
static uint64_t report_found(struct law *law, const struct account_of *account, uint64_t report,
                             bool *elsewhere_r, uint64_t *failed_r)
{
    const struct returns *returns = &law->sim->returns;
    uint64_t count = 0;
    *elsewhere_r = false;
    *failed_r = 0;
    for (size_t i = 0; i < returns->count; i++) {
        const struct returned *row = &returns->rows[i];
        if (row->report != report)
            continue;
        count++;
        bool postmaster = row->account >= 0 && row->account < 2;
        *elsewhere_r |= !postmaster;
        wishes_judge(law, account, row);
        *failed_r += row->action == RETURN_FAILED;
        if (row->about != account->message)
            wrong(law, account, "a report about it is about another one", row->recipient);
    }
    return count;
}

static void report_remember(struct law *law, uint64_t id)
{
    must(law->report_count < IDS_MAX);
    law->reports[law->report_count++] = id;
}

/* Where is it: in a mailbox, at a site, waiting, or itself not sent? */
static void report_judge(struct law *law, const struct account_of *account,
                         const struct report_told *told, uint64_t *failed_r)
{
    static const char lost[] = "a report about it is nowhere";
    struct account_of own;
    bool elsewhere;
    uint64_t found = report_found(law, account, told->id, &elsewhere, failed_r);
    if (!found && told->failed)
        *failed_r = told->count;
    bool known = collect(law, told->id, &own);
    size_t unseen = own.removed; /* recipients by whom nobody read it: it waits, or failed */
    for (size_t i = 0; i < own.target_count; i++)
        unseen += own.targets[i].sent == 0;
    law->totals.reports++;
    /* Who is named twice is told of twice where a copy stays here. */
    if (found && (told->failed ? found != told->count : found > told->count))
        wrong(law, account, "a report tells of others than it is said to", NULL);
    if (law->over && !found && (!known || own.queued == 0 || unseen == 0))
        wrong(law, account, lost, NULL);
    if (elsewhere && !account->accepted)
        wrong(law, account, "a report about a report went to another than the postmaster", NULL);
    if (known)
        report_remember(law, told->id);
}

/* A report that nobody has, since it could not be sent either, may tell of others as well. */
static void failures_judge(struct law *law, const struct account_of *account)
{
    uint64_t failed = 0, perhaps = 0, told = 0;
    enum letter_notify notify = account->letter ? account->letter->notify : NOTIFY_UNSAID;
    for (size_t i = 0; i < account->target_count; i++)
        failed += account->targets[i].not_sent + account->targets[i].sent_back;
    for (size_t i = 0; account->sends_back && i < account->target_count; i++)
        perhaps += account->targets[i].dropped;
    for (size_t i = 0; i < account->report_count; i++) {
        uint64_t one = 0;
        report_judge(law, account, &account->reports[i], &one);
        told += one;
    }
    if (account->not_reported)
        wrong(law, account, "nobody was told", NULL);
    bool all = notify == NOTIFY_UNSAID || notify == NOTIFY_FAILURE;
    bool too_many = told > failed + perhaps;
    if (all ? told < failed || too_many : notify != NOTIFY_ALL && too_many)
        wrong(law, account, "who failed was not reported once", NULL);
    law->totals.returned += failed;
}

/* --- One message ----------------------------------------------------------------------------- */

static void targets_judge(struct law *law, const struct account_of *account)
{
    uint64_t known = account->removed;
    for (size_t i = 0; i < account->target_count; i++) {
        const struct target *target = &account->targets[i];
        known +=
            target->sent + target->not_sent + target->waiting + target->dropped + target->sent_back;
        law->totals.removed += target->dropped;
        law->totals.relayed += target->sent;
        law->totals.waiting += target->waiting;
        sites_judge(law, account, target);
        fate_judge(law, account, target);
        returns_judge(law, account, target);
        if (law->over && target->waiting)
            wrong(law, account, "it still waits", target->address);
    }
    law->totals.queued += account->queued;
    law->totals.removed += account->removed;
    if (known != account->queued)
        wrong(law, account, "what was queued is not what was sent, failed or waits", NULL);
}

static void message_judge(struct law *law, struct account_of *account)
{
    account->order.routed = !account->letter || account->letter->submitted;
    if (law->over) {
        order_judge(law->sim, &account->order);
        routes_judge(law->sim, &account->order, account->letter);
        fair_judge(law->sim, &account->order, account->letter);
    }
    targets_judge(law, account);
    failures_judge(law, account);
}

/* --- Letters --------------------------------------------------------------------------------- */

static size_t ids_of(struct law *law, const struct letter *letter, uint64_t **ids_r)
{
    struct buf path = BUF_INIT(SITE_ADDRESS_MAX);
    struct addr addr;
    size_t count = 0;
    letter_sender(letter, &path);
    struct err e = addr_parse(buf_str(&path), &law->arena, &addr);
    if (!err_is(e))
        e = trace_by_address(law->core->engine, TRACE_FROM, &addr, 0,
                             world_wall(&law->sim->fake->world), IDS_MAX, &law->arena, ids_r,
                             &count);
    if (err_is(e) && e.code != ERR_NOT_FOUND)
        oracle_wrong(&law->sim->oracle, "the trace of letter %llu cannot be read: %s",
                     (unsigned long long)letter->number, err_row(e.code)->name);
    buf_done(&path);
    return count;
}

static void letter_judge(struct law *law, struct letter *letter)
{
    uint64_t *ids, copies[PEOPLE_OUTSIDE] = {0};
    size_t count = ids_of(law, letter, &ids);
    struct account_of account;
    bool removed = false; /* then not all of its recipients are named */
    for (size_t i = 0; i < count; i++) {
        if (!collect(law, ids[i], &account) || !account.accepted)
            continue; /* it was refused */
        removed |= account.removed > 0;
        account.letter = letter;
        for (size_t j = 0; j < account.target_count; j++) {
            int at = people_outside_find(str_from(account.targets[j].address));
            if (at < 0)
                wrong(law, &account, "it goes where nobody lives", account.targets[j].address);
            else
                copies[at]++;
        }
        message_judge(law, &account);
    }
    for (int at = 0; law->over && !removed && at < PEOPLE_OUTSIDE; at++)
        oracle_judge_outside(&law->sim->oracle, letter, at, copies[at]);
}

/* --- All of it ------------------------------------------------------------------------------- */

static void queue_load(struct law *law)
{
    struct queue_page page = {.more = false};
    struct err e = queue_scan(law->core->engine, 0, 0, IDS_MAX, &law->arena, &page);
    if (err_is(e) || page.more || page.damaged)
        oracle_wrong(&law->sim->oracle, "the queue cannot be read: %s", err_row(e.code)->name);
    law->entries = page.entries;
    law->entry_count = err_is(e) ? 0 : page.count;
}

/* Reports, and the reports about those; each was told of once. */
static void reports_judge(struct law *law)
{
    struct account_of account;
    while (law->report_at < law->report_count && !law->sim->oracle.violated)
        if (collect(law, law->reports[law->report_at++], &account))
            message_judge(law, &account);
}

/* What no message is said to have caused. */
static void strays_judge(struct law *law)
{
    struct account_of account;
    const struct internet *internet = &law->sim->internet;
    for (size_t i = 0; i < internet->ledger_count; i++) {
        const struct ledger_row *row = internet->ledger[i];
        if (!collect(law, row->message, &account))
            wrong(law, &account, "a site has it, and there is no trace of it", NULL);
        if (row->letter && !(row->letter->accounts >> PEOPLE_ACCOUNTS))
            wrong(law, &account, "a site has it, and it is for nobody elsewhere", NULL);
    }
}

static void look(struct core *core, void *arg)
{
    struct law *law = arg;
    struct oracle *oracle = &law->sim->oracle;
    law->core = core;
    arena_init(&law->arena, LAW_ARENA);
    arena_init(&law->message, MESSAGE_ARENA);
    law->reports = arena_take_array(&law->arena, IDS_MAX, sizeof(uint64_t));
    must(law->reports);
    queue_load(law);
    for (size_t i = 0; i < oracle->letter_count && !oracle->violated; i++)
        letter_judge(law, oracle->letters[i]);
    reports_judge(law);
    strays_judge(law);
    if (law->over) {
        order_judge_pauses(law->sim);
        routes_judge_limits(law->sim);
        fair_judge_order(law->sim);
    }
    arena_done(&law->message);
    arena_done(&law->arena);
}

void law_judge(struct sim *sim, bool over, struct law_totals *totals_r)
{
    struct law law = {.sim = sim, .over = over};
    *totals_r = (struct law_totals){.queued = 0};
    if (sim->oracle.violated)
        return;
    if (!house_do(&sim->house, look, &law))
        oracle_wrong(&sim->oracle, "the store does not answer");
    *totals_r = law.totals;
}
