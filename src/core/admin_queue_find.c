/*
 * Why the disk is walked and not the schedule: addresses and words are there alone, and core has
 * entries in memory only once it has loaded them.
 */
#include "base/must.h"
#include "core/admin_queue.h"
#include "core/core.h"

enum {
    PAGE = 200,               /* entries read at once */
    PAGE_ARENA = 32 << 20,    /* of PAGE records */
    IDS_MAX = ADMIN_GIVEN_MAX /* in one command */
};

struct queue_hand queue_hand_of(const struct admin *admin)
{
    return (struct queue_hand){.queue = admin->core ? admin->core->queue : NULL,
                               .engine = admin->engine,
                               .loop = admin->loop};
}

/* --- Ids --- */

void queue_id_put(struct buf *to, const struct queue_entry *entry)
{
    char id[MESSAGE_ID_TEXT];
    message_id_print(entry->message, id);
    buf_put(to, str_make(id, sizeof(id)));
    buf_printf(to, ".%u", entry->number);
}

static bool id_parse(struct str text, struct queue_name *name_r, bool *whole_r)
{
    uint64_t number = 0;
    struct str rest = text, id = str_cut(&rest, '.');
    *whole_r = rest.p == NULL;
    if (!message_id_parse(id, &name_r->message) ||
        (!*whole_r && (!str_to_u64(rest, &number) || number > UINT32_MAX)))
        return false;
    name_r->number = (uint32_t)number;
    return true;
}

/* Rising; a whole message before its entries, which it has in it. */
static bool is_before(const struct queue_wanted *wanted, size_t a, size_t b)
{
    const struct queue_name *one = &wanted->ids[a], *two = &wanted->ids[b];
    if (one->message != two->message)
        return one->message < two->message;
    if (wanted->whole[a] != wanted->whole[b])
        return wanted->whole[a];
    return one->number < two->number;
}

static bool is_within(const struct queue_wanted *wanted, size_t a, size_t b)
{
    const struct queue_name *one = &wanted->ids[a], *two = &wanted->ids[b];
    return one->message == two->message && (wanted->whole[a] || one->number == two->number);
}

/* Few: what fits a command line. */
static void ids_sort(struct queue_wanted *wanted)
{
    size_t kept = 0;
    for (size_t i = 1; i < wanted->id_count; i++)
        for (size_t at = i; at > 0 && is_before(wanted, at, at - 1); at--) {
            struct queue_name name = wanted->ids[at];
            bool whole = wanted->whole[at];
            wanted->ids[at] = wanted->ids[at - 1];
            wanted->whole[at] = wanted->whole[at - 1];
            wanted->ids[at - 1] = name;
            wanted->whole[at - 1] = whole;
        }
    for (size_t i = 0; i < wanted->id_count; i++) {
        if (kept > 0 && is_within(wanted, kept - 1, i))
            continue;
        wanted->ids[kept] = wanted->ids[i];
        wanted->whole[kept++] = wanted->whole[i];
    }
    wanted->id_count = kept;
}

static int id_add(struct admin_call *call, struct str text, struct queue_wanted *wanted)
{
    size_t at = wanted->id_count;
    if (at == IDS_MAX)
        return admin_refuse(call, ADMIN_USAGE, "too many ids in one command", str_null());
    if (!id_parse(text, &wanted->ids[at], &wanted->whole[at]))
        return admin_refuse(call, ADMIN_USAGE,
                            "expected an id like 01j9x3k2m7q4r or 01j9x3k2m7q4r.0, not", text);
    wanted->id_count++;
    return ADMIN_OK;
}

static int ids_read(struct admin_call *call, struct queue_wanted *wanted)
{
    struct arena *arena = call->admin->arena;
    wanted->ids = arena_take_array(arena, IDS_MAX, sizeof(*wanted->ids));
    wanted->whole = arena_take_array(arena, IDS_MAX, sizeof(*wanted->whole));
    if (!wanted->ids || !wanted->whole)
        return admin_fail(call, err_make(ERR_NO_MEMORY));
    int code = ADMIN_OK;
    for (size_t i = 0; i < call->count && !code; i++)
        code = id_add(call, call->words[i], wanted);
    bool named = call->command->run != admin_queue_show; /* there it is a part to be shown */
    for (size_t i = 0; i < call->given_count && !code && named; i++)
        if (str_eq(call->given[i].name, STR("--message")))
            code = id_add(call, call->given[i].value, wanted);
    ids_sort(wanted);
    return code;
}

/* --- Filters --- */

static int age_read(struct admin_call *call, const char *option, int64_t *then_r)
{
    struct str text = admin_value(call, option);
    int64_t span;
    if (!text.p)
        return ADMIN_OK;
    if (!admin_span(text, &span))
        return admin_refuse(call, ADMIN_USAGE, "expected a time like 90s, 15m, 1h or 7d, not",
                            text);
    *then_r = world_wall(call->admin->loop->world) - span;
    return ADMIN_OK;
}

const char *queue_state_word(enum queue_state state)
{
    static const char *const words[QUEUE_STATES] = {"waiting", "due", "under-way", "held"};
    return words[state];
}

static int state_read(struct admin_call *call, int *state_r)
{
    struct str text = admin_value(call, "--state");
    *state_r = -1;
    if (!text.p)
        return ADMIN_OK;
    for (int i = 0; i < QUEUE_STATES; i++)
        if (str_eq(text, str_from(queue_state_word((enum queue_state)i))))
            *state_r = i;
    return *state_r >= 0 ? ADMIN_OK
                         : admin_refuse(call, ADMIN_USAGE,
                                        "expected waiting, due, under-way or held, not", text);
}

static int account_read(struct admin_call *call, uint64_t *id_r)
{
    struct admin *admin = call->admin;
    struct str text = admin_value(call, "--account");
    struct addr addr;
    struct account account;
    if (!text.p)
        return ADMIN_OK;
    int code = admin_addr(call, text, &addr);
    if (!code)
        code = admin_fail(call,
                          directory_account_show(admin->directory, &addr, admin->arena, &account));
    if (!code)
        *id_r = account.id;
    return code;
}

static int limit_read(struct admin_call *call, uint64_t *limit_r)
{
    struct str text = admin_value(call, "--limit");
    *limit_r = UINT64_MAX;
    if (!text.p || (str_to_u64(text, limit_r) && *limit_r > 0))
        return ADMIN_OK;
    return admin_refuse(call, ADMIN_USAGE, "expected a number from 1 on, not", text);
}

/* "<>" is how people write the null sender. */
static struct str sender_of(struct str text)
{
    return text.p && str_eq(text, STR("<>")) ? STR("") : text;
}

int queue_wanted_read(struct admin_call *call, struct queue_wanted *wanted)
{
    *wanted = (struct queue_wanted){
        .sender = sender_of(admin_value(call, "--sender")),
        .recipient = admin_value(call, "--recipient"),
        .domain = admin_value(call, "--domain"),
        .reason = admin_value(call, "--reason"),
    };
    int code = ids_read(call, wanted);
    if (!code)
        code = age_read(call, "--older", &wanted->before);
    if (!code)
        code = age_read(call, "--younger", &wanted->since);
    if (!code)
        code = state_read(call, &wanted->state);
    if (!code)
        code = account_read(call, &wanted->account);
    if (!code)
        code = limit_read(call, &wanted->limit);
    wanted->filtered = wanted->id_count > 0 || wanted->sender.p || wanted->recipient.p ||
                       wanted->domain.p || wanted->reason.p || wanted->before || wanted->since ||
                       wanted->account || wanted->state >= 0;
    return code;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Back to the last star where it does not go on: each star is passed once. */
bool queue_pattern_fits(struct str pattern, struct str text)
{
    size_t p = 0, t = 0, star = SIZE_MAX, from = 0;
    while (t < text.n) {
        if (p < pattern.n && pattern.p[p] == '*') {
            star = p++;
            from = t;
        } else if (p < pattern.n && lower(pattern.p[p]) == lower(text.p[t])) {
            p++;
            t++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            t = ++from;
        } else {
            return false;
        }
    }
    while (p < pattern.n && pattern.p[p] == '*')
        p++;
    return p == pattern.n;
}

static bool text_within(struct str text, struct str part)
{
    for (size_t at = 0; at + part.n <= text.n; at++)
        if (str_starts_nocase(str_from_index(text, at), part))
            return true;
    return false;
}

static bool recipient_fits(const struct queue_entry *entry, struct str pattern)
{
    for (size_t i = 0; i < entry->recipient_count; i++)
        if (queue_pattern_fits(pattern, entry->recipients[i].address))
            return true;
    return false;
}

static bool reason_fits(const struct queue_entry *entry, const struct queue_view *view,
                        struct str reason)
{
    if (str_eq(reason, str_from(view->reason)) || text_within(view->why, reason) ||
        text_within(entry->last.text, reason))
        return true;
    for (size_t i = 0; i < entry->recipient_count; i++)
        if (text_within(entry->recipients[i].last.text, reason))
            return true;
    return false;
}

static bool fits(const struct queue_wanted *wanted, const struct queue_entry *entry,
                 const struct queue_view *view)
{
    return (!wanted->sender.p || queue_pattern_fits(wanted->sender, entry->sender)) &&
           (!wanted->recipient.p || recipient_fits(entry, wanted->recipient)) &&
           (!wanted->domain.p || queue_pattern_fits(wanted->domain, entry->domain)) &&
           (!wanted->reason.p || reason_fits(entry, view, wanted->reason)) &&
           (!wanted->before || entry->accepted < wanted->before) &&
           (!wanted->since || entry->accepted >= wanted->since) &&
           (!wanted->account || entry->account == wanted->account) &&
           (wanted->state < 0 || (int)view->state == wanted->state);
}

/* --- What it is doing --- */

static const struct {
    const char *reason, *why;
} WAITS[QUEUE_WAIT_COUNT] = {
    [QUEUE_NEW] = {"new", "it was not tried yet"},
    [QUEUE_DEFERRED] = {"deferred", "the other server said: later"},
    [QUEUE_TROUBLE] = {"trouble", "the other server could not be reached, or has trouble"},
    [QUEUE_LATER] = {"later", "its sender wants it sent then"},
    [QUEUE_LIMIT] = {"limit", "the limit of its route is reached"},
    [QUEUE_POLICY] = {"policy", "what is asked for the other server does not have"},
};

static const char *const TROUBLES[JOB_TROUBLES] = {
    [JOB_NO_TROUBLE] = "trouble before the start",
    [JOB_TROUBLE_DNS] = "no usable answer of the DNS",
    [JOB_TROUBLE_CONNECT] = "no connection",
    [JOB_TROUBLE_GREETING] = "no greeting",
    [JOB_TROUBLE_TLS] = "no TLS as policy demands",
    [JOB_TROUBLE_LOGIN] = "our log-in is refused",
    [JOB_TROUBLE_BUSY] = "it takes no more at present",
};

static void view_say(struct queue_view *view, enum queue_state state, const char *reason,
                     const char *why, struct str more)
{
    struct buf text = {.p = view->text, .cap = sizeof(view->text), .max = sizeof(view->text)};
    buf_put(&text, str_from(why));
    if (more.n) {
        buf_put(&text, STR(": "));
        buf_put(&text, str_head(more, sizeof(view->text) / 2));
    }
    view->state = state;
    view->reason = reason;
    view->why = buf_str(&text);
}

static void held_view(const struct queue_entry *entry, struct queue_view *view)
{
    bool operator= entry->holds & QUEUE_HELD_BY_OPERATOR;
    bool account = entry->holds & QUEUE_HELD_WITH_ACCOUNT;
    view->next = 0;
    view_say(view, QUEUE_STATE_HELD, "held",
             !operator ? "sending from its account is on hold"
             : account ? "sending from its account is on hold, and it is held by an operator"
                       : "held by an operator",
             operator? entry->why : str_null());
}

/* In the line of its destination. */
static void due_view(const struct schedule *schedule, const struct destination *destination,
                     int64_t now, struct queue_view *view)
{
    bool quiet = destination->troubles > 0 && destination->quiet_until > schedule->mono;
    view->next = now;
    if (destination->collected && !destination->collection) {
        view_say(view, QUEUE_STATE_DUE, "collect", "it waits to be collected (ATRN)", str_null());
    } else if (quiet) {
        view->next = now + (destination->quiet_until - schedule->mono) / 1000;
        view_say(view, QUEUE_STATE_DUE, "quiet", "its destination is in trouble",
                 str_from(TROUBLES[destination->trouble < JOB_TROUBLES ? destination->trouble
                                                                       : JOB_NO_TROUBLE]));
    } else {
        view_say(view, QUEUE_STATE_DUE, "turn", "it waits for its turn", str_null());
    }
}

static void waits_view(const struct queue_entry *entry, struct queue_view *view)
{
    bool here = entry->flags & QUEUE_HERE && entry->wait == QUEUE_DEFERRED;
    view_say(view, QUEUE_STATE_WAITING, WAITS[entry->wait].reason,
             here ? "a mailbox here could not take it yet" : WAITS[entry->wait].why, str_null());
}

static void scheduled_view(const struct schedule *schedule, const struct scheduled *one,
                           const struct queue_entry *entry, int64_t now, struct queue_view *view)
{
    if (one->state == SCHEDULED_UNDER_WAY)
        view_say(view, QUEUE_STATE_UNDER_WAY, "under-way", "it is being sent", str_null());
    else if (one->holds)
        held_view(entry, view);
    else if (one->state == SCHEDULED_DUE)
        due_view(schedule, one->destination, now, view);
    else
        waits_view(entry, view);
    if (view->state != QUEUE_STATE_DUE && view->state != QUEUE_STATE_WAITING)
        return;
    if (!schedule->paused && !one->destination->paused)
        return;
    view->next = 0;
    view_say(view, view->state, "paused",
             schedule->paused ? "the queue is paused" : "its destination is paused", str_null());
}

void queue_view(const struct admin_call *call, const struct queue_entry *entry,
                struct queue_view *view)
{
    const struct core *core = call->admin->core;
    int64_t now = world_wall(call->admin->loop->world);
    struct scheduled *one =
        core ? schedule_find(&core->queue->schedule, entry->message, entry->number) : NULL;
    view->next = entry->next;
    if (entry->flags & QUEUE_REMOVED)
        view_say(view, QUEUE_STATE_UNDER_WAY, "removed",
                 "it was removed while it was under way; what does not arrive is dropped",
                 str_null());
    else if (one)
        scheduled_view(&core->queue->schedule, one, entry, now, view);
    else if (entry->holds)
        held_view(entry, view);
    else
        waits_view(entry, view);
    if (!one && view->state == QUEUE_STATE_WAITING && entry->next <= now)
        view->state = QUEUE_STATE_DUE;
}

/* --- The walk --- */

struct walk {
    struct admin_call *call;
    const struct queue_wanted *wanted;
    bool (*each)(void *, const struct queue_entry *, const struct queue_view *);
    void *arg;
    uint64_t met;
    bool there; /* anything by the id that is looked for */
    bool over;
};

static void walk_meet(struct walk *walk, const struct queue_entry *entry)
{
    struct queue_view view;
    walk->there = true;
    if (walk->over)
        return;
    queue_view(walk->call, entry, &view);
    if (!fits(walk->wanted, entry, &view))
        return;
    walk->met++;
    walk->over = !walk->each(walk->arg, entry, &view) || walk->met >= walk->wanted->limit ||
                 walk->call->admin->gone;
}

/* From behind a name; `message`: of that one alone; 0: all. */
static struct err walk_from(struct walk *walk, struct queue_name behind, uint64_t message)
{
    struct loop *loop = walk->call->admin->loop;
    struct queue_page page = {
        .last_message = behind.message, .last_number = behind.number, .more = true};
    struct err e = err_none();
    struct arena arena;
    arena_init(&arena, PAGE_ARENA);
    while (page.more && !walk->over && !err_is(e)) {
        arena_reset(&arena);
        e = queue_scan(walk->call->admin->engine, page.last_message, page.last_number, PAGE, &arena,
                       &page);
        for (size_t i = 0; i < page.count && !err_is(e); i++) {
            if (message && page.entries[i].message != message)
                page.more = false;
            else
                walk_meet(walk, &page.entries[i]);
        }
        fiber_sleep_until(loop, loop->now); /* others have their turn */
    }
    arena_done(&arena);
    return e;
}

/* One that is not there is not met. */
static struct err walk_to(struct walk *walk, const struct queue_name *name)
{
    struct queue_entry entry;
    struct arena arena;
    arena_init(&arena, PAGE_ARENA);
    struct err e =
        queue_read(walk->call->admin->engine, name->message, name->number, &arena, &entry);
    if (!err_is(e))
        walk_meet(walk, &entry);
    arena_done(&arena);
    return e.code == ERR_NOT_FOUND ? err_none() : e;
}

struct err queue_walk(struct admin_call *call, struct queue_wanted *wanted,
                      bool (*each)(void *arg, const struct queue_entry *entry,
                                   const struct queue_view *view),
                      void *arg)
{
    struct walk walk = {.call = call, .wanted = wanted, .each = each, .arg = arg};
    struct err e = err_none();
    if (wanted->id_count == 0)
        return walk_from(&walk, (struct queue_name){.number = 0}, 0);
    for (size_t i = 0; i < wanted->id_count && !walk.over && !err_is(e); i++) {
        const struct queue_name *id = &wanted->ids[i];
        const struct queue_name before = {.message = id->message - 1, .number = UINT32_MAX};
        walk.there = false;
        e = wanted->whole[i] ? walk_from(&walk, before, id->message) : walk_to(&walk, id);
        if (!walk.there && wanted->unknown++ == 0)
            wanted->first_unknown = *id;
    }
    return e;
}

int queue_unknown_tell(struct admin_call *call, const struct queue_wanted *wanted)
{
    const struct queue_entry like = {.message = wanted->first_unknown.message,
                                     .number = wanted->first_unknown.number};
    struct buf id = BUF_INIT(QUEUE_ID_TEXT + 1);
    if (!wanted->unknown)
        return ADMIN_OK;
    queue_id_put(&id, &like);
    int code =
        admin_refuse(call, ADMIN_UNAVAILABLE, "there is no such entry in the queue:", buf_str(&id));
    buf_done(&id);
    return code;
}
