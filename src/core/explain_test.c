/*
 * `veredus explain send` in a core that sends: what is decided here, what a courier's answer
 * becomes, and that nothing is counted or kept for having been asked.
 */
#include "core/explain.h"

#include "core/operator_rig_test.h"
#include "core/secrets.h"
#include "core/sending.h"

enum {
    HOSTS_MAX = 4
};

/* What the courier says it found. */
static struct {
    struct msg_policy_told told;
    struct msg_policy_host hosts[HOSTS_MAX];
    struct msg_policy_ask asked; /* the last question; its texts are the house's */
    size_t questions;
} finds;

static void answer_question(struct edge_end *edge, const struct msg *msg)
{
    struct msg kept;
    if (msg->kind != MSG_policy_ask) {
        heard(edge, msg);
        return;
    }
    assert_false(err_is(msg_copy(msg, &house.arena, &kept)));
    finds.asked = kept.policy_ask;
    finds.questions++;
    struct msg answer = {.kind = MSG_policy_told, .policy_told = finds.told};
    answer.policy_told.call = msg->policy_ask.call;
    answer.policy_told.hosts = finds.hosts;
    assert_false(err_is(link_send(&edge->link, &answer)));
}

static void finds_host(const char *name, enum tls_need published, enum tls_need need,
                       const char *addresses)
{
    finds.hosts[finds.told.hosts_count++] =
        (struct msg_policy_host){.host = str_from(name),
                                 .port = 25,
                                 .preference = 10,
                                 .published = (uint8_t)published,
                                 .need = (uint8_t)need,
                                 .addresses = str_from(addresses)};
}

static void open_explaining(const char *conf)
{
    open_house(conf);
    courier->heard = answer_question;
    memset(&finds, 0, sizeof(finds));
    house.core.secrets = secrets_new();
    assert_non_null(house.core.secrets);
}

static int begin(void **state)
{
    (void)state;
    open_explaining("submission { local = no } sending { processes = 1 }\n"
                    "route smart { to = smart.test via = s.test:465 user = u password_file = p "
                    "recipients_per_hour = 1 }\n"
                    "route hers { accounts = \"alice@example.test\" to = hers.test via = mx "
                    "tls = verified }\n"
                    "route never { to = never.test deny = \"no mail for them\" }\n");
    finds_host("mx.far.test", TLS_NEED_NONE, TLS_NEED_NONE, "192.0.2.1\n");
    return 0;
}

static int end(void **state)
{
    struct secrets *secrets = house.core.secrets;
    teardown(state);
    secrets_free(secrets);
    return 0;
}

/* All that is said, whatever comes out. */
static struct str explained(const char *line, int code)
{
    (void)typed(line);
    if (typing.code != code)
        print_error("%.*s%.*s", STR_FMT(buf_str(&typing.out)), STR_FMT(buf_str(&typing.err)));
    assert_int_equal(typing.code, code);
    return buf_str(&typing.out);
}

#define ALICE_TO "explain send alice@example.test "

/* --- Who may --------------------------------------------------------------------------------- */

static void an_account_may_send_as_itself(void **state)
{
    (void)state;
    struct str told = explained(ALICE_TO "x@far.test", ADMIN_OK);
    assert_says(told, "ok       account    alice@example.test logs in");
    assert_says(told, "alice@example.test is its own address");
    assert_says(told, "to x@far.test\n");
    assert_says(told, "10 mx.far.test:25 (192.0.2.1): TLS if it has it");
    assert_true(str_ends(told, STR("So: it would leave at once\n")));
    told = explained("explain send alice+tag@example.test x@far.test", ADMIN_OK);
    assert_says(told, "is an address that it may send as");
}

static void what_is_nobody_s_is_refused(void **state)
{
    (void)state;
    struct str told = explained("explain send carl@far.test x@far.test", ADMIN_FOUND_WANTING);
    assert_says(told, "REFUSES  sender     550 5.7.1: carl@far.test is no account's");
    assert_says(told, "mx.far.test:25"); /* and what would come behind it is told */
    told = explained("explain send two@example.test x@far.test", ADMIN_FOUND_WANTING);
    assert_says(told, "is no account's"); /* two accounts have it */
    told = explained("explain send bob@example.test x@far.test --account alice@example.test",
                     ADMIN_FOUND_WANTING);
    assert_says(told, "553 5.7.1: bob@example.test is not its address");
    told = explained("explain send dave@example.test x@far.test", ADMIN_FOUND_WANTING);
    assert_says(told, "dave@example.test is disabled");
}

static void a_client_that_may_relay(void **state)
{
    (void)state;
    struct str told = explained("explain send carl@far.test x@far.test --client 203.0.113.9",
                                ADMIN_FOUND_WANTING);
    assert_says(told, "REFUSES  recipient  550 5.7.1: Relaying denied");
    told = explained("explain send carl@far.test bob@example.test --client 203.0.113.9", ADMIN_OK);
    assert_says(told, "delivered to the mailbox of bob@example.test");
    assert_true(str_ends(told, STR("So: it would be delivered here\n")));
    assert_silent(told, "not looked at\n\n");
}

/* --- How much -------------------------------------------------------------------------------- */

static struct sending sent_lately;

static void sending_set(struct rig *rig, void *arg)
{
    struct account account;
    struct sender *sender;
    struct addr alice = house_addr(&house, "alice@example.test");
    (void)arg;
    assert_false(
        err_is(directory_account_show(&house.core.directory, &alice, &house.arena, &account)));
    assert_false(err_is(senders_take(&house.core.senders, account.id, &sender)));
    sending_move(&sender->sending, world_wall(&rig->fake->world));
    sending_add(&sender->sending, sent_lately.today);
    senders_give(&house.core.senders, sender);
}

static void alice_sent(uint32_t recipients)
{
    sent_lately.today = recipients;
    assert_true(rig_do(&house.rig, sending_set, NULL));
}

static void asking_counts_nothing(void **state)
{
    (void)state;
    struct str told = explained(ALICE_TO "x@far.test", ADMIN_OK);
    struct str first = arena_str(&house.arena, told);
    for (int i = 0; i < 60; i++)
        (void)explained(ALICE_TO "x@far.test", ADMIN_OK);
    assert_str(explained(ALICE_TO "x@far.test", ADMIN_OK), first);
    assert_int_equal(waiting(), 0);
    assert_int_equal(job_count, 0);
}

static void the_brake_and_the_limit_are_told(void **state)
{
    (void)state;
    alice_sent(49);
    (void)explained(ALICE_TO "x@far.test", ADMIN_OK);
    alice_sent(1);
    struct str told = explained(ALICE_TO "x@far.test", ADMIN_FOUND_WANTING);
    assert_says(told, "REFUSES  limits     450 4.7.1: that is far above the account's habit");
    assert_says(typed("account show alice@example.test"), "alice"); /* and it is not held */
    assert_silent(buf_str(&typing.out), "held");
    typed("account release alice@example.test");
    alice_sent(100000);
    told = explained(ALICE_TO "x@far.test", ADMIN_FOUND_WANTING);
    assert_says(told, "the account has sent as much as it may");
    typed("account hold alice@example.test --why odd");
    told = explained(ALICE_TO "x@far.test", ADMIN_FOUND_WANTING);
    assert_says(told, "450 4.7.1: the account is on hold: odd\n");
    assert_says(told, "by: veredus account release alice@example.test\n");
}

static void a_size_is_held_against_the_limit(void **state)
{
    (void)state;
    assert_says(explained(ALICE_TO "x@far.test --size 50M", ADMIN_OK), "ok       size");
    assert_says(explained(ALICE_TO "x@far.test --size 52428801", ADMIN_FOUND_WANTING),
                "REFUSES  size       552 5.3.4");
    struct str told = explained("explain send alice@example.test carol@example.test --size 2K", 1);
    assert_says(told, "552"); /* carol has 1 KB */
}

/* --- Whom it reaches ------------------------------------------------------------------------- */

static void aliases_and_lists_are_followed(void **state)
{
    (void)state;
    struct str told = explained(ALICE_TO "two@example.test", ADMIN_OK);
    assert_says(told, "delivered to the mailbox of alice@example.test, by two@example.test\n");
    assert_says(told, "delivered to the mailbox of bob@example.test, by two@example.test\n");
    told = explained(ALICE_TO "team@example.test", ADMIN_OK);
    assert_says(told, "carol@example.test, by the list team@example.test\n");
    told = explained(ALICE_TO "away@example.test", ADMIN_OK);
    assert_says(told, "away@example.test leads to new@else.example\n");
    assert_says(told, "by: veredus alias show away@example.test\n");
    assert_says(told, "it leaves with its own sender, alice@example.test\n");
    assert_says(told, "So: it would be delivered here, and leave at once\n");
    told = explained(ALICE_TO "old@example.test", ADMIN_FOUND_WANTING);
    assert_says(told, "551 5.1.6: User not local; please try another path: new@else.example\n");
    assert_says(told, "by: veredus moved show old@example.test\n");
    told = explained(ALICE_TO "nobody@example.test", ADMIN_FOUND_WANTING);
    assert_says(told, "550 5.1.1");
    told = explained(ALICE_TO "dave@example.test", ADMIN_FOUND_WANTING);
    assert_says(told, "by: veredus account show dave@example.test\n");
}

static void what_a_stranger_s_mail_leaves_as(void **state)
{
    (void)state;
    struct str told =
        explained("explain send carl@far.test away@example.test --client 203.0.113.9", ADMIN_OK);
    assert_says(told, "and leaves as SRS0=");
    assert_says(told, "not signed: what strangers send never is\n");
}

/* --- Which way ------------------------------------------------------------------------------- */

static void a_route_is_named_with_what_it_asks_for(void **state)
{
    (void)state;
    struct str told = explained(ALICE_TO "x@smart.test", ADMIN_LATER);
    assert_says(told, "by: route smart { to = smart.test }\n");
    assert_says(told,
                "WAITS    log-in     the file with the secret of its route could not be read\n");
    assert_str(finds.asked.via, STR("s.test:465"));
    assert_str(finds.asked.route, STR("@smart"));
    assert_str(finds.asked.sts_policy, STR(""));
    const struct msg_route_secret secret = {
        .name = STR("smart"), .via = STR("s.test:465"), .secret = STR("pw")};
    assert_false(err_is(secrets_take(house.core.secrets, &secret)));
    told = explained(ALICE_TO "x@smart.test", ADMIN_OK);
    assert_says(told, "it logs in there as u\n");
    assert_says(told, "ok       limits     0 of 1 recipients of an hour used\n");
    assert_silent(told, "pw");
}

static void a_route_asks_for_the_account(void **state)
{
    (void)state;
    finds.hosts[0].need = TLS_NEED_PKIX;
    struct str told = explained(ALICE_TO "x@hers.test", ADMIN_OK);
    assert_says(told, "by: route hers { to = hers.test accounts = alice@example.test }\n");
    assert_says(told, "by: route hers { tls }\n");
    assert_int_equal(finds.asked.tls, CONF_ROUTE_TLS_VERIFIED);
    told = explained("explain send bob@example.test x@hers.test", ADMIN_OK);
    assert_says(told, "no route holds: by the MX of hers.test\n");
    told = explained(ALICE_TO "x@never.test", ADMIN_FOUND_WANTING);
    assert_says(told, "550 5.7.1: Mail to this recipient is not allowed here: no mail for them\n");
    assert_says(told, "by: route never { deny }\n");
}

static void a_route_that_is_full_makes_it_wait(void **state)
{
    (void)state;
    const struct msg_route_secret secret = {
        .name = STR("smart"), .via = STR("s.test:465"), .secret = STR("pw")};
    assert_false(err_is(secrets_take(house.core.secrets, &secret)));
    end(NULL);
    open_explaining("smtp { relay_from = \"0.0.0.0/0\" } sending { processes = 1 }\n"
                    "route smart { to = smart.test via = s.test:465 recipients_per_hour = 1 }\n");
    finds_host("s.test", TLS_NEED_NONE, TLS_NEED_PKIX, "192.0.2.1\n");
    send_one("carol@smart.test");
    over_sent(job_at(0));
    struct str told = explained(ALICE_TO "x@smart.test", ADMIN_LATER);
    assert_says(told, "WAITS    limits     1 of 1 recipients of an hour used");
    assert_says(told, "So: it would be accepted, and wait\n");
}

/* --- When ------------------------------------------------------------------------------------ */

static void trouble_and_pauses_are_told(void **state)
{
    (void)state;
    end(NULL);
    open_explaining(open_to_all);
    finds_host("mx.far.test", TLS_NEED_NONE, TLS_NEED_NONE, "192.0.2.1\n");
    assert_says(explained(ALICE_TO "x@dead.test", ADMIN_OK), "nothing waits for it\n");
    send_one("carol@dead.test");
    assert_says(explained(ALICE_TO "x@dead.test", ADMIN_OK),
                "0 wait for dead.test, 1 are under way of 2 at a time\n");
    over_with(job_at(0), JOB_LATER, 0, STR("4.4.1"), STR("no"), JOB_TROUBLE_CONNECT, false);
    struct str told = explained(ALICE_TO "x@dead.test", ADMIN_LATER);
    assert_says(told, "WAITS    queue      it could not be connected; it is tried again in ");
    typed("queue pause far.test");
    told = explained(ALICE_TO "x@far.test", ADMIN_LATER);
    assert_says(told, "its destination is paused\n");
    assert_says(told, "by: veredus queue resume far.test\n");
    typed("queue pause");
    assert_says(explained(ALICE_TO "x@near.test", ADMIN_LATER), "the queue is paused\n");
}

/* --- What a courier finds -------------------------------------------------------------------- */

static void what_hosts_have_to_prove_has_its_reason(void **state)
{
    (void)state;
    finds.told.hosts_count = 0;
    finds_host("a.far.test", TLS_NEED_DANE, TLS_NEED_DANE, "192.0.2.1\n2001:db8::1\n");
    finds_host("b.far.test", TLS_NEED_TLS, TLS_NEED_TLS,
               "127.0.0.1 a loopback address\n192.0.2.2\n");
    finds_host("c.far.test", TLS_NEED_PKIX, TLS_NEED_PKIX, "192.0.2.3\n");
    finds_host("d.far.test", 200, 200, "");
    finds.hosts[3].why = STR("it has no address");
    finds.told.sts_policy = STR("version: STSv1\nmode: enforce\nmx: c.far.test\nmax_age: 1000\n");
    finds.told.sts_why = STR("no");
    struct str told = explained(ALICE_TO "x@far.test", ADMIN_OK);
    assert_says(told, "10 a.far.test:25 (192.0.2.1, 2001:db8::1): TLS with a certificate that its "
                      "TLSA records tell\n");
    assert_says(told, "10 b.far.test:25 (not 127.0.0.1: a loopback address, 192.0.2.2): TLS, "
                      "whatever the certificate\n");
    assert_says(told, "by: the domain's MTA-STS policy\n");
    assert_says(told, "10 d.far.test:25 is passed over: it has no address\n");
    assert_says(told, "the domain has a policy, mode enforce\n");
    assert_says(told, "its policy could not be fetched: no\n");
}

static void no_host_at_all(void **state)
{
    (void)state;
    finds.hosts[0].why = STR("nobody knows");
    struct str told = explained(ALICE_TO "x@far.test", ADMIN_LATER);
    assert_says(told, "none of its hosts can be called");
    finds.told = (struct msg_policy_told){
        .why = STR("there is no such domain"), .refused = 1, .status = STR("5.1.2")};
    told = explained(ALICE_TO "x@far.test", ADMIN_FOUND_WANTING);
    assert_says(told, "RETURNS  hosts      5.1.2: there is no such domain\n");
    assert_says(told, "So: it would be accepted, and go back to its sender\n");
    finds.told.refused = 0;
    (void)explained(ALICE_TO "x@far.test", ADMIN_LATER);
    edge_end_leave(courier);
    house_settle(&house);
    told = explained(ALICE_TO "x@far.test", ADMIN_LATER);
    assert_says(told, "no courier is up\n");
    assert_says(told, "So: nobody can say now\n");
}

static void what_is_asked_of_TLS_goes_along(void **state)
{
    struct mail_options asked;
    (void)state;
    (void)explained(ALICE_TO "x@far.test --requiretls", ADMIN_OK);
    assert_true(mail_options_read(finds.asked.asked, &asked) && asked.require_tls);
    (void)explained(ALICE_TO "x@far.test", ADMIN_OK);
    assert_true(mail_options_read(finds.asked.asked, &asked) && !asked.require_tls);
    (void)explained("explain send <> x@far.test --requiretls", ADMIN_OK);
    assert_true(mail_options_read(finds.asked.asked, &asked) && !asked.require_tls);
}

/* A list with many members elsewhere is told in part, and asked about in part. */
static void many_places_are_cut(void **state)
{
    (void)state;
    char line[200];
    typed("list add all@example.test --owner alice@example.test");
    for (int i = 0; i < EXPLAIN_COPIES + 1; i++) {
        snprintf(line, sizeof(line), "list set all@example.test --member m%d@far.test", i);
        typed(line);
    }
    struct str told = explained(ALICE_TO "all@example.test", ADMIN_OK);
    assert_int_equal(finds.questions, EXPLAIN_COPIES);
    assert_says(told, "and 1 addresses more elsewhere\n");
    assert_says(told, "is a member elsewhere of the list all@example.test\n");
    assert_says(told, "it leaves with the list's owner as sender, alice@example.test\n");
}

static void as_JSON_it_is_one_object(void **state)
{
    (void)state;
    typing.json = true;
    struct str told = explained(ALICE_TO "x@far.test", ADMIN_OK);
    typing.json = false;
    json_t *object = json_loadb(told.p, told.n, 0, NULL);
    assert_non_null(object);
    assert_string_equal(json_string_value(json_object_get(object, "outcome")), "sent");
    const json_t *steps = json_object_get(object, "steps"), *last = NULL;
    last = json_array_get(steps, json_array_size(steps) - 1);
    assert_string_equal(json_string_value(json_object_get(last, "host")), "mx.far.test");
    assert_int_equal(json_integer_value(json_object_get(last, "port")), 25);
    assert_string_equal(json_string_value(json_array_get(json_object_get(last, "addresses"), 0)),
                        "192.0.2.1");
    json_decref(object);
}

static void what_is_typed_wrong_is_told(void **state)
{
    (void)state;
    complaint("explain send a@b@c x@far.test", ADMIN_DATA);
    complaint(ALICE_TO "@far.test", ADMIN_DATA);
    complaint(ALICE_TO "x@far.test --size much", ADMIN_USAGE);
    complaint(ALICE_TO "x@far.test --size none", ADMIN_USAGE);
    complaint(ALICE_TO "x@far.test --client here", ADMIN_USAGE);
    complaint(ALICE_TO "x@far.test --account eve@example.test", ADMIN_NO_USER);
    complaint("explain send alice@example.test", ADMIN_USAGE);
    assert_int_equal(finds.questions, 0);
}

int main(void)
{
#define EXPLAINING(test) cmocka_unit_test_setup_teardown(test, begin, end)
    const struct CMUnitTest tests[] = {
        EXPLAINING(an_account_may_send_as_itself),
        EXPLAINING(what_is_nobody_s_is_refused),
        EXPLAINING(a_client_that_may_relay),
        EXPLAINING(asking_counts_nothing),
        EXPLAINING(the_brake_and_the_limit_are_told),
        EXPLAINING(a_size_is_held_against_the_limit),
        EXPLAINING(aliases_and_lists_are_followed),
        EXPLAINING(what_a_stranger_s_mail_leaves_as),
        EXPLAINING(a_route_is_named_with_what_it_asks_for),
        EXPLAINING(a_route_asks_for_the_account),
        EXPLAINING(a_route_that_is_full_makes_it_wait),
        EXPLAINING(trouble_and_pauses_are_told),
        EXPLAINING(what_hosts_have_to_prove_has_its_reason),
        EXPLAINING(no_host_at_all),
        EXPLAINING(what_is_asked_of_TLS_goes_along),
        EXPLAINING(many_places_are_cut),
        EXPLAINING(as_JSON_it_is_one_object),
        EXPLAINING(what_is_typed_wrong_is_told),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    buf_done(&typing.out);
    buf_done(&typing.err);
    return failed;
}
