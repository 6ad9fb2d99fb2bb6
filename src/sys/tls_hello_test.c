/*
 * Records that a client may send, whole and octet by octet: which of them are one hello of a
 * bearable size.
 */
#include "sys/tls_hello.h"

#include "base/test.h"

#define SAYS(octets) says(octets, sizeof(octets) - 1)
#define ALERT "\x15\3\1\0\2\1\0"
#define CHANGE_CIPHER_SPEC "\x14\3\3\0\1\1"

static struct tls_hello hello;

static int up(void **state)
{
    (void)state;
    hello = (struct tls_hello){.have = 0};
    return 0;
}

/* The same whether it comes in one piece or in many. */
static bool says(const char *octets, size_t n)
{
    struct tls_hello pieces = hello;
    bool whole = tls_hello_heard(&hello, str_make(octets, n)), cut = true;
    for (size_t i = 0; i < n && cut; i++)
        cut = tls_hello_heard(&pieces, str_make(octets + i, 1));
    assert_true(whole == cut);
    if (whole)
        assert_memory_equal(&hello, &pieces, sizeof(hello));
    return whole;
}

static void one_hello_of_16_kb(void **state)
{
    static char octets[TLS_HELLO_MAX];
    (void)state;
    assert_true(SAYS("\x16\3\1\x40\0\1\0\x40\0"));
    assert_true(says(octets, TLS_HELLO_MAX - 4));
    assert_true(SAYS("\x16\3\1\0\4"));
    assert_true(SAYS("last"));
    up(state);
    assert_false(SAYS("\x16\3\1\x40\0\1\0\x40\1"));
    up(state);
    assert_false(SAYS("\x16\3\1\x40\0\1\xff\xff\xff"));
    up(state);
    assert_true(SAYS("\x16\3\1\0\4\1\0\0\0")); /* no hello, but a short one */
}

static void its_size_is_in_one_record(void **state)
{
    (void)state;
    assert_false(SAYS("\x16\3\1\0\3\1\0\0"));
    up(state);
    assert_false(SAYS("\x16\3\1\0\0"));
    up(state);
    assert_true(SAYS("\x16\3\1\0\5\1\0\0\3x\x16\3\1\0\2yz"));
    up(state);
    assert_false(SAYS("\x16\3\1\0\5\1\0\0\3x\x16\3\1\0\0"));
}

static void nothing_stands_behind_it_before_the_answer(void **state)
{
    (void)state;
    assert_false(SAYS("\x16\3\1\0\6\1\0\0\1x?"));
    up(state);
    assert_false(SAYS("\x16\3\1\0\5\1\0\0\3x\x16\3\1\0\3yz?"));
    up(state);
    assert_true(SAYS("\x16\3\1\0\5\1\0\0\1x"));
    assert_true(SAYS(CHANGE_CIPHER_SPEC "\x17\3\3\0\3?\1?")); /* as with early data */
    assert_false(SAYS("\x16\3\3\0\5"));
}

static void an_answered_hello_may_be_said_again(void **state)
{
    (void)state;
    assert_true(SAYS("\x16\3\1\0\5\1\0\0\1x"));
    tls_hello_answered(&hello);
    assert_true(SAYS(CHANGE_CIPHER_SPEC "\x16\3\3\0\5\1\0\0\1x"));
    tls_hello_answered(&hello);
    assert_false(SAYS(CHANGE_CIPHER_SPEC "\x16\3\3\0\5\1\0\x40\1"));
}

/* What is answered in its middle goes on. */
static void half_a_hello_has_no_answer(void **state)
{
    (void)state;
    assert_true(SAYS("\x16\3\1\0\5\1\0\0\3x"));
    tls_hello_answered(&hello);
    assert_false(SAYS("\x16\3\1\0\7\1\0\x40\1"));
}

static void what_stands_in_front_hides_nothing(void **state)
{
    (void)state;
    assert_false(SAYS(ALERT "\x16\3\1\0\5\1\0\x40\1"));
    up(state);
    assert_true(SAYS(ALERT ALERT "\x16\3\1\0\5\1\0\0\1x"));
}

/* TLS 1.2: key exchange, and Finished, which is encrypted and may begin with anything. */
static void another_message_is_none_of_ours(void **state)
{
    (void)state;
    assert_true(SAYS("\x16\3\1\0\5\1\0\0\1x"));
    tls_hello_answered(&hello);
    assert_true(SAYS("\x16\3\3\0\5\x10\0\0\1x" CHANGE_CIPHER_SPEC "\x16\3\3\0\4\1\xff\xff\xff"));
}

#define TEST(name) cmocka_unit_test_setup(name, up)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(one_hello_of_16_kb),
        TEST(its_size_is_in_one_record),
        TEST(nothing_stands_behind_it_before_the_answer),
        TEST(an_answered_hello_may_be_said_again),
        TEST(half_a_hello_has_no_answer),
        TEST(what_stands_in_front_hides_nothing),
        TEST(another_message_is_none_of_ours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
