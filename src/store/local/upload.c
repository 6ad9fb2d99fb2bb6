/*
 * Uploads: the writing of large bodies, on the reader lane, so that neither the loop nor a group
 * waits for their disk. What is collected in memory is copied inline; only a full buffer costs a
 * hop to the lane.
 */
#include "store/local/body_file.h"
#include "store/local/engine_local.h"

#define UPLOAD_MAGIC MAGIC('U', 'P', 'L', 'D')

struct upload {
    uint32_t magic;
    struct body_writer writer;
    /* Of the call that is on the lane. */
    struct local *local;
    blob_id blob;
    struct str octets;
    struct err err;
};

static void open_run(void *arg)
{
    struct upload *upload = arg;
    upload->err =
        body_open(&upload->writer, upload->local->world, upload->local->folder, upload->blob);
}

struct err local_upload_open(struct engine *engine, blob_id blob, struct upload **upload_r)
{
    struct local *local = local_of(engine);
    struct upload *upload = calloc(1, sizeof(*upload));
    *upload_r = NULL;
    if (!upload)
        return err_make(ERR_NO_MEMORY);
    *upload = (struct upload){.magic = UPLOAD_MAGIC, .local = local, .blob = blob};
    lane_call(&local->reader, open_run, upload);
    struct err e = upload->err;
    if (err_is(e))
        free(upload);
    else
        *upload_r = upload;
    return e;
}

static void write_run(void *arg)
{
    struct upload *upload = arg;
    upload->err = body_write(&upload->writer, upload->octets);
}

struct err local_upload_write(struct engine *engine, struct upload *upload, struct str octets)
{
    struct local *local = local_of(engine);
    must_be(upload, UPLOAD_MAGIC);
    upload->octets = octets;
    if (body_has_room(&upload->writer, octets.n))
        write_run(upload);
    else
        lane_call(&local->reader, write_run, upload);
    return upload->err;
}

static void finish_run(void *arg)
{
    struct upload *upload = arg;
    upload->err = body_finish(&upload->writer);
}

struct err local_upload_finish(struct engine *engine, struct upload *upload)
{
    struct local *local = local_of(engine);
    must_be(upload, UPLOAD_MAGIC);
    lane_call(&local->reader, finish_run, upload);
    return upload->err;
}

static void upload_close(struct upload **upload, bool keep)
{
    if (!*upload)
        return;
    must_be(*upload, UPLOAD_MAGIC);
    body_close(&(*upload)->writer, keep);
    (*upload)->magic = 0;
    free(*upload);
    *upload = NULL;
}

void local_upload_drop(struct engine *engine, struct upload **upload)
{
    must_be(local_of(engine), LOCAL_MAGIC);
    upload_close(upload, false);
}

uint64_t upload_body(const struct upload *upload)
{
    must_be(upload, UPLOAD_MAGIC);
    must(upload->writer.finished);
    return upload->writer.body;
}

void upload_keep(struct upload **upload)
{
    upload_close(upload, true);
}
