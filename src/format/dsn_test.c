#include "base/test.h"

#include "format/dsn.h"

enum {
    ENOUGH = 16 << 20,
};

struct given {
    struct arena arena;
    struct buf out;
    struct dsn_recipient recipients[3];
    struct dsn dsn;
    struct dsn_made made;
};

static int given_open(void **state)
{
    static struct given given;
    given = (struct given){
        .out = BUF_INIT(ENOUGH),
        .recipients = {{.action = DSN_FAILED,
                        .final = STR("bob@example.net"),
                        .status = {5, 2, 2},
                        .remote = STR("mx1.example.net"),
                        .code = 552,
                        .text = STR("5.2.2 Mailbox full\nmake room"),
                        .last_attempt = 1795319000}},
        .dsn = {.host = STR("mx.example.org"),
                .to = STR("alice@example.org"),
                .message_id = STR("1.dsn@mx.example.org"),
                .time = 1795320000,
                .queue_id = STR("01j9x3k2m7q4r"),
                .arrival = 1795310000,
                .recipient_count = 1,
                .original = {.header = STR("From: alice@example.org\r\nSubject: Hello\r\n"
                                           "Message-ID: <1@example.org>\r\n\r\n")}}};
    given.dsn.recipients = given.recipients;
    arena_init(&given.arena, ENOUGH);
    *state = &given;
    return 0;
}

static int given_close(void **state)
{
    struct given *given = *state;
    arena_done(&given->arena);
    buf_done(&given->out);
    return 0;
}

static struct str report(struct given *given)
{
    buf_clear(&given->out);
    arena_reset(&given->arena);
    assert_false(err_is(dsn_print(&given->dsn, &given->arena, &given->out, &given->made)));
    return buf_str(&given->out);
}

static bool says(struct given *given, const char *text)
{
    return str_find(report(given), str_from(text)) >= 0;
}

static size_t times(struct str in, struct str what)
{
    size_t n = 0;
    ssize_t at;
    for (; (at = str_find(in, what)) >= 0; n++)
        in = str_from_index(in, (size_t)at + 1);
    return n;
}

/* --- A report, to the last octet --- */

static void test_failed_report(void **state)
{
    struct given *given = *state;
    assert_str(report(given),
               STR("From: Mail Delivery System <MAILER-DAEMON@mx.example.org>\r\n"
                   "To: alice@example.org\r\n"
                   "Subject: Mail not delivered: bob@example.net\r\n"
                   "Date: Sun, 22 Nov 2026 04:00:00 +0000\r\n"
                   "Message-ID: <1.dsn@mx.example.org>\r\n"
                   "In-Reply-To: <1@example.org>\r\n"
                   "References: <1@example.org>\r\n"
                   "Auto-Submitted: auto-replied\r\n"
                   "MIME-Version: 1.0\r\n"
                   "Content-Type: multipart/report; report-type=delivery-status;\r\n"
                   " boundary=\"=_847bb79d30bda6b8\"\r\n"
                   "\r\n"
                   "\r\n"
                   "--=_847bb79d30bda6b8\r\n"
                   "Content-Type: text/plain; charset=us-ascii\r\n"
                   "Content-Language: en\r\n"
                   "Content-Transfer-Encoding: 7bit\r\n"
                   "\r\n"
                   "This is the mail server mx.example.org.\r\n"
                   "\r\n"
                   "Your message could not be delivered to the following, and is not tried\r\n"
                   "again:\r\n"
                   "\r\n"
                   "  bob@example.net\r\n"
                   "      The recipient's mailbox is full.\r\n"
                   "\r\n"
                   "      mx1.example.net said:\r\n"
                   "          552 5.2.2 Mailbox full\r\n"
                   "          make room\r\n"
                   "\r\n"
                   "      Last tried: 2026-11-22 03:43:20 +0000\r\n"
                   "      What to do: Tell the recipient in another way that the mailbox is\r\n"
                   "      full. A message that is only delayed goes in once there is room; one\r\n"
                   "      that came back must be sent again.\r\n"
                   "\r\n"
                   "  Subject: Hello\r\n"
                   "  Received here: 2026-11-22 01:13:20 +0000\r\n"
                   "  Known here as: 01j9x3k2m7q4r\r\n"
                   "\r\n"
                   "The header of the message is attached.\r\n"
                   "For help, pass this report on to postmaster@mx.example.org.\r\n"
                   "\r\n"
                   "--=_847bb79d30bda6b8\r\n"
                   "Content-Type: message/delivery-status\r\n"
                   "Content-Transfer-Encoding: 7bit\r\n"
                   "\r\n"
                   "Reporting-MTA: dns; mx.example.org\r\n"
                   "Arrival-Date: Sun, 22 Nov 2026 01:13:20 +0000\r\n"
                   "X-Veredus-Queue-Id: 01j9x3k2m7q4r\r\n"
                   "\r\n"
                   "Final-Recipient: rfc822; bob@example.net\r\n"
                   "Action: failed\r\n"
                   "Status: 5.2.2\r\n"
                   "Remote-MTA: dns; mx1.example.net\r\n"
                   "Diagnostic-Code: smtp; 552-5.2.2 Mailbox full 552 make room\r\n"
                   "Last-Attempt-Date: Sun, 22 Nov 2026 03:43:20 +0000\r\n"
                   "\r\n"
                   "--=_847bb79d30bda6b8\r\n"
                   "Content-Type: text/rfc822-headers\r\n"
                   "Content-Transfer-Encoding: 7bit\r\n"
                   "\r\n"
                   "From: alice@example.org\r\n"
                   "Subject: Hello\r\n"
                   "Message-ID: <1@example.org>\r\n"
                   "\r\n"
                   "--=_847bb79d30bda6b8--\r\n"));
    assert_false(given->made.eight_bit || given->made.utf8);
}

/* Each kind: its subject, its words, its fields. (Both languages whole: test/format/reports/.) */
static void test_kinds(void **state)
{
    static const struct {
        enum dsn_action action;
        const char *subject, *field, *status;
    } kinds[] = {
        {DSN_FAILED, "Subject: Mail not delivered: bob@example.net\r\n", "\r\nAction: failed\r\n",
         "\r\nStatus: 5.0.0\r\n"},
        {DSN_DELAYED, "Subject: Mail delayed: bob@example.net\r\n", "\r\nAction: delayed\r\n",
         "\r\nStatus: 4.0.0\r\n"},
        {DSN_EXPANDED, "Subject: Mail passed on to several: bob@example.net\r\n",
         "\r\nAction: expanded\r\n", "\r\nStatus: 2.0.0\r\n"},
        {DSN_RELAYED, "Subject: Mail passed on: bob@example.net\r\n", "\r\nAction: relayed\r\n",
         "\r\nStatus: 2.0.0\r\n"},
        {DSN_DELIVERED, "Subject: Mail delivered: bob@example.net\r\n", "\r\nAction: delivered\r\n",
         "\r\nStatus: 2.0.0\r\n"},
    };
    struct given *given = *state;
    given->recipients[0].retry_until = 1795620000;
    for (size_t i = 0; i < DSN_ACTIONS; i++) {
        bool trouble = kinds[i].action == DSN_FAILED || kinds[i].action == DSN_DELAYED;
        given->recipients[0].action = kinds[i].action;
        given->recipients[0].status = (struct status_code){3, 1, 1};
        assert_true(says(given, kinds[i].subject) && says(given, kinds[i].field));
        assert_true(says(given, kinds[i].status));
        assert_int_equal(says(given, "What to do:"), trouble);
        assert_int_equal(says(given, "Diagnostic-Code:"), trouble);
        assert_int_equal(says(given, "Will-Retry-Until:"), kinds[i].action == DSN_DELAYED);
        assert_int_equal(says(given, "Tried until:"), kinds[i].action == DSN_DELAYED);
    }
}

/* RFC 3464 2.3.3: who gives up after a 4.x.x says so. */
static void test_given_up_with_4xx(void **state)
{
    struct given *given = *state;
    given->recipients[0].status = (struct status_code){4, 4, 1};
    assert_true(says(given, "\r\nStatus: 4.4.1\r\n"));
    given->recipients[0].status = (struct status_code){2, 0, 0};
    assert_true(says(given, "\r\nStatus: 5.0.0\r\n"));
    given->recipients[0].action = DSN_DELAYED;
    given->recipients[0].status = (struct status_code){5, 1, 1};
    assert_true(says(given, "\r\nStatus: 4.0.0\r\n"));
}

static void test_gravest_names_the_report(void **state)
{
    struct given *given = *state;
    given->recipients[0].action = DSN_DELIVERED;
    given->recipients[1] = given->recipients[0];
    given->recipients[1].action = DSN_FAILED;
    given->recipients[1].final = STR("carol@example.net");
    given->recipients[2] = given->recipients[0];
    given->recipients[2].action = DSN_DELAYED;
    given->dsn.recipient_count = 3;
    assert_true(says(given, "Subject: Mail not delivered: carol@example.net and 2 more\r\n"));
    struct str whole = buf_str(&given->out);
    assert_true(str_find(whole, STR("is not tried")) < str_find(whole, STR("has not reached")));
    assert_true(str_find(whole, STR("has not reached")) < str_find(whole, STR("was delivered to")));
}

/* The advice is the same for all: once is enough. */
static void test_advice_is_given_once(void **state)
{
    struct given *given = *state;
    given->recipients[1] = given->recipients[2] = given->recipients[0];
    given->recipients[2].status = (struct status_code){5, 1, 1};
    given->dsn.recipient_count = 3;
    assert_int_equal(times(report(given), STR("What to do:")), 2);
}

static void test_many_recipients(void **state)
{
    static struct dsn_recipient many[DSN_RECIPIENTS_TOLD + 1];
    struct given *given = *state;
    for (size_t i = 0; i <= DSN_RECIPIENTS_TOLD; i++)
        many[i] = given->recipients[0];
    given->dsn.recipients = many;
    given->dsn.recipient_count = DSN_RECIPIENTS_TOLD;
    assert_false(says(given, "\r\nAnd "));
    given->dsn.recipient_count = DSN_RECIPIENTS_TOLD + 1;
    assert_true(says(given, "\r\nAnd 1 more, "));
    assert_int_equal(times(buf_str(&given->out), STR("Final-Recipient:")), DSN_RECIPIENTS_TOLD + 1);
}

static void test_double_bounce(void **state)
{
    struct given *given = *state;
    given->dsn.double_bounce = true;
    given->dsn.to = STR("postmaster@example.org");
    assert_true(says(given, "and who sent it could not be told."));
    assert_false(says(given, "Your message") || says(given, "For help"));
}

/* --- What a stranger wrote (S30) --- */

static void test_text_adds_nothing(void **state)
{
    struct given *given = *state;
    static const char hostile[] =
        "ok\r\nX-Evil: 1\r\n\r\n--=_847bb79d30bda6b8--\r\n--=_847bb79d30bda6b8\n"
        "\nContent-Type: text/html\0<b>\x1b[31m \xe2\x80\xae rev \xff";
    size_t lines = times(report(given), STR("\r\n"));
    given->recipients[0].text = str_make(hostile, sizeof(hostile) - 1);
    struct str whole = report(given);
    assert_true(times(whole, STR("\r\n")) < lines + 20);
    assert_int_equal(times(whole, STR("\r\nX-Evil")), 0);
    assert_int_equal(times(whole, STR("\r\nContent-Type: text/html")), 0);
    assert_int_equal(times(whole, STR("\r\n--=_847bb79d30bda6b8\r\n")), 0);
    assert_int_equal(times(whole, STR("\r\nContent-Type: message/delivery-status\r\n")), 1);
    for (size_t i = 0; i < whole.n; i++)
        assert_true((unsigned char)whole.p[i] < 0x7f &&
                    (whole.p[i] >= 0x20 || whole.p[i] == '\r' || whole.p[i] == '\n'));
    assert_true(says(given, "\\x{202E}") && says(given, "\\x{1B}") && says(given, "\\x{00}"));
}

/* An escape sequence alone needs no encoding, so nothing else would hide it. */
static void test_text_is_clean_for_people(void **state)
{
    struct given *given = *state;
    given->recipients[0].text = STR("\x1b[31mred");
    assert_false(says(given, "\x1b"));
    assert_int_equal(times(buf_str(&given->out), STR("\\x{1B}[31mred")), 2);
}

static void test_addresses_add_nothing(void **state)
{
    struct given *given = *state;
    struct str evil = STR("a\r\nX-Evil: 1\r\n\r\nb@example.net");
    given->dsn.to = given->dsn.envid = given->dsn.queue_id = given->dsn.host = evil;
    given->dsn.message_id = given->dsn.postmaster = evil;
    given->recipients[0].original = given->recipients[0].final = evil;
    given->recipients[0].remote = evil;
    assert_false(says(given, "\nX-Evil"));
}

static void test_message_id_of_the_original(void **state)
{
    struct given *given = *state;
    given->dsn.original.header = STR("Message-ID: <a@b>\r\n <c@d>\r\n");
    assert_false(says(given, "In-Reply-To"));
    given->dsn.original.header = STR("Message-ID: <a b@c>\r\n");
    assert_false(says(given, "In-Reply-To"));
    given->dsn.original.header = STR("Message-ID: <\xc3\xa4@c>\r\n");
    assert_false(says(given, "In-Reply-To"));
    given->dsn.original.header = STR("Message-ID:\r\n\t<a@c>\r\n");
    assert_true(says(given, "\r\nIn-Reply-To: <a@c>\r\nReferences: <a@c>\r\n"));
}

static void test_text_is_bounded(void **state)
{
    struct given *given = *state;
    static char words[DSN_TEXT_MAX + 1];
    memset(words, 'x', sizeof(words));
    given->recipients[0].text = str_make(words, DSN_TEXT_MAX);
    size_t shown = times(report(given), STR("x"));
    assert_true(shown >= 2 * (size_t)DSN_TEXT_MAX && !says(given, "x..."));
    given->recipients[0].text = str_make(words, DSN_TEXT_MAX + 1);
    assert_int_equal(times(report(given), STR("x")), shown);
    assert_true(says(given, "x...\r\n"));
    /* No line is too long, though no word ends. */
    struct str rest = buf_str(&given->out);
    while (rest.n)
        assert_true(str_cut(&rest, '\n').n <= 999);
}

/* --- Addresses and words beyond ASCII (RFC 6533) --- */

static void test_utf8(void **state)
{
    struct given *given = *state;
    given->recipients[0].original = STR("utf-8;r\xc3\xa9mi+x@ex\xc3\xa4mple.test");
    given->recipients[0].final = STR("\xe7\x94\xa8\xe6\x88\xb7@example.test");
    given->recipients[0].text = STR("\xe6\xbb\xa1");
    assert_true(says(given, "Original-Recipient: utf-8; r\\x{E9}mi\\x{2B}x@ex\\x{E4}mple.test\r\n"
                            "Final-Recipient: utf-8; \\x{7528}\\x{6237}@example.test\r\n"));
    assert_true(says(given, "Content-Type: message/delivery-status\r\n"));
    assert_true(says(given, "Diagnostic-Code: smtp; 552 \\x{6EE1}\r\n"));
    assert_false(given->made.eight_bit || given->made.utf8);
    given->dsn.reads_utf8 = true;
    assert_true(says(given, "Content-Type: message/global-delivery-status\r\n"
                            "Content-Transfer-Encoding: 8bit\r\n"));
    assert_true(says(given, "Original-Recipient: utf-8; r\xc3\xa9mi+x@ex\xc3\xa4mple.test\r\n"
                            "Final-Recipient: utf-8; \xe7\x94\xa8\xe6\x88\xb7@example.test\r\n"));
    assert_true(says(given, "Diagnostic-Code: smtp; 552 \xe6\xbb\xa1\r\n"));
    assert_true(given->made.eight_bit && given->made.utf8);
}

static void test_utf8_is_only_taken_where_needed(void **state)
{
    struct given *given = *state;
    given->dsn.reads_utf8 = true;
    assert_true(says(given, "Content-Type: message/delivery-status\r\n"));
    assert_false(given->made.utf8);
    given->dsn.to = STR("\xe7\x94\xa8@example.test");
    assert_true(says(given, "To: \xe7\x94\xa8@example.test\r\n"));
    assert_true(given->made.utf8 && given->made.eight_bit);
}

static void test_chinese(void **state)
{
    struct given *given = *state;
    given->dsn.language = LANGUAGE_CHINESE;
    assert_true(says(given, "From: =?utf-8?B?6YKu5Lu25oqV6YCS57O757uf?= "
                            "<MAILER-DAEMON@mx.example.org>\r\n"));
    assert_true(says(given, "Subject: =?utf-8?B?"));
    assert_true(says(given, "Content-Type: text/plain; charset=utf-8\r\n"
                            "Content-Language: zh-Hans\r\n"
                            "Content-Transfer-Encoding: base64\r\n"));
    assert_true(str_is_ascii(buf_str(&given->out)));
}

/* --- What is returned --- */

static void test_returns_body(void **state)
{
    (void)state;
    assert_true(dsn_returns_body(true, DSN_RETURN_UNSAID, DSN_RETURN_MAX, 10));
    assert_false(dsn_returns_body(true, DSN_RETURN_UNSAID, DSN_RETURN_MAX + 1, 1 << 30));
    assert_true(dsn_returns_body(true, DSN_RETURN_FULL, 1000, 1000));
    assert_false(dsn_returns_body(true, DSN_RETURN_FULL, 1001, 1000));
    assert_false(dsn_returns_body(true, DSN_RETURN_HEADERS, 1, 1000));
    assert_false(dsn_returns_body(false, DSN_RETURN_FULL, 1, 1000));
}

static void test_whole_message(void **state)
{
    struct given *given = *state;
    given->dsn.original.body = STR("Hi\r\n");
    assert_true(says(given, "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 7bit\r\n"
                            "\r\nFrom: alice"));
    assert_true(says(given, "<1@example.org>\r\n\r\nHi\r\n\r\n--=_"));
    assert_true(says(given, "The message is attached."));
    given->dsn.original.body = STR("H\xff\r\n");
    assert_true(says(given, "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n"));
    assert_true(given->made.eight_bit && !given->made.utf8);
}

static void test_body_no_transport_can_carry(void **state)
{
    static char line[999];
    struct given *given = *state;
    const struct str bodies[] = {STR("a\0b\r\n"), STR("a\nb\r\n"), STR("a\rb\r\n"), STR("a\r"),
                                 str_make(line, 999)};
    memset(line, 'x', sizeof(line));
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        given->dsn.original.body = bodies[i];
        assert_true(says(given, "Content-Type: text/rfc822-headers\r\n"));
        assert_true(says(given, "The header of the message is attached."));
    }
    given->dsn.original.body = str_make(line, 998);
    assert_true(says(given, "Content-Type: message/rfc822\r\n"));
}

static void test_header_beyond_ascii(void **state)
{
    struct given *given = *state;
    given->dsn.original.header = STR("Subject: It is \xe4\xbd\xa0\r\n\r\n");
    assert_true(says(given, "Content-Type: text/rfc822-headers\r\n"
                            "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
                            "Subject: It is =E4=BD=A0\r\n"));
    given->dsn.original.utf8 = true;
    assert_true(says(given, "Content-Type: message/global-headers\r\n"
                            "Content-Transfer-Encoding: quoted-printable\r\n"));
    assert_false(given->made.utf8);
    given->dsn.reads_utf8 = true;
    assert_true(says(given,
                     "Content-Type: message/global-headers\r\n"
                     "Content-Transfer-Encoding: 8bit\r\n\r\nSubject: It is \xe4\xbd\xa0\r\n"));
    assert_true(given->made.utf8);
    given->dsn.original.body = STR("x\r\n");
    assert_true(says(given, "Content-Type: message/global\r\nContent-Transfer-Encoding: 8bit\r\n"));
    given->dsn.reads_utf8 = false;
    assert_true(says(given, "Content-Type: message/global\r\n"
                            "Content-Transfer-Encoding: quoted-printable\r\n"));
    assert_false(given->made.utf8 || given->made.eight_bit);
}

static void test_header_is_bounded(void **state)
{
    struct given *given = *state;
    static char header[DSN_HEADER_MAX + 8];
    memset(header, 'x', sizeof(header));
    memcpy(header, "A: b\r\nB: ", 9);
    memcpy(header + DSN_HEADER_MAX - 2, "\r\n", 2);
    given->dsn.original.header = str_make(header, DSN_HEADER_MAX);
    assert_true(says(given, "\r\nA: b\r\nB: xxx"));
    memcpy(header + DSN_HEADER_MAX - 2, "x\r\n", 3);
    given->dsn.original.header = str_make(header, DSN_HEADER_MAX + 1);
    assert_true(says(given, "\r\nA: b\r\n\r\n--"));
}

static void test_no_original(void **state)
{
    struct given *given = *state;
    given->dsn.original.header = STR("");
    assert_int_equal(times(report(given), STR("\r\nContent-Type: ")), 3);
    assert_false(says(given, "attached"));
}

static void test_over_limit(void **state)
{
    struct given *given = *state;
    struct buf small = BUF_INIT(report(given).n - 1), enough = BUF_INIT(report(given).n);
    struct arena little;
    assert_int_equal(dsn_print(&given->dsn, &given->arena, &small, &given->made).code,
                     ERR_OVER_LIMIT);
    assert_int_equal(dsn_print(&given->dsn, &given->arena, &enough, &given->made).code, ERR_NONE);
    arena_init(&little, 512);
    buf_clear(&enough);
    assert_int_equal(dsn_print(&given->dsn, &little, &enough, &given->made).code, ERR_OVER_LIMIT);
    arena_done(&little);
    buf_done(&small);
    buf_done(&enough);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, given_open, given_close)
    const struct CMUnitTest tests[] = {
        TEST(test_failed_report),
        TEST(test_kinds),
        TEST(test_given_up_with_4xx),
        TEST(test_gravest_names_the_report),
        TEST(test_advice_is_given_once),
        TEST(test_many_recipients),
        TEST(test_double_bounce),
        TEST(test_text_adds_nothing),
        TEST(test_text_is_clean_for_people),
        TEST(test_addresses_add_nothing),
        TEST(test_message_id_of_the_original),
        TEST(test_text_is_bounded),
        TEST(test_utf8),
        TEST(test_utf8_is_only_taken_where_needed),
        TEST(test_chinese),
        TEST(test_returns_body),
        TEST(test_whole_message),
        TEST(test_body_no_transport_can_carry),
        TEST(test_header_beyond_ascii),
        TEST(test_header_is_bounded),
        TEST(test_no_original),
        TEST(test_over_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
