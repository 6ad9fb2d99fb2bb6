/*
 * Uploads: bodies above 256 KB, written to a file of their own as they arrive. The edge's slabs are
 * copied out a slab at a time before anything is summed or written, and answered only when written,
 * so the edge's own quota is the back-pressure.
 */
#include "core/upload.h"
#include "core/transaction.h"

#include "base/must.h"

struct upload_slot *upload_find(struct peer *peer, uint64_t number)
{
    struct upload_slot *slot;
    HASH_FIND(hh, peer->uploads, &number, sizeof(number), slot);
    return slot;
}

static void slot_free(struct peer *peer, struct upload_slot *slot)
{
    HASH_DEL(peer->uploads, slot);
    engine_upload_drop(peer->core->engine, &slot->upload);
    buf_done(&slot->header.text);
    free(slot);
}

/* While a request works on the slot it only marks it; that request frees it at its end. */
static void slot_drop(struct peer *peer, struct upload_slot *slot)
{
    slot->dropped = true;
    if (!slot->busy)
        slot_free(peer, slot);
}

void uploads_drop(struct peer *peer)
{
    struct upload_slot *slot, *next;
    HASH_ITER (hh, peer->uploads, slot, next) {
        must(!slot->busy);
        slot_free(peer, slot);
    }
}

void upload_forget(struct peer *peer, struct upload_slot *slot)
{
    slot_drop(peer, slot);
}

void serve_upload_open(struct request *request)
{
    struct peer *peer = request->peer;
    uint64_t number = request->msg.upload_open.upload;
    if (number == 0 || upload_find(peer, number) || HASH_COUNT(peer->uploads) >= PEER_UPLOADS_MAX) {
        peer_cut(peer, err_detail(ERR_BUS_BROKEN, STR("an upload that may not begin")));
        return;
    }
    struct upload_slot *slot = calloc(1, sizeof(*slot));
    if (!slot) {
        peer_cut(peer, err_make(ERR_NO_MEMORY));
        return;
    }
    slot->number = number;
    buf_init(&slot->header.text, HEADER_KEPT_MAX);
    HASH_ADD(hh, peer->uploads, number, sizeof(slot->number), slot);
    if (!HASH_ADDED(slot)) {
        free(slot);
        peer_cut(peer, err_make(ERR_NO_MEMORY));
    }
}

static struct err slabs_write(struct request *request, struct upload_slot *slot)
{
    const struct msg_upload_data *data = &request->msg.upload_data;
    struct peer *peer = request->peer;
    struct engine *engine = peer->core->engine;
    char *own = arena_take(&request->arena, SLAB_SIZE);
    if (!own)
        return err_make(ERR_NO_MEMORY);
    for (size_t i = 0; i < data->slabs_count; i++) {
        struct iovec part;
        if (!peer_slabs(peer, &data->slabs[i], 1, data->slabs[i].length, &part))
            return err_detail(ERR_BUS_BROKEN, STR("a slab out of range"));
        memcpy(own, part.iov_base, part.iov_len);
        struct str octets = str_make(own, part.iov_len);
        struct err e = header_keep(&slot->header, octets);
        if (!err_is(e))
            e = engine_upload_write(engine, slot->upload, octets);
        if (err_is(e))
            return e;
        slot->octets += part.iov_len;
        if (slot->octets > peer->core->conf->smtp.message_size)
            return err_make(ERR_MESSAGE_TOO_LARGE);
    }
    return err_none();
}

static struct err upload_take(struct request *request, struct upload_slot *slot)
{
    struct engine *engine = request->peer->core->engine;
    if (!slot->upload) {
        slot->blob = engine_blob_new(engine);
        struct err e = engine_upload_open(engine, slot->blob, &slot->upload);
        if (err_is(e))
            return e;
    }
    return slabs_write(request, slot);
}

void serve_upload_data(struct request *request)
{
    struct peer *peer = request->peer;
    struct upload_slot *slot = upload_find(peer, request->msg.upload_data.upload);
    struct msg answer = {.kind = MSG_upload_taken};
    struct err e;
    if (!slot || slot->busy || slot->dropped) {
        e = err_detail(ERR_BUS_BROKEN, STR("data for no upload"));
    } else {
        slot->busy = true;
        e = upload_take(request, slot);
        slot->busy = false;
        if (err_is(e) || slot->dropped)
            slot_free(peer, slot);
    }
    answer.upload_taken.error = (uint16_t)err_told(e).code;
    request_answer(request, &answer);
    if (e.code == ERR_BUS_BROKEN)
        peer_cut(peer, e);
}

void serve_upload_drop(struct request *request)
{
    struct upload_slot *slot = upload_find(request->peer, request->msg.upload_drop.upload);
    if (slot)
        slot_drop(request->peer, slot);
}
