#include "base/test.h"

#include "format/dsn.h"

struct said {
    unsigned code;
    struct status_code status;
    const char *text;
    enum dsn_cause cause;
};

/* As servers say it; names and addresses are changed. */
static const struct said replies[] = {
    /* Full */
    {552,
     {5, 2, 2},
     "5.2.2 The recipient's inbox is out of storage space and inactive.",
     DSN_CAUSE_MAILBOX_FULL},
    {452,
     {4, 2, 2},
     "4.2.2 The email account that you tried to reach is over quota.",
     DSN_CAUSE_MAILBOX_FULL},
    {554,
     {0},
     "delivery error: dd Sorry, your message to x cannot be delivered. Mailbox full",
     DSN_CAUSE_MAILBOX_FULL},
    /* Unknown */
    {550,
     {5, 1, 1},
     "5.1.1 The email account that you tried to reach does not exist.",
     DSN_CAUSE_NO_SUCH_USER},
    {550,
     {5, 1, 10},
     "5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address "
     "lookup",
     DSN_CAUSE_NO_SUCH_USER},
    {550,
     {5, 4, 1},
     "5.4.1 Recipient address rejected: Access denied. AS(201806281)",
     DSN_CAUSE_NO_SUCH_USER},
    {550,
     {5, 5, 0},
     "5.5.0 Requested action not taken: mailbox unavailable (S2017062302).",
     DSN_CAUSE_NO_SUCH_USER},
    {550, {0}, "Unrouteable address", DSN_CAUSE_NO_SUCH_USER},
    {550,
     {0},
     "The recipient may contain a non-existent account, please check the recipient "
     "address.",
     DSN_CAUSE_NO_SUCH_USER},
    {550, {5, 1, 2}, "5.1.2 no such domain", DSN_CAUSE_NO_SUCH_DOMAIN},
    {556, {5, 1, 10}, "5.1.10 the domain takes no mail", DSN_CAUSE_NULL_MX},
    {553, {5, 1, 3}, "5.1.3 bad address", DSN_CAUSE_ADDRESS_SYNTAX},
    {550,
     {5, 2, 1},
     "5.2.1 The email account that you tried to reach is disabled.",
     DSN_CAUSE_DISABLED},
    {450,
     {4, 2, 1},
     "4.2.1 The user you are trying to contact is receiving mail at a rate that "
     "prevents additional messages from being delivered.",
     DSN_CAUSE_RATE_LIMITED},
    /* Reputation */
    {550,
     {5, 7, 1},
     "5.7.1 Unfortunately, messages from [192.0.2.1] weren't sent. Please contact "
     "your Internet service provider since part of their network is on our block "
     "list (S3150).",
     DSN_CAUSE_REPUTATION},
    {550,
     {5, 7, 606},
     "5.7.606 Access denied, banned sending IP [192.0.2.1]",
     DSN_CAUSE_REPUTATION},
    {554,
     {5, 7, 1},
     "5.7.1 Service unavailable; Client host [192.0.2.1] blocked using "
     "zen.spamhaus.org; https://www.spamhaus.org/query/ip/192.0.2.1",
     DSN_CAUSE_REPUTATION},
    {421,
     {4, 7, 0},
     "4.7.0 Our system has detected that this message is suspicious due to the very "
     "low\nreputation of the sending IP address.",
     DSN_CAUSE_REPUTATION},
    {554, {0}, "DT:RBL 192.0.2.1", DSN_CAUSE_REPUTATION},
    {550,
     {5, 7, 25},
     "5.7.25 The IP address sending this message does not have a PTR record setup",
     DSN_CAUSE_REVERSE_DNS},
    {450,
     {4, 7, 1},
     "4.7.1 Client host rejected: cannot find your hostname, [192.0.2.1]",
     DSN_CAUSE_REVERSE_DNS},
    /* Authentication */
    {550,
     {5, 7, 26},
     "5.7.26 This mail has been blocked because the sender is unauthenticated.",
     DSN_CAUSE_AUTHENTICATION},
    {550,
     {5, 7, 1},
     "5.7.1 Email rejected per DMARC policy for example.org",
     DSN_CAUSE_AUTHENTICATION},
    {550,
     {5, 7, 515},
     "5.7.515 Access denied, sending domain example.org does not meet the "
     "required authentication level.",
     DSN_CAUSE_AUTHENTICATION},
    {550, {0}, "MI:SPF example.org 192.0.2.1", DSN_CAUSE_AUTHENTICATION},
    /* Content and rules */
    {554, {5, 7, 1}, "5.7.1 Message rejected as spam by content filtering", DSN_CAUSE_SPAM},
    {550, {0}, "Mail content denied", DSN_CAUSE_SPAM},
    {554, {0}, "DT:SPM 163 smtp1", DSN_CAUSE_SPAM},
    {550, {5, 7, 1}, "5.7.1 This message contains a virus", DSN_CAUSE_MALWARE},
    {550, {5, 7, 1}, "5.7.1 Go away", DSN_CAUSE_POLICY},
    {550, {5, 7, 1}, "5.7.1 Unable to relay", DSN_CAUSE_RELAY_DENIED},
    {554, {5, 7, 1}, "5.7.1 <bob@example.net>: Relay access denied", DSN_CAUSE_RELAY_DENIED},
    {552, {5, 3, 4}, "5.3.4 Message size exceeds fixed limit", DSN_CAUSE_TOO_LARGE},
    {552, {0}, "message too big", DSN_CAUSE_TOO_LARGE},
    {530, {5, 7, 0}, "5.7.0 Must issue a STARTTLS command first", DSN_CAUSE_TLS_REQUIRED},
    {0, {4, 7, 5}, "certificate of mx.example.net does not name it", DSN_CAUSE_TLS_REQUIRED},
    {553, {5, 1, 8}, "5.1.8 Sender address rejected: Domain not found", DSN_CAUSE_SENDER_REJECTED},
    {550, {0}, "Sender verify failed", DSN_CAUSE_SENDER_REJECTED},
    /* Later */
    {450,
     {4, 2, 0},
     "4.2.0 <bob@example.net>: Recipient address rejected: Greylisted",
     DSN_CAUSE_GREYLISTED},
    {451, {0}, "try again", DSN_CAUSE_GREYLISTED},
    {421,
     {4, 7, 28},
     "4.7.28 Gmail has detected an unusual rate of unsolicited mail",
     DSN_CAUSE_RATE_LIMITED},
    {550, {0}, "Domain frequency limited", DSN_CAUSE_RATE_LIMITED},
    {0, {4, 4, 1}, "connection to mx.example.net[192.0.2.1] timed out", DSN_CAUSE_UNREACHABLE},
    {0, {0}, "connection refused", DSN_CAUSE_UNREACHABLE},
    {0, {4, 4, 3}, "no answer from the name servers", DSN_CAUSE_DNS_FAULT},
    {554, {5, 4, 6}, "5.4.6 Too many hops", DSN_CAUSE_LOOP},
    {554, {0}, "mail for example.net loops back to myself", DSN_CAUSE_LOOP},
    {0, {4, 4, 7}, "delivery time expired", DSN_CAUSE_EXPIRED},
    {554, {5, 6, 1}, "5.6.1 8-bit body", DSN_CAUSE_UNCONVERTIBLE},
    {553, {5, 6, 7}, "5.6.7 SMTPUTF8 needed", DSN_CAUSE_NEEDS_UTF8},
    {451, {4, 3, 0}, "4.3.0 Temporary system problem", DSN_CAUSE_REMOTE_FAULT},
    /* Nothing to go by */
    {550, {0}, "No", DSN_CAUSE_UNKNOWN},
    {550, {5, 0, 0}, "", DSN_CAUSE_UNKNOWN},
    {0, {0}, "", DSN_CAUSE_UNKNOWN},
};

static void test_replies(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(replies) / sizeof(replies[0]); i++) {
        enum dsn_cause cause =
            dsn_cause(replies[i].code, replies[i].status, str_from(replies[i].text));
        if (cause != replies[i].cause)
            print_error("%s\n", replies[i].text);
        assert_str(dsn_cause_word(cause), dsn_cause_word(replies[i].cause));
    }
}

/* What looks like a word of ours and is none. */
static void test_words_are_whole(void **state)
{
    static const char *const texts[] = {
        "<spam@example.net> no",
        "see https://example.net/spam?why=spf",
        "Marble hall",
        "antispamming",
        "spf-like@dmarc.example",
        "(virus@example.net)",
        "the quotation",
        "\xe6\xbb\xa1spam",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_str(dsn_cause_word(dsn_cause(550, (struct status_code){0}, str_from(texts[i]))),
                   STR("unknown"));
    assert_str(dsn_cause_word(dsn_cause(550, (struct status_code){0}, STR("SPAM."))), STR("spam"));
    assert_str(dsn_cause_word(dsn_cause(550, (struct status_code){0}, STR("is\nspam"))),
               STR("spam"));
    assert_str(dsn_cause_word(dsn_cause(550, (struct status_code){0}, STR("mailbox \t full"))),
               STR("mailbox-full"));
}

static void test_long_text(void **state)
{
    static char text[DSN_TEXT_MAX + 16];
    (void)state;
    memset(text, 'x', sizeof(text));
    memcpy(text + DSN_TEXT_MAX - 5, " spam", 5);
    assert_int_equal(dsn_cause(550, (struct status_code){0}, str_make(text, DSN_TEXT_MAX)),
                     DSN_CAUSE_SPAM);
    memset(text, ' ', sizeof(text));
    assert_int_equal(dsn_cause(550, (struct status_code){0}, str_make(text, sizeof(text))),
                     DSN_CAUSE_UNKNOWN);
    memset(text, 'x', sizeof(text));
    memcpy(text + DSN_TEXT_MAX, " spam", 5);
    assert_int_equal(dsn_cause(550, (struct status_code){0}, str_make(text, sizeof(text))),
                     DSN_CAUSE_UNKNOWN);
}

static void test_texts(void **state)
{
    (void)state;
    for (int cause = 0; cause < DSN_CAUSES; cause++) {
        enum dsn_cause again;
        assert_true(dsn_cause_parse(dsn_cause_word((enum dsn_cause)cause), &again));
        assert_int_equal(again, cause);
        for (int language = 0; language < LANGUAGES; language++) {
            struct str text = dsn_cause_text((enum dsn_cause)cause, (enum language)language);
            struct str advice = dsn_cause_advice((enum dsn_cause)cause, (enum language)language);
            assert_true(text.n > 0 && advice.n > 0 && str_is_utf8(text) && str_is_utf8(advice));
            assert_true(str_index(text, '\n') < 0 && str_index(advice, '\n') < 0);
            assert_int_equal(str_is_ascii(text), language == LANGUAGE_ENGLISH);
            assert_int_equal(str_is_ascii(advice), language == LANGUAGE_ENGLISH);
        }
    }
    enum dsn_cause none;
    assert_false(dsn_cause_parse(STR("nothing"), &none));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replies),
        cmocka_unit_test(test_words_are_whole),
        cmocka_unit_test(test_long_text),
        cmocka_unit_test(test_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
