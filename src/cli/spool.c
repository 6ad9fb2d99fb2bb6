#include "cli/spool.h"

#include <errno.h>
#include <stdlib.h>

static const struct world_ops *ops(const struct spool *spool)
{
    return spool->world->ops;
}

static struct err os_err(int failed)
{
    return err_os(-failed, STR("spool"));
}

void spool_init(struct spool *spool, struct world *world, int folder)
{
    *spool = (struct spool){.world = world, .folder = folder, .lock = -1};
}

void spool_close(struct spool *spool)
{
    if (spool->lock >= 0)
        ops(spool)->close(spool->world, spool->lock);
    ops(spool)->close(spool->world, spool->folder);
}

bool spool_lock(struct spool *spool)
{
    int file = ops(spool)->file_open(spool->world, spool->folder, STR("lock"),
                                     FILE_READ | FILE_WRITE | FILE_CREATE);
    if (file < 0)
        return false;
    if (ops(spool)->file_lock(spool->world, file) < 0) {
        ops(spool)->close(spool->world, file);
        return false;
    }
    spool->lock = file;
    return true;
}

static struct str name_of(const struct spool_name *name, const char *end, char room[])
{
    int n = snprintf(room, SPOOL_NAME_MAX + 16, "%s.%s", name->text, end);
    return str_make(room, (size_t)n);
}

#define NAME(variable, name, end)                                                                  \
    char variable##_room[SPOOL_NAME_MAX + 16];                                                     \
    struct str variable = name_of(name, end, variable##_room)

/* --- Writing --------------------------------------------------------------------------------- */

static int file_write(struct spool *spool, struct str name, struct str octets)
{
    struct world *world = spool->world;
    (void)ops(spool)->file_remove(world, spool->folder, name);
    int file = ops(spool)->file_open(world, spool->folder, name,
                                     FILE_WRITE | FILE_CREATE | FILE_EXCLUSIVE);
    if (file < 0)
        return file;
    struct iovec part = {.iov_base = (char *)(uintptr_t)octets.p, .iov_len = octets.n};
    ssize_t failed = octets.n ? ops(spool)->file_write(world, file, &part, 1, 0) : 0;
    if (failed >= 0)
        failed = ops(spool)->file_sync(world, file);
    ops(spool)->close(world, file);
    return failed < 0 ? (int)failed : 0;
}

/* Under another name first: who lists the folder never sees half of it. */
static struct err letter_write(struct spool *spool, const struct spool_name *name, const char *end,
                               const struct letter *letter)
{
    NAME(fresh, name, "new");
    NAME(final, name, end);
    struct buf text = BUF_INIT((size_t)LETTER_MAX + LETTER_HEAD_MAX);
    letter_print(letter, &text);
    int failed = buf_over(&text) ? -ENOMEM : file_write(spool, fresh, buf_str(&text));
    buf_done(&text);
    if (!failed)
        failed = ops(spool)->file_rename(spool->world, spool->folder, fresh, final);
    if (!failed)
        failed = ops(spool)->folder_sync(spool->world, spool->folder);
    if (failed < 0)
        (void)ops(spool)->file_remove(spool->world, spool->folder, fresh);
    return failed < 0 ? os_err(failed) : err_none();
}

/* Nobody else's: the time, and octets by chance. */
static void name_make(struct spool *spool, struct spool_name *name)
{
    uint32_t chance;
    world_random(spool->world, &chance, sizeof chance);
    *name = (struct spool_name){.dotted = false};
    snprintf(name->text, sizeof name->text, "%016llx-%04llx-%08x",
             (unsigned long long)world_wall(spool->world),
             (unsigned long long)(spool->put++ & 0xffff), chance);
}

struct err spool_put(struct spool *spool, const struct letter *letter, struct spool_name *name_r)
{
    name_make(spool, name_r);
    return letter_write(spool, name_r, "letter", letter);
}

struct err spool_bury(struct spool *spool, const struct letter *letter, struct spool_name *name_r)
{
    name_make(spool, name_r);
    return letter_write(spool, name_r, "dead", letter);
}

struct err spool_replace(struct spool *spool, const struct spool_name *name,
                         const struct letter *letter)
{
    return letter_write(spool, name, "letter", letter);
}

struct err spool_mark(struct spool *spool, const struct spool_name *name)
{
    NAME(dotted, name, "dotted");
    int failed = file_write(spool, dotted, STR(""));
    if (!failed)
        failed = ops(spool)->folder_sync(spool->world, spool->folder);
    return failed < 0 ? os_err(failed) : err_none();
}

void spool_unmark(struct spool *spool, const struct spool_name *name)
{
    NAME(dotted, name, "dotted");
    (void)ops(spool)->file_remove(spool->world, spool->folder, dotted);
}

struct err spool_remove(struct spool *spool, const struct spool_name *name)
{
    NAME(letter, name, name->dead ? "dead" : "letter");
    int failed = ops(spool)->file_remove(spool->world, spool->folder, letter);
    if (!failed)
        failed = ops(spool)->folder_sync(spool->world, spool->folder);
    spool_unmark(spool, name);
    return failed < 0 ? os_err(failed) : err_none();
}

/* --- Reading --------------------------------------------------------------------------------- */

struct listing {
    struct spool_name *names;
    size_t count, room;
};

static void listed(void *arg, struct str file, uint64_t size)
{
    struct listing *listing = arg;
    struct spool_name name = {.size = size, .dead = str_ends(file, STR(".dead"))};
    ssize_t dot = str_last_index(file, '.');
    bool letter = name.dead || str_ends(file, STR(".letter"));
    if (!letter || dot <= 0 || (size_t)dot >= sizeof name.text || listing->count == listing->room)
        return;
    memcpy(name.text, file.p, (size_t)dot);
    listing->names[listing->count++] = name;
}

static void counted(void *arg, struct str file, uint64_t size)
{
    size_t *count = arg;
    (void)file;
    (void)size;
    *count += *count < SPOOL_LETTERS_MAX;
}

static int name_order(const void *a, const void *b)
{
    const struct spool_name *one = a, *two = b;
    return strcmp(one->text, two->text);
}

static bool is_there(struct spool *spool, struct str name)
{
    int file = ops(spool)->file_open(spool->world, spool->folder, name, FILE_READ);
    if (file >= 0)
        ops(spool)->close(spool->world, file);
    return file >= 0;
}

struct err spool_list(struct spool *spool, struct arena *arena, struct spool_name **names_r,
                      size_t *count_r)
{
    struct listing listing = {.room = 0};
    int failed = ops(spool)->folder_list(spool->world, spool->folder, counted, &listing.room);
    if (failed < 0)
        return os_err(failed);
    listing.names = arena_take_array(arena, listing.room + 1, sizeof *listing.names);
    if (!listing.names)
        return err_make(ERR_NO_MEMORY);
    failed = ops(spool)->folder_list(spool->world, spool->folder, listed, &listing);
    if (failed < 0)
        return os_err(failed);
    if (listing.count)
        qsort(listing.names, listing.count, sizeof *listing.names, name_order);
    for (size_t i = 0; i < listing.count; i++) {
        NAME(dotted, &listing.names[i], "dotted");
        listing.names[i].dotted = is_there(spool, dotted);
    }
    *names_r = listing.names;
    *count_r = listing.count;
    return err_none();
}

struct err spool_read(struct spool *spool, const struct spool_name *name, struct arena *arena,
                      struct letter *letter_r)
{
    NAME(path, name, name->dead ? "dead" : "letter");
    struct world *world = spool->world;
    int file = ops(spool)->file_open(world, spool->folder, path, FILE_READ);
    if (file < 0)
        return os_err(file);
    int64_t size = ops(spool)->file_size(world, file);
    char *octets = size > 0 && size <= (int64_t)LETTER_MAX + LETTER_HEAD_MAX
                       ? arena_take(arena, (size_t)size)
                       : NULL;
    ssize_t n = octets ? ops(spool)->file_read(world, file, octets, (size_t)size, 0) : -ENOMEM;
    ops(spool)->close(world, file);
    if (n < 0)
        return os_err((int)n);
    return letter_parse(str_make(octets, (size_t)n), arena, letter_r);
}
