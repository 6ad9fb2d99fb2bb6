/*
 * The summary that core keeps beside a message is of what it was when it came; what leaves has
 * fields in front of it, and whoever looks at it anew needs nothing of core but its octets.
 */
#include "courier/convert.h"

#include "courier/content.h"
#include "courier/result.h"

/* All octets of the message, to one of two. */
static struct err read_all(struct job *job, struct summary *summary,
                           struct downconvert *downconvert)
{
    struct content content;
    struct err e = err_none(), refused = err_none();
    content_begin(&content, job, CONTENT_AS_IS, NULL);
    while (!content.ended && !err_is(e)) {
        e = content_next(&content);
        if (!err_is(e) && summary && !err_is(refused))
            refused = summary_feed(summary, buf_str(&content.piece));
        if (!err_is(e) && downconvert)
            downconvert_look(downconvert, buf_str(&content.piece));
    }
    content_done(&content);
    return err_is(e) ? e : refused;
}

static enum conversion_end lost(struct job *job, struct err e)
{
    if (!job->unknown)
        log_err(job->courier->log, "content_lost", e);
    job->given_up = true;
    return CONVERSION_LOST;
}

static enum conversion_end cannot(struct job *job, const char *why)
{
    struct buf text = BUF_INIT(JOB_TEXT_MAX);
    buf_printf(&text, "it takes no such content, which cannot be encoded otherwise: %s", why);
    results_say(job, JOB_FAILED, "5.6.3", buf_str(&text));
    buf_done(&text);
    return CONVERSION_CANNOT;
}

/* A header that nobody can be expected to understand is not taken apart. */
static enum conversion_end summarised(struct conversion *conversion, struct job *job)
{
    struct summary_limits limits = SUMMARY_LIMITS_DEFAULT;
    summary_init(&conversion->summary, &conversion->arena, &limits);
    struct err e = read_all(job, &conversion->summary, NULL);
    if (e.code == ERR_BUS_BROKEN || e.code == ERR_NOT_FOUND || e.code == ERR_TRY_LATER)
        return lost(job, e);
    if (!err_is(e))
        e = summary_end(&conversion->summary);
    if (!err_is(e))
        e = summary_read_back(&conversion->summary, &conversion->arena, &conversion->view);
    return err_is(e) ? cannot(job, err_row(e.code)->text) : CONVERSION_CAN;
}

enum conversion_end conversion_look(struct conversion *conversion, struct job *job,
                                    enum downconvert_to to)
{
    struct downconvert *downconvert = &conversion->downconvert;
    enum downconvert_verdict verdict = DOWNCONVERT_OPAQUE;
    arena_init(&conversion->arena, 2 * SUMMARY_ARENA_MAX);
    enum conversion_end end = summarised(conversion, job);
    if (end != CONVERSION_CAN)
        return end;
    if (!downconvert_may_need(&conversion->view, to))
        return CONVERSION_NONE;
    struct err e = downconvert_init(downconvert, &conversion->view, to, &conversion->arena);
    if (!err_is(e)) {
        struct err read = read_all(job, NULL, downconvert);
        if (err_is(read))
            return lost(job, read);
        e = downconvert_plan(downconvert, &verdict);
    }
    if (err_is(e))
        return cannot(job, err_row(e.code)->text);
    if (verdict == DOWNCONVERT_NOT_NEEDED)
        return CONVERSION_NONE;
    return verdict == DOWNCONVERT_CAN ? CONVERSION_CAN
                                      : cannot(job, downconvert_verdict_text(verdict));
}

void conversion_done(struct conversion *conversion)
{
    arena_done(&conversion->arena);
}
