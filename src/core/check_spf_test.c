/*
 * What `veredus check` says of a domain's SPF record, evaluated for our addresses.
 */
#include "core/check_rig_test.h"

#define HELD "v=spf1 ip4:192.0.2.1 ip6:2001:db8::1 -all"

static void with(const char *record)
{
    republish("example.test", record);
    (void)checked(CHECK);
}

static void it_is_well(const char *record)
{
    with(record);
    all_are("spf", "ok");
}

static void it_is_wrong(const char *record, const char *words)
{
    with(record);
    says("spf", "FAIL", words, "");
}

/* --- Tests ----------------------------------------------------------------------------------- */

static void each_way_lets_us_pass(void **state)
{
    (void)state;
    publish_address("a.test", "192.0.2.1");
    publish_address("a.test", "2001:db8::1");
    publish("in.test", "v=spf1 a:a.test -all");
    publish("to.test", "v=spf1 mx:example.test -all");
    it_is_well(HELD);
    it_is_well("v=spf1 mx -all");
    it_is_well("V=SPF1 A:a.test -all");
    publish_address("near.test", "192.0.2.0");
    publish_address("near.test", "2001:db8::2");
    it_is_well("v=spf1 a:near.test/31//64 -all");
    with("v=spf1 a:near.test/32//64 -all");
    says("spf", "FAIL", "mail from 192.0.2.1 gets \"fail\"", NULL);
    it_is_well("v=spf1 include:in.test -all");
    it_is_well("v=spf1 redirect=to.test");
    it_is_well("v=spf1 ip4:192.0.2.0/24 ip6:2001:db8::/32 ~all");
}

static void each_of_our_addresses_is_evaluated(void **state)
{
    (void)state;
    with("v=spf1 ip4:192.0.2.1 -all");
    says("spf", "ok", "mail from 192.0.2.1 gets \"pass\"", "");
    says("spf", "FAIL", "mail from 2001:db8::1 gets \"fail\"",
         "example.test. IN TXT \"v=spf1 ip6:2001:db8::1 ip4:192.0.2.1 -all\"");
    (void)checked(CHECK " --address 198.51.100.9");
    says("spf", "FAIL", "mail from 198.51.100.9 gets \"fail\"",
         "example.test. IN TXT \"v=spf1 ip4:198.51.100.9 ip4:192.0.2.1 -all\"");
}

static void each_result_has_its_word(void **state)
{
    (void)state;
    with("v=spf1 ~all");
    says("spf", "FAIL", "gets \"softfail\"", "example.test. IN TXT \"v=spf1 ip4:192.0.2.1 ~all\"");
    with("v=spf1 ?all");
    says("spf", "FAIL", "gets \"neutral\"", NULL);
    with("v=spf1");
    says("spf", "FAIL", "gets \"neutral\"", "example.test. IN TXT \"v=spf1 ip4:192.0.2.1\"");
    publish("in.test", "v=spf1 -ip4:192.0.2.1 ?all");
    with("v=spf1 include:in.test ~all"); /* 5.2: what does not pass does not match */
    says("spf", "FAIL", "mail from 192.0.2.1 gets \"softfail\"", NULL);
}

static void none_and_several(void **state)
{
    (void)state;
    static const char wanted[] =
        "example.test. IN TXT \"v=spf1 mx ip4:192.0.2.1 ip6:2001:db8::1 -all\"";
    withdraw("example.test", DNS_TXT);
    assert_int_equal(checked(CHECK), ADMIN_FOUND_WANTING);
    says("spf", "FAIL", "there is no SPF record", wanted);
    publish("example.test", "v=spf10 mx -all"); /* another version is another record */
    (void)checked(CHECK);
    says("spf", "FAIL", "there is no SPF record", wanted);
    publish("example.test", HELD);
    (void)checked(CHECK);
    all_are("spf", "ok");
    publish("example.test", "v=spf1 -all");
    (void)checked(CHECK);
    says("spf", "FAIL", "more than one SPF record", wanted);
}

static void who_lets_everybody_pass_is_told(void **state)
{
    (void)state;
    it_is_wrong("v=spf1 mx +all", "lets everybody pass");
    it_is_wrong("v=spf1 all", "lets everybody pass");
    it_is_wrong("v=spf1 ip4:0.0.0.0/0 -all", "lets everybody pass");
    it_is_wrong("v=spf1 ip6:::/0 -all", "lets everybody pass");
    it_is_well("v=spf1 ip4:128.0.0.0/1 mx -all all");
}

/* 4.6.4: ten terms that ask, in all records together. */
static void eleven_questions_are_an_error(void **state)
{
    (void)state;
    char record[DKIM_RECORD_MAX] = "v=spf1";
    for (int i = 0; i < 9; i++)
        strcat(record, " exists:%{i}.x.test"); /* which is not asked, and counts */
    strcat(record, " mx -all");
    it_is_well(record);
    memmove(record + 7 + 4, record + 7, strlen(record + 7) + 1);
    memcpy(record + 7, "ptr ", 4);
    it_is_wrong(record, "more than 10 questions");
}

/* 4.6.4: an address of the other family is not there, either. */
static void names_that_are_not_there(void **state)
{
    (void)state;
    publish_address("v4.test", "198.51.100.9");
    it_is_well("v=spf1 a:n1.test mx:n2.test mx -all");
    with("v=spf1 a:n1.test mx:n2.test a:n3.test mx -all");
    says("spf", "ok", "mail from 192.0.2.1", "");
    says("spf", "warn", "for mail from 192.0.2.1 it asks for 3 names that are not there", "");
    with("v=spf1 a:v4.test a:n1.test a:n2.test mx -all");
    says("spf", "warn", "for mail from 2001:db8::1 it asks for 3 names", "");
    assert_null(item_find("spf", "warn", "192.0.2.1"));
}

static void records_that_lead_to_themselves_end(void **state)
{
    (void)state;
    it_is_wrong("v=spf1 include:example.test -all", "more than 10 questions");
    it_is_wrong("v=spf1 redirect=example.test", "more than 10 questions");
    publish("one.test", "v=spf1 include:two.test");
    publish("two.test", "v=spf1 redirect=one.test");
    it_is_wrong("v=spf1 include:one.test -all", "more than 10 questions");
}

static void more_than_ten_MX_are_an_error(void **state)
{
    (void)state;
    char host[32];
    for (int i = 0; i < 11; i++) {
        snprintf(host, sizeof(host), "h%d.test", i);
        publish_mx("many.test", host);
        publish_address(host, i == 9 ? "192.0.2.1" : "203.0.113.1");
    }
    with("v=spf1 mx:many.test ip6:2001:db8::1 -all");
    says("spf", "ok", "mail from 192.0.2.1", "");
    says("spf", "FAIL", "\"many.test\": more than 10 MX", "");
}

static void what_is_malformed_is_named(void **state)
{
    (void)state;
    it_is_wrong("v=spf1 ip4:192.0.2.300 -all", "\"ip4:192.0.2.300\"");
    it_is_wrong("v=spf1 ip4:192.0.2.1/33 -all", "\"ip4:192.0.2.1/33\"");
    it_is_wrong("v=spf1 mxx -all", "\"mxx\": no such mechanism");
    it_is_wrong("v=spf1 include: -all", "\"include:\"");
    it_is_wrong("v=spf1 redirect=a.test redirect=b.test", "redirect");
    it_is_wrong("v=spf1 include:none.test -all", "\"none.test\": there is no SPF record");
    publish("bad.test", "v=spf1 a:%{ -all");
    it_is_wrong("v=spf1 include:bad.test -all", "\"a:%{\"");
}

/* 4.3, 4.8: what is no name is not there; it is no trouble of the DNS. */
static void names_that_are_none(void **state)
{
    (void)state;
    it_is_wrong("v=spf1 include:a..test -all", "\"a..test\": there is no SPF record");
    it_is_well("v=spf1 a:a..test mx:b..test mx -all");
}

/* Catalogue S28: a stranger's record in our answer. */
static void octets_of_a_stranger_are_escaped(void **state)
{
    (void)state;
    it_is_wrong("v=spf1 \033[2J\r\n\377 -all", "\\x1b[2J\\x0d\\x0a\\xff");
    (void)typed(CHECK);
    struct str plain = buf_str(&typing.out);
    assert_true(str_index(plain, '\033') < 0 && str_index(plain, '\r') < 0);
    with("v=spf1 x=\"\\ -all"); /* a modifier that nobody knows, to be put into a zone */
    says("spf", "FAIL", "gets \"fail\"",
         "example.test. IN TXT \"v=spf1 ip4:192.0.2.1 x=\\\"\\\\ -all\"");
}

/* 64 KB, as much as an answer may have. */
static void a_record_as_large_as_there_may_be(void **state)
{
    (void)state;
    struct buf long_one = buf_in(&house.arena, DNS_OCTETS_MAX);
    size_t terms = 0;
    buf_put(&long_one, STR("v=spf1"));
    while (terms++ < 250)
        buf_put(&long_one, STR(" ip6:2001:db8:1111:2222:3333:4444:5555:6666/128"));
    buf_put(&long_one, STR(" -all"));
    struct str text_of = buf_built(&long_one), rest = text_of;
    struct buf rdata = buf_in(&house.arena, DNS_OCTETS_MAX);
    while (rest.n) {
        struct str part = str_head(rest, 255);
        buf_putc(&rdata, (char)part.n);
        buf_put(&rdata, part);
        rest = str_from_index(rest, part.n);
    }
    withdraw("example.test", DNS_TXT);
    publish_rdata("example.test", DNS_TXT, buf_built(&rdata));
    assert_int_equal(checked(CHECK), ADMIN_FOUND_WANTING);
    says("spf", "FAIL", "gets \"fail\"", ""); /* nobody copies that by hand */
    struct str noise = str_make(arena_take(&house.arena, 135), 135);
    for (size_t i = 0; i < 380; i++) /* each of 135 empty strings */
        publish_rdata("example.test", DNS_TXT, noise);
    (void)checked(CHECK);
    says("spf", "FAIL", "gets \"fail\"", "");
    publish_rdata("example.test", DNS_TXT, STR("\377too short"));
    (void)checked(CHECK);
    says("spf", "unknown", "the DNS did not answer", "");
}

static void nobody_knows(void **state)
{
    (void)state;
    unanswered = "example.test";
    (void)checked(CHECK);
    says("spf", "unknown", "example.test: the DNS did not answer", "");
    unanswered = "in.test";
    with("v=spf1 include:in.test -all");
    says("spf", "unknown", "did not answer", "");
    with("v=spf1 a:in.test mx -all");
    says("spf", "unknown", "did not answer", "");
    with("v=spf1 mx:in.test mx -all");
    says("spf", "unknown", "did not answer", "");
    it_is_well("v=spf1 mx a:in.test -all"); /* not asked behind what matches */
    unanswered = NULL;
    forged = "example.test";
    (void)checked(CHECK);
    says("spf", "FAIL", "its signatures are wrong", "");
    forged = NULL;
    unanswered = "mx.example.test"; /* then none of our addresses is known */
    with(HELD);
    says("spf", "unknown", "none of our addresses is known", "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CHECK_TEST(each_way_lets_us_pass),
        CHECK_TEST(each_of_our_addresses_is_evaluated),
        CHECK_TEST(each_result_has_its_word),
        CHECK_TEST(none_and_several),
        CHECK_TEST(who_lets_everybody_pass_is_told),
        CHECK_TEST(eleven_questions_are_an_error),
        CHECK_TEST(names_that_are_not_there),
        CHECK_TEST(records_that_lead_to_themselves_end),
        CHECK_TEST(more_than_ten_MX_are_an_error),
        CHECK_TEST(what_is_malformed_is_named),
        CHECK_TEST(names_that_are_none),
        CHECK_TEST(octets_of_a_stranger_are_escaped),
        CHECK_TEST(a_record_as_large_as_there_may_be),
        CHECK_TEST(nobody_knows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
