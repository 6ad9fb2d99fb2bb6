#include "base/test.h"

#include "base/arena.h"
#include "format/header.h"
#include "format/header_print.h"
#include "format/words.h"

enum {
    ROOM = 1 << 20,
};

static void put_is_at(struct str value, struct str expected, int line)
{
    struct buf out = BUF_INIT(ROOM);
    header_put(&out, STR("X-Name"), value);
    assert_str_at(buf_str(&out), expected, __FILE__, line);
    buf_done(&out);
}

#define put_is(value, expected) put_is_at(STR(value), STR(expected), __LINE__)

static void test_value(void **state)
{
    (void)state;
    put_is("", "X-Name: \r\n");
    put_is(" a  b ", "X-Name: a  b\r\n");
    put_is("a\r\nb\tc\0\x7f\xe4", "X-Name: a??b?c??\xe4\r\n");
}

/* Folded at the last space that fits into 78 columns; what folds must unfold. */
static void test_folding(void **state)
{
    static char text[5000];
    (void)state;
    for (size_t word = 1; word < 2000; word += 37) {
        struct buf out = BUF_INIT(ROOM), back = BUF_INIT(ROOM);
        memset(text, 'x', sizeof(text));
        for (size_t i = word; i < sizeof(text); i += word + 1)
            text[i] = ' ';
        struct str given = str_trim(str_make(text, sizeof(text)));
        header_put(&out, STR("X-Name"), given);
        struct str rest = buf_str(&out);
        while (rest.n) {
            struct str line = str_cut(&rest, '\n');
            assert_true(line.n <= HEADER_LINE_MAX + 1);
            assert_true(word > HEADER_LINE - 8 || line.n <= HEADER_LINE + 1);
        }
        struct header_field field;
        rest = buf_str(&out);
        assert_true(header_next(&rest, &field) && rest.n == 0);
        header_unfold(field.value, &back);
        if (word < HEADER_LINE_MAX - 8)
            assert_str(buf_str(&back), given);
        buf_done(&out);
        buf_done(&back);
    }
}

static void text_reads_back(struct str text)
{
    struct buf out = BUF_INIT(ROOM), value = BUF_INIT(ROOM), back = BUF_INIT(ROOM);
    struct arena arena;
    struct header_field field;
    arena_init(&arena, ROOM);
    header_put_text(&out, STR("Subject"), text);
    struct str rest = buf_str(&out);
    assert_true(str_is_ascii(rest));
    assert_true(header_next(&rest, &field) && rest.n == 0);
    header_unfold(field.value, &value);
    words_decode(buf_str(&value), NULL, &arena, &back);
    assert_str(buf_str(&back), text);
    bool encoded = str_find(buf_str(&out), STR("=?utf-8?B?")) >= 0;
    rest = buf_str(&out);
    while (rest.n)
        assert_true(str_cut(&rest, '\n').n <=
                    (size_t)(encoded ? HEADER_WORD_LINE : HEADER_LINE_MAX) + 1);
    arena_done(&arena);
    buf_done(&out);
    buf_done(&value);
    buf_done(&back);
}

static void test_text(void **state)
{
    static char text[3000];
    (void)state;
    text_reads_back(STR("plain"));
    text_reads_back(STR("=?utf-8?Q?no?="));
    for (size_t n = 0; n < 300; n++) {
        size_t at = 0;
        for (size_t i = 0; i < n; i++) {
            memcpy(text + at, i % 3 ? "\xe4\xbd\xa0" : "\xf0\x9f\x98\x80", i % 3 ? 3 : 4);
            at += i % 3 ? 3 : 4;
        }
        text_reads_back(str_make(text, at));
    }
    memset(text, 'x', sizeof(text));
    text_reads_back(str_make(text, sizeof(text)));
}

static void test_text_is_one_field(void **state)
{
    struct buf out = BUF_INIT(ROOM);
    (void)state;
    header_put_text(&out, STR("Subject"), STR("a\r\nX: b\n\nc\xe4\xbd\xa0"));
    assert_true(str_find(buf_str(&out), STR("X:")) < 0);
    struct str rest = buf_str(&out);
    struct header_field field;
    assert_true(header_next(&rest, &field) && rest.n == 0);
    buf_done(&out);
}

static void mailbox_is_at(struct str display, struct str address, struct str expected, int line)
{
    struct buf out = BUF_INIT(ROOM);
    header_put_mailbox(&out, STR("From"), display, address);
    assert_str_at(buf_str(&out), expected, __FILE__, line);
    buf_done(&out);
}

#define mailbox_is(display, address, expected)                                                     \
    mailbox_is_at(STR(display), STR(address), STR(expected), __LINE__)

static void test_mailbox(void **state)
{
    (void)state;
    mailbox_is("", "a@b", "From: a@b\r\n");
    mailbox_is("Ann Lee", "a@b", "From: Ann Lee <a@b>\r\n");
    mailbox_is("Lee, Ann <x@y>", "a@b", "From: \"Lee, Ann <x@y>\" <a@b>\r\n");
    mailbox_is("a\"b\\", "a@b", "From: \"a\\\"b\\\\\" <a@b>\r\n");
    mailbox_is("\xe4\xbd\xa0", "a@b", "From: =?utf-8?B?5L2g?= <a@b>\r\n");
    mailbox_is("x\r\ny", "a@b\r\nX: y", "From: =?utf-8?B?eCAgeQ==?= <a@b??X: y>\r\n");
}

/* A list of any length has lines of 78, and every address in it. */
static void test_list(void **state)
{
    struct buf out = BUF_INIT(ROOM);
    struct arena arena;
    size_t column = 4, n = 0;
    (void)state;
    arena_init(&arena, ROOM);
    buf_put(&out, STR("To: "));
    for (size_t i = 0; i < 100; i++) {
        char name[32];
        snprintf(name, sizeof(name), "Number %zu", i);
        header_add_mailbox(&out, i == 0, i % 2 ? STR("") : str_from(name),
                           STR("somebody@example.test"), &column);
    }
    buf_put(&out, STR("\r\n"));
    struct str rest = buf_str(&out);
    struct header_field field;
    assert_true(header_next(&rest, &field) && rest.n == 0);
    struct header_addresses list = {.rest = field.value, .arena = &arena};
    struct header_address address;
    for (; header_addresses_next(&list, &address); n++)
        assert_int_equal(address.kind, HEADER_MAILBOX);
    assert_int_equal(n, 100);
    rest = buf_str(&out);
    while (rest.n)
        assert_true(str_cut(&rest, '\n').n <= HEADER_LINE + 1);
    arena_done(&arena);
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_value),   cmocka_unit_test(test_folding),
        cmocka_unit_test(test_text),    cmocka_unit_test(test_text_is_one_field),
        cmocka_unit_test(test_mailbox), cmocka_unit_test(test_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
