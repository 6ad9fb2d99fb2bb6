#include "edge/smtp/received.h"

#include "base/test.h"

static struct str printed(const struct received *received, struct buf *buf)
{
    buf_clear(buf);
    received_print(received, buf);
    return buf_str(buf);
}

static void tells_the_session(void **state)
{
    (void)state;
    struct buf buf = BUF_INIT(4096);
    struct received received = {.helo = STR("mail.example.org"),
                                .client = STR("192.0.2.1"),
                                .host = STR("mx.example.test"),
                                .transmission = TRANSMISSION_ESMTP,
                                .message = 32,
                                .only_one_for = STR("bob@example.test"),
                                .time = 1795240637};
    assert_str(printed(&received, &buf), STR("Received: from mail.example.org ([192.0.2.1])\r\n"
                                             "\tby mx.example.test with ESMTP id 0000000000010\r\n"
                                             "\tfor <bob@example.test>;\r\n"
                                             "\tSat, 21 Nov 2026 05:57:17 +0000\r\n"));
    received.client = STR("2001:db8::1");
    received.only_one_for = str_null();
    received.transmission = TRANSMISSION_SMTP;
    assert_str(printed(&received, &buf),
               STR("Received: from mail.example.org ([IPv6:2001:db8::1])\r\n"
                   "\tby mx.example.test with SMTP id 0000000000010;\r\n"
                   "\tSat, 21 Nov 2026 05:57:17 +0000\r\n"));
    received.hidden = true;
    assert_str(printed(&received, &buf),
               STR("Received: by mx.example.test with SMTP id 0000000000010;\r\n"
                   "\tSat, 21 Nov 2026 05:57:17 +0000\r\n"));
    received.local = true;
    received.client = STR("uid 1000");
    assert_str(printed(&received, &buf), STR("Received: (from uid 1000)\r\n"
                                             "\tby mx.example.test with SMTP id 0000000000010;\r\n"
                                             "\tSat, 21 Nov 2026 05:57:17 +0000\r\n"));
    buf_done(&buf);
}

static void facts_cannot_be_forged(void **state)
{
    (void)state;
    struct buf buf = BUF_INIT(4096);
    struct received received = {.helo = STR("x\" from=\"root"), .body_type = "7BIT"};
    received_facts_print(&received, &buf);
    assert_int_equal(str_find(buf_str(&buf), STR(" from=\"root")), -1);
    buf_done(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_the_session),
        cmocka_unit_test(facts_cannot_be_forged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
