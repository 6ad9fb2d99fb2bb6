/*
 * A file's bytes are kept twice, as seen now and as durable, in images that share pages; the
 * unsynced changes between the two keep their own bytes, because a crash may keep a write and lose
 * the one over it. A sync then shares the touched pages instead of copying bytes. Only a file that
 * was lied about is settled byte by byte, so that the lost bytes do not slip in with their page.
 */
#include <errno.h>

#include "base/must.h"
#include "sys/fake/node.h"

#define DEFAULT_UNSYNCED_CAP (UINT64_C(256) << 20)

static struct fake_change *change_note(struct fake_disk *disk, struct fake_node *file, int kind,
                                       uint64_t at, uint64_t n)
{
    size_t kept = kind == FAKE_WRITTEN ? (size_t)n : 0;
    struct fake_change *change = malloc(sizeof(*change) + kept);
    must(change);
    change->kind = kind;
    change->sequence = disk->sequence++;
    change->at = at;
    change->n = n;
    disk->unsynced_bytes += kept;
    TAILQ_INSERT_TAIL(&file->changes, change, link);
    return change;
}

void fake_change_forget(struct fake_disk *disk, struct fake_node *file, struct fake_change *change)
{
    if (change->kind == FAKE_WRITTEN)
        disk->unsynced_bytes -= change->n;
    TAILQ_REMOVE(&file->changes, change, link);
    free(change);
}

void fake_change_apply(struct fake_image *image, const struct fake_change *change, uint64_t from,
                       uint64_t to)
{
    if (change->kind == FAKE_RESIZED) {
        fake_image_truncate(image, change->n);
        return;
    }
    if (from < change->at)
        from = change->at;
    if (to > change->at + change->n)
        to = change->at + change->n;
    if (from >= to)
        return;
    if (change->kind == FAKE_ZEROED)
        fake_image_zero(image, from, to - from);
    else
        fake_image_write(image, str_make(change->bytes + (from - change->at), (size_t)(to - from)),
                         from);
}

/* Above the cap the file's oldest changes become durable, as a kernel writes back. */
static void write_back(struct fake_disk *disk, struct fake_node *file)
{
    uint64_t cap = disk->settings.unsynced_cap;
    if (cap == 0)
        cap = DEFAULT_UNSYNCED_CAP;
    while (disk->unsynced_bytes > cap && !TAILQ_EMPTY(&file->changes)) {
        struct fake_change *oldest = TAILQ_FIRST(&file->changes);
        fake_change_apply(&file->durable, oldest, 0, UINT64_MAX);
        fake_change_forget(disk, file, oldest);
    }
}

static int room_for(const struct fake_disk *disk, const struct fake_node *file, uint64_t at,
                    uint64_t n)
{
    if (disk->read_only)
        return -EROFS;
    if (n > FAKE_FILE_LIMIT || at > FAKE_FILE_LIMIT - n)
        return -EFBIG;
    size_t holes = fake_image_holes(&file->now, at, n);
    uint64_t capacity = disk->settings.capacity;
    if (capacity && holes && (disk->used_pages + holes) * FAKE_PAGE > capacity)
        return -ENOSPC;
    return 0;
}

static void count_pages(struct fake_disk *disk, const struct fake_node *file, size_t before)
{
    must(file->live > 0);
    disk->used_pages += file->now.allocated;
    disk->used_pages -= before;
}

int fake_file_write(struct fake_disk *disk, struct fake_node *file, const struct iovec *parts,
                    int count, uint64_t at)
{
    uint64_t n = 0;
    for (int i = 0; i < count; i++)
        n += parts[i].iov_len;
    int e = room_for(disk, file, at, n);
    if (e < 0 || n == 0)
        return e;
    size_t before = file->now.allocated, done = 0;
    struct fake_change *change = change_note(disk, file, FAKE_WRITTEN, at, n);
    for (int i = 0; i < count; i++) {
        if (parts[i].iov_len)
            memcpy(change->bytes + done, parts[i].iov_base, parts[i].iov_len);
        done += parts[i].iov_len;
    }
    fake_change_apply(&file->now, change, 0, UINT64_MAX);
    count_pages(disk, file, before);
    write_back(disk, file);
    return 0;
}

int fake_file_zero(struct fake_disk *disk, struct fake_node *file, uint64_t at, uint64_t n)
{
    int e = room_for(disk, file, at, n);
    if (e < 0 || n == 0)
        return e;
    size_t before = file->now.allocated;
    fake_change_apply(&file->now, change_note(disk, file, FAKE_ZEROED, at, n), 0, UINT64_MAX);
    count_pages(disk, file, before);
    return 0;
}

int fake_file_truncate(struct fake_disk *disk, struct fake_node *file, uint64_t size)
{
    if (disk->read_only)
        return -EROFS;
    if (size > FAKE_FILE_LIMIT)
        return -EFBIG;
    size_t before = file->now.allocated;
    fake_change_apply(&file->now, change_note(disk, file, FAKE_RESIZED, 0, size), 0, UINT64_MAX);
    count_pages(disk, file, before);
    return 0;
}

void fake_file_sync(struct fake_disk *disk, struct fake_node *file)
{
    struct fake_change *change;
    while ((change = TAILQ_FIRST(&file->changes))) {
        if (file->lied || change->kind == FAKE_RESIZED)
            fake_change_apply(&file->durable, change, 0, UINT64_MAX);
        else
            fake_image_share(&file->durable, &file->now, change->at, change->n);
        fake_change_forget(disk, file, change);
    }
    if (file->lied)
        return;
    fake_image_truncate(&file->durable, file->now.size);
    must(file->durable.allocated <= file->durable.room);
}

void fake_file_lie(struct fake_disk *disk, struct fake_node *file)
{
    if (!TAILQ_EMPTY(&file->changes))
        file->lied = true;
    while (!TAILQ_EMPTY(&file->changes))
        fake_change_forget(disk, file, TAILQ_FIRST(&file->changes));
}

/* What is durable, under what is unsynced but will still be written: the file without its lies. */
static void disk_view(const struct fake_node *file, struct fake_image *view_r)
{
    *view_r = (struct fake_image){0};
    fake_image_copy(view_r, &file->durable);
    const struct fake_change *change;
    TAILQ_FOREACH (change, &file->changes, link)
        fake_change_apply(view_r, change, 0, UINT64_MAX);
}

size_t fake_file_read_direct(const struct fake_node *file, void *to, size_t n, uint64_t at)
{
    if (!file->lied)
        return fake_image_read(&file->now, to, n, at);
    struct fake_image view;
    disk_view(file, &view);
    fake_image_truncate(&view, file->now.size);
    size_t got = fake_image_read(&view, to, n, at);
    fake_image_done(&view);
    return got;
}

void fake_file_forget_cache(struct fake_disk *disk, struct fake_node *file)
{
    if (!file->lied)
        return;
    struct fake_image view;
    disk_view(file, &view);
    fake_image_truncate(&view, file->now.size);
    disk->used_pages += file->live ? view.allocated - file->now.allocated : 0;
    fake_image_done(&file->now);
    file->now = view;
}
