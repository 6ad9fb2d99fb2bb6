/*
 * Names become descriptors here, and here only: a planted symbolic link, hard link or FIFO in the
 * data folder must not make us read or write somebody else's file (catalogue O01; OpenSMTPD, 2015).
 * openat2 lets the kernel refuse them in one step; before Linux 5.6 each part of the name is opened
 * by itself. What changes a folder (create, rename, remove) works on the opened parent and a last
 * part without '/', where the system calls follow no link.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sys/real.h"
#include "sys/real_open.h"

enum {
    NAME_LIMIT = 1023, /* of a whole name beneath a folder */
    OPEN_TRIES = 16    /* openat2 says EAGAIN where a rename crossed its way */
};

struct name {
    char text[NAME_LIMIT + 1];
};

static bool part_is_good(struct str part)
{
    return part.n > 0 && !str_eq(part, STR(".")) && !str_eq(part, STR(".."));
}

/* At the edge of libc: a checked, NUL-terminated copy. */
static int name_make(struct name *name, struct str s)
{
    if (s.n > NAME_LIMIT)
        return -ENAMETOOLONG;
    if (!s.p || str_index(s, '\0') >= 0)
        return -EINVAL;
    struct str rest = s;
    while (rest.p)
        if (!part_is_good(str_cut(&rest, '/')))
            return -EINVAL;
    memcpy(name->text, s.p, s.n);
    name->text[s.n] = '\0';
    return 0;
}

static int walk_step(int at, const char *part, int flags, mode_t mode)
{
    int next = openat(at, part, flags | O_NOFOLLOW | O_CLOEXEC, mode);
    return next < 0 ? -errno : next;
}

int real_open_walk(int folder, char *name, int flags, mode_t mode)
{
    int at = folder;
    for (;;) {
        char *slash = strchr(name, '/');
        if (slash)
            *slash = '\0';
        int next =
            slash ? walk_step(at, name, O_PATH | O_DIRECTORY, 0) : walk_step(at, name, flags, mode);
        if (at != folder)
            close(at);
        if (!slash || next < 0)
            return next;
        at = next;
        name = slash + 1;
    }
}

int real_open_beneath(int folder, char *name, int flags, mode_t mode)
{
    struct open_how how = {
        .flags = (uint64_t)(flags | O_NOFOLLOW | O_CLOEXEC),
        .mode = flags & O_CREAT ? mode : 0,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    for (int i = 0; i < OPEN_TRIES; i++) {
        long opened = syscall(SYS_openat2, folder, name, &how, sizeof(how));
        if (opened >= 0)
            return (int)opened;
        if (errno == ENOSYS)
            return real_open_walk(folder, name, flags, mode);
        if (errno != EAGAIN && errno != EINTR)
            return -errno;
    }
    return -EAGAIN;
}

/* The folder that holds the last part of `name`; *last_r points into it. Close it if it is not
 * `folder` itself. */
static int parent_open(int folder, struct name *name, char **last_r)
{
    char *slash = strrchr(name->text, '/');
    *last_r = slash ? slash + 1 : name->text;
    if (!slash)
        return folder;
    *slash = '\0';
    return real_open_beneath(folder, name->text, O_PATH | O_DIRECTORY, 0);
}

static void parent_close(int folder, int parent)
{
    if (parent >= 0 && parent != folder)
        close(parent);
}

/* Ours: the process's, or the owner's of the folder it lies in (root reading the server's store).
 */
static bool owner_is_good(int folder, uid_t owner)
{
    struct stat st;
    return owner == geteuid() || (fstat(folder, &st) == 0 && st.st_uid == owner);
}

static int file_check(int folder, int file)
{
    struct stat st;
    if (fstat(file, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode) || st.st_nlink != 1 || !owner_is_good(folder, st.st_uid))
        return -EPERM;
    return 0;
}

/* O_NONBLOCK: opening a planted FIFO must not wait for its other end. Files do not mind it. */
static int open_flags(unsigned how)
{
    int flags = O_NOCTTY | O_NONBLOCK;
    if ((how & FILE_READ) && (how & FILE_WRITE))
        flags |= O_RDWR;
    else if (how & FILE_WRITE)
        flags |= O_WRONLY;
    if (how & FILE_CREATE)
        flags |= O_CREAT;
    if ((how & FILE_CREATE) && (how & FILE_EXCLUSIVE))
        flags |= O_EXCL;
    if (how & FILE_DIRECT)
        flags |= O_DIRECT;
    return flags;
}

int real_file_open(struct world *world, int folder, struct str name, unsigned how)
{
    (void)world;
    struct name n;
    int failed = name_make(&n, name);
    if (failed)
        return failed;
    int file = real_open_beneath(folder, n.text, open_flags(how), 0600);
    if (file < 0)
        return file;
    failed = file_check(folder, file);
    if (failed) {
        close(file);
        return failed;
    }
    return file;
}

static int folder_make(int folder, struct name name)
{
    char *last;
    int parent = parent_open(folder, &name, &last);
    if (parent < 0)
        return parent;
    int failed = mkdirat(parent, last, 0700) < 0 && errno != EEXIST ? -errno : 0;
    parent_close(folder, parent);
    return failed;
}

int real_folder_open(struct world *world, int folder, struct str name, bool create)
{
    (void)world;
    struct name n;
    int failed = name_make(&n, name);
    if (!failed && create)
        failed = folder_make(folder, n);
    if (failed)
        return failed;
    int opened = real_open_beneath(folder, n.text, O_RDONLY | O_DIRECTORY, 0);
    struct stat st;
    if (opened >= 0 && (fstat(opened, &st) < 0 || !owner_is_good(folder, st.st_uid))) {
        close(opened);
        return -EPERM;
    }
    return opened;
}

int real_file_rename(struct world *world, int folder, struct str from, struct str to)
{
    (void)world;
    struct name old, new;
    int failed = name_make(&old, from);
    if (!failed)
        failed = name_make(&new, to);
    if (failed)
        return failed;
    char *old_last, *new_last;
    int old_parent = parent_open(folder, &old, &old_last);
    if (old_parent < 0)
        return old_parent;
    int new_parent = parent_open(folder, &new, &new_last);
    if (new_parent < 0)
        failed = new_parent;
    else if (renameat(old_parent, old_last, new_parent, new_last) < 0)
        failed = -errno;
    parent_close(folder, new_parent);
    parent_close(folder, old_parent);
    return failed;
}

int real_file_remove(struct world *world, int folder, struct str name)
{
    (void)world;
    struct name n;
    int failed = name_make(&n, name);
    if (failed)
        return failed;
    char *last;
    int parent = parent_open(folder, &n, &last);
    if (parent < 0)
        return parent;
    failed = unlinkat(parent, last, 0) < 0 ? -errno : 0;
    parent_close(folder, parent);
    return failed;
}

/* A descriptor of its own, for the listing has a position. */
static DIR *listing_open(int folder)
{
    int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    DIR *listing = fdopendir(fd);
    if (!listing) {
        int failed = errno;
        close(fd);
        errno = failed;
    }
    return listing;
}

int real_folder_list(struct world *world, int folder, void (*each)(void *, struct str, uint64_t),
                     void *arg)
{
    (void)world;
    DIR *listing = listing_open(folder);
    if (!listing)
        return -errno;
    struct dirent *entry;
    while ((errno = 0, entry = readdir(listing))) {
        struct stat st;
        if (fstatat(folder, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode))
            each(arg, str_from(entry->d_name), (uint64_t)st.st_size);
    }
    int failed = -errno;
    closedir(listing);
    return failed;
}
