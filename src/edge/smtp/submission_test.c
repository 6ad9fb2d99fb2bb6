/*
 * What submission does on the wire and to the message: the header is put right whatever way the
 * octets come, the body is as it came, and core is asked for every sender and recipient.
 */
#include "base/test.h"

#include "edge/smtp/stage_test.h"

enum {
    LOGIN = 77,
    BIG = 3 << 20,
};

static struct stage stage;
static struct fake_client *client;
static struct buf replies;

static void opened_with(struct str conf, const struct fake_settings *settings, uint32_t slabs)
{
    buf_init(&replies, 1 << 20);
    stage_open_as(&stage, ROLE_SUB, conf, settings, 1, slabs);
    client = stage_connect_to(&stage, "submission", "192.0.2.1");
    stage_log_in(&stage, LOGIN, "ann@example.test");
    stage_send(&stage, client, STR("EHLO [192.0.2.1]\r\n"), SIZE_MAX, &replies);
}

static int opened(void **state)
{
    (void)state;
    opened_with(str_null(), NULL, STAGE_SLABS);
    return 0;
}

static int closed(void **state)
{
    (void)state;
    fake_client_done(client);
    stage_close(&stage);
    buf_done(&replies);
    return 0;
}

static struct str say(struct str bytes, size_t piece)
{
    buf_clear(&replies);
    stage_send(&stage, client, bytes, piece, &replies);
    return buf_str(&replies);
}

static void envelope(void)
{
    assert_str(say(STR("MAIL FROM:<ann@example.test>\r\nRCPT TO:<bob@example.test>\r\n"), SIZE_MAX),
               STR("250 2.1.0 Sender OK\r\n250 2.1.5 Recipient OK\r\n"));
}

static void data_of(struct str message, size_t piece)
{
    envelope();
    assert_true(str_starts(say(STR("DATA\r\n"), SIZE_MAX), STR("354 ")));
    say(message, piece);
}

static void chunk_of(struct str message, size_t piece, bool binary)
{
    struct buf line = BUF_INIT(100);
    buf_printf(&line, "MAIL FROM:<ann@example.test>%s\r\nRCPT TO:<bob@example.test>\r\n",
               binary ? " BODY=BINARYMIME" : "");
    say(buf_str(&line), SIZE_MAX);
    buf_clear(&line);
    buf_printf(&line, "BDAT %zu LAST\r\n", message.n);
    say(buf_str(&line), SIZE_MAX);
    say(message, piece);
    buf_done(&line);
}

static void assert_accepted(void)
{
    assert_true(str_starts(buf_str(&replies), STR("250 2.0.0 Accepted id ")));
}

#define CAME                                                                                       \
    "Bcc: x@y.example,\r\n z@y.example\r\nFrom: Ann <ann>\r\nDate: x\r\nTo: bob\r\n"               \
    "Message-ID: <1@z>\r\n\r\n"
#define KEPT                                                                                       \
    "From: Ann <ann@example.test>\r\nDate: x\r\nTo: bob@example.test\r\nMessage-ID: <1@z>\r\n\r\n"

static void the_header_is_put_right_however_it_comes(void **state)
{
    (void)state;
    static const size_t pieces[] = {SIZE_MAX, 1, 2, 3, 7, 64};
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        data_of(STR(CAME "Bcc: body\r\n..\r\nmore\r\n.\r\n"), pieces[i]);
        assert_accepted();
        assert_str(buf_str(&stage.core.body), STR(KEPT "Bcc: body\r\n.\r\nmore\r\n"));
        assert_str(buf_str(&stage.core.authors), STR("ann@example.test\n"));
        assert_int_equal(stage.core.login, LOGIN);
        chunk_of(STR(CAME "a\r\n.\r\n\r\nb"), pieces[i], false);
        assert_accepted();
        assert_str(buf_str(&stage.core.body), STR(KEPT "a\r\n.\r\n\r\nb"));
    }
    assert_int_equal(stage.core.messages, 12);
    assert_int_equal(stage.core.by_address, 0);
}

static void chunks_may_cut_the_header(void **state)
{
    (void)state;
    envelope();
    assert_str(say(STR("BDAT 5\r\nBcc: "), SIZE_MAX), STR("250 2.0.0 5 octets so far\r\n"));
    say(STR("BDAT 3\r\nx\r\n"), SIZE_MAX);
    say(STR("BDAT 0\r\nBDAT 47\r\nFrom: ann\r\nTo: b@c.example\r\nDate: x\r\nMessage-ID"),
        SIZE_MAX);
    say(STR("BDAT 11 LAST\r\n: <1@z>\r\n\r\n"), SIZE_MAX);
    assert_accepted();
    assert_str(
        buf_str(&stage.core.body),
        STR("From: ann@example.test\r\nTo: b@c.example\r\nDate: x\r\nMessage-ID: <1@z>\r\n\r\n"));
}

static void what_is_missing_is_added(void **state)
{
    (void)state;
    static const struct str bodies[] = {STR_INIT("\r\n.\r\n"), STR_INIT("\r\nx\r\n.\r\n"),
                                        STR_INIT(".\r\n"), STR_INIT("Bcc: x\r\n.\r\n")};
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        data_of(bodies[i], 1);
        assert_accepted();
        struct str kept = buf_str(&stage.core.body);
        assert_true(str_starts(kept, STR("Date: ")));
        assert_true(str_find(kept, STR("\r\nFrom: <ann@example.test>\r\n"
                                       "To: undisclosed-recipients:;\r\n"
                                       "Message-ID: <00000000000")) > 0);
        assert_true(str_find(kept, STR("@localhost>\r\n")) > 0);
        assert_true(str_find(kept, STR("Bcc")) < 0);
    }
}

static void bare_line_ends_are_made_whole(void **state)
{
    (void)state;
    data_of(STR("From: ann\nTo: b@c.example\rDate: x\nMessage-ID: <1@z>\n\na\nb\rc\r\n.\r\n"), 5);
    assert_accepted();
    assert_str(
        buf_str(&stage.core.body),
        STR("From: ann@example.test\r\nTo: b@c.example\r\nDate: x\r\nMessage-ID: <1@z>\r\n\r\n"
            "a\r\nb\r\nc\r\n"));
    chunk_of(STR("From: ann\nTo: b@c.example\nDate: x\nMessage-ID: <1@z>\n\na\nb\r"), 3, false);
    assert_accepted();
    assert_str(
        buf_str(&stage.core.body),
        STR("From: ann@example.test\r\nTo: b@c.example\r\nDate: x\r\nMessage-ID: <1@z>\r\n\r\n"
            "a\r\nb\r\n"));
}

static void binary_bodies_stay_as_they_are(void **state)
{
    (void)state;
    chunk_of(STR(CAME "\0\n\r\xff"), 3, true);
    assert_accepted();
    assert_str(buf_str(&stage.core.body), STR(KEPT "\0\n\r\xff"));
    chunk_of(STR("From: ann\nTo: x\r\n\r\n"), 3, true);
    assert_str(buf_str(&replies),
               STR("550 5.7.1 From header missing, doubled or malformed; the From "
                   "field can be read in several ways\r\n"));
}

static void who_wrote_it_must_be_plain(void **state)
{
    (void)state;
    data_of(STR("From: a@example.test\r\nFrom: b@example.test\r\n\r\nx\r\n.\r\n"), SIZE_MAX);
    assert_str(buf_str(&replies),
               STR("550 5.7.1 From header missing, doubled or malformed; there are "
                   "several From fields\r\n"));
    data_of(STR("From: a@example.test\r\nSender: b, \"c d\" <e@f.example>\r\n\r\nx\r\n.\r\n"), 9);
    assert_accepted();
    assert_str(buf_str(&stage.core.authors), STR("b@example.test\ne@f.example\na@example.test\n"));
    assert_int_equal(stage.core.messages, 1);
}

static void core_says_who_may_be_the_sender(void **state)
{
    (void)state;
    assert_str(
        say(STR("MAIL FROM:<eve@other.example>\r\nRCPT TO:<bob@example.test>\r\n"), SIZE_MAX),
        STR("553 5.7.1 You may not send as this address; by rule\r\n"
            "503 5.5.1 Bad sequence of commands; MAIL first\r\n"));
    assert_int_equal(stage.core.senders, 1);
    assert_int_equal(stage.core.login, LOGIN);
    assert_str(say(STR("MAIL FROM:<>\r\nRSET\r\n"), SIZE_MAX),
               STR("250 2.1.0 Sender OK\r\n250 2.0.0 Flushed\r\n"));
}

static void recipients_are_core_s_to_judge_each_time(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++)
        data_of(STR("\r\nx\r\n.\r\n"), SIZE_MAX);
    assert_int_equal(stage.core.resolves, 3);
    assert_int_equal(stage.core.by_address, 0);
}

static void where_users_are_is_nobody_s_business(void **state)
{
    (void)state;
    data_of(STR("\r\nx\r\n.\r\n"), SIZE_MAX);
    assert_true(str_starts(buf_str(&stage.core.received), STR("Received: by localhost with ")));
    assert_true(str_find(buf_str(&stage.core.received), STR("192.0.2.1")) < 0);
    assert_true(str_find(buf_str(&stage.core.facts), STR("192.0.2.1")) > 0);
}

static void it_may_be_shown(void **state)
{
    (void)state;
    opened_with(STR("submission { show_client = yes }"), NULL, STAGE_SLABS);
    data_of(STR("\r\nx\r\n.\r\n"), SIZE_MAX);
    assert_true(str_starts(buf_str(&stage.core.received),
                           STR("Received: from [192.0.2.1] ([192.0.2.1])\r\n")));
    closed(NULL);
}

static void a_message_has_so_many_recipients(void **state)
{
    (void)state;
    opened_with(STR("submission { recipients = 2 }"), NULL, STAGE_SLABS);
    assert_true(str_find(buf_str(&replies), STR("LIMITS RCPTMAX=2 ")) > 0);
    assert_str(say(STR("MAIL FROM:<ann@example.test>\r\nRCPT TO:<a@example.test>\r\n"
                       "RCPT TO:<b@example.test>\r\nRCPT TO:<c@example.test>\r\n"),
                   SIZE_MAX),
               STR("250 2.1.0 Sender OK\r\n250 2.1.5 Recipient OK\r\n250 2.1.5 Recipient OK\r\n"
                   "452 4.5.3 Too many recipients\r\n"));
    closed(NULL);
}

/* `n` octets of header, its empty line included, all in one field. */
static void header_put(struct buf *to, size_t n)
{
    size_t before = to->n;
    buf_put(
        to,
        STR("From: ann@example.test\r\nTo: b@c.example\r\nDate: x\r\nMessage-ID: <1@z>\r\nX: "));
    while (to->n - before < n - 4)
        buf_put(to, (to->n - before) % 64          ? STR("x")
                    : n - 4 - (to->n - before) > 3 ? STR("\r\n ")
                                                   : STR("x"));
    buf_put(to, STR("\r\n\r\n"));
    assert_int_equal(to->n - before, n);
}

/* A header of `most` octets and those around it. */
static void header_limit_is(size_t most)
{
    struct buf message = BUF_INIT(1 << 20);
    struct smtp_shared *shared = stage.edge.smtp;
    for (size_t n = most - 1; n <= most + 1; n++) {
        buf_clear(&message);
        header_put(&message, n);
        buf_put(&message, STR("body\r\n.\r\n"));
        data_of(buf_str(&message), 5000);
        assert_int_equal(shared->parking.held, 0);
        if (n > most) {
            assert_true(str_starts(buf_str(&replies), STR("552 5.3.4 ")));
            continue;
        }
        assert_accepted();
        assert_true(str_eq(str_head(buf_str(&stage.core.body), n), str_head(buf_str(&message), n)));
    }
    buf_done(&message);
}

static void a_header_has_a_limit_and_memory_is_given_back(void **state)
{
    (void)state;
    opened_with(STR("smtp { header_size = 16384 }"), NULL, STAGE_SLABS);
    header_limit_is(16384 + 2); /* its empty line is not counted */
    closed(NULL);
}

static void a_header_is_no_larger_than_what_may_be_parked(void **state)
{
    (void)state;
    opened_with(STR("smtp { header_size = 1M header_fields = 50000 }"), NULL, STAGE_SLABS);
    header_limit_is(SMTP_PARKED_MAX);
    closed(NULL);
}

static void the_size_limit_is_held_against_what_came(void **state)
{
    (void)state;
    struct buf message = BUF_INIT(1 << 20);
    opened_with(STR("smtp { message_size = 20000 }"), NULL, STAGE_SLABS);
    for (size_t n = 19999; n <= 20001; n++) {
        buf_clear(&message);
        buf_put(&message, STR("Subject: x\r\n\r\n"));
        while (message.n < n - 2)
            buf_putc(&message, 'x');
        buf_put(&message, STR("\r\n.\r\n"));
        data_of(buf_str(&message), SIZE_MAX);
        if (n <= 20000)
            assert_accepted();
        else
            assert_true(str_starts(buf_str(&replies), STR("552 5.3.4 ")));
    }
    buf_done(&message);
    closed(NULL);
}

static void large_bodies_are_intact(void **state)
{
    (void)state;
    struct buf message = BUF_INIT(BIG + 1000);
    uint32_t seed = 1;
    opened_with(str_null(), NULL, STAGE_SLABS);
    buf_put(&message, STR(CAME));
    while (message.n < BIG) {
        seed = seed * 1664525 + 1013904223;
        buf_putc(&message, (char)(seed >> 24));
    }
    struct str body = str_from_index(buf_str(&message), sizeof CAME - 1);
    chunk_of(buf_str(&message), 100000, true);
    assert_accepted();
    assert_true(stage.core.upload_pieces > 0);
    assert_str(str_head(buf_str(&stage.core.body), sizeof KEPT - 1), STR(KEPT));
    assert_true(str_eq(str_from_index(buf_str(&stage.core.body), sizeof KEPT - 1), body));
    buf_done(&message);
    closed(NULL);
}

/* It fills nearly all there are. */
static void large_headers_do_without_many_slabs(void **state)
{
    (void)state;
    struct buf message = BUF_INIT(1 << 20);
    opened_with(str_null(), NULL, 16);
    header_put(&message, 200000);
    size_t header = message.n;
    buf_put(&message, STR("body\r\n.\r\n"));
    data_of(buf_str(&message), 3000);
    assert_accepted();
    assert_int_equal(stage.core.body.n, header + 6);
    assert_true(str_eq(buf_str(&stage.core.body), str_head(buf_str(&message), header + 6)));
    struct smtp_shared *shared = stage.edge.smtp;
    assert_int_equal(shared->parking.held, 0);
    buf_done(&message);
    closed(NULL);
}

static void a_session_that_goes_gives_its_header_back(void **state)
{
    (void)state;
    struct smtp_shared *shared = stage.edge.smtp;
    data_of(STR("From: ann\r\nTo: b@c.example\r\n"), SIZE_MAX);
    assert_true(shared->parking.held > 0);
    fake_client_done(client);
    stage_settle(&stage);
    assert_int_equal(shared->parking.held, 0);
    client = stage_connect_to(&stage, "submission", "192.0.2.1");
}

#define with(test) cmocka_unit_test_setup_teardown(test, opened, closed)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with(the_header_is_put_right_however_it_comes),
        with(chunks_may_cut_the_header),
        with(what_is_missing_is_added),
        with(bare_line_ends_are_made_whole),
        with(binary_bodies_stay_as_they_are),
        with(who_wrote_it_must_be_plain),
        with(core_says_who_may_be_the_sender),
        with(recipients_are_core_s_to_judge_each_time),
        with(where_users_are_is_nobody_s_business),
        cmocka_unit_test(it_may_be_shown),
        cmocka_unit_test(a_message_has_so_many_recipients),
        cmocka_unit_test(a_header_has_a_limit_and_memory_is_given_back),
        cmocka_unit_test(a_header_is_no_larger_than_what_may_be_parked),
        cmocka_unit_test(the_size_limit_is_held_against_what_came),
        cmocka_unit_test(large_bodies_are_intact),
        cmocka_unit_test(large_headers_do_without_many_slabs),
        with(a_session_that_goes_gives_its_header_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
