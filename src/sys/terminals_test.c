/* With a utmp of the test's own, and a real pair of pseudo terminals. */
#include "base/test.h"

#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#include <utmpx.h>

#include "sys/terminals.h"

static struct utmpx record(short type, const char *user, const char *line, pid_t pid)
{
    struct utmpx made = {.ut_type = type, .ut_pid = pid};
    made.ut_tv.tv_sec = 5;
    made.ut_tv.tv_usec = 7;
    memcpy(made.ut_user, user, strnlen(user, sizeof made.ut_user));
    memcpy(made.ut_line, line, strnlen(line, sizeof made.ut_line));
    return made;
}

static pid_t of_one_that_ended(void)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    return pid;
}

static void utmp_lists_sessions_that_live(void **state)
{
    char path[] = "/tmp/veredus-utmp-XXXXXX";
    int file = mkstemp(path), utmp;
    struct terminal_login logins[100];
    (void)state;
    assert_true(file >= 0);
    const struct utmpx records[] = {
        record(BOOT_TIME, "reboot", "~", 0),
        record(USER_PROCESS, "anna", "pts/3", getpid()),
        record(DEAD_PROCESS, "anna", "pts/4", getpid()),
        record(USER_PROCESS, "anna", "pts/5", of_one_that_ended()),
        /* Names that fill their room have no end. */
        record(USER_PROCESS, "a234567890123456789012345678901z", "l234567890123456789012345678901z",
               1),
    };
    assert_int_equal(write(file, records, sizeof records), sizeof records);
    assert_int_equal(write(file, "a piece", 7), 7);
    assert_false(err_is(terminals_open(str_from(path), &utmp)));
    assert_int_equal(terminals_list(utmp, logins, 100), 2);
    assert_string_equal(logins[0].user, "anna");
    assert_string_equal(logins[0].line, "pts/3");
    assert_int_equal(logins[0].since, 5000007);
    assert_string_equal(logins[1].user, "a234567890123456789012345678901z");
    assert_string_equal(logins[1].line, "l234567890123456789012345678901z");
    assert_int_equal(terminals_list(utmp, logins, 1), 1);
    /* More than one reading brings, and what grows meanwhile. */
    for (int i = 0; i < 90; i++)
        assert_int_equal(
            pwrite(file, &records[1], sizeof records[1], (off_t)(i * (int)sizeof records[1])),
            sizeof records[1]);
    assert_int_equal(terminals_list(utmp, logins, 100), 90);
    close(file);
    close(utmp);
    unlink(path);
    assert_true(err_is(terminals_open(str_from(path), &utmp)));
}

static void a_terminal_that_lets_others_write(void **state)
{
    int master, slave;
    char name[100], got[100];
    (void)state;
    assert_int_equal(openpty(&master, &slave, name, NULL, NULL), 0);
    assert_int_equal(chmod(name, 0620), 0);
    assert_true(terminal_look(name).accepts);
    assert_true(terminal_look(name).heard > 0);
    int handle = terminal_open(name);
    assert_true(handle >= 0);

    struct termios settings;
    assert_int_equal(tcgetattr(slave, &settings), 0);
    settings.c_iflag |= IUTF8;
    tcsetattr(slave, TCSANOW, &settings);
    assert_true(terminal_is_utf8(handle));
    settings.c_iflag &= ~(tcflag_t)IUTF8;
    tcsetattr(slave, TCSANOW, &settings);
    assert_false(terminal_is_utf8(handle));

    assert_int_equal(terminal_write(handle, STR("hello")), 5);
    assert_int_equal(read(master, got, sizeof got), 5);
    assert_memory_equal(got, "hello", 5);
    assert_int_equal(tcflow(slave, TCOOFF), 0);
    assert_true(terminal_write(handle, STR("hello")) <= 0);
    assert_int_equal(tcflow(slave, TCOON), 0);
    assert_int_equal(terminal_write(handle, STR("hello")), 5);
    close(handle);

    assert_int_equal(chmod(name, 0600), 0);
    assert_false(terminal_look(name).accepts);
    assert_int_equal(terminal_open(name), -EACCES);
    close(master);
    close(slave);
    assert_false(terminal_look(name).accepts);
}

/* An entry of utmp may name anything. */
static void what_is_no_terminal_is_left_alone(void **state)
{
    char path[] = "/tmp/veredus-file-XXXXXX", link[] = "/tmp/veredus-link-XXXXXX";
    int file = mkstemp(path), other = mkstemp(link);
    (void)state;
    assert_true(file >= 0 && other >= 0);
    assert_int_equal(fchmod(file, 0660), 0);
    assert_false(terminal_look(path).accepts);
    assert_int_equal(terminal_open(path), -EACCES);
    unlink(link);
    assert_int_equal(symlink("/dev/null", link), 0);
    assert_false(terminal_look(link).accepts);
    assert_int_equal(terminal_open(link), -ELOOP);
    unlink(path);
    unlink(link);
    close(file);
    close(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(utmp_lists_sessions_that_live),
        cmocka_unit_test(a_terminal_that_lets_others_write),
        cmocka_unit_test(what_is_no_terminal_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
