/*
 * Blocks come from malloc, or from what an owner of many arenas keeps, and grow by doubling up to
 * 64 KB, so that an idle session that needs 300 bytes pays for 512 and a busy transaction does not
 * call malloc per object. An arena that has become large goes on in blocks of a megabyte, which
 * go back to the system when it ends (process_memory_returns) and do not lie between others.
 * obstacks were weighed: they cannot refuse at a cap.
 */
#include "base/arena.h"

#include "base/must.h"
#include "base/spares.h"

enum {
    FIRST_BLOCK = 512,
    LARGEST_USUAL_BLOCK = 64 * 1024,
    LARGE = 1024 * 1024, /* an arena, and from there on its blocks */
    ALIGNMENT = _Alignof(max_align_t),
};

struct arena_block {
    struct arena_block *next;
    size_t size; /* bytes of data */
    size_t used;
    _Alignas(max_align_t) char data[];
};

void arena_init_from(struct arena *arena, size_t cap, struct spares *spares)
{
    *arena = (struct arena){.cap = cap, .block_size = FIRST_BLOCK, .spares = spares};
}

void arena_init(struct arena *arena, size_t cap)
{
    arena_init_from(arena, cap, NULL);
}

static void blocks_give(struct arena *arena, struct arena_block *block)
{
    while (block) {
        struct arena_block *next = block->next;
        spares_give(arena->spares, block, sizeof(*block) + block->size);
        block = next;
    }
}

void arena_done(struct arena *arena)
{
    blocks_give(arena, arena->blocks);
    arena_init_from(arena, arena->cap, arena->spares);
}

void arena_wipe(struct arena *arena)
{
    for (struct arena_block *block = arena->blocks; block; block = block->next)
        explicit_bzero(block->data, block->size);
    arena_done(arena);
}

void arena_reset(struct arena *arena)
{
    struct arena_block *kept = arena->blocks;
    if (!kept || kept->size > LARGEST_USUAL_BLOCK) {
        arena_done(arena);
        return;
    }
    blocks_give(arena, kept->next);
    kept->next = NULL;
    kept->used = 0;
    arena->used = kept->size;
    arena->over = false;
}

static struct arena_block *block_add(struct arena *arena, size_t need)
{
    size_t room = arena->cap > arena->used ? arena->cap - arena->used : 0;
    if (need > room)
        return NULL;
    size_t usual = arena->used < LARGE ? arena->block_size : LARGE;
    size_t size = need > usual ? need : usual;
    if (size > room)
        size = room;
    struct arena_block *block = spares_take(arena->spares, sizeof(*block) + size);
    if (!block)
        return NULL;
    block->size = size;
    block->used = 0;
    block->next = arena->blocks;
    arena->blocks = block;
    arena->used += size;
    if (arena->block_size < LARGEST_USUAL_BLOCK)
        arena->block_size *= 2;
    return block;
}

/* False: it passes the end of memory. */
static bool aligned(size_t n, size_t *aligned_r)
{
    bool fits = !__builtin_add_overflow(n, (size_t)ALIGNMENT - 1, aligned_r);
    *aligned_r &= ~((size_t)ALIGNMENT - 1);
    return fits;
}

void *arena_take(struct arena *arena, size_t n)
{
    size_t need;
    if (!aligned(n, &need)) {
        arena->over = true;
        return NULL;
    }
    struct arena_block *block = arena->blocks;
    if (!block || block->size - block->used < need)
        block = block_add(arena, need);
    if (!block) {
        arena->over = true;
        return NULL;
    }
    void *taken = block->data + block->used;
    block->used += need;
    must(block->used <= block->size);
    memset(taken, 0, n);
    return taken;
}

void *arena_take_array(struct arena *arena, size_t count, size_t size)
{
    size_t n;
    if (__builtin_mul_overflow(count, size, &n)) {
        arena->over = true;
        return NULL;
    }
    return arena_take(arena, n);
}

/* Whether p, the newest of its block, could be made `to` bytes long where it is. */
static bool resize_in_place(struct arena_block *block, const char *p, size_t from, size_t to)
{
    size_t before, after;
    if (!block || !p || !aligned(from, &before) || !aligned(to, &after))
        return false;
    const char *end = block->data + block->used;
    if (p + before != end || after > block->size - (block->used - before))
        return false;
    block->used += after - before;
    return true;
}

void *arena_resize(struct arena *arena, void *p, size_t from, size_t to)
{
    if (resize_in_place(arena->blocks, p, from, to) || to <= from)
        return p;
    void *longer = arena_take(arena, to);
    if (longer && from)
        memcpy(longer, p, from);
    return longer;
}

struct str arena_str(struct arena *arena, struct str s)
{
    char *copy = arena_take(arena, s.n);
    if (!copy)
        return str_null();
    if (s.n)
        memcpy(copy, s.p, s.n);
    return str_make(copy, s.n);
}
