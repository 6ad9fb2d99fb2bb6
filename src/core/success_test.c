#include "core/success.h"

#include "base/test.h"

static struct successes *successes;

static int up(void **state)
{
    static const unsigned char key[SUCCESS_KEY] = "a key of this process";
    (void)state;
    successes = successes_open(key);
    return successes ? 0 : -1;
}

static int down(void **state)
{
    (void)state;
    successes_close(successes);
    return 0;
}

static struct success_of of(uint64_t account, uint64_t version, const char *password)
{
    return (struct success_of){account, version, str_from(password)};
}

static bool known(uint64_t account, uint64_t version, const char *password, int64_t since)
{
    struct success_of success = of(account, version, password);
    return success_known(successes, &success, since);
}

/* I13: a changed password with a cache. */
static void it_is_good_for_one_account_version_and_password(void **state)
{
    (void)state;
    struct success_of right = of(7, 3, "secret");
    assert_false(known(7, 3, "secret", 0));
    success_note(successes, &right, 100);
    assert_true(known(7, 3, "secret", 0));
    assert_false(known(8, 3, "secret", 0));
    assert_false(known(7, 4, "secret", 0));
    assert_false(known(7, 2, "secret", 0));
    assert_false(known(7, 3, "secres", 0));
    assert_false(known(7, 3, "secret ", 0));
    assert_false(known(7, 3, "", 0));
}

static void it_ends(void **state)
{
    (void)state;
    struct success_of right = of(7, 3, "secret");
    success_note(successes, &right, 100);
    assert_true(known(7, 3, "secret", 100));
    assert_false(known(7, 3, "secret", 101));
    success_note(successes, &right, 200);
    assert_true(known(7, 3, "secret", 200));
}

/* Of another process nothing fits. */
static void its_key_is_its_own(void **state)
{
    (void)state;
    static const unsigned char other_key[SUCCESS_KEY] = "a key of another process";
    struct successes *other = successes_open(other_key);
    struct success_of right = of(7, 3, "secret");
    assert_non_null(other);
    success_note(successes, &right, 100);
    assert_false(success_known(other, &right, 0));
    successes_close(other);
}

static void the_newest_stay_and_no_more_than_there_is_room_for(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 4 * SUCCESSES_MOST; i++) {
        struct success_of one = of(i, 1, "x");
        success_note(successes, &one, (int64_t)i + 1);
    }
    size_t kept = 0, newest = 0;
    for (uint64_t i = 0; i < 4 * SUCCESSES_MOST; i++)
        kept += known(i, 1, "x", 0);
    for (uint64_t i = 4 * SUCCESSES_MOST - 1000; i < 4 * SUCCESSES_MOST; i++)
        newest += known(i, 1, "x", 0);
    assert_in_range(kept, SUCCESSES_MOST * 99 / 100, SUCCESSES_MOST);
    assert_int_equal(newest, 1000);
}

static void what_is_no_password_is_not_kept(void **state)
{
    (void)state;
    char text[4096];
    memset(text, 'x', sizeof(text));
    struct success_of one = {.account = 1, .version = 1, .password = str_make(text, sizeof(text))};
    success_note(successes, &one, 1);
    assert_false(success_known(successes, &one, 0));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, up, down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(it_is_good_for_one_account_version_and_password),
        TEST(it_ends),
        TEST(its_key_is_its_own),
        TEST(the_newest_stay_and_no_more_than_there_is_room_for),
        TEST(what_is_no_password_is_not_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
