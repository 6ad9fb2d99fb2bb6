/*
 * A connection of the generator: non-blocking, on loopback, read in lines or in POP3's texts,
 * written in one call for each turn. The owner embeds it as its first member, gets `heard` after
 * everything that happens on it, and looks at `over`.
 *
 * Nothing here yields or waits. A connection that breaks is over; its owner closes it.
 */
#ifndef BENCH_CONN_H
#define BENCH_CONN_H

#include <netinet/in.h>

#include "base/buf.h"

enum {
    CONN_IN_MAX = 1 << 28, /* the largest text that is taken in one piece */
    CONN_OUT_MAX = 1 << 20,
};

struct conn {
    int fd;    /* -1: closed */
    int epoll; /* borrowed */
    void (*heard)(struct conn *conn);
    bool over;    /* the other end is gone */
    bool blocked; /* waits until it can write */
    bool ending;  /* nothing is to be said behind what waits */
    struct buf in;
    size_t in_at;    /* read up to here */
    size_t searched; /* no end of a text before this */
    struct buf out;
    size_t out_at;
    struct str text; /* goes out behind `out`, and then `end`; borrowed */
    struct str end;
};

/* False: no connection (the reason is in errno). `source` 0: from 127.0.0.1, else from the
 * source-th address behind 127.0.1.0; connections that are held use CONN_SOURCES of them. */
enum {
    CONN_SOURCES = 200
};
bool conn_open(struct conn *conn, int epoll, uint16_t port, unsigned source);
void conn_close(struct conn *conn);
void conn_done(struct conn *conn); /* closes it and frees its buffers */

void conn_say(struct conn *conn, struct str octets);
void conn_sayf(struct conn *conn, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Sends a text that the caller keeps, and `end` behind it, after what was said. */
void conn_say_text(struct conn *conn, struct str text, struct str end);
/* Says nothing more: the other end reads an end behind what waits. */
void conn_end(struct conn *conn);
bool conn_is_pushed(const struct conn *conn);

/* The next whole line without its line end; valid until the next turn. */
bool conn_line(struct conn *conn, struct str *line_r);
/* The next whole dot-ended text, dots still stuffed, with the CR LF before the dot. */
bool conn_text(struct conn *conn, struct str *text_r);

/* One round of the loop: waits at most `wait` ns (negative: without limit). */
void conn_turn(int epoll, int64_t wait);
/* Writes what waits; the owner calls it at the end of `heard` and wherever else it spoke. */
void conn_push(struct conn *conn);

#endif
