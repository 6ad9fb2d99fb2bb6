/*
 * The system calls of a role, as tables. A role that meets strangers or keeps mail has a list of
 * what it may call. What is not on it is answered with EPERM, so that a library that only tries
 * something lives on; opening by name with ENOENT, for libc and OpenSSL look for files lazily and
 * take "not there" for an answer; and what nobody but an intruder does ends the process.
 *
 * The parent's list is of what it may not call: the roles it starts inherit it, each with needs of
 * its own before it closes its own.
 *
 * clone3 hides its flags in memory, where a filter cannot look: it is answered with ENOSYS, and
 * libc takes clone.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sys/sandbox_parts.h"

enum {
    SET_VMA = 0x53564d41, /* PR_SET_VMA: libc names its memory */
    OPTIMIZE_BY_TREE = 2, /* SCMP_FLTATR_CTL_OPTIMIZE: a binary tree of calls */
    FSTAT_FLAG = AT_EMPTY_PATH,
    SOCKET_TYPE = 0xf, /* of socket's second argument; the rest are flags */
};

#define CALL(name) SCMP_SYS(name)
#define REFUSED SCMP_ACT_ERRNO(EPERM)
#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* Everybody: memory, time, threads, waiting, and what is done to an open descriptor. */
static const int base_calls[] = {
    CALL(brk),
    CALL(munmap),
    CALL(mremap),
    CALL(madvise),
    CALL(clock_gettime),
    CALL(clock_getres),
    CALL(gettimeofday),
    CALL(time),
    CALL(nanosleep),
    CALL(clock_nanosleep),
    CALL(futex),
    CALL(set_robust_list),
    CALL(get_robust_list),
    CALL(rseq),
    CALL(sched_yield),
    CALL(sched_getaffinity),
    CALL(set_tid_address),
    CALL(membarrier),
    CALL(getcpu),
    CALL(sigaltstack),
    CALL(rt_sigaction),
    CALL(rt_sigprocmask),
    CALL(rt_sigreturn),
    CALL(restart_syscall),
    CALL(exit),
    CALL(exit_group),
    CALL(getpid),
    CALL(gettid),
    CALL(getppid),
    CALL(getuid),
    CALL(geteuid),
    CALL(getgid),
    CALL(getegid),
    CALL(uname),
    CALL(sysinfo),
    CALL(getrlimit),
    CALL(getrusage),
    CALL(times),
    CALL(getrandom),
    CALL(umask),
    CALL(epoll_create1),
    CALL(epoll_ctl),
    CALL(epoll_wait),
    CALL(epoll_pwait),
    CALL(epoll_pwait2),
    CALL(poll),
    CALL(ppoll),
    CALL(eventfd2),
    CALL(pipe2),
    CALL(timerfd_create),
    CALL(timerfd_settime),
    CALL(read),
    CALL(readv),
    CALL(write),
    CALL(writev),
    CALL(close),
    CALL(dup),
    CALL(dup2),
    CALL(dup3),
    CALL(fstat),
    CALL(lseek),
    CALL(recvfrom),
    CALL(recvmsg),
    CALL(sendmsg),
    CALL(shutdown),
    CALL(getsockopt),
    CALL(setsockopt),
    CALL(getsockname),
    CALL(getpeername),
};

/* SANDBOX_FOLDER: files by name (Landlock says where), their contents, and shared memory. */
static const int folder_calls[] = {
    CALL(openat),          CALL(openat2),    CALL(mkdirat),      CALL(unlinkat),  CALL(renameat),
    CALL(renameat2),       CALL(newfstatat), CALL(getdents64),   CALL(fstatfs),   CALL(flock),
    CALL(fsync),           CALL(fdatasync),  CALL(ftruncate),    CALL(fallocate), CALL(pread64),
    CALL(preadv),          CALL(preadv2),    CALL(pwrite64),     CALL(pwritev),   CALL(pwritev2),
    CALL(sync_file_range), CALL(fadvise64),  CALL(memfd_create),
};

/* SANDBOX_TERMINALS: terminals by name, and what utmp says; whether its processes live. */
static const int terminal_calls[] = {CALL(newfstatat), CALL(pread64)};
/* For everybody else deadly. */
static const int watching_calls[] = {CALL(pidfd_open)};

static const int accept_calls[] = {CALL(accept), CALL(accept4)};
static const int connect_calls[] = {CALL(connect), CALL(bind), CALL(sendto), CALL(sendmmsg),
                                    CALL(recvmmsg)};

/* "Not there", where the role has no folder. */
static const int absent_calls[] = {
    CALL(open),   CALL(openat),    CALL(openat2),    CALL(stat),     CALL(lstat),      CALL(statx),
    CALL(access), CALL(faccessat), CALL(faccessat2), CALL(readlink), CALL(readlinkat),
};

/* Of these the ones that a role with a folder has no leave for either. */
static const int absent_with_folder_calls[] = {
    CALL(open),      CALL(stat),       CALL(lstat),    CALL(statx),      CALL(access),
    CALL(faccessat), CALL(faccessat2), CALL(readlink), CALL(readlinkat),
};

/* What only an intruder does. */
static const int deadly_calls[] = {
    CALL(execve),
    CALL(execveat),
    CALL(fork),
    CALL(vfork),
    CALL(ptrace),
    CALL(process_vm_readv),
    CALL(process_vm_writev),
    CALL(pidfd_getfd),
    CALL(pidfd_send_signal),
    CALL(tkill),
    CALL(rt_sigqueueinfo),
    CALL(bpf),
    CALL(mount),
    CALL(umount2),
    CALL(pivot_root),
    CALL(chroot),
    CALL(unshare),
    CALL(setns),
    CALL(init_module),
    CALL(finit_module),
    CALL(delete_module),
    CALL(kexec_load),
    CALL(kexec_file_load),
    CALL(perf_event_open),
    CALL(userfaultfd),
    CALL(keyctl),
    CALL(add_key),
    CALL(request_key),
    CALL(setuid),
    CALL(setgid),
    CALL(setresuid),
    CALL(setresgid),
    CALL(setreuid),
    CALL(setregid),
    CALL(setgroups),
};

/* The parent's: refused to it and to all it starts. */
static const int parent_refused_calls[] = {
    CALL(process_vm_readv),
    CALL(process_vm_writev),
    CALL(pidfd_getfd),
    CALL(bpf),
    CALL(mount),
    CALL(umount2),
    CALL(pivot_root),
    CALL(unshare),
    CALL(setns),
    CALL(init_module),
    CALL(finit_module),
    CALL(delete_module),
    CALL(kexec_load),
    CALL(kexec_file_load),
    CALL(perf_event_open),
    CALL(userfaultfd),
    CALL(keyctl),
    CALL(add_key),
    CALL(request_key),
    CALL(io_uring_setup),
    CALL(open_by_handle_at),
    CALL(reboot),
    CALL(swapon),
    CALL(swapoff),
    CALL(acct),
    CALL(quotactl),
    CALL(settimeofday),
    CALL(clock_settime),
    CALL(adjtimex),
    CALL(clock_adjtime),
    CALL(sethostname),
    CALL(setdomainname),
    CALL(personality),
    CALL(kcmp),
    CALL(fanotify_init),
    CALL(syslog),
    CALL(vhangup),
    CALL(iopl),
    CALL(ioperm),
    CALL(mknod),
    CALL(mknodat),
};

/* Calls that are allowed with some arguments only; several rows of one call: any of them. */
static const struct argument_rule {
    int call;
    struct scmp_arg_cmp argument;
} argument_rules[] = {
    {CALL(mmap), {2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0}},
    {CALL(mprotect), {2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0}},
    {CALL(clone), {0, SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD}},
    {CALL(sendto), {4, SCMP_CMP_EQ, 0, 0}}, /* no address: send */
    {CALL(ioctl), {1, SCMP_CMP_EQ, FIONREAD, 0}},
    {CALL(ioctl), {1, SCMP_CMP_EQ, FIONBIO, 0}},
    {CALL(prctl), {0, SCMP_CMP_EQ, PR_SET_NAME, 0}},
    {CALL(prctl), {0, SCMP_CMP_EQ, SET_VMA, 0}},
    {CALL(prlimit64), {2, SCMP_CMP_EQ, 0, 0}}, /* only asks */
    {CALL(fcntl), {1, SCMP_CMP_EQ, F_DUPFD, 0}},
    {CALL(fcntl), {1, SCMP_CMP_EQ, F_DUPFD_CLOEXEC, 0}},
    {CALL(fcntl), {1, SCMP_CMP_EQ, F_GETFD, 0}},
    {CALL(fcntl), {1, SCMP_CMP_EQ, F_SETFD, 0}},
    {CALL(fcntl), {1, SCMP_CMP_EQ, F_GETFL, 0}},
    {CALL(fcntl), {1, SCMP_CMP_EQ, F_SETFL, 0}},
    {CALL(fcntl), {1, SCMP_CMP_EQ, F_GETLK, 0}},
    {CALL(fcntl), {1, SCMP_CMP_EQ, F_SETLK, 0}},
    {CALL(fcntl), {1, SCMP_CMP_EQ, F_SETLKW, 0}},
    {CALL(fcntl), {1, SCMP_CMP_EQ, F_ADD_SEALS, 0}},
    {CALL(fcntl), {1, SCMP_CMP_EQ, F_GET_SEALS, 0}},
};

/* AddressSanitizer's own checks at the end of a run fork and trace: with it these calls are refused
 * like all others. libseccomp takes no rule that says what it would do anyway. */
static uint32_t deadly(void)
{
    return SANDBOX_UNDER_ASAN ? REFUSED : SCMP_ACT_KILL_PROCESS;
}

static uint32_t standard(scmp_filter_ctx filter)
{
    uint32_t action = 0;
    seccomp_attr_get(filter, SCMP_FLTATR_ACT_DEFAULT, &action);
    return action;
}

static bool calls_add(scmp_filter_ctx filter, uint32_t action, const int *calls, size_t count)
{
    for (size_t i = 0; i < count && action != standard(filter); i++)
        if (seccomp_rule_add(filter, action, calls[i], 0) < 0)
            return false;
    return true;
}

static bool argument_add(scmp_filter_ctx filter, uint32_t action, int call,
                         struct scmp_arg_cmp argument)
{
    return action == standard(filter) ||
           seccomp_rule_add_array(filter, action, call, 1, &argument) == 0;
}

static bool arguments_add(scmp_filter_ctx filter)
{
    for (size_t i = 0; i < COUNT(argument_rules); i++)
        if (!argument_add(filter, SCMP_ACT_ALLOW, argument_rules[i].call,
                          argument_rules[i].argument))
            return false;
    return true;
}

/* Signals to itself are abort and raise; to others they are an attack. So is a new process. */
static bool others_add(scmp_filter_ctx filter)
{
    static const int calls[] = {CALL(kill), CALL(tgkill), CALL(rt_tgsigqueueinfo)};
    struct scmp_arg_cmp self = {0, SCMP_CMP_EQ, (scmp_datum_t)getpid(), 0};
    struct scmp_arg_cmp other = {0, SCMP_CMP_NE, (scmp_datum_t)getpid(), 0};
    struct scmp_arg_cmp process = {0, SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0};
    for (size_t i = 0; i < COUNT(calls); i++)
        if (!argument_add(filter, SCMP_ACT_ALLOW, calls[i], self) ||
            !argument_add(filter, deadly(), calls[i], other))
            return false;
    return argument_add(filter, deadly(), CALL(clone), process) &&
           seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), CALL(clone3), 0) == 0;
}

/* Opened for writing, and nothing is made. */
static bool terminals_add(scmp_filter_ctx filter)
{
    struct scmp_arg_cmp write_only = {2, SCMP_CMP_MASKED_EQ, O_ACCMODE | O_CREAT | O_TRUNC,
                                      O_WRONLY};
    struct scmp_arg_cmp settings = {1, SCMP_CMP_EQ, TCGETS, 0};
    return argument_add(filter, SCMP_ACT_ALLOW, CALL(openat), write_only) &&
           argument_add(filter, SCMP_ACT_ALLOW, CALL(ioctl), settings) &&
           calls_add(filter, SCMP_ACT_ALLOW, watching_calls, COUNT(watching_calls)) &&
           calls_add(filter, SCMP_ACT_ALLOW, terminal_calls, COUNT(terminal_calls));
}

static bool names_add(scmp_filter_ctx filter, unsigned rights)
{
    const struct scmp_arg_cmp fstat = {3, SCMP_CMP_EQ, FSTAT_FLAG, 0};
    const struct scmp_arg_cmp by_name = {3, SCMP_CMP_NE, FSTAT_FLAG, 0};
    uint32_t absent = SCMP_ACT_ERRNO(ENOENT);
    if (rights & SANDBOX_FOLDER)
        return calls_add(filter, absent, absent_with_folder_calls,
                         COUNT(absent_with_folder_calls)) &&
               calls_add(filter, SCMP_ACT_ALLOW, folder_calls, COUNT(folder_calls));
    if (rights & SANDBOX_TERMINALS)
        return calls_add(filter, absent, absent_with_folder_calls,
                         COUNT(absent_with_folder_calls)) &&
               terminals_add(filter);
    return argument_add(filter, SCMP_ACT_ALLOW, CALL(newfstatat), fstat) &&
           argument_add(filter, absent, CALL(newfstatat), by_name) &&
           calls_add(filter, absent, absent_calls, COUNT(absent_calls));
}

/* Sockets of the internet, and no others: the kernel has many families, and many holes in them. */
static bool sockets_add(scmp_filter_ctx filter)
{
    static const int families[] = {AF_INET, AF_INET6};
    for (size_t i = 0; i < COUNT(families); i++)
        for (scmp_datum_t type = SOCK_STREAM; type <= SOCK_DGRAM; type++) {
            struct scmp_arg_cmp both[] = {
                {0, SCMP_CMP_EQ, (scmp_datum_t)families[i], 0},
                {1, SCMP_CMP_MASKED_EQ, SOCKET_TYPE, type},
            };
            if (seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, CALL(socket), COUNT(both), both) < 0)
                return false;
        }
    return calls_add(filter, SCMP_ACT_ALLOW, connect_calls, COUNT(connect_calls));
}

static bool role_fill(scmp_filter_ctx filter, unsigned rights)
{
    bool filled = calls_add(filter, SCMP_ACT_ALLOW, base_calls, COUNT(base_calls)) &&
                  calls_add(filter, deadly(), deadly_calls, COUNT(deadly_calls)) &&
                  arguments_add(filter) && others_add(filter) && names_add(filter, rights);
    if (filled && !(rights & SANDBOX_TERMINALS))
        filled = calls_add(filter, deadly(), watching_calls, COUNT(watching_calls));
    if (filled && rights & (SANDBOX_ACCEPT | SANDBOX_UNIX))
        filled = calls_add(filter, SCMP_ACT_ALLOW, accept_calls, COUNT(accept_calls));
    if (filled && rights & SANDBOX_FOLDER)
        filled = argument_add(filter, SCMP_ACT_ALLOW, CALL(socketpair),
                              (struct scmp_arg_cmp){0, SCMP_CMP_EQ, AF_UNIX, 0});
    if (filled && rights & SANDBOX_CONNECT)
        filled = sockets_add(filter);
    return filled;
}

static bool parent_fill(scmp_filter_ctx filter)
{
    return calls_add(filter, REFUSED, parent_refused_calls, COUNT(parent_refused_calls)) &&
           (SANDBOX_UNDER_ASAN || seccomp_rule_add(filter, REFUSED, CALL(ptrace), 0) == 0);
}

#if SANDBOX_UNDER_ASAN
/* The leak check at the end of a process starts a tracer, which a role's filter refuses: asked from
 * within one, where this question is refused too, it is turned off. */
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
    return prctl(PR_GET_SECCOMP, 0, 0, 0, 0) < 0;
}
#endif

struct err seccomp_enter(const struct sandbox *sandbox, struct buf *report)
{
    bool parent = sandbox->rights & SANDBOX_PROGRAMS;
    scmp_filter_ctx filter = seccomp_init(parent ? SCMP_ACT_ALLOW : REFUSED);
    if (!filter)
        return err_make(ERR_NO_MEMORY);
    seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, OPTIMIZE_BY_TREE);
    seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
    bool filled = parent ? parent_fill(filter) : role_fill(filter, sandbox->rights);
    int failed = filled ? seccomp_load(filter) : -EINVAL;
    seccomp_release(filter);
    if (!filled)
        return err_os(EINVAL, STR("seccomp rules"));
    if (failed)
        sandbox_report(sandbox, report, "no seccomp: system calls are not limited");
    return err_none();
}
