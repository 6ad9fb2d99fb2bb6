/*
 * Why a spare: a segment gets its name only when its header is durable, so that a file with a
 * segment's name is whole or damaged, never "still being made". Recycled and zero-filled files wait
 * under names of their own for the same reason.
 *
 * A recycled file's old name may come back at a power cut until its folder is synced. So the folder
 * is synced before a spare's old header is overwritten: otherwise the old name could come back in
 * front of a new header, and a dead segment would look like a damaged one.
 *
 * What failed to be written or synced is removed, not kept as a spare (E7).
 */
#include "store/local/segment.h"

#include <errno.h>
#include <inttypes.h>

#include "base/must.h"
#include "store/local/quarantine.h"

#define LOG_FOLDER STR("log")
#define SEGMENT_SUFFIX STR(".seg")
#define SPARE_PREFIX STR("spare-")

enum {
    SEQUENCE_DIGITS = 16
};

static int segment_order(const struct segment *a, const struct segment *b)
{
    return (a->sequence > b->sequence) - (a->sequence < b->sequence);
}

/* Not RB_GENERATE_STATIC: its __unused is a word only BSD's libc knows. */
RB_GENERATE_INTERNAL(segment_tree, segment, by_sequence, segment_order,
                     __attribute__((unused)) static)

/* --- Names ----------------------------------------------------------------------------------- */

static struct str name_of(char *to, int n)
{
    must(n > 0 && n < SEGMENT_NAME_MAX);
    return str_make(to, (size_t)n);
}

struct str segment_name(uint64_t sequence, char to[SEGMENT_NAME_MAX])
{
    return name_of(to, snprintf(to, SEGMENT_NAME_MAX, "%016" PRIx64 ".seg", sequence));
}

static struct str spare_name(uint64_t spare, char to[SEGMENT_NAME_MAX])
{
    return name_of(to, snprintf(to, SEGMENT_NAME_MAX, "spare-%" PRIu64, spare));
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool segment_name_parse(struct str name, uint64_t *sequence_r)
{
    if (name.n != SEQUENCE_DIGITS + SEGMENT_SUFFIX.n || !str_ends(name, SEGMENT_SUFFIX))
        return false;
    uint64_t sequence = 0;
    for (size_t i = 0; i < SEQUENCE_DIGITS; i++) {
        int digit = hex_digit(name.p[i]);
        if (digit < 0)
            return false;
        sequence = sequence << 4 | (unsigned)digit;
    }
    *sequence_r = sequence;
    return sequence > 0;
}

static bool spare_name_parse(struct str name, uint64_t *spare_r)
{
    return str_starts(name, SPARE_PREFIX) &&
           str_to_u64(str_from_index(name, SPARE_PREFIX.n), spare_r);
}

/* --- The list -------------------------------------------------------------------------------- */

static struct segment *segment_new(uint64_t sequence, uint64_t file_size)
{
    struct segment *segment = calloc(1, sizeof *segment);
    if (segment)
        *segment = (struct segment){.sequence = sequence, .file_size = file_size, .file = -1};
    return segment;
}

/* Takes the segment. Its place is near the end, but where the folder is listed. */
static void segment_insert(struct segments *segments, struct segment *segment)
{
    must(!RB_INSERT(segment_tree, &segments->tree, segment));
    struct segment *after = RB_NEXT(segment_tree, &segments->tree, segment);
    if (after)
        TAILQ_INSERT_BEFORE(after, segment, link);
    else
        TAILQ_INSERT_TAIL(&segments->list, segment, link);
    segments->count++;
}

static void segment_forget(struct segments *segments, struct segment *segment)
{
    RB_REMOVE(segment_tree, &segments->tree, segment);
    TAILQ_REMOVE(&segments->list, segment, link);
    segments->count--;
    free(segment);
}

static bool spare_add(struct segments *segments, uint64_t spare)
{
    if (segments->spare_count == segments->spare_cap) {
        size_t cap = segments->spare_cap ? segments->spare_cap * 2 : 8;
        uint64_t *grown = reallocarray(segments->spares, cap, sizeof *grown);
        if (!grown)
            return false;
        segments->spares = grown;
        segments->spare_cap = cap;
    }
    segments->spares[segments->spare_count++] = spare;
    if (spare >= segments->spare_next)
        segments->spare_next = spare + 1;
    return true;
}

struct listing {
    struct segments *segments;
    bool no_memory;
};

static void list_file(void *arg, struct str name, uint64_t size)
{
    struct listing *listing = arg;
    uint64_t number;
    if (segment_name_parse(name, &number)) {
        struct segment *segment = segment_new(number, size);
        if (segment)
            segment_insert(listing->segments, segment);
        else
            listing->no_memory = true;
    } else if (spare_name_parse(name, &number) && !spare_add(listing->segments, number)) {
        listing->no_memory = true;
    }
}

/* A new folder's own name is made durable at once. */
static int log_folder_open(struct world *world, int store_folder)
{
    int folder = world->ops->folder_open(world, store_folder, LOG_FOLDER, false);
    if (folder != -ENOENT)
        return folder;
    folder = world->ops->folder_open(world, store_folder, LOG_FOLDER, true);
    int rc = folder < 0 ? folder : world->ops->folder_sync(world, store_folder);
    if (folder >= 0 && rc < 0)
        world->ops->close(world, folder);
    return rc < 0 ? rc : folder;
}

struct err segments_open(struct segments *segments, struct world *world, int store_folder,
                         uint64_t segment_size)
{
    must(segment_size > SEGMENT_HEADER_SIZE);
    *segments = (struct segments){.world = world, .segment_size = segment_size, .spare_next = 1};
    TAILQ_INIT(&segments->list);
    TAILQ_INIT(&segments->recent);
    RB_INIT(&segments->tree);
    segments->folder = log_folder_open(world, store_folder);
    if (segments->folder < 0)
        return err_os(-segments->folder, LOG_FOLDER);
    struct listing listing = {.segments = segments};
    int rc = world->ops->folder_list(world, segments->folder, list_file, &listing);
    if (rc >= 0 && !listing.no_memory)
        return err_none();
    segments_close(segments);
    return rc < 0 ? err_os(-rc, LOG_FOLDER) : err_make(ERR_NO_MEMORY);
}

static void segment_close_file(struct segments *segments, struct segment *segment)
{
    must(segment->pins == 0);
    if (segment->file < 0)
        return;
    TAILQ_REMOVE(&segments->recent, segment, recent);
    segments->open--;
    segments->world->ops->close(segments->world, segment->file);
    segment->file = -1;
}

void segments_close(struct segments *segments)
{
    struct segment *segment;
    while ((segment = TAILQ_FIRST(&segments->list))) {
        segment_close_file(segments, segment);
        segment_forget(segments, segment);
    }
    segments->world->ops->close(segments->world, segments->folder);
    segments->folder = -1;
    free(segments->spares);
    segments->spares = NULL;
    segments->spare_count = segments->spare_cap = 0;
}

struct segment *segment_find(struct segments *segments, uint64_t sequence)
{
    return RB_FIND(segment_tree, &segments->tree, &(struct segment){.sequence = sequence});
}

struct segment *segment_last(struct segments *segments)
{
    return TAILQ_LAST(&segments->list, segment_list);
}

/* --- Handles --------------------------------------------------------------------------------- */

struct err segment_pin(struct segments *segments, struct segment *segment)
{
    if (segment->file < 0) {
        char octets[SEGMENT_NAME_MAX];
        int file = segments->world->ops->file_open(segments->world, segments->folder,
                                                   segment_name(segment->sequence, octets),
                                                   FILE_READ | FILE_WRITE);
        if (file == -ENOENT)
            return (struct err){
                .code = ERR_STORE_DAMAGED, .os = ENOENT, .detail = STR("a segment is missing")};
        if (file < 0)
            return err_os(-file, STR("segment"));
        segment->file = file;
    } else if (segment->pins == 0) {
        TAILQ_REMOVE(&segments->recent, segment, recent);
        segments->open--;
    }
    segment->pins++;
    return err_none();
}

void segment_unpin(struct segments *segments, struct segment *segment)
{
    must(segment->pins > 0 && segment->file >= 0);
    if (--segment->pins > 0)
        return;
    TAILQ_INSERT_TAIL(&segments->recent, segment, recent);
    segments->open++;
    if (segments->open > SEGMENT_FILES_MAX)
        segment_close_file(segments, TAILQ_FIRST(&segments->recent));
}

struct err segment_read_header(struct segments *segments, struct segment *segment,
                               struct segment_header *header_r)
{
    struct err e = segment_pin(segments, segment);
    if (err_is(e))
        return e;
    char octets[SEGMENT_HEADER_USED];
    ssize_t n =
        segments->world->ops->file_read(segments->world, segment->file, octets, sizeof octets, 0);
    segment_unpin(segments, segment);
    if (n < 0)
        return err_os((int)-n, STR("segment header"));
    enum format_state state = segment_header_decode(str_make(octets, (size_t)n), header_r);
    if (state == FORMAT_FUTURE)
        return err_detail(ERR_STORE_DAMAGED, STR("a segment is of a later version"));
    if (state != FORMAT_WHOLE || header_r->sequence != segment->sequence)
        return err_detail(ERR_STORE_DAMAGED, STR("a segment's header is damaged"));
    return err_none();
}

static struct err header_keep(struct segments *segments, struct segment *segment, int store_folder)
{
    char octets[SEGMENT_HEADER_SIZE] = {0};
    char name[QUARANTINE_NAME_MAX];
    ssize_t got =
        segments->world->ops->file_read(segments->world, segment->file, octets, sizeof octets, 0);
    if (got < 0)
        return err_os((int)-got, STR("segment header"));
    int n = snprintf(name, sizeof name, "header-%016" PRIx64 "-%lld", segment->sequence,
                     (long long)world_wall(segments->world));
    must(n > 0 && (size_t)n < sizeof name);
    return quarantine_write(segments->world, store_folder, str_make(name, (size_t)n),
                            str_make(octets, sizeof octets));
}

struct err segment_header_mend(struct segments *segments, struct segment *segment,
                               const struct segment_header *header, int store_folder)
{
    unsigned char octets[SEGMENT_HEADER_SIZE] = {0};
    struct iovec part = {.iov_base = octets, .iov_len = sizeof octets};
    struct err e = segment_pin(segments, segment);
    if (err_is(e))
        return e;
    must(header->sequence == segment->sequence);
    segment_header_encode(header, octets);
    e = header_keep(segments, segment, store_folder);
    ssize_t rc = 0;
    if (!err_is(e))
        rc = segments->world->ops->file_write(segments->world, segment->file, &part, 1, 0);
    if (!err_is(e) && rc >= 0)
        rc = segments->world->ops->file_sync(segments->world, segment->file);
    segment_unpin(segments, segment);
    return rc < 0 ? err_os((int)-rc, STR("segment header")) : e;
}

/* --- Making ---------------------------------------------------------------------------------- */

void segment_make_begin(struct segments *segments, const struct segment_header *header,
                        struct segment_make *make_r)
{
    *make_r = (struct segment_make){
        .world = segments->world, .folder = segments->folder, .header = *header, .file = -1};
    make_r->segment = segment_new(header->sequence, 0);
    if (!make_r->segment) {
        make_r->err = err_make(ERR_NO_MEMORY);
        return;
    }
    make_r->have_spare = segments->spare_count > 0;
    make_r->spare =
        make_r->have_spare ? segments->spares[--segments->spare_count] : segments->spare_next++;
}

static int header_write(struct segment_make *make)
{
    unsigned char octets[SEGMENT_HEADER_SIZE] = {0};
    segment_header_encode(&make->header, octets);
    struct iovec part = {.iov_base = octets, .iov_len = sizeof octets};
    struct world *world = make->world;
    ssize_t n = world->ops->file_write(world, make->file, &part, 1, 0);
    if (n < 0)
        return (int)n;
    int64_t size = world->ops->file_size(world, make->file);
    if (size < 0)
        return (int)size;
    make->segment->file_size = (uint64_t)size;
    return world->ops->file_sync(world, make->file);
}

void segment_make_run(struct segment_make *make)
{
    struct world *world = make->world;
    char spare[SEGMENT_NAME_MAX];
    char octets[SEGMENT_NAME_MAX];
    struct str from = spare_name(make->spare, spare);
    struct str to = segment_name(make->header.sequence, octets);
    if (err_is(make->err))
        return;
    unsigned how = FILE_READ | FILE_WRITE | (make->have_spare ? 0 : FILE_CREATE | FILE_EXCLUSIVE);
    int rc = make->have_spare ? world->ops->folder_sync(world, make->folder) : 0;
    if (rc >= 0)
        rc = make->file = world->ops->file_open(world, make->folder, from, how);
    if (rc >= 0)
        rc = header_write(make);
    bool named = rc >= 0 && (rc = world->ops->file_rename(world, make->folder, from, to)) >= 0;
    if (named)
        rc = world->ops->folder_sync(world, make->folder);
    if (rc >= 0)
        return;
    make->err = err_os(-rc, STR("new segment"));
    if (make->file >= 0) {
        world->ops->close(world, make->file);
        world->ops->file_remove(world, make->folder, named ? to : from);
    }
    make->file = -1;
}

struct segment *segment_make_end(struct segments *segments, struct segment_make *make)
{
    struct segment *segment = make->segment;
    make->segment = NULL;
    if (err_is(make->err)) {
        free(segment);
        return NULL;
    }
    segment->file = make->file;
    segment->pins = 1;
    segment_insert(segments, segment);
    return segment;
}

/* --- Spares ---------------------------------------------------------------------------------- */

void segment_spare_begin(struct segments *segments, bool prefill, struct segment_spare *spare_r)
{
    *spare_r = (struct segment_spare){.world = segments->world,
                                      .folder = segments->folder,
                                      .spare = segments->spare_next++,
                                      .end = prefill ? segments->segment_size : SEGMENT_HEADER_SIZE,
                                      .file = -1};
}

static void spare_close(struct segment_spare *spare)
{
    if (spare->file >= 0)
        spare->world->ops->close(spare->world, spare->file);
    spare->file = -1;
}

static void spare_remove(struct segment_spare *spare)
{
    char octets[SEGMENT_NAME_MAX];
    bool made = spare->file >= 0 || spare->filled > 0;
    spare_close(spare);
    if (made)
        spare->world->ops->file_remove(spare->world, spare->folder,
                                       spare_name(spare->spare, octets));
}

static int spare_step(struct segment_spare *spare)
{
    const struct world_ops *ops = spare->world->ops;
    uint64_t left = spare->end - spare->filled, n = left < spare->step ? left : spare->step;
    char octets[SEGMENT_NAME_MAX];
    if (spare->file < 0)
        spare->file = ops->file_open(spare->world, spare->folder, spare_name(spare->spare, octets),
                                     FILE_READ | FILE_WRITE | FILE_CREATE | FILE_EXCLUSIVE);
    int rc = spare->file;
    if (rc >= 0)
        rc = ops->file_zero(spare->world, spare->file, spare->filled, n);
    if (rc >= 0)
        rc = ops->file_sync(spare->world, spare->file);
    if (rc >= 0)
        spare->filled += n;
    return rc;
}

void segment_spare_run(struct segment_spare *spare)
{
    int rc = spare_step(spare);
    if (rc >= 0 && !segment_spare_whole(spare))
        return;
    if (rc < 0) {
        spare->err = err_os(-rc, STR("spare segment"));
        spare_remove(spare);
    }
    spare_close(spare);
}

void segment_spare_end(struct segments *segments, struct segment_spare *spare)
{
    must(err_is(spare->err) || segment_spare_whole(spare));
    if (err_is(spare->err) || spare_add(segments, spare->spare))
        return;
    spare->err = err_make(ERR_NO_MEMORY);
    spare_remove(spare);
}

void segment_spare_leave(struct segment_spare *spare)
{
    spare_close(spare);
}

/* Its size, or -errno. */
static int64_t spare_size(struct segments *segments, struct str name)
{
    struct world *world = segments->world;
    int file = world->ops->file_open(world, segments->folder, name, FILE_READ);
    if (file < 0)
        return file;
    int64_t size = world->ops->file_size(world, file);
    world->ops->close(world, file);
    return size;
}

void segments_short_spares_remove(struct segments *segments)
{
    struct world *world = segments->world;
    size_t kept = 0;
    for (size_t i = 0; i < segments->spare_count; i++) {
        char octets[SEGMENT_NAME_MAX];
        struct str name = spare_name(segments->spares[i], octets);
        int64_t size = spare_size(segments, name);
        if (size < 0 || (uint64_t)size >= segments->segment_size)
            segments->spares[kept++] = segments->spares[i];
        else
            world->ops->file_remove(world, segments->folder, name);
    }
    segments->spare_count = kept;
}

size_t segments_spares(const struct segments *segments)
{
    return segments->spare_count;
}

/* --- Letting go ------------------------------------------------------------------------------ */

struct err segment_recycle(struct segments *segments, struct segment *segment, size_t keep_spares)
{
    struct world *world = segments->world;
    char octets[SEGMENT_NAME_MAX];
    char spare[SEGMENT_NAME_MAX];
    struct str name = segment_name(segment->sequence, octets);
    segment_close_file(segments, segment);
    int rc;
    if (segments->spare_count < keep_spares && spare_add(segments, segments->spare_next)) {
        uint64_t number = segments->spares[segments->spare_count - 1];
        rc = world->ops->file_rename(world, segments->folder, name, spare_name(number, spare));
        if (rc < 0)
            segments->spare_count--;
    } else {
        rc = world->ops->file_remove(world, segments->folder, name);
    }
    if (rc < 0)
        return err_os(-rc, STR("segment"));
    segment_forget(segments, segment);
    return err_none();
}

struct err segment_quarantine(struct segments *segments, struct segment *segment, int store_folder)
{
    char octets[SEGMENT_NAME_MAX];
    char from[SEGMENT_NAME_MAX + 8];
    struct str name = segment_name(segment->sequence, octets);
    int n = snprintf(from, sizeof from, "log/%.*s", STR_FMT(name));
    segment_close_file(segments, segment);
    struct err e = quarantine_move(segments->world, store_folder, str_make(from, (size_t)n), name);
    if (err_is(e))
        return e;
    segment_forget(segments, segment);
    int rc = segments->world->ops->folder_sync(segments->world, segments->folder);
    return rc < 0 ? err_os(-rc, LOG_FOLDER) : err_none();
}
