/*
 * The pool's side of struct stream: 16 KB read buffers, last used first. Only stream.c and
 * stream_pool.c include this.
 */
#ifndef SYS_STREAM_POOL_H
#define SYS_STREAM_POOL_H

#include "sys/stream.h"

/* A buffer of STREAM_READ_SIZE bytes, or NULL: none is left. */
char *stream_pool_take(struct stream_pool *pool);
/* The stream that waited longest is then told to read again. */
void stream_pool_give(struct stream_pool *pool, char *buffer);
/* `stream` stops reading until a buffer comes back. */
void stream_pool_wait(struct stream_pool *pool, struct stream *stream);
void stream_pool_leave(struct stream_pool *pool, struct stream *stream);

/* In stream.c: a buffer has come back, read when there is something. */
void stream_want_input(struct stream *stream);

#endif
