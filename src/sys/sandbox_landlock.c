/*
 * Landlock by its raw system calls: Debian 12's headers know version 1 or 2, the kernel may have 7.
 * Every right that the running version can take away is taken away; one rule gives the folder back.
 *
 * A role with programs (the parent) keeps its files: what it starts inherits its domain, and each
 * role closes its own. One right it must give back all the same: moving a file to another folder
 * (FS_REFER) is denied by every ruleset that does not allow it, and core moves uploads. Version 1
 * cannot allow it, so it counts as none.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/types.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sys/sandbox_parts.h"

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule 445
#define SYS_landlock_restrict_self 446
#endif

enum {
    CREATE_RULESET_VERSION = 1,
    RULE_PATH_BENEATH = 1,
    RULE_NET_PORT = 2,
};

/* Rights to files, Linux' landlock(7). */
#define FS_WRITE_FILE (UINT64_C(1) << 1)
#define FS_READ_FILE (UINT64_C(1) << 2)
#define FS_READ_DIR (UINT64_C(1) << 3)
#define FS_REMOVE_DIR (UINT64_C(1) << 4)
#define FS_REMOVE_FILE (UINT64_C(1) << 5)
#define FS_MAKE_DIR (UINT64_C(1) << 7)
#define FS_MAKE_REG (UINT64_C(1) << 8)
#define FS_REFER (UINT64_C(1) << 13)
#define FS_TRUNCATE (UINT64_C(1) << 14)
#define FS_IOCTL_DEV (UINT64_C(1) << 15)
#define NET_BIND_TCP (UINT64_C(1) << 0)
#define NET_CONNECT_TCP (UINT64_C(1) << 1)
#define SCOPE_ABSTRACT_UNIX (UINT64_C(1) << 0)
#define SCOPE_SIGNAL (UINT64_C(1) << 1)

#define FS_FOLDER                                                                                  \
    (FS_WRITE_FILE | FS_READ_FILE | FS_READ_DIR | FS_REMOVE_DIR | FS_REMOVE_FILE | FS_MAKE_DIR |   \
     FS_MAKE_REG | FS_REFER | FS_TRUNCATE)
/* To ask a terminal how it is set is an ioctl; seccomp allows no other. */
#define FS_TERMINALS (FS_WRITE_FILE | FS_IOCTL_DEV)

struct ruleset {
    uint64_t fs, net, scoped;
};

struct path_beneath {
    uint64_t allowed;
    int32_t folder;
} __attribute__((packed));

struct net_port {
    uint64_t allowed;
    uint64_t port;
};

/* All rights a version knows, and how much of struct ruleset. */
static const struct version {
    uint64_t fs, net, scoped;
    size_t size;
} versions[] = {
    [2] = {.fs = (UINT64_C(1) << 14) - 1, .size = 8},
    [3] = {.fs = (UINT64_C(1) << 15) - 1, .size = 8},
    [4] = {.fs = (UINT64_C(1) << 15) - 1, .net = 3, .size = 16},
    [5] = {.fs = (UINT64_C(1) << 16) - 1, .net = 3, .size = 16},
    [6] = {.fs = (UINT64_C(1) << 16) - 1, .net = 3, .scoped = 3, .size = 24},
    [7] = {.fs = (UINT64_C(1) << 16) - 1, .net = 3, .scoped = 3, .size = 24},
};

enum {
    VERSION_FIRST = 2,
    VERSION_LAST = sizeof(versions) / sizeof(versions[0]) - 1
};

int landlock_version(const struct sandbox *sandbox)
{
    if (sandbox->without_landlock)
        return 0;
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_RULESET_VERSION);
    if (version < VERSION_FIRST)
        return 0;
    return version < VERSION_LAST ? (int)version : VERSION_LAST;
}

static struct ruleset rights_taken(const struct sandbox *sandbox, const struct version *version)
{
    struct ruleset taken = {version->fs, version->net, version->scoped};
    if (sandbox->rights & SANDBOX_PROGRAMS) {
        taken.net &= ~NET_CONNECT_TCP;
        taken.fs = taken.net || taken.scoped ? FS_REFER : 0;
    }
    if (sandbox->rights & SANDBOX_CONNECT && !sandbox->port_count)
        taken.net &= ~NET_CONNECT_TCP;
    return taken;
}

static bool folder_allow(int ruleset, int folder, uint64_t fs)
{
    struct path_beneath rule = {.allowed = fs, .folder = folder};
    return syscall(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &rule, 0) == 0;
}

static bool all_allow(int ruleset, uint64_t fs)
{
    int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    bool allowed = root >= 0 && folder_allow(ruleset, root, FS_FOLDER & fs);
    if (root >= 0)
        close(root);
    return allowed;
}

static bool folders_allow(const struct sandbox *sandbox, int ruleset, int folder, uint64_t fs)
{
    if (sandbox->rights & SANDBOX_PROGRAMS)
        return all_allow(ruleset, fs);
    uint64_t given = sandbox->rights & SANDBOX_TERMINALS ? FS_TERMINALS : FS_FOLDER;
    return folder < 0 || folder_allow(ruleset, folder, given & fs);
}

static bool ports_allow(const struct sandbox *sandbox, int ruleset, uint64_t net)
{
    struct net_port rule = {.allowed = NET_CONNECT_TCP & net};
    if (!(sandbox->rights & SANDBOX_CONNECT) || !rule.allowed)
        return true;
    for (size_t i = 0; i < sandbox->port_count; i++) {
        rule.port = sandbox->ports[i];
        if (syscall(SYS_landlock_add_rule, ruleset, RULE_NET_PORT, &rule, 0) != 0)
            return false;
    }
    return true;
}

struct err landlock_enter(const struct sandbox *sandbox, int folder, struct buf *report)
{
    int number = landlock_version(sandbox);
    if (number == 0) {
        if (folder >= 0)
            sandbox_report(sandbox, report,
                           "no Landlock: what its user may open outside of its folder stays "
                           "within reach");
        return err_none();
    }
    const struct version *version = &versions[number];
    struct ruleset taken = rights_taken(sandbox, version);
    if (!taken.fs && !taken.net && !taken.scoped)
        return err_none();
    int ruleset = (int)syscall(SYS_landlock_create_ruleset, &taken, version->size, 0);
    if (ruleset < 0)
        return err_os(errno, STR("landlock_create_ruleset"));
    bool entered = folders_allow(sandbox, ruleset, folder, taken.fs) &&
                   ports_allow(sandbox, ruleset, taken.net) &&
                   syscall(SYS_landlock_restrict_self, ruleset, 0) == 0;
    struct err e = entered ? err_none() : err_os(errno, STR("landlock_restrict_self"));
    close(ruleset);
    return e;
}
