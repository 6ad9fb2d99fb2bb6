/*
 * The octets are copied before they are looked at: slabs are the edge's to change at any time.
 */
#include "core/arrived.h"

#include "core/peer.h"
#include "core/upload.h"

static const struct str empty_line = STR_INIT("\r\n\r\n");

/* Where the header ends in `text`, of which the first `seen` octets were looked at before; 0: not
 * in it. A message may begin with the empty line. */
static size_t end_of(struct str text, size_t seen)
{
    if (str_starts(text, STR("\r\n")))
        return 2;
    size_t from = seen < empty_line.n ? 0 : seen - empty_line.n + 1;
    ssize_t at = str_find(str_from_index(text, from), empty_line);
    return at < 0 ? 0 : from + (size_t)at + empty_line.n;
}

struct err header_keep(struct header_kept *kept, struct str octets)
{
    if (kept->whole)
        return err_none();
    size_t seen = kept->text.n;
    octets = str_head(octets, HEADER_KEPT_MAX - seen);
    if (!buf_put(&kept->text, octets))
        return err_make(ERR_NO_MEMORY);
    size_t end = end_of(buf_str(&kept->text), seen);
    if (end)
        kept->text.n = end;
    kept->whole = end || kept->text.n == HEADER_KEPT_MAX;
    return err_none();
}

static struct err slabs_header(const struct request *request, struct arena *arena,
                               struct str *header_r)
{
    const struct msg_commit *asked = &request->msg.commit;
    struct header_kept kept = {.text = buf_in(arena, HEADER_KEPT_MAX)};
    struct err e = err_none();
    for (size_t i = 0; i < asked->body_count && !kept.whole && !err_is(e); i++) {
        struct iovec part;
        if (!peer_slabs(request->peer, &asked->body[i], 1, asked->body[i].length, &part))
            e = err_detail(ERR_BUS_BROKEN, STR("a body out of range"));
        else
            e = header_keep(&kept, str_make(part.iov_base, part.iov_len));
    }
    *header_r = buf_built(&kept.text);
    return err_is(e) || header_r->p ? e : err_make(ERR_NO_MEMORY);
}

struct err arrived_header(const struct request *request, const struct upload_slot *slot,
                          struct arena *arena, struct str *header_r)
{
    if (!slot)
        return slabs_header(request, arena, header_r);
    *header_r = buf_copy(&slot->header.text, arena);
    return err_make(header_r->p ? ERR_NONE : ERR_NO_MEMORY);
}
