#include "base/test.h"

#include <string.h>

#include "conf/own_sts.h"
#include "format/mta_sts.h"

static struct arena arena;
static struct conf conf;

static int open_arena(void **state)
{
    (void)state;
    arena_init(&arena, CONF_ARENA);
    return 0;
}

static int close_arena(void **state)
{
    (void)state;
    arena_done(&arena);
    return 0;
}

static void configured(const char *text)
{
    struct conf_trouble trouble;
    struct err e = conf_parse(str_from(text), STR("f"), STR("/"), &arena, &conf, &trouble);
    if (err_is(e))
        print_error("%.*s\n", STR_FMT(buf_str(&trouble.text)));
    assert_false(err_is(e));
    buf_done(&trouble.text);
}

static struct str policy_of(const char *domain)
{
    struct buf text = buf_in(&arena, CONF_STS_MAX);
    bool served = conf_sts_print(&conf, str_from(domain), &text);
    return served ? buf_built(&text) : str_null();
}

#define BLOCKS                                                                                     \
    "hostname = mail.a.example\n"                                                                  \
    "domain a.example {\n mta_sts = enforce\n}\n"                                                  \
    "domain b.example {\n mta_sts = testing\n mta_sts_max_age = 1d\n"                              \
    " mta_sts_mx = { mx.b.example, *.c.example }\n}\n"                                             \
    "domain d.example {\n mta_sts = none\n mta_sts_mx = mx.b.example\n}\n"                         \
    "domain e.example {\n backup = yes\n}\n"

static void what_is_served(void **state)
{
    (void)state;
    configured(BLOCKS);
    assert_str(policy_of("a.example"),
               STR("version: STSv1\nmode: enforce\nmx: mail.a.example\nmax_age: 1209600\n"));
    assert_str(policy_of("B.Example"), STR("version: STSv1\nmode: testing\nmx: mx.b.example\n"
                                           "mx: *.c.example\nmax_age: 86400\n"));
    assert_str(policy_of("d.example"), STR("version: STSv1\nmode: none\nmax_age: 1209600\n"));
    assert_null(policy_of("e.example").p);
    assert_null(policy_of("f.example").p);
    assert_null(policy_of("").p);
}

/* What we serve is what we would take from others. */
static void it_is_a_policy(void **state)
{
    (void)state;
    struct mta_sts_policy policy;
    struct str wrong;
    configured(BLOCKS);
    assert_true(mta_sts_policy_parse(policy_of("b.example"), &arena, &policy, &wrong));
    assert_int_equal(policy.mode, MTA_STS_TESTING);
    assert_true(mta_sts_allows(&policy, STR("x.c.example")));
    assert_true(mta_sts_policy_parse(policy_of("d.example"), &arena, &policy, &wrong));
}

static void its_id_follows_it(void **state)
{
    (void)state;
    char before[CONF_STS_ID], same[CONF_STS_ID], after[CONF_STS_ID];
    configured(BLOCKS);
    conf_sts_id(&conf, STR("a.example"), before);
    assert_int_equal(strlen(before), CONF_STS_ID - 1);
    configured("hostname = mail.a.example\nsmtp {\n hops = 20\n}\n"
               "domain a.example {\n mta_sts = enforce\n}\n");
    conf_sts_id(&conf, STR("A.example"), same);
    assert_string_equal(before, same);
    configured("hostname = other.a.example\ndomain a.example {\n mta_sts = enforce\n}\n");
    conf_sts_id(&conf, STR("a.example"), after);
    assert_string_not_equal(before, after);
    conf_sts_id(&conf, STR("e.example"), after);
    assert_string_equal(after, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_served, open_arena, close_arena),
        cmocka_unit_test_setup_teardown(it_is_a_policy, open_arena, close_arena),
        cmocka_unit_test_setup_teardown(its_id_follows_it, open_arena, close_arena),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
