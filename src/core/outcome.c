/*
 * One commit for all that a result means (doc/sending.md, 2): what is left of the entry, the trace
 * of each recipient, and the report to whom it failed for. So a crash finds an entry before its
 * result or behind it, and the sum over all recipients is whole at any time.
 */
#include "base/must.h"
#include "conf/conf.h"
#include "core/core.h"
#include "core/governor.h"
#include "core/handing.h"
#include "core/queue.h"
#include "core/report.h"
#include "format/mail_options.h"
#include "format/message_id.h"

enum {
    OUTCOME_ARENA = 32 << 20,
    DOUBLINGS_MOST = 20,
    JITTER_PARTS = 10,
    CHANCES = 1000,
    TRACE_OPS = 1, /* beside an event for each recipient */
};

/* A recipient, and what the job brought for him. */
struct fate {
    const struct queue_recipient *recipient;
    struct queue_words words; /* what was said last */
    struct rcpt_options options;
    enum job_verdict verdict;
    bool expired;
    bool ungiven; /* his turn comes next */
    bool removed; /* by an operator */
};

/* One outcome on its way to the disk. */
struct deciding {
    struct queue *queue;
    struct core *core;
    const struct outcome *outcome;
    struct queue_entry entry;
    struct mail_options options;
    struct fate *fates;
    size_t failed, sent, left;
    size_t ungiven; /* of those left: they were in no job since `pass` */
    int64_t pass;   /* when the entry came due: all its recipients have a turn from then on */
    int64_t now, next;
    bool heard;   /* the other side said something to somebody, */
    bool decided; /* and yes or no */
    bool warn;    /* its sender is to be told that it waits */
    bool held;    /* then it does not expire */
    struct arena arena;
    struct delivery delivery; /* its message is the report */
    struct trace_growth growth;
};

/* --- Fates --- */

static const struct msg_job_result *result_of(const struct outcome *outcome, size_t number)
{
    for (size_t i = 0; i < outcome->result_count; i++)
        if (outcome->results[i].number == number)
            return &outcome->results[i];
    return NULL;
}

static struct queue_words words_of(const struct deciding *deciding,
                                   const struct msg_job_result *result)
{
    return (struct queue_words){
        .code = result->code,
        .status = str_head(result->status, STATUS_TEXT_MAX),
        .host = str_head(deciding->outcome->host, 255),
        .text = str_head(result->text, QUEUE_WORDS_MAX),
        .when = deciding->now,
    };
}

static bool same_words(const struct queue_words *a, const struct queue_words *b)
{
    return a->code == b->code && str_eq(a->status, b->status) && str_eq(a->host, b->host) &&
           str_eq(a->text, b->text);
}

static struct str removed_words(struct deciding *deciding)
{
    struct buf words = buf_in(&deciding->arena, QUEUE_WORDS_MAX);
    buf_put(&words, STR("removed from the queue by the operator"));
    if (deciding->entry.why.n)
        buf_put(&words, STR(": "));
    buf_put(&words, deciding->entry.why);
    struct str built = buf_built(&words);
    return built.p ? built : STR("removed from the queue by the operator");
}

static bool waits(const struct fate *fate)
{
    return fate->verdict == JOB_LATER || fate->verdict == JOB_NOT_TRIED;
}

/* What the clock or an operator makes of one that still waits. */
static void fate_end(struct deciding *deciding, struct fate *fate)
{
    const struct queue_entry *entry = &deciding->entry;
    fate->removed = entry->flags & QUEUE_REMOVED;
    fate->expired = !fate->removed && deciding->now >= entry->expires && !deciding->held &&
                    !deciding->outcome->quietly;
    if (!fate->removed && !fate->expired)
        return;
    fate->verdict = JOB_FAILED;
    if (fate->removed)
        fate->words = (struct queue_words){
            .status = STR("5.3.0"), .text = removed_words(deciding), .when = deciding->now};
    else if (!fate->words.when)
        fate->words = (struct queue_words){
            .text = STR("its time was over before it could be tried"), .when = deciding->now};
}

static void fate_take(struct deciding *deciding, size_t i)
{
    struct fate *fate = &deciding->fates[i];
    const struct msg_job_result *result = result_of(deciding->outcome, i);
    fate->recipient = &deciding->entry.recipients[i];
    (void)rcpt_options_read(fate->recipient->asked, &fate->options); /* else nothing is asked */
    fate->verdict = result ? (enum job_verdict)result->verdict : JOB_NOT_TRIED;
    deciding->heard |= fate->verdict != JOB_NOT_TRIED;
    deciding->decided |= fate->verdict == JOB_SENT || fate->verdict == JOB_FAILED;
    if (fate->verdict != JOB_NOT_TRIED)
        fate->words = words_of(deciding, result);
    else
        fate->words = fate->recipient->last.when ? fate->recipient->last : deciding->entry.last;
    if (waits(fate))
        fate_end(deciding, fate);
    deciding->failed += fate->verdict == JOB_FAILED;
    deciding->sent += fate->verdict == JOB_SENT;
    deciding->left += waits(fate);
    fate->ungiven = waits(fate) && !result && deciding->outcome->result_count > 0 &&
                    fate->words.when < deciding->pass;
    deciding->ungiven += fate->ungiven;
}

/* --- The next time --- */

static unsigned chance_of(struct core *core)
{
    uint32_t chance;
    world_random(core->world, &chance, sizeof(chance));
    return chance % CHANCES;
}

static int64_t pause_of(struct core *core, uint32_t tries)
{
    const struct conf *conf = core->conf;
    uint32_t doublings = tries > 1 ? tries - 1 : 0;
    int64_t first = conf->sending.retry_first / 1000, most = conf->sending.retry_most / 1000;
    int64_t pause = first;
    for (uint32_t i = 0; i < doublings && i < DOUBLINGS_MOST && pause < most; i++)
        pause *= 2;
    if (pause > most)
        pause = most;
    return pause + pause / JITTER_PARTS * ((int64_t)chance_of(core) * 2 - CHANCES) / CHANCES;
}

/* The last try is at its end, not before it. */
static void next_set(struct deciding *deciding)
{
    struct queue_entry *entry = &deciding->entry;
    bool goes_on = deciding->ungiven > 0 && !deciding->outcome->trouble;
    if (deciding->outcome->clock) {
        deciding->next = entry->next;
        return;
    }
    if (deciding->outcome->quietly || goes_on) {
        deciding->next = goes_on ? deciding->pass : deciding->now;
        return;
    }
    entry->tries++;
    deciding->next = deciding->now + pause_of(deciding->core, entry->tries);
    if (deciding->next > entry->expires && entry->expires > deciding->now)
        deciding->next = entry->expires;
}

/* --- What is left of the entry --- */

/* The fates of those left, who had no turn first. */
static size_t fates_left(struct deciding *deciding, const struct fate **left_r)
{
    size_t left = 0, all = deciding->entry.recipient_count;
    for (size_t i = 0; i < all; i++)
        if (deciding->fates[i].ungiven)
            left_r[left++] = &deciding->fates[i];
    for (size_t i = 0; i < all; i++)
        if (waits(&deciding->fates[i]) && !deciding->fates[i].ungiven)
            left_r[left++] = &deciding->fates[i];
    return left;
}

static struct err entry_left(struct deciding *deciding)
{
    struct queue_entry *entry = &deciding->entry;
    const struct fate *fates[QUEUE_RECIPIENTS_MAX] = {NULL};
    size_t left = fates_left(deciding, fates);
    struct queue_recipient *recipients =
        arena_take_array(&deciding->arena, left, sizeof(*recipients));
    if (!recipients)
        return err_make(ERR_NO_MEMORY);
    for (size_t i = 0; i < left; i++) {
        bool own = !same_words(&fates[0]->words, &fates[i]->words);
        recipients[i] = *fates[i]->recipient;
        recipients[i].last = own ? fates[i]->words : (struct queue_words){.when = 0};
    }
    entry->recipients = recipients;
    entry->recipient_count = left;
    entry->last = fates[0]->words;
    entry->next = deciding->next;
    if (deciding->outcome->job)
        entry->job = deciding->outcome->job;
    if (deciding->outcome->dotted)
        entry->flags |= QUEUE_DOTTED;
    if (deciding->warn)
        entry->flags |= QUEUE_WARNED;
    if (!deciding->outcome->quietly && !deciding->outcome->clock)
        entry->wait = deciding->outcome->trouble ? QUEUE_TROUBLE : QUEUE_DEFERRED;
    return err_none();
}

static struct err handed_ops(struct deciding *deciding)
{
    struct err e = err_none();
    for (size_t i = 0; i < deciding->entry.recipient_count && !err_is(e); i++)
        if (deciding->fates[i].verdict == JOB_SENT)
            e = handing_ops(deciding->outcome->handing, i, &deciding->entry, &deciding->delivery);
    return e;
}

static struct err entry_ops(struct deciding *deciding)
{
    struct op_list *ops = &deciding->delivery.ops;
    if (!op_list_more(ops, &deciding->arena, QUEUE_CHANGE_OPS))
        return err_make(ERR_NO_MEMORY);
    if (deciding->left == 0) {
        queue_remove_ops(&deciding->entry, &deciding->arena, ops);
        return err_none();
    }
    struct err e = entry_left(deciding);
    return err_is(e) ? e : queue_change_ops(&deciding->entry, &deciding->arena, ops);
}

/* --- Trace --- */

static const enum trace_kind traced[JOB_VERDICTS] = {
    [JOB_SENT] = TRACED_sent, [JOB_LATER] = TRACED_deferred, [JOB_FAILED] = TRACED_not_sent};

/* A reply as it was said, its code in front; where there was none, what befell us. */
static void trace_words(struct deciding *deciding, struct trace_event *event,
                        const struct queue_words *words)
{
    struct buf said = buf_in(&deciding->arena, QUEUE_WORDS_MAX + 16);
    if (words->code)
        buf_printf(&said, "%u ", words->code);
    if (words->status.n)
        buf_printf(&said, "%.*s ", STR_FMT(words->status));
    buf_put(&said, words->text);
    trace_text(event, TRACE_host, words->host.n ? words->host : STR("this server"));
    if (words->code)
        trace_number(event, TRACE_reply, words->code);
    trace_text(event, TRACE_status, words->status);
    trace_text(event, TRACE_text, buf_built(&said));
}

static void trace_handed(struct deciding *deciding, const struct fate *fate)
{
    const struct handed *handed =
        &deciding->outcome->handing->handed[fate->recipient - deciding->entry.recipients];
    struct trace_event event = trace_event(TRACED_delivered, deciding->now);
    trace_text(&event, TRACE_address, handed->delivered_to);
    trace_text(&event, TRACE_mailbox, STR("INBOX"));
    trace_text(&event, TRACE_account, handed->address);
    trace_add(&deciding->growth, deciding->entry.message, &event, &deciding->arena,
              &deciding->delivery.ops);
}

static bool is_handed_in(const struct deciding *deciding, const struct fate *fate)
{
    return deciding->outcome->handing && fate->verdict == JOB_SENT;
}

static void trace_fate(struct deciding *deciding, const struct fate *fate)
{
    if (is_handed_in(deciding, fate)) {
        trace_handed(deciding, fate);
        return;
    }
    enum trace_kind kind = fate->removed ? TRACED_dropped : traced[fate->verdict];
    struct trace_event event = trace_event(kind, deciding->now);
    trace_text(&event, TRACE_recipient, fate->recipient->address);
    trace_words(deciding, &event, &fate->words);
    if (fate->verdict == JOB_LATER)
        trace_number(&event, TRACE_seconds,
                     (uint64_t)((deciding->next - deciding->now) / US_PER_SECOND));
    if (deciding->outcome->facts.n)
        trace_text(&event, TRACE_facts, deciding->outcome->facts);
    trace_add(&deciding->growth, deciding->entry.message, &event, &deciding->arena,
              &deciding->delivery.ops);
}

static struct err fates_trace(struct deciding *deciding)
{
    size_t count = deciding->entry.recipient_count;
    if (!op_list_more(&deciding->delivery.ops, &deciding->arena, count + 1 + TRACE_OPS))
        return err_make(ERR_NO_MEMORY);
    for (size_t i = 0; i < count; i++)
        if (deciding->fates[i].verdict != JOB_NOT_TRIED)
            trace_fate(deciding, &deciding->fates[i]);
    if (deciding->outcome->dotted && deciding->left) {
        struct trace_event event = trace_event(TRACED_dotted, deciding->now);
        trace_text(&event, TRACE_destination, deciding->entry.domain);
        trace_add(&deciding->growth, deciding->entry.message, &event, &deciding->arena,
                  &deciding->delivery.ops);
    }
    return err_none();
}

/* --- Reports --- */

static bool wants(const struct deciding *deciding, const struct fate *fate, enum dsn_action action)
{
    uint8_t notify = fate->options.notify;
    if (action == DSN_FAILED)
        return !notify || notify & DSN_NOTIFY_FAILURE;
    if (action == DSN_DELAYED)
        return !notify || notify & DSN_NOTIFY_DELAY;
    return notify & DSN_NOTIFY_SUCCESS && deciding->entry.flags & QUEUE_TRUSTED &&
           !deciding->outcome->reports;
}

/* What there is to be told about it; DSN_ACTIONS: nothing. */
static enum dsn_action action_of(const struct deciding *deciding, const struct fate *fate)
{
    if (fate->removed && !(deciding->entry.flags & QUEUE_RETURNED))
        return DSN_ACTIONS;
    if (fate->verdict == JOB_FAILED)
        return DSN_FAILED;
    if (fate->verdict == JOB_SENT)
        return deciding->outcome->handing ? DSN_DELIVERED : DSN_RELAYED;
    return deciding->warn ? DSN_DELAYED : DSN_ACTIONS;
}

static struct dsn_recipient told(const struct deciding *deciding, const struct fate *fate,
                                 enum dsn_action action)
{
    struct dsn_recipient recipient = {
        .action = action,
        .original = fate->options.orcpt,
        .final = fate->recipient->address,
        .remote = fate->words.host.n ? fate->words.host : str_null(),
        .code = fate->words.code,
        .text = fate->words.text,
        .last_attempt = fate->words.when / US_PER_SECOND,
        .retry_until = action == DSN_DELAYED ? deciding->entry.expires / US_PER_SECOND : 0,
    };
    if (!status_code_parse(fate->words.status, &recipient.status))
        recipient.status = (struct status_code){.class = 0};
    if (fate->expired) {
        recipient.cause = DSN_CAUSE_EXPIRED;
        recipient.status = (struct status_code){.class = 5, .subject = 4, .detail = 7};
    }
    if (fate->removed)
        recipient.cause = DSN_CAUSE_REMOVED;
    else if (deciding->options.require_tls && !recipient.code &&
             str_eq(fate->words.status, STR("5.7.10")))
        recipient.cause = DSN_CAUSE_TLS_DEMANDED; /* our own words: RFC 8689 4.2.1 */
    return recipient;
}

static void trace_reported(struct deciding *deciding, const struct dsn_recipient *recipients,
                           size_t count)
{
    char id[MESSAGE_ID_TEXT];
    struct trace_event event = trace_event(TRACED_reported, deciding->now);
    message_id_print(deciding->delivery.message, id);
    struct str text = arena_str(&deciding->arena, str_make(id, sizeof(id)));
    trace_text(&event, TRACE_recipient, recipients[0].final);
    trace_number(&event, TRACE_count, count);
    trace_text(&event, TRACE_sender, deciding->entry.sender);
    trace_text(&event, TRACE_text, dsn_action_word(recipients[0].action));
    trace_text(&event, TRACE_message, text);
    if (op_list_more(&deciding->delivery.ops, &deciding->arena, 1))
        trace_add(&deciding->growth, deciding->entry.message, &event, &deciding->arena,
                  &deciding->delivery.ops);
}

/* Failures of what nobody sent are the postmaster's, but a report of success or delay about it goes
 * to nobody. One message tells all of one kind that one result brought. */
static struct err report(struct deciding *deciding)
{
    size_t count = 0, all = deciding->entry.recipient_count;
    struct dsn_recipient *recipients = arena_take_array(&deciding->arena, all, sizeof(*recipients));
    if (!recipients)
        return err_make(ERR_NO_MEMORY);
    for (size_t i = 0; i < all; i++) {
        const struct fate *fate = &deciding->fates[i];
        enum dsn_action action = action_of(deciding, fate);
        if (action == DSN_ACTIONS || !wants(deciding, fate, action) ||
            (action != DSN_FAILED && !deciding->entry.sender.n))
            continue;
        struct dsn_recipient one = told(deciding, fate, action);
        /* The gravest first: a report is named after it. */
        bool first = count && one.action < recipients[0].action;
        recipients[count] = first ? recipients[0] : one;
        if (first)
            recipients[0] = one;
        count++;
    }
    if (count == 0)
        return err_none();
    struct err e = report_put(&deciding->delivery, &deciding->entry, NULL, recipients, count);
    if (!err_is(e))
        trace_reported(deciding, recipients, count);
    return e;
}

/* --- All of it --- */

/* An operator may have sent it before its time. */
static int64_t pass_of(const struct deciding *deciding)
{
    int64_t given = deciding->outcome->given, next = deciding->entry.next;
    return given && given < next ? given : next;
}

static struct err fates_read(struct deciding *deciding, const struct scheduled *one)
{
    struct queue_entry *entry = &deciding->entry;
    struct err e =
        queue_read(deciding->core->engine, one->message, one->number, &deciding->arena, entry);
    if (err_is(e))
        return e;
    (void)mail_options_read(entry->asked, &deciding->options); /* else nothing is asked */
    deciding->fates =
        arena_take_array(&deciding->arena, entry->recipient_count, sizeof(struct fate));
    if (!deciding->fates)
        return err_make(ERR_NO_MEMORY);
    deciding->pass = pass_of(deciding);
    for (size_t i = 0; i < entry->recipient_count; i++)
        fate_take(deciding, i);
    deciding->warn = deciding->left > 0 && entry->warn && deciding->now >= entry->warn &&
                     !(entry->flags & QUEUE_WARNED) && !deciding->outcome->quietly;
    return err_none();
}

static struct err commit(struct deciding *deciding)
{
    struct delivery *delivery = &deciding->delivery;
    struct str governed = deciding->outcome->governed;
    if (governed.n && !op_list_more(&delivery->ops, &deciding->arena, ROUTE_USE_OPS))
        return err_make(ERR_NO_MEMORY);
    if (governed.n)
        governor_ops(deciding->core->governor, governed, &deciding->arena, &delivery->ops);
    trace_grown(&deciding->growth, &deciding->arena, &delivery->ops);
    return delivery_commit(delivery, NULL, NULL, 0, str_null());
}

static struct err decide(struct deciding *deciding)
{
    struct core *core = deciding->core;
    struct err e = delivery_init(&deciding->delivery, core, &deciding->arena, core_message_id(core),
                                 DELIVERY_OWNERS_MAX, 1);
    if (err_is(e))
        return e;
    deciding->growth = trace_growth(deciding->now);
    next_set(deciding);
    e = fates_trace(deciding);
    if (!err_is(e))
        e = report(deciding);
    if (!err_is(e) && deciding->outcome->handing)
        e = handed_ops(deciding);
    if (!err_is(e))
        e = entry_ops(deciding);
    return err_is(e) ? e : commit(deciding);
}

/* How its destination fares: a "no" to one message is the answer of a server that is well. */
static void destination_learn(const struct deciding *deciding, struct destination *destination)
{
    const struct outcome *outcome = deciding->outcome;
    struct core *core = deciding->core;
    if (outcome->here)
        return;
    if (outcome->trouble)
        schedule_troubled(&deciding->queue->schedule, destination, outcome->trouble,
                          core->loop->now, chance_of(core));
    else if (deciding->heard && !deciding->decided)
        schedule_answered(&deciding->queue->schedule, destination);
    else if (deciding->heard)
        schedule_succeeded(&deciding->queue->schedule, destination);
}

/* May yield. */
static void place_take(struct queue *queue)
{
    if (queue->recording < QUEUE_RECORDING_MAX)
        queue->recording++;
    else
        queue_turn_wait(&queue->unrecorded);
}

/* Whoever waits gets it. */
static void place_give(struct queue *queue)
{
    if (!queue_turn_over(&queue->unrecorded))
        queue->recording--;
}

struct err outcome_record(struct queue *queue, struct scheduled *one, const struct outcome *outcome)
{
    struct core *core = queue->core;
    struct deciding deciding = {
        .queue = queue, .core = core, .outcome = outcome, .now = world_wall(core->world)};
    place_take(queue);
    arena_init_from(&deciding.arena, OUTCOME_ARENA, &core->spares);
    queue_write(queue, one);
    deciding.held = one->holds != 0;
    struct err e = fates_read(&deciding, one);
    bool gone = e.code == ERR_NOT_FOUND;
    if (!err_is(e))
        e = decide(&deciding);
    queue_written(one);
    if (!err_is(e) || gone) {
        struct destination *destination = one->destination;
        if (!gone)
            destination_learn(&deciding, destination);
        if (!outcome->quietly && !outcome->clock)
            one->died = false;
        if (gone || deciding.left == 0)
            schedule_remove(&queue->schedule, one);
        else
            queue_back(queue, one, &deciding.entry, deciding.next);
        e = err_none();
    }
    arena_done(&deciding.arena);
    place_give(queue);
    return e;
}

struct err outcome_mark(struct queue *queue, struct scheduled *one)
{
    struct core *core = queue->core;
    struct arena arena;
    struct queue_entry entry;
    arena_init_from(&arena, OUTCOME_ARENA, &core->spares);
    queue_write(queue, one);
    struct err e = queue_read(core->engine, one->message, one->number, &arena, &entry);
    struct op_list ops = op_list_take(&arena, QUEUE_CHANGE_OPS);
    if (!err_is(e)) {
        entry.flags |= QUEUE_DOTTED;
        e = queue_change_ops(&entry, &arena, &ops);
    }
    if (!err_is(e)) {
        struct commit commit = {.ops = ops.ops, .op_count = ops.count};
        e = engine_commit_wait(core->engine, &commit);
    }
    queue_written(one);
    arena_done(&arena);
    return e;
}

/* --- Limits --- */

static struct err limit_ops(struct core *core, struct queue_entry *entry, struct str destination,
                            int64_t until, struct arena *arena, struct op_list *ops)
{
    int64_t now = world_wall(core->world);
    struct trace_growth growth = trace_growth(now);
    struct trace_event event = trace_event(TRACED_limited, now);
    trace_text(&event, TRACE_destination, destination);
    trace_text(&event, TRACE_recipient, entry->recipients[0].address);
    trace_number(&event, TRACE_count, entry->recipient_count);
    trace_number(&event, TRACE_seconds, (uint64_t)(until - now) / US_PER_SECOND);
    trace_add(&growth, entry->message, &event, arena, ops);
    trace_grown(&growth, arena, ops);
    entry->wait = QUEUE_LIMIT;
    return queue_change_ops(entry, arena, ops);
}

struct err outcome_limit(struct queue *queue, struct scheduled *one, int64_t until)
{
    struct core *core = queue->core;
    struct arena arena;
    struct queue_entry entry;
    arena_init_from(&arena, OUTCOME_ARENA, &core->spares);
    struct str destination = arena_str(&arena, destination_name(one->destination));
    queue_write(queue, one);
    struct err e = queue_read(core->engine, one->message, one->number, &arena, &entry);
    struct op_list ops = op_list_take(&arena, QUEUE_CHANGE_OPS + 1 + TRACE_OPS);
    bool told = !err_is(e) && entry.wait == QUEUE_LIMIT;
    if (!err_is(e) && !told)
        e = limit_ops(core, &entry, destination, until, &arena, &ops);
    if (!err_is(e) && !told) {
        struct commit commit = {.ops = ops.ops, .op_count = ops.count};
        e = ops.over ? err_make(ERR_NO_MEMORY) : engine_commit_wait(core->engine, &commit);
    }
    queue_written(one);
    arena_done(&arena);
    return e;
}
