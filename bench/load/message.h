/*
 * The messages of the bench. Each names its number and size in its first field, so that a reader
 * can tell from the message alone what every octet of it has to be. The body is the same lines in
 * all of them; the header is padded so that the whole is `size` octets exactly.
 */
#ifndef BENCH_MESSAGE_H
#define BENCH_MESSAGE_H

#include "base/buf.h"

enum {
    MESSAGE_LEAST = 512, /* the smallest size: header and one line */
    MESSAGE_MOST = 64 << 20,
    MESSAGE_HEADER_MAX = 480,
};

/* The lines all bodies are cut from; one for a process. */
struct message_lines {
    struct buf text;
};

void message_lines_init(struct message_lines *lines, uint64_t size);
void message_lines_done(struct message_lines *lines);

/* Appends the header of message `number` and returns its body, which lives as long as `lines`. */
struct str message_make(const struct message_lines *lines, uint64_t number, uint64_t size,
                        struct buf *header);

/*
 * Is this, as it was read, such a message, behind whatever fields a server put in front? Then its
 * number and size are given. `lines` must have been made for messages at least as large.
 */
bool message_check(const struct message_lines *lines, struct str read, uint64_t *number_r,
                   uint64_t *size_r);

#endif
