/*
 * The folder's own name is made durable when it is new: otherwise a power cut could take the folder
 * with all that was moved into it.
 */
#include "store/local/quarantine.h"

#include <errno.h>

#include "base/must.h"

#define QUARANTINE STR("quarantine")

enum {
    PATH_MAX_HERE = QUARANTINE_NAME_MAX + 16,
};

static int folder_open(struct world *world, int store_folder)
{
    const struct world_ops *ops = world->ops;
    int folder = ops->folder_open(world, store_folder, QUARANTINE, false);
    if (folder != -ENOENT)
        return folder;
    folder = ops->folder_open(world, store_folder, QUARANTINE, true);
    int rc = folder < 0 ? folder : ops->folder_sync(world, store_folder);
    if (folder >= 0 && rc < 0)
        ops->close(world, folder);
    return rc < 0 ? rc : folder;
}

struct err quarantine_move(struct world *world, int store_folder, struct str from, struct str name)
{
    char to[PATH_MAX_HERE];
    int n = snprintf(to, sizeof to, "quarantine/%.*s", STR_FMT(name));
    must(n > 0 && (size_t)n < sizeof to);
    int folder = folder_open(world, store_folder);
    int rc = folder;
    if (folder >= 0) {
        rc = world->ops->file_rename(world, store_folder, from, str_make(to, (size_t)n));
        if (rc >= 0)
            rc = world->ops->folder_sync(world, folder);
        world->ops->close(world, folder);
    }
    return rc < 0 ? err_os(-rc, QUARANTINE) : err_none();
}

static ssize_t file_put(struct world *world, int folder, struct str name, struct str octets)
{
    union {
        const char *from;
        char *to;
    } bytes = {.from = octets.p};
    struct iovec part = {.iov_base = bytes.to, .iov_len = octets.n};
    int file = world->ops->file_open(world, folder, name, FILE_WRITE | FILE_CREATE);
    ssize_t rc = file < 0 ? file : world->ops->file_write(world, file, &part, 1, 0);
    if (rc >= 0)
        rc = world->ops->file_sync(world, file);
    if (file >= 0)
        world->ops->close(world, file);
    return rc;
}

struct err quarantine_write(struct world *world, int store_folder, struct str name,
                            struct str octets)
{
    int folder = folder_open(world, store_folder);
    ssize_t rc = folder;
    if (folder >= 0) {
        rc = file_put(world, folder, name, octets);
        if (rc >= 0)
            rc = world->ops->folder_sync(world, folder);
        world->ops->close(world, folder);
    }
    return rc < 0 ? err_os((int)-rc, QUARANTINE) : err_none();
}
