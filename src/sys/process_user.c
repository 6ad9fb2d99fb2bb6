/*
 * Users: who we are, and whose a folder is. Root gives the data folder to core's user once; a
 * folder that is somebody else's already is refused, so that a mistaken path changes nothing.
 */
#include "sys/process.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    USER_NAME_MOST = 64,
    USER_RECORD_MOST = 4096,
    GROUP_RECORD_MOST = 65536, /* all members are in it */
    PATH_MOST = 4096
};

int64_t process_own_uid(void)
{
    return geteuid();
}

static bool user_find(struct str user, uid_t *uid_r, gid_t *gid_r)
{
    char name[USER_NAME_MOST], record[USER_RECORD_MOST];
    if (user.n == 0 || user.n >= sizeof(name))
        return false;
    memcpy(name, user.p, user.n);
    name[user.n] = '\0';
    struct passwd entry, *found = NULL;
    if (getpwnam_r(name, &entry, record, sizeof(record), &found) != 0 || !found)
        return false;
    *uid_r = entry.pw_uid;
    *gid_r = entry.pw_gid;
    return true;
}

bool process_has_user(struct str user)
{
    uid_t uid;
    gid_t gid;
    return user_find(user, &uid, &gid);
}

/* "John &,,,": the name stands for itself in the comment of old systems. */
static void full_put(struct str comment, struct str name, struct buf *to)
{
    comment = str_cut(&comment, ',');
    for (size_t i = 0; i < comment.n; i++) {
        if (comment.p[i] == '&')
            buf_put(to, name);
        else
            buf_putc(to, comment.p[i]);
    }
}

bool process_own_user(struct buf *name, struct buf *full, struct buf *home)
{
    char record[USER_RECORD_MOST];
    struct passwd entry, *found = NULL;
    if (getpwuid_r(getuid(), &entry, record, sizeof(record), &found) != 0 || !found)
        return false;
    buf_put(name, str_from(entry.pw_name));
    full_put(str_from(entry.pw_gecos), str_from(entry.pw_name), full);
    buf_put(home, str_from(entry.pw_dir));
    return true;
}

bool process_environment(const char *name, struct buf *to)
{
    const char *value = getenv(name);
    return value && buf_put(to, str_from(value));
}

bool process_input_is_terminal(void)
{
    return isatty(STDIN_FILENO);
}

bool process_group(struct str group, int64_t *gid_r)
{
    char name[USER_NAME_MOST], record[GROUP_RECORD_MOST];
    if (group.n == 0 || group.n >= sizeof(name))
        return false;
    memcpy(name, group.p, group.n);
    name[group.n] = '\0';
    struct group entry, *found = NULL;
    if (getgrnam_r(name, &entry, record, sizeof(record), &found) != 0 || !found)
        return false;
    *gid_r = entry.gr_gid;
    return true;
}

static struct err folder_give(int folder, uid_t uid, gid_t gid)
{
    struct stat is;
    if (fstat(folder, &is) != 0)
        return err_os(errno, STR("folder"));
    if (is.st_uid == uid)
        return err_none();
    if (is.st_uid != 0)
        return err_detail(ERR_NOT_ALLOWED, STR("the folder belongs to another user"));
    return fchown(folder, uid, gid) == 0 ? err_none() : err_os(errno, STR("folder"));
}

struct err process_give_folder(struct str path, struct str user)
{
    char text[PATH_MOST];
    uid_t uid;
    gid_t gid;
    if (path.n >= sizeof(text))
        return err_os(ENAMETOOLONG, STR("folder"));
    if (!user_find(user, &uid, &gid))
        return err_detail(ERR_CONFIG, STR("there is no system user for this role"));
    memcpy(text, path.p, path.n);
    text[path.n] = '\0';
    int folder = open(text, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (folder < 0)
        return err_os(errno, STR("folder"));
    struct err e = folder_give(folder, uid, gid);
    close(folder);
    return e;
}
