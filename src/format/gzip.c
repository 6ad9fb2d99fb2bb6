/*
 * By libisal, which is there for checksums anyway. Its fastest level: a report is a few KB of
 * words that repeat, and comes to a tenth at any level.
 */
#include "format/gzip.h"

#include <isa-l/igzip_lib.h>

_Static_assert(sizeof(struct isal_zstream) <= GZIP_WORK, "the state has its place in the arena");

struct err gzip_put(struct str text, struct arena *work, struct buf *buf)
{
    struct isal_zstream *stream = arena_new(work, struct isal_zstream);
    size_t most = text.n + GZIP_MORE_MAX;
    char *room = stream ? buf_room(buf, most) : NULL;
    union {
        const char *from;
        uint8_t *to;
    } octets = {.from = text.p};
    if (!room)
        return err_make(ERR_NO_MEMORY);
    isal_deflate_stateless_init(stream);
    stream->gzip_flag = IGZIP_GZIP;
    stream->end_of_stream = 1;
    stream->next_in = octets.to;
    stream->avail_in = (uint32_t)text.n;
    stream->next_out = (uint8_t *)room;
    stream->avail_out = (uint32_t)most;
    if (isal_deflate_stateless(stream) != COMP_OK || stream->avail_in)
        return err_make(ERR_NO_MEMORY);
    buf_added(buf, stream->total_out);
    return err_none();
}
