#include "core/signed.h"

#include "core/courier_rig_test.h"
#include "trust/dkim.h"

#define CONF "hostname = mx.example.test\nsending { processes = 1 }\n"

static struct edge_end *sub, *cli;
static uint64_t alice;

static void typed(const char *line)
{
    struct msg_text_line words[8];
    struct str rest = str_from(line);
    struct msg question = {.kind = MSG_admin, .admin = {.arguments = words}}, answer;
    while (rest.n)
        words[question.admin.arguments_count++].text = str_cut(&rest, ' ');
    assert_false(err_is(house_ask(cli, question, &answer)));
    assert_int_equal(answer.admin_done.exit_code, 0);
}

static void login(void)
{
    struct msg answer, question = {.kind = MSG_login,
                                   .login = {.protocol = LISTEN_SUBMISSION,
                                             .encrypted = 1,
                                             .client = STR("192.0.2.7"),
                                             .user = STR("alice@example.test"),
                                             .password = STR("secret")}};
    assert_false(err_is(house_ask(sub, question, &answer)));
    assert_int_equal(answer.logged_in.error, ERR_NONE);
    alice = answer.logged_in.handle;
}

/* The mx edge makes room for the one of submission: a house has four. */
static void up(const char *conf)
{
    house_open(&house, conf, 1);
    mx = house_edge(&house, ROLE_MX);
    sub = house_edge(&house, ROLE_SUB);
    cli = house_edge(&house, ROLE_CLI);
    courier = house_edge(&house, ROLE_COURIER);
    courier->heard = heard;
    job_count = recorded = 0;
    courier_ready(NULL, 0);
    login();
    typed("dkim add example.test");
    typed("dkim published example.test");
}

static int users_up(void **state)
{
    (void)state;
    up(CONF);
    return 0;
}

static int relays_up(void **state)
{
    (void)state;
    up(CONF "smtp { relay_from = \"0.0.0.0/0\" }\n");
    return 0;
}

/* A message, and what an edge says of it. */
struct letter {
    struct edge_end *edge;
    const char *to, *header, *author;
    bool no_hash;
    size_t hash_octets; /* if not as many as there are */
};

static bool brought(const struct letter *letter, struct msg_committed *committed_r)
{
    static unsigned char hash[DKIM_HASH];
    uint64_t transaction = next_transaction++;
    struct msg_address to = {.text = str_from(letter->to)},
                       author = {.text = str_from(letter->author ? letter->author : "")};
    struct buf octets = buf_in(&house.arena, 4096);
    struct dkim_hash body;
    struct offer offer;
    struct msg answer;
    struct msg question = {.kind = MSG_resolve,
                           .resolve = {.transaction = transaction,
                                       .transmission = TRANSMISSION_ESMTP,
                                       .client = STR("192.0.2.7"),
                                       .server = STR("192.0.2.25"),
                                       .helo = STR("c.example"),
                                       .reverse_path = STR("alice@example.test"),
                                       .login = letter->edge == sub ? alice : 0,
                                       .recipients = &to,
                                       .recipients_count = 1}};
    assert_false(err_is(house_ask(letter->edge, question, &answer)));
    assert_int_equal(answer.resolved.answers[0].error, ERR_NONE);
    buf_printf(&octets, "%sX: %zu\r\n\r\nbody\r\n", letter->header, (size_t)transaction);
    dkim_hash_begin(&body);
    dkim_hash_update(&body, STR("body\r\n"));
    dkim_hash_end(&body, hash);
    offer_make(&offer, letter->edge, transaction, buf_built(&octets), 1, transaction);
    offer.msg.commit.login = question.resolve.login;
    offer.msg.commit.authors = &author;
    offer.msg.commit.authors_count = letter->edge == sub;
    if (!letter->no_hash)
        offer.msg.commit.body_hash =
            str_make(hash, letter->hash_octets ? letter->hash_octets : sizeof(hash));
    if (err_is(house_ask(letter->edge, offer.msg, &answer)))
        return false;
    house_settle(&house);
    *committed_r = answer.committed;
    return true;
}

/* How many signatures the message of a job has. */
static size_t signatures(size_t job)
{
    struct buf octets = buf_in(&house.arena, 1 << 20);
    assert_false(err_is(fetch(job_at(job), SLAB_SIZE, &octets)));
    struct str rest = buf_str(&octets);
    size_t count = 0;
    if (str_starts(rest, STR("Veredus-Loop: ")))
        rest = str_from_index(rest, (size_t)str_find(rest, STR("\r\n")) + 2);
    for (; str_starts(rest, STR("DKIM-Signature: ")); count++) {
        assert_true(str_find(rest, STR(" d=example.test;")) > 0);
        ssize_t at = str_find(rest, STR("\r\nDKIM-Signature: "));
        rest =
            str_from_index(rest, (size_t)(at < 0 ? str_find(rest, STR("\r\nReceived: ")) : at) + 2);
    }
    return count;
}

static size_t signed_as(struct letter letter)
{
    struct msg_committed committed;
    assert_true(brought(&letter, &committed));
    assert_int_equal(committed.error, ERR_NONE);
    return signatures(job_count - 1);
}

#define FROM_ALICE "From: Alice <alice@example.test>\r\n"

static void what_users_send_is_signed(void **state)
{
    (void)state;
    struct letter letter = {sub, "carol@far.test", FROM_ALICE, "alice@example.test"};
    assert_int_equal(signed_as(letter), 2);
    letter.no_hash = true;
    assert_int_equal(signed_as(letter), 0);
}

/* Names in From that core was not told of, or that no two readers find the same of. */
static void an_edge_has_nothing_else_signed(void **state)
{
    (void)state;
    static const char *const headers[] = {
        "From: <bob@example.test>\r\n",
        FROM_ALICE "From: <bob@example.test>\r\n",
        "From: alice@example.test, x@else.test\r\n",
        "Subject: none\r\n",
        "From: nobody\r\n",
    };
    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
        struct letter letter = {sub, "carol@far.test", headers[i], "alice@example.test"};
        assert_int_equal(signed_as(letter), 0);
        over_sent(job_at(job_count - 1));
    }
}

static void no_hash_has_another_length(void **state)
{
    (void)state;
    struct letter letter = {sub, "bob@example.test", FROM_ALICE, "alice@example.test",
                            .hash_octets = DKIM_HASH - 1};
    struct msg_committed committed;
    assert_true(!brought(&letter, &committed) || committed.error == ERR_BUS_BROKEN);
    house_settle(&house);
    assert_true(sub->ended);
}

/* D07: whatever an edge says. */
static void what_strangers_send_is_not(void **state)
{
    (void)state;
    assert_int_equal(signed_as((struct letter){mx, "away@example.test", FROM_ALICE}), 0);
}

static void what_relays_send_is_signed_by_its_from(void **state)
{
    (void)state;
    assert_int_equal(signed_as((struct letter){mx, "carol@far.test", FROM_ALICE}), 2);
    over_sent(job_at(0));
    assert_int_equal(
        signed_as((struct letter){mx, "carol@far.test", "From: x@sub.example.test\r\n"}), 0);
    over_sent(job_at(1));
    assert_int_equal(signed_as((struct letter){mx, "carol@far.test", "From: x@else.test\r\n"}), 0);
}

/* By the domain above our host's name, which has keys. */
static void reports_that_leave_are_signed(void **state)
{
    (void)state;
    const char *recipient = "carol@far.test";
    send_from("zoe@else.test", &recipient, 1);
    over_failed(job_at(0));
    struct buf octets = buf_in(&house.arena, 1 << 20);
    assert_false(err_is(fetch(job_at(1), SLAB_SIZE, &octets)));
    assert_true(str_starts(buf_str(&octets), STR("DKIM-Signature: v=1; a=rsa-sha256;")));
    assert_says(buf_str(&octets), "DKIM-Signature: v=1; a=ed25519-sha256;");
    assert_says(buf_str(&octets), "d=example.test;");
}

static void nothing_is_signed_where_that_is_off(void **state)
{
    (void)state;
    house.conf.dkim.sign = false;
    struct letter letter = {sub, "carol@far.test", FROM_ALICE, "alice@example.test"};
    assert_int_equal(signed_as(letter), 0);
}

#define USERS(test) cmocka_unit_test_setup_teardown(test, users_up, teardown)
#define RELAYS(test) cmocka_unit_test_setup_teardown(test, relays_up, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        USERS(what_users_send_is_signed),
        USERS(an_edge_has_nothing_else_signed),
        USERS(no_hash_has_another_length),
        USERS(what_strangers_send_is_not),
        RELAYS(what_relays_send_is_signed_by_its_from),
        RELAYS(reports_that_leave_are_signed),
        USERS(nothing_is_signed_where_that_is_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
