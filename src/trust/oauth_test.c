#include "trust/oauth.h"

#include "base/test.h"

static struct arena arena;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, 1 << 20);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_wipe(&arena);
    return 0;
}

static const struct oauth_grant some = {.endpoint = STR_INIT("https://p.test/token"),
                                        .client_id = STR_INIT("id"),
                                        .client_secret = STR_INIT("hush&"),
                                        .refresh_token = STR_INIT("1//r+x"),
                                        .scope = STR_INIT("")};

/* --- The operator's file --- */

static void a_file_says_what_is_asked_and_where(void **state)
{
    struct oauth_grant grant;
    (void)state;
    assert_false(err_is(oauth_grant_parse(
        STR("{\"type\":\"authorized_user\",\"client_id\":\"id\",\"client_secret\":\"s\","
            "\"refresh_token\":\"r\",\"scope\":\"a b\",\"token_uri\":\"https://p.test/t\"}\n"),
        STR("https://preset.test/"), &arena, &grant)));
    assert_str(grant.endpoint, STR("https://p.test/t"));
    assert_str(grant.client_id, STR("id"));
    assert_str(grant.client_secret, STR("s"));
    assert_str(grant.refresh_token, STR("r"));
    assert_str(grant.scope, STR("a b"));
    assert_false(err_is(oauth_grant_parse(STR("{\"client_id\":\"id\",\"refresh_token\":\"r\"}"),
                                          STR("https://preset.test/"), &arena, &grant)));
    assert_str(grant.endpoint, STR("https://preset.test/"));
    assert_str(grant.client_secret, STR(""));
    assert_false(err_is(oauth_grant_parse(
        STR("{\"client_id\":\"id\",\"refresh_token\":\"r\",\"token_endpoint\":\"https://a/\","
            "\"token_uri\":\"https://b/\"}"),
        STR(""), &arena, &grant)));
    assert_str(grant.endpoint, STR("https://a/"));
}

static void a_file_that_cannot_do_says_why(void **state)
{
    static const char *const all[][2] = {
        {"", "is no JSON object"},
        {"refresh", "is no JSON object"},
        {"[\"refresh_token\"]", "is no JSON object"},
        {"{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{\"a\":{}}}}}}}", "is no JSON object"},
        {"{\"client_id\":\"id\"}", "has no refresh_token"},
        {"{\"client_id\":\"id\",\"refresh_token\":7}", "has no refresh_token"},
        {"{\"refresh_token\":\"r\"}", "has no client_id"},
        {"{\"client_id\":\"id\",\"refresh_token\":\"r\"}",
         "has no token_endpoint, and the route's preset names none"},
        {"{\"client_id\":\"id\",\"refresh_token\":\"r\",\"token_uri\":\"http://p.test/\"}",
         "has a token_endpoint that is no https URL"},
        {"{\"client_id\":\"id\",\"refresh_token\":\"r r\",\"token_uri\":\"https://p.test/\"}",
         "has a refresh_token that can be none"},
        {"{\"client_id\":\"i\\nd\",\"refresh_token\":\"r\",\"token_uri\":\"https://p.test/\"}",
         "has a client_id that can be none"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        struct oauth_grant grant;
        struct err e = oauth_grant_parse(str_from(all[i][0]), STR(""), &arena, &grant);
        assert_int_equal(e.code, ERR_CONFIG);
        assert_str(e.detail, str_from(all[i][1]));
    }
}

static void each_grant_has_a_digest_of_its_own(void **state)
{
    unsigned char first[SHA256_SIZE], other[SHA256_SIZE];
    struct oauth_grant grant = some;
    (void)state;
    oauth_grant_digest(&grant, first);
    grant.client_secret = STR("another");
    oauth_grant_digest(&grant, other);
    assert_memory_equal(first, other, SHA256_SIZE); /* the refresh token goes on */
    grant.refresh_token = STR("1//s");
    oauth_grant_digest(&grant, other);
    assert_memory_not_equal(first, other, SHA256_SIZE);
    grant = some;
    grant.client_id = STR("id1");
    grant.refresh_token = STR("//r+x");
    oauth_grant_digest(&grant, other);
    assert_memory_not_equal(first, other, SHA256_SIZE);
}

static void a_request_is_a_form(void **state)
{
    struct buf body = buf_in(&arena, OAUTH_REQUEST_MAX);
    struct oauth_grant grant = some;
    (void)state;
    assert_true(oauth_request_print(&grant, &body));
    assert_str(buf_built(&body), STR("grant_type=refresh_token&refresh_token=1%2F%2Fr%2Bx&"
                                     "client_id=id&client_secret=hush%26"));
    grant.client_secret = STR("");
    grant.scope = STR("https://mail.test/ offline_access");
    body = buf_in(&arena, OAUTH_REQUEST_MAX);
    assert_true(oauth_request_print(&grant, &body));
    assert_str(buf_built(&body),
               STR("grant_type=refresh_token&refresh_token=1%2F%2Fr%2Bx&client_id=id&"
                   "scope=https%3A%2F%2Fmail.test%2F%20offline_access"));
}

/* --- Answers --- */

static struct oauth_answer answered(unsigned status, const char *json)
{
    struct oauth_answer answer;
    assert_true(oauth_answer_parse(status, str_from(json), &some, &arena, &answer));
    return answer;
}

static void an_answer_has_a_token_and_its_time(void **state)
{
    (void)state;
    struct oauth_answer answer = answered(
        200,
        "{\"access_token\":\"a.b-c\",\"token_type\":\"bearer\",\"expires_in\":3599,\"x\":[1]}");
    assert_str(answer.access_token, STR("a.b-c"));
    assert_str(answer.refresh_token, STR(""));
    assert_str(answer.error, STR(""));
    assert_int_equal(answer.lasts, 3599);
    answer =
        answered(200, "{\"access_token\":\"a\",\"expires_in\":\"77\",\"refresh_token\":\"n\"}");
    assert_int_equal(answer.lasts, 77);
    assert_str(answer.refresh_token, STR("n"));
    assert_int_equal(answered(200, "{\"access_token\":\"a\"}").lasts, OAUTH_LASTS);
    assert_int_equal(answered(200, "{\"access_token\":\"a\",\"expires_in\":-1}").lasts,
                     OAUTH_LASTS);
    assert_int_equal(answered(200, "{\"access_token\":\"a\",\"expires_in\":99999999999}").lasts,
                     OAUTH_LASTS_MAX);
    assert_int_equal(answered(200, "{\"access_token\":\"a\",\"expires_in\":1e300}").lasts,
                     OAUTH_LASTS);
}

static void what_is_no_token_is_said(void **state)
{
    static const struct {
        unsigned status;
        const char *json, *error;
    } all[] = {
        {200, "<html>", "an answer that is no JSON object"},
        {200, "{}", "no access token that could be used"},
        {200, "{\"access_token\":\"a\\u0001b\"}", "no access token that could be used"},
        {200, "{\"access_token\":\"a\",\"token_type\":\"mac\"}", "a token that is no bearer token"},
        {200, "{\"access_token\":\"a\",\"refresh_token\":\"x y\"}",
         "a refresh token that could not be used"},
        {500, "{\"access_token\":\"a\"}", "a refusal without a reason"},
        {400, "{\"error\":\"invalid_grant\"}", "invalid_grant"},
        {200, "{\"error\":\"invalid_grant\",\"access_token\":\"a\"}", "invalid_grant"},
        {400, "{\"error\":7}", "an error without a name"},
        {400, "{\"error\":\"no\\r\\nname\"}", "an error without a name"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        struct oauth_answer answer = answered(all[i].status, all[i].json);
        assert_str(answer.error, str_from(all[i].error));
        assert_int_equal(answer.access_token.n, 0);
    }
}

static void a_description_is_plain_text_without_a_secret(void **state)
{
    (void)state;
    assert_str(answered(400, "{\"error\":\"invalid_grant\",\"error_description\":"
                             "\"AADSTS70000: \\u00e9x\\r\\n\\tTrace ID: 7\"}")
                   .why,
               STR("AADSTS70000: x Trace ID: 7"));
    assert_str(answered(400, "{\"error\":\"e\",\"error_description\":\"hush& is wrong\"}").why,
               STR(""));
    assert_str(answered(400, "{\"error\":\"e\",\"error_description\":\"no 1//r+x\"}").why, STR(""));
    assert_str(answered(400, "{\"error\":\"1//r+x\"}").error, STR("an error without a name"));
    char json[2000], long_one[1500];
    memset(long_one, 'a', sizeof(long_one) - 1);
    long_one[sizeof(long_one) - 1] = '\0';
    snprintf(json, sizeof(json), "{\"error\":\"e\",\"error_description\":\"%s\"}", long_one);
    assert_int_equal(answered(400, json).why.n, OAUTH_WHY_MAX);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_file_says_what_is_asked_and_where),          TEST(a_file_that_cannot_do_says_why),
        TEST(each_grant_has_a_digest_of_its_own),           TEST(a_request_is_a_form),
        TEST(an_answer_has_a_token_and_its_time),           TEST(what_is_no_token_is_said),
        TEST(a_description_is_plain_text_without_a_secret),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
