/*
 * Who may send to whose domain, and what is said to whom about relaying.
 */
#include "base/test.h"

#define HOUSE_SETTINGS                                                                             \
    "hostname = mx.example.test\n"                                                                 \
    "smtp { relay_from = 192.0.2.64/26 }\n"                                                        \
    "domain backup.example { backup = yes }\n"                                                     \
    "domain example.test { deny_from = 192.0.2.0/28 allow_from = 192.0.2.7 }\n"
#include "core/house_test.h"

static uint64_t transactions;

static struct msg_answer resolve_from(const char *client, const char *recipient)
{
    static struct msg answer;
    struct msg_address address = {.text = str_from(recipient)};
    struct msg question = {.kind = MSG_resolve,
                           .resolve = {.transaction = ++transactions,
                                       .client = str_from(client),
                                       .server = STR("192.0.2.25"),
                                       .recipients = &address,
                                       .recipients_count = 1}};
    assert_false(err_is(house_ask(mx, question, &answer)));
    assert_int_equal(answer.resolved.answers_count, 1);
    return answer.resolved.answers[0];
}

static void strangers_are_denied_relaying(void **state)
{
    (void)state;
    struct msg_answer answer = resolve_from("192.0.2.128", "v@else.example");
    assert_int_equal(answer.error, ERR_RELAY_DENIED);
    assert_int_equal(answer.reply, 550);
    assert_int_equal(answer.text.n, 0);
    assert_int_equal(resolve_from("", "v@else.example").text.n, 0);
}

static void who_may_relay_is_relayed_for(void **state)
{
    (void)state;
    assert_int_equal(resolve_from("192.0.2.63", "v@else.example").error, ERR_RELAY_DENIED);
    assert_int_equal(resolve_from("192.0.2.64", "v@else.example").error, ERR_NONE);
    assert_int_equal(resolve_from("192.0.2.127", "v@else.example").reply, 250);
    assert_int_equal(resolve_from("192.0.2.128", "v@else.example").error, ERR_RELAY_DENIED);
    assert_int_equal(resolve_from("192.0.2.128", "v@Backup.Example").error, ERR_NONE);
    struct msg_answer answer = resolve_from("192.0.2.128", "v@sub.backup.example");
    assert_int_equal(answer.error, ERR_RELAY_DENIED);
}

static void a_domain_denies_whom_it_likes(void **state)
{
    (void)state;
    struct msg_answer answer = resolve_from("192.0.2.1", "bob@Example.Test");
    assert_int_equal(answer.error, ERR_ACCESS_DENIED);
    assert_int_equal(answer.reply, 550);
    assert_int_equal(answer.token, 0);
    assert_int_equal(resolve_from("192.0.2.1", "nobody@example.test").error, ERR_ACCESS_DENIED);
    assert_int_equal(resolve_from("192.0.2.7", "bob@example.test").error, ERR_NONE);
    assert_int_equal(resolve_from("192.0.2.16", "bob@example.test").error, ERR_NONE);
    assert_int_equal(resolve_from("::ffff:192.0.2.1", "bob@example.test").error, ERR_ACCESS_DENIED);
}

/* An edge answers others from what lasts (edge/smtp/known.h). */
static void what_depends_on_the_client_does_not_last(void **state)
{
    (void)state;
    assert_int_equal(resolve_from("192.0.2.16", "bob@example.test").lasts, 0);
    assert_int_equal(resolve_from("192.0.2.16", "postmaster@[192.0.2.25]").lasts, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(strangers_are_denied_relaying),
        TEST(who_may_relay_is_relayed_for),
        TEST(a_domain_denies_whom_it_likes),
        TEST(what_depends_on_the_client_does_not_last),
    };
    return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}
