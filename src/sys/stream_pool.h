/*
 * The pool's side of struct stream: buffers of STREAM_READ_SIZE bytes, last used first. Only
 * stream.c and stream_pool.c include this.
 */
#ifndef SYS_STREAM_POOL_H
#define SYS_STREAM_POOL_H

#include "sys/stream.h"

/* For input, or NULL: none is left. */
char *stream_pool_take(struct stream_pool *pool);
/* For output, which cannot wait: however many input has. NULL: no memory. */
void *stream_pool_take_out(struct stream_pool *pool);
/* The stream that waited longest is then told to read again. */
void stream_pool_give(struct stream_pool *pool, char *buffer);
void stream_pool_give_out(struct stream_pool *pool, void *buffer);
/* `stream` stops reading until a buffer comes back. */
void stream_pool_wait(struct stream_pool *pool, struct stream *stream);
void stream_pool_leave(struct stream_pool *pool, struct stream *stream);

/* In stream.c: a buffer has come back, read when there is something. */
void stream_want_input(struct stream *stream);

#endif
