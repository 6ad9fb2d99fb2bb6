/*
 * A body file is complete before it gets its name in bodies/, and its name is durable before a
 * record may refer to it: so a place that says "external" always finds a whole file, and what lies
 * in uploads/ belongs to nobody. The sums lie behind the body, not in front, because they are known
 * last and the file is written once, from front to back.
 *
 * The buffer is a whole number of chunks, so sums are made when it is written out, over octets that
 * nobody else can change any more.
 */
#include "store/local/body_file.h"

#include <errno.h>
#include <inttypes.h>

#include "base/crc.h"
#include "base/must.h"

#define BODIES STR("bodies")
#define UPLOADS STR("uploads")

enum {
    BLOB_DIGITS = 16,
    SUMS_MAX = 256 * 1024 * 1024, /* octets: of a body of 1 TB */
    NAMES_MAX = 16 * 1024 * 1024, /* octets of file names in uploads/ looked at together */
};

_Static_assert(BODY_BUFFER % CHUNK_SIZE == 0, "sums are made buffer by buffer");

/* --- Names ----------------------------------------------------------------------------------- */

static struct str name_print(struct str folder, blob_id blob, char to[BODY_NAME_MAX])
{
    int n = snprintf(to, BODY_NAME_MAX, "%.*s/%016" PRIx64, STR_FMT(folder), blob);
    must(n > 0 && n < BODY_NAME_MAX);
    return str_make(to, (size_t)n);
}

struct str body_name(blob_id blob, char to[BODY_NAME_MAX])
{
    return name_print(BODIES, blob, to);
}

struct str body_upload_name(blob_id blob, char to[BODY_NAME_MAX])
{
    return name_print(UPLOADS, blob, to);
}

/* 0: not a blob's name. */
static blob_id name_parse(struct str name)
{
    blob_id blob = 0;
    if (name.n != BLOB_DIGITS)
        return 0;
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        if (!ascii_is_digit(c) && !(c >= 'a' && c <= 'f'))
            return 0;
        blob = blob << 4 | (unsigned)(ascii_is_digit(c) ? c - '0' : c - 'a' + 10);
    }
    return blob;
}

/* --- Writing --------------------------------------------------------------------------------- */

/* Where the folder is new, its name is made durable at once: later syncs are of what is in it. */
static int folder_make(struct world *world, int store_folder, struct str name)
{
    int folder = world->ops->folder_open(world, store_folder, name, false);
    bool is_new = folder == -ENOENT;
    if (is_new)
        folder = world->ops->folder_open(world, store_folder, name, true);
    if (folder < 0)
        return folder;
    world->ops->close(world, folder);
    return is_new ? world->ops->folder_sync(world, store_folder) : 0;
}

struct err body_open(struct body_writer *writer, struct world *world, int store_folder,
                     blob_id blob)
{
    char octets[BODY_NAME_MAX];
    int rc = folder_make(world, store_folder, BODIES);
    if (rc >= 0)
        rc = folder_make(world, store_folder, UPLOADS);
    if (rc >= 0)
        rc = world->ops->file_open(world, store_folder, body_upload_name(blob, octets),
                                   FILE_WRITE | FILE_READ | FILE_CREATE | FILE_EXCLUSIVE);
    if (rc < 0)
        return err_os(-rc, STR("upload"));
    *writer = (struct body_writer){.magic = BODY_WRITER_MAGIC,
                                   .world = world,
                                   .folder = store_folder,
                                   .file = rc,
                                   .blob = blob};
    buf_init(&writer->buffer, BODY_BUFFER);
    buf_init(&writer->sums, SUMS_MAX);
    return err_none();
}

/* Writes out the buffer: whole chunks, but for the body's last. */
static struct err buffer_write(struct body_writer *writer)
{
    struct str rest = buf_str(&writer->buffer);
    while (rest.n > 0) {
        struct str chunk = str_head(rest, CHUNK_SIZE);
        wire_put_u32(&writer->sums, crc32c(blob_seed(writer->blob), chunk));
        rest = str_from_index(rest, chunk.n);
    }
    if (buf_over(&writer->sums))
        return err_make(ERR_OVER_LIMIT);
    struct iovec part = {.iov_base = writer->buffer.p, .iov_len = writer->buffer.n};
    ssize_t n = writer->buffer.n > 0 ? writer->world->ops->file_write(writer->world, writer->file,
                                                                      &part, 1, writer->written)
                                     : 0;
    if (n < 0)
        return err_os((int)-n, STR("upload"));
    writer->written += writer->buffer.n;
    buf_clear(&writer->buffer);
    return err_none();
}

bool body_has_room(const struct body_writer *writer, size_t n)
{
    return n <= BODY_BUFFER - writer->buffer.n;
}

struct err body_write(struct body_writer *writer, struct str octets)
{
    must_be(writer, BODY_WRITER_MAGIC);
    must(!writer->finished);
    while (octets.n > 0) {
        if (!body_has_room(writer, 1)) {
            struct err e = buffer_write(writer);
            if (err_is(e))
                return e;
        }
        struct str part = str_head(octets, BODY_BUFFER - writer->buffer.n);
        if (!buf_put(&writer->buffer, part))
            return err_make(ERR_NO_MEMORY);
        writer->body += part.n;
        octets = str_from_index(octets, part.n);
    }
    return err_none();
}

static struct err foot_write(struct body_writer *writer)
{
    unsigned char foot[BODY_FOOT_SIZE];
    unsigned char zeroes[RECORD_ALIGN] = {0};
    struct str sums = buf_str(&writer->sums);
    body_foot_encode(&(struct body_foot){.blob = writer->blob,
                                         .body = writer->body,
                                         .chunks = (uint32_t)(sums.n / CHUNK_SUM_SIZE),
                                         .sums_sum = crc32c(0, sums)},
                     foot);
    const struct iovec parts[] = {
        {.iov_base = zeroes, .iov_len = body_sums_at(writer->body) - writer->body},
        {.iov_base = writer->sums.p, .iov_len = sums.n},
        {.iov_base = zeroes, .iov_len = format_align(sums.n) - sums.n},
        {.iov_base = foot, .iov_len = sizeof foot},
    };
    struct world *world = writer->world;
    ssize_t n = world->ops->file_write(world, writer->file, parts, 4, writer->body);
    return n < 0 ? err_os((int)-n, STR("upload")) : err_none();
}

static int bodies_sync(struct body_writer *writer)
{
    struct world *world = writer->world;
    int folder = world->ops->folder_open(world, writer->folder, BODIES, false);
    if (folder < 0)
        return folder;
    int rc = world->ops->folder_sync(world, folder);
    world->ops->close(world, folder);
    return rc;
}

/* uploads/ needs no sync: a name that comes back there is removed when the store is opened. */
static int name_settle(struct body_writer *writer)
{
    char from[BODY_NAME_MAX];
    char to[BODY_NAME_MAX];
    struct world *world = writer->world;
    int rc = world->ops->file_sync(world, writer->file);
    if (rc >= 0)
        rc = world->ops->file_rename(world, writer->folder, body_upload_name(writer->blob, from),
                                     body_name(writer->blob, to));
    if (rc < 0)
        return rc;
    writer->finished = true;
    return bodies_sync(writer);
}

struct err body_finish(struct body_writer *writer)
{
    must_be(writer, BODY_WRITER_MAGIC);
    must(!writer->finished);
    struct err e = buffer_write(writer);
    if (!err_is(e))
        e = foot_write(writer);
    if (err_is(e))
        return e;
    int rc = name_settle(writer);
    return rc < 0 ? err_os(-rc, STR("upload")) : err_none();
}

void body_close(struct body_writer *writer, bool keep)
{
    must_be(writer, BODY_WRITER_MAGIC);
    char octets[BODY_NAME_MAX];
    struct world *world = writer->world;
    world->ops->close(world, writer->file);
    if (!keep)
        world->ops->file_remove(world, writer->folder,
                                writer->finished ? body_name(writer->blob, octets)
                                                 : body_upload_name(writer->blob, octets));
    buf_done(&writer->buffer);
    buf_done(&writer->sums);
    writer->magic = 0;
}

/* --- Removing, opening, listing --------------------------------------------------------------- */

struct err body_remove(struct world *world, int store_folder, blob_id blob)
{
    char octets[BODY_NAME_MAX];
    int rc = world->ops->file_remove(world, store_folder, body_name(blob, octets));
    return rc < 0 && rc != -ENOENT ? err_os(-rc, STR("body file")) : err_none();
}

static struct err foot_check(struct world *world, int file, blob_id blob, uint64_t body)
{
    char octets[BODY_FOOT_SIZE];
    struct body_foot foot;
    int64_t size = world->ops->file_size(world, file);
    if (size < 0)
        return err_os((int)-size, STR("body file"));
    if ((uint64_t)size != body_foot_at(body) + BODY_FOOT_SIZE)
        return err_detail(ERR_STORE_DAMAGED, STR("a body file has not its size"));
    ssize_t n = world->ops->file_read(world, file, octets, sizeof octets, body_foot_at(body));
    if (n < 0)
        return err_os((int)-n, STR("body file"));
    if (!body_foot_decode(str_make(octets, (size_t)n), &foot) || foot.blob != blob ||
        foot.body != body || foot.chunks != chunk_count(body))
        return err_detail(ERR_STORE_DAMAGED, STR("a body file's foot is damaged"));
    return err_none();
}

struct err body_file_open(struct world *world, int store_folder, blob_id blob, uint64_t body,
                          int *file_r)
{
    char octets[BODY_NAME_MAX];
    if (body > INT64_MAX / 2)
        return err_detail(ERR_STORE_DAMAGED, STR("a body file has not its size"));
    int file = world->ops->file_open(world, store_folder, body_name(blob, octets), FILE_READ);
    if (file < 0)
        return err_os(-file, STR("body file"));
    struct err e = foot_check(world, file, blob, body);
    if (err_is(e))
        world->ops->close(world, file);
    else
        *file_r = file;
    return e;
}

static void name_collect(void *arg, struct str name, uint64_t size)
{
    (void)size;
    wire_put_str(arg, name);
}

struct err body_uploads_clear(struct world *world, int store_folder)
{
    int folder = world->ops->folder_open(world, store_folder, UPLOADS, false);
    if (folder == -ENOENT)
        return err_none();
    if (folder < 0)
        return err_os(-folder, UPLOADS);
    struct buf names = BUF_INIT(NAMES_MAX);
    int rc = world->ops->folder_list(world, folder, name_collect, &names);
    struct wire_in in = wire_in(buf_str(&names));
    while (rc >= 0 && in.rest.n > 0 && !in.bad)
        rc = world->ops->file_remove(world, folder, wire_get_str(&in));
    buf_done(&names);
    world->ops->close(world, folder);
    return rc < 0 ? err_os(-rc, UPLOADS) : err_none();
}

struct body_listing {
    void (*each)(void *arg, blob_id blob, struct str name, uint64_t size);
    void *arg;
};

static void list_body(void *arg, struct str name, uint64_t size)
{
    struct body_listing *listing = arg;
    listing->each(listing->arg, name_parse(name), name, size);
}

struct err body_list(struct world *world, int store_folder,
                     void (*each)(void *arg, blob_id blob, struct str name, uint64_t size),
                     void *arg)
{
    int folder = world->ops->folder_open(world, store_folder, BODIES, false);
    if (folder == -ENOENT)
        return err_none();
    if (folder < 0)
        return err_os(-folder, BODIES);
    struct body_listing listing = {.each = each, .arg = arg};
    int rc = world->ops->folder_list(world, folder, list_body, &listing);
    world->ops->close(world, folder);
    return rc < 0 ? err_os(-rc, BODIES) : err_none();
}
