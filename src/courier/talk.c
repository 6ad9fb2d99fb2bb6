/*
 * A fiber that reads beats a state for each answer: the order of a conversation then stands in one
 * function. The stream is paused all the time, so that what nobody reads stays with the peer.
 */
#include "courier/talk.h"

#include <errno.h>
#include <stdarg.h>

void talk_init(struct talk *talk, struct courier *courier)
{
    *talk = (struct talk){.courier = courier, .limit = INT64_MAX};
    buf_init(&talk->text, REPLY_TEXT_MAX);
}

void talk_done(struct talk *talk)
{
    buf_done(&talk->text);
}

void talk_limit(struct talk *talk, int64_t at)
{
    talk->limit = at;
}

void talk_put(struct talk *talk, struct str octets)
{
    /* In front of the stream's place, whatever is told to core later in this turn. */
    if (talk->courier->core)
        link_take_place(talk->courier->core);
    stream_put(&talk->stream, octets);
}

void talk_line(struct talk *talk, struct buf *line)
{
    buf_put(line, STR("\r\n"));
    must(!buf_over(line));
    talk_put(talk, buf_str(line));
    buf_clear(line);
}

void talk_command(struct talk *talk, const char *format, ...)
{
    char room[TALK_COMMAND_MAX];
    struct buf line = talk_line_in(room);
    va_list args;
    va_start(args, format);
    buf_vprintf(&line, format, args);
    va_end(args);
    talk_line(talk, &line);
}

static enum talk_end parsed(struct talk *talk)
{
    return talk_last(talk)->class == REPLY_BROKEN ? TALK_BROKEN : TALK_REPLY;
}

enum talk_end talk_reply(struct talk *talk, int64_t within)
{
    int64_t deadline = talk->courier->loop->now + within;
    if (deadline > talk->limit)
        deadline = talk->limit;
    buf_clear(&talk->text);
    reply_begin(&talk->parser, &talk->text);
    for (;;) {
        struct str pending = stream_pending(&talk->stream);
        stream_take(&talk->stream, reply_feed(&talk->parser, pending));
        if (talk->parser.ended)
            return parsed(talk);
        if (talk->courier->loop->now >= deadline)
            return TALK_LATE; /* the octets of a drip must not outrun the clock */
        int failed = stream_await(&talk->stream, deadline);
        if (failed == -ETIMEDOUT)
            return TALK_LATE;
        if (failed) {
            reply_close(&talk->parser);
            return TALK_CLOSED;
        }
    }
}

bool talk_is_disturbed(struct talk *talk)
{
    stream_read_more(&talk->stream);
    return stream_pending(&talk->stream).n > 0 || talk->stream.seen != STREAM_OPEN;
}

bool talk_is_ahead(struct talk *talk)
{
    stream_read_more(&talk->stream);
    struct str pending = stream_pending(&talk->stream);
    return pending.n > 0 && !str_starts(STR("421"), str_head(pending, 3));
}

struct str talk_end_text(enum talk_end end, const struct talk *talk)
{
    if (end == TALK_CLOSED)
        return STR("the connection was lost");
    if (end == TALK_LATE)
        return STR("no answer in time");
    if (end == TALK_BROKEN && talk_last(talk)->class == REPLY_BROKEN)
        return str_from(reply_fault_text(talk_last(talk)->fault));
    return STR("an answer that was not asked for");
}
