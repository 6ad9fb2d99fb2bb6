/*
 * Access tokens of routes: when one is asked for, who waits for it, what becomes of one that the
 * host refuses, and of the refresh token that came with it.
 */
#include "core/tokens.h"

#include "core/courier_rig_test.h"
#include "core/secrets.h"
#include "store/route_token.h"

#define SETTINGS                                                                                   \
    "postmaster = bob@example.test\n"                                                              \
    "smtp { relay_from = \"0.0.0.0/0\" } sending { processes = 1 }\n"                              \
    "route smart { to = far.test via = s.test:465 user = u oauth_file = f }\n"
#define HOUR (3600 * NS_PER_SECOND)

enum {
    ASKED_MAX = 16
};

static struct msg asked[ASKED_MAX]; /* of the token endpoint, in order */
static size_t asked_count;
static struct tokens *tokens;

static void heard_token(struct edge_end *edge, const struct msg *msg)
{
    if (msg->kind != MSG_token_ask) {
        heard(edge, msg);
        return;
    }
    assert_true(asked_count < ASKED_MAX);
    assert_false(err_is(msg_copy(msg, &house.arena, &asked[asked_count++])));
}

static bool grant(const char *via, const char *json)
{
    const struct msg_route_secret told = {.name = STR("smart"),
                                          .via = str_from(via),
                                          .grant = 1,
                                          .endpoint = STR("https://p.test/token"),
                                          .secret = str_from(json)};
    bool changed;
    assert_false(err_is(tokens_take(tokens, &told, &changed)));
    return changed;
}

#define FILE_OF(refresh)                                                                           \
    "{\"client_id\":\"id\",\"client_secret\":\"s\",\"refresh_token\":\"" refresh "\"}"

static int begin(void **state)
{
    (void)state;
    open_house(SETTINGS);
    courier->heard = heard_token;
    asked_count = 0;
    tokens = tokens_new();
    assert_non_null(tokens);
    house.core.tokens = tokens;
    grant("s.test:465", FILE_OF("first"));
    return 0;
}

static int end(void **state)
{
    teardown(state);
    tokens_free(tokens);
    return 0;
}

/* --- What the token endpoint says --- */

static void answer_with(size_t i, const char *access, const char *refresh, uint32_t lasts,
                        const char *error)
{
    assert_true(i < asked_count);
    struct msg msg = {.kind = MSG_token_told,
                      .token_told = {.call = asked[i].token_ask.call,
                                     .access_token = str_from(access),
                                     .refresh_token = str_from(refresh),
                                     .lasts = lasts,
                                     .error = str_from(error),
                                     .why = STR("")}};
    edge_end_tell(courier, &msg);
    house_settle(&house);
}

static void answer(size_t i, const char *access)
{
    answer_with(i, access, "", 3600, "");
}

static void refused(const struct msg_job *job)
{
    over_with(job, JOB_LATER, 535, STR("5.7.8"), STR("no"), JOB_TROUBLE_LOGIN, false);
}

static struct token_found found_now(const char *via)
{
    struct token_found found;
    assert_true(tokens_find(&house.core, STR("smart"), str_from(via), &found));
    return found;
}

static struct str refresh_of(size_t i)
{
    assert_true(i < asked_count);
    return asked[i].token_ask.refresh_token;
}

/* --- When --- */

static void all_wait_for_one_request(void **state)
{
    (void)state;
    assert_int_equal(asked_count, 0); /* nobody needs it */
    send_one("a@far.test");
    send_one("b@far.test");
    send_one("c@near.test");
    assert_int_equal(asked_count, 1);
    assert_str(asked[0].token_ask.endpoint, STR("https://p.test/token"));
    assert_str(asked[0].token_ask.client_id, STR("id"));
    assert_str(asked[0].token_ask.client_secret, STR("s"));
    assert_str(refresh_of(0), STR("first"));
    assert_int_equal(job_count, 1); /* others' mail does not wait */
    answer(0, "A1");
    assert_int_equal(job_count, 3);
    assert_str(job_at(1)->password, STR("A1"));
    assert_int_equal(job_at(1)->token, 1);
    assert_str(job_at(2)->password, STR("A1"));
    over_sent(job_at(1));
    send_one("d@far.test");
    assert_int_equal(asked_count, 1);
    assert_str(job_at(3)->password, STR("A1"));
}

/* Five minutes before its end, or a quarter of its time. */
static void an_old_one_is_renewed_and_used_to_its_end(void **state)
{
    (void)state;
    send_one("a@far.test");
    answer_with(0, "A1", "", 3600, "");
    over_sent(job_at(0));
    house_pass(&house, HOUR - 301 * NS_PER_SECOND);
    send_one("b@far.test");
    assert_int_equal(asked_count, 1);
    over_sent(job_at(1));
    house_pass(&house, 2 * NS_PER_SECOND);
    send_one("c@far.test");
    assert_int_equal(asked_count, 2);
    answer_with(1, "", "", 0, "temporarily_unavailable");
    assert_str(job_at(2)->password, STR("A1")); /* it is good for some minutes */
    over_sent(job_at(2));
    house_pass(&house, 300 * NS_PER_SECOND);
    send_one("d@far.test");
    assert_int_equal(asked_count, 3);
    answer_with(2, "A2", "", 40, "");
    assert_str(job_at(3)->password, STR("A2"));
    over_sent(job_at(3));
    house_pass(&house, 29 * NS_PER_SECOND);
    send_one("x@far.test");
    assert_int_equal(asked_count, 3);
    over_sent(job_at(4));
    house_pass(&house, 2 * NS_PER_SECOND);
    send_one("e@far.test");
    assert_int_equal(asked_count, 4);
}

/* --- Refused --- */

static void a_refused_one_is_renewed_once(void **state)
{
    (void)state;
    uint64_t message = send_one("a@far.test");
    answer(0, "A1");
    refused(job_at(0));
    assert_int_equal(house_count(box, "bob@example.test"), 0);
    assert_int_equal(asked_count, 2);
    answer(1, "A2");
    assert_int_equal(job_count, 2); /* at once */
    assert_str(job_at(1)->password, STR("A2"));
    refused(job_at(1));
    assert_int_equal(asked_count, 2);
    assert_int_equal(job_count, 2);
    assert_told(message, "535 5.7.8 no");
    house_pass(&house, HOUR / 2);
    assert_int_equal(asked_count, 2); /* the log-in itself is refused: no token helps */
    assert_int_equal(job_count, 3);
    over_sent(job_at(2));
    send_one("b@far.test");
    refused(job_at(3)); /* one was taken meanwhile: this one may have been withdrawn */
    assert_int_equal(asked_count, 3);
}

/* Of several that went with the same token one asks for another. */
static void one_refusal_is_enough(void **state)
{
    (void)state;
    send_one("a@far.test");
    send_one("b@far.test");
    answer(0, "A1");
    assert_int_equal(job_count, 2);
    refused(job_at(0));
    answer(1, "A2");
    assert_int_equal(job_count, 3);
    refused(job_at(1));
    assert_int_equal(asked_count, 2);
    assert_int_equal(job_count, 4);
    assert_str(job_at(3)->password, STR("A2"));
}

static void what_is_no_refusal_of_a_token_renews_none(void **state)
{
    (void)state;
    send_one("a@far.test");
    answer(0, "A1");
    over_with(job_at(0), JOB_LATER, 550, STR("5.4.5"), STR("today's limit"), JOB_TROUBLE_LOGIN,
              false);
    house_pass(&house, HOUR / 6);
    assert_int_equal(asked_count, 1);
    assert_str(job_at(1)->password, STR("A1"));
}

/* --- The refresh token --- */

static void one_that_was_rotated_is_durable_before_its_token_is_used(void **state)
{
    (void)state;
    send_one("a@far.test");
    answer_with(0, "A1", "second", 3600, "");
    assert_int_equal(job_count, 1);
    house_crash(&house);
    tokens_free(tokens);
    house_start(&house);
    tokens = tokens_new();
    house.core.tokens = tokens;
    grant("s.test:465", FILE_OF("first")); /* the file is what it was */
    edge_end_connect(mx);
    edge_end_connect(box);
    edge_end_connect(courier);
    courier_ready(NULL, 0);
    send_one("b@far.test");
    house_pass(&house, HOUR);
    assert_int_equal(asked_count, 2);
    assert_str(refresh_of(1), STR("second"));
    answer_with(1, "", "", 0, "invalid_grant");
    assert_true(grant("s.test:465", FILE_OF("anew"))); /* the operator logged in anew */
    house_pass(&house, 2 * HOUR);
    assert_str(refresh_of(2), STR("anew"));
}

static void who_must_log_in_anew_is_told_and_not_asked_for_an_hour(void **state)
{
    (void)state;
    uint64_t message = send_one("a@far.test");
    answer_with(0, "", "", 0, "invalid_grant");
    assert_told(message, "the refresh token of route smart is good no more: invalid_grant. Log in "
                         "at the provider anew, and put the new refresh token into its oauth_file");
    assert_true(found_now("s.test:465").refused);
    assert_int_equal(house_count(box, "bob@example.test"), 1); /* he can mend it */
    assert_says(newest("bob@example.test"), "Log in at the provider anew");
    house_pass(&house, HOUR - NS_PER_SECOND);
    assert_int_equal(asked_count, 1);
    assert_false(grant("s.test:465", FILE_OF("first"))); /* looked at, and the same */
    house_pass(&house, HOUR);
    assert_int_equal(asked_count, 2);
    assert_int_equal(job_count, 0);
    answer(1, "A1");
    assert_int_equal(job_count, 1);
    assert_false(found_now("s.test:465").refused);
}

/* --- Whose --- */

static void a_token_is_for_its_hosts(void **state)
{
    struct token_found found;
    (void)state;
    send_one("a@far.test");
    answer(0, "A1");
    assert_str(found_now("s.test:465").token, STR("A1"));
    assert_false(tokens_find(&house.core, STR("smart"), STR("evil.test:465"), &found));
    assert_int_equal(found.token.n, 0);
    assert_true(grant("evil.test:465", FILE_OF("first")));
    assert_int_equal(found_now("evil.test:465").token.n, 0);
    over_sent(job_at(0));
    send_one("b@far.test");
    assert_int_equal(asked_count, 1);
    assert_int_equal(job_count, 1);
}

/* A file that is another one while the endpoint thinks: its answer is nobody's. */
static void an_answer_for_a_file_that_was_changed_is_not_used(void **state)
{
    (void)state;
    send_one("a@far.test");
    assert_true(grant("s.test:465", FILE_OF("anew")));
    answer(0, "A1");
    assert_int_equal(found_now("s.test:465").token.n, 0);
    assert_int_equal(job_count, 0);
    house_pass(&house, HOUR / 6);
    assert_int_equal(asked_count, 2);
    assert_str(refresh_of(1), STR("anew"));
    const struct msg_route_secret none = {
        .name = STR("smart"), .via = STR("s.test:465"), .secret = STR("password")};
    bool changed;
    assert_false(err_is(tokens_take(tokens, &none, &changed)));
    answer(1, "A2");
    struct token_found found;
    assert_false(tokens_find(&house.core, STR("smart"), STR("s.test:465"), &found));
}

/* --- Routes that are no more --- */

static void duty_run(struct rig *rig, void *arg)
{
    (void)rig;
    (void)arg;
    assert_false(err_is(tokens_duty(&house.core)));
}

static void kept_write(struct rig *rig, void *arg)
{
    struct route_token token = {.since = world_wall(&rig->fake->world) -
                                         *(int *)arg * INT64_C(86400) * US_PER_SECOND,
                                .refresh_token = STR("r")};
    assert_false(err_is(route_token_write(rig->engine, STR("gone"), &token)));
    assert_false(err_is(route_token_write(rig->engine, STR("smart"), &token)));
}

static void kept_count(struct rig *rig, void *arg)
{
    struct str *names;
    assert_false(err_is(route_token_names(rig->engine, 10, &house.arena, &names, arg)));
}

static void the_store_lets_go_of_routes_that_are_no_more(void **state)
{
    int days[] = {TOKENS_KEPT_DAYS - 1, TOKENS_KEPT_DAYS + 1};
    size_t count;
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        assert_true(rig_do(&house.rig, kept_write, &days[i]));
        assert_true(rig_do(&house.rig, duty_run, NULL));
        assert_true(rig_do(&house.rig, kept_count, &count));
        assert_int_equal(count, 2 - i);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(all_wait_for_one_request),
        TEST(an_old_one_is_renewed_and_used_to_its_end),
        TEST(a_refused_one_is_renewed_once),
        TEST(one_refusal_is_enough),
        TEST(what_is_no_refusal_of_a_token_renews_none),
        TEST(one_that_was_rotated_is_durable_before_its_token_is_used),
        TEST(who_must_log_in_anew_is_told_and_not_asked_for_an_hour),
        TEST(a_token_is_for_its_hosts),
        TEST(an_answer_for_a_file_that_was_changed_is_not_used),
        TEST(the_store_lets_go_of_routes_that_are_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
