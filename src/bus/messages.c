/*
 * Why fixed widths and no versions: both ends are the same executable, so a message is its fields
 * one after the other. What decodes encodes to the same octets; the fuzz target holds us to it.
 */
#include "bus/messages.h"

#include "base/must.h"
#include "bus/shape.h"

enum {
    PRINT_TEXT_MOST = 80, /* octets of a str that msg_print shows */
    PRINT_ROWS_MOST = 8,  /* records of a list */
    WIRE_FIELD_LEAST = 1, /* octets of the smallest field */
};

/* --- Who may send what, and what answers what ------------------------------------------------ */

unsigned msg_senders(enum msg_kind kind)
{
    static const uint16_t senders_of[MSG_COUNT] = {
#define MESSAGE(name, senders, doc) [MSG_##name] = (senders),
#include "bus/messages.def"
    };
    must((unsigned)kind < MSG_COUNT);
    return senders_of[kind];
}

static const struct pair {
    enum msg_kind question, answer;
} pairs[] = {
#define PAIR(question, answer) {MSG_##question, MSG_##answer},
#include "bus/messages.def"
};

enum {
    PAIRS = sizeof(pairs) / sizeof(pairs[0])
};

enum msg_kind msg_answer_kind(enum msg_kind question)
{
    for (size_t i = 0; i < PAIRS; i++)
        if (pairs[i].question == question)
            return pairs[i].answer;
    return MSG_COUNT;
}

static bool is_answer(enum msg_kind kind)
{
    for (size_t i = 0; i < PAIRS; i++)
        if (pairs[i].answer == kind)
            return true;
    return false;
}

static const struct field *call_field(enum msg_kind kind)
{
    const struct field *first = shape_of(kind)->fields;
    bool is_call = first->name && strcmp(first->name, "call") == 0 && first->type == FIELD_u32;
    return is_call ? first : NULL;
}

bool msg_answers(const struct msg *msg, uint32_t *call_r)
{
    const struct field *call = call_field(msg->kind);
    if (!call || !is_answer(msg->kind))
        return false;
    memcpy(call_r, (const char *)msg_body_const(msg) + call->offset, sizeof(*call_r));
    return true;
}

bool msg_asks(const struct msg *msg, uint32_t *call_r)
{
    const struct field *call = call_field(msg->kind);
    if (!call || is_answer(msg->kind))
        return false;
    memcpy(call_r, (const char *)msg_body_const(msg) + call->offset, sizeof(*call_r));
    return true;
}

/* A call is the first field (call_field), so it follows the kind. */
bool msg_answers_peek(struct wire_in from, uint32_t *call_r)
{
    wire_get_u32(&from);
    unsigned kind = wire_get_u16(&from);
    *call_r = wire_get_u32(&from);
    return !from.bad && kind < MSG_COUNT && is_answer((enum msg_kind)kind);
}

bool msg_carries(enum msg_kind kind)
{
    static const enum msg_kind carriers[] = {
#define CARRIES(name) MSG_##name,
#include "bus/messages.def"
    };
    for (size_t i = 0; i < sizeof(carriers) / sizeof(carriers[0]); i++)
        if (carriers[i] == kind)
            return true;
    return false;
}

void msg_set_call(struct msg *msg, uint32_t call)
{
    const struct field *field = call_field(msg->kind);
    must(field);
    memcpy((char *)msg_body(msg) + field->offset, &call, sizeof(call));
}

const char *msg_name(enum msg_kind kind)
{
    return (unsigned)kind < MSG_COUNT ? shape_of(kind)->name : "unknown";
}

/* --- Encoding -------------------------------------------------------------------------------- */

static size_t list_count(const struct field *list, const void *in)
{
    size_t count;
    memcpy(&count, (const char *)in + list->count_offset, sizeof(count));
    return count;
}

static const char *list_records(const struct field *list, const void *in)
{
    const char *records;
    memcpy(&records, (const char *)in + list->offset, sizeof(records));
    return records;
}

static void scalar_put(struct buf *to, const struct field *field, const void *in)
{
    const void *at = (const char *)in + field->offset;
    switch (field->type) {
    case FIELD_u8:
        wire_put_u8(to, *(const uint8_t *)at);
        return;
    case FIELD_u16:
        wire_put_u16(to, *(const uint16_t *)at);
        return;
    case FIELD_u32:
        wire_put_u32(to, *(const uint32_t *)at);
        return;
    case FIELD_u64:
        wire_put_u64(to, *(const uint64_t *)at);
        return;
    case FIELD_str:
    case FIELD_secret:
        wire_put_str(to, *(const struct str *)at);
        return;
    case FIELD_list:
        break;
    }
    must(field->type != FIELD_list);
}

static void record_put(struct buf *to, const struct shape *shape, const void *in)
{
    for (const struct field *field = shape->fields; field->name; field++)
        scalar_put(to, field, in);
}

static void list_put(struct buf *to, const struct field *list, const void *in)
{
    const struct shape *record = list->record();
    const char *at = list_records(list, in);
    size_t count = list_count(list, in);
    must(count <= list->most);
    wire_put_u32(to, (uint32_t)count);
    for (size_t i = 0; i < count; i++)
        record_put(to, record, at + i * record->size);
}

static void fields_put(struct buf *to, const struct shape *shape, const void *in)
{
    for (const struct field *field = shape->fields; field->name; field++) {
        if (field->type == FIELD_list)
            list_put(to, field, in);
        else
            scalar_put(to, field, in);
    }
}

void msg_encode(struct buf *to, const struct msg *msg)
{
    size_t start = to->n;
    wire_put_u32(to, 0);
    wire_put_u16(to, (uint16_t)msg->kind);
    fields_put(to, shape_of(msg->kind), msg_body_const(msg));
    if (buf_over(to))
        return;
    size_t length = to->n - start - sizeof(uint32_t);
    must(length <= UINT32_MAX);
    for (size_t i = 0; i < sizeof(uint32_t); i++)
        to->p[start + i] = (char)(length >> 8 * i & 0xff);
}

/* --- Decoding -------------------------------------------------------------------------------- */

static void scalar_get(struct wire_in *from, const struct field *field, void *in)
{
    void *at = (char *)in + field->offset;
    switch (field->type) {
    case FIELD_u8:
        *(uint8_t *)at = wire_get_u8(from);
        return;
    case FIELD_u16:
        *(uint16_t *)at = wire_get_u16(from);
        return;
    case FIELD_u32:
        *(uint32_t *)at = wire_get_u32(from);
        return;
    case FIELD_u64:
        *(uint64_t *)at = wire_get_u64(from);
        return;
    case FIELD_str:
    case FIELD_secret:
        *(struct str *)at = wire_get_str(from);
        return;
    case FIELD_list:
        break;
    }
    must(field->type != FIELD_list);
}

static void record_get(struct wire_in *from, const struct shape *shape, void *in)
{
    for (const struct field *field = shape->fields; field->name; field++)
        scalar_get(from, field, in);
}

/* The count is held against the limit and against what is left before memory is taken for it. */
static struct err list_get(struct wire_in *from, const struct field *list, struct arena *arena,
                           void *in)
{
    const struct shape *record = list->record();
    size_t count = wire_get_u32(from);
    if (from->bad || count > list->most || count > from->rest.n / WIRE_FIELD_LEAST)
        return err_detail(ERR_BUS_BROKEN, STR("a list is longer than it may be"));
    char *records = arena_take_array(arena, count, record->size);
    if (!records)
        return err_detail(ERR_OVER_LIMIT, STR("no room for a list"));
    for (size_t i = 0; i < count; i++)
        record_get(from, record, records + i * record->size);
    memcpy((char *)in + list->offset, &records, sizeof(records));
    memcpy((char *)in + list->count_offset, &count, sizeof(count));
    return err_none();
}

static struct err fields_get(struct wire_in *from, const struct shape *shape, struct arena *arena,
                             void *in)
{
    for (const struct field *field = shape->fields; field->name; field++) {
        if (field->type == FIELD_list) {
            struct err e = list_get(from, field, arena, in);
            if (err_is(e))
                return e;
        } else {
            scalar_get(from, field, in);
        }
    }
    return err_none();
}

struct err msg_decode(struct wire_in *from, enum bus_role sender, struct arena *arena,
                      struct msg *msg_r)
{
    struct wire_in in = wire_in(wire_get_str(from));
    unsigned kind = wire_get_u16(&in);
    if (from->bad || in.bad)
        return err_detail(ERR_BUS_BROKEN, STR("a message is cut short"));
    if (kind >= MSG_COUNT)
        return err_detail(ERR_BUS_BROKEN, STR("no such message"));
    if (!(msg_senders((enum msg_kind)kind) & 1u << sender))
        return err_detail(ERR_BUS_BROKEN, STR("this role may not send that message"));
    *msg_r = (struct msg){.kind = (enum msg_kind)kind};
    struct err e = fields_get(&in, shape_of(msg_r->kind), arena, msg_body(msg_r));
    if (err_is(e))
        return e;
    if (!wire_end(&in))
        return err_detail(ERR_BUS_BROKEN, STR("a message has the wrong length"));
    return err_none();
}

/* --- Copying --------------------------------------------------------------------------------- */

/* The strs of one struct, moved into the arena; false: it is full. */
static bool strs_copy(const struct shape *shape, struct arena *arena, void *in)
{
    for (const struct field *field = shape->fields; field->name; field++) {
        if (field->type != FIELD_str && field->type != FIELD_secret)
            continue;
        struct str *text = (struct str *)(void *)((char *)in + field->offset);
        struct str copy = arena_str(arena, *text);
        if (!copy.p)
            return false;
        *text = copy;
    }
    return true;
}

static bool list_copy(const struct field *list, struct arena *arena, void *in)
{
    const struct shape *record = list->record();
    size_t count = list_count(list, in);
    char *records = arena_take_array(arena, count, record->size);
    if (!records)
        return false;
    if (count)
        memcpy(records, list_records(list, in), count * record->size);
    memcpy((char *)in + list->offset, &records, sizeof(records));
    for (size_t i = 0; i < count; i++)
        if (!strs_copy(record, arena, records + i * record->size))
            return false;
    return true;
}

struct err msg_copy(const struct msg *msg, struct arena *arena, struct msg *copy_r)
{
    const struct shape *shape = shape_of(msg->kind);
    copy_r->kind = msg->kind;
    memcpy(msg_body(copy_r), msg_body_const(msg), shape->size);
    bool room = strs_copy(shape, arena, msg_body(copy_r));
    for (const struct field *field = shape->fields; field->name && room; field++)
        if (field->type == FIELD_list)
            room = list_copy(field, arena, msg_body(copy_r));
    return room ? err_none() : err_detail(ERR_OVER_LIMIT, STR("no room for a message"));
}

/* Records hold no secrets. */
void msg_wipe(struct msg *copy)
{
    for (const struct field *field = shape_of(copy->kind)->fields; field->name; field++)
        if (field->type == FIELD_secret)
            str_wipe(*(struct str *)(void *)((char *)msg_body(copy) + field->offset));
}

/* --- Printing -------------------------------------------------------------------------------- */

static void text_print(struct buf *to, struct str text)
{
    buf_putc(to, '"');
    buf_put_escaped(to, text, PRINT_TEXT_MOST);
    buf_putc(to, '"');
}

static void scalar_print(struct buf *to, const struct field *field, const void *in)
{
    const void *at = (const char *)in + field->offset;
    buf_printf(to, " %s=", field->name);
    switch (field->type) {
    case FIELD_u8:
        buf_put_u64(to, *(const uint8_t *)at);
        return;
    case FIELD_u16:
        buf_put_u64(to, *(const uint16_t *)at);
        return;
    case FIELD_u32:
        buf_put_u64(to, *(const uint32_t *)at);
        return;
    case FIELD_u64:
        buf_put_u64(to, *(const uint64_t *)at);
        return;
    case FIELD_str:
        text_print(to, *(const struct str *)at);
        return;
    case FIELD_secret:
        buf_put(to, STR("(secret)"));
        return;
    case FIELD_list:
        break;
    }
    must(field->type != FIELD_list);
}

static void list_print(struct buf *to, const struct field *list, const void *in)
{
    const struct shape *record = list->record();
    const char *at = list_records(list, in);
    size_t count = list_count(list, in);
    buf_printf(to, " %s=%zu[", list->name, count);
    for (size_t i = 0; i < count && i < PRINT_ROWS_MOST; i++) {
        buf_put(to, i ? STR(" {") : STR("{"));
        for (const struct field *field = record->fields; field->name; field++)
            scalar_print(to, field, at + i * record->size);
        buf_put(to, STR(" }"));
    }
    buf_put(to, count > PRINT_ROWS_MOST ? STR(" ...]") : STR("]"));
}

void msg_print(struct buf *to, const struct msg *msg)
{
    buf_put(to, str_from(msg_name(msg->kind)));
    for (const struct field *field = shape_of(msg->kind)->fields; field->name; field++) {
        if (field->type == FIELD_list)
            list_print(to, field, msg_body_const(msg));
        else
            scalar_print(to, field, msg_body_const(msg));
    }
}
