/*
 * The operator's end of the control socket, against servers that say nothing.
 */
#include "base/test.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bus/messages.h"
#include "cli/cli.h"
#include "sys/process.h"

#define PATIENCE NS_PER_SECOND /* where the server does answer */

static struct cli command(const char *socket)
{
    struct cli cli = {.words = {STR("status")}, .word_count = 1, .patience = NS_PER_SECOND / 20};
    arena_init(&cli.arena, CLI_ARENA);
    cli.conf.server.control = str_from(socket);
    return cli;
}

static void a_server_that_hangs_holds_no_command(void **state)
{
    (void)state;
    char socket[64];
    int listening, code = 0;
    snprintf(socket, sizeof(socket), "/tmp/veredus-online-test.%d", (int)getpid());
    assert_false(err_is(process_listen_unix(str_from(socket), &listening)));
    struct cli cli = command(socket);
    assert_true(cli_online(&cli, &code)); /* queued, and nobody accepts */
    assert_int_equal(code, EXIT_TEMPORARY);
    arena_done(&cli.arena);
    assert_int_equal(unlink(socket), 0);
    assert_int_equal(close(listening), 0);
}

/* Its whole life in the child: takes the question, stops us for longer than our patience, answers.
 */
static void server_run(int listening)
{
    char octets[1 << 16];
    struct buf packet = BUF_INIT(sizeof(octets));
    struct msg question = {0}, answer = {.kind = MSG_admin_done};
    struct arena arena;
    arena_init(&arena, CLI_ARENA);
    (void)fcntl(listening, F_SETFL, 0);
    int handle = accept(listening, NULL, NULL);
    ssize_t n = recv(handle, octets, sizeof(octets), 0);
    struct wire_in in = wire_in(str_make(octets, n < 0 ? 0 : (size_t)n));
    uint32_t call = 0;
    if (err_is(msg_decode(&in, ROLE_CLI, &arena, &question)) || !msg_asks(&question, &call))
        _exit(1);
    msg_set_call(&answer, call);
    msg_encode(&packet, &answer);
    kill(getppid(), SIGSTOP);
    usleep(PATIENCE * 3 / 2 / 1000);
    kill(getppid(), SIGCONT);
    usleep(PATIENCE / 10 / 1000);
    send(handle, packet.p, packet.n, 0);
    _exit(0);
}

/* The time that went by meanwhile was taken for core's silence. */
static void a_command_that_was_stopped_waits_on(void **state)
{
    (void)state;
    char socket[64];
    int listening, code = EXIT_TEMPORARY, status;
    snprintf(socket, sizeof(socket), "/tmp/veredus-online-test.%d", (int)getpid());
    assert_false(err_is(process_listen_unix(str_from(socket), &listening)));
    pid_t server = fork();
    if (server == 0)
        server_run(listening);
    struct cli cli = command(socket);
    cli.patience = PATIENCE;
    assert_true(cli_online(&cli, &code));
    assert_int_equal(code, 0);
    arena_done(&cli.arena);
    assert_int_equal(waitpid(server, &status, 0), server);
    assert_int_equal(status, 0);
    assert_int_equal(unlink(socket), 0);
    assert_int_equal(close(listening), 0);
}

static void a_server_that_is_down_is_told_apart(void **state)
{
    (void)state;
    int code = 0;
    struct cli cli = command("/tmp/veredus-online-test.nobody");
    assert_false(cli_online(&cli, &code));
    arena_done(&cli.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_server_that_hangs_holds_no_command),
        cmocka_unit_test(a_command_that_was_stopped_waits_on),
        cmocka_unit_test(a_server_that_is_down_is_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
