#include "base/test.h"

#include "store/audit.h"
#include "store/store_rig_test.h"

enum {
    ENOUGH = 64 << 20
};

#define DAY (INT64_C(86400) * US_PER_SECOND)
#define NOW (INT64_C(20000) * DAY + 3600 * US_PER_SECOND)

struct given {
    struct store_rig store;
    struct engine *engine;
    struct arena arena;
    struct buf troubles; /* a line each */
};

static int given_open(void **state)
{
    static struct given given;
    given = (struct given){0};
    store_rig_take_body(&given.store, state);
    store_rig_open(&given.store);
    given.engine = given.store.engine;
    arena_init(&given.arena, ENOUGH);
    buf_init(&given.troubles, 1 << 20);
    *state = &given;
    return 0;
}

static int given_close(void **state)
{
    struct given *given = *state;
    arena_done(&given->arena);
    buf_done(&given->troubles);
    store_rig_close(&given->store);
    return 0;
}

static void commit(struct given *given, const struct op_list *ops)
{
    assert_false(ops->over);
    struct commit commit = {.ops = ops->ops, .op_count = ops->count};
    assert_false(err_is(engine_commit_wait(given->engine, &commit)));
}

/* Log-ins of user 1, 2 ... at `time`. */
static void record(struct given *given, int64_t time, size_t count)
{
    struct audit_head before, head;
    assert_false(err_is(audit_head_read(given->engine, &before)));
    head = before;
    struct op_list ops = op_list_take(&given->arena, audit_ops_count(count));
    for (size_t i = 0; i < count; i++) {
        struct trace_event event = trace_event(TRACED_logged_in, time);
        struct buf text = buf_in(&given->arena, 1024);
        trace_number(&event, TRACE_count, head.number + 1);
        audit_encode(&event, &text);
        audit_add(&head, time, buf_built(&text), &given->arena, &ops);
    }
    audit_end(&before, &head, &given->arena, &ops);
    commit(given, &ops);
}

static void trouble(void *arg, struct str what)
{
    struct given *given = arg;
    buf_put(&given->troubles, what);
    buf_putc(&given->troubles, '\n');
}

static struct audit_report verified(struct given *given, const unsigned char *named)
{
    struct audit_report report;
    buf_clear(&given->troubles);
    assert_false(err_is(audit_verify(given->engine, named, trouble, given, &report)));
    return report;
}

static struct str event_key(struct given *given, uint64_t number)
{
    unsigned char *key = arena_take(&given->arena, 9);
    assert_non_null(key);
    key[0] = 'e';
    key_put_u64(key + 1, number);
    return str_make(key, 9);
}

static struct partition day(int64_t time)
{
    return (struct partition){PARTITION_AUDIT, (uint64_t)(time / DAY) << 8};
}

static void change(struct given *given, enum op_kind kind, struct partition partition,
                   struct str key, struct str value)
{
    struct op_list ops = op_list_take(&given->arena, 1);
    op_list_add(&ops, kind, partition, key, value);
    commit(given, &ops);
}

static void a_new_store_has_no_events(void **state)
{
    struct given *given = *state;
    struct audit_report report = verified(given, NULL);
    assert_int_equal(report.last, 0);
    assert_int_equal(report.troubles, 0);
}

static void a_chain_over_days_and_commits_is_whole(void **state)
{
    struct given *given = *state;
    record(given, NOW, 3);
    record(given, NOW + 5, 1);
    record(given, NOW + DAY, 700); /* more than a page */
    record(given, NOW, 1);         /* the clock was set back */
    struct audit_report report = verified(given, NULL);
    assert_str(buf_str(&given->troubles), STR(""));
    assert_int_equal(report.troubles, 0);
    assert_int_equal(report.first, 1);
    assert_int_equal(report.last, 705);
}

static void a_noted_link_is_found_again(void **state)
{
    struct given *given = *state;
    record(given, NOW, 3);
    struct audit_report then = verified(given, NULL);
    record(given, NOW + DAY, 2);
    assert_true(verified(given, then.link).named_found);
    then.link[7] ^= 1;
    assert_false(verified(given, then.link).named_found);
}

static void a_changed_event_is_seen(void **state)
{
    struct given *given = *state;
    struct entry entry;
    record(given, NOW, 5);
    struct str key = event_key(given, 3);
    assert_false(err_is(engine_get(given->engine, day(NOW), key, &given->arena, &entry)));
    char *value = arena_take(&given->arena, entry.value.n);
    memcpy(value, entry.value.p, entry.value.n);
    value[entry.value.n - 1] ^= 1;
    change(given, OP_PUT, day(NOW), key, str_make(value, entry.value.n));
    assert_int_equal(verified(given, NULL).troubles, 1);
    assert_str(buf_str(&given->troubles), STR("event 3: is not what was recorded\n"));
}

/* Rightly linked to the one before it: then the next one does not follow. */
static void an_event_that_was_made_up_is_seen(void **state)
{
    struct given *given = *state;
    struct audit_head head;
    record(given, NOW, 2);
    assert_false(err_is(audit_head_read(given->engine, &head)));
    record(given, NOW, 3);
    struct trace_event event = trace_event(TRACED_login_failed, NOW);
    struct buf text = buf_in(&given->arena, 1024);
    audit_encode(&event, &text);
    struct op_list ops = op_list_take(&given->arena, audit_ops_count(1));
    audit_add(&head, NOW, buf_built(&text), &given->arena, &ops);
    change(given, OP_PUT, day(NOW), event_key(given, 3), ops.ops[0].value);
    assert_int_equal(verified(given, NULL).troubles, 1);
    assert_str(buf_str(&given->troubles), STR("event 4: is not what was recorded\n"));
}

static void a_removed_event_is_seen(void **state)
{
    struct given *given = *state;
    record(given, NOW, 5);
    change(given, OP_REMOVE, day(NOW), event_key(given, 2), str_null());
    change(given, OP_REMOVE, day(NOW), event_key(given, 3), str_null());
    assert_int_equal(verified(given, NULL).troubles, 1);
    assert_str(buf_str(&given->troubles), STR("event 2 to 3: missing\n"));
}

static void a_missing_end_is_seen(void **state)
{
    struct given *given = *state;
    record(given, NOW, 5);
    change(given, OP_REMOVE, day(NOW), event_key(given, 5), str_null());
    assert_int_equal(verified(given, NULL).troubles, 1);
    assert_str(buf_str(&given->troubles), STR("event 5: missing\n"));
}

static void an_event_behind_the_end_is_seen(void **state)
{
    struct given *given = *state;
    record(given, NOW, 5);
    struct entry entry;
    assert_false(
        err_is(engine_get(given->engine, day(NOW), event_key(given, 5), &given->arena, &entry)));
    change(given, OP_PUT, day(NOW), event_key(given, 6), entry.value);
    assert_true(verified(given, NULL).troubles >= 1);
}

/* Its link is right, too; only the head's row does not know of it. */
static void a_linked_event_behind_the_end_is_seen(void **state)
{
    static const struct partition totals = {PARTITION_AUDIT, 0};
    struct given *given = *state;
    struct entry head;
    record(given, NOW, 5);
    assert_false(err_is(engine_get(given->engine, totals, STR("h"), &given->arena, &head)));
    record(given, NOW, 1);
    change(given, OP_PUT, totals, STR("h"), head.value);
    verified(given, NULL);
    assert_str(buf_str(&given->troubles), STR("event 6: is not where the chain ended\n"));
}

/* Nothing is lost where two write at once: the second is told. */
static void a_head_that_moved_is_a_conflict(void **state)
{
    struct given *given = *state;
    struct audit_head before, head;
    record(given, NOW, 1);
    assert_false(err_is(audit_head_read(given->engine, &before)));
    head = before;
    record(given, NOW, 1);
    struct op_list ops = op_list_take(&given->arena, audit_ops_count(1));
    struct trace_event event = trace_event(TRACED_logged_in, NOW);
    struct buf text = buf_in(&given->arena, 1024);
    audit_encode(&event, &text);
    audit_add(&head, NOW, buf_built(&text), &given->arena, &ops);
    audit_end(&before, &head, &given->arena, &ops);
    struct commit commit = {.ops = ops.ops, .op_count = ops.count};
    assert_int_equal(engine_commit_wait(given->engine, &commit).code, ERR_CONFLICT);
}

static struct err count_each(void *arg, const struct audit_entry *entry)
{
    size_t *count = arg;
    assert_int_equal(entry->event.kind, TRACED_logged_in);
    assert_int_equal(entry->event.values[0].number, entry->number);
    ++*count;
    return err_none();
}

static void scanning_keeps_to_its_times(void **state)
{
    struct given *given = *state;
    size_t count = 0;
    record(given, NOW, 2);
    record(given, NOW + 10, 3);
    record(given, NOW + DAY, 4);
    assert_false(err_is(audit_scan(given->engine, NOW + 10, NOW + DAY, count_each, &count)));
    assert_int_equal(count, 3);
    count = 0;
    assert_false(err_is(audit_scan(given->engine, 0, INT64_MAX, count_each, &count)));
    assert_int_equal(count, 9);
}

static void what_is_left_of_an_expired_chain_is_whole(void **state)
{
    struct given *given = *state;
    bool more = true;
    record(given, NOW, AUDIT_SLICE + 10);
    record(given, NOW + DAY, 5);
    record(given, NOW + 31 * DAY, 5);
    for (int i = 0; more; i++) {
        assert_true(i < 10);
        assert_false(err_is(audit_expire(given->engine, NOW + 31 * DAY, 30, &more)));
    }
    struct audit_report report = verified(given, NULL);
    assert_str(buf_str(&given->troubles), STR(""));
    assert_int_equal(report.expired, AUDIT_SLICE + 10);
    assert_int_equal(report.first, AUDIT_SLICE + 11);
    assert_int_equal(report.last, AUDIT_SLICE + 20);
    record(given, NOW + 32 * DAY, 1);
    assert_int_equal(verified(given, NULL).troubles, 0);
}

/* Events that come while the chain is walked: before its day is read, and behind that. */
static struct {
    size_t seen, unseen;
    bool walked;
} meanwhile;

static void add(size_t *count)
{
    size_t added = *count;
    *count = 0;
    if (added)
        record((struct given *)(void *)store_rig_open_now, NOW, added);
}

static struct err added_scan(struct engine *engine, struct partition partition, struct str from,
                             struct str until, size_t limit, struct arena *arena,
                             struct entry **entries_r, size_t *count_r)
{
    if (partition.id)
        add(&meanwhile.seen);
    meanwhile.walked |= partition.id != 0;
    return store_rig_open_now->own->scan(engine, partition, from, until, limit, arena, entries_r,
                                         count_r);
}

static struct err added_get(struct engine *engine, struct partition partition, struct str key,
                            struct arena *arena, struct entry *entry_r)
{
    if (meanwhile.walked)
        add(&meanwhile.unseen);
    return store_rig_open_now->own->get(engine, partition, key, arena, entry_r);
}

/* It read the head again behind the walk, and missed what had come between the two. */
static void what_is_added_while_it_is_walked_is_no_trouble(void **state)
{
    struct given *given = *state;
    given->store.hooked.scan = added_scan;
    given->store.hooked.get = added_get;
    for (size_t seen = 0; seen < 2; seen++)
        for (size_t unseen = 0; unseen < 2; unseen++) {
            meanwhile.walked = false;
            record(given, NOW, 10);
            meanwhile.seen = 3 * seen;
            meanwhile.unseen = 2 * unseen;
            struct audit_report report = verified(given, NULL);
            assert_str(buf_str(&given->troubles), STR(""));
            assert_int_equal(report.troubles, 0);
        }
}

int main(void)
{
#define TEST(name) ON_FIBER(name, given_open, given_close)
    const struct CMUnitTest tests[] = {
        TEST(a_new_store_has_no_events),
        TEST(a_chain_over_days_and_commits_is_whole),
        TEST(a_noted_link_is_found_again),
        TEST(a_changed_event_is_seen),
        TEST(an_event_that_was_made_up_is_seen),
        TEST(a_removed_event_is_seen),
        TEST(a_missing_end_is_seen),
        TEST(an_event_behind_the_end_is_seen),
        TEST(a_linked_event_behind_the_end_is_seen),
        TEST(what_is_added_while_it_is_walked_is_no_trouble),
        TEST(a_head_that_moved_is_a_conflict),
        TEST(scanning_keeps_to_its_times),
        TEST(what_is_left_of_an_expired_chain_is_whole),
    };
#undef TEST
    return cmocka_run_group_tests_name("audit", tests, NULL, NULL);
}
