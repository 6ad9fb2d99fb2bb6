/*
 * Why everything is one commit: the copies, the notices about copies that do not fit and the trace
 * are true together or not at all, and one sync pays for all of it.
 */
#include "core/delivery.h"

#include "base/must.h"
#include "core/queue.h"

enum {
    EVENTS_PER_COPY = 1,
    EVENTS_PER_NOTICE = 1 + DELIVERY_OWNERS_MAX,
    OPS_PER_NOTICE = DELIVERY_OWNERS_MAX * MAILBOX_DELIVERY_OPS,
};

struct err delivery_init(struct delivery *delivery, struct core *core, struct arena *arena,
                         uint64_t message, size_t copies, size_t events)
{
    *delivery = (struct delivery){
        .core = core, .arena = arena, .now = world_wall(core->world), .message = message};
    delivery->event_room = events + copies * EVENTS_PER_COPY;
    size_t met = 2;
    while (met < 2 * copies)
        met *= 2;
    delivery->met = arena_take_array(arena, met, sizeof(uint64_t));
    delivery->met_mask = met - 1;
    delivery->copies = arena_take_array(arena, copies, sizeof(struct copy));
    delivery->left_out = arena_take_array(arena, copies, sizeof(struct copy));
    delivery->events = arena_take_array(arena, delivery->event_room, sizeof(struct trace_event));
    size_t ops =
        copies * MAILBOX_DELIVERY_OPS + trace_ops_count(delivery->event_room, copies + events);
    delivery->ops = op_list_take(arena, ops);
    return arena_over(arena) ? err_make(ERR_NO_MEMORY) : err_none();
}

struct err delivery_room_for_events(struct delivery *delivery, size_t more)
{
    size_t size = sizeof(struct trace_event);
    struct trace_event *events =
        arena_resize(delivery->arena, delivery->events, delivery->event_room * size,
                     (delivery->event_room + more) * size);
    if (!events || !op_list_more(&delivery->ops, delivery->arena, more))
        return err_make(ERR_NO_MEMORY);
    delivery->events = events;
    delivery->event_room += more;
    return err_none();
}

struct err delivery_room_for_notices(struct delivery *delivery, size_t count)
{
    if (!op_list_more(&delivery->ops, delivery->arena, count * OPS_PER_NOTICE))
        return err_make(ERR_NO_MEMORY);
    return delivery_room_for_events(delivery, count * EVENTS_PER_NOTICE);
}

struct trace_event *delivery_event(struct delivery *delivery, enum trace_kind kind)
{
    must(delivery->event_count < delivery->event_room);
    struct trace_event *event = &delivery->events[delivery->event_count++];
    *event = trace_event(kind, delivery->now);
    return event;
}

/* --- Who gets a copy --- */

/* Lists may hold thousands, so the accounts met so far are a table with open addressing; account
 * ids begin at 1. */
static bool meet(struct delivery *delivery, uint64_t account)
{
    size_t at = (account * 0x9e3779b97f4a7c15u) & delivery->met_mask;
    while (delivery->met[at]) {
        if (delivery->met[at] == account)
            return false;
        at = (at + 1) & delivery->met_mask;
    }
    delivery->met[at] = account;
    return true;
}

static void leave_out(struct delivery *delivery, const struct copy *copy, struct str why)
{
    delivery->left_out[delivery->left_out_count++] = *copy;
    struct trace_event *event = delivery_event(delivery, TRACED_list_copy_left_out);
    trace_text(event, TRACE_list, copy->list);
    trace_text(event, TRACE_address, copy->address);
    trace_text(event, TRACE_text, why);
}

void delivery_take_copies(struct delivery *delivery, const struct copy *copies, size_t count,
                          bool of_lists)
{
    for (size_t i = 0; i < count; i++) {
        const struct copy *copy = &copies[i];
        if ((copy->list.p != NULL) != of_lists || !meet(delivery, copy->account))
            continue;
        if (copy->disabled)
            leave_out(delivery, copy, STR("the mailbox is disabled"));
        else if (copy->over_quota && copy->list.n)
            leave_out(delivery, copy, STR("the mailbox is full"));
        else
            delivery->copies[delivery->copy_count++] = *copy;
    }
}

/* --- Putting a message --- */

static void trace_delivered(struct delivery *delivery, const struct copy *copy)
{
    struct trace_event *event = delivery_event(delivery, TRACED_delivered);
    trace_text(event, TRACE_address, copy->delivered_to);
    trace_text(event, TRACE_mailbox, STR("INBOX"));
    trace_text(event, TRACE_account, copy->address);
}

static void copy_put(struct delivery *delivery, const struct message_head *head, uint32_t recipient,
                     uint64_t body_octets, blob_id blob, const struct copy *copy)
{
    struct mailbox_message message = {
        .blob = blob,
        .recipient = recipient,
        .size = message_prefix_size(head, recipient) + body_octets + head->served_extra,
        .internal_date = delivery->now,
        .message = head->message,
    };
    mailbox_delivery_ops(copy->account, copy->mailbox, &message, delivery->arena, &delivery->ops,
                         NULL);
}

static struct err head_encode(struct delivery *delivery, struct message_head *head,
                              const struct copy *copies, size_t count, struct str *record_r)
{
    head->message = delivery->message;
    head->accepted = delivery->now;
    head->delivered_to = arena_take_array(delivery->arena, count, sizeof(struct str));
    if (!head->delivered_to)
        return err_make(ERR_NO_MEMORY);
    head->delivered_to_count = count;
    for (size_t i = 0; i < count; i++)
        head->delivered_to[i] = copies[i].delivered_to;
    struct buf record = buf_in(delivery->arena, ENGINE_HEAD_MAX);
    message_head_encode(head, &record);
    *record_r = buf_built(&record);
    return record_r->p ? err_none() : err_make(ERR_OVER_LIMIT);
}

struct err delivery_put(struct delivery *delivery, struct message_head *head, uint64_t body_octets,
                        struct blob_put put, const struct copy *copies, size_t count)
{
    if (count > MESSAGE_DELIVERED_MAX)
        return err_make(ERR_TOO_MANY_RECIPIENTS);
    must(delivery->blob_count <= DELIVERY_NOTICES_MAX);
    struct err e = head_encode(delivery, head, copies, count, &put.head);
    if (err_is(e))
        return e;
    delivery->blobs[delivery->blob_count++] = put;
    for (size_t i = 0; i < count && !delivery->later; i++) {
        copy_put(delivery, head, (uint32_t)i, body_octets, put.blob, &copies[i]);
        trace_delivered(delivery, &copies[i]);
    }
    return delivery->ops.over || arena_over(delivery->arena) ? err_make(ERR_NO_MEMORY) : err_none();
}

/* The operations and the body of what is committed with it; its trace is its own. */
static struct err join(struct delivery *delivery)
{
    struct delivery *with = delivery->with;
    trace_ops(with->message, with->events, with->event_count, NULL, NULL, 0, with->arena,
              &with->ops);
    if (with->ops.over || !op_list_more(&delivery->ops, delivery->arena, with->ops.count))
        return err_make(ERR_NO_MEMORY);
    memcpy(delivery->ops.ops + delivery->ops.count, with->ops.ops,
           with->ops.count * sizeof(*with->ops.ops));
    delivery->ops.count += with->ops.count;
    must(with->blob_count <= 1);
    if (with->blob_count)
        delivery->blobs[delivery->blob_count++] = with->blobs[0];
    return err_none();
}

static void accepted(const struct delivery *delivery)
{
    if (delivery && delivery->entry_count)
        queue_accepted(delivery->core, delivery->entries, delivery->entry_count);
}

struct err delivery_commit(struct delivery *delivery, const struct addr *sender,
                           const struct addr *recipients, size_t recipient_count, struct str tag)
{
    trace_ops(delivery->message, delivery->events, delivery->event_count, sender, recipients,
              recipient_count, delivery->arena, &delivery->ops);
    struct err e = delivery->with ? join(delivery) : err_none();
    if (err_is(e) || delivery->ops.over || arena_over(delivery->arena))
        return err_make(ERR_NO_MEMORY);
    struct commit commit = {.ops = delivery->ops.ops,
                            .op_count = delivery->ops.count,
                            .blobs = delivery->blobs,
                            .blob_count = delivery->blob_count,
                            .tag = tag};
    if (delivery->upload)
        *delivery->upload = NULL;
    e = engine_commit_wait(delivery->core->engine, &commit);
    if (!err_is(e)) {
        accepted(delivery);
        accepted(delivery->with);
    }
    return e;
}
