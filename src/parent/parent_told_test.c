/*
 * What the parent tells its roles: configurations, secrets and trust anchors, at their begin and at
 * each reload.
 */
#include "parent/parent_rig_test.h"

static void a_reload_reaches_every_role(void **state)
{
    struct server *server = begun(state);
    struct answer before = answered(server);
    config_write(server, "hops = 33");
    kill((pid_t)server->pid, SIGHUP);
    wait_logged(server, "parent reloaded", 1);
    struct answer after = answered(server);
    for (int i = 0; i < WAITS_MOST && (after.hops != 33 || after.core_hops != 33); i++)
        after = answered(server);
    assert_int_equal(after.hops, 33);
    assert_int_equal(after.core_hops, 33);
    assert_int_equal(after.mx, before.mx);
    assert_int_equal(times_logged(server, "needs_restart"), 0);
    process_kill(after.mx); /* the next one begins with the new settings */
    wait_logged(server, "role_ready name=mx", 2);
    assert_int_equal(answered(server).hops, 33);
}

/* Each left its lists behind, in every role. */
static void a_hundred_reloads_leave_one_configuration(void **state)
{
    struct server *server = begun(state);
    for (int i = 1; i <= RELOADS; i++) {
        kill((pid_t)server->pid, SIGHUP);
        wait_logged(server, "parent reloaded", (size_t)i);
    }
    assert_int_equal(answered(server).confs, 1);
}

static void a_bad_file_is_refused_and_the_old_stays(void **state)
{
    struct server *server = begun(state);
    answered(server);
    config_write(server, "hops = 33 hop = 9");
    kill((pid_t)server->pid, SIGHUP);
    wait_logged(server, "configuration_refused", 1);
    wait_logged(server, "/conf:8: smtp.hop: no such setting", 1);
    assert_int_equal(answered(server).hops, 20);
    process_remove_file(path_in(server, "conf"));
    kill((pid_t)server->pid, SIGHUP);
    wait_logged(server, "conf: No such file or directory", 1);
    assert_int_equal(answered(server).hops, 20);
    assert_int_equal(times_logged(server, "parent reloaded"), 0);
}

static void list_write(struct server *server)
{
    struct buf text = BUF_INIT(CONF_TEXT_MAX);
    for (unsigned i = 0; i < CONF_NETWORKS_MOST; i++)
        buf_printf(&text, "203.%u.%u.%u/31\n", i >> 15, i >> 7 & 255, (i & 127) << 1);
    file_write(server, "many", buf_str(&text));
    buf_done(&text);
}

/* More than a link keeps for a role that does not read. */
static void a_configuration_of_megabytes_reaches_every_role(void **state)
{
    struct server *server = *state;
    list_write(server);
    config_write(server, "hops = 21 } list a { files = many");
    begin(server);
    wait_logged(server, " parent started ", 1);
    struct answer answer = answered(server);
    assert_int_equal(answer.hops, 21);
    assert_int_equal(answer.core_hops, 21);
    config_write(server, "hops = 22 } list a { files = many");
    kill((pid_t)server->pid, SIGHUP);
    wait_logged(server, "parent reloaded", 1);
    process_kill(answer.mx); /* the next one is told while core may still be */
    wait_logged(server, "role_ready name=mx", 2);
    for (int i = 0; i < WAITS_MOST && (answer.hops != 22 || answer.core_hops != 22); i++)
        answer = answered(server);
    assert_int_equal(answer.hops, 22);
    assert_int_equal(answer.core_hops, 22);
    assert_int_equal(times_logged(server, "role_broke_its_link"), 0);
}

static void pair_write(struct server *server, bool fits)
{
    static const unsigned char serial[CERTIFICATE_SERIAL] = {1};
    static const struct str names[] = {STR_INIT("mail.example.test")};
    struct arena arena;
    struct str chain, key, other;
    arena_init(&arena, ARENA);
    assert_int_equal(
        certificate_make(names, 1, INT64_C(1800000000000000), serial, &arena, &chain, &key).code,
        ERR_NONE);
    assert_int_equal(
        certificate_make(names, 1, INT64_C(1800000000000000), serial, &arena, &other, &key).code,
        ERR_NONE);
    file_write(server, "c.pem", fits ? other : chain);
    assert_int_equal(process_write_file(path_in(server, "k.pem"), key, 0600).code, ERR_NONE);
    arena_done(&arena);
}

#define PAIR "} certificate a { chain = c.pem key = k.pem } login { token_keys = tokens "

/* With a certificate and its key, and keys of tokens. */
static void begin_with_pair(struct server *server)
{
    pair_write(server, true);
    file_write(server, "tokens", STR("{}"));
    config_write(server, PAIR);
    begin(server);
    wait_logged(server, " parent started ", 1);
}

static void core_is_told_its_secrets_before_it_begins_and_at_each_reload(void **state)
{
    struct server *server = *state;
    begin_with_pair(server);
    assert_int_equal(times_logged(server, "told place=0 of=1 name=a key=1"), 1);
    assert_int_equal(times_logged(server, "told tokens={}"), 1);
    assert_int_equal(times_logged(server, "PRIVATE KEY"), 0);
    struct answer answer = answered(server);
    kill((pid_t)server->pid, SIGHUP);
    wait_logged(server, "told place=0 of=1 name=a key=1", 2);
    process_kill(answer.core);
    wait_logged(server, "told place=0 of=1 name=a key=1", 3);
    config_write(server, "");
    kill((pid_t)server->pid, SIGHUP);
    wait_logged(server, "told place=0 of=0 name=\"\" key=0", 1);
    wait_logged(server, "told tokens=\"\"", 1);
}

#define ROUTE "} route out { to = far.test via = s.test:465 user = u password_file = secret "

static void secret_write(struct server *server, struct str octets, unsigned mode)
{
    assert_int_equal(process_write_file(path_in(server, "secret"), octets, mode).code, ERR_NONE);
}

static void a_secret_of_a_route_that_was_spoilt_is_refused_and_the_old_stays(void **state)
{
    struct server *server = *state;
    secret_write(server, STR("password\nmore"), 0600);
    config_write(server, ROUTE);
    begin(server);
    wait_logged(server, " parent started ", 1);
    assert_int_equal(times_logged(server, "told route=out via=s.test:465 octets=8"), 1);
    secret_write(server, STR("password"), 0644);
    kill((pid_t)server->pid, SIGHUP);
    wait_logged(server, "secret: may be read or written by others than its owner", 1);
    secret_write(server, STR(""), 0600);
    kill((pid_t)server->pid, SIGHUP);
    wait_logged(server, "secret: has nothing in its first line", 1);
    process_remove_file(path_in(server, "secret"));
    kill((pid_t)server->pid, SIGHUP);
    wait_logged(server, "secret: No such file or directory", 1);
    assert_int_equal(times_logged(server, "parent reloaded"), 0);
    assert_int_equal(times_logged(server, "told route="), 1);
    secret_write(server, STR("another one"), 0400);
    kill((pid_t)server->pid, SIGHUP);
    wait_logged(server, "told route=out via=s.test:465 octets=11", 1);
    assert_int_equal(times_logged(server, "password\n"), 0);
}

/* Core was told in the middle of its beginning, and died of it. */
static void a_role_that_begins_hears_of_a_reload_when_it_serves(void **state)
{
    struct server *server = *state;
    begin_with_pair(server);
    struct answer before = answered(server);
    file_write(server, "data/slow", STR(""));
    process_kill(before.core);
    wait_logged(server, "told tokens={}", 2); /* the next one begins */
    config_write(server, "hops = 33");
    kill((pid_t)server->pid, SIGHUP);
    wait_logged(server, "parent reloaded", 1);
    assert_int_equal(times_logged(server, "told place=0 of=0"), 0);
    wait_logged(server, "told place=0 of=0", 1);
    struct answer after = answered(server);
    assert_int_equal(after.core_hops, 33);
    assert_int_equal(times_logged(server, "role_ready name=core"), 2);
    assert_int_equal(times_logged(server, "role_ended"), 1);
}

static void a_certificate_that_was_spoilt_is_refused_and_the_old_stays(void **state)
{
    struct server *server = *state;
    begin_with_pair(server);
    assert_int_equal(process_write_file(path_in(server, "k.pem"), STR("a key"), 0640).code,
                     ERR_NONE);
    kill((pid_t)server->pid, SIGHUP);
    wait_logged(server, "k.pem: may be read or written by others than its owner", 1);
    pair_write(server, false);
    kill((pid_t)server->pid, SIGHUP);
    wait_logged(server, "k.pem: is not the key of its certificate", 1);
    assert_int_equal(times_logged(server, "parent reloaded"), 0);
    assert_int_equal(times_logged(server, "told place="), 1);
    process_kill(answered(server).core); /* mail goes on, without it */
    wait_logged(server, "parent certificate_not_read", 1);
    wait_logged(server, "told place=0 of=0", 1);
    answered(server);
}

static void the_resolver_is_told_its_anchors_before_its_configuration(void **state)
{
    struct server *server = *state;
    file_write(server, "anchors", STR("first"));
    config_write(server, "} dns { trust_anchors = anchors");
    begin(server);
    wait_logged(server, " parent started ", 1);
    assert_int_equal(times_logged(server, "told anchors=first"), 1);
    file_write(server, "anchors", STR("second"));
    kill((pid_t)server->pid, SIGHUP);
    wait_logged(server, "resolver configured", 1);
    struct str log = log_read(server);
    ssize_t told = str_find(log, STR("told anchors=second"));
    assert_true(told > 0 && told < str_find(log, STR("resolver configured")));
    process_remove_file(path_in(server, "anchors"));
    kill((pid_t)server->pid, SIGHUP);
    wait_logged(server, "anchors: No such file or directory", 1);
    process_kill(resolver_pid(server)); /* the next one gets what was read last */
    wait_logged(server, "told anchors=second", 2);
}

static void without_its_certificate_it_does_not_start(void **state)
{
    struct server *server = *state;
    pair_write(server, false);
    config_write(server, PAIR);
    begin(server);
    assert_int_equal(exit_code(server), 1);
    assert_int_equal(times_logged(server, "/conf:8: certificate.a.key: "), 1);
    assert_int_equal(times_logged(server, "k.pem: is not the key of its certificate"), 1);
    assert_int_equal(times_logged(server, "login.token_keys: "), 1);
    assert_int_equal(times_logged(server, "tokens: No such file or directory"), 1);
}

static void what_only_a_start_can_change_is_named_and_kept(void **state)
{
    struct server *server = begun(state);
    unsigned port = server->port;
    server->port = port == 65535 ? 65534 : port + 1;
    config_write(server, "hops = 44");
    server->port = port;
    kill((pid_t)server->pid, SIGHUP);
    wait_logged(server, "parent needs_restart settings=smtp.listen", 1);
    wait_logged(server, "parent reloaded", 1);
    process_kill(answered(server).core);
    wait_logged(server, "role_ready name=core", 2);
    assert_int_equal(answered(server).core_hops, 44);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "role") == 0)
        return role_main(argv[2]);
    const struct CMUnitTest tests[] = {
        TEST(a_reload_reaches_every_role),
        TEST(a_hundred_reloads_leave_one_configuration),
        TEST(a_bad_file_is_refused_and_the_old_stays),
        TEST(a_configuration_of_megabytes_reaches_every_role),
        TEST(core_is_told_its_secrets_before_it_begins_and_at_each_reload),
        TEST(a_secret_of_a_route_that_was_spoilt_is_refused_and_the_old_stays),
        TEST(a_role_that_begins_hears_of_a_reload_when_it_serves),
        TEST(a_certificate_that_was_spoilt_is_refused_and_the_old_stays),
        TEST(the_resolver_is_told_its_anchors_before_its_configuration),
        TEST(without_its_certificate_it_does_not_start),
        TEST(what_only_a_start_can_change_is_named_and_kept),
    };
    return cmocka_run_group_tests_name("parent_told", tests, NULL, NULL);
}
