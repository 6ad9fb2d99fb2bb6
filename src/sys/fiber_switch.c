/*
 * 10 ns a switch against 180 with ucontext, whose two rt_sigprocmask calls are the difference; on a
 * core that answers a million small commands a second that is a fifth of it.
 */
#include "sys/fiber_switch.h"

#include <stdint.h>
#include <string.h>

#ifdef FIBER_UCONTEXT

/* makecontext passes ints, so a pointer travels in two halves. */
static void ucontext_start(unsigned run_high, unsigned run_low, unsigned arg_high, unsigned arg_low)
{
    uint64_t run = (uint64_t)run_high << 32 | run_low;
    uint64_t arg = (uint64_t)arg_high << 32 | arg_low;
    ((void (*)(void *))(uintptr_t)run)((void *)(uintptr_t)arg);
}

void fiber_place_begin(struct fiber_place *place, void *stack, size_t size, void (*run)(void *),
                       void *arg)
{
    uint64_t r = (uintptr_t)run, a = (uintptr_t)arg;
    getcontext(&place->context);
    place->context.uc_stack.ss_sp = stack;
    place->context.uc_stack.ss_size = size;
    place->context.uc_link = NULL;
    makecontext(&place->context, (void (*)(void))ucontext_start, 4, (unsigned)(r >> 32),
                (unsigned)r, (unsigned)(a >> 32), (unsigned)a);
}

void fiber_place_switch(struct fiber_place *from, struct fiber_place *to)
{
    swapcontext(&from->context, &to->context);
}

#else

void fiber_switch(void **save_r, void *to);
void fiber_start_asm(void);

#if defined(__x86_64__)

/* What fiber_switch pops, lowest address first. */
struct frame {
    uint32_t mxcsr;
    uint16_t x87_control, unused;
    uint64_t r15, r14, r13, r12, rbx, rbp, rip;
};

static void frame_fill(struct frame *frame, void (*run)(void *), void *arg)
{
    __asm__("stmxcsr %0" : "=m"(frame->mxcsr));
    __asm__("fnstcw %0" : "=m"(frame->x87_control));
    frame->r12 = (uintptr_t)arg;
    frame->r13 = (uintptr_t)run;
    frame->rip = (uintptr_t)fiber_start_asm;
}

#elif defined(__aarch64__)

struct frame {
    uint64_t x19, x20, x21_to_x28[8], x29, x30, d8_to_d15[8], fpcr, unused;
};

static void frame_fill(struct frame *frame, void (*run)(void *), void *arg)
{
    __asm__("mrs %0, fpcr" : "=r"(frame->fpcr));
    frame->x19 = (uintptr_t)arg;
    frame->x20 = (uintptr_t)run;
    frame->x30 = (uintptr_t)fiber_start_asm;
}

#endif

/* The stack pointer must be a multiple of 16 where fiber_start_asm begins. */
void fiber_place_begin(struct fiber_place *place, void *stack, size_t size, void (*run)(void *),
                       void *arg)
{
    uintptr_t top = ((uintptr_t)stack + size) & ~(uintptr_t)15;
    struct frame *frame = (struct frame *)(top - sizeof(*frame));
    memset(frame, 0, sizeof(*frame));
    frame_fill(frame, run, arg);
    place->at = frame;
}

void fiber_place_switch(struct fiber_place *from, struct fiber_place *to)
{
    fiber_switch(&from->at, to->at);
}

#endif
