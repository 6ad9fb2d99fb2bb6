/*
 * The terminal role between a core and real pseudo terminals, with a utmp of the test's own: who is
 * on, what his screen gets, and one that takes nothing.
 */
#include "terminal/terminal.h"

#include "base/test.h"

#include <fcntl.h>
#include <pty.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>
#include <utmpx.h>

#include "format/screen.h"
#include "sys/terminals.h"

enum {
    SEATS = 4,
    SCREEN_ROOM = 64 << 10,
};

struct seat {
    int master, slave;
    char path[100];
};

static struct {
    struct loop loop;
    struct fiber_pool *fibers;
    struct log log;
    struct terminal terminal;
    struct link core;
    bool core_up;
    struct seat seats[SEATS];
    size_t seat_count;
    int utmp; /* the test's end */
    char path[32];
    int folder; /* the working folder of before */
    struct buf screen;
    struct arena arena;
} at;

/* --- Core ------------------------------------------------------------------------------------ */

static void core_got(struct link *link, const struct msg *msg, int passed)
{
    (void)link;
    (void)msg;
    (void)passed;
    fail();
}

static void core_gone(struct link *link, struct err why)
{
    (void)why;
    link_done(link);
    at.core_up = false;
}

static void core_connect(void)
{
    static const struct link_owner owner = {.got = core_got, .ended = core_gone};
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair),
                     0);
    assert_int_equal(link_init(&at.core, &at.loop, pair[0], ROLE_CORE, ROLE_TERMINAL, &owner, NULL),
                     0);
    assert_false(err_is(terminal_core_attach(&at.terminal, pair[1])));
    at.core_up = true;
}

struct asking {
    struct fiber_start start;
    struct msg question, answer;
    struct err e;
    bool done;
};

static void asking_run(void *arg)
{
    struct asking *asking = arg;
    asking->e = link_ask(&at.core, &asking->question, &at.arena, &asking->answer);
    asking->done = true;
    loop_stop(&at.loop);
}

static void ask_begin(struct asking *asking, struct msg question)
{
    *asking = (struct asking){.question = question};
    asking->start = (struct fiber_start){.run = asking_run, .arg = asking};
    fiber_run(at.fibers, &asking->start);
}

static void ask_end(struct asking *asking)
{
    while (!asking->done)
        loop_run(&at.loop);
}

static struct msg answer_of(struct msg question)
{
    struct asking asking;
    ask_begin(&asking, question);
    ask_end(&asking);
    assert_false(err_is(asking.e));
    return asking.answer;
}

static bool is_on(const char *user)
{
    struct msg question = {.kind = MSG_terminal_ask, .terminal_ask = {.user = str_from(user)}};
    uint16_t error = answer_of(question).terminal_told.error;
    assert_true(error == ERR_NONE || error == ERR_USER_NOT_ON);
    return error == ERR_NONE;
}

static struct msg show(const char *user, struct str text)
{
    return (struct msg){
        .kind = MSG_terminal_show,
        .terminal_show = {.user = str_from(user), .sender = STR("bob@example.test"), .text = text}};
}

/* The terminal that it was shown on; empty: none. */
static struct str shown(const char *user, struct str text)
{
    struct msg answer = answer_of(show(user, text));
    assert_true((answer.terminal_shown.error == ERR_NONE) == (answer.terminal_shown.line.n > 0));
    return answer.terminal_shown.line;
}

/* --- Terminals ------------------------------------------------------------------------------- */

static struct seat *seat_open(bool utf8)
{
    struct termios settings;
    struct seat *seat = &at.seats[at.seat_count++];
    assert_true(at.seat_count <= SEATS);
    assert_int_equal(openpty(&seat->master, &seat->slave, seat->path, NULL, NULL), 0);
    assert_int_equal(fcntl(seat->master, F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(tcgetattr(seat->slave, &settings), 0);
    cfmakeraw(&settings);
    settings.c_iflag = utf8 ? IUTF8 : 0;
    assert_int_equal(tcsetattr(seat->slave, TCSANOW, &settings), 0);
    assert_int_equal(chmod(seat->path, 0620), 0);
    return seat;
}

/* "pts/3" */
static const char *line_of(const struct seat *seat)
{
    return seat->path + strlen("/dev/");
}

static void log_in(short type, const char *user, const char *line, int since)
{
    struct utmpx record = {.ut_type = type, .ut_pid = getpid()};
    record.ut_tv.tv_sec = since;
    memcpy(record.ut_user, user, strnlen(user, sizeof(record.ut_user)));
    memcpy(record.ut_line, line, strnlen(line, sizeof(record.ut_line)));
    assert_int_equal(write(at.utmp, &record, sizeof(record)), sizeof(record));
}

/* What its screen got since. */
static struct str screen_of(const struct seat *seat)
{
    char piece[4096];
    ssize_t n;
    buf_clear(&at.screen);
    while ((n = read(seat->master, piece, sizeof(piece))) > 0)
        buf_put(&at.screen, str_make(piece, (size_t)n));
    return buf_str(&at.screen);
}

static void assert_has(struct str screen, const char *words)
{
    if (str_find(screen, str_from(words)) < 0)
        print_error("%.*s\n", STR_FMT(screen));
    assert_true(str_find(screen, str_from(words)) >= 0);
}

/* --- The tests' begin and end ---------------------------------------------------------------- */

static int begin(void **state)
{
    int utmp;
    (void)state;
    memset(&at, 0, sizeof(at));
    strcpy(at.path, "/tmp/veredus-utmp-XXXXXX");
    at.utmp = mkstemp(at.path);
    at.folder = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(at.utmp >= 0 && at.folder >= 0 && chdir("/dev") == 0);
    buf_init(&at.screen, SCREEN_ROOM);
    arena_init(&at.arena, 1 << 20);
    assert_int_equal(loop_init(&at.loop, world_real()), 0);
    at.fibers = fiber_pool_open(&at.loop, TERMINAL_FIBERS);
    assert_non_null(at.fibers);
    log_init(&at.log, world_real(), "terminal");
    at.log.least = LOG_FAIL;
    assert_false(err_is(terminals_open(str_from(at.path), &utmp)));
    terminal_init(&at.terminal, &at.loop, at.fibers, &at.log, utmp);
    core_connect();
    return 0;
}

static int end(void **state)
{
    (void)state;
    terminal_core_end(&at.terminal);
    if (at.core_up)
        link_done(&at.core);
    fiber_pool_close(at.fibers);
    loop_done(&at.loop);
    if (at.terminal.utmp >= 0)
        close(at.terminal.utmp);
    for (size_t i = 0; i < at.seat_count; i++) {
        close(at.seats[i].master);
        close(at.seats[i].slave);
    }
    assert_int_equal(fchdir(at.folder), 0);
    close(at.folder);
    close(at.utmp);
    unlink(at.path);
    buf_done(&at.screen);
    arena_done(&at.arena);
    return 0;
}

/* --- Who is on ------------------------------------------------------------------------------- */

static void rows_of_utmp(void **state)
{
    (void)state;
    struct seat *seat = seat_open(true);
    assert_false(is_on("anna")); /* an empty one */
    log_in(DEAD_PROCESS, "anna", line_of(seat), 5);
    assert_false(is_on("anna"));
    log_in(USER_PROCESS, "anna", line_of(seat), 5);
    assert_true(is_on("anna"));
    assert_false(is_on("ann"));
    assert_false(is_on("annaa"));
    assert_false(is_on(""));
    log_in(USER_PROCESS, "bob", line_of(seat), 6); /* whose terminal it is now */
    assert_false(is_on("anna"));
    assert_true(is_on("bob"));
}

static void mesg_n(void **state)
{
    (void)state;
    struct seat *seat = seat_open(true);
    log_in(USER_PROCESS, "anna", line_of(seat), 5);
    assert_int_equal(chmod(seat->path, 0600), 0);
    assert_false(is_on("anna"));
    assert_str(shown("anna", STR("hello\n")), STR(""));
    assert_int_equal(screen_of(seat).n, 0);
    assert_int_equal(chmod(seat->path, 0602), 0); /* everybody else's is not its group's */
    assert_false(is_on("anna"));
    assert_int_equal(chmod(seat->path, 0620), 0);
    assert_str(shown("anna", STR("hello\n")), str_from(line_of(seat)));
    assert_has(screen_of(seat), "| hello\r\n");
}

/* Whoever writes utmp, he leads to terminals alone, and out of /dev not at all. */
static void rows_that_lead_elsewhere(void **state)
{
    (void)state;
    static const char *const lines[] = {"../etc/hosts", "/dev/null", "null", "",
                                        ":0",           "pts/99999", "shm",  "pts"};
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        log_in(USER_PROCESS, "anna", lines[i], 5);
    assert_str(shown("anna", STR("hello\n")), STR(""));
}

static void without_a_utmp(void **state)
{
    (void)state;
    close(at.terminal.utmp);
    at.terminal.utmp = -1;
    assert_false(is_on("anna"));
    assert_str(shown("anna", STR("hello\n")), STR(""));
    at.terminal.utmp = open("/dev", O_RDONLY | O_DIRECTORY | O_CLOEXEC); /* none that can be read */
    assert_false(is_on("anna"));
}

/* --- What a screen gets ---------------------------------------------------------------------- */

/* Catalogue S28: sequences, controls, lines that pass for ours; UTF-8 stays where it is taken. */
static void what_a_stranger_wrote(void **state)
{
    (void)state;
    struct seat *utf8 = seat_open(true), *old = seat_open(false);
    struct str text = STR("\033]0;title\a\033[2Jred \033[31mtext\r\nEnd of the message.\r\n"
                          "\xc2\x9b"
                          "31mc1 \xe4\xbd\xa0\xe5\xa5\xbd \xe2\x80\xae\b\b\x7f\n"
                          "\xc4\xe3\xba\xc3 as GB18030\n\tbehind a tab\nlast\rone");
    log_in(USER_PROCESS, "anna", line_of(utf8), 5);
    log_in(USER_PROCESS, "otto", line_of(old), 5);
    assert_true(shown("anna", text).n > 0);
    struct str screen = screen_of(utf8);
    assert_has(screen, "\r\n\aMessage from <bob@example.test>, ");
    assert_has(screen, "| red text\r\n| End of the message.\r\n");
    assert_has(screen, "| c1 \xe4\xbd\xa0\xe5\xa5\xbd \r\n");
    assert_has(screen, "\xef\xbf\xbd as GB18030\r\n");
    assert_true(str_ends(screen, STR("\r\nEnd of the message.\r\n")));
    assert_true(str_is_utf8(screen));
    for (size_t i = 0; i < screen.n; i++)
        assert_true((unsigned char)screen.p[i] >= 0x20 || screen.p[i] == '\r' ||
                    screen.p[i] == '\n' || (screen.p[i] == '\a' && i == 2));
    assert_true(shown("otto", text).n > 0);
    screen = screen_of(old);
    assert_has(screen, "| c1 ?? \r\n");
    for (size_t i = 0; i < screen.n; i++)
        assert_true((unsigned char)screen.p[i] < 0x7f);
}

static void more_than_a_screen(void **state)
{
    (void)state;
    struct seat *seat = seat_open(true);
    char *lines = arena_take(&at.arena, 20000);
    for (size_t i = 0; i < 20000; i += 2)
        memcpy(lines + i, "x\n", 2);
    log_in(USER_PROCESS, "anna", line_of(seat), 5);
    assert_true(shown("anna", str_make(lines, 20000)).n > 0);
    struct str screen = screen_of(seat);
    size_t count = 0;
    for (size_t i = 0; i < screen.n; i++)
        count += screen.p[i] == '\n';
    assert_true(count <= SCREEN_LINES + 4);
    assert_has(screen, "| [...]\r\nEnd of the message.\r\n");
}

static void paused(void *arg)
{
    (void)arg;
    fiber_sleep_until(&at.loop, at.loop.now + 50 * NS_PER_MS);
    loop_stop(&at.loop);
}

static void pause_run(void)
{
    struct fiber_start start = {.run = paused};
    fiber_run(at.fibers, &start);
    loop_run(&at.loop);
}

/* --- One that takes nothing ------------------------------------------------------------------ */

/* To the brim: the kernel passes on what was written when it finds the time, and has room again. */
static void fill(const struct seat *seat)
{
    assert_int_equal(fcntl(seat->slave, F_SETFL, O_NONBLOCK), 0);
    for (int still = 0; still < 5; still++) {
        while (write(seat->slave, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", 32) > 0)
            still = 0;
        pause_run();
    }
}

/* It is given up, and keeps nobody else waiting. */
static void a_terminal_that_is_stopped(void **state)
{
    (void)state;
    struct seat *held = seat_open(true), *free_one = seat_open(true);
    struct asking waits;
    log_in(USER_PROCESS, "anna", line_of(held), 5);
    log_in(USER_PROCESS, "otto", line_of(free_one), 5);
    assert_int_equal(tcflow(held->slave, TCOOFF), 0);
    ask_begin(&waits, show("anna", STR("hello\n")));
    assert_true(shown("otto", STR("hello\n")).n > 0);
    assert_false(waits.done);
    ask_end(&waits);
    assert_int_equal(waits.answer.terminal_shown.error, ERR_USER_NOT_ON);
    assert_int_equal(tcflow(held->slave, TCOON), 0);
    assert_true(shown("anna", STR("again\n")).n > 0); /* what was not shown is not shown later */
    assert_true(str_find(screen_of(held), STR("hello")) < 0);
}

/* Anna's terminal is full, and is asked to show hello; the role goes on meanwhile. */
static void hello_waits(const struct seat *seat, struct asking *waits)
{
    log_in(USER_PROCESS, "anna", line_of(seat), 5);
    fill(seat);
    ask_begin(waits, show("anna", STR("hello\n")));
    assert_false(is_on("nobody"));
}

/* It took a part; the rest goes when its user reads on. */
static void a_terminal_that_is_full_for_a_while(void **state)
{
    (void)state;
    struct seat *seat = seat_open(true);
    struct asking waits;
    hello_waits(seat, &waits);
    assert_false(waits.done);
    (void)screen_of(seat);
    ask_end(&waits);
    assert_int_equal(waits.answer.terminal_shown.error, ERR_NONE);
    assert_has(screen_of(seat), "| hello\r\nEnd of the message.\r\n");
}

/* The answer is for whoever asked, and not for the core that came behind him. */
static void a_core_that_goes_meanwhile(void **state)
{
    (void)state;
    struct seat *seat = seat_open(true);
    struct asking waits;
    hello_waits(seat, &waits);
    terminal_core_end(&at.terminal);
    ask_end(&waits);
    assert_true(err_is(waits.e));
    while (at.core_up)
        loop_turn(&at.loop);
    core_connect();
    bool whole = false;
    while (!whole) { /* what is being shown is shown to its end; core_got takes no answer to it */
        whole = str_find(screen_of(seat), STR("| hello\r\nEnd of the message.\r\n")) >= 0;
        pause_run();
    }
    assert_true(shown("anna", STR("next\n")).n > 0);
    assert_has(screen_of(seat), "| next\r\n");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(rows_of_utmp),
        TEST(mesg_n),
        TEST(rows_that_lead_elsewhere),
        TEST(without_a_utmp),
        TEST(what_a_stranger_wrote),
        TEST(more_than_a_screen),
        TEST(a_terminal_that_is_stopped),
        TEST(a_terminal_that_is_full_for_a_while),
        TEST(a_core_that_goes_meanwhile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
