/*
 * The operator's end of the control socket, against servers that say nothing.
 */
#include "base/test.h"

#include <unistd.h>

#include "cli/cli.h"
#include "sys/process.h"

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
        cmocka_unit_test(a_server_that_is_down_is_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
