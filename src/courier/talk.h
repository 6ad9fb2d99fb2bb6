/*
 * What is said to another server and what it answers, top to bottom on a fiber. A command is queued
 * and leaves at the end of the turn, or when the answer is waited for; any number may be queued
 * before their answers are read, in order.
 *
 * Each answer has a deadline for the whole of it, however it drips (catalogue S27), and none lies
 * behind the limit of the phase (talk_limit). Answers are what format/reply.h makes of them: their
 * text is clean, short enough, and valid until the next talk_reply.
 *
 * Whatever is written to a stream while a job has a link to core takes its place behind what core
 * is told in the same turn: job_dot is with core before the dot leaves.
 */
#ifndef COURIER_TALK_H
#define COURIER_TALK_H

#include "courier/courier.h"
#include "format/reply.h"

enum {
    TALK_COMMAND_MAX = 2048 /* octets of a command, its end included */
};

enum talk_end {
    TALK_REPLY,  /* talk->parser.reply */
    TALK_CLOSED, /* the connection ended before the answer did */
    TALK_LATE,
    TALK_BROKEN, /* no SMTP: reply.fault says why, or something came that nobody had asked for */
};

struct talk {
    struct courier *courier;
    struct stream stream;
    struct reply_parser parser;
    struct buf text;
    int64_t limit; /* mono: of the phase; INT64_MAX: none */
};

void talk_init(struct talk *talk, struct courier *courier);
void talk_done(struct talk *talk); /* the stream is the caller's */

void talk_limit(struct talk *talk, int64_t at);
/* Queues octets. Never yields. */
void talk_put(struct talk *talk, struct str octets);
/* Queues a line, without its CR LF in the format. */
void talk_command(struct talk *talk, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A line's room, on the stack: that there is no memory must not end in half a command. */
static inline struct buf talk_line_in(char room[TALK_COMMAND_MAX])
{
    return (struct buf){.p = room, .cap = TALK_COMMAND_MAX, .max = TALK_COMMAND_MAX};
}
/* The same, from talk_line_in; that is emptied. A line that did not fit is our own bug. */
void talk_line(struct talk *talk, struct buf *line);
/* May yield: reads the next answer, which has so much time from now on. */
enum talk_end talk_reply(struct talk *talk, int64_t within);
/* Are there octets that were not asked for, or has the peer ended? Never yields. */
bool talk_is_disturbed(struct talk *talk);

/* Has it answered something that nobody asked? Of 421, which may come at any time, it is not said.
 * Never yields. */
bool talk_is_ahead(struct talk *talk);

static inline const struct reply *talk_last(const struct talk *talk)
{
    return &talk->parser.reply;
}

/* "no answer in time": for a result; a literal. */
struct str talk_end_text(enum talk_end end, const struct talk *talk);

#endif
