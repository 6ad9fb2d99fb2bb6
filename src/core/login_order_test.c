/*
 * Who gets in, in which order that is found out, and what it costs: counted in hashes, not in time.
 * Passwords are asked for by a mailbox edge, "secret" is everybody's.
 */
#include "base/test.h"

#define HOUSE_SETTINGS "hostname = mx.example.test\nlogin {\n remembered = 0s\n}\n"
#include "core/house_test.h"
#include "core/login.h"
#include "trust/password.h"

static uint64_t hashes(void)
{
    return house.core.desk.gate.hashes;
}

static struct msg question(struct str client, struct str user, struct str password)
{
    return (struct msg){.kind = MSG_login,
                        .login = {.protocol = LISTEN_POP3,
                                  .mechanism = SASL_USER_PASS,
                                  .client = client,
                                  .user = user,
                                  .password = password}};
}

static struct msg_logged_in asked(struct edge_end *edge, struct msg msg)
{
    struct msg answer;
    assert_false(err_is(house_ask(edge, msg, &answer)));
    assert_int_equal(answer.kind, MSG_logged_in);
    return answer.logged_in;
}

static enum err_code tried(const char *client, const char *user, const char *password)
{
    return asked(box, question(str_from(client), str_from(user), str_from(password))).error;
}

/* Everything that nobody waits for has been done. */
static void rest(void)
{
    house_pass(&house, 5 * NS_PER_SECOND);
}

/* --- Changes of the directory ---------------------------------------------------------------- */

struct change {
    const char *address;
    struct account account;
    unsigned fields;
    struct app_password *app;
};

static void change_run(struct rig *rig, void *arg)
{
    struct change *change = arg;
    struct addr addr = house_addr(&house, change->address);
    struct err e = change->app
                       ? directory_app_password_add(&house.core.directory, &addr, change->app, NULL,
                                                    &house.arena)
                       : directory_account_set(&house.core.directory, &addr, &change->account,
                                               change->fields, &house.arena);
    (void)rig;
    assert_int_equal(e.code, ERR_NONE);
}

static void change(const char *address, struct account account, unsigned fields)
{
    struct change one = {.address = address, .account = account, .fields = fields};
    assert_true(rig_do(&house.rig, change_run, &one));
    house_settle(&house);
}

static struct account account_of(const char *user);

struct asked_account {
    const char *user;
    struct account account;
    struct credentials credentials;
};

static void account_read(struct rig *rig, void *arg)
{
    struct asked_account *wanted = arg;
    (void)rig;
    assert_false(err_is(directory_login(&house.core.directory, str_from(wanted->user), &house.arena,
                                        &wanted->account)));
    assert_false(err_is(directory_credentials(&house.core.directory, wanted->account.id,
                                              &house.arena, &wanted->credentials)));
}

static struct asked_account read_of(const char *user)
{
    struct asked_account wanted = {.user = user};
    assert_true(rig_do(&house.rig, account_read, &wanted));
    return wanted;
}

static struct account account_of(const char *user)
{
    return read_of(user).account;
}

/* --- Guessing -------------------------------------------------------------------------------- */

/* I15: strangers from a thousand networks guess at bob's password; he is at home. */
static void a_storm_costs_few_hashes_and_the_owner_none_of_his_time(void **state)
{
    enum {
        STRANGERS = 1000
    };
    static struct asking storm[STRANGERS];
    static char clients[STRANGERS][NETWORK_TEXT];
    (void)state;
    assert_int_equal(tried("198.51.100.7", "bob@example.test", "secret"), ERR_NONE);
    rest(); /* it is his network now, and his hash is ours */
    uint64_t before = hashes();
    for (size_t i = 0; i < STRANGERS; i++) {
        snprintf(clients[i], sizeof(clients[i]), "10.%zu.%zu.1", i / 250, i % 250);
        house_ask_begin(&storm[i], box,
                        question(str_from(clients[i]), STR("bob@example.test"), STR("guess")));
    }
    struct asking owner;
    struct edge_end *other = house_edge(&house, ROLE_BOX);
    house_ask_begin(&owner, other,
                    question(STR("198.51.100.9"), STR("bob@example.test"), STR("secret")));
    house_settle(&house);
    assert_true(owner.done);
    assert_int_equal(owner.answer.logged_in.error, ERR_NONE);
    rest();
    size_t failed = 0, later = 0;
    for (size_t i = 0; i < STRANGERS; i++) {
        assert_true(storm[i].done);
        failed += storm[i].answer.logged_in.error == ERR_LOGIN_FAILED;
        later += storm[i].answer.logged_in.error == ERR_LOGIN_BACK_OFF;
    }
    assert_int_equal(failed, 20);
    assert_int_equal(failed + later, STRANGERS);
    assert_int_equal(hashes() - before, 20 + 1);
    assert_int_equal(tried("198.51.100.7", "bob@example.test", "secret"), ERR_NONE);
    assert_int_equal(tried("203.0.113.1", "bob@example.test", "secret"), ERR_LOGIN_BACK_OFF);
}

/* I15: who guessed before waits; bob, who was never seen there, goes before them. */
static void a_newcomer_does_not_wait_behind_those_who_guess(void **state)
{
    enum {
        GUESSERS = 12
    };
    struct asking storm[GUESSERS], newcomer;
    char clients[GUESSERS][NETWORK_TEXT];
    (void)state;
    for (size_t i = 0; i < GUESSERS; i++) {
        snprintf(clients[i], sizeof(clients[i]), "10.0.%zu.1", i);
        assert_int_equal(tried(clients[i], i % 2 ? "alice" : "carol", "guess"), ERR_LOGIN_FAILED);
    }
    fake_world_settings(house.rig.fake)->job_most = 100 * NS_PER_MS;
    for (size_t i = 0; i < GUESSERS; i++)
        house_ask_begin(
            &storm[i], box,
            question(str_from(clients[i]), i % 2 ? STR("alice") : STR("carol"), STR("guess")));
    house_settle(&house);
    house_ask_begin(&newcomer, house_edge(&house, ROLE_BOX),
                    question(STR("198.51.100.9"), STR("bob"), STR("secret")));
    for (size_t i = 0; i < 1000 && !newcomer.done; i++)
        house_pass(&house, NS_PER_MS);
    assert_int_equal(newcomer.answer.logged_in.error, ERR_NONE);
    assert_false(storm[GUESSERS - 1].done);
    rest();
    assert_int_equal(storm[GUESSERS - 1].answer.logged_in.error, ERR_LOGIN_FAILED);
}

/* Guessed at, a name that nobody has is told the same, as often, for as many hashes. */
static void whom_there_are_not_is_not_told(void **state)
{
    static const char *const users[] = {"bob@example.test", "nobody@example.test"};
    static enum err_code said[2][40];
    uint64_t cost[2];
    (void)state;
    for (size_t user = 0; user < 2; user++) {
        cost[user] = hashes();
        for (size_t i = 0; i < 40; i++) {
            char client[NETWORK_TEXT];
            snprintf(client, sizeof(client), "10.%zu.%zu.1", user, i);
            said[user][i] = tried(client, users[user], "guess");
        }
        cost[user] = hashes() - cost[user];
    }
    assert_memory_equal(said[0], said[1], sizeof(said[0]));
    assert_int_equal(said[0][19], ERR_LOGIN_FAILED);
    assert_int_equal(said[0][20], ERR_LOGIN_BACK_OFF);
    assert_int_equal(cost[0], cost[1]);
    /* SASLprep's and NFKC's twins are one name. */
    assert_int_equal(tried("10.9.9.9", "BOB@EXAMPLE.TEST", "guess"), ERR_LOGIN_BACK_OFF);
    assert_int_equal(tried("10.9.9.9", "\xef\xbd\x82ob@example.test", "guess"), ERR_LOGIN_BACK_OFF);
}

static void who_goes_on_is_banned_and_the_edges_know(void **state)
{
    (void)state;
    struct edge_end *sub = house_edge(&house, ROLE_SUB);
    enum err_code said = ERR_NONE;
    size_t asks = 0;
    for (; said != ERR_BANNED; asks++)
        said = tried("203.0.113.5", "bob@example.test", "guess");
    assert_int_equal(asks, 5 + 50);
    rest();
    assert_int_equal(box->bans, 1);
    assert_int_equal(sub->bans, 1);
    assert_int_equal(mx->bans, 0);
    assert_int_equal(tried("203.0.113.5", "alice@example.test", "secret"), ERR_BANNED);
    assert_int_equal(tried("203.0.113.6", "alice@example.test", "secret"), ERR_NONE);
    /* Another core, and another link: behind its welcome. */
    edge_end_leave(box);
    edge_end_leave(sub);
    edge_end_leave(mx);
    house_stop(&house);
    house_start(&house);
    edge_end_connect(box);
    rest();
    assert_int_equal(box->bans, 1);
    assert_int_equal(tried("203.0.113.5", "alice@example.test", "secret"), ERR_BANNED);
    /* It ends by itself, and its row goes. */
    house_pass(&house, 3700 * NS_PER_SECOND);
    assert_int_equal(guard_sizes(house.core.desk.guard).bans, 0);
    assert_int_equal(tried("203.0.113.5", "alice@example.test", "secret"), ERR_NONE);
}

/* --- The proof ------------------------------------------------------------------------------- */

static void a_link_logs_in_for_its_own_protocols(void **state)
{
    struct msg msg = question(STR("192.0.2.7"), STR("bob@example.test"), STR("secret"));
    (void)state;
    msg.login.protocol = LISTEN_SUBMISSION;
    refused_with_a_cut(box, msg);
    msg.login.protocol = 200;
    refused_with_a_cut(box, msg);
    msg.login.protocol = LISTEN_POP3;
    refused_with_a_cut(house_edge(&house, ROLE_SUB), msg);
    msg.login.mechanism = SASL_SCRAM_SHA_256;
    refused_with_a_cut(box, msg);
    msg.login.mechanism = SASL_USER_PASS;
    msg.login.client = STR("nowhere");
    refused_with_a_cut(box, msg);
}

static void the_state_is_told_to_who_proved_it_only(void **state)
{
    (void)state;
    change("bob@example.test", (struct account){.services_off = SERVICE_POP3}, FIELD_POP3);
    assert_int_equal(tried("192.0.2.7", "bob@example.test", "wrong"), ERR_LOGIN_FAILED);
    assert_int_equal(tried("192.0.2.7", "bob@example.test", "secret"), ERR_LOGIN_SERVICE_OFF);
    assert_int_equal(tried("192.0.2.7", "dave@example.test", "wrong"), ERR_LOGIN_FAILED);
    assert_int_equal(tried("192.0.2.7", "dave@example.test", "secret"), ERR_LOGIN_DISABLED);
    struct edge_end *sub = house_edge(&house, ROLE_SUB);
    struct msg msg = question(STR("192.0.2.7"), STR("bob@example.test"), STR("secret"));
    msg.login.protocol = LISTEN_SUBMISSION;
    assert_int_equal(asked(sub, msg).error, ERR_NONE);
}

/* I13: whom to act as is nobody, or oneself. */
static void nobody_acts_as_another(void **state)
{
    struct msg msg = question(STR("192.0.2.7"), STR("bob"), STR("secret"));
    (void)state;
    msg.login.as = STR("BOB@example.test");
    assert_int_equal(asked(box, msg).error, ERR_NONE);
    msg.login.as = STR("alice@example.test");
    assert_int_equal(asked(box, msg).error, ERR_LOGIN_FAILED);
    msg.login.as = STR("nobody@example.test");
    assert_int_equal(asked(box, msg).error, ERR_LOGIN_FAILED);
    msg.login.as = str_make("bob@example.test\0", 17);
    assert_int_equal(asked(box, msg).error, ERR_LOGIN_FAILED);
}

static void an_application_password_does_what_it_may(void **state)
{
    static const unsigned char random[PASSWORD_APP_RANDOM] = "eighteen of them.";
    struct arena *arena = &house.arena;
    (void)state;
    struct str password = password_app_make(random, arena);
    struct app_password app = {.name = STR("phone"), .services = SERVICE_SMTP};
    app.hash = password_app_hash(password, arena);
    struct change one = {.address = "bob@example.test", .app = &app};
    assert_true(rig_do(&house.rig, change_run, &one));
    uint64_t before = hashes();
    struct msg msg = question(STR("192.0.2.7"), STR("bob@example.test"), password);
    assert_int_equal(asked(box, msg).error, ERR_LOGIN_SERVICE_OFF);
    struct edge_end *sub = house_edge(&house, ROLE_SUB);
    msg.login.protocol = LISTEN_SUBMISSIONS;
    assert_int_equal(asked(sub, msg).error, ERR_NONE);
    rest();
    assert_int_equal(hashes() - before, 0);
    msg.login.user = STR("alice@example.test");
    assert_int_equal(asked(sub, msg).error, ERR_LOGIN_FAILED);
    /* The account's own password goes on, and its hash is none. */
    assert_int_equal(tried("192.0.2.7", "bob@example.test", "secret"), ERR_NONE);
    msg.login.user = STR("bob@example.test");
    msg.login.password = app.hash;
    assert_int_equal(asked(sub, msg).error, ERR_LOGIN_FAILED);
}

static void an_imported_hash_becomes_ours_once(void **state)
{
    (void)state;
    struct asked_account before = read_of("bob@example.test");
    assert_false(password_hash_is_current(before.account.password));
    assert_int_equal(tried("192.0.2.7", "bob@example.test", "wrong"), ERR_LOGIN_FAILED);
    rest();
    assert_false(password_hash_is_current(account_of("bob@example.test").password));
    uint64_t computed = hashes();
    assert_int_equal(tried("192.0.2.7", "bob@example.test", "secret"), ERR_NONE);
    rest();
    struct asked_account after = read_of("bob@example.test");
    assert_true(password_hash_is_current(after.account.password));
    assert_true(after.credentials.password.keys.has_sha_256);
    assert_true(after.credentials.password.keys.has_sha_1);
    assert_int_equal(after.account.credential_version, before.account.credential_version);
    assert_int_equal(hashes() - computed, 2);
    assert_int_equal(tried("192.0.2.7", "bob@example.test", "secret"), ERR_NONE);
    rest();
    assert_int_equal(hashes() - computed, 3);
    assert_int_equal(tried("192.0.2.7", "bob@example.test", "wrong"), ERR_LOGIN_FAILED);
}

/* --- Sessions -------------------------------------------------------------------------------- */

static void a_change_of_credentials_ends_the_sessions_it_concerns(void **state)
{
    (void)state;
    uint64_t alice = house_enter(box, "alice@example.test");
    uint64_t bob = house_enter(box, "bob@example.test");
    rest();
    change("bob@example.test", (struct account){.name = STR("Bob")}, FIELD_NAME);
    rest();
    assert_int_equal(box->taken_back, 0);
    struct str hash = account_of("alice@example.test").password;
    change("bob@example.test", (struct account){.password = hash}, FIELD_PASSWORD);
    rest();
    assert_int_equal(box->taken_back, 1);
    assert_true(box->last_taken_back == bob);
    assert_int_equal(house_rows(box, bob, 0).error, ERR_NOT_ALLOWED);
    assert_int_equal(house_rows(box, alice, 0).error, ERR_NONE);
    change("alice@example.test", (struct account){.disabled = true}, FIELD_DISABLED);
    rest();
    assert_int_equal(box->taken_back, 2);
}

/* However much changes, the log-ins are looked through once a second at most. */
static void many_changes_are_one_review(void **state)
{
    (void)state;
    uint64_t bob = house_enter(box, "bob@example.test");
    rest();
    for (int i = 0; i < 100; i++)
        change("alice@example.test", (struct account){.disabled = i % 2 == 0}, FIELD_DISABLED);
    change("bob@example.test", (struct account){.disabled = true}, FIELD_DISABLED);
    rest();
    assert_int_equal(box->taken_back, 1);
    assert_true(box->last_taken_back == bob);
}

/* I18: log-ins and log-outs across links; each sees its own mail and no other. */
static void nobody_sees_anothers_mail(void **state)
{
    static const char *const people[] = {"alice@example.test", "bob@example.test",
                                         "carol@example.test"};
    enum {
        HANDLES = 24,
        STEPS = 4000
    };
    struct {
        struct edge_end *edge;
        uint64_t handle;
        size_t who;
    } in[HANDLES] = {{0}};
    (void)state;
    struct edge_end *edges[] = {box, house_edge(&house, ROLE_BOX)};
    for (uint64_t i = 0; i < 3; i++) /* one, two and three messages */
        for (uint64_t n = 0; n <= i; n++)
            house_deliver(mx, 1 + 10 * i + n, people[i], TEXT, 1 + 10 * i + n);
    house.conf.login.remembered = 3600 * NS_PER_SECOND;
    uint32_t seed = 1;
    for (size_t step = 0; step < STEPS; step++) {
        seed = seed * 1664525 + 1013904223;
        size_t at = (seed >> 8) % HANDLES, who = (seed >> 16) % 3;
        if (in[at].handle && (seed >> 24) % 3 == 0) {
            edge_end_tell(in[at].edge,
                          &(struct msg){.kind = MSG_logout, .logout = {.handle = in[at].handle}});
            in[at].handle = 0;
        } else if (!in[at].handle) {
            in[at].edge = edges[(seed >> 20) % 2];
            in[at].who = who;
            in[at].handle = house_enter(in[at].edge, people[who]);
        } else {
            struct msg_mailbox_rows rows = house_rows(in[at].edge, in[at].handle, 0);
            assert_int_equal(rows.error, ERR_NONE);
            assert_int_equal(rows.rows_count, in[at].who + 1);
            struct edge_end *wrong = in[at].edge == box ? edges[1] : box;
            assert_int_equal(house_rows(wrong, in[at].handle, 0).error, ERR_NOT_ALLOWED);
        }
    }
}

/* A program that opens ten connections at once costs one hash, and one that logs in all day too. */
static void a_success_is_remembered(void **state)
{
    (void)state;
    house.conf.login.remembered = 3600 * NS_PER_SECOND;
    house.conf.login.scram = false;
    house_enter(box, "bob@example.test");
    rest(); /* its hash is ours */
    change("bob@example.test",
           (struct account){.password = account_of("bob@example.test").password}, FIELD_PASSWORD);
    uint64_t before = hashes();
    struct asking all[10];
    for (size_t i = 0; i < 10; i++)
        house_ask_begin(&all[i], box,
                        question(STR("192.0.2.7"), STR("bob@example.test"), STR("secret")));
    rest();
    for (size_t i = 0; i < 10; i++)
        assert_int_equal(all[i].answer.logged_in.error, ERR_NONE);
    assert_in_range(hashes() - before, 1, FAKE_PROCESSORS);
    before = hashes();
    for (int i = 0; i < 50; i++)
        house_enter(box, "bob@example.test");
    assert_int_equal(hashes() - before, 0);
    assert_int_equal(tried("192.0.2.7", "bob@example.test", "wrong"), ERR_LOGIN_FAILED);
    assert_int_equal(hashes() - before, 1);
    /* I13: another password, and the cache knows nothing. */
    unsigned char salt[PASSWORD_SALT] = "sixteen octets.";
    struct str hash;
    assert_false(err_is(password_hash(STR("changed"), salt, &house.arena, &hash)));
    change("bob@example.test", (struct account){.password = hash}, FIELD_PASSWORD);
    assert_int_equal(tried("192.0.2.7", "bob@example.test", "secret"), ERR_LOGIN_FAILED);
    assert_int_equal(tried("192.0.2.7", "bob@example.test", "changed"), ERR_NONE);
    /* It ends. */
    before = hashes();
    house_pass(&house, 3601 * NS_PER_SECOND);
    assert_int_equal(tried("192.0.2.7", "bob@example.test", "changed"), ERR_NONE);
    assert_int_equal(hashes() - before, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_storm_costs_few_hashes_and_the_owner_none_of_his_time),
        TEST(a_newcomer_does_not_wait_behind_those_who_guess),
        TEST(whom_there_are_not_is_not_told),
        TEST(who_goes_on_is_banned_and_the_edges_know),
        TEST(a_link_logs_in_for_its_own_protocols),
        TEST(the_state_is_told_to_who_proved_it_only),
        TEST(nobody_acts_as_another),
        TEST(an_application_password_does_what_it_may),
        TEST(an_imported_hash_becomes_ours_once),
        TEST(a_change_of_credentials_ends_the_sessions_it_concerns),
        TEST(many_changes_are_one_review),
        TEST(nobody_sees_anothers_mail),
        TEST(a_success_is_remembered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
