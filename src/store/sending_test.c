#include "base/test.h"

#include "store/mailbox.h"
#include "store/sending.h"
#include "store/store_rig_test.h"
#include "sys/world.h"

enum {
    ENOUGH = 1 << 20,
    ACCOUNT = 7,
};

#define HOUR (3600 * US_PER_SECOND)
#define DAY (24 * HOUR)
#define NOW (20000 * DAY) /* an hour and a day begin */

struct given {
    struct store_rig store;
    struct arena arena;
    struct sending sending;
};

static int given_open(void **state)
{
    static struct given given;
    given = (struct given){.sending = {.hour = 0}};
    store_rig_take_body(&given.store, state);
    store_rig_open(&given.store);
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

static void sent(struct sending *sending, int64_t now, uint32_t recipients)
{
    sending_move(sending, now);
    sending_add(sending, recipients);
}

static void an_hour_counts_as_long_as_it_is_in(void **state)
{
    (void)state;
    struct sending sending = {.hour = 0};
    sent(&sending, NOW + HOUR - 1, 100);
    assert_int_equal(sending_last_hour(&sending, NOW + HOUR - 1), 100);
    sent(&sending, NOW + HOUR, 7);
    assert_int_equal(sending_last_hour(&sending, NOW + HOUR), 107);
    assert_int_equal(sending_last_hour(&sending, NOW + HOUR + HOUR / 4), 82);
    assert_int_equal(sending_last_hour(&sending, NOW + 2 * HOUR - 1), 7);
    sending_move(&sending, NOW + 2 * HOUR);
    assert_int_equal(sending_last_hour(&sending, NOW + 2 * HOUR), 7);
    sending_move(&sending, NOW + 3 * HOUR);
    assert_int_equal(sending_last_hour(&sending, NOW + 3 * HOUR), 0);
}

static void a_day_is_24_hours_that_slide(void **state)
{
    (void)state;
    struct sending sending = {.hour = 0};
    for (int64_t i = 0; i < 24; i++)
        sent(&sending, NOW + i * HOUR, 10);
    assert_int_equal(sending_last_day(&sending, NOW + 23 * HOUR), 240);
    sending_move(&sending, NOW + 24 * HOUR);
    assert_int_equal(sending_last_day(&sending, NOW + 24 * HOUR), 240);
    assert_int_equal(sending_last_day(&sending, NOW + 24 * HOUR + HOUR / 2), 235);
    sending_move(&sending, NOW + 25 * HOUR);
    assert_int_equal(sending_last_day(&sending, NOW + 25 * HOUR), 230);
    sending_move(&sending, NOW + 47 * HOUR);
    assert_int_equal(sending_last_day(&sending, NOW + 47 * HOUR), 10);
    sending_move(&sending, NOW + 48 * HOUR);
    assert_int_equal(sending_last_day(&sending, NOW + 48 * HOUR), 0);
    sending_move(&sending, NOW + 4800 * HOUR);
    assert_int_equal(sending_last_day(&sending, NOW + 4800 * HOUR), 0);
}

static void a_habit_is_the_mean_of_14_days_on_which_it_sent(void **state)
{
    (void)state;
    struct sending sending = {.hour = 0};
    sent(&sending, NOW, 5);
    assert_int_equal(sending_habit(&sending), 0);
    sent(&sending, NOW + DAY, 0);
    assert_int_equal(sending_habit(&sending), 5);
    sent(&sending, NOW + 9 * DAY, 8);
    assert_int_equal(sending_habit(&sending), 5);
    sending_move(&sending, NOW + 10 * DAY);
    assert_int_equal(sending_habit(&sending), 7); /* 6.5 */
    for (int64_t i = 0; i < 13; i++)
        sent(&sending, NOW + (20 + i) * DAY, 1);
    sending_move(&sending, NOW + 40 * DAY);
    assert_int_equal(sending_habit(&sending), 2); /* 8 and 13 */
    sent(&sending, NOW + 40 * DAY, 1);
    sending_move(&sending, NOW + 41 * DAY);
    assert_int_equal(sending_habit(&sending), 1);
}

static void a_clock_that_is_set_back_stands_still(void **state)
{
    (void)state;
    struct sending sending = {.hour = 0};
    sent(&sending, NOW + DAY, 5);
    sent(&sending, NOW, 6);
    assert_int_equal(sending_last_hour(&sending, NOW), 11);
    assert_int_equal(sending.today, 11);
    assert_int_equal(sending.day_count, 0);
}

static void what_failed_is_taken_back_from_its_hour(void **state)
{
    (void)state;
    struct sending sending = {.hour = 0};
    sent(&sending, NOW + DAY - 1, 5);
    sent(&sending, NOW + DAY, 3);
    sending_take_back(&sending, NOW + DAY - 1, 4);
    assert_int_equal(sending.hours[1], 1);
    assert_int_equal(sending.days[0], 1);
    assert_int_equal(sending.hours[0], 3);
    sending_take_back(&sending, NOW + DAY, 9);
    assert_int_equal(sending.hours[0], 0);
    assert_int_equal(sending.today, 0);
    sending_take_back(&sending, NOW - 9 * DAY, 9);
    assert_int_equal(sending.hours[1], 1);
}

static struct err commit_sending(struct given *given)
{
    struct op_list ops = op_list_take(&given->arena, SENDING_OPS);
    sending_ops(ACCOUNT, &given->sending, &given->arena, &ops);
    assert_false(ops.over);
    struct commit commit = {.ops = ops.ops, .op_count = ops.count};
    return engine_commit_wait(given->store.engine, &commit);
}

static void account_make(struct given *given)
{
    struct op op = {.kind = OP_PUT,
                    .partition = mailbox_account_partition(ACCOUNT),
                    .key = mailbox_name_key(STR("INBOX"), &given->arena),
                    .value = STR("x")};
    struct commit commit = {.ops = &op, .op_count = 1};
    assert_int_equal(engine_commit_wait(given->store.engine, &commit).code, ERR_NONE);
}

static void it_is_kept(void **state)
{
    struct given *given = *state;
    struct sending read, *sending = &given->sending;
    assert_int_equal(sending_read(given->store.engine, ACCOUNT, &given->arena, &read).code,
                     ERR_NONE);
    assert_memory_equal(&read, sending, sizeof(read));
    account_make(given);
    for (int64_t i = 0; i < 40; i++)
        sent(sending, NOW + i * 8 * HOUR, UINT32_MAX - (uint32_t)i);
    char why[SENDING_WHY_MAX + 1];
    memset(why, 'w', sizeof(why));
    sending_hold(sending, NOW, str_make(why, sizeof(why)));
    assert_int_equal(commit_sending(given).code, ERR_NONE);
    assert_int_equal(sending_read(given->store.engine, ACCOUNT, &given->arena, &read).code,
                     ERR_NONE);
    assert_memory_equal(&read, sending, sizeof(read));
    assert_int_equal(sending_why(&read).n, SENDING_WHY_MAX);
    sending_release(sending, NOW + 1);
    memset(sending->why, 0, sizeof(sending->why)); /* nobody looks at it */
    assert_int_equal(commit_sending(given).code, ERR_NONE);
    assert_int_equal(sending_read(given->store.engine, ACCOUNT, &given->arena, &read).code,
                     ERR_NONE);
    assert_memory_equal(&read, sending, sizeof(read));
    assert_true(read.held == 0 && read.why_length == 0 && read.released == NOW + 1);
}

static void nothing_is_kept_of_an_account_that_is_gone(void **state)
{
    struct given *given = *state;
    assert_int_equal(commit_sending(given).code, ERR_CONFLICT);
}

static void a_damaged_entry_is_found_out(void **state)
{
    struct given *given = *state;
    struct sending read;
    account_make(given);
    struct op op = {.kind = OP_PUT,
                    .partition = mailbox_account_partition(ACCOUNT),
                    .key = STR("s"),
                    .value = STR("\1abc")};
    struct commit commit = {.ops = &op, .op_count = 1};
    assert_int_equal(engine_commit_wait(given->store.engine, &commit).code, ERR_NONE);
    assert_int_equal(sending_read(given->store.engine, ACCOUNT, &given->arena, &read).code,
                     ERR_STORE_DAMAGED);
}

#define with(test) ON_FIBER(test, given_open, given_close)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_hour_counts_as_long_as_it_is_in),
        cmocka_unit_test(a_day_is_24_hours_that_slide),
        cmocka_unit_test(a_habit_is_the_mean_of_14_days_on_which_it_sent),
        cmocka_unit_test(a_clock_that_is_set_back_stands_still),
        cmocka_unit_test(what_failed_is_taken_back_from_its_hour),
        with(it_is_kept),
        with(nothing_is_kept_of_an_account_that_is_gone),
        with(a_damaged_entry_is_found_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
