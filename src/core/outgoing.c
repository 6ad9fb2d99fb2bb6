/*
 * Targets are sorted and cut: an entry has one sender, one domain, one set of fields, and at most
 * QUEUE_RECIPIENTS_MAX recipients, whose record must fit.
 */
#include "core/outgoing.h"

#include "base/must.h"
#include "conf/routes.h"

enum {
    OPTIONS_MAX = 2048,                 /* octets of encoded options */
    RECORD_FILL = QUEUE_RECORD_MAX / 2, /* octets of addresses and options in one entry */
    EVENTS_PER_ENTRY = 1,
};

static int str_order(struct str a, struct str b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int order = n ? memcmp(a.p, b.p, n) : 0;
    return order ? order : (a.n > b.n) - (a.n < b.n);
}

static int group_order(const struct outgoing_target *a, const struct outgoing_target *b)
{
    int order = (int)a->here - (int)b->here;
    if (!order)
        order = str_order(a->domain, b->domain);
    if (!order)
        order = str_order(a->sender, b->sender);
    return order ? order : str_order(a->fields, b->fields);
}

static int target_order(const void *a, const void *b)
{
    const struct outgoing_target *one = a, *two = b;
    int order = group_order(one, two);
    return order ? order : str_order(one->address, two->address);
}

/* Without the fields: who is reached by two ways gets one of them. */
static int reached_order(const void *a, const void *b)
{
    const struct outgoing_target *one = a, *two = b;
    int order = str_order(one->address, two->address);
    return order ? order : str_order(one->sender, two->sender);
}

/* --- Times --- */

static int64_t us(int64_t ns)
{
    return ns / 1000;
}

static void times_set(const struct delivery *delivery, const struct mail_options *options,
                      int64_t lives, struct queue_entry *entry)
{
    const struct conf *conf = delivery->core->conf;
    int64_t held = options->hold_until * US_PER_SECOND;
    bool later = held > delivery->now;
    entry->accepted = delivery->now;
    entry->next = later ? held : delivery->now;
    entry->wait = later ? QUEUE_LATER : QUEUE_NEW;
    entry->expires =
        entry->next +
        (lives ? lives : us(entry->sender.n ? conf->sending.expire : conf->sending.expire_bounce));
    if (options->deliver_by_mode == DELIVER_BY_RETURN &&
        options->deliver_by * US_PER_SECOND < entry->expires)
        entry->expires = options->deliver_by * US_PER_SECOND;
    if (entry->sender.n && conf->sending.warn_after)
        entry->warn = entry->next + us(conf->sending.warn_after);
}

/* --- Entries --- */

static struct err recipients_set(struct delivery *delivery, const struct outgoing_target *targets,
                                 struct queue_entry *entry)
{
    entry->recipients =
        arena_take_array(delivery->arena, entry->recipient_count, sizeof(struct queue_recipient));
    if (!entry->recipients)
        return err_make(ERR_NO_MEMORY);
    for (size_t i = 0; i < entry->recipient_count; i++) {
        entry->recipients[i] = (struct queue_recipient){
            .address = targets[i].address,
            .given = targets[i].given,
            .asked = targets[i].asked,
        };
    }
    return err_none();
}

static void trace_queued(struct delivery *delivery, const struct queue_entry *entry)
{
    struct trace_event *event = delivery_event(delivery, TRACED_queued);
    trace_text(event, TRACE_destination, entry->domain);
    trace_text(event, TRACE_recipient, entry->recipients[0].address);
    trace_number(event, TRACE_count, entry->recipient_count);
    if (entry->recipients[0].given.n)
        trace_text(event, TRACE_address, entry->recipients[0].given);
}

/* Who may say one himself has said it; for all others the configuration does. */
static struct err priority_set(struct delivery *delivery, const struct outgoing *message,
                               int8_t asked, struct queue_entry *entry)
{
    const struct conf *conf = delivery->core->conf;
    entry->priority = message->trusted || asked < 0 ? asked : 0;
    if (entry->priority || conf->precedence_count == 0)
        return err_none();
    struct route_question *questions =
        arena_take_array(delivery->arena, entry->recipient_count, sizeof(*questions));
    if (!questions)
        return err_make(ERR_NO_MEMORY);
    for (size_t i = 0; i < entry->recipient_count; i++)
        questions[i] = (struct route_question){.recipient = entry->recipients[i].address,
                                               .sender = entry->sender,
                                               .account = message->account_address};
    entry->priority = conf_priority(conf, questions, entry->recipient_count);
    return err_none();
}

static struct err entry_put(struct delivery *delivery, const struct outgoing *message,
                            const struct outgoing_target *targets, size_t count,
                            struct queue_entry *entry)
{
    bool of_list = targets->sender.p != NULL;
    struct mail_options options;
    if (!mail_options_read(message->asked, &options))
        return err_detail(ERR_BUS_BROKEN, STR("options that cannot be read"));
    *entry = (struct queue_entry){
        .message = message->message,
        .number = (uint32_t)(entry - delivery->entries),
        .blob = message->blob,
        .flags =
            (uint16_t)((message->utf8 ? QUEUE_UTF8 : 0) | (of_list ? QUEUE_OF_LIST : 0) |
                       (message->trusted ? QUEUE_TRUSTED : 0) |
                       (targets->forward ? QUEUE_FORWARDED : 0) | (targets->here ? QUEUE_HERE : 0)),
        .body_type = message->body_type,
        .account = message->account,
        .size = targets->fields.n + message->size,
        .sender = of_list ? targets->sender : message->sender,
        .domain = targets->domain,
        .fields = targets->fields,
        .asked = message->asked,
        .recipient_count = count,
    };
    times_set(delivery, &options, message->lives, entry);
    struct err e = recipients_set(delivery, targets, entry);
    if (!err_is(e))
        e = priority_set(delivery, message, options.priority, entry);
    if (!err_is(e))
        e = queue_put_ops(entry, delivery->arena, &delivery->ops);
    if (!err_is(e))
        trace_queued(delivery, entry);
    return e;
}

/* Each address once by each sender; how many are left. */
static size_t unique(struct outgoing_target *targets, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (kept > 0 && reached_order(&targets[kept - 1], &targets[i]) == 0)
            continue;
        targets[kept++] = targets[i];
    }
    return kept;
}

/* How many of the targets make one entry. */
static size_t group_of(const struct outgoing_target *targets, size_t count)
{
    size_t n = 0, octets = 0;
    while (n < count && n < QUEUE_RECIPIENTS_MAX && group_order(&targets[0], &targets[n]) == 0) {
        octets += targets[n].address.n + targets[n].given.n + targets[n].asked.n + 32;
        if (n > 0 && octets > RECORD_FILL)
            break;
        n++;
    }
    return n;
}

static size_t groups_count(const struct outgoing_target *targets, size_t count)
{
    size_t groups = 0;
    for (size_t at = 0; at < count; groups++)
        at += group_of(targets + at, count - at);
    return groups;
}

static struct err room_take(struct delivery *delivery, size_t groups)
{
    size_t size = sizeof(struct queue_entry);
    struct queue_entry *entries =
        arena_resize(delivery->arena, delivery->entries, delivery->entry_count * size,
                     (delivery->entry_count + groups) * size);
    if (!entries || !op_list_more(&delivery->ops, delivery->arena, groups * QUEUE_PUT_OPS) ||
        err_is(delivery_room_for_events(delivery, groups * EVENTS_PER_ENTRY)))
        return err_make(ERR_NO_MEMORY);
    delivery->entries = entries;
    return err_none();
}

struct err outgoing_put(struct delivery *delivery, const struct outgoing *message,
                        struct outgoing_target *targets, size_t count)
{
    if (count == 0)
        return err_none();
    qsort(targets, count, sizeof(*targets), reached_order);
    count = unique(targets, count);
    qsort(targets, count, sizeof(*targets), target_order);
    struct err e = room_take(delivery, groups_count(targets, count));
    for (size_t at = 0; at < count && !err_is(e);) {
        size_t n = group_of(targets + at, count - at);
        e = entry_put(delivery, message, targets + at, n,
                      &delivery->entries[delivery->entry_count]);
        delivery->entry_count++;
        at += n;
    }
    return e;
}
