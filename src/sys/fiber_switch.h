/*
 * The change from one stack to another, and nothing else: no pool, no states. Two ways to do it:
 * our own few instructions (fiber_switch.S; x86-64, aarch64) or ucontext, which makes two system
 * calls each time but runs everywhere. FIBER_UCONTEXT=1 asks for the second.
 *
 * Only fiber.c and its tests include this.
 */
#ifndef SYS_FIBER_SWITCH_H
#define SYS_FIBER_SWITCH_H

#include <stddef.h>

#if !defined(FIBER_UCONTEXT) && !defined(__x86_64__) && !defined(__aarch64__)
#define FIBER_UCONTEXT 1
#endif

#ifdef FIBER_UCONTEXT

#include <ucontext.h>

struct fiber_place {
    ucontext_t context;
};

#else

/* Where a stack was left: its pointer, with the registers to restore on top of it. */
struct fiber_place {
    void *at;
};

#endif

/* Makes `place` the beginning of an empty stack: the first switch to it calls run(arg), which must
 * never return. */
void fiber_place_begin(struct fiber_place *place, void *stack, size_t size, void (*run)(void *),
                       void *arg);
/* Leaves the running stack in `from` and goes on at `to`. Returns when somebody switches back. */
void fiber_place_switch(struct fiber_place *from, struct fiber_place *to);

#endif
