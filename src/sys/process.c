/*
 * Why /proc/self/exe and not a path: after an upgrade of the package the roles that are started
 * again must be those of the running parent; messages between them have no versions.
 *
 * Why fork and not posix_spawn: descriptor 3 and "everything else closed" in one step, and the
 * parent is small and has no threads.
 */
#include "sys/process.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <malloc.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    PAIR_BUFFER = 1024 * 1024, /* several of the largest packets; the system may give less */
    HOST_NAME_MOST = 256,
    ROLE_NAME_MAX = 32,
    EXIT_NOT_STARTED = 127,
    LARGE_MEMORY = 1024 * 1024,
};

void process_memory_returns(void)
{
    mallopt(M_MMAP_THRESHOLD, LARGE_MEMORY);
}

struct err process_socket_pair(int pair_r[2])
{
    int size = PAIR_BUFFER;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair_r) < 0)
        return err_os(errno, STR("socketpair"));
    for (int i = 0; i < 2; i++)
        setsockopt(pair_r[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    return err_none();
}

/* Standard input and output are nobody's business in a role; they must not become other files. What
 * is above the link goes with the exec. */
static bool descriptors_arrange(int link)
{
    int null = open("/dev/null", O_RDWR);
    if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0 ||
        dup2(link, PROCESS_ROLE_LINK) < 0)
        return false;
    return close_range(PROCESS_ROLE_LINK + 1, ~0u, CLOSE_RANGE_CLOEXEC) == 0;
}

static void signals_arrange(void)
{
    static const int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE};
    sigset_t none;
    sigemptyset(&none);
    for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
        signal(ignored[i], SIG_IGN);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* In the new process: becomes the role, or writes errno to `tell` and ends. */
static _Noreturn void become_role(const char *role, int link, int tell)
{
    char name[ROLE_NAME_MAX];
    char program[] = "veredus", command[] = "role";
    char *argv[] = {program, command, name, NULL};
    snprintf(name, sizeof(name), "%s", role);
    tell = fcntl(tell, F_DUPFD_CLOEXEC, PROCESS_ROLE_LINK + 1);
    link = fcntl(link, F_DUPFD_CLOEXEC, PROCESS_ROLE_LINK + 1);
    if (tell >= 0 && link >= 0 && descriptors_arrange(link)) {
        signals_arrange();
        execv("/proc/self/exe", argv);
    }
    int failed = errno;
    while (write(tell, &failed, sizeof(failed)) < 0 && errno == EINTR)
        continue;
    _exit(EXIT_NOT_STARTED);
}

/* The pipe closes at the exec, or brings the reason why there was none. */
static int exec_result(int from)
{
    int failed = 0;
    ssize_t n;
    do
        n = read(from, &failed, sizeof(failed));
    while (n < 0 && errno == EINTR);
    return n == (ssize_t)sizeof(failed) ? failed : 0;
}

struct err process_start_role(const char *role, int link, int64_t *pid_r)
{
    int tell[2];
    if (pipe2(tell, O_CLOEXEC) < 0)
        return err_os(errno, STR("pipe"));
    pid_t pid = fork();
    if (pid == 0)
        become_role(role, link, tell[1]);
    int failed = pid < 0 ? errno : 0;
    close(tell[1]);
    if (!failed)
        failed = exec_result(tell[0]);
    close(tell[0]);
    if (pid > 0 && failed)
        waitpid(pid, NULL, 0);
    *pid_r = pid;
    return failed ? err_os(failed, STR("starting a role")) : err_none();
}

int64_t process_reap(struct buf *how_r)
{
    int status;
    pid_t pid;
    do
        pid = waitpid(-1, &status, WNOHANG);
    while (pid < 0 && errno == EINTR);
    if (pid <= 0)
        return 0;
    if (WIFSIGNALED(status))
        buf_printf(how_r, "signal %d%s", WTERMSIG(status),
                   WTERMSIG(status) == SIGSYS ? ", a system call its sandbox forbids" : "");
    else
        buf_printf(how_r, "exit %d", WEXITSTATUS(status));
    return pid;
}

void process_terminate(int64_t pid)
{
    kill((pid_t)pid, SIGTERM);
}

void process_kill(int64_t pid)
{
    kill((pid_t)pid, SIGKILL);
}

bool process_alive(int64_t pid)
{
    return kill((pid_t)pid, 0) == 0 || errno == EPERM;
}

int64_t process_own_pid(void)
{
    return getpid();
}

bool process_is_root(void)
{
    return geteuid() == 0;
}

void process_host_name(struct buf *to)
{
    char name[HOST_NAME_MOST] = {0};
    if (gethostname(name, sizeof(name) - 1) == 0)
        buf_put(to, str_from(name));
}
