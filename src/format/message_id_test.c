#include "format/message_id.h"

#include "base/test.h"

static struct str printed(uint64_t id, char to[MESSAGE_ID_TEXT])
{
    message_id_print(id, to);
    return str_make(to, MESSAGE_ID_TEXT);
}

static void prints_the_known(void **state)
{
    (void)state;
    char text[MESSAGE_ID_TEXT];
    assert_str(printed(0, text), STR("0000000000000"));
    assert_str(printed(31, text), STR("000000000000z"));
    assert_str(printed(32, text), STR("0000000000010"));
    assert_str(printed(UINT64_MAX, text), STR("fzzzzzzzzzzzz"));
}

static void reads_back_what_it_prints(void **state)
{
    (void)state;
    for (int bit = 0; bit < 64; bit++) {
        char text[MESSAGE_ID_TEXT];
        uint64_t id = (UINT64_C(1) << bit) ^ 0x5a5a, back = 0;
        assert_true(message_id_parse(printed(id, text), &back));
        assert_int_equal(id, back);
    }
}

static void takes_what_people_type(void **state)
{
    (void)state;
    uint64_t id = 0, same = 0;
    assert_true(message_id_parse(STR("0123456789ABC"), &id));
    assert_true(message_id_parse(STR("OL23456789aBc"), &same));
    assert_int_equal(id, same);
}

static void refuses_what_is_none(void **state)
{
    (void)state;
    uint64_t id = 7;
    assert_false(message_id_parse(STR("000000000000"), &id));
    assert_false(message_id_parse(STR("00000000000000"), &id));
    assert_false(message_id_parse(STR("g000000000000"), &id));
    assert_false(message_id_parse(STR("000000u000000"), &id));
    assert_false(message_id_parse(STR("-000000000000"), &id));
    assert_false(message_id_parse(STR("000000\0000000"), &id));
    assert_int_equal(id, 7);
}

static void carries_its_time_and_number(void **state)
{
    (void)state;
    uint64_t id = message_id_make(1700000000123456, 0xfffff + 2);
    assert_int_equal(message_id_time(id), 1700000000123000);
    assert_int_equal(id & 0xfffff, 1);
    assert_true(message_id_make(1700000000124000, 0) > message_id_make(1700000000123999, 0xfffff));
    assert_int_equal(message_id_make(-1, 5), 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prints_the_known),          cmocka_unit_test(carries_its_time_and_number),
        cmocka_unit_test(reads_back_what_it_prints), cmocka_unit_test(takes_what_people_type),
        cmocka_unit_test(refuses_what_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
