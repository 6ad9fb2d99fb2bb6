/*
 * The parent: how it starts, links, watches and ends its roles, and what keeps it from starting.
 */
#include "parent/parent_rig_test.h"

static void it_starts_links_and_stops(void **state)
{
    struct server *server = begun(state);
    struct answer answer = answered(server);
    struct buf pid = BUF_INIT(TEXT), expected = BUF_INIT(TEXT);
    assert_int_equal(answer.hops, 20);
    assert_int_equal(answer.core_hops, 20);
    assert_int_not_equal(answer.mx, answer.core);
    assert_int_equal(process_read_file(path_in(server, "pid"), TEXT, &pid).code, ERR_NONE);
    buf_printf(&expected, "%d\n", (int)server->pid);
    assert_str(buf_str(&pid), buf_str(&expected));
    process_terminate(server->pid);
    assert_int_equal(exit_code(server), 0);
    assert_false(process_alive(answer.mx));
    assert_false(process_alive(answer.core));
    assert_false(exists(server, "pid"));
    assert_int_equal(times_logged(server, "how=\"exit 0\""), 3);
    assert_false(ask(server, &answer));
    buf_done(&pid);
    buf_done(&expected);
}

static void an_edge_that_died_is_replaced_and_linked(void **state)
{
    struct server *server = begun(state);
    struct answer before = answered(server);
    process_kill(before.mx);
    wait_logged(server, "role_ready name=mx", 2);
    struct answer after = answered(server);
    assert_int_not_equal(after.mx, before.mx);
    assert_int_equal(after.core, before.core);
    assert_int_equal(times_logged(server, "how=\"signal 9\""), 1);
}

static void core_that_died_is_replaced_and_linked_to_the_same_edges(void **state)
{
    struct server *server = begun(state);
    struct answer before = answered(server);
    process_kill(before.core);
    wait_logged(server, "role_ready name=core", 2);
    struct answer after = answered(server);
    assert_int_equal(after.mx, before.mx);
    assert_int_not_equal(after.core, before.core);
}

/* An edge whose link ended though core lived was without core for good. */
static void a_link_that_broke_between_living_roles_is_made_anew(void **state)
{
    struct answer cut;
    config_write(*state, "hops = 33");
    struct server *server = begun(state);
    assert_true(ask(server, &cut));
    assert_int_equal(cut.core, 0);
    wait_logged(server, "role_linked_anew name=mx", 1);
    struct answer after = answered(server);
    assert_int_equal(after.mx, cut.mx);
    assert_int_equal(times_logged(server, "role_ended"), 0);
}

static void a_role_that_dies_often_waits_longer(void **state)
{
    struct server *server = begun(state);
    int64_t began = world_mono(world_real());
    for (size_t i = 0; i < 4; i++) { /* 0.1, 0.2, 0.4 and 0.8 s */
        process_kill(answered(server).mx);
        wait_logged(server, "role_ready name=mx", i + 2);
    }
    int64_t took = world_mono(world_real()) - began;
    assert_true(took >= 15 * PARENT_AGAIN_FIRST);
}

/* Core is role 1, mx role 2. */
static void the_resolver_is_linked_with_those_who_ask_it(void **state)
{
    struct server *server = begun(state);
    wait_logged(server, "resolver linked with=1 instance=0", 1);
    wait_logged(server, "resolver linked with=2 instance=0", 1);
    assert_int_equal(times_logged(server, "resolver linked"), 2);
    process_kill(resolver_pid(server));
    wait_logged(server, "role_ready name=resolver", 2);
    wait_logged(server, "resolver linked with=1 instance=0", 2);
    wait_logged(server, "resolver linked with=2 instance=0", 2);
    process_kill(answered(server).core);
    wait_logged(server, "role_ready name=core", 2);
    wait_logged(server, "resolver linked with=1 instance=0", 3);
    assert_int_equal(times_logged(server, "resolver linked with=2"), 2);
}

static void a_link_with_the_resolver_that_ended_is_made_anew(void **state)
{
    config_write(*state, "hops = 35");
    struct server *server = begun(state);
    wait_logged(server, "resolver linked with=2 instance=0", 1);
    answered(server);
    wait_logged(server, "role_linked_anew name=mx instance=0 with=resolver", 1);
    wait_logged(server, "resolver linked with=2 instance=0", 2);
    assert_int_equal(times_logged(server, "role_ended"), 0);
}

static void the_resolver_outlives_core(void **state)
{
    struct server *server = begun(state);
    process_terminate(server->pid);
    assert_int_equal(exit_code(server), 0);
    struct str log = log_read(server);
    ssize_t core = str_find(log, STR("role_ended name=core"));
    assert_true(core > 0 && core < str_find(log, STR("role_ended name=resolver")));
    assert_true(str_find(log, STR("role_ended name=mx")) < core);
}

static void a_port_in_use_is_told_and_nothing_is_left(void **state)
{
    struct server *server = *state;
    struct buf address = BUF_INIT(TEXT);
    int taken;
    buf_printf(&address, "127.0.0.1:%u", server->port);
    assert_int_equal(process_listen(buf_str(&address), &taken).code, ERR_NONE);
    begin(server);
    assert_int_equal(exit_code(server), 1);
    buf_clear(&address);
    buf_printf(&address,
               "veredus: cannot listen on 127.0.0.1:%u (smtp.listen): Address already in use; "
               "another program serves there (ss -ltnp shows it)\n",
               server->port);
    assert_str(log_read(server), buf_str(&address));
    assert_false(exists(server, "pid"));
    close(taken);
    buf_done(&address);
}

static void an_address_that_stands_twice_is_told(void **state)
{
    struct server *server = *state;
    char more[64];
    snprintf(more, sizeof(more), "} lmtp { listen = 127.0.0.1:%u", server->port);
    config_write(server, more);
    begin(server);
    assert_int_equal(exit_code(server), 1);
    assert_int_equal(times_logged(server, "(lmtp.listen): Address already in use; it stands twice "
                                          "in the configuration\n"),
                     1);
}

static void a_mistake_in_the_file_is_told_with_its_line(void **state)
{
    struct server *server = *state;
    config_write(server, "hops = 9");
    begin(server);
    assert_int_equal(exit_code(server), 1);
    assert_int_equal(times_logged(server, "/conf:8: smtp.hops: \"9\" is too small"), 1);
    assert_int_equal(times_logged(server, "\n"), 1);
}

static void data_remove(struct server *server)
{
    char data[80];
    snprintf(data, sizeof(data), "%s/data", server->folder);
    assert_int_equal(rmdir(data), 0);
}

static void a_data_folder_that_cannot_be_is_told(void **state)
{
    struct server *server = *state;
    data_remove(server);
    file_write(server, "data", STR("no folder"));
    begin(server);
    assert_int_equal(exit_code(server), 1);
    assert_int_equal(times_logged(server, "data (data): Not a directory\n"), 1);
    assert_int_equal(times_logged(server, "\n"), 1);
    process_remove_file(path_in(server, "data"));
}

static void a_missing_data_folder_is_made(void **state)
{
    data_remove(*state);
    assert_int_not_equal(answered(begun(state)).core, 0);
}

/* A role of its own serves it, also where users have no way in. */
static void the_socket_for_this_host_is_there_while_we_are(void **state)
{
    struct server *server = *state;
    server->local = true;
    config_write(server, "");
    begun(state);
    int handle;
    assert_int_equal(process_connect_local(path_in(server, "submission"), &handle).code, ERR_NONE);
    close(handle);
    process_terminate(server->pid);
    assert_int_equal(exit_code(server), 0);
    server->pid = 0;
    assert_false(exists(server, "submission"));
}

static void a_core_that_cannot_start_ends_all(void **state)
{
    struct server *server = *state;
    file_write(server, "data/refuse", STR("x"));
    begin(server);
    assert_int_equal(exit_code(server), 1);
    assert_int_equal(times_logged(server, "core ended before it was ready (exit 1)"), 1);
    assert_int_equal(times_logged(server, "STORE_LOCKED"), 1);
    assert_false(exists(server, "pid"));
}

/* It served without its socket, and was never replaced. */
static void an_edge_that_cannot_listen_is_started_again(void **state)
{
    struct server *server = begun(state);
    struct answer before = answered(server);
    config_write(server, "hops = 34");
    kill((pid_t)server->pid, SIGHUP);
    wait_logged(server, "parent reloaded", 1);
    process_kill(before.mx);
    wait_logged(server, "mx listen error=NO_MEMORY", 2);
    wait_logged(server, "how=\"exit 1\"", 2);
    config_write(server, "hops = 20");
    kill((pid_t)server->pid, SIGHUP);
    assert_int_equal(answered(server).core, before.core);
}

static void roles_end_when_the_parent_is_killed(void **state)
{
    struct server *server = begun(state);
    struct answer answer = answered(server);
    process_kill(server->pid);
    assert_int_equal(exit_code(server), 1000 + SIGKILL);
    for (int i = 0; i < WAITS_MOST && (process_alive(answer.mx) || process_alive(answer.core)); i++)
        usleep(WAIT_MS * 1000);
    assert_false(process_alive(answer.mx));
    assert_false(process_alive(answer.core));
}

static void a_role_that_does_not_stop_is_killed(void **state)
{
    struct server *server = begun(state);
    struct answer answer = answered(server);
    kill(answer.mx, SIGSTOP);
    process_terminate(server->pid);
    assert_int_equal(exit_code(server), 0);
    assert_int_equal(times_logged(server, "role_does_not_stop name=mx"), 1);
    assert_int_equal(times_logged(server, "how=\"exit 0\""), 2);
    assert_false(process_alive(answer.mx));
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "role") == 0)
        return role_main(argv[2]);
    const struct CMUnitTest tests[] = {
        TEST(it_starts_links_and_stops),
        TEST(an_edge_that_died_is_replaced_and_linked),
        TEST(core_that_died_is_replaced_and_linked_to_the_same_edges),
        TEST(a_link_that_broke_between_living_roles_is_made_anew),
        TEST(a_role_that_dies_often_waits_longer),
        TEST(the_resolver_is_linked_with_those_who_ask_it),
        TEST(a_link_with_the_resolver_that_ended_is_made_anew),
        TEST(the_resolver_outlives_core),
        TEST(a_port_in_use_is_told_and_nothing_is_left),
        TEST(an_address_that_stands_twice_is_told),
        TEST(a_mistake_in_the_file_is_told_with_its_line),
        TEST(a_data_folder_that_cannot_be_is_told),
        TEST(a_missing_data_folder_is_made),
        TEST(the_socket_for_this_host_is_there_while_we_are),
        TEST(a_core_that_cannot_start_ends_all),
        TEST(an_edge_that_cannot_listen_is_started_again),
        TEST(roles_end_when_the_parent_is_killed),
        TEST(a_role_that_does_not_stop_is_killed),
    };
    return cmocka_run_group_tests_name("parent", tests, NULL, NULL);
}
