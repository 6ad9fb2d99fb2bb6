#include "base/test.h"

#include "conf/held.h"

static const struct conf *read_one(size_t *living, const char *text)
{
    const struct conf *conf;
    assert_false(err_is(conf_held_read(str_from(text), living, &conf)));
    return conf;
}

static void one_goes_with_its_last_holder(void **state)
{
    size_t living = 0;
    (void)state;
    const struct conf *conf = read_one(&living, "smtp { hops = 33 }");
    conf_hold(conf);
    conf_let_go(conf);
    assert_int_equal(living, 1);
    assert_int_equal(conf->smtp.hops, 33);
    conf_let_go(conf);
    assert_int_equal(living, 0);
}

static void what_is_wrong_is_not_held(void **state)
{
    size_t living = 0;
    const struct conf *conf;
    (void)state;
    assert_int_equal(conf_held_read(STR("smtp { hop = 33 }"), &living, &conf).code, ERR_CONFIG);
    assert_int_equal(living, 0);
}

/* They grew with every reload: the old ones stayed for as long as the process. */
static void a_hundred_reloads_leave_what_is_held(void **state)
{
    size_t living = 0;
    (void)state;
    const struct conf *now = read_one(&living, "smtp { hops = 33 }");
    const struct conf *session = conf_hold(now);
    for (int i = 0; i < 100; i++) {
        const struct conf *before = now;
        now = read_one(&living, "list many { files = { 10.0.0.0/8 192.0.2.1 } }");
        conf_let_go(before);
        assert_int_equal(living, 2);
    }
    assert_int_equal(session->smtp.hops, 33);
    conf_let_go(session);
    assert_int_equal(living, 1);
    conf_let_go(now);
    assert_int_equal(living, 0);
}

/* A request that began with one may have looked at those behind it. */
static void an_old_one_holds_those_behind_it(void **state)
{
    size_t living = 0;
    (void)state;
    const struct conf *now = read_one(&living, "");
    const struct conf *request = conf_hold(now);
    for (int i = 0; i < 100; i++) {
        const struct conf *before = now;
        now = read_one(&living, "");
        conf_follow(before, now);
        conf_let_go(before);
    }
    assert_int_equal(living, 101);
    conf_let_go(request);
    assert_int_equal(living, 1);
    conf_let_go(now);
    assert_int_equal(living, 0);
}

static void what_nobody_counts_may_be_held(void **state)
{
    static const struct conf own;
    size_t living = 0;
    (void)state;
    const struct conf *read = read_one(&living, "");
    conf_follow(&own, read);
    conf_follow(read, &own);
    conf_let_go(conf_hold(&own));
    conf_let_go(NULL);
    conf_let_go(read);
    assert_int_equal(living, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_goes_with_its_last_holder),
        cmocka_unit_test(what_is_wrong_is_not_held),
        cmocka_unit_test(a_hundred_reloads_leave_what_is_held),
        cmocka_unit_test(an_old_one_holds_those_behind_it),
        cmocka_unit_test(what_nobody_counts_may_be_held),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
