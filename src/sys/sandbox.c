/*
 * The order matters: what needs root or a path first, then the user, then the kernel's own walls,
 * the narrowest last. After it nothing can be undone.
 *
 * The empty root is a folder that is removed while we stand in it: nobody can put anything there,
 * and nothing is left on the disk. A role with a folder of its own stands in that folder; names
 * that begin with '/' lead nowhere.
 */
#include "sys/sandbox.h"

#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "sys/sandbox_parts.h"

enum {
    USER_NAME_MOST = 64,
    PATH_MOST = 4096,
};

struct identity {
    bool change;
    uid_t user;
    gid_t group;
};

void sandbox_report(const struct sandbox *sandbox, struct buf *report, const char *text)
{
    buf_printf(report, "%s: %s\n", sandbox->role, text);
}

/* --- While names still lead somewhere -------------------------------------------------------- */

static struct err identity_find(const struct sandbox *sandbox, struct buf *report,
                                struct identity *identity_r)
{
    char name[USER_NAME_MOST] = {0};
    *identity_r = (struct identity){.change = false};
    if (sandbox->user.n == 0 || geteuid() != 0)
        return err_none();
    if (sandbox->user.n >= sizeof(name))
        return err_detail(ERR_USAGE, STR("the user's name is too long"));
    memcpy(name, sandbox->user.p, sandbox->user.n);
    const struct passwd *found = getpwnam(name);
    if (found)
        *identity_r = (struct identity){true, found->pw_uid, found->pw_gid};
    else
        buf_printf(report, "%s: runs as root: there is no system user %s\n", sandbox->role, name);
    return err_none();
}

static struct err folder_open(const struct sandbox *sandbox, int *folder_r)
{
    char path[PATH_MOST] = {0};
    *folder_r = -1;
    if (!(sandbox->rights & SANDBOX_BENEATH))
        return err_none();
    if (sandbox->folder.n == 0 || sandbox->folder.n >= sizeof(path))
        return err_detail(ERR_USAGE, STR("the path of the folder is too long"));
    memcpy(path, sandbox->folder.p, sandbox->folder.n);
    *folder_r = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return *folder_r < 0 ? err_os(errno, STR("the role's folder")) : err_none();
}

/* --- Root, folder, user ---------------------------------------------------------------------- */

static bool empty_root_enter(void)
{
    static const char *const places[] = {"/run/veredus-XXXXXX", "/tmp/veredus-XXXXXX",
                                         "/var/tmp/veredus-XXXXXX"};
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        char path[sizeof("/var/tmp/veredus-XXXXXX")];
        snprintf(path, sizeof(path), "%s", places[i]);
        if (!mkdtemp(path))
            continue;
        bool inside = chdir(path) == 0;
        rmdir(path);
        return inside && chroot(".") == 0;
    }
    return false;
}

static struct err place_change(const struct sandbox *sandbox, int folder, struct buf *report)
{
    if (geteuid() == 0 && !empty_root_enter())
        sandbox_report(sandbox, report, "the root folder stays: chroot is not allowed here");
    if (folder >= 0 && fchdir(folder) < 0)
        return err_os(errno, STR("the role's folder"));
    return err_none();
}

static struct err user_change(const struct identity *identity)
{
    if (!identity->change)
        return err_none();
    if (setgroups(0, NULL) < 0 ||
        setresgid(identity->group, identity->group, identity->group) < 0 ||
        setresuid(identity->user, identity->user, identity->user) < 0)
        return err_os(errno, STR("changing the user"));
    if (identity->user != 0 && setuid(0) == 0)
        return err_detail(ERR_NOT_ALLOWED, STR("root could be taken back"));
    return err_none();
}

/* Those of root that remains root, or that systemd gave. The parent keeps, for itself and for what
 * it starts, what beginning and ending the roles takes. */
static struct err capabilities_drop(const struct sandbox *sandbox)
{
    bool starter = sandbox->rights & SANDBOX_PROGRAMS && geteuid() == 0;
    capng_clear(CAPNG_SELECT_BOTH);
    if (starter)
        capng_updatev(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_BOUNDING_SET, CAP_SETUID,
                      CAP_SETGID, CAP_SYS_CHROOT, CAP_KILL, CAP_CHOWN, CAP_DAC_OVERRIDE, -1);
    if (capng_apply(starter ? CAPNG_SELECT_BOTH : CAPNG_SELECT_CAPS) < 0)
        return err_os(EPERM, STR("dropping capabilities"));
    return err_none();
}

/* --- Limits ---------------------------------------------------------------------------------- */

static bool limit(int which, uint64_t most)
{
    struct rlimit now;
    if (getrlimit((__rlimit_resource_t)which, &now) < 0)
        return false;
    rlim_t value = most < now.rlim_max ? most : now.rlim_max;
    struct rlimit set = {value, value};
    return setrlimit((__rlimit_resource_t)which, &set) == 0;
}

/* AddressSanitizer reserves terabytes, so memory is not limited under it. */
static struct err limits_set(const struct sandbox *sandbox)
{
    bool set = limit(RLIMIT_CORE, 0);
    if (sandbox->max_files)
        set = limit(RLIMIT_NOFILE, sandbox->max_files) && set;
    if (sandbox->max_memory && !SANDBOX_UNDER_ASAN)
        set = limit(RLIMIT_AS, sandbox->max_memory) && set;
    return set ? err_none() : err_os(errno, STR("resource limits"));
}

static struct err privileges_end(void)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        return err_os(errno, STR("prctl"));
    return err_none();
}

/* --- The whole ------------------------------------------------------------------------------- */

static struct err walls_enter(const struct sandbox *sandbox, const struct identity *identity,
                              int folder, struct buf *report)
{
    struct err e = err_none();
    if (!(sandbox->rights & SANDBOX_PROGRAMS))
        e = place_change(sandbox, folder, report);
    if (!err_is(e))
        e = user_change(identity);
    if (!err_is(e))
        e = capabilities_drop(sandbox);
    if (!err_is(e))
        e = limits_set(sandbox);
    if (!err_is(e))
        e = privileges_end();
    if (!err_is(e))
        e = landlock_enter(sandbox, folder, report);
    return err_is(e) ? e : seccomp_enter(sandbox, report);
}

struct err sandbox_enter(const struct sandbox *sandbox, struct buf *report)
{
    struct identity identity;
    int folder;
    struct err e = identity_find(sandbox, report, &identity);
    if (!err_is(e))
        e = folder_open(sandbox, &folder);
    if (err_is(e))
        return e;
    e = walls_enter(sandbox, &identity, folder, report);
    if (folder >= 0)
        close(folder);
    return e;
}
