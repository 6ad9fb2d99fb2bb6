/*
 * Body files that are being read. A body is read range by range, and each range would open and
 * close its file; so the last ones stay open for the next range.
 *
 * Nobody says that a reader is at its end. So what is not in use is closed when a round of the
 * applier is over, for that is when files of bodies that died are removed, and an open one would
 * keep its octets on the disk. A slow reader opens its file once a round then, and one of more than
 * LOCAL_BODY_FILES at once for each range.
 */
#include <errno.h>

#include "store/local/body_file.h"
#include "store/local/engine_local.h"

static void handle_close(struct local *local, struct body_handle *handle)
{
    (void)local->world->ops->close(local->world, handle->file);
    *handle = (struct body_handle){0};
}

/* One for this blob, or else one that is free, or the idle one least lately used. NULL: all are in
 * use. */
static struct body_handle *handle_find(struct local *local, blob_id blob)
{
    struct body_handle *best = NULL;
    for (size_t i = 0; i < LOCAL_BODY_FILES; i++) {
        struct body_handle *handle = &local->bodies.handles[i];
        if (handle->blob == blob && !handle->stale)
            return handle;
        if (handle->users == 0 && (!best || handle->used < best->used))
            best = handle; /* a free one was never used */
    }
    return best;
}

static int file_open(struct local *local, blob_id blob)
{
    char name[BODY_NAME_MAX];
    const struct world_ops *ops = local->world->ops;
    int file = ops->file_open(local->world, local->folder, body_name(blob, name), FILE_READ);
    if (file != -EMFILE && file != -ENFILE)
        return file;
    bodies_close_idle(local);
    return ops->file_open(local->world, local->folder, body_name(blob, name), FILE_READ);
}

struct err body_take(struct local *local, blob_id blob, struct body_use *use_r)
{
    struct body_handle *handle = handle_find(local, blob);
    *use_r = (struct body_use){.file = handle ? handle->file : -1};
    if (!handle || handle->blob != blob) {
        if (handle && handle->blob != 0)
            handle_close(local, handle);
        use_r->file = file_open(local, blob);
    }
    if (use_r->file < 0)
        return err_os(-use_r->file, STR("opening a body's file"));
    if (!handle)
        return err_none();
    handle->blob = blob;
    handle->file = use_r->file;
    handle->users++;
    handle->used = ++local->bodies.uses;
    use_r->handle = handle;
    return err_none();
}

void body_give(struct local *local, struct body_use *use)
{
    struct body_handle *handle = use->handle;
    if (!handle) {
        (void)local->world->ops->close(local->world, use->file);
        return;
    }
    must(handle->users > 0);
    if (--handle->users == 0 && handle->stale)
        handle_close(local, handle);
}

void bodies_close_idle(struct local *local)
{
    for (size_t i = 0; i < LOCAL_BODY_FILES; i++) {
        struct body_handle *handle = &local->bodies.handles[i];
        if (handle->blob != 0 && handle->users == 0)
            handle_close(local, handle);
        handle->stale = handle->blob != 0;
    }
}
