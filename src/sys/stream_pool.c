/*
 * A session needs a read buffer from the arrival of a command to its end, and one for the answer to
 * the end of the turn, which is a small part of its life: a few hundred buffers serve ten thousand
 * connections, and stay warm. They come from malloc only where more are busy than ever before.
 *
 * Both kinds are the same memory, but only input is counted against the pool's most. A peer that
 * does not read keeps its output's buffers for minutes; were they counted, a few thousand such
 * peers would keep everybody else from being heard.
 */
#include "sys/stream_pool.h"

#define STREAM_POOL_MAGIC MAGIC('S', 'P', 'O', 'L')

/* A buffer that is not lent out holds the link to the next one. */
struct spare {
    SLIST_ENTRY(spare) link;
};

struct stream_pool {
    uint32_t magic;
    size_t most, lent; /* for input */
    size_t lent_out, spare_count;
    SLIST_HEAD(, spare) spares;
    TAILQ_HEAD(, stream) waiting;
};

struct stream_pool *stream_pool_open(struct loop *loop, size_t most_buffers)
{
    must_be(loop, LOOP_MAGIC);
    must(most_buffers >= 1);
    struct stream_pool *pool = calloc(1, sizeof(*pool));
    if (!pool)
        return NULL;
    pool->magic = STREAM_POOL_MAGIC;
    pool->most = most_buffers;
    SLIST_INIT(&pool->spares);
    TAILQ_INIT(&pool->waiting);
    /* One is always spare or lent, so who finds none waits for a buffer that will come back. */
    char *first = stream_pool_take(pool);
    if (!first) {
        free(pool);
        return NULL;
    }
    stream_pool_give(pool, first);
    return pool;
}

void stream_pool_close(struct stream_pool *pool)
{
    must_be(pool, STREAM_POOL_MAGIC);
    must(pool->lent == 0 && pool->lent_out == 0 && TAILQ_EMPTY(&pool->waiting));
    struct spare *spare;
    while ((spare = SLIST_FIRST(&pool->spares))) {
        SLIST_REMOVE_HEAD(&pool->spares, link);
        free(spare);
    }
    pool->magic = 0;
    free(pool);
}

static void *buffer_take(struct stream_pool *pool)
{
    struct spare *spare = SLIST_FIRST(&pool->spares);
    if (!spare)
        return malloc(STREAM_READ_SIZE);
    SLIST_REMOVE_HEAD(&pool->spares, link);
    pool->spare_count--;
    return spare;
}

/* A buffer that came back, of either kind, is a chance for who waits. */
static void buffer_give(struct stream_pool *pool, void *buffer)
{
    if (pool->spare_count < STREAM_POOL_KEEP) {
        struct spare *spare = buffer;
        SLIST_INSERT_HEAD(&pool->spares, spare, link);
        pool->spare_count++;
    } else {
        free(buffer);
    }
    struct stream *next = TAILQ_FIRST(&pool->waiting);
    if (next && pool->lent < pool->most) {
        stream_pool_leave(pool, next);
        stream_want_input(next);
    }
}

char *stream_pool_take(struct stream_pool *pool)
{
    char *buffer = pool->lent < pool->most ? buffer_take(pool) : NULL;
    if (buffer)
        pool->lent++;
    return buffer;
}

void stream_pool_give(struct stream_pool *pool, char *buffer)
{
    pool->lent--;
    buffer_give(pool, buffer);
}

void *stream_pool_take_out(struct stream_pool *pool)
{
    void *buffer = buffer_take(pool);
    if (buffer)
        pool->lent_out++;
    return buffer;
}

void stream_pool_give_out(struct stream_pool *pool, void *buffer)
{
    pool->lent_out--;
    buffer_give(pool, buffer);
}

void stream_pool_wait(struct stream_pool *pool, struct stream *stream)
{
    if (stream->wants_buffer)
        return;
    stream->wants_buffer = true;
    TAILQ_INSERT_TAIL(&pool->waiting, stream, waiting);
}

void stream_pool_leave(struct stream_pool *pool, struct stream *stream)
{
    if (!stream->wants_buffer)
        return;
    stream->wants_buffer = false;
    TAILQ_REMOVE(&pool->waiting, stream, waiting);
}
