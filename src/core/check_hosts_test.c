/*
 * What `veredus check` says of names, addresses, MX and ports, of certificates and TLSA records,
 * and of what a courier finds served.
 */
#include "core/check_rig_test.h"

#include "base/tls_result.h"
#include "core/keys.h"
#include "trust/key_rig_test.h"

#define WANTED_MX "example.test. IN MX 10 mx.example.test."
#define PTR_V4 "1.2.0.192.in-addr.arpa. IN PTR mx.example.test."

/* --- Our name -------------------------------------------------------------------------------- */

static void a_domain_that_is_well(void **state)
{
    (void)state;
    (void)typed("dkim add example.test");
    (void)typed("dkim published example.test");
    zones_signed = true;
    (void)checked(CHECK);
    says("hostname", "ok", "mx.example.test leads to 2 of our addresses", "");
    says("reverse", "ok", "192.0.2.1 is mx.example.test, and back", "");
    says("reverse", "ok", "2001:db8::1 is mx.example.test, and back", "");
    says("mx", "ok", "mx.example.test is this server", "");
    says("dnssec", "ok", "signed", "");
    says("port", "ok", "25 (mail from other servers): served here", "");
    all_are("mx", "ok");
    all_are("spf", "ok");
    all_are("dmarc", "ok");
    all_are("tls-rpt", "ok");
}

static void a_name_that_is_none(void **state)
{
    (void)state;
    house.conf.server.hostname = STR("localhost");
    assert_int_equal(checked(CHECK), ADMIN_FOUND_WANTING);
    says("hostname", "FAIL", "no full name", "");
    house.conf.sending.helo = STR("mx.example.test"); /* which is said then */
    (void)checked(CHECK);
    says("hostname", "ok", "", "");
}

static void a_name_without_addresses(void **state)
{
    (void)state;
    withdraw("mx.example.test", DNS_AAAA);
    (void)checked(CHECK);
    says("hostname", "ok", "leads to 1 of our", "");
    withdraw("mx.example.test", DNS_A);
    (void)checked(CHECK);
    says("hostname", "FAIL", "mx.example.test has no address",
         "mx.example.test. IN A THE-ADDRESS-OF-THIS-SERVER");
    assert_false(any_is("reverse"));
    unanswered = "mx.example.test";
    (void)checked(CHECK);
    says("hostname", "unknown", "mx.example.test: the DNS did not answer", "");
    forged = unanswered;
    unanswered = NULL;
    (void)checked(CHECK);
    says("hostname", "FAIL", "its signatures are wrong (DNSSEC)", "");
}

/* --- Reverse DNS ----------------------------------------------------------------------------- */

static void names_back(void **state)
{
    (void)state;
    withdraw_ptr("192.0.2.1");
    (void)checked(CHECK);
    says("reverse", "FAIL", "192.0.2.1 has no name (PTR)", PTR_V4);
    says("reverse", "ok", "2001:db8::1", "");
    publish_ptr("192.0.2.1", "host-1.provider.test");
    (void)checked(CHECK);
    says("reverse", "FAIL", "192.0.2.1 is host-1.provider.test, and says HELO as mx.example.test",
         PTR_V4);
    publish_ptr("192.0.2.1", "MX.Example.TEST"); /* one of several will do */
    (void)checked(CHECK);
    all_are("reverse", "ok");
    unanswered = "1.2.0.192.in-addr.arpa";
    (void)checked(CHECK);
    says("reverse", "unknown", "192.0.2.1: the DNS did not answer", "");
}

/* Catalogue S28: labels may hold any octets. */
static void names_back_of_a_stranger(void **state)
{
    (void)state;
    withdraw_ptr("192.0.2.1");
    publish_ptr("192.0.2.1", "\033]0;x\a\n<b>.test");
    (void)checked(CHECK);
    assert_true(str_index(buf_str(&typing.out), '\033') < 0);
    says("reverse", "unknown", "192.0.2.1", "");
    publish_ptr("192.0.2.1", "mx.example.test");
    (void)checked(CHECK);
    all_are("reverse", "ok");
}

static void addresses_that_are_added(void **state)
{
    (void)state;
    (void)checked(CHECK " --address 198.51.100.9");
    says("reverse", "FAIL", "198.51.100.9 has no name",
         "9.100.51.198.in-addr.arpa. IN PTR mx.example.test.");
    assert_true(str_find(complaint("check example.test --address x", ADMIN_USAGE),
                         STR("no IP address: \"x\"")) >= 0);
    (void)complaint("check a..b", ADMIN_DATA);
}

/* --- MX -------------------------------------------------------------------------------------- */

static void mx_is(const char *host)
{
    withdraw("example.test", DNS_MX);
    publish_mx("example.test", host);
    (void)checked(CHECK);
}

static void each_fault_of_MX(void **state)
{
    (void)state;
    mx_is("");
    says("mx", "FAIL", "null MX", WANTED_MX);
    mx_is("elsewhere.test");
    says("mx", "FAIL", "elsewhere.test has no address", "elsewhere.test. IN A ITS-ADDRESS");
    says("mx", "warn", "none of them is this server", WANTED_MX);
    publish_address("elsewhere.test", "198.51.100.9");
    mx_is("elsewhere.test");
    says("mx", "ok", "elsewhere.test is another server", "");
    says("mx", "warn", "none of them is this server", WANTED_MX);
    publish_alias("alias.test", "mx.example.test");
    mx_is("alias.test");
    says("mx", "FAIL", "alias.test is an alias", WANTED_MX);
    publish_address("other-name.test", "192.0.2.1");
    mx_is("other-name.test");
    says("mx", "ok", "other-name.test is this server", "");
    withdraw("example.test", DNS_MX);
    assert_int_equal(checked(CHECK), ADMIN_FOUND_WANTING);
    says("mx", "FAIL", "example.test has none", WANTED_MX);
}

/* What the DNS does not say is no fault of the domain. */
static void an_MX_that_nobody_knows(void **state)
{
    (void)state;
    publish_address("elsewhere.test", "192.0.2.1");
    unanswered = "elsewhere.test";
    mx_is("elsewhere.test");
    says("mx", "unknown", "elsewhere.test: the DNS did not answer", "");
    assert_null(item_find("mx", "warn", ""));
    unanswered = NULL;
    silent = true;
    assert_int_equal(checked(CHECK), ADMIN_FOUND_WANTING); /* there is no key */
    all_are("mx", "unknown");
    says("mx", "unknown", "example.test: the DNS did not answer", "");
    (void)typed("dkim add example.test");
    house.conf.submission.listen = house.conf.submission.listen_tls = house.conf.smtp.listen;
    (void)checked(CHECK);
    all_are("hostname", "unknown");
    all_are("spf", "unknown");
    all_are("dkim", "unknown");
    all_are("dmarc", "unknown");
    all_are("mta-sts", "unknown");
    all_are("tls-rpt", "unknown");
}

/* One MX with the most there may be behind it. */
static void more_MX_than_are_looked_at(void **state)
{
    (void)state;
    char host[64];
    withdraw("example.test", DNS_MX);
    for (int i = 0; i < 200; i++) {
        snprintf(host, sizeof(host), "h%d.elsewhere.test", i);
        publish_mx("example.test", host);
    }
    (void)checked(CHECK);
    says("mx", "FAIL", "h19.elsewhere.test has no address", NULL);
    assert_null(item_find("mx", "FAIL", "h20."));
    says("mx", "warn", "there are 200; the first 20 are looked at", "");
    assert_null(item_find("mx", "warn", "none of them"));
}

/* --- Ports ----------------------------------------------------------------------------------- */

static void ports_that_are_not_served(void **state)
{
    (void)state;
    (void)checked(CHECK);
    const json_t *item = says("port", "warn", "465 (users who send, in TLS): not served", "");
    assert_str(member(item, "command"), STR("submission.listen_tls in veredus.conf"));
    house.conf.smtp.listen.count = 0;
    (void)checked(CHECK);
    says("port", "FAIL", "25 (mail from other servers): not served", "");
}

/* --- Certificates, TLSA, CAA ----------------------------------------------------------------- */

static struct rig_pair pair;

static void keys_up(struct rig *rig, void *arg)
{
    const struct msg_certificate_files files = {
        .place = 0, .count = 1, .name = STR("door"), .chain = pair.chain, .key = pair.key};
    (void)rig;
    (void)arg;
    assert_int_equal(keys_take(house.core.keys, &files).code, ERR_NONE);
    assert_int_equal(keys_begin(house.core.keys, &house.core).code, ERR_NONE);
}

static void certify(const char *alternative)
{
    pair = rig_pair(EVP_EC_gen("P-256"), alternative, &house.arena);
    house.core.keys = keys_new();
    assert_non_null(house.core.keys);
    assert_true(rig_do(&house.rig, keys_up, NULL));
}

static void decertify(void)
{
    struct keys *keys = house.core.keys;
    fake_role_enter(house.rig.fake, house.rig.role);
    keys_end(keys);
    fake_role_enter(house.rig.fake, 0);
    keys_free(keys);
}

static void heard_nothing(struct edge_end *edge, const struct msg *msg)
{
    (void)edge;
    (void)msg;
}

static int certified(void **state)
{
    (void)state;
    check_open(CHECK_CONF "certificate door { chain = c\nkey = k }\n");
    courier->heard = heard_nothing;
    certify("DNS:mx.example.test");
    return 0;
}

static int uncertified(void **state)
{
    decertify();
    return check_end(state);
}

static void a_certificate_names_the_host(void **state)
{
    (void)state;
    (void)checked(CHECK);
    says("tls", "ok", "the certificate of mx.example.test lasts", "");
    decertify();
    certify("DNS:*.example.test");
    (void)checked(CHECK);
    says("tls", "ok", "mx.example.test lasts", "");
    decertify();
    certify("DNS:*.test"); /* RFC 6125 6.4.3: one label */
    (void)checked(CHECK);
    const json_t *item =
        says("tls", "FAIL", "no certificate of this server names mx.example.test", "");
    assert_true(str_starts(member(item, "command"), STR("veredus tls new mx.example.test")));
}

static void a_certificate_that_ends(void **state)
{
    (void)state;
    house.conf.tls.warn_before = 1000 * NS_PER_SECOND * 86400;
    (void)checked(CHECK);
    says("tls", "warn", "days more", "");
    house_pass(&house, 500 * 86400 * NS_PER_SECOND);
    (void)checked(CHECK);
    says("tls", "FAIL", "the certificate of mx.example.test is over", "");
}

/* Usage, selector, matching and the digest of what is served. */
static struct str tlsa_wanted(void)
{
    zones_signed = true;
    (void)checked(CHECK);
    const json_t *item = says("tlsa", "note", "is not there, and the zone is signed", NULL);
    struct str line = member(item, "publish"),
               hex = str_from_index(line, sizeof("_25._tcp.mx.example.test. IN TLSA 3 1 1"));
    char *octets = arena_take(&house.arena, 3 + 32);
    assert_true(str_starts(line, STR("_25._tcp.mx.example.test. IN TLSA 3 1 1 ")));
    assert_int_equal(hex.n, 64);
    memcpy(octets, "\3\1\1", 3);
    for (size_t i = 0; i < 32; i++) {
        unsigned octet;
        assert_int_equal(sscanf(hex.p + 2 * i, "%2x", &octet), 1);
        octets[3 + i] = (char)octet;
    }
    return str_make(octets, 3 + 32);
}

static void tlsa_is(struct str rdata)
{
    withdraw("_25._tcp.mx.example.test", DNS_TLSA);
    publish_rdata("_25._tcp.mx.example.test", DNS_TLSA, rdata);
    (void)checked(CHECK);
}

static void tlsa_records_are_held_against_it(void **state)
{
    (void)state;
    static const char name[] = "_25._tcp.mx.example.test";
    struct str right = tlsa_wanted();
    char *other = arena_take(&house.arena, right.n);
    memcpy(other, right.p, right.n);
    other[right.n - 1] ^= 1;
    publish_rdata(name, DNS_TLSA, right);
    (void)checked(CHECK);
    all_are("tlsa", "ok");
    publish_rdata(name, DNS_TLSA, str_make(other, right.n)); /* the next one's: one fits */
    (void)checked(CHECK);
    all_are("tlsa", "ok");
    tlsa_is(str_make(other, right.n));
    says("tlsa", "FAIL", "fits no certificate of this server", NULL);
    other[right.n - 1] ^= 1;
    other[1] = 0; /* the certificate's, not the key's */
    tlsa_is(str_make(other, right.n));
    says("tlsa", "FAIL", "fits no certificate of this server", NULL);
    other[0] = 1;
    other[1] = 1;
    tlsa_is(str_make(other, right.n));
    says("tlsa", "note", "not of the kinds that are looked at", NULL);
    tlsa_is(STR("\3\1")); /* malformed, and signed: RFC 7672 2.1.1 */
    says("tlsa", "FAIL", "fits no certificate", NULL);
    zones_signed = false;
    tlsa_is(right);
    says("tlsa", "warn", "is not signed (DNSSEC)", "");
    unanswered = name;
    (void)checked(CHECK);
    says("tlsa", "unknown", name, "");
}

static void authorities_that_may(void **state)
{
    (void)state;
    (void)checked(CHECK);
    assert_false(any_is("caa"));
    publish_rdata("mx.example.test", 257, STR("\0\5issueca.test"));
    (void)checked(CHECK);
    says("caa", "note", "yours must be among them", "");
}

/* --- What is served -------------------------------------------------------------------------- */

/* What the courier says it found. */
static struct {
    struct msg_looked looked;
    struct msg_sts_looked sts;
    size_t looks, records; /* that it was asked for; TLSA records of the last one */
} finds;

static void look_answer(struct edge_end *edge, const struct msg *msg)
{
    struct msg answer = {.kind = MSG_looked, .looked = finds.looked};
    if (msg->kind == MSG_look) {
        finds.looks++;
        finds.records = msg->look.tlsa_count;
        answer.looked.call = msg->look.call;
        assert_str(msg->look.host, STR("mx.example.test"));
    } else if (msg->kind == MSG_sts_look) {
        answer = (struct msg){.kind = MSG_sts_looked, .sts_looked = finds.sts};
        answer.sts_looked.call = msg->sts_look.call;
        assert_true(msg->sts_look.own_count > 0);
    } else {
        heard(edge, msg);
        return;
    }
    assert_false(err_is(link_send(&edge->link, &answer)));
}

#define POLICY(mode) "version: STSv1\nmode: " mode "\nmx: mx.example.test\nmax_age: 604800\n"

static int served(void **state)
{
    (void)state;
    check_open("hostname = mx.example.test\nsmtp { listen = \"*:25\" }\n"
               "sending { processes = 1\nallow_to = { 192.0.2.1, 2001:db8::1 } }\n");
    courier->heard = look_answer;
    memset(&finds, 0, sizeof(finds));
    finds.looked = (struct msg_looked){
        .end = LOOK_WELL, .said = STR("mx.example.test ESMTP"), .tls = STR("TLSv1.3")};
    finds.sts = (struct msg_sts_looked){.result = TLS_RESULT_OK, .policy = STR(POLICY("enforce"))};
    return 0;
}

static int looked(void)
{
    return checked("check example.test");
}

static void our_ports_alone_are_connected(void **state)
{
    (void)state;
    publish_mx("example.test", "elsewhere.test");
    publish_address("elsewhere.test", "198.51.100.9");
    publish_address("mx.example.test", "127.0.0.1"); /* catalogue N02 */
    (void)looked();
    assert_int_equal(finds.looks, 2);
    says("connect", "ok", "port 25 of 192.0.2.1 answers in TLSv1.3", "");
    says("connect", "ok", "port 25 of 2001:db8::1 answers in TLSv1.3", "");
    says("connect", "FAIL", "mx.example.test has 127.0.0.1", NULL);
    (void)checked(CHECK);
    assert_int_equal(finds.looks, 2);
}

static void each_end_of_a_look(void **state)
{
    (void)state;
    withdraw("mx.example.test", DNS_AAAA);
    finds.looked.why = STR("Connection refused");
    finds.looked.end = LOOK_NOT_CONNECTED;
    (void)looked();
    says("connect", "warn", "cannot be connected from here (Connection refused)", "");
    finds.looked.end = LOOK_NOT_GREETED;
    (void)looked();
    says("connect", "FAIL", "does not greet as a mail server: \"Connection refused\"", "");
    finds.looked.end = LOOK_NO_TLS;
    finds.sts.policy = STR(POLICY("testing"));
    (void)looked();
    says("connect", "warn", "has no STARTTLS", "");
    finds.sts.policy = STR(POLICY("enforce")); /* then nobody who keeps to it sends */
    (void)looked();
    says("connect", "FAIL", "has no STARTTLS", "");
    finds.looked.end = LOOK_TLS_FAILED;
    (void)looked();
    says("connect", "FAIL", "begins TLS, which fails", "");
    finds.looked.end = 77; /* a courier that was taken over */
    finds.looked.pkix = 200;
    (void)looked();
    says("connect", "FAIL", "", "");
}

static void certificates_that_nobody_vouches_for(void **state)
{
    (void)state;
    finds.looked.pkix = TLS_RESULT_CERTIFICATE_NOT_TRUSTED;
    (void)looked();
    says("connect", "FAIL", "nobody we know vouches for the certificate", "");
    finds.sts.policy = STR(POLICY("testing"));
    (void)looked();
    says("connect", "warn", "nobody we know vouches for the certificate", "");
    zones_signed = true;
    publish_rdata("_25._tcp.mx.example.test", DNS_TLSA,
                  STR("\3\1\1xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"));
    (void)looked();
    assert_int_equal(finds.records, 1);
    says("connect", "note", "nobody we know vouches for the certificate", "");
    says("tlsa", "ok", "is what its TLSA records tell", "");
    finds.looked.dane = TLS_RESULT_VALIDATION_FAILURE;
    (void)looked();
    says("tlsa", "FAIL", "shows fits none of its TLSA records", "");
    zones_signed = false; /* what is not proven is not held against anything */
    (void)looked();
    assert_int_equal(finds.records, 0);
}

/* Catalogue S28: what stands there says, and what a courier says that was taken over. */
static void words_of_strangers_are_escaped(void **state)
{
    (void)state;
    static const struct str bad = STR_INIT("\033[2J\r\n ESMTP");
    for (unsigned end = 0; end < LOOK_ENDS; end++) {
        finds.looked =
            (struct msg_looked){.end = (uint8_t)end, .why = bad, .said = bad, .tls = bad};
        (void)looked();
        assert_non_null(
            item_find("connect", end == LOOK_NOT_CONNECTED ? "warn" : "FAIL", "\\x1b[2J")
                ?: item_find("connect", "warn", "\\x1b[2J"));
        (void)typed("check example.test");
        assert_true(str_index(buf_str(&typing.out), '\033') < 0);
        assert_true(str_index(buf_str(&typing.out), '\r') < 0);
    }
}

static void the_policy_that_is_served(void **state)
{
    (void)state;
    (void)looked();
    says("mta-sts", "ok", "its policy is mode enforce, names all MX and holds for 7 days", "");
    finds.sts.policy = STR(POLICY("testing"));
    (void)looked();
    says("mta-sts", "note", "mode testing, names all MX", "");
    finds.sts.policy = STR("version: STSv1\nmode: none\nmax_age: 604800\n");
    (void)looked();
    says("mta-sts", "note", "mode none", "");
    finds.sts.policy = STR("version: STSv1\nmode: enforce\nmx: *.other.test\nmax_age: 3600\n");
    (void)looked();
    says("mta-sts", "FAIL", "does not name the MX mx.example.test", "");
    says("mta-sts", "warn", "holds for 3600 seconds", "");
    finds.sts.policy = STR(POLICY("enforce"));
    publish_mx("example.test", "second.test");
    publish_address("second.test", "198.51.100.9");
    (void)looked();
    says("mta-sts", "FAIL", "does not name the MX second.test", "");
    finds.sts.policy = STR("no policy");
    (void)looked();
    says("mta-sts", "FAIL", "cannot be fetched", "");
    finds.sts = (struct msg_sts_looked){.result = TLS_RESULT_STS_WEBPKI_INVALID,
                                        .why = STR("self\033signed")};
    (void)looked();
    says("mta-sts", "FAIL", "has no valid certificate of that name: \"self\\x1bsigned\"", "");
    finds.sts.result = TLS_RESULT_STS_POLICY_INVALID;
    (void)looked();
    says("mta-sts", "FAIL", "gives is no policy", "");
}

static void nobody_to_look(void **state)
{
    (void)state;
    edge_end_leave(courier);
    (void)looked();
    says("connect", "unknown", "no courier is there", "");
    says("mta-sts", "unknown", "no courier is there", "");
}

#define CERTIFIED(name) cmocka_unit_test_setup_teardown(name, certified, uncertified)
#define SERVED(name) cmocka_unit_test_setup_teardown(name, served, check_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CHECK_TEST(a_domain_that_is_well),
        CHECK_TEST(a_name_that_is_none),
        CHECK_TEST(a_name_without_addresses),
        CHECK_TEST(names_back),
        CHECK_TEST(names_back_of_a_stranger),
        CHECK_TEST(addresses_that_are_added),
        CHECK_TEST(each_fault_of_MX),
        CHECK_TEST(an_MX_that_nobody_knows),
        CHECK_TEST(more_MX_than_are_looked_at),
        CHECK_TEST(ports_that_are_not_served),
        CERTIFIED(a_certificate_names_the_host),
        CERTIFIED(a_certificate_that_ends),
        CERTIFIED(tlsa_records_are_held_against_it),
        CERTIFIED(authorities_that_may),
        SERVED(our_ports_alone_are_connected),
        SERVED(each_end_of_a_look),
        SERVED(certificates_that_nobody_vouches_for),
        SERVED(words_of_strangers_are_escaped),
        SERVED(the_policy_that_is_served),
        SERVED(nobody_to_look),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
