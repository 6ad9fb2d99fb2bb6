/*
 * What `veredus check` says of DKIM keys, DMARC, MTA-STS and TLS reports.
 */
#include "core/check_rig_test.h"

#include "store/dkim.h"

/* --- DKIM ------------------------------------------------------------------------------------ */

enum {
    KEYS_MOST = 4
};

static struct {
    char name[SIGNING_NAME_MAX], selector[DKIM_SELECTOR_MAX + 1], record[DKIM_RECORD_MAX];
} keys[KEYS_MOST];
static size_t key_count;

static struct err key_take(void *arg, const struct dkim_kept *kept)
{
    (void)arg;
    assert_true(key_count < KEYS_MOST);
    snprintf(keys[key_count].selector, sizeof(keys[0].selector), "%.*s", STR_FMT(kept->selector));
    snprintf(keys[key_count].name, sizeof(keys[0].name), "%.*s._domainkey.example.test",
             STR_FMT(kept->selector));
    snprintf(keys[key_count++].record, sizeof(keys[0].record), "%.*s", STR_FMT(kept->record));
    return err_none();
}

static void keys_take_run(struct rig *rig, void *arg)
{
    (void)arg;
    key_count = 0;
    assert_false(err_is(dkim_kept_each(rig->engine, str_null(), key_take, NULL)));
}

/* A pair, in the order of its selectors: Ed25519, RSA. */
static void pair_add(void)
{
    assert_true(str_find(typed("dkim add example.test"), STR("_domainkey")) >= 0);
    assert_true(rig_do(&house.rig, keys_take_run, NULL));
    assert_int_equal(key_count, 2);
    assert_non_null(strstr(keys[0].record, "k=ed25519"));
}

static void pair_publish(void)
{
    for (size_t i = 0; i < key_count; i++)
        publish(keys[i].name, keys[i].record);
}

static void without_keys(void **state)
{
    (void)state;
    assert_int_equal(checked(CHECK), ADMIN_FOUND_WANTING);
    const json_t *item = says("dkim", "FAIL", "there are no keys", "");
    assert_str(member(item, "command"), STR("veredus dkim add example.test"));
}

static void a_key_from_made_to_signing(void **state)
{
    (void)state;
    char wanted[2 * DKIM_RECORD_MAX];
    pair_add();
    (void)checked(CHECK);
    all_are("dkim", "warn");
    snprintf(wanted, sizeof(wanted), "%s. IN TXT \"%s\"", keys[0].name, keys[0].record);
    says("dkim", "warn", "its record is not there", wanted);
    pair_publish();
    (void)checked(CHECK);
    const json_t *item = says("dkim", "warn", "it does not sign yet", "");
    snprintf(wanted, sizeof(wanted), "veredus dkim published example.test %s", keys[0].selector);
    assert_str(member(item, "command"), str_from(wanted));
    (void)typed("dkim published example.test");
    (void)checked(CHECK);
    all_are("dkim", "ok");
    withdraw(keys[1].name, 0);
    (void)checked(CHECK);
    item = says("dkim", "FAIL", "its record is not there, and it signs", NULL);
    assert_true(str_find(member(item, "publish"), STR("\" \"")) >= 0); /* RSA: two strings */
    unanswered = keys[1].name;
    (void)checked(CHECK);
    says("dkim", "unknown", keys[1].name, "");
    house.conf.dkim.sign = false;
    (void)checked(CHECK);
    says("dkim", "warn", "dkim.sign is no", "");
}

/* What is not our record as receivers read it. */
static void a_record_that_is_another(void **state)
{
    (void)state;
    char record[2 * DKIM_RECORD_MAX];
    const char *p = NULL;
    pair_add();
    pair_publish();
    (void)typed("dkim published example.test");
    p = strstr(keys[0].record, "p=");
    const struct {
        const char *before, *behind, *words; /* NULL: it is well */
    } rows[] = {
        {"v=DKIM1; k=ed25519; ", "", NULL},
        {"k=ed25519; t=s; n=some words; ", " ; ", NULL},
        {"v=DKIM1; k=ed25519; h=sha1:sha256; s=email; ", "", NULL},
        {"v=DKIM1; ", "", "another kind of key"}, /* RSA, by default */
        {"v=DKIM1; k=ed25519; h=sha1; ", "", "does not allow sha256"},
        {"v=DKIM1; k=ed25519; s=tlsrpt; ", "", "does not allow email"},
        {"v=DKIM2; k=ed25519; ", "", "v= is not DKIM1"},
        {"k=ed25519; v=DKIM1; ", "", "does not stand first"},
        {"v=DKIM1; k=ed25519; x; ", "", "no record of DKIM"},
        {"v=DKIM1; k=ed25519; ", "A", "another key"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        snprintf(record, sizeof(record), "%s%s%s", rows[i].before, p, rows[i].behind);
        republish(keys[0].name, record);
        (void)checked(CHECK);
        if (rows[i].words)
            says("dkim", "FAIL", rows[i].words, NULL);
        else
            all_are("dkim", "ok");
    }
    republish(keys[0].name, "v=DKIM1; k=ed25519; p=");
    (void)checked(CHECK);
    says("dkim", "FAIL", "the key was withdrawn", NULL);
    republish(keys[0].name, keys[1].record);
    (void)checked(CHECK);
    says("dkim", "FAIL", "another kind of key, and it signs", NULL);
}

/* RFC 6376 3.6.1: white space in p=. */
static void a_key_in_pieces(void **state)
{
    (void)state;
    char record[2 * DKIM_RECORD_MAX];
    pair_add();
    pair_publish();
    (void)typed("dkim published example.test");
    snprintf(record, sizeof(record), "%.*s %s", (int)(strlen(keys[0].record) - 7), keys[0].record,
             keys[0].record + strlen(keys[0].record) - 7);
    republish(keys[0].name, record);
    (void)checked(CHECK);
    all_are("dkim", "ok");
}

static void several_records_at_a_selector(void **state)
{
    (void)state;
    pair_add();
    pair_publish();
    (void)typed("dkim published example.test");
    publish(keys[0].name, "\033v=DKIM1; p=\377");
    (void)checked(CHECK);
    says("dkim", "warn", "there are 2 records in its place", "");
    withdraw(keys[0].name, 0);
    for (int i = 0; i < 300; i++)
        publish(keys[0].name, "\033v=DKIM1; p=\377");
    (void)checked(CHECK);
    says("dkim", "FAIL", "is not its record", NULL);
    assert_true(str_index(buf_str(&typing.out), '\033') < 0);
}

/* --- DMARC ----------------------------------------------------------------------------------- */

#define WANTED_DMARC                                                                               \
    "_dmarc.example.test. IN TXT \"v=DMARC1; p=none; rua=mailto:postmaster@example.test\""

static void dmarc_is(const char *record)
{
    republish("_dmarc.example.test", record);
    (void)checked(CHECK);
}

static void each_policy(void **state)
{
    (void)state;
    dmarc_is("v=DMARC1; p=none; rua=mailto:d@example.test");
    says("dmarc", "ok", "example.test says p=none", "");
    dmarc_is("v=DMARC1;p=quarantine;rua=mailto:d@sub.example.test!10m");
    all_are("dmarc", "ok");
    dmarc_is("v=DMARC1; p=reject");
    says("dmarc", "warn", "asks for no reports",
         "_dmarc.example.test. IN TXT \"v=DMARC1; p=reject; "
         "rua=mailto:postmaster@example.test\"");
    dmarc_is("v=DMARC1; p=all");
    says("dmarc", "FAIL", "no policy that one can read: \"v=DMARC1; p=all\"", WANTED_DMARC);
    dmarc_is("v=DMARC1; p=none; p=reject");
    says("dmarc", "FAIL", "no policy that one can read", WANTED_DMARC);
    dmarc_is("v=DMARC10; p=none");
    says("dmarc", "FAIL", "there is none", WANTED_DMARC);
    publish("_dmarc.example.test", "v=DMARC1; p=none");
    publish("_dmarc.example.test", "v=DMARC1; p=reject");
    (void)checked(CHECK);
    says("dmarc", "FAIL", "_dmarc.example.test has more than one record", "");
    withdraw("_dmarc.example.test", 0);
    (void)checked(CHECK);
    says("dmarc", "FAIL", "there is none", WANTED_DMARC);
    unanswered = "_dmarc.example.test";
    (void)checked(CHECK);
    says("dmarc", "unknown", "did not answer", "");
}

static void the_policy_of_a_domain_above(void **state)
{
    (void)state;
    (void)checked("check a.b.example.test --no-connect");
    says("dmarc", "ok", "example.test says p=reject", "");
    publish("_dmarc.b.example.test", "v=DMARC1; p=none; rua=mailto:d@example.test");
    (void)checked("check a.b.example.test --no-connect");
    says("dmarc", "ok", "b.example.test says p=none", "");
    publish("_dmarc.test", "v=DMARC1; p=none"); /* of one label nobody's is taken */
    (void)checked("check other.test --no-connect");
    says("dmarc", "FAIL", "there is none", NULL);
}

static void reports_that_go_elsewhere(void **state)
{
    (void)state;
    dmarc_is("v=DMARC1; p=none; rua=mailto:d@reports.test");
    says("dmarc", "warn", "reports go to reports.test, which does not say that it takes them",
         "example.test._report._dmarc.reports.test. IN TXT \"v=DMARC1\"");
    unanswered = "example.test._report._dmarc.reports.test";
    (void)checked(CHECK);
    says("dmarc", "unknown", unanswered, "");
    unanswered = NULL;
    publish("example.test._report._dmarc.reports.test", "v=DMARC1");
    (void)checked(CHECK);
    all_are("dmarc", "ok");
    dmarc_is("v=DMARC1; p=none; rua=https://reports.test/");
    says("dmarc", "warn", "reports cannot go to \"https://reports.test/\"", "");
    dmarc_is("v=DMARC1; p=none; rua=mailto:d@a..b, mailto:nobody");
    says("dmarc", "warn", "reports cannot go to \"mailto:d@a..b\"", "");
    says("dmarc", "warn", "reports cannot go to \"mailto:nobody\"", "");
}

/* Catalogue S28, D09: names of a stranger in our questions and answers. */
static void what_strangers_publish(void **state)
{
    (void)state;
    dmarc_is("v=DMARC1; p=\033[2Jnone; rua=mailto:a@b");
    says("dmarc", "FAIL", "\\x1b[2J", WANTED_DMARC);
    dmarc_is("v=DMARC1; p=none; rua=mailto:a@b\"c\\d.test");
    says("dmarc", "warn", "\\\"c\\\\d.test", "");
    dmarc_is("v=DMARC1; p=none; rua=mailto:a@_report.test,mailto:b@c.test,mailto:c@c.test,"
             "mailto:d@d.test,mailto:e@e.test,mailto:f@too-many.test");
    assert_null(item_find("dmarc", "warn", "too-many.test"));
    size_t before = asked;
    (void)checked(CHECK);
    assert_true(asked - before < 40);
    for (int i = 0; i < 380; i++)
        publish_rdata("_dmarc.example.test", DNS_TXT, str_make(arena_take(&house.arena, 150), 150));
    dmarc_is("v=DMARC1; p=none; rua=mailto:d@example.test");
    all_are("dmarc", "ok");
}

/* --- MTA-STS, TLS reports -------------------------------------------------------------------- */

static void sts_records(void **state)
{
    (void)state;
    (void)checked(CHECK);
    const json_t *item = says("mta-sts", "ok", "hold the policy against this one", "");
    assert_true(str_starts(member(item, "command"),
                           STR("put at https://mta-sts.example.test/.well-known/mta-sts.txt:\n"
                               "version: STSv1\nmode: testing\nmx: mx.example.test\n"
                               "max_age: 604800\n")));
    republish("_mta-sts.example.test", "v=STSv1; id=");
    (void)checked(CHECK);
    item = says("mta-sts", "FAIL", "", NULL);
    assert_true(
        str_starts(member(item, "publish"), STR("_mta-sts.example.test. IN TXT \"v=STSv1; id=")));
    republish("_mta-sts.example.test", "v=STSv1; id=1");
    publish("_mta-sts.example.test", "v=STSv1; id=2");
    (void)checked(CHECK);
    says("mta-sts", "FAIL", "more than one", NULL);
    withdraw("_mta-sts.example.test", 0);
    (void)checked(CHECK);
    says("mta-sts", "warn", "there is none", NULL);
    unanswered = "_mta-sts.example.test";
    (void)checked(CHECK);
    says("mta-sts", "unknown", unanswered, "");
}

static void the_host_of_the_policy(void **state)
{
    (void)state;
    withdraw("mta-sts.example.test", 0);
    (void)checked(CHECK);
    says("mta-sts", "FAIL", "mta-sts.example.test, where the policy is to be, has no address",
         "mta-sts.example.test. IN A THE-ADDRESS-OF-ITS-WEB-SERVER");
    publish_address("mta-sts.example.test", "2001:db8::80");
    (void)checked(CHECK);
    says("mta-sts", "ok", "its record is there", "");
    unanswered = "mta-sts.example.test";
    (void)checked(CHECK);
    says("mta-sts", "unknown", unanswered, "");
}

static int begin_with_policy(void **state)
{
    (void)state;
    check_open(CHECK_CONF "domain example.test { mta_sts = enforce }\n");
    return 0;
}

static void our_own_policy(void **state)
{
    (void)state;
    (void)checked(CHECK);
    const json_t *item = says("mta-sts", "FAIL", "is another one than its record says", NULL);
    struct str line = member(item, "publish");
    says("mta-sts", "FAIL", "configured, and not served", "");
    assert_true(str_starts(line, STR("_mta-sts.example.test. IN TXT \"v=STSv1; id=")));
    char record[200];
    struct str quoted = str_from_index(line, sizeof("_mta-sts.example.test. IN TXT"));
    snprintf(record, sizeof(record), "%.*s", (int)quoted.n - 2, quoted.p + 1);
    republish("_mta-sts.example.test", record);
    (void)checked(CHECK);
    says("mta-sts", "ok", "its record is that of the policy that is served here", "");
    withdraw("mta-sts.example.test", 0);
    (void)checked(CHECK);
    says("mta-sts", "FAIL", "has no address", "mta-sts.example.test. IN CNAME mx.example.test.");
}

#define WANTED_TLS_RPT                                                                             \
    "_smtp._tls.example.test. IN TXT \"v=TLSRPTv1; rua=mailto:postmaster@example.test\""

static void tls_rpt_is(const char *record)
{
    republish("_smtp._tls.example.test", record);
    (void)checked(CHECK);
}

static void who_gets_reports(void **state)
{
    (void)state;
    tls_rpt_is("v=TLSRPTv1; rua=https://reports.test/v1,mailto:t@reports.test");
    says("tls-rpt", "ok", "", "");
    tls_rpt_is("v=TLSRPTv1; rua=");
    says("tls-rpt", "FAIL", "nobody gets reports", WANTED_TLS_RPT);
    tls_rpt_is("v=TLSRPTv1; rua=ftp://reports.test/"); /* RFC 8460 3: nobody sends there */
    says("tls-rpt", "FAIL", "nobody gets reports", WANTED_TLS_RPT);
    tls_rpt_is("v=TLSRPTv1; rua=mailto:");
    says("tls-rpt", "FAIL", "nobody gets reports", WANTED_TLS_RPT);
    tls_rpt_is("v=TLSRPTv1; x=y");
    says("tls-rpt", "FAIL", "has no rua", WANTED_TLS_RPT);
    tls_rpt_is("v=TLSRPTv1; rua=mailto:t@reports.test; \033[2J");
    says("tls-rpt", "FAIL", "malformed field", WANTED_TLS_RPT);
    tls_rpt_is("v=TLSRPTv1; rua=mailto:t@reports.test");
    publish("_smtp._tls.example.test", "v=TLSRPTv1; rua=mailto:t@reports.test");
    (void)checked(CHECK);
    says("tls-rpt", "FAIL", "more than one", WANTED_TLS_RPT);
    tls_rpt_is("something else");
    says("tls-rpt", "warn", "there is none", WANTED_TLS_RPT);
    unanswered = "_smtp._tls.example.test";
    (void)checked(CHECK);
    says("tls-rpt", "unknown", unanswered, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CHECK_TEST(without_keys),
        CHECK_TEST(a_key_from_made_to_signing),
        CHECK_TEST(a_record_that_is_another),
        CHECK_TEST(a_key_in_pieces),
        CHECK_TEST(several_records_at_a_selector),
        CHECK_TEST(each_policy),
        CHECK_TEST(the_policy_of_a_domain_above),
        CHECK_TEST(reports_that_go_elsewhere),
        CHECK_TEST(what_strangers_publish),
        CHECK_TEST(sts_records),
        CHECK_TEST(the_host_of_the_policy),
        cmocka_unit_test_setup_teardown(our_own_policy, begin_with_policy, check_end),
        CHECK_TEST(who_gets_reports),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
