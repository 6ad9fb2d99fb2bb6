/*
 * What comes out is a copy beside what came, for as long as it takes to put it into slabs: to edit
 * in place would save that, and would have to move the rest of the header at every field.
 */
#include "edge/smtp/submitted.h"

enum {
    /* Of what comes out: it grows by doubling, with its authors, and octets of one slab behind. */
    WAITING_TIMES = 4,
    WAITING_MORE = 256 * 1024,
    BEHIND_MAX = 64 * 1024, /* a slab's worth comes; a bare line end becomes two octets */
};

struct smtp_submitted *smtp_submitted_new(const struct submission_facts *facts, struct arena *kept)
{
    struct smtp_submitted *submitted = arena_new(kept, struct smtp_submitted);
    if (!submitted)
        return NULL;
    submitted->facts = *facts;
    submitted->scan = submission_scan_begin();
    submitted->kept = kept;
    arena_init(&submitted->arena, WAITING_TIMES * facts->most + WAITING_MORE);
    return submitted;
}

static struct err authors_keep(struct smtp_submitted *submitted,
                               const struct submission_result *result)
{
    struct msg_address *authors =
        arena_take_array(submitted->kept, result->author_count, sizeof *authors);
    if (!authors)
        return err_make(ERR_OVER_LIMIT);
    for (size_t i = 0; i < result->author_count; i++) {
        authors[i].text = arena_str(submitted->kept, result->authors[i]);
        if (!authors[i].text.p)
            return err_make(ERR_OVER_LIMIT);
    }
    submitted->authors = authors;
    submitted->author_count = result->author_count;
    return err_none();
}

struct err smtp_submitted_put_right(struct smtp_submitted *submitted, struct str header,
                                    struct str behind)
{
    const struct submission_facts *facts = &submitted->facts;
    struct submission_result result;
    struct arena scratch;
    arena_init(&scratch,
               SUBMISSION_SCRATCH_TIMES * (header.n + facts->most) + SUBMISSION_SCRATCH_MORE);
    struct err e = submission_header(header, facts, &submitted->arena, &scratch, &result);
    arena_done(&scratch);
    if (!err_is(e))
        e = authors_keep(submitted, &result);
    if (err_is(e))
        return e;
    submitted->header = result.header;
    submitted->whole = true;
    submitted->behind = buf_in(&submitted->arena, BEHIND_MAX);
    return smtp_submitted_more(submitted, behind);
}

struct err smtp_submitted_more(struct smtp_submitted *submitted, struct str octets)
{
    return err_make(buf_put(&submitted->behind, octets) ? ERR_NONE : ERR_NO_MEMORY);
}

struct str smtp_submitted_next(struct smtp_submitted *submitted, size_t most)
{
    struct str next = str_head(submitted->header, most);
    if (next.n > 0) {
        submitted->header = str_from_index(submitted->header, next.n);
        return next;
    }
    next = str_head(str_from_index(buf_str(&submitted->behind), submitted->behind_gone), most);
    submitted->behind_gone += next.n;
    return next;
}

void smtp_submitted_done(struct smtp_submitted *submitted)
{
    if (!submitted)
        return;
    arena_done(&submitted->arena);
    submitted->header = str_null();
    submitted->behind = (struct buf){.p = NULL};
    submitted->behind_gone = 0;
}
