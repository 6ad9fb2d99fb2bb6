/*
 * struct fake_memory: what one role of a fake world took from malloc and mmap, so that all of it
 * can be given back when the role is killed and nobody else knows its pointers any more. A stale
 * pointer into a killed role is then a use after free that AddressSanitizer sees, and what a live
 * role loses is still a leak.
 *
 * It works in programs that link `fake_memory` (src/sys/fake/meson.build), whose --wrap flags lead
 * our objects' malloc, calloc, realloc, reallocarray, aligned_alloc, free, mmap and munmap through
 * here; memory that shared libraries take for themselves is not seen. Without those flags every
 * number is 0 and closing frees nothing.
 *
 * It also makes allocations of a role fail at their n-th use.
 *
 * One thread. The table of blocks and the role that is charged are global, because malloc has no
 * argument for them: this library is for tests only.
 */
#ifndef SYS_FAKE_MEMORY_H
#define SYS_FAKE_MEMORY_H

#include "base/str.h"

struct fake_memory;

struct fake_memory *fake_memory_open(void);
/* Frees every block still there. */
void fake_memory_close(struct fake_memory *memory);
/* What is allocated from now on is this role's; NULL: nobody's. Returns who was charged before. */
struct fake_memory *fake_memory_charge(struct fake_memory *memory);

size_t fake_memory_blocks(const struct fake_memory *memory);
size_t fake_memory_bytes(const struct fake_memory *memory);
/* Allocations so far, failed ones included: the range for fake_memory_fail. */
uint64_t fake_memory_taken(const struct fake_memory *memory);
/* The nth allocation from now on (1: the next) and those behind it, `times` in all, give NULL with
 * ENOMEM. times 0: none any more. */
void fake_memory_fail(struct fake_memory *memory, uint64_t nth, uint64_t times);

/* For the wrappers. admit: may it be given? note: it was. forget: false where nobody knew it. */
bool fake_memory_admit(void);
void fake_memory_note(void *at, size_t n, bool mapped);
bool fake_memory_forget(void *at);

#endif
