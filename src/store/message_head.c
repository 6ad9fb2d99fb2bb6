/*
 * The addresses stand before the summary so that a later reader of a version with more fields can
 * add them at the end without a second offset. The prefix is built from its parts at every reading
 * rather than stored per recipient: a message to 1,000 mailboxes then has one head, not 1,000.
 */
#include "store/message_head.h"

#include "base/must.h"
#include "base/wire.h"

enum {
    FORMAT = 1
};

void message_head_encode(const struct message_head *head, struct buf *to)
{
    must(head->delivered_to_count <= MESSAGE_DELIVERED_MAX);
    wire_put_u8(to, FORMAT);
    wire_put_u64(to, head->message);
    wire_put_u64(to, (uint64_t)head->accepted);
    wire_put_varint(to, head->served_extra);
    wire_put_u8(to, (uint8_t)head->body_type);
    wire_put_short(to, head->return_path);
    wire_put_short(to, head->received);
    wire_put_varint(to, head->delivered_to_count);
    for (size_t i = 0; i < head->delivered_to_count; i++)
        wire_put_short(to, head->delivered_to[i]);
    wire_put_short(to, head->summary);
}

static struct err damaged(void)
{
    return err_detail(ERR_STORE_DAMAGED, STR("the head of a message is malformed"));
}

static struct err delivered_to_decode(struct wire_in *in, struct arena *arena,
                                      struct message_head *head)
{
    uint64_t count = wire_get_varint(in);
    if (in->bad || count > MESSAGE_DELIVERED_MAX)
        return damaged();
    head->delivered_to = arena_take_array(arena, count, sizeof(struct str));
    if (!head->delivered_to)
        return err_make(ERR_OVER_LIMIT);
    head->delivered_to_count = count;
    for (size_t i = 0; i < count; i++)
        head->delivered_to[i] = wire_get_short(in);
    return err_none();
}

struct err message_head_decode(struct str record, struct arena *arena, struct message_head *head_r)
{
    struct wire_in in = wire_in(record);
    struct message_head head = {0};
    uint8_t format = wire_get_u8(&in);
    head.message = wire_get_u64(&in);
    head.accepted = (int64_t)wire_get_u64(&in);
    head.served_extra = wire_get_varint(&in);
    uint8_t body_type = wire_get_u8(&in);
    head.return_path = wire_get_short(&in);
    head.received = wire_get_short(&in);
    if (format != FORMAT || body_type > BODY_BINARYMIME)
        return damaged();
    head.body_type = (enum body_type)body_type;
    struct err e = delivered_to_decode(&in, arena, &head);
    if (err_is(e))
        return e;
    head.summary = wire_get_short(&in);
    if (!wire_end(&in))
        return damaged();
    *head_r = head;
    return err_none();
}

static const struct str RETURN_PATH = STR_INIT("Return-Path: <");
static const struct str DELIVERED_TO = STR_INIT("Delivered-To: ");

static bool has_recipient(const struct message_head *head, uint32_t recipient)
{
    return recipient < head->delivered_to_count;
}

void message_prefix(const struct message_head *head, uint32_t recipient, struct buf *to)
{
    buf_put(to, RETURN_PATH);
    buf_put(to, head->return_path);
    buf_put(to, STR(">\r\n"));
    if (has_recipient(head, recipient)) {
        buf_put(to, DELIVERED_TO);
        buf_put(to, head->delivered_to[recipient]);
        buf_put(to, STR("\r\n"));
    }
    buf_put(to, head->received);
}

uint64_t message_prefix_size(const struct message_head *head, uint32_t recipient)
{
    uint64_t n = RETURN_PATH.n + head->return_path.n + sizeof(">\r\n") - 1;
    if (has_recipient(head, recipient))
        n += DELIVERED_TO.n + head->delivered_to[recipient].n + sizeof("\r\n") - 1;
    return n + head->received.n;
}
