#include "base/test.h"

#include "latency.h"
#include "message.h"

static void quantiles_are_right_to_a_step(void **state)
{
    (void)state;
    static struct latency latency;
    for (int64_t us = 1; us <= 10000; us++)
        latency_add(&latency, us * 1000);
    for (unsigned permille = 100; permille < 1000; permille += 100) {
        int64_t right = (int64_t)permille * 10 * 1000;
        int64_t found = latency_quantile(&latency, permille);
        assert_in_range(found, right - right / LATENCY_STEPS, right + right / LATENCY_STEPS);
    }
}

static void quantiles_know_few_values_and_none(void **state)
{
    (void)state;
    static struct latency latency, sum;
    assert_int_equal(latency_quantile(&latency, 500), 0);
    latency_add(&latency, 63);
    latency_merge(&sum, &latency);
    assert_int_equal(latency_quantile(&sum, 0), 63);
    assert_int_equal(latency_quantile(&sum, 999), 63);
    latency_add(&sum, INT64_MAX);
    assert_true(latency_quantile(&sum, 999) > 63);
}

/* What was sent is known again behind other fields, and nothing else is. */
static void assert_known(struct message_lines *lines, uint64_t number, uint64_t size)
{
    struct buf read = BUF_INIT(2 * MESSAGE_MOST);
    buf_put(&read, STR("Return-Path: <load@client.test>\r\nReceived: from nowhere\r\n"));
    size_t front = read.n;
    struct str body = message_make(lines, number, size, &read);
    buf_put(&read, body);
    assert_int_equal(read.n - front, size);

    uint64_t number_found, size_found;
    assert_true(message_check(lines, buf_str(&read), &number_found, &size_found));
    assert_int_equal(number_found, number);
    assert_int_equal(size_found, size);
    assert_true(
        message_check(lines, str_from_index(buf_str(&read), front), &number_found, &size_found));
    assert_false(
        message_check(lines, str_head(buf_str(&read), read.n - 1), &number_found, &size_found));
    read.p[read.n - 3]++;
    assert_false(message_check(lines, buf_str(&read), &number_found, &size_found));
    buf_done(&read);
}

static void a_message_is_known_by_its_octets(void **state)
{
    (void)state;
    static const uint64_t sizes[] = {MESSAGE_LEAST, MESSAGE_LEAST + 1, 1023, 1024, 10240};
    struct message_lines lines;
    message_lines_init(&lines, 10240);
    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        assert_known(&lines, 0, sizes[i]);
        assert_known(&lines, 10000000, sizes[i]);
    }
    message_lines_done(&lines);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantiles_are_right_to_a_step),
        cmocka_unit_test(quantiles_know_few_values_and_none),
        cmocka_unit_test(a_message_is_known_by_its_octets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
