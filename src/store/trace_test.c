#include "base/test.h"

#include "format/message_id.h"
#include "store/store_rig_test.h"
#include "store/trace.h"

enum {
    ENOUGH = 64 << 20
};

#define DAY (INT64_C(86400) * US_PER_SECOND)
#define NOW (INT64_C(20000) * DAY + 3600 * US_PER_SECOND)

struct given {
    struct store_rig store;
    struct engine *engine;
    struct arena arena;
};

static int given_open(void **state)
{
    static struct given given;
    given = (struct given){0};
    store_rig_take_body(&given.store, state);
    store_rig_open(&given.store);
    given.engine = given.store.engine;
    arena_init(&given.arena, ENOUGH);
    *state = &given;
    return 0;
}

static int given_close(void **state)
{
    struct given *given = *state;
    arena_done(&given->arena);
    store_rig_close(&given->store);
    return 0;
}

static struct addr address(struct given *given, struct str text)
{
    struct addr addr;
    assert_false(err_is(addr_parse(text, &given->arena, &addr)));
    return addr;
}

static struct trace_event delivered(int64_t time, struct str to)
{
    struct trace_event event = trace_event(TRACED_delivered, time);
    trace_text(&event, TRACE_address, to);
    trace_text(&event, TRACE_mailbox, STR("INBOX"));
    trace_text(&event, TRACE_account, STR("bob@example.test"));
    return event;
}

static uint64_t record(struct given *given, int64_t time, uint32_t number, struct str to,
                       size_t events)
{
    uint64_t message = message_id_make(time, number);
    struct addr sender = address(given, STR("alice@example.test"));
    struct addr recipient = address(given, to);
    struct trace_event *list = calloc(events, sizeof(*list));
    assert_non_null(list);
    for (size_t i = 0; i < events; i++)
        list[i] = delivered(time, to);
    struct op_list ops = op_list_take(&given->arena, trace_ops_count(events, 1));
    trace_ops(message, list, events, &sender, &recipient, 1, &given->arena, &ops);
    assert_false(ops.over);
    free(list);
    struct commit commit = {.ops = ops.ops, .op_count = ops.count};
    assert_false(err_is(engine_commit_wait(given->engine, &commit)));
    return message;
}

static void a_message_tells_its_events(void **state)
{
    struct given *given = *state;
    uint64_t message = record(given, NOW, 1, STR("bob@example.test"), 1);
    record(given, NOW, 2, STR("bob@example.test"), 1);
    struct trace_event *events;
    size_t count;
    assert_false(err_is(
        trace_by_message(given->engine, message, NOW + DAY, &given->arena, &events, &count)));
    assert_int_equal(count, 1);
    struct buf text = BUF_INIT(4096);
    trace_print(&events[0], &text);
    assert_str(buf_str(&text), STR("2024-10-04 01:00:00.000000 Delivered to bob@example.test: "
                                   "INBOX of bob@example.test."));
    buf_clear(&text);
    trace_print_json(&events[0], &text);
    assert_true(str_find(buf_str(&text), STR("\"event\":\"delivered\"")) >= 0);
    assert_true(str_find(buf_str(&text), STR("\"time\":\"2024-10-04T01:00:00.000000Z\"")) >= 0);
    buf_done(&text);
    assert_int_equal(
        trace_by_message(given->engine, message + 5, NOW, &given->arena, &events, &count).code,
        ERR_NOT_FOUND);
}

/* Ids rise while the clock is set back: events of today were looked for from a day to come on. */
static void events_are_found_after_the_clock_was_set_back(void **state)
{
    struct given *given = *state;
    uint64_t ahead = message_id_make(NOW + 20 * DAY, 1);
    struct trace_event event = delivered(NOW, STR("bob@example.test"));
    struct op_list ops = op_list_take(&given->arena, trace_ops_count(1, 0));
    trace_ops(ahead, &event, 1, NULL, NULL, 0, &given->arena, &ops);
    struct commit commit = {.ops = ops.ops, .op_count = ops.count};
    assert_false(err_is(engine_commit_wait(given->engine, &commit)));
    struct trace_event *events;
    size_t count;
    assert_false(
        err_is(trace_by_message(given->engine, ahead, NOW, &given->arena, &events, &count)));
    assert_int_equal(count, 1);
}

static void many_events_take_several_values(void **state)
{
    struct given *given = *state;
    uint64_t message = record(given, NOW, 1, STR("list@example.test"), 3000);
    struct trace_event *events;
    size_t count;
    assert_false(
        err_is(trace_by_message(given->engine, message, NOW, &given->arena, &events, &count)));
    assert_int_equal(count, 3000);
}

static void addresses_lead_to_the_newest_messages(void **state)
{
    struct given *given = *state;
    uint64_t messages[3];
    for (uint32_t i = 0; i < 3; i++)
        messages[i] = record(given, NOW - (2 - i) * DAY, i, STR("bob@example.test"), 1);
    record(given, NOW, 9, STR("carol@example.test"), 1);
    struct addr bob = address(given, STR("BOB@Example.Test"));
    uint64_t *found;
    size_t count;
    assert_false(err_is(trace_by_address(given->engine, TRACE_TO, &bob, NOW - 5 * DAY, NOW, 10,
                                         &given->arena, &found, &count)));
    assert_int_equal(count, 3);
    assert_memory_equal(found, messages, sizeof(messages));
    assert_false(err_is(trace_by_address(given->engine, TRACE_TO, &bob, NOW - 5 * DAY, NOW, 2,
                                         &given->arena, &found, &count)));
    assert_int_equal(count, 2);
    assert_memory_equal(found, messages + 1, 2 * sizeof(messages[0]));
    assert_false(err_is(trace_by_address(given->engine, TRACE_TO, &bob, NOW, NOW, 10, &given->arena,
                                         &found, &count)));
    assert_int_equal(count, 1);
    struct addr alice = address(given, STR("alice@example.test"));
    assert_false(err_is(trace_by_address(given->engine, TRACE_FROM, &alice, NOW - 5 * DAY, NOW, 10,
                                         &given->arena, &found, &count)));
    assert_int_equal(count, 4);
}

static size_t expire_all(struct given *given, uint64_t days, uint64_t octets)
{
    bool more = true;
    size_t rounds = 0;
    for (; more; rounds++)
        assert_false(err_is(trace_expire(given->engine, NOW, days, octets, &more)));
    return rounds;
}

static void old_days_go_and_young_ones_stay(void **state)
{
    struct given *given = *state;
    uint64_t old = record(given, NOW - 31 * DAY, 1, STR("bob@example.test"), 1);
    uint64_t last = record(given, NOW - 30 * DAY, 2, STR("bob@example.test"), 1);
    assert_int_equal(expire_all(given, 30, UINT64_MAX), 3);
    struct trace_event *events;
    size_t count;
    assert_int_equal(trace_by_message(given->engine, old, NOW, &given->arena, &events, &count).code,
                     ERR_NOT_FOUND);
    assert_false(
        err_is(trace_by_message(given->engine, last, NOW, &given->arena, &events, &count)));
}

static void the_oldest_go_when_there_are_too_many(void **state)
{
    struct given *given = *state;
    uint64_t old = record(given, NOW - DAY, 1, STR("bob@example.test"), 1);
    uint64_t young = record(given, NOW, 2, STR("bob@example.test"), 1);
    expire_all(given, 30, 150);
    struct trace_event *events;
    size_t count;
    assert_int_equal(trace_by_message(given->engine, old, NOW, &given->arena, &events, &count).code,
                     ERR_NOT_FOUND);
    assert_false(
        err_is(trace_by_message(given->engine, young, NOW, &given->arena, &events, &count)));
}

static void records_cut_anywhere_are_damage(void **state)
{
    struct given *given = *state;
    struct trace_event event = delivered(NOW, STR("\xff\r\n@example.test"));
    trace_number(&event, TRACE_size, UINT64_MAX);
    struct buf record = BUF_INIT(4096);
    trace_event_encode(&event, NULL, &record);
    struct trace_event *events;
    size_t count;
    for (size_t n = 1; n < record.n; n++)
        assert_int_equal(
            trace_events_decode(str_head(buf_str(&record), n), &given->arena, &events, &count).code,
            ERR_STORE_DAMAGED);
    assert_false(err_is(trace_events_decode(buf_str(&record), &given->arena, &events, &count)));
    assert_int_equal(count, 1);
    assert_true(events[0].values[3].number == UINT64_MAX);
    struct buf text = BUF_INIT(4096);
    trace_print(&events[0], &text);
    assert_int_equal(str_index(buf_str(&text), '\n'), -1);
    buf_done(&text);
    buf_done(&record);
}

/* A message for fifty says fifty times when, and twice to whom. */
static void what_an_event_has_in_common_is_said_once(void **state)
{
    struct given *given = *state;
    struct trace_event one = delivered(NOW, STR("bob@example.test"));
    struct trace_event others[] = {one, delivered(NOW + 300, STR("carol@example.test")),
                                   delivered(NOW - 1, STR("bob@example.test"))};
    struct buf record = BUF_INIT(4096);
    trace_event_encode(&one, NULL, &record);
    size_t whole = record.n;
    assert_true(whole < 2 * STR("bob@example.test").n + 15);
    trace_event_encode(&others[0], &one, &record);
    assert_true(record.n <= 2 * whole - 7);
    trace_event_encode(&others[1], &others[0], &record);
    trace_event_encode(&others[2], &others[1], &record); /* the clock was set back */
    struct trace_event *events;
    size_t count;
    assert_false(err_is(trace_events_decode(buf_str(&record), &given->arena, &events, &count)));
    assert_int_equal(count, 4);
    for (size_t i = 0; i < 3; i++) {
        assert_true(events[i + 1].time == others[i].time);
        assert_str(events[i + 1].values[0].text, others[i].values[0].text);
        assert_str(events[i + 1].values[2].text, STR("bob@example.test"));
    }
    buf_done(&record);
}

/* Was found as the first of the two. */
static void a_field_that_stands_twice_is_no_other(void **state)
{
    struct given *given = *state;
    struct trace_event event = trace_event(TRACED_delivered, NOW), *events;
    struct buf record = BUF_INIT(4096);
    size_t count;
    trace_text(&event, TRACE_address, STR("one"));
    trace_text(&event, TRACE_address, STR("two"));
    trace_text(&event, TRACE_account, STR("two"));
    trace_event_encode(&event, NULL, &record);
    assert_false(err_is(trace_events_decode(buf_str(&record), &given->arena, &events, &count)));
    assert_str(events[0].values[2].text, STR("two"));
    buf_done(&record);
}

int main(void)
{
#define TEST(name) ON_FIBER(name, given_open, given_close)
    const struct CMUnitTest tests[] = {
        TEST(a_message_tells_its_events),
        TEST(events_are_found_after_the_clock_was_set_back),
        TEST(many_events_take_several_values),
        TEST(addresses_lead_to_the_newest_messages),
        TEST(old_days_go_and_young_ones_stay),
        TEST(the_oldest_go_when_there_are_too_many),
        TEST(records_cut_anywhere_are_damage),
        TEST(what_an_event_has_in_common_is_said_once),
        TEST(a_field_that_stands_twice_is_no_other),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
