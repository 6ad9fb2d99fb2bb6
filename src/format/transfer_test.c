#include "base/test.h"

#include "format/transfer.h"

enum {
    ROOM = 1 << 20,
};

static struct transfer_look look_at(struct str octets, size_t step)
{
    struct transfer_look look = {0};
    for (; octets.n; octets = str_from_index(octets, step))
        transfer_look(&look, str_head(octets, step));
    return look;
}

static void test_lines(void **state)
{
    static char line[1100];
    static const struct {
        struct str octets;
        bool lines;
    } cases[] = {
        {STR_INIT(""), true},         {STR_INIT("a\r\nb"), true},   {STR_INIT("\r\n\r\n"), true},
        {STR_INIT("a\nb"), false},    {STR_INIT("a\rb"), false},    {STR_INIT("a\r"), false},
        {STR_INIT("a\r\r\n"), false}, {STR_INIT("\0"), false},      {STR_INIT("a\n\r"), false},
        {STR_INIT("\xff\r\n"), true}, {STR_INIT("a\r\n\n"), false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (size_t step = 1; step < 4; step++) {
            struct transfer_look look = look_at(cases[i].octets, step);
            assert_int_equal(transfer_is_lines(&look), cases[i].lines);
        }
    }
    memset(line, 'x', sizeof(line));
    for (size_t n = 997; n < 1001; n++) {
        struct transfer_look look = look_at(str_make(line, n), 100);
        assert_int_equal(transfer_is_lines(&look), n <= TRANSFER_LINE_MAX);
    }
}

static void chosen_at(struct str octets, const char *word, int line)
{
    struct transfer_look look = look_at(octets, octets.n);
    assert_str_at(transfer_word(transfer_choose(&look)), str_from(word), __FILE__, line);
}

#define chosen(octets, word) chosen_at(STR(octets), word, __LINE__)

static void test_choice(void **state)
{
    (void)state;
    chosen("plain\r\n", "7bit");
    chosen("caf\xc3\xa9 and more\r\n", "quoted-printable");
    chosen("\xe4\xbd\xa0\xe5\xa5\xbd\r\n", "base64");
    chosen("a\0", "base64");
    chosen("bare\n", "base64");
}

static void test_put(void **state)
{
    struct buf out = BUF_INIT(ROOM);
    (void)state;
    transfer_put(&out, STR("a=\xc3\xa9\r\n"), TRANSFER_7BIT);
    transfer_put(&out, STR("a=\xc3\xa9\r\n"), TRANSFER_QUOTED_PRINTABLE);
    transfer_put(&out, STR("a=\xc3\xa9\r\n"), TRANSFER_BASE64);
    assert_str(buf_str(&out), STR("a=\xc3\xa9\r\na=3D=C3=A9\r\nYT3DqQ0K\r\n"));
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_choice),
        cmocka_unit_test(test_put),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
