/*
 * Why utmp is read here and not by getutxent: that opens the file by its name, and there are no
 * names any more in the sandbox. Why an entry counts only while its process lives: a session that
 * was torn off leaves it behind, and the terminal may be somebody else's by now. coreutils' who
 * looks at the same.
 */
#include "sys/terminals.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>
#include <utmpx.h>

enum {
    PATH_MOST = 4096,
    RECORDS = 64, /* read at a time */
};

_Static_assert(sizeof(((struct utmpx *)0)->ut_user) <= TERMINAL_NAME_MAX, "a user's name");
_Static_assert(sizeof(((struct utmpx *)0)->ut_line) <= TERMINAL_NAME_MAX, "a terminal's name");

struct err terminals_open(struct str utmp, int *utmp_r)
{
    char path[PATH_MOST];
    *utmp_r = -1;
    if (utmp.n == 0 || utmp.n >= sizeof(path))
        return err_os(ENAMETOOLONG, STR("utmp"));
    memcpy(path, utmp.p, utmp.n);
    path[utmp.n] = '\0';
    *utmp_r = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    return *utmp_r < 0 ? err_os(errno, STR("utmp")) : err_none();
}

/* A handle of it can be had whosever it is, and not for one that is no more. */
static bool lives(pid_t pid)
{
    int handle = (int)syscall(SYS_pidfd_open, pid, 0);
    bool gone = handle < 0 && errno == ESRCH;
    if (handle >= 0)
        close(handle);
    return !gone;
}

/* Its texts have an end only where they are shorter than their room. */
static struct terminal_login login_of(const struct utmpx *record)
{
    struct terminal_login login = {.since = record->ut_tv.tv_sec * US_PER_SECOND +
                                            record->ut_tv.tv_usec};
    memcpy(login.user, record->ut_user, sizeof(record->ut_user));
    memcpy(login.line, record->ut_line, sizeof(record->ut_line));
    return login;
}

ssize_t terminals_list(int utmp, struct terminal_login *logins, size_t most)
{
    struct utmpx records[RECORDS];
    size_t count = 0;
    for (off_t at = 0;; at += (off_t)sizeof(records)) {
        ssize_t n = pread(utmp, records, sizeof(records), at);
        if (n < 0)
            return -errno;
        for (size_t i = 0; i < (size_t)n / sizeof(records[0]) && count < most; i++)
            if (records[i].ut_type == USER_PROCESS && lives(records[i].ut_pid))
                logins[count++] = login_of(&records[i]);
        if ((size_t)n < sizeof(records) || count == most)
            return (ssize_t)count;
    }
}

static bool accepts(const struct stat *is)
{
    return S_ISCHR(is->st_mode) && is->st_mode & S_IWGRP;
}

struct terminal_state terminal_look(const char *line)
{
    struct stat is;
    if (fstatat(AT_FDCWD, line, &is, AT_SYMLINK_NOFOLLOW) < 0)
        return (struct terminal_state){.accepts = false};
    return (struct terminal_state){.accepts = accepts(&is),
                                   .heard = is.st_atim.tv_sec * US_PER_SECOND +
                                            is.st_atim.tv_nsec / 1000};
}

int terminal_open(const char *line)
{
    struct stat is;
    int handle = open(line, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW | O_CLOEXEC);
    if (handle < 0)
        return -errno;
    if (fstat(handle, &is) == 0 && accepts(&is) && isatty(handle)) /* /dev/null takes all */
        return handle;
    close(handle);
    return -EACCES;
}

bool terminal_is_utf8(int handle)
{
    struct termios settings;
    return tcgetattr(handle, &settings) == 0 && settings.c_iflag & IUTF8;
}

ssize_t terminal_write(int handle, struct str text)
{
    ssize_t n = write(handle, text.p, text.n);
    return n < 0 ? -errno : n;
}
