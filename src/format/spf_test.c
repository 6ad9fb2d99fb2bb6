#include "format/spf.h"

#include "base/test.h"

static struct arena arena;

static int open_arena(void **state)
{
    (void)state;
    arena_init(&arena, 1 << 20);
    return 0;
}

static int close_arena(void **state)
{
    (void)state;
    arena_done(&arena);
    return 0;
}

static bool parsed(struct str text, struct spf_record *record_r)
{
    struct str wrong, where;
    return spf_parse(text, &arena, record_r, &wrong, &where);
}

static void one_record_is_found(void **state)
{
    const struct str texts[] = {STR("google-site-verification=x"), STR("v=spf10 -all"),
                                STR("V=SPF1 -all"), STR("v=spf1")};
    struct str record, wrong;
    (void)state;
    assert_true(spf_find(texts, 3, &record, &wrong));
    assert_str(record, STR("V=SPF1 -all"));
    assert_false(spf_find(texts, 4, &record, &wrong));
    assert_non_null(wrong.p);
    assert_false(spf_find(texts, 2, &record, &wrong));
    assert_null(wrong.p);
}

static void terms_are_read(void **state)
{
    struct spf_record record;
    (void)state;
    assert_true(
        parsed(STR("v=spf1  a MX:mail.example/24//64 ~ip4:192.0.2.0/24 ?ip6:2001:db8::/32 "
                   "-include:%{d}.spf.example exists:x.example x-y=z redirect=o.example -all"),
               &record));
    assert_int_equal(record.count, 7);
    const struct spf_term *terms = record.terms;
    assert_int_equal(terms[0].mechanism, SPF_A);
    assert_int_equal(terms[0].domain.n, 0);
    assert_int_equal(terms[0].v4, 32);
    assert_int_equal(terms[0].v6, 128);
    assert_int_equal(terms[1].mechanism, SPF_MX);
    assert_str(terms[1].domain, STR("mail.example"));
    assert_int_equal(terms[1].v4, 24);
    assert_int_equal(terms[1].v6, 64);
    assert_int_equal(terms[2].result, SPF_SOFTFAIL);
    assert_int_equal(terms[2].network.bits, 96 + 24);
    assert_int_equal(terms[3].result, SPF_NEUTRAL);
    assert_int_equal(terms[3].network.bits, 32);
    assert_int_equal(terms[4].result, SPF_FAIL);
    assert_true(terms[4].macro);
    assert_false(terms[5].macro);
    assert_int_equal(terms[6].mechanism, SPF_ALL);
    assert_str(record.redirect, STR("o.example"));
    assert_true(spf_asks(&terms[0]) && spf_asks(&terms[5]) && !spf_asks(&terms[6]));
}

static void bits_alone_are_bits(void **state)
{
    struct spf_record record;
    (void)state;
    assert_true(parsed(STR("v=spf1 a/24 a//64 mx/0//0 a:h.example//48"), &record));
    assert_int_equal(record.terms[0].v4, 24);
    assert_int_equal(record.terms[0].v6, 128);
    assert_int_equal(record.terms[1].v4, 32);
    assert_int_equal(record.terms[1].v6, 64);
    assert_int_equal(record.terms[2].v4 + record.terms[2].v6, 0);
    assert_str(record.terms[3].domain, STR("h.example"));
}

static void what_receivers_refuse_is_refused(void **state)
{
    static const struct str wrong[] = {
        STR_INIT("v=spf1 ipv4:192.0.2.1"),
        STR_INIT("v=spf1 ip4"),
        STR_INIT("v=spf1 ip4:"),
        STR_INIT("v=spf1 ip4:2001:db8::1"),
        STR_INIT("v=spf1 ip4:192.0.2.1/33"),
        STR_INIT("v=spf1 ip4:192.0.2"),
        STR_INIT("v=spf1 ip6:192.0.2.1"),
        STR_INIT("v=spf1 include"),
        STR_INIT("v=spf1 include:"),
        STR_INIT("v=spf1 all:x"),
        STR_INIT("v=spf1 a:"),
        STR_INIT("v=spf1 a/33"),
        STR_INIT("v=spf1 a/24/64"),
        STR_INIT("v=spf1 mx//129"),
        STR_INIT("v=spf1 exists"),
        STR_INIT("v=spf1 a:%"),
        STR_INIT("v=spf1 a:%{"),
        STR_INIT("v=spf1 a:%x"),
        STR_INIT("v=spf1 redirect=a redirect=b"),
        STR_INIT("v=spf1 redirect="),
        STR_INIT("v=spf1 exp=a exp=b"),
        STR_INIT("v=spf1 -"),
        STR_INIT("v=spf1 all/8"),
        STR_INIT("v=spf1 a:x\ty"),
        STR_INIT("v=spf2 -all"),
        STR_INIT(""),
    };
    struct spf_record record;
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        if (parsed(wrong[i], &record))
            print_error("%.*s\n", STR_FMT(wrong[i]));
        assert_false(parsed(wrong[i], &record));
    }
}

static void terms_have_a_limit(void **state)
{
    struct buf text = BUF_INIT(1 << 16);
    struct spf_record record;
    (void)state;
    buf_put(&text, STR("v=spf1"));
    for (int i = 0; i < SPF_TERMS_MAX; i++)
        buf_put(&text, STR(" a"));
    assert_true(parsed(buf_str(&text), &record));
    assert_int_equal(record.count, SPF_TERMS_MAX);
    buf_put(&text, STR(" a"));
    assert_false(parsed(buf_str(&text), &record));
    buf_done(&text);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_arena, close_arena)
    const struct CMUnitTest tests[] = {
        TEST(one_record_is_found), TEST(terms_are_read),
        TEST(bits_alone_are_bits), TEST(what_receivers_refuse_is_refused),
        TEST(terms_have_a_limit),
    };
    return cmocka_run_group_tests_name("spf", tests, NULL, NULL);
}
