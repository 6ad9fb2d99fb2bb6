/*
 * Why stretches end at the borders of chunks: each chunk is read and summed once, whatever stands
 * in front of the body.
 */
#include "core/source.h"

#include "base/must.h"

/* Octets from `at` on up to the next border: the front's end, a chunk's end, the end. At least one
 * where at < total, at most SOURCE_CHUNK. */
static size_t stretch_at(const struct source *source, uint64_t at)
{
    uint64_t begin = source->front.n, until = begin;
    if (at >= begin)
        until = at + SOURCE_CHUNK - (at - begin) % SOURCE_CHUNK;
    else if (begin - at > SOURCE_CHUNK)
        until = at + SOURCE_CHUNK;
    return (size_t)((until < source->total ? until : source->total) - at);
}

static struct err source_read(const struct source *source, uint64_t at, char *to, size_t n)
{
    struct str from = source->front;
    if (at >= source->front.n) {
        at -= source->front.n;
        from = source->body;
        if (!from.p)
            return engine_blob_read(source->engine, source->blob, at, to, n);
    }
    memcpy(to, from.p + at, n);
    return err_none();
}

struct err source_blob(struct source *source, struct arena *arena, struct str *head_r,
                       uint64_t *body_octets_r)
{
    uint64_t head_octets;
    struct err e = engine_blob_whole(source->engine, source->blob, SOURCE_WHOLE_MOST, arena, head_r,
                                     &source->body);
    *body_octets_r = source->body.n;
    if (e.code != ERR_OVER_LIMIT)
        return e;
    e = engine_blob_size(source->engine, source->blob, &head_octets, body_octets_r);
    return err_is(e) ? e : engine_blob_head(source->engine, source->blob, arena, head_r);
}

struct err slab_row_take(struct request *request, const struct msg_slab *slabs, size_t count,
                         struct slab_row *row)
{
    uint64_t room = 0;
    for (size_t i = 0; i < count; i++)
        room += slabs[i].length;
    *row = (struct slab_row){.count = count, .room = room};
    row->parts = arena_take_array(&request->arena, count, sizeof(*row->parts));
    if (!row->parts)
        return err_make(ERR_NO_MEMORY);
    return peer_slabs(request->peer, slabs, count, room, row->parts)
               ? err_none()
               : err_detail(ERR_BUS_BROKEN, STR("a slab out of range"));
}

void slab_row_put(struct slab_row *row, struct str octets)
{
    row->room -= octets.n;
    while (octets.n) {
        must(row->at < row->count);
        const struct iovec *part = &row->parts[row->at];
        struct str here = str_head(octets, part->iov_len - row->filled);
        if (here.n)
            memcpy((char *)part->iov_base + row->filled, here.p, here.n);
        row->filled += here.n;
        octets = str_from_index(octets, here.n);
        if (row->filled == part->iov_len) {
            row->at++;
            row->filled = 0;
        }
    }
}

struct err source_fill(struct request *request, const struct source *source,
                       const struct msg_slab *slabs, size_t count, uint64_t at, uint64_t *octets_r)
{
    struct slab_row row;
    struct err e = slab_row_take(request, slabs, count, &row);
    char *own = arena_take(&request->arena, SOURCE_CHUNK);
    if (!err_is(e) && !own)
        e = err_make(ERR_NO_MEMORY);
    *octets_r = 0;
    while (!err_is(e) && at < source->total && row.room) {
        size_t n = stretch_at(source, at);
        if (n > row.room && *octets_r)
            break;
        if (n > row.room)
            n = (size_t)row.room;
        e = source_read(source, at, own, n);
        if (err_is(e))
            return e;
        slab_row_put(&row, str_make(own, n));
        at += n;
        *octets_r += n;
    }
    return e;
}
