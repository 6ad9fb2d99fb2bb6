/*
 * Why not through the queue, as reports of what was sent are: the copies are there when the commit
 * is, and so is the report, or neither.
 */
#include "core/told.h"

#include "base/must.h"
#include "core/report.h"
#include "format/message_id.h"

/* DSN_ACTIONS: nothing now; what goes on is told about by whoever has it then. */
static enum dsn_action action_of(const struct transaction *transaction,
                                 const struct accepted_recipient *recipient)
{
    struct rcpt_options options;
    if (!rcpt_options_read(recipient->asked, &options) || !(options.notify & DSN_NOTIFY_SUCCESS))
        return DSN_ACTIONS;
    switch (departing_kind(recipient)) {
    case DEPARTING_STAYS:
        return departing_waits(transaction, recipient) ? DSN_ACTIONS : DSN_DELIVERED;
    case DEPARTING_EXPANDED:
        return DSN_EXPANDED;
    case DEPARTING_GOES_ON:
        break;
    }
    return DSN_ACTIONS;
}

static bool may_be_told(const struct core *core, const struct transaction *transaction)
{
    return transaction->reverse_path.n > 0 && departing_is_trusted(core, transaction);
}

bool told_any(const struct request *request, const struct transaction *transaction,
              const struct msg_outcome *outcomes)
{
    if (!may_be_told(request->peer->core, transaction))
        return false;
    for (size_t i = 0; i < request->msg.commit.recipients_count; i++)
        if (!outcomes[i].error &&
            action_of(transaction, transaction_recipient(request, transaction, i)) != DSN_ACTIONS)
            return true;
    return false;
}

static struct dsn_recipient success(const struct transaction *transaction,
                                    const struct accepted_recipient *recipient, int64_t now)
{
    struct rcpt_options options = {.notify = 0};
    must(rcpt_options_read(recipient->asked, &options));
    return (struct dsn_recipient){
        .action = action_of(transaction, recipient),
        .original = options.orcpt,
        .final = recipient->text,
        .last_attempt = now / US_PER_SECOND,
    };
}

static struct dsn_recipient failure(const struct departing_loop *loop,
                                    const struct rcpt_options *options, int64_t now)
{
    return (struct dsn_recipient){
        .action = DSN_FAILED,
        .original = options->orcpt,
        .final = loop->outside->text,
        .status = {.class = 5, .subject = 4, .detail = 6},
        .text = STR("the message went through here to this address before"),
        .last_attempt = now / US_PER_SECOND,
    };
}

/* Whom the report is about. The gravest come first: it is named after them. */
static size_t recipients_take(const struct request *request, const struct transaction *transaction,
                              const struct msg_outcome *outcomes, const struct departing *departing,
                              int64_t now, struct dsn_recipient *recipients_r)
{
    size_t count = 0;
    for (size_t i = 0; i < departing->loop_count; i++) {
        struct rcpt_options options;
        if (!rcpt_options_read(departing->loops[i].recipient->asked, &options) ||
            (options.notify && !(options.notify & DSN_NOTIFY_FAILURE)))
            continue;
        recipients_r[count++] = failure(&departing->loops[i], &options, now);
    }
    static const enum dsn_action successes[] = {DSN_EXPANDED, DSN_DELIVERED};
    size_t all =
        may_be_told(request->peer->core, transaction) ? request->msg.commit.recipients_count : 0;
    for (size_t action = 0; action < 2; action++) {
        for (size_t i = 0; i < all; i++) {
            const struct accepted_recipient *recipient =
                transaction_recipient(request, transaction, i);
            if (!outcomes[i].error && action_of(transaction, recipient) == successes[action])
                recipients_r[count++] = success(transaction, recipient, now);
        }
    }
    return count;
}

static void trace_reported(struct delivery *delivery, const struct dsn_recipient *recipients,
                           size_t count, struct str sender)
{
    char id[MESSAGE_ID_TEXT];
    message_id_print(delivery->with->message, id);
    struct trace_event *event = delivery_event(delivery, TRACED_reported);
    trace_text(event, TRACE_recipient, recipients[0].final);
    trace_number(event, TRACE_count, count);
    trace_text(event, TRACE_sender, sender);
    trace_text(event, TRACE_text, dsn_action_word(recipients[0].action));
    trace_text(event, TRACE_message, arena_str(delivery->arena, str_make(id, sizeof(id))));
}

/* The message as an entry of the queue would have it: report_put knows them. */
static struct queue_entry entry_of(const struct request *request,
                                   const struct transaction *transaction, int64_t now)
{
    bool utf8 = transmission_is_utf8(transaction->transmission);
    return (struct queue_entry){
        .message = transaction->message,
        .accepted = now,
        .flags = (uint16_t)(QUEUE_TRUSTED | (utf8 ? QUEUE_UTF8 : 0)),
        .size = request->msg.commit.size,
        .sender = transaction->reverse_path,
        .asked = transaction->asked,
    };
}

struct err told_put(const struct request *request, struct transaction *transaction,
                    const struct msg_outcome *outcomes, const struct departing *departing,
                    struct str header, struct delivery *delivery)
{
    struct core *core = request->peer->core;
    struct arena *arena = &transaction->arena;
    if (!departing->loop_count && !told_any(request, transaction, outcomes))
        return err_none();
    struct dsn_recipient *recipients = arena_take_array(
        arena, request->msg.commit.recipients_count + departing->loop_count, sizeof(*recipients));
    struct delivery *with = arena_new(arena, struct delivery);
    if (!recipients || !with)
        return err_make(ERR_NO_MEMORY);
    size_t count =
        recipients_take(request, transaction, outcomes, departing, delivery->now, recipients);
    if (count == 0)
        return err_none();
    struct queue_entry entry = entry_of(request, transaction, delivery->now);
    const struct dsn_original original = {
        .header = header, .body = str_null(), .utf8 = (entry.flags & QUEUE_UTF8) != 0};
    struct err e = delivery_init(with, core, arena, core_message_id(core), DELIVERY_OWNERS_MAX, 1);
    if (!err_is(e))
        e = delivery_room_for_events(delivery, 1);
    if (!err_is(e))
        e = report_put(with, &entry, &original, recipients, count);
    if (err_is(e))
        return e;
    delivery->with = with;
    trace_reported(delivery, recipients, count, transaction->reverse_path);
    return err_none();
}
