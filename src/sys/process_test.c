#include "base/test.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sys/process.h"

enum {
    WAIT_MS = 10,
    WAITS_MOST = 1000,
    SMALL = 4096
};

/* --- What this program does when it is started as a role ------------------------------------- */

static bool ignored(int which)
{
    struct sigaction now;
    return sigaction(which, NULL, &now) == 0 && now.sa_handler == SIG_IGN;
}

/* Says on its link what it found, a letter each, and ends as the role's name wants. */
static int role_main(const char *role)
{
    char said[4] = {'-', '-', '-', '-'};
    struct stat st;
    sigset_t blocked;
    if (!fcntl(PROCESS_ROLE_LINK, F_GETFD))
        said[0] = 'L';
    bool closed = true;
    for (int i = PROCESS_ROLE_LINK + 1; i < 100; i++)
        closed = closed && fcntl(i, F_GETFD) < 0;
    if (closed)
        said[1] = 'C';
    if (fstat(0, &st) == 0 && S_ISCHR(st.st_mode) && fstat(1, &st) == 0 && S_ISCHR(st.st_mode))
        said[2] = 'N';
    sigprocmask(SIG_BLOCK, NULL, &blocked);
    if (ignored(SIGTERM) && ignored(SIGINT) && ignored(SIGHUP) && !sigismember(&blocked, SIGCHLD))
        said[3] = 'S';
    send(PROCESS_ROLE_LINK, said, sizeof(said), 0);
    if (strcmp(role, "waits") == 0)
        for (;;)
            pause();
    return 7;
}

/* --- Tests ----------------------------------------------------------------------------------- */

static int64_t reaped(struct buf *how)
{
    for (int i = 0; i < WAITS_MOST; i++) {
        int64_t pid = process_reap(how);
        if (pid)
            return pid;
        usleep(WAIT_MS * 1000);
    }
    return 0;
}

static int64_t start(const char *role, char said[4])
{
    int pair[2];
    int64_t pid;
    assert_int_equal(process_socket_pair(pair).code, ERR_NONE);
    assert_int_equal(process_start_role(role, pair[1], &pid).code, ERR_NONE);
    close(pair[1]);
    int flags = fcntl(pair[0], F_GETFL);
    fcntl(pair[0], F_SETFL, flags & ~O_NONBLOCK);
    assert_int_equal(recv(pair[0], said, 4, 0), 4);
    close(pair[0]);
    return pid;
}

static void a_role_has_its_link_and_nothing_else(void **state)
{
    (void)state;
    char said[4];
    struct buf how = BUF_INIT(SMALL);
    int stray = open("/dev/null", O_RDONLY); /* not close-on-exec */
    int64_t pid = start("ends", said);
    assert_str(str_make(said, 4), STR("LCNS"));
    assert_int_equal(reaped(&how), pid);
    assert_str(buf_str(&how), STR("exit 7"));
    assert_int_equal(process_reap(&how), 0);
    assert_false(process_alive(pid));
    buf_done(&how);
    close(stray);
}

static void a_role_is_ended_by_sigkill_alone(void **state)
{
    (void)state;
    char said[4];
    struct buf how = BUF_INIT(SMALL);
    int64_t pid = start("waits", said);
    process_terminate(pid);
    kill((pid_t)pid, SIGINT);
    usleep(5 * WAIT_MS * 1000);
    assert_int_equal(process_reap(&how), 0);
    assert_true(process_alive(pid));
    process_kill(pid);
    assert_int_equal(reaped(&how), pid);
    assert_str(buf_str(&how), STR("signal 9"));
    buf_done(&how);
}

static void the_largest_packet_goes_through_a_pair(void **state)
{
    enum {
        LARGEST = 128 * 1024
    };
    (void)state;
    static char packet[LARGEST];
    int pair[2];
    assert_int_equal(process_socket_pair(pair).code, ERR_NONE);
    assert_int_equal(send(pair[0], packet, LARGEST, 0), LARGEST);
    assert_int_equal(recv(pair[1], packet, LARGEST, 0), LARGEST);
    close(pair[0]);
    close(pair[1]);
}

static in_port_t port_of(int handle)
{
    struct sockaddr_storage at;
    socklen_t n = sizeof(at);
    assert_int_equal(getsockname(handle, (struct sockaddr *)&at, &n), 0);
    return ntohs(at.ss_family == AF_INET ? ((struct sockaddr_in *)&at)->sin_port
                                         : ((struct sockaddr_in6 *)&at)->sin6_port);
}

static void listeners_are_opened_once(void **state)
{
    (void)state;
    int one, two;
    struct buf text = BUF_INIT(SMALL);
    assert_int_equal(process_listen(STR("127.0.0.1:0"), &one).code, ERR_NONE);
    buf_printf(&text, "127.0.0.1:%u", port_of(one));
    struct err e = process_listen(buf_str(&text), &two);
    assert_int_equal(e.os, EADDRINUSE);
    buf_clear(&text);
    buf_printf(&text, "*:%u", port_of(one));
    e = process_listen(buf_str(&text), &two);
    assert_int_equal(e.os, EADDRINUSE);
    close(one);
    assert_int_equal(process_listen(buf_str(&text), &one).code, ERR_NONE);
    close(one);
    buf_done(&text);
}

static void addresses_that_are_none_are_refused(void **state)
{
    (void)state;
    static const struct str wrong[] = {
        STR_INIT(""),       STR_INIT("25"),          STR_INIT(":25"),
        STR_INIT("x:25"),   STR_INIT("127.0.0.1:"),  STR_INIT("127.0.0.1:65536"),
        STR_INIT("[]:25"),  STR_INIT("[::1:25"),     STR_INIT("::1:25"),
        STR_INIT("[*]:25"), STR_INIT("127.0.0.1:x"), STR_INIT("[127.0.0.1]:25"),
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        int handle;
        assert_int_equal(process_listen(wrong[i], &handle).code, ERR_USAGE);
    }
}

/* --- Files and unix sockets, in a folder of their own ---------------------------------------- */

struct place {
    char folder[64];
    struct buf path;
};

static int place_open(void **state)
{
    static struct place place;
    place = (struct place){.folder = "/tmp/veredus-process-XXXXXX", .path = BUF_INIT(SMALL)};
    *state = &place;
    return mkdtemp(place.folder) ? 0 : -1;
}

static struct str path_in(struct place *place, const char *name)
{
    buf_clear(&place->path);
    buf_printf(&place->path, "%s/%s", place->folder, name);
    return buf_str(&place->path);
}

static int place_close(void **state)
{
    struct place *place = *state;
    process_remove_file(path_in(place, "file"));
    process_remove_file(path_in(place, "socket"));
    buf_done(&place->path);
    return rmdir(place->folder);
}

static void a_stale_socket_is_replaced_and_a_live_one_is_not(void **state)
{
    struct place *place = *state;
    struct str path = path_in(place, "socket");
    struct stat st;
    int one, two, client;
    assert_int_equal(process_listen_unix(path, &one).code, ERR_NONE);
    assert_int_equal(stat("/proc/self/exe", &st), 0);
    char text[128];
    snprintf(text, sizeof(text), "%s/socket", place->folder);
    assert_int_equal(stat(text, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(process_listen_unix(path, &two).os, EADDRINUSE);
    assert_int_equal(process_connect_unix(path, &client).code, ERR_NONE);
    close(client);
    close(one);
    assert_int_equal(process_connect_unix(path, &client).os, ECONNREFUSED);
    assert_int_equal(process_listen_unix(path, &two).code, ERR_NONE);
    close(two);
}

/* Whatever the umask: the service file's is 0077. */
static void a_local_socket_is_everybody_s_or_a_group_s(void **state)
{
    struct place *place = *state;
    struct str path = path_in(place, "socket");
    struct stat st;
    char text[128];
    int handle, client;
    snprintf(text, sizeof(text), "%s/socket", place->folder);
    mode_t before = umask(0077);
    assert_int_equal(process_listen_local(path, STR(""), &handle).code, ERR_NONE);
    assert_int_equal(stat(text, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0666);
    assert_int_equal(process_connect_unix(path, &client).os, EPROTOTYPE);
    assert_int_equal(process_connect_local(path, &client).code, ERR_NONE);
    close(client);
    close(handle);
    assert_int_equal(process_listen_local(path, STR("no such group"), &handle).code, ERR_CONFIG);
    if (geteuid() == 0) {
        int64_t gid;
        assert_true(process_group(STR("daemon"), &gid));
        assert_int_equal(process_listen_local(path, STR("daemon"), &handle).code, ERR_NONE);
        assert_int_equal(stat(text, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0660);
        assert_int_equal(st.st_gid, gid);
        close(handle);
    }
    umask(before);
}

static void a_file_in_the_place_of_a_socket_is_left_alone(void **state)
{
    struct place *place = *state;
    int handle;
    assert_int_equal(process_write_file(path_in(place, "file"), STR("x"), 0600).code, ERR_NONE);
    assert_int_equal(process_listen_unix(path_in(place, "file"), &handle).os, EADDRINUSE);
    struct buf text = BUF_INIT(SMALL);
    assert_int_equal(process_read_file(path_in(place, "file"), 10, &text).code, ERR_NONE);
    assert_str(buf_str(&text), STR("x"));
    buf_done(&text);
}

static void socket_paths_have_a_largest_length(void **state)
{
    struct place *place = *state;
    int handle;
    struct str long_path = path_in(place, "socket");
    while (place->path.n < 108)
        buf_putc(&place->path, 'x');
    long_path = buf_str(&place->path);
    assert_int_equal(process_listen_unix(long_path, &handle).code, ERR_USAGE);
    long_path.n = 107;
    assert_int_equal(process_listen_unix(long_path, &handle).code, ERR_NONE);
    close(handle);
    process_remove_file(long_path);
}

static void files_are_written_whole_and_read_to_their_limit(void **state)
{
    struct place *place = *state;
    struct str path = path_in(place, "file");
    struct buf text = BUF_INIT(SMALL);
    assert_int_equal(process_write_file(path, STR("one"), 0600).code, ERR_NONE);
    assert_int_equal(process_write_file(path, STR("12345"), 0640).code, ERR_NONE);
    assert_int_equal(process_read_file(path, 5, &text).code, ERR_NONE);
    assert_str(buf_str(&text), STR("12345"));
    assert_int_equal(process_read_file(path, 4, &text).code, ERR_OVER_LIMIT);
    struct buf small = BUF_INIT(4);
    assert_int_equal(process_read_file(path, 5, &small).code, ERR_OVER_LIMIT);
    buf_done(&small);
    assert_int_equal(process_read_file(path_in(place, "none"), 4, &text).code, ERR_NOT_FOUND);
    assert_int_equal(process_make_folder(path_in(place, "file"), 0700).code, ERR_EXISTS);
    buf_done(&text);
}

/* sendmail called by a program whose children have sockets for pipes. */
static void input_is_read_whatever_it_is(void **state)
{
    (void)state;
    int pair[2], kept = dup(STDIN_FILENO);
    struct buf text = BUF_INIT(SMALL);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    pid_t writer = fork();
    if (writer == 0) {
        usleep(WAIT_MS * 1000);
        _exit(write(pair[1], "later", 5) == 5 ? 0 : 1);
    }
    close(pair[1]);
    assert_int_equal(dup2(pair[0], STDIN_FILENO), STDIN_FILENO);
    close(pair[0]);
    struct err e = process_read_input(5, &text);
    dup2(kept, STDIN_FILENO);
    assert_int_equal(waitpid(writer, NULL, 0), writer);
    assert_int_equal(e.code, ERR_NONE);
    assert_str(buf_str(&text), STR("later"));
    close(kept);
    buf_done(&text);
}

static void input_is_read_from_where_it_stands(void **state)
{
    struct place *place = *state;
    struct str path = path_in(place, "file");
    struct buf text = BUF_INIT(SMALL);
    assert_int_equal(process_write_file(path, STR("read rest"), 0600).code, ERR_NONE);
    char *name = str_to_cstring(path);
    int kept = dup(STDIN_FILENO), file = open(name, O_RDONLY | O_CLOEXEC);
    assert_int_equal(lseek(file, 5, SEEK_SET), 5);
    assert_int_equal(dup2(file, STDIN_FILENO), STDIN_FILENO);
    close(file);
    struct err small = process_read_input(3, &text);
    buf_clear(&text);
    assert_int_equal(lseek(STDIN_FILENO, 5, SEEK_SET), 5);
    struct err e = process_read_input(4, &text);
    dup2(kept, STDIN_FILENO);
    close(kept);
    assert_int_equal(small.code, ERR_OVER_LIMIT);
    assert_int_equal(e.code, ERR_NONE);
    assert_str(buf_str(&text), STR("rest"));
    free(name);
    buf_done(&text);
}

static void whose_a_folder_is(void **state)
{
    struct place *place = *state;
    struct str path = path_in(place, "file");
    assert_false(process_is_anothers(path));
    assert_int_equal(process_write_file(path, STR("x"), 0600).code, ERR_NONE);
    assert_false(process_is_anothers(path));
    assert_int_equal(process_is_anothers(STR("/")), geteuid() != 0);
    char *name = str_to_cstring(path);
    if (chown(name, 1, (gid_t)-1) == 0)
        assert_int_equal(process_is_anothers(path), geteuid() != 1);
    free(name);
}

static void secrets_are_their_owners_alone(void **state)
{
    struct place *place = *state;
    struct str path = path_in(place, "file");
    struct buf text = BUF_INIT(SMALL);
    static const unsigned modes[] = {0604, 0640, 0620, 0602, 0660};
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        assert_int_equal(process_write_file(path, STR("12345"), modes[i]).code, ERR_NONE);
        assert_int_equal(process_read_secret(path, 5, &text).code, ERR_NOT_ALLOWED);
        assert_int_equal(text.n, 0);
    }
    assert_int_equal(process_write_file(path, STR("12345"), 0600).code, ERR_NONE);
    assert_int_equal(process_read_secret(path, 5, &text).code, ERR_NONE);
    assert_str(buf_str(&text), STR("12345"));
    buf_clear(&text);
    assert_int_equal(process_read_secret(path, 4, &text).code, ERR_OVER_LIMIT);
    assert_int_equal(process_read_secret(path_in(place, "none"), 4, &text).code, ERR_NOT_FOUND);
    buf_done(&text);
}

static void a_new_file_takes_no_place(void **state)
{
    struct place *place = *state;
    struct str path = path_in(place, "file");
    struct buf text = BUF_INIT(SMALL);
    assert_int_equal(process_new_file(path, STR("one"), 0600).code, ERR_NONE);
    assert_int_equal(process_new_file(path, STR("two"), 0600).code, ERR_EXISTS);
    assert_int_equal(process_read_file(path, 5, &text).code, ERR_NONE);
    assert_str(buf_str(&text), STR("one"));
    assert_int_equal(process_new_file(path_in(place, "none/file"), STR("x"), 0600).code,
                     ERR_NOT_FOUND);
    buf_done(&text);
}

/* --- Signals --------------------------------------------------------------------------------- */

struct heard {
    struct loop loop;
    int signals[4];
    int count;
};

static void hear(void *arg, int which)
{
    struct heard *heard = arg;
    heard->signals[heard->count++] = which;
    if (heard->count == 2)
        loop_stop(&heard->loop);
}

static void signals_come_on_the_loop(void **state)
{
    (void)state;
    struct heard heard = {.count = 0};
    assert_int_equal(loop_init(&heard.loop, world_real()), 0);
    struct signals *signals = signals_open(&heard.loop, hear, &heard);
    assert_non_null(signals);
    raise(SIGPIPE);
    raise(SIGHUP);
    raise(SIGTERM);
    loop_run(&heard.loop);
    assert_int_equal(heard.signals[0] + heard.signals[1], SIGHUP + SIGTERM);
    signals_close(signals);
    loop_done(&heard.loop);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "role") == 0)
        return role_main(argv[2]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_role_has_its_link_and_nothing_else),
        cmocka_unit_test(a_role_is_ended_by_sigkill_alone),
        cmocka_unit_test(the_largest_packet_goes_through_a_pair),
        cmocka_unit_test(listeners_are_opened_once),
        cmocka_unit_test(addresses_that_are_none_are_refused),
        cmocka_unit_test_setup_teardown(a_stale_socket_is_replaced_and_a_live_one_is_not,
                                        place_open, place_close),
        cmocka_unit_test_setup_teardown(a_local_socket_is_everybody_s_or_a_group_s, place_open,
                                        place_close),
        cmocka_unit_test_setup_teardown(a_file_in_the_place_of_a_socket_is_left_alone, place_open,
                                        place_close),
        cmocka_unit_test_setup_teardown(socket_paths_have_a_largest_length, place_open,
                                        place_close),
        cmocka_unit_test(input_is_read_whatever_it_is),
        cmocka_unit_test_setup_teardown(input_is_read_from_where_it_stands, place_open,
                                        place_close),
        cmocka_unit_test_setup_teardown(whose_a_folder_is, place_open, place_close),
        cmocka_unit_test_setup_teardown(secrets_are_their_owners_alone, place_open, place_close),
        cmocka_unit_test_setup_teardown(a_new_file_takes_no_place, place_open, place_close),
        cmocka_unit_test_setup_teardown(files_are_written_whole_and_read_to_their_limit, place_open,
                                        place_close),
        cmocka_unit_test(signals_come_on_the_loop),
    };
    return cmocka_run_group_tests_name("process", tests, NULL, NULL);
}
