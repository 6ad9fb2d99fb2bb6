#include "base/test.h"

#include "core/audit.h"
#include "store/store_rig_test.h"

#define NOW (INT64_C(20000) * 86400 * US_PER_SECOND)

struct given {
    struct store_rig store;
    struct audit audit;
};

static int given_open(void **state)
{
    static struct given given;
    given = (struct given){0};
    store_rig_take_body(&given.store, state);
    store_rig_open(&given.store);
    *state = &given;
    return 0;
}

static int given_close(void **state)
{
    struct given *given = *state;
    store_rig_close(&given->store);
    return 0;
}

static void opened(struct given *given)
{
    struct rig *rig = &given->store.rig;
    assert_false(
        err_is(audit_open(&given->audit, rig->loop, rig->fibers, given->store.engine, NULL)));
}

static void tell(struct given *given, const char *user)
{
    struct trace_event event = trace_event(TRACED_logged_in, NOW);
    trace_text(&event, TRACE_user, str_from(user));
    audit_tell(&given->audit, &event);
}

static void no_trouble(void *arg, struct str what)
{
    (void)arg;
    fail_msg("%.*s", STR_FMT(what));
}

/* How many events are durable; their chain is whole. */
static uint64_t durable(struct given *given)
{
    struct audit_report report;
    assert_false(err_is(audit_verify(given->store.engine, NULL, no_trouble, NULL, &report)));
    assert_int_equal(report.troubles, 0);
    return report.last;
}

static void wait_a_while(struct given *given, int64_t time)
{
    struct loop *loop = given->store.rig.loop;
    fiber_sleep_until(loop, loop->now + time);
}

static void events_of_a_moment_are_one_commit(void **state)
{
    struct given *given = *state;
    opened(given);
    unsigned commits = given->store.commits;
    for (int i = 0; i < 100; i++)
        tell(given, "bob");
    assert_int_equal(durable(given), 0);
    wait_a_while(given, 2 * AUDIT_GATHER);
    assert_int_equal(durable(given), 100);
    assert_int_equal(given->store.commits, commits + 1);
    audit_close(&given->audit);
}

static void a_batch_is_bounded(void **state)
{
    struct given *given = *state;
    opened(given);
    unsigned commits = given->store.commits;
    for (int i = 0; i < AUDIT_BATCH + 1; i++)
        tell(given, "bob");
    audit_close(&given->audit);
    assert_int_equal(durable(given), AUDIT_BATCH + 1);
    assert_int_equal(given->store.commits, commits + 2);
}

static void what_is_kept_is_durable_at_once(void **state)
{
    struct given *given = *state;
    opened(given);
    tell(given, "bob");
    struct trace_event event = trace_event(TRACED_administered, NOW);
    assert_false(err_is(audit_keep(&given->audit, &event)));
    assert_int_equal(durable(given), 2);
    audit_close(&given->audit);
}

static void closing_writes_what_waits(void **state)
{
    struct given *given = *state;
    opened(given);
    tell(given, "bob");
    audit_close(&given->audit);
    assert_int_equal(durable(given), 1);
    opened(given);
    tell(given, "eve");
    audit_close(&given->audit);
    assert_int_equal(durable(given), 2);
}

static void a_failed_commit_is_made_again(void **state)
{
    struct given *given = *state;
    opened(given);
    given->store.fail_in = 1;
    struct trace_event event = trace_event(TRACED_administered, NOW);
    assert_int_equal(audit_keep(&given->audit, &event).code, ERR_TRY_LATER);
    tell(given, "bob");
    wait_a_while(given, 2 * AUDIT_AGAIN);
    assert_int_equal(durable(given), 2);
    audit_close(&given->audit);
}

static void a_gap_tells_of_itself(void **state)
{
    struct given *given = *state;
    opened(given);
    for (int i = 0; i < AUDIT_QUEUED_MAX + 7; i++)
        tell(given, "bob");
    audit_close(&given->audit);
    assert_int_equal(durable(given), AUDIT_QUEUED_MAX + 1);
}

int main(void)
{
#define TEST(name) ON_FIBER(name, given_open, given_close)
    const struct CMUnitTest tests[] = {
        TEST(events_of_a_moment_are_one_commit), TEST(a_batch_is_bounded),
        TEST(what_is_kept_is_durable_at_once),   TEST(closing_writes_what_waits),
        TEST(a_failed_commit_is_made_again),     TEST(a_gap_tells_of_itself),
    };
#undef TEST
    return cmocka_run_group_tests_name("core_audit", tests, NULL, NULL);
}
