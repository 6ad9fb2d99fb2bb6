/*
 * For the fuzzers of handshakes: a world in which somebody says given octets, in given pieces, and
 * what is said to him is kept.
 */
#ifndef SYS_TLS_TALK_FUZZ_H
#define SYS_TLS_TALK_FUZZ_H

#include <errno.h>

#include "base/buf.h"
#include "base/must.h"
#include "sys/loop.h"
#include "sys/tls_hello.h"
#include "sys/tls_session.h"

enum {
    BY_RECORDS = 2,  /* in the first octet of an input */
    FIRST_TYPE = 20, /* RFC 8446 5.1 */
    ALERT = 21,
    LAST_TYPE = 23,
    HANDLE = 3,
    RECORD_MOST = 16384 + 256, /* octets of a record that is encrypted */
    READ_MOST = RECORD_MOST + TLS_RECORD_HEAD,
};

/* What is left to be said, and what of that may be read now. */
struct talk {
    struct world world;
    struct str rest, ready;
    size_t said;
    bool by_records, is_over;
    unsigned pieces;
    struct buf sent;
};

static inline struct talk *talk_of(struct world *world)
{
    return (struct talk *)world;
}

static inline ssize_t talk_recv(struct world *world, int handle, void *to, size_t n)
{
    struct talk *talk = talk_of(world);
    must(handle == HANDLE);
    if (talk->ready.n == 0)
        return talk->is_over ? 0 : -EAGAIN;
    n = n < talk->ready.n ? n : talk->ready.n;
    memcpy(to, talk->ready.p, n);
    talk->ready = str_from_index(talk->ready, n);
    talk->said += n;
    return (ssize_t)n;
}

static inline ssize_t talk_send(struct world *world, int handle, const struct iovec *parts,
                                int count)
{
    struct talk *talk = talk_of(world);
    ssize_t all = 0;
    must(handle == HANDLE);
    for (int i = 0; i < count; i++) {
        must(buf_put(&talk->sent, str_make(parts[i].iov_base, parts[i].iov_len)));
        all += (ssize_t)parts[i].iov_len;
    }
    return all;
}

/* 2026-11-22, as the certificates of the corpus have it. */
static inline int64_t talk_wall(struct world *world)
{
    (void)world;
    return INT64_C(1795305600) * US_PER_SECOND;
}

static inline int64_t talk_mono(struct world *world)
{
    (void)world;
    return NS_PER_SECOND;
}

static const struct world_ops talk_ops = {
    .recv = talk_recv, .send = talk_send, .wall = talk_wall, .mono = talk_mono};

static inline void are_records(struct str sent)
{
    while (sent.n > 0) {
        const unsigned char *head = (const unsigned char *)sent.p;
        must(sent.n >= TLS_RECORD_HEAD && head[0] >= FIRST_TYPE && head[0] <= LAST_TYPE);
        must(head[1] == 3 || head[0] == ALERT); /* which repeats the client's version */
        size_t length = (size_t)head[3] << 8 | head[4];
        must(length > 0 && length <= RECORD_MOST && TLS_RECORD_HEAD + length <= sent.n);
        sent = str_from_index(sent, TLS_RECORD_HEAD + length);
    }
}

static inline size_t record_length(struct str rest)
{
    const unsigned char *head = (const unsigned char *)rest.p;
    return rest.n < TLS_RECORD_HEAD ? rest.n : TLS_RECORD_HEAD + ((size_t)head[3] << 8 | head[4]);
}

static inline void more_comes(struct talk *talk)
{
    size_t n = talk->by_records ? record_length(talk->rest)
               : talk->pieces   ? talk->pieces
                                : talk->rest.n;
    struct str piece = str_head(talk->rest, n);
    talk->rest = str_from_index(talk->rest, piece.n);
    talk->ready = piece;
}

/* The first octet of an input says how it comes, the second how many octets come at a time. */
static inline struct talk talk_of_input(const uint8_t *data, size_t n)
{
    return (struct talk){.world = {.ops = &talk_ops},
                         .rest = str_make(data + 2, n - 2),
                         .by_records = data[0] & BY_RECORDS,
                         .pieces = data[1],
                         .sent = BUF_INIT(1 << 20)};
}

/* True: it waits for more. */
static inline bool step(struct tls_session *session)
{
    int e = tls_session_handshake(session);
    if (e == -EAGAIN)
        must(tls_session_waits(session) == READY_READ);
    else if (e != 0)
        must(e < 0 && tls_session_failure(session).n > 0);
    return e == -EAGAIN;
}

/* Up to its end. */
static inline void talk_through(struct talk *talk, struct tls_session *session)
{
    bool waits = true;
    while (waits && talk->rest.n > 0) {
        more_comes(talk);
        waits = step(session);
    }
    talk->is_over = true;
    must(!waits || !step(session));
    must(talk->said <= TLS_HANDSHAKE_MAX + READ_MOST);
    are_records(buf_str(&talk->sent));
}

#endif
