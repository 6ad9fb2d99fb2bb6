#include "base/test.h"

#include "store/store_rig_test.h"
#include "store/tls_sums.h"

enum {
    ENOUGH = 8 << 20,
    DAY = 20000,
    DUE = 1728090000,
};

struct given {
    struct store_rig store;
    struct arena arena;
    struct buf record;
    struct tls_sums sums;
};

static int given_open(void **state)
{
    static struct given given;
    given = (struct given){.record = BUF_INIT(TLS_SUMS_MAX)};
    store_rig_take_body(&given.store, state);
    store_rig_open(&given.store);
    arena_init(&given.arena, ENOUGH);
    *state = &given;
    return 0;
}

static int given_close(void **state)
{
    struct given *given = *state;
    buf_done(&given->record);
    arena_done(&given->arena);
    store_rig_close(&given->store);
    return 0;
}

static void add(struct given *given, const struct tls_sums_session *session)
{
    struct arena work;
    struct buf next = BUF_INIT(2 * TLS_SUMS_MAX);
    arena_init(&work, TLS_SUMS_ARENA);
    assert_false(err_is(tls_sums_add(buf_str(&given->record), session, DUE, &work, &next)));
    arena_done(&work);
    buf_clear(&given->record);
    assert_true(buf_put(&given->record, buf_str(&next)));
    buf_done(&next);
    assert_in_range(given->record.n, 1, TLS_SUMS_MAX);
    assert_false(err_is(tls_sums_decode(buf_str(&given->record), &given->arena, &given->sums)));
}

static struct tls_sums_session session(enum tls_result result)
{
    return (struct tls_sums_session){.type = TLS_REPORT_STS,
                                     .domain = STR("d.example"),
                                     .lines = STR("version: STSv1\nmode: enforce"),
                                     .result = result,
                                     .mx = result ? STR("mx.d.example") : STR("")};
}

static void like_sessions_are_one_sum(void **state)
{
    struct given *given = *state;
    struct tls_sums_session good = session(TLS_RESULT_OK);
    struct tls_sums_session bad = session(TLS_RESULT_CERTIFICATE_EXPIRED);
    struct tls_sums_session dane = {.type = TLS_REPORT_TLSA, .domain = STR("mx.d.example")};
    for (size_t i = 0; i < 300; i++)
        add(given, &good);
    add(given, &bad);
    add(given, &bad);
    bad.receiving = STR("192.0.2.7");
    add(given, &bad);
    add(given, &dane);
    assert_int_equal(given->sums.next, DUE);
    assert_int_equal(given->sums.policy_count, 2);
    const struct tls_sums_policy *sts = &given->sums.policies[0];
    assert_int_equal(sts->successes, 300);
    assert_int_equal(sts->failures, 3);
    assert_int_equal(sts->detail_count, 2);
    assert_int_equal(sts->details[0].count, 2);
    assert_str(sts->details[1].receiving, STR("192.0.2.7"));
    assert_str(sts->lines, STR("version: STSv1\nmode: enforce"));
    assert_int_equal(given->sums.policies[1].type, TLS_REPORT_TLSA);
    assert_int_equal(given->sums.policies[1].successes, 1);
    assert_int_equal(given->sums.left_out, 0);
}

/* n-1, n and n+1 of policies. */
static void further_policies_are_counted_together(void **state)
{
    struct given *given = *state;
    char name[32];
    for (size_t i = 0; i < TLS_SUMS_POLICIES + 2; i++) {
        struct tls_sums_session one = session(TLS_RESULT_OK);
        snprintf(name, sizeof(name), "mx%zu.d.example", i);
        one.domain = str_from(name);
        add(given, &one);
        size_t kept = i < TLS_SUMS_POLICIES ? i + 1 : TLS_SUMS_POLICIES;
        assert_int_equal(given->sums.policy_count, kept);
        assert_int_equal(given->sums.left_out, i + 1 - kept);
    }
    struct tls_sums_session known = session(TLS_RESULT_OK);
    known.domain = STR("mx0.d.example");
    add(given, &known);
    assert_int_equal(given->sums.policies[0].successes, 2);
}

static void further_failures_are_counted_without_words(void **state)
{
    struct given *given = *state;
    char name[32];
    for (size_t i = 0; i < TLS_SUMS_DETAILS + 2; i++) {
        struct tls_sums_session one = session(TLS_RESULT_VALIDATION_FAILURE);
        snprintf(name, sizeof(name), "192.0.2.%zu", i);
        one.receiving = str_from(name);
        add(given, &one);
        size_t kept = i < TLS_SUMS_DETAILS ? i + 1 : TLS_SUMS_DETAILS;
        assert_int_equal(given->sums.policies[0].detail_count, kept);
        assert_int_equal(given->sums.policies[0].failures, i + 1);
    }
}

/* Texts of a stranger's, as long as may be: nothing is lost, and nothing grows. */
static void a_record_never_grows_beyond_its_octets(void **state)
{
    struct given *given = *state;
    char text[2 * TLS_SUMS_LINES_MAX];
    uint64_t seen = 0;
    memset(text, 'x', sizeof(text));
    for (size_t i = 0; i < 2000; i++) {
        struct tls_sums_session one = session(TLS_RESULT_VALIDATION_FAILURE);
        text[0] = (char)('a' + i % 26);
        text[1] = (char)('a' + i / 26 % 26);
        one.lines = one.mx = one.sending = one.receiving = one.reason =
            str_make(text, sizeof(text));
        if (i % 3)
            one.lines = STR("");
        add(given, &one);
    }
    seen = given->sums.left_out;
    for (size_t i = 0; i < given->sums.policy_count; i++)
        seen += given->sums.policies[i].successes + given->sums.policies[i].failures;
    assert_int_equal(seen, 2000);
    assert_true(given->sums.left_out > 0);
}

static void what_was_sent_is_taken_away(void **state)
{
    struct given *given = *state;
    struct tls_sums_session good = session(TLS_RESULT_OK), bad = session(TLS_RESULT_TLSA_INVALID);
    struct tls_sums_session dane = {.type = TLS_REPORT_TLSA, .domain = STR("mx.d.example")};
    add(given, &dane);
    add(given, &good);
    add(given, &bad);
    const struct tls_sums sent = given->sums;
    struct tls_sums now = given->sums;
    assert_false(tls_sums_less(&now, &sent));
    assert_false(err_is(tls_sums_decode(buf_str(&given->record), &given->arena, &given->sums)));
    add(given, &bad);
    bad.receiving = STR("192.0.2.7");
    add(given, &bad);
    add(given, &good);
    now = given->sums;
    assert_true(tls_sums_less(&now, &sent));
    assert_int_equal(now.policy_count, 1);
    assert_int_equal(now.policies[0].type, TLS_REPORT_STS);
    assert_int_equal(now.policies[0].successes, 1);
    assert_int_equal(now.policies[0].failures, 2);
    assert_int_equal(now.policies[0].detail_count, 2);
    assert_int_equal(now.policies[0].details[0].count, 1);
    assert_str(now.policies[0].details[1].receiving, STR("192.0.2.7"));
}

static void damage_is_told(void **state)
{
    struct given *given = *state;
    struct tls_sums_session bad = session(TLS_RESULT_CERTIFICATE_EXPIRED);
    struct tls_sums sums;
    add(given, &bad);
    struct str whole = buf_str(&given->record);
    for (size_t n = 0; n < whole.n; n++)
        assert_int_equal(tls_sums_decode(str_head(whole, n), &given->arena, &sums).code,
                         ERR_STORE_DAMAGED);
    struct buf next = BUF_INIT(TLS_SUMS_MAX);
    assert_int_equal(tls_sums_add(STR("nonsense"), &bad, DUE, &given->arena, &next).code,
                     ERR_STORE_DAMAGED);
    assert_int_equal(next.n, 0);
    buf_done(&next);
}

static void put(struct given *given, uint32_t day, struct str domain, struct str record)
{
    struct op_list ops = op_list_take(&given->arena, TLS_SUMS_OPS);
    tls_sums_put_ops(day, domain, record, &given->arena, &ops);
    struct commit commit = {.ops = ops.ops, .op_count = ops.count};
    assert_false(err_is(engine_commit_wait(given->store.engine, &commit)));
}

static void rows_come_by_day_and_domain(void **state)
{
    struct given *given = *state;
    struct tls_sums_row *rows;
    size_t count;
    put(given, DAY + 1, STR("a.example"), STR("3"));
    put(given, DAY, STR("b.example"), STR("2"));
    put(given, DAY, STR("a.example"), STR("1"));
    put(given, DAY + 1, STR(""), STR("rest"));
    assert_false(
        err_is(tls_sums_page(given->store.engine, 0, str_null(), 2, &given->arena, &rows, &count)));
    assert_int_equal(count, 2);
    assert_str(rows[1].domain, STR("b.example"));
    assert_int_equal(rows[1].day, DAY);
    assert_false(err_is(tls_sums_page(given->store.engine, rows[1].day, rows[1].domain, 5,
                                      &given->arena, &rows, &count)));
    assert_int_equal(count, 2);
    assert_str(rows[0].domain, STR("")); /* the rest of a day stands first */
    assert_str(rows[1].record, STR("3"));
    struct op_list ops = op_list_take(&given->arena, TLS_SUMS_OPS);
    tls_sums_remove_ops(DAY + 1, STR(""), &given->arena, &ops);
    struct commit commit = {.ops = ops.ops, .op_count = ops.count};
    assert_false(err_is(engine_commit_wait(given->store.engine, &commit)));
    assert_false(err_is(
        tls_sums_page(given->store.engine, DAY + 1, str_null(), 5, &given->arena, &rows, &count)));
    assert_int_equal(count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_FIBER(like_sessions_are_one_sum, given_open, given_close),
        ON_FIBER(further_policies_are_counted_together, given_open, given_close),
        ON_FIBER(further_failures_are_counted_without_words, given_open, given_close),
        ON_FIBER(a_record_never_grows_beyond_its_octets, given_open, given_close),
        ON_FIBER(what_was_sent_is_taken_away, given_open, given_close),
        ON_FIBER(damage_is_told, given_open, given_close),
        ON_FIBER(rows_come_by_day_and_domain, given_open, given_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
