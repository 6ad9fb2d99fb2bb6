/*
 * Events as octets, in words and as JSON; all three from the rows of trace.def.
 */
#include "store/trace.h"

#include <jansson.h>

#include "base/must.h"
#include "base/wire.h"
#include "format/date.h"

enum {
    FORMAT = 1
};

enum field_type {
    FIELD_TEXT,
    FIELD_NUMBER
};

static const struct {
    const char *name;
    enum field_type type;
} fields[TRACE_FIELD_COUNT] = {
#define TRACE_FIELD(name, type, doc) [TRACE_##name] = {#name, FIELD_##type},
#define TRACE_EVENT(name, sentence)
#include "store/trace.def"
#undef TRACE_FIELD
#undef TRACE_EVENT
};

static const struct {
    const char *name;
    const char *sentence;
} kinds[TRACE_KIND_COUNT] = {
#define TRACE_FIELD(name, type, doc)
#define TRACE_EVENT(name, sentence) [TRACED_##name] = {#name, sentence},
#include "store/trace.def"
#undef TRACE_FIELD
#undef TRACE_EVENT
};

/* --- Octets: size, format, kind, time (u64), number of values, then field and type, value -------
 *
 * Varints but for the time. An event is written into the log and the index for every recipient. */

enum {
    TYPE_BITS = 1
};

static struct str kept_text(const struct trace_value *value)
{
    return str_head(value->text, TRACE_TEXT_MAX);
}

static uint64_t field_and_type(enum trace_field field)
{
    return (uint64_t)field << TYPE_BITS | fields[field].type;
}

static uint64_t event_octets(const struct trace_event *event)
{
    size_t octets = wire_varint_size(FORMAT) + wire_varint_size(event->kind) + 8 +
                    wire_varint_size(event->value_count);
    for (size_t i = 0; i < event->value_count; i++) {
        const struct trace_value *value = &event->values[i];
        octets += wire_varint_size(field_and_type(value->field));
        if (fields[value->field].type == FIELD_NUMBER)
            octets += wire_varint_size(value->number);
        else
            octets += wire_varint_size(kept_text(value).n) + kept_text(value).n;
    }
    return octets;
}

/* As a short str of the wire: its length goes before it, so it is counted before it is written. */
static void event_encode(const struct trace_event *event, struct buf *to)
{
    wire_put_varint(to, event_octets(event));
    wire_put_varint(to, FORMAT);
    wire_put_varint(to, event->kind);
    wire_put_u64(to, (uint64_t)event->time);
    wire_put_varint(to, event->value_count);
    for (size_t i = 0; i < event->value_count; i++) {
        const struct trace_value *value = &event->values[i];
        wire_put_varint(to, field_and_type(value->field));
        if (fields[value->field].type == FIELD_NUMBER)
            wire_put_varint(to, value->number);
        else
            wire_put_short(to, kept_text(value));
    }
}

void trace_events_encode(const struct trace_event *events, size_t count, struct buf *to)
{
    for (size_t i = 0; i < count; i++)
        event_encode(&events[i], to);
}

/* false: of a later version, to be left out. */
static bool value_decode(struct wire_in *in, struct trace_value *value_r)
{
    uint64_t both = wire_get_varint(in), field = both >> TYPE_BITS;
    enum field_type type = both & FIELD_NUMBER;
    if (type == FIELD_NUMBER)
        value_r->number = wire_get_varint(in);
    else
        value_r->text = wire_get_short(in);
    value_r->field = (enum trace_field)field;
    return field < TRACE_FIELD_COUNT && type == fields[field].type;
}

static struct err event_decode(struct str record, struct trace_event *event_r, bool *known_r)
{
    struct wire_in in = wire_in(record);
    uint64_t format = wire_get_varint(&in), kind = wire_get_varint(&in);
    *event_r = (struct trace_event){.kind = (enum trace_kind)kind};
    event_r->time = (int64_t)wire_get_u64(&in);
    uint64_t count = wire_get_varint(&in);
    *known_r = format == FORMAT && kind < TRACE_KIND_COUNT;
    if (!in.bad && format > FORMAT)
        return err_none();
    for (uint64_t i = 0; i < count && !in.bad; i++) {
        struct trace_value value = {0};
        if (value_decode(&in, &value) && event_r->value_count < TRACE_FIELDS_MAX)
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
    while (in.rest.n) {
        bool known;
        struct str one = wire_get_short(&in);
        if (in.bad)
            return err_make(ERR_STORE_DAMAGED);
        struct err e = event_decode(one, &events[count], &known);
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
