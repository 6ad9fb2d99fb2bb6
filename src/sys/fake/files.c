/*
 * The file calls of a world, over the nodes of a disk. A handle from before a crash of its disk
 * gives -EIO for ever: the role that held it died with the machine, and one that goes on using it
 * must notice.
 */
#include "sys/fake/inner.h"

static struct fake_open_file *open_file(struct fake_inner *w, int handle, enum fake_kind kind)
{
    return (struct fake_open_file *)(void *)fake_handle_of(w, handle, kind);
}

static bool is_dead(const struct fake_open_file *file)
{
    return file->generation != file->disk->generation;
}

/* As fake_call_begin, for calls on an open file or folder. */
static int begin(struct fake_inner *w, struct fake_call *call, enum fake_kind kind,
                 struct fake_open_file **file_r)
{
    *file_r = open_file(w, call->handle, kind);
    call->node = (*file_r)->node->id;
    int e = fake_call_begin(w, call);
    return e < 0 ? e : is_dead(*file_r) ? -EIO : 0;
}

static int handle_for(struct fake_inner *w, int role, struct fake_disk *disk,
                      struct fake_node *node, unsigned how)
{
    struct fake_open_file *file = fake_take(sizeof(*file));
    fake_thing_init(&file->thing, node->folder ? FAKE_FOLDER : FAKE_FILE);
    file->disk = disk;
    file->node = node;
    file->generation = disk->generation;
    file->how = how;
    disk->handles++;
    fake_node_hold(node);
    fake_node_use(disk, node);
    int handle = fake_handle_make(w, role, &file->thing);
    fake_thing_drop(w, &file->thing);
    return handle;
}

void fake_open_file_end(struct fake_inner *w, struct fake_thing *thing)
{
    (void)w;
    struct fake_open_file *file = (struct fake_open_file *)(void *)thing;
    if (file->node->lock == file)
        file->node->lock = NULL;
    file->disk->handles--;
    fake_node_leave(file->disk, file->node);
    fake_node_drop(file->disk, file->node);
    free(file);
}

int fake_root(struct fake_world *fake, int role, struct fake_disk *disk)
{
    return handle_for(fake_inner_in(fake), role, disk, disk->root, FILE_READ);
}

static int folder_open(struct fake_inner *w, const struct fake_open_file *in, struct str name,
                       bool create)
{
    struct fake_node *node = in->node;
    int e = 0;
    if (!str_eq(name, STR(".")))
        e = fake_node_find(in->node, name, &node);
    if (e == -ENOENT && create)
        e = fake_node_create(in->disk, in->node, name, true, &node);
    if (e < 0)
        return e;
    return node->folder ? handle_for(w, w->running, in->disk, node, FILE_READ) : -ENOTDIR;
}

int fake_op_folder_open(struct world *world, int folder, struct str name, bool create)
{
    struct fake_inner *w = fake_inner_of(world);
    struct fake_call call = {
        .kind = FAKE_FOLDER_OPEN, .handle = folder, .name = name, .how = create};
    struct fake_open_file *in;
    int e = begin(w, &call, FAKE_FOLDER, &in);
    return (int)fake_call_end(w, &call, e < 0 ? e : folder_open(w, in, name, create));
}

static int file_open(struct fake_inner *w, const struct fake_open_file *in, struct str name,
                     unsigned how)
{
    struct fake_node *node = NULL;
    int e = fake_node_find(in->node, name, &node);
    if (e == 0 && (how & FILE_CREATE) && (how & FILE_EXCLUSIVE))
        return -EEXIST;
    if (e == -ENOENT && (how & FILE_CREATE))
        e = fake_node_create(in->disk, in->node, name, false, &node);
    if (e < 0)
        return e;
    if (node->folder)
        return -EISDIR;
    if ((how & FILE_WRITE) && in->disk->read_only)
        return -EROFS;
    return handle_for(w, w->running, in->disk, node, how);
}

int fake_op_file_open(struct world *world, int folder, struct str name, unsigned how)
{
    struct fake_inner *w = fake_inner_of(world);
    struct fake_call call = {.kind = FAKE_FILE_OPEN, .handle = folder, .name = name, .how = how};
    struct fake_open_file *in;
    int e = begin(w, &call, FAKE_FOLDER, &in);
    return (int)fake_call_end(w, &call, e < 0 ? e : file_open(w, in, name, how));
}

int64_t fake_op_file_size(struct world *world, int file)
{
    struct fake_inner *w = fake_inner_of(world);
    struct fake_call call = {.kind = FAKE_FILE_SIZE, .handle = file};
    struct fake_open_file *open;
    int e = begin(w, &call, FAKE_FILE, &open);
    return fake_call_end(w, &call, e < 0 ? e : (int64_t)open->node->now.size);
}

static bool is_aligned(const void *to, size_t n, uint64_t at)
{
    return (uintptr_t)to % FAKE_PAGE == 0 && n % FAKE_PAGE == 0 && at % FAKE_PAGE == 0;
}

static ssize_t file_read(struct fake_inner *w, struct fake_call *call, void *to)
{
    struct fake_open_file *file;
    size_t n = (size_t)call->n, got;
    int e = begin(w, call, FAKE_FILE, &file);
    if (e == 0 && !(file->how & FILE_READ))
        e = -EBADF;
    if (e == 0 && call->kind == FAKE_FILE_READ_NOWAIT &&
        fake_random_chance(&w->random.disk, w->settings.cold))
        e = -EAGAIN;
    if (e == 0 && (file->how & FILE_DIRECT) && !is_aligned(to, n, call->at))
        e = -EINVAL;
    if (e < 0)
        return (ssize_t)fake_call_end(w, call, e);
    if (file->how & FILE_DIRECT)
        got = fake_file_read_direct(file->node, to, n, call->at);
    else
        got = fake_image_read(&file->node->now, to, n, call->at);
    call->got = str_make(to, got);
    return (ssize_t)fake_call_end(w, call, (int64_t)got);
}

ssize_t fake_op_file_read(struct world *world, int file, void *to, size_t n, uint64_t at)
{
    struct fake_call call = {.kind = FAKE_FILE_READ, .handle = file, .n = n, .at = at};
    return file_read(fake_inner_of(world), &call, to);
}

ssize_t fake_op_file_read_nowait(struct world *world, int file, void *to, size_t n, uint64_t at)
{
    struct fake_call call = {.kind = FAKE_FILE_READ_NOWAIT, .handle = file, .n = n, .at = at};
    return file_read(fake_inner_of(world), &call, to);
}

/* A write that fails may have begun: a first part of any length may be there. */
static void write_a_part(struct fake_inner *w, struct fake_open_file *file,
                         const struct fake_call *call)
{
    if (call->count == 0 || call->parts[0].iov_len == 0)
        return;
    struct iovec part = call->parts[0];
    part.iov_len = (size_t)fake_random_below(&w->random.disk, part.iov_len + 1);
    fake_file_write(file->disk, file->node, &part, 1, call->at);
}

static bool leaves_a_part(const struct fake_call *call, int e)
{
    return !call->unseen && (e == -EIO || e == -ENOSPC);
}

ssize_t fake_op_file_write(struct world *world, int handle, const struct iovec *parts, int count,
                           uint64_t at)
{
    struct fake_inner *w = fake_inner_of(world);
    struct fake_call call = {
        .kind = FAKE_FILE_WRITE, .handle = handle, .parts = parts, .count = count, .at = at};
    for (int i = 0; i < count; i++)
        call.n += parts[i].iov_len;
    struct fake_open_file *file;
    int e = begin(w, &call, FAKE_FILE, &file);
    if (e == 0 && !(file->how & FILE_WRITE))
        e = -EBADF;
    if (e == 0)
        e = fake_file_write(file->disk, file->node, parts, count, at);
    if (leaves_a_part(&call, e) && !is_dead(file))
        write_a_part(w, file, &call);
    return (ssize_t)fake_call_end(w, &call, e < 0 ? e : (int64_t)call.n);
}

int fake_op_file_sync(struct world *world, int handle)
{
    struct fake_inner *w = fake_inner_of(world);
    struct fake_call call = {.kind = FAKE_FILE_SYNC, .handle = handle};
    struct fake_open_file *file;
    int e = begin(w, &call, FAKE_FILE, &file);
    if (e == 0)
        fake_file_sync(file->disk, file->node);
    else if (call.lie && !is_dead(file))
        fake_file_lie(file->disk, file->node);
    return (int)fake_call_end(w, &call, e);
}

int fake_op_folder_sync(struct world *world, int folder)
{
    struct fake_inner *w = fake_inner_of(world);
    struct fake_call call = {.kind = FAKE_FOLDER_SYNC, .handle = folder};
    struct fake_open_file *in;
    int e = begin(w, &call, FAKE_FOLDER, &in);
    if (e == 0)
        fake_folder_sync(in->disk, in->node);
    return (int)fake_call_end(w, &call, e);
}

int fake_op_file_truncate(struct world *world, int handle, uint64_t size)
{
    struct fake_inner *w = fake_inner_of(world);
    struct fake_call call = {.kind = FAKE_FILE_TRUNCATE, .handle = handle, .n = size};
    struct fake_open_file *file;
    int e = begin(w, &call, FAKE_FILE, &file);
    if (e == 0 && !(file->how & FILE_WRITE))
        e = -EBADF;
    if (e == 0)
        e = fake_file_truncate(file->disk, file->node, size);
    return (int)fake_call_end(w, &call, e);
}

int fake_op_file_zero(struct world *world, int handle, uint64_t at, uint64_t n)
{
    struct fake_inner *w = fake_inner_of(world);
    struct fake_call call = {.kind = FAKE_FILE_ZERO, .handle = handle, .at = at, .n = n};
    struct fake_open_file *file;
    int e = begin(w, &call, FAKE_FILE, &file);
    if (e == 0 && !(file->how & FILE_WRITE))
        e = -EBADF;
    if (e == 0)
        e = fake_file_zero(file->disk, file->node, at, n);
    return (int)fake_call_end(w, &call, e);
}

int fake_op_file_rename(struct world *world, int folder, struct str from, struct str to)
{
    struct fake_inner *w = fake_inner_of(world);
    struct fake_call call = {.kind = FAKE_FILE_RENAME, .handle = folder, .name = from, .to = to};
    struct fake_open_file *in;
    int e = begin(w, &call, FAKE_FOLDER, &in);
    if (e == 0)
        e = fake_node_rename(in->disk, in->node, from, to);
    return (int)fake_call_end(w, &call, e);
}

int fake_op_file_remove(struct world *world, int folder, struct str name)
{
    struct fake_inner *w = fake_inner_of(world);
    struct fake_call call = {.kind = FAKE_FILE_REMOVE, .handle = folder, .name = name};
    struct fake_open_file *in;
    int e = begin(w, &call, FAKE_FOLDER, &in);
    if (e == 0)
        e = fake_node_remove(in->disk, in->node, name);
    return (int)fake_call_end(w, &call, e);
}

/*
 * "In no order": from a place the seed chooses. `each` is the caller's code and may call the world,
 * so the names are copied before the first call.
 */
int fake_op_folder_list(struct world *world, int folder, void (*each)(void *, struct str, uint64_t),
                        void *arg)
{
    struct fake_inner *w = fake_inner_of(world);
    struct fake_call call = {.kind = FAKE_FOLDER_LIST, .handle = folder};
    struct fake_open_file *in;
    int e = begin(w, &call, FAKE_FOLDER, &in);
    const struct fake_entries *names = &in->node->names;
    size_t count = e < 0 ? 0 : names->count, kept = 0;
    size_t from = count ? (size_t)fake_random_below(&w->random.disk, count) : 0;
    struct {
        char name[FAKE_NAME_LIMIT];
        size_t n;
        uint64_t size;
    } *found = fake_take(count * sizeof(*found) + 1);
    for (size_t i = 0; i < count; i++) {
        const struct fake_entry *entry = &names->at[(from + i) % count];
        if (entry->node->folder)
            continue;
        memcpy(found[kept].name, entry->name, entry->n);
        found[kept].n = entry->n;
        found[kept++].size = entry->node->now.size;
    }
    call.n = from;
    int result = (int)fake_call_end(w, &call, e);
    for (size_t i = 0; i < kept; i++)
        each(arg, str_make(found[i].name, found[i].n), found[i].size);
    free(found);
    return result;
}

int fake_op_file_lock(struct world *world, int handle)
{
    struct fake_inner *w = fake_inner_of(world);
    struct fake_call call = {.kind = FAKE_FILE_LOCK, .handle = handle};
    struct fake_open_file *file;
    int e = begin(w, &call, FAKE_FILE, &file);
    if (e == 0 && file->node->lock && file->node->lock != file)
        e = -EWOULDBLOCK;
    if (e == 0)
        file->node->lock = file;
    return (int)fake_call_end(w, &call, e);
}

int64_t fake_op_folder_free(struct world *world, int folder)
{
    struct fake_inner *w = fake_inner_of(world);
    struct fake_call call = {.kind = FAKE_FOLDER_FREE, .handle = folder};
    struct fake_open_file *in;
    int e = begin(w, &call, FAKE_FOLDER, &in);
    if (e < 0)
        return fake_call_end(w, &call, e);
    uint64_t capacity = in->disk->settings.capacity, used = fake_disk_used(in->disk);
    if (capacity == 0)
        capacity = (uint64_t)1 << 50;
    return fake_call_end(w, &call, capacity > used ? (int64_t)(capacity - used) : 0);
}
