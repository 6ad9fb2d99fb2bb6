/*
 * Events as octets, in words and as JSON; all three from the rows of trace.def.
 */
#include "store/trace.h"

#include <jansson.h>

#include "base/must.h"
#include "base/wire.h"
#include "format/date.h"

/* How an event's time is written: by itself (u64), or as what it is later than the event before it,
 * which most events of a message are by nothing. */
enum event_format {
    FORMAT_TIME = 1,
    FORMAT_LATER = 2,
};

enum field_type {
    FIELD_TEXT,
    FIELD_NUMBER,
    FIELD_SAME, /* in a record only: the text of an earlier field of the event, by its number */
};

static const struct {
    const char *name;
    enum field_type type;
} fields[TRACE_FIELD_COUNT] = {
#define TRACE_FIELD(name, type, doc) [TRACE_##name] = {#name, FIELD_##type},
#include "store/trace.def"
};

static const struct {
    const char *name;
    const char *sentence;
} kinds[TRACE_KIND_COUNT] = {
#define TRACE_EVENT(name, sentence) [TRACED_##name] = {#name, sentence},
#include "store/trace.def"
};

/* --- Octets: size, format, kind, time, number of values, then field and type, value -------------
 *
 * Varints but for FORMAT_TIME's. An event is written into the log and the index for every
 * recipient: a message for fifty has fifty that say when, and twice to whom. */

enum {
    TYPE_BITS = 2,
    TYPE_MASK = (1 << TYPE_BITS) - 1,
    VARINT_MAX = 10,
};

static struct str kept_text(const struct trace_value *value)
{
    return str_head(value->text, TRACE_TEXT_MAX);
}

static uint64_t field_and_type(enum trace_field field, enum field_type type)
{
    return (uint64_t)field << TYPE_BITS | type;
}

/* The first text of a field, which is what a reader finds by its number. */
static struct str text_of(const struct trace_event *event, uint64_t field)
{
    for (size_t i = 0; i < event->value_count; i++)
        if (event->values[i].field == field && fields[field].type == FIELD_TEXT)
            return event->values[i].text;
    return str_null();
}

/* An earlier value of the event that is found with the same text, or NULL. */
static const struct trace_value *same_text(const struct trace_event *event, size_t i)
{
    struct str text = kept_text(&event->values[i]);
    for (size_t k = 0; k < i && text.n > 1; k++)
        if (str_eq(str_head(text_of(event, event->values[k].field), TRACE_TEXT_MAX), text))
            return &event->values[k];
    return NULL;
}

static void value_encode(const struct trace_event *event, size_t i, struct buf *to)
{
    const struct trace_value *value = &event->values[i], *same = NULL;
    enum field_type type = fields[value->field].type;
    if (type == FIELD_TEXT && (same = same_text(event, i)))
        type = FIELD_SAME;
    wire_put_varint(to, field_and_type(value->field, type));
    if (type == FIELD_NUMBER)
        wire_put_varint(to, value->number);
    else if (type == FIELD_SAME)
        wire_put_varint(to, same->field);
    else
        wire_put_short(to, kept_text(value));
}

/* In front of the octets from `begun` on: they become a short str of the wire. */
static void length_put(struct buf *to, size_t begun)
{
    size_t octets = to->n - begun, length = wire_varint_size(octets);
    char room[VARINT_MAX];
    wire_put_varint(to, octets);
    if (buf_over(to))
        return;
    must(length <= sizeof room);
    memcpy(room, to->p + begun + octets, length);
    memmove(to->p + begun + length, to->p + begun, octets);
    memcpy(to->p + begun, room, length);
}

void trace_event_encode(const struct trace_event *event, const struct trace_event *before,
                        struct buf *to)
{
    bool later = before && event->time >= before->time;
    size_t begun = to->n;
    wire_put_varint(to, later ? FORMAT_LATER : FORMAT_TIME);
    wire_put_varint(to, event->kind);
    if (later)
        wire_put_varint(to, (uint64_t)event->time - (uint64_t)before->time);
    else
        wire_put_u64(to, (uint64_t)event->time);
    wire_put_varint(to, event->value_count);
    for (size_t i = 0; i < event->value_count; i++)
        value_encode(event, i, to);
    length_put(to, begun);
}

/* false: of a later version, to be left out. */
static bool value_decode(struct wire_in *in, const struct trace_event *event,
                         struct trace_value *value_r)
{
    uint64_t both = wire_get_varint(in), field = both >> TYPE_BITS;
    enum field_type type = both & TYPE_MASK;
    if (type == FIELD_NUMBER || type == FIELD_SAME)
        value_r->number = wire_get_varint(in);
    else
        value_r->text = wire_get_short(in);
    if (type == FIELD_SAME) {
        *value_r = (struct trace_value){.text = text_of(event, value_r->number)};
        type = value_r->text.p ? FIELD_TEXT : FIELD_SAME;
    }
    value_r->field = (enum trace_field)field;
    return field < TRACE_FIELD_COUNT && type == fields[field].type;
}

/* `time`: of the last event that was known; and then of this one. */
static struct err event_decode(struct str record, int64_t *time, struct trace_event *event_r,
                               bool *known_r)
{
    struct wire_in in = wire_in(record);
    uint64_t format = wire_get_varint(&in), kind = wire_get_varint(&in);
    if (!in.bad && format > FORMAT_LATER) {
        *known_r = false;
        return err_none();
    }
    if (format == FORMAT_LATER)
        *time = (int64_t)((uint64_t)*time + wire_get_varint(&in));
    else
        *time = (int64_t)wire_get_u64(&in);
    *event_r = (struct trace_event){.kind = (enum trace_kind)kind, .time = *time};
    uint64_t count = wire_get_varint(&in);
    *known_r = format >= FORMAT_TIME && kind < TRACE_KIND_COUNT;
    for (uint64_t i = 0; i < count && !in.bad; i++) {
        struct trace_value value = {0};
        if (value_decode(&in, event_r, &value) && event_r->value_count < TRACE_FIELDS_MAX)
            event_r->values[event_r->value_count++] = value;
    }
    return wire_end(&in) ? err_none() : err_make(ERR_STORE_DAMAGED);
}

static size_t records_count(struct str record)
{
    struct wire_in in = wire_in(record);
    size_t count = 0;
    for (; in.rest.n && !in.bad; count++)
        wire_get_short(&in);
    return count;
}

struct err trace_events_decode(struct str record, struct arena *arena,
                               struct trace_event **events_r, size_t *count_r)
{
    size_t most = records_count(record), count = 0;
    if (most > TRACE_EVENTS_MAX)
        return err_make(ERR_OVER_LIMIT);
    struct trace_event *events = arena_take_array(arena, most, sizeof(*events));
    if (!events)
        return err_make(ERR_OVER_LIMIT);
    struct wire_in in = wire_in(record);
    int64_t time = 0;
    while (in.rest.n) {
        bool known;
        struct str one = wire_get_short(&in);
        if (in.bad)
            return err_make(ERR_STORE_DAMAGED);
        struct err e = event_decode(one, &time, &events[count], &known);
        if (err_is(e))
            return e;
        count += known;
    }
    *events_r = events;
    *count_r = count;
    return err_none();
}

/* --- Words ----------------------------------------------------------------------------------- */

static const struct trace_value *value_named(const struct trace_event *event, struct str name)
{
    for (size_t i = 0; i < event->value_count; i++)
        if (str_eq(str_from(fields[event->values[i].field].name), name))
            return &event->values[i];
    return NULL;
}

static void value_print(const struct trace_value *value, struct buf *to)
{
    if (!value)
        buf_putc(to, '-');
    else if (fields[value->field].type == FIELD_NUMBER)
        buf_put_u64(to, value->number);
    else
        buf_put_escaped(to, value->text, TRACE_TEXT_MAX);
}

/* "2026-11-21T05:57:03.123456Z"; in words a space stands for the T, and no Z. */
static void time_print(int64_t time, bool words, struct buf *to)
{
    struct buf text = BUF_INIT(64);
    date_print_rfc3339(&text, time / US_PER_SECOND);
    struct str seconds = buf_str(&text); /* 2026-11-21T05:57:03Z */
    struct str day = str_cut(&seconds, 'T');
    buf_put(to, day);
    buf_putc(to, words ? ' ' : 'T');
    buf_put(to, str_head(seconds, seconds.n ? seconds.n - 1 : 0));
    buf_printf(to, ".%06u", (unsigned)(time % US_PER_SECOND));
    buf_put(to, words ? STR("") : STR("Z"));
    buf_done(&text);
}

void trace_print(const struct trace_event *event, struct buf *to)
{
    must((unsigned)event->kind < TRACE_KIND_COUNT);
    struct str rest = str_from(kinds[event->kind].sentence);
    time_print(event->time, true, to);
    buf_putc(to, ' ');
    while (rest.p) {
        buf_put(to, str_cut(&rest, '{'));
        if (rest.p)
            value_print(value_named(event, str_cut(&rest, '}')), to);
    }
}

/* --- JSON ------------------------------------------------------------------------------------ */

/* A stranger's octets may be no UTF-8; then they are shown escaped. */
static json_t *text_json(struct str text)
{
    if (str_is_utf8(text))
        return json_stringn(text.p ? text.p : "", text.n);
    struct buf escaped = BUF_INIT(8 * TRACE_TEXT_MAX);
    buf_put_escaped(&escaped, text, TRACE_TEXT_MAX);
    json_t *json = json_stringn(escaped.p ? escaped.p : "", escaped.n);
    buf_done(&escaped);
    return json;
}

void trace_print_json(const struct trace_event *event, struct buf *to)
{
    must((unsigned)event->kind < TRACE_KIND_COUNT);
    json_t *object = json_object();
    struct buf time = BUF_INIT(64);
    time_print(event->time, false, &time);
    json_object_set_new(object, "time", json_stringn(time.p, time.n));
    buf_done(&time);
    json_object_set_new(object, "event", json_string(kinds[event->kind].name));
    for (size_t i = 0; i < event->value_count; i++) {
        const struct trace_value *value = &event->values[i];
        json_object_set_new(object, fields[value->field].name,
                            fields[value->field].type == FIELD_NUMBER
                                ? json_integer((json_int_t)value->number)
                                : text_json(value->text));
    }
    char *text = json_dumps(object, JSON_COMPACT | JSON_PRESERVE_ORDER);
    json_decref(object);
    buf_put(to, text ? str_from(text) : STR("{}"));
    free(text);
}
