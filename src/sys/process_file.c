/*
 * Whole small files by path, for the parent and the command line: they act for the operator, with
 * the operator's rights, on paths the operator gave. Roles that meet strangers have no paths.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "sys/process.h"

enum {
    PATH_MOST = 4096,
    PIECE = 4096,
};

struct path_text {
    char text[PATH_MOST];
};

static bool path_make(struct path_text *path, struct str from)
{
    if (from.n == 0 || from.n >= sizeof(path->text) || str_index(from, '\0') >= 0) {
        errno = from.n ? ENAMETOOLONG : ENOENT;
        return false;
    }
    memcpy(path->text, from.p, from.n);
    path->text[from.n] = '\0';
    return true;
}

void process_absolute_path(struct str path, struct buf *to)
{
    char folder[PATH_MOST];
    if (!str_starts(path, STR("/")) && getcwd(folder, sizeof(folder))) {
        buf_put(to, str_from(folder));
        buf_putc(to, '/');
    }
    buf_put(to, path);
}

static struct err read_all(int file, size_t max, struct buf *to)
{
    char piece[PIECE];
    size_t before = to->n;
    for (;;) {
        ssize_t n = read(file, piece, sizeof(piece));
        if (n < 0 && errno == EAGAIN)
            (void)poll(&(struct pollfd){.fd = file, .events = POLLIN}, 1, -1);
        else if (n < 0 && errno != EINTR)
            return err_os(errno, STR("read"));
        if (n == 0)
            return err_none();
        if (n > 0 && (to->n - before + (size_t)n > max || !buf_put(to, str_make(piece, (size_t)n))))
            return err_detail(ERR_OVER_LIMIT, STR("the file is too large"));
    }
}

struct err process_read_file(struct str path, size_t max, struct buf *to)
{
    struct path_text name;
    int file = path_make(&name, path) ? open(name.text, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0)
        return err_os(errno, STR("open"));
    struct err e = read_all(file, max, to);
    close(file);
    return e;
}

struct err process_read_input(size_t max, struct buf *to)
{
    return read_all(STDIN_FILENO, max, to);
}

/* At most `max` octets, and no buffer of our own between. */
static struct err read_into(int file, size_t max, struct buf *to)
{
    char *room = buf_room(to, max);
    char one;
    size_t n = 0;
    ssize_t got = 1;
    if (!room)
        return err_make(ERR_NO_MEMORY);
    while (got > 0 && n < max) {
        got = read(file, room + n, max - n);
        n += got > 0 ? (size_t)got : 0;
    }
    if (got > 0)
        got = read(file, &one, 1);
    buf_added(to, n);
    if (got > 0)
        return err_detail(ERR_OVER_LIMIT, STR("the file is too large"));
    return got < 0 ? err_os(errno, STR("read")) : err_none();
}

/* A pipe, which somebody else may have put there, is not waited for. */
struct err process_read_secret(struct str path, size_t max, struct buf *to)
{
    struct path_text name;
    struct stat found;
    struct err e = err_none();
    int file = path_make(&name, path) ? open(name.text, O_RDONLY | O_NONBLOCK | O_CLOEXEC) : -1;
    if (file < 0)
        return err_os(errno, STR("open"));
    if (fstat(file, &found) < 0)
        e = err_os(errno, STR("fstat"));
    else if (!S_ISREG(found.st_mode))
        e = err_detail(ERR_USAGE, STR("is no file"));
    else if (found.st_mode & (S_IRWXG | S_IRWXO))
        e = err_detail(ERR_NOT_ALLOWED, STR("others have rights to it"));
    else
        e = read_into(file, max, to);
    close(file);
    return e;
}

static bool write_all(int file, struct str bytes)
{
    while (bytes.n) {
        ssize_t n = write(file, bytes.p, bytes.n);
        if (n < 0 && errno != EINTR)
            return false;
        if (n > 0)
            bytes = str_from_index(bytes, (size_t)n);
    }
    return true;
}

/* The folder of a path, and the name in it. */
static int parent_open(struct path_text *path, const char **name_r)
{
    char *slash = strrchr(path->text, '/');
    *name_r = slash ? slash + 1 : path->text;
    if (!slash)
        return open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    *slash = '\0';
    return open(slash == path->text ? "/" : path->text, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static bool new_file(int folder, const char *name, struct str bytes, unsigned mode)
{
    int file = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    if (file < 0)
        return false;
    bool written = fchmod(file, mode) == 0 && write_all(file, bytes) && fsync(file) == 0;
    int failed = errno;
    close(file);
    if (!written)
        unlinkat(folder, name, 0);
    errno = failed;
    return written;
}

struct err process_write_file(struct str path, struct str bytes, unsigned mode)
{
    struct path_text text;
    const char *name;
    char beside[NAME_MAX + 1];
    int folder = path_make(&text, path) ? parent_open(&text, &name) : -1;
    if (folder < 0)
        return err_os(errno, STR("open"));
    int n = snprintf(beside, sizeof(beside), ".%s.%d", name, (int)getpid());
    bool fits = n > 0 && (size_t)n < sizeof(beside);
    errno = ENAMETOOLONG;
    bool done = fits && new_file(folder, beside, bytes, mode);
    if (done && (renameat(folder, beside, folder, name) < 0 || fsync(folder) < 0)) {
        int failed = errno;
        unlinkat(folder, beside, 0);
        errno = failed;
        done = false;
    }
    struct err e = done ? err_none() : err_os(errno, STR("write"));
    close(folder);
    return e;
}

struct err process_new_file(struct str path, struct str bytes, unsigned mode)
{
    struct path_text text;
    const char *name;
    int folder = path_make(&text, path) ? parent_open(&text, &name) : -1;
    if (folder < 0)
        return err_os(errno, STR("open"));
    bool done = new_file(folder, name, bytes, mode) && fsync(folder) == 0;
    struct err e = done ? err_none() : err_os(errno, STR("write"));
    close(folder);
    return e;
}

bool process_may_read(struct str path)
{
    struct path_text name;
    return path_make(&name, path) && access(name.text, R_OK) == 0;
}

bool process_is_anothers(struct str path)
{
    struct path_text name;
    struct stat is;
    return path_make(&name, path) && stat(name.text, &is) == 0 && is.st_uid != geteuid();
}

struct err process_make_folder(struct str path, unsigned mode)
{
    struct path_text name;
    if (!path_make(&name, path) || mkdir(name.text, mode) < 0)
        return err_os(errno, STR("mkdir"));
    return err_none();
}

struct err process_open_folder(struct str path, int *handle_r)
{
    struct path_text name;
    *handle_r = path_make(&name, path) ? open(name.text, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    return *handle_r < 0 ? err_os(errno, STR("open")) : err_none();
}

struct err process_remove_file(struct str path)
{
    struct path_text name;
    if (!path_make(&name, path) || unlinkat(AT_FDCWD, name.text, 0) < 0)
        return err_os(errno, STR("unlink"));
    return err_none();
}

/* --- Passwords ------------------------------------------------------------------------------- */

/* Octet by octet: what follows the line is somebody else's. */
static struct err line_read(int from, struct buf *to)
{
    for (;;) {
        char c;
        ssize_t n = read(from, &c, 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_os(errno, STR("read"));
        if (n == 0 || c == '\n')
            return err_none();
        if (!buf_putc(to, c))
            return err_detail(ERR_OVER_LIMIT, STR("the line is too long"));
    }
}

struct err process_read_password(struct str prompt, struct buf *to)
{
    struct termios usual, silent;
    if (tcgetattr(STDIN_FILENO, &usual) < 0)
        return line_read(STDIN_FILENO, to);
    silent = usual;
    silent.c_lflag &= ~(tcflag_t)ECHO;
    write_all(STDERR_FILENO, prompt);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
    struct err e = line_read(STDIN_FILENO, to);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &usual);
    write_all(STDERR_FILENO, STR("\n"));
    return e;
}
