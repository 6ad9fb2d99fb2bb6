/*
 * Quotas at RCPT, where a size was declared, and at COMMIT, where it is known. carol has 1 KB.
 */
#include "base/test.h"

#define HOUSE_SETTINGS "hostname = mx.example.test\nsmtp { message_size = 4096 }\n"
#include "core/house_test.h"

/* A question of a message of which `size` octets were declared; `recipients` of them. */
static struct msg_resolved resolve_sized(uint64_t transaction, enum transmission transmission,
                                         uint64_t size, size_t count, const char *const *recipients)
{
    struct msg_address list[4];
    struct msg answer;
    for (size_t i = 0; i < count; i++)
        list[i] = (struct msg_address){.text = str_from(recipients[i])};
    struct msg question = {.kind = MSG_resolve,
                           .resolve = {.transaction = transaction,
                                       .transmission = (uint8_t)transmission,
                                       .client = STR("192.0.2.1"),
                                       .helo = STR("c.example"),
                                       .reverse_path = STR("x@c.example"),
                                       .size = size,
                                       .recipients = list,
                                       .recipients_count = count}};
    assert_false(err_is(house_ask(mx, question, &answer)));
    return answer.resolved;
}

static enum err_code carol_for(uint64_t size)
{
    static const char *const carol = "carol@example.test";
    return resolve_sized(7, TRANSMISSION_ESMTP, size, 1, &carol).answers[0].error;
}

/* A message of 5,000 declared octets went into a mailbox of 1 KB. */
static void a_declared_size_counts_at_rcpt(void **state)
{
    (void)state;
    static const char *const team = "team@example.test";
    char body[512];
    memset(body, 'x', sizeof(body));
    assert_int_equal(carol_for(1024), ERR_NONE);
    assert_int_equal(carol_for(1025), ERR_QUOTA_FULL);
    struct msg_answer answer = resolve_sized(8, TRANSMISSION_ESMTP, 1025, 1, &team).answers[0];
    assert_int_equal(answer.error, ERR_NONE);
    house_deliver(mx, 1, "carol@example.test", str_make(body, sizeof(body)), 1);
    assert_int_equal(carol_for(100), ERR_NONE);
    assert_int_equal(carol_for(512), ERR_QUOTA_FULL_LATER);
    assert_int_equal(carol_for(1025), ERR_QUOTA_FULL);
}

static const char *const BOB_AND_CAROL[] = {"bob@example.test", "carol@example.test"};

/* What lasts is not asked for again (edge/smtp/known.h): near a quota, RCPT has to say so. */
static void an_answer_lasts_where_there_is_much_room(void **state)
{
    (void)state;
    static const char *const team = "team@example.test"; /* carol is a member */
    struct msg_answer bob = resolve_sized(1, TRANSMISSION_ESMTP, 0, 1, BOB_AND_CAROL).answers[0];
    struct msg_answer list = resolve_sized(2, TRANSMISSION_ESMTP, 0, 1, &team).answers[0];
    struct msg_answer carol =
        resolve_sized(3, TRANSMISSION_ESMTP, 0, 1, BOB_AND_CAROL + 1).answers[0];
    assert_int_equal(carol.error, ERR_NONE);
    assert_true(bob.lasts);
    assert_false(carol.lasts || list.lasts);
}

static void the_last_octet_of_a_quota(void **state)
{
    (void)state;
    house_deliver(mx, 1, "carol@example.test", STR("x\r\n"), 1);
    struct msg_mailbox_rows rows = house_rows(box, house_enter(box, "carol@example.test"), 0);
    assert_int_equal(rows.rows_count, 1);
    uint64_t left = 1024 - rows.rows[0].size;
    assert_int_equal(carol_for(left - 1), ERR_NONE);
    assert_int_equal(carol_for(left), ERR_NONE);
    assert_int_equal(carol_for(left + 1), ERR_QUOTA_FULL_LATER);
}

/* Offers 2 KB, of whose size nothing was said, to the last `count` of bob and carol. */
static struct msg_committed offer_two_kb(uint64_t transaction, enum transmission transmission,
                                         size_t count)
{
    static char body[2048];
    struct offer offer;
    struct msg answer;
    memset(body, 'x', sizeof(body));
    resolve_sized(transaction, transmission, 0, count, BOB_AND_CAROL + 2 - count);
    offer_make(&offer, mx, transaction, str_make(body, sizeof(body)), count, transaction);
    assert_false(err_is(house_ask(mx, offer.msg, &answer)));
    return answer.committed;
}

static void no_room_at_the_end_of_the_message(void **state)
{
    (void)state;
    assert_int_equal(offer_two_kb(1, TRANSMISSION_ESMTP, 1).error, ERR_QUOTA_FULL);
    assert_int_equal(offer_two_kb(2, TRANSMISSION_LMTP, 1).error, ERR_QUOTA_FULL);
    assert_int_equal(house_count(box, "carol@example.test"), 0);
    /* LMTP: a reply of her own. */
    struct msg_committed committed = offer_two_kb(3, TRANSMISSION_LMTP, 2);
    assert_int_equal(committed.error, ERR_NONE);
    assert_int_equal(committed.outcomes[0].error, ERR_NONE);
    assert_int_equal(committed.outcomes[1].error, ERR_QUOTA_FULL);
    assert_int_equal(house_count(box, "carol@example.test"), 0);
    assert_int_equal(house_count(box, "bob@example.test"), 1);
    /* SMTP: one reply for both, so she may pass her quota, once. */
    committed = offer_two_kb(4, TRANSMISSION_ESMTP, 2);
    assert_int_equal(committed.error, ERR_NONE);
    assert_int_equal(committed.outcomes[1].error, ERR_NONE);
    assert_int_equal(house_count(box, "carol@example.test"), 1);
    assert_int_equal(carol_for(0), ERR_QUOTA_FULL_LATER);
}

/* A list would leave carol out; she is a recipient herself, and keeps her copy. */
static void a_recipient_keeps_the_copy_that_a_list_would_leave_out(void **state)
{
    (void)state;
    static const char *const recipients[] = {"team@example.test", "carol@example.test"};
    static char body[2048];
    struct offer offer;
    struct msg answer;
    memset(body, 'x', sizeof(body));
    resolve_sized(1, TRANSMISSION_ESMTP, 0, 2, recipients);
    offer_make(&offer, mx, 1, str_make(body, sizeof(body)), 2, 1);
    assert_false(err_is(house_ask(mx, offer.msg, &answer)));
    assert_int_equal(answer.committed.error, ERR_NONE);
    assert_int_equal(house_count(box, "carol@example.test"), 1);
    assert_int_equal(house_count(box, "alice@example.test"), 1);
}

/* The edge looks first; core believes it nothing. */
static void the_size_of_a_message_is_looked_at_again(void **state)
{
    (void)state;
    static const char *const bob = "bob@example.test";
    static char body[4097];
    memset(body, 'x', sizeof(body));
    for (size_t n = 4095; n <= 4097; n++) {
        struct offer offer;
        struct msg answer;
        resolve_sized(n, TRANSMISSION_ESMTP, 0, 1, &bob);
        offer_make(&offer, mx, n, str_make(body, n), 1, n);
        assert_false(err_is(house_ask(mx, offer.msg, &answer)));
        assert_int_equal(answer.committed.error, n > 4096 ? ERR_MESSAGE_TOO_LARGE : ERR_NONE);
    }
    assert_int_equal(house_count(box, "bob@example.test"), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_declared_size_counts_at_rcpt),
        TEST(an_answer_lasts_where_there_is_much_room),
        TEST(the_last_octet_of_a_quota),
        TEST(no_room_at_the_end_of_the_message),
        TEST(a_recipient_keeps_the_copy_that_a_list_would_leave_out),
        TEST(the_size_of_a_message_is_looked_at_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
