/*
 * struct arena: memory that lives and dies together. Named by its lifetime at the place that opens
 * it: session, transaction, scratch. Handlers take from it and never free.
 *
 * Every arena has a cap. Beyond it, or when the system has no memory, arena_take returns NULL: the
 * caller answers 452 or NO; nothing grows past the cap. A NULL is remembered (arena_over), so a
 * builder may check once at its end.
 *
 * Not thread-safe: an arena belongs to one fiber or one job at a time. Never yields.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/str.h"

struct arena_block;
struct spares;

struct arena {
    struct arena_block *blocks; /* newest first */
    size_t used;                /* bytes of all blocks together */
    size_t cap;                 /* bytes `used` never exceeds */
    size_t block_size;          /* usual size of a block */
    struct spares *spares;      /* where blocks come from; NULL: malloc */
    bool over;
};

/* Opens an empty arena that may hold `cap` bytes; takes no memory until it is used. */
void arena_init(struct arena *arena, size_t cap);
/* One whose blocks are taken from `spares` and go back there: for arenas that live for one command.
 * NULL: from malloc. */
void arena_init_from(struct arena *arena, size_t cap, struct spares *spares);
/* Gives all memory back. The arena is empty and usable afterwards. */
void arena_done(struct arena *arena);
/* As arena_done, where secrets are in it: every octet it ever held is zeroed. */
void arena_wipe(struct arena *arena);
/* As arena_done, but keeps one usual block, so that the next round does not call malloc. */
void arena_reset(struct arena *arena);

/* n zeroed bytes, aligned for any type, or NULL. n == 0 gives a valid pointer. */
void *arena_take(struct arena *arena, size_t n) __attribute__((warn_unused_result));
/* count * size zeroed bytes, or NULL, also where the product overflows. */
void *arena_take_array(struct arena *arena, size_t count, size_t size)
    __attribute__((warn_unused_result));
/*
 * What was taken as `from` bytes becomes `to` bytes: in place where nothing was taken since and the
 * block has room; else what is to be longer is copied, and what is to be shorter stays. What is new
 * in it may hold anything. p == NULL with from == 0 is taken anew. NULL: no room, and p is as it
 * was.
 */
void *arena_resize(struct arena *arena, void *p, size_t from, size_t to)
    __attribute__((warn_unused_result));
/* A copy of s in the arena, or str_null when it does not fit. */
struct str arena_str(struct arena *arena, struct str s);

static inline bool arena_over(const struct arena *arena)
{
    return arena->over;
}

#define arena_new(arena, type) ((type *)arena_take((arena), sizeof(type)))

#endif
