/*
 * Events of the trace. Properties: what was decoded, encoded, decodes to the same and encodes to
 * the same octets; one event is one line in words, and one line of JSON; no control of a stranger
 * comes out.
 */
#include "base/must.h"
#include "store/trace.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum {
    ARENA = 64 << 20,
    PRINTED = 1 << 20,
};

static void line_check(struct str line)
{
    for (size_t i = 0; i < line.n; i++) {
        unsigned char c = (unsigned char)line.p[i];
        must(c >= 0x20 && c != 0x7f);
    }
    must(str_is_utf8(line));
}

static void event_check(const struct trace_event *event)
{
    struct buf words = BUF_INIT(PRINTED), json = BUF_INIT(PRINTED);
    trace_print(event, &words);
    trace_print_json(event, &json);
    must(!buf_over(&words) && !buf_over(&json));
    line_check(buf_str(&words));
    must(str_starts(buf_str(&json), STR("{")) && str_index(buf_str(&json), '\n') < 0);
    buf_done(&words);
    buf_done(&json);
}

static void encode(const struct trace_event *events, size_t count, struct buf *to)
{
    for (size_t i = 0; i < count; i++)
        trace_event_encode(&events[i], i ? &events[i - 1] : NULL, to);
}

static void again_check(const struct trace_event *events, size_t count, struct arena *arena)
{
    struct buf one = BUF_INIT(PRINTED), two = BUF_INIT(PRINTED);
    struct trace_event *same;
    size_t same_count;
    encode(events, count, &one);
    must(!buf_over(&one));
    must(!err_is(trace_events_decode(buf_str(&one), arena, &same, &same_count)));
    must(same_count == count);
    encode(same, same_count, &two);
    must(str_eq(buf_str(&one), buf_str(&two)));
    buf_done(&one);
    buf_done(&two);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct arena arena;
    struct trace_event *events;
    size_t count;
    if (n > 65536)
        return 0;
    arena_init(&arena, ARENA);
    if (!err_is(trace_events_decode(str_make(data, n), &arena, &events, &count))) {
        must(count <= n / 4 && count <= TRACE_EVENTS_MAX);
        again_check(events, count, &arena);
        for (size_t i = 0; i < count && i < 32; i++)
            event_check(&events[i]);
    }
    arena_done(&arena);
    return 0;
}
