#include "trust/loop_marker.h"

#include "base/test.h"

static const struct loop_keys keys = {.now = "the key of now, thirty-two octet",
                                      .before = "the key before: thirty-two octet",
                                      .has_before = true};

#define HEADER                                                                                     \
    "From: Ann <ann@a.test>\r\nDate: Sat, 21 Nov 2026 10:00:00 +0000\r\n"                          \
    "Message-ID: <1@a.test>\r\nSubject: x\r\n"
#define BOB STR("bob@ours.test")

/* The header as it goes on from here for this address: the mark in front. */
static struct str marked_by(const struct loop_keys *by, struct str header, struct str address,
                            struct buf *to)
{
    struct loop_marks marks;
    loop_marks_read(header, &marks);
    buf_clear(to);
    loop_mark_print(&marks, by, address, to);
    assert_true(to->n <= LOOP_FIELD);
    buf_put(to, header);
    return buf_str(to);
}

static bool found(struct str header, struct str address)
{
    struct loop_marks marks;
    loop_marks_read(header, &marks);
    return loop_marks_found(&marks, &keys, address);
}

/* What was marked must be found by every later version: this text does not change. */
static void test_form(void **state)
{
    struct buf field = BUF_INIT(256);
    struct loop_marks marks;
    (void)state;
    loop_marks_read(STR(HEADER), &marks);
    loop_mark_print(&marks, &keys, BOB, &field);
    assert_str(buf_str(&field), STR("Veredus-Loop: v1 do2svucv3xeaxy6faeebw2u3pmefy2ek\r\n"));
    buf_done(&field);
}

/* S24: Received fields were taken away, and others put in. */
static void test_comes_again(void **state)
{
    struct buf one = BUF_INIT(1 << 16), two = BUF_INIT(1 << 16);
    (void)state;
    assert_false(found(STR(HEADER "\r\n"), BOB));
    struct str sent = marked_by(&keys, STR(HEADER "\r\nbody"), BOB, &one);
    assert_true(found(sent, BOB));
    assert_true(found(sent, STR("BOB@ours.test")));
    buf_put(&two, STR("Received: from x\r\nDelivered-To: a@b\r\nList-Id: <l>\r\n"));
    buf_put(&two, sent);
    assert_true(found(buf_str(&two), BOB));
    buf_done(&one);
    buf_done(&two);
}

static void test_other_address_other_mark(void **state)
{
    struct buf one = BUF_INIT(1 << 16), two = BUF_INIT(1 << 16);
    (void)state;
    struct str sent = marked_by(&keys, STR(HEADER), BOB, &one);
    assert_false(found(sent, STR("carol@ours.test")));
    sent = marked_by(&keys, sent, STR("carol@ours.test"), &two);
    assert_true(found(sent, BOB));
    assert_true(found(sent, STR("carol@ours.test")));
    assert_false(found(sent, STR("dave@ours.test")));
    buf_done(&one);
    buf_done(&two);
}

/* Of another message the mark says nothing, whoever put it there. */
static void message_is_another(const char *header)
{
    struct buf one = BUF_INIT(1 << 16), two = BUF_INIT(1 << 16);
    struct str sent = marked_by(&keys, STR(HEADER), BOB, &one);
    buf_put(&two, str_head(sent, (size_t)str_find(sent, STR("\r\n")) + 2));
    buf_put(&two, str_from(header));
    assert_false(found(buf_str(&two), BOB));
    buf_done(&one);
    buf_done(&two);
}

static void test_other_message_other_mark(void **state)
{
    (void)state;
    message_is_another("From: Ann <ann@a.test>\r\nDate: Sat, 21 Nov 2026 10:00:00 +0000\r\n"
                       "Message-ID: <2@a.test>\r\n");
    message_is_another("From: Ann <ann@a.test>\r\nDate: Sat, 21 Nov 2026 10:00:01 +0000\r\n"
                       "Message-ID: <1@a.test>\r\n");
    message_is_another("From: Eve <eve@a.test>\r\nDate: Sat, 21 Nov 2026 10:00:00 +0000\r\n"
                       "Message-ID: <1@a.test>\r\n");
    message_is_another("From: Ann <ann@a.test>\r\nMessage-ID: <1@a.test>\r\n");
    message_is_another("Subject: no names at all\r\n");
}

/* A person who sends on what came to him writes to whom he likes. */
static void test_sent_on_by_a_person(void **state)
{
    (void)state;
    message_is_another(
        "Resent-From: bob@ours.test\r\nResent-Date: Sun, 22 Nov 2026 10:00:00 +0000\r\n"
        "Resent-Message-ID: <3@ours.test>\r\n" HEADER);
    message_is_another("Resent-Message-ID: <3@ours.test>\r\n" HEADER);
    message_is_another("Resent-Date: Sun, 22 Nov 2026 10:00:00 +0000\r\n" HEADER);
}

/* What only moves white space, changes a name's letters, or adds below, is the same message. */
static void test_folded_on_the_way(void **state)
{
    struct buf one = BUF_INIT(1 << 16), two = BUF_INIT(1 << 16);
    (void)state;
    struct str sent = marked_by(&keys, STR(HEADER), BOB, &one);
    struct str mark = str_head(sent, (size_t)str_find(sent, STR("\r\n")));
    buf_put(&two, STR("message-id:<1@a.test>\r\nFROM:Ann\r\n\t<ann@a.test>\r\n"
                      "Date: Sat, 21 Nov 2026  10:00:00 +0000 \r\nSubject: [list] x\r\n"));
    buf_put(&two, STR("veredus-loop:\r\n\tv1\r\n\t "));
    buf_put(&two, str_from_index(mark, mark.n - LOOP_TOKEN));
    buf_put(&two, STR("\r\nDate: another\r\n"));
    assert_true(found(buf_str(&two), BOB));
    buf_done(&one);
    buf_done(&two);
}

static void test_key_before(void **state)
{
    struct buf one = BUF_INIT(1 << 16);
    struct loop_keys old = {0}, older = {.now = "one that was given up long ago.."};
    (void)state;
    memcpy(old.now, keys.before, LOOP_KEY);
    assert_true(found(marked_by(&old, STR(HEADER), BOB, &one), BOB));
    assert_false(found(marked_by(&older, STR(HEADER), BOB, &one), BOB));
    buf_done(&one);
}

static void test_no_mark_of_ours(void **state)
{
    static const char *const fields[] = {"Veredus-Loop:\r\n",
                                         "Veredus-Loop: v1\r\n",
                                         "Veredus-Loop: v2 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n",
                                         "Veredus-Loop: v1 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n",
                                         "Veredus-Loop: v1 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n",
                                         "Veredus-Loop: v1 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n",
                                         "Veredus-Loops: x\r\n"};
    struct loop_marks marks;
    (void)state;
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        struct buf header = BUF_INIT(1 << 16);
        buf_put(&header, str_from(fields[i]));
        buf_put(&header, STR(HEADER));
        assert_false(found(buf_str(&header), BOB));
        loop_marks_read(buf_str(&header), &marks);
        assert_int_equal(marks.count, i == 5);
        buf_done(&header);
    }
}

static void test_marks_in_the_body(void **state)
{
    struct buf one = BUF_INIT(1 << 16), two = BUF_INIT(1 << 16);
    (void)state;
    struct str sent = marked_by(&keys, STR(HEADER), BOB, &one);
    buf_put(&two, STR(HEADER "\r\n"));
    buf_put(&two, sent);
    assert_false(found(buf_str(&two), BOB));
    buf_done(&one);
    buf_done(&two);
}

/* Each is a server on the way: so many are a loop, whosever they are. */
static void test_marks_at_their_limit(void **state)
{
    (void)state;
    for (size_t count = LOOP_MARKS_MAX - 1; count <= LOOP_MARKS_MAX + 1; count++) {
        struct buf header = BUF_INIT(1 << 16);
        for (size_t i = 0; i < count; i++)
            buf_put(&header, STR("Veredus-Loop: v1 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n"));
        buf_put(&header, STR(HEADER));
        assert_int_equal(found(buf_str(&header), BOB), count > LOOP_MARKS_MAX);
        buf_done(&header);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_form),
        cmocka_unit_test(test_comes_again),
        cmocka_unit_test(test_other_address_other_mark),
        cmocka_unit_test(test_other_message_other_mark),
        cmocka_unit_test(test_sent_on_by_a_person),
        cmocka_unit_test(test_folded_on_the_way),
        cmocka_unit_test(test_key_before),
        cmocka_unit_test(test_no_mark_of_ours),
        cmocka_unit_test(test_marks_in_the_body),
        cmocka_unit_test(test_marks_at_their_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
