#include "base/test.h"

#include "format/xclient.h"

static struct arena arena;
static struct xclient told;

static enum err_code parsed(const char *text, bool forward)
{
    arena_done(&arena);
    arena_init(&arena, 64 * 1024);
    return xclient_parse(str_from(text), forward, &arena, &told).code;
}

static void names_and_values_are_taken(void **state)
{
    (void)state;
    assert_int_equal(parsed("NAME=spike.example.test addr=192.0.2.1 PORT=1234 PROTO=ESMTP "
                            "HELO=a+2Bb LOGIN=bob DESTADDR=IPV6:2001:db8:0::1 DESTPORT=25",
                            false),
                     ERR_NONE);
    assert_str(told.value[XCLIENT_NAME], STR("spike.example.test"));
    assert_str(told.value[XCLIENT_ADDR], STR("192.0.2.1"));
    assert_str(told.value[XCLIENT_HELO], STR("a+b"));
    assert_str(told.value[XCLIENT_DESTADDR], STR("2001:db8::1"));
    assert_false(told.given[XCLIENT_IDENT]);
    assert_int_equal(parsed("ADDR=IPV6:::ffff:127.0.0.1", false), ERR_NONE);
    assert_str(told.value[XCLIENT_ADDR], STR("127.0.0.1"));
    assert_int_equal(parsed("IDENT=7 SOURCE=LOCAL", true), ERR_NONE);
}

static void what_is_not_known_has_no_value(void **state)
{
    (void)state;
    assert_int_equal(parsed("NAME=[UNAVAILABLE] ADDR=[TEMPUNAVAIL]", false), ERR_NONE);
    assert_true(told.given[XCLIENT_NAME]);
    assert_null(told.value[XCLIENT_NAME].p);
    assert_null(told.value[XCLIENT_ADDR].p);
}

static void malformed_words_are_refused(void **state)
{
    static const char *const words[] = {
        "",        "NAME",          "=x",      "ADDR=1.2.3.4  PORT=1", "ADDR=1.2.3.4 ",
        "SHELL=x", "NAME=a NAME=b", "IDENT=1", "SOURCE=LOCAL",         " NAME=a",
    };
    (void)state;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (parsed(words[i], false) != ERR_COMMAND_SYNTAX)
            fail_msg("%s", words[i]);
    assert_int_equal(parsed("LOGIN=bob", true), ERR_COMMAND_SYNTAX);
}

static void malformed_values_are_refused(void **state)
{
    static const char *const values[] = {
        "ADDR=",          "ADDR=localhost", "ADDR=2001:db8::1", "ADDR=IPV6:1.2.3.4",
        "ADDR=1.2.3.4.5", "PORT=65536",     "PORT=-1",          "PORT=x",
        "PROTO=HTTP",     "NAME=a+0Ab",     "HELO=a+0D+0Ab",    "LOGIN=+00",
        "NAME=+zz",       "DESTPORT=1e3",
    };
    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        if (parsed(values[i], false) != ERR_PARAMETER_VALUE)
            fail_msg("%s", values[i]);
    assert_int_equal(parsed("SOURCE=HERE", true), ERR_PARAMETER_VALUE);
}

static void values_are_bounded(void **state)
{
    char word[5 + XCLIENT_VALUE_MAX + 2] = "HELO=";
    (void)state;
    memset(word + 5, 'x', XCLIENT_VALUE_MAX + 1);
    assert_int_equal(parsed(word, false), ERR_PARAMETER_VALUE);
    word[5 + XCLIENT_VALUE_MAX] = '\0';
    assert_int_equal(parsed(word, false), ERR_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_values_are_taken),
        cmocka_unit_test(what_is_not_known_has_no_value),
        cmocka_unit_test(malformed_words_are_refused),
        cmocka_unit_test(malformed_values_are_refused),
        cmocka_unit_test(values_are_bounded),
    };
    arena_init(&arena, 1024);
    int failed = cmocka_run_group_tests_name("xclient", tests, NULL, NULL);
    arena_done(&arena);
    return failed;
}
