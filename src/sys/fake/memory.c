/*
 * A table from address to block instead of a header before each block: pointers that a library
 * allocated and our code frees (strdup, libunistring) must stay what libc made them.
 */
#include "sys/fake/memory.h"

#include <sys/mman.h>
#include <sys/queue.h>

#include "base/must.h"

#if defined(__SANITIZE_ADDRESS__)
#define UNDER_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define UNDER_ASAN 1
#endif
#endif

#ifdef UNDER_ASAN
#include <sanitizer/asan_interface.h>
#endif

struct block {
    struct block *next; /* in its bucket */
    TAILQ_ENTRY(block) link;
    struct fake_memory *memory;
    void *at;
    size_t n;
    bool mapped;
};

struct fake_memory {
    TAILQ_HEAD(, block) blocks;
    size_t count, bytes;
    uint64_t taken, fail_from, fail_to;
};

static struct {
    struct fake_memory *charged;
    struct block **buckets;
    size_t room, count;
} table;

enum {
    FIRST_ROOM = 1024
};

static struct block **bucket_of(const void *at)
{
    uint64_t hash = (uint64_t)(uintptr_t)at * UINT64_C(0x9e3779b97f4a7c15);
    return &table.buckets[(hash >> 32) & (table.room - 1)];
}

static void table_grow(void)
{
    size_t room = table.room;
    struct block **old = table.buckets;
    table.room = room ? room * 2 : FIRST_ROOM;
    table.buckets = calloc(table.room, sizeof(struct block *));
    must(table.buckets);
    for (size_t i = 0; i < room; i++) {
        while (old[i]) {
            struct block *block = old[i], **bucket = bucket_of(block->at);
            old[i] = block->next;
            block->next = *bucket;
            *bucket = block;
        }
    }
    free(old);
}

struct fake_memory *fake_memory_open(void)
{
    struct fake_memory *memory = calloc(1, sizeof(*memory));
    must(memory);
    TAILQ_INIT(&memory->blocks);
    return memory;
}

struct fake_memory *fake_memory_charge(struct fake_memory *memory)
{
    struct fake_memory *before = table.charged;
    table.charged = memory;
    return before;
}

bool fake_memory_admit(void)
{
    struct fake_memory *memory = table.charged;
    if (!memory)
        return true;
    memory->taken++;
    return memory->taken < memory->fail_from || memory->taken >= memory->fail_to;
}

void fake_memory_note(void *at, size_t n, bool mapped)
{
    struct fake_memory *memory = table.charged;
    if (!memory || !at)
        return;
    fake_memory_charge(NULL);
    if (table.count >= table.room)
        table_grow();
    struct block *block = calloc(1, sizeof(*block));
    must(block);
    struct block **bucket = bucket_of(at);
    *block = (struct block){.next = *bucket, .memory = memory, .at = at, .n = n, .mapped = mapped};
    *bucket = block;
    table.count++;
    TAILQ_INSERT_TAIL(&memory->blocks, block, link);
    memory->count++;
    memory->bytes += n;
    fake_memory_charge(memory);
}

bool fake_memory_forget(void *at)
{
    if (table.count == 0 || !at)
        return false;
    struct block **place = bucket_of(at);
    while (*place && (*place)->at != at)
        place = &(*place)->next;
    struct block *block = *place;
    if (!block)
        return false;
    *place = block->next;
    table.count--;
    TAILQ_REMOVE(&block->memory->blocks, block, link);
    block->memory->count--;
    block->memory->bytes -= block->n;
    free(block);
    if (table.count == 0) {
        free(table.buckets);
        table.buckets = NULL;
        table.room = 0;
    }
    return true;
}

static void block_free(const struct block *block)
{
    void *at = block->at;
    if (!block->mapped) {
        free(at);
        return;
    }
#ifdef UNDER_ASAN
    /* The frames of abandoned fibers left their marks on it. */
    ASAN_UNPOISON_MEMORY_REGION(at, block->n);
#endif
    must(munmap(at, block->n) == 0);
}

void fake_memory_close(struct fake_memory *memory)
{
    struct fake_memory *before = fake_memory_charge(NULL);
    must(before != memory);
    struct block *block;
    while ((block = TAILQ_FIRST(&memory->blocks)))
        block_free(block);
    free(memory);
    fake_memory_charge(before);
}

size_t fake_memory_blocks(const struct fake_memory *memory)
{
    return memory->count;
}

size_t fake_memory_bytes(const struct fake_memory *memory)
{
    return memory->bytes;
}

uint64_t fake_memory_taken(const struct fake_memory *memory)
{
    return memory->taken;
}

void fake_memory_fail(struct fake_memory *memory, uint64_t nth, uint64_t times)
{
    memory->fail_from = memory->taken + nth;
    memory->fail_to = memory->fail_from + times;
}
