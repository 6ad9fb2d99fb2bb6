#include "base/test.h"

#include "store/message_head.h"

enum {
    ENOUGH = 1 << 20
};

static struct str addresses[] = {STR_INIT("bob@example.test"), STR_INIT("\"a b\"@example.test")};

static struct message_head sample(void)
{
    return (struct message_head){
        .message = 0x1122334455667788,
        .accepted = 1700000000123456,
        .served_extra = 3,
        .body_type = BODY_BINARYMIME,
        .return_path = STR("carol@else.test"),
        .received = STR("Received: from x by y; date\r\n"),
        .delivered_to = addresses,
        .delivered_to_count = 2,
        .summary = STR("\0summary"),
    };
}

static void a_head_is_read_back(void **state)
{
    (void)state;
    struct buf buf = BUF_INIT(ENOUGH);
    struct arena arena;
    arena_init(&arena, ENOUGH);
    struct message_head head = sample(), got;
    message_head_encode(&head, &buf);
    assert_int_equal(message_head_decode(buf_str(&buf), &arena, &got).code, ERR_NONE);
    assert_true(got.message == head.message && got.accepted == head.accepted);
    assert_int_equal(got.served_extra, 3);
    assert_int_equal(got.body_type, BODY_BINARYMIME);
    assert_str(got.return_path, head.return_path);
    assert_str(got.received, head.received);
    assert_int_equal(got.delivered_to_count, 2);
    assert_str(got.delivered_to[1], addresses[1]);
    assert_str(got.summary, head.summary);
    buf_done(&buf);
    arena_done(&arena);
}

static void what_is_cut_or_changed_is_damage(void **state)
{
    (void)state;
    struct buf buf = BUF_INIT(ENOUGH);
    struct arena arena;
    arena_init(&arena, ENOUGH);
    struct message_head head = sample(), got;
    message_head_encode(&head, &buf);
    for (size_t n = 0; n < buf.n; n++)
        assert_int_equal(message_head_decode(str_head(buf_str(&buf), n), &arena, &got).code,
                         ERR_STORE_DAMAGED);
    buf.p[0]++;
    assert_int_equal(message_head_decode(buf_str(&buf), &arena, &got).code, ERR_STORE_DAMAGED);
    buf.p[0]--;
    buf_putc(&buf, 'x');
    assert_int_equal(message_head_decode(buf_str(&buf), &arena, &got).code, ERR_STORE_DAMAGED);
    buf_done(&buf);
    arena_done(&arena);
}

static void the_prefix_is_the_recipients_own(void **state)
{
    (void)state;
    static const struct str expected[] = {
        STR_INIT("Return-Path: <carol@else.test>\r\nDelivered-To: bob@example.test\r\n"
                 "Received: from x by y; date\r\n"),
        STR_INIT("Return-Path: <carol@else.test>\r\nDelivered-To: \"a b\"@example.test\r\n"
                 "Received: from x by y; date\r\n"),
        STR_INIT("Return-Path: <carol@else.test>\r\nReceived: from x by y; date\r\n"),
    };
    struct buf buf = BUF_INIT(ENOUGH);
    struct message_head head = sample();
    for (uint32_t i = 0; i < 3; i++) {
        buf_clear(&buf);
        message_prefix(&head, i, &buf);
        assert_str(buf_str(&buf), expected[i]);
        assert_int_equal(message_prefix_size(&head, i), buf.n);
    }
    head.return_path = STR("");
    buf_clear(&buf);
    message_prefix(&head, 0, &buf);
    assert_true(str_starts(buf_str(&buf), STR("Return-Path: <>\r\n")));
    buf_done(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_head_is_read_back),
        cmocka_unit_test(what_is_cut_or_changed_is_damage),
        cmocka_unit_test(the_prefix_is_the_recipients_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
