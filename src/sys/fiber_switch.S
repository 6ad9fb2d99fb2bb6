/*
 * void fiber_switch(void **save_r, void *to)
 *
 * Keeps what the calling convention says a callee keeps (and the rounding modes of the floating
 * point units) on the stack we leave, stores that stack's pointer in *save_r, and goes on where `to`
 * was left. No signal mask: that is two system calls, and roles do not change theirs per fiber.
 *
 * fiber_start_asm is where a new stack begins: it calls the kept register's function with the kept
 * argument, which never returns. Frames are laid out by fiber_stack_begin in fiber.c.
 */

#if defined(__x86_64__)

        .text
        .globl  fiber_switch
        .hidden fiber_switch
        .type   fiber_switch, @function
        .p2align 4
fiber_switch:
        .cfi_startproc
        endbr64
        pushq   %rbp
        pushq   %rbx
        pushq   %r12
        pushq   %r13
        pushq   %r14
        pushq   %r15
        subq    $8, %rsp
        stmxcsr (%rsp)
        fnstcw  4(%rsp)
        movq    %rsp, (%rdi)
        movq    %rsi, %rsp
        ldmxcsr (%rsp)
        fldcw   4(%rsp)
        addq    $8, %rsp
        popq    %r15
        popq    %r14
        popq    %r13
        popq    %r12
        popq    %rbx
        popq    %rbp
        ret
        .cfi_endproc
        .size   fiber_switch, .-fiber_switch

        .globl  fiber_start_asm
        .hidden fiber_start_asm
        .type   fiber_start_asm, @function
        .p2align 4
fiber_start_asm:
        .cfi_startproc
        .cfi_undefined rip
        endbr64
        movq    %r12, %rdi
        callq   *%r13
        ud2
        .cfi_endproc
        .size   fiber_start_asm, .-fiber_start_asm

/*
 * Indirect branches are tracked (IBT), but no shadow stack is promised: we change stacks behind its
 * back. The linker keeps only what every object promises, so a program with this file in it is never
 * started with a shadow stack.
 */
        .section .note.gnu.property, "a"
        .p2align 3
        .long   4               /* length of the name */
        .long   16              /* length of the property */
        .long   5               /* NT_GNU_PROPERTY_TYPE_0 */
        .asciz  "GNU"
        .long   0xc0000002      /* GNU_PROPERTY_X86_FEATURE_1_AND */
        .long   4
        .long   1               /* IBT, without SHSTK (2) */
        .long   0

#elif defined(__aarch64__)

        .text
        .globl  fiber_switch
        .hidden fiber_switch
        .type   fiber_switch, %function
        .p2align 4
fiber_switch:
        .cfi_startproc
        hint    #34             /* bti c */
        sub     sp, sp, #176
        stp     x19, x20, [sp]
        stp     x21, x22, [sp, #16]
        stp     x23, x24, [sp, #32]
        stp     x25, x26, [sp, #48]
        stp     x27, x28, [sp, #64]
        stp     x29, x30, [sp, #80]
        stp     d8, d9, [sp, #96]
        stp     d10, d11, [sp, #112]
        stp     d12, d13, [sp, #128]
        stp     d14, d15, [sp, #144]
        mrs     x9, fpcr
        str     x9, [sp, #160]
        mov     x9, sp
        str     x9, [x0]
        mov     sp, x1
        ldr     x9, [sp, #160]
        msr     fpcr, x9
        ldp     d14, d15, [sp, #144]
        ldp     d12, d13, [sp, #128]
        ldp     d10, d11, [sp, #112]
        ldp     d8, d9, [sp, #96]
        ldp     x29, x30, [sp, #80]
        ldp     x27, x28, [sp, #64]
        ldp     x25, x26, [sp, #48]
        ldp     x23, x24, [sp, #32]
        ldp     x21, x22, [sp, #16]
        ldp     x19, x20, [sp]
        add     sp, sp, #176
        ret
        .cfi_endproc
        .size   fiber_switch, .-fiber_switch

        .globl  fiber_start_asm
        .hidden fiber_start_asm
        .type   fiber_start_asm, %function
        .p2align 4
fiber_start_asm:
        .cfi_startproc
        .cfi_undefined x30
        hint    #36             /* bti j */
        mov     x0, x19
        blr     x20
        brk     #1
        .cfi_endproc
        .size   fiber_start_asm, .-fiber_start_asm

#endif

        .section .note.GNU-stack, "", %progbits
