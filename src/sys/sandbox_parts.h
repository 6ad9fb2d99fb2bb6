/* The parts of the sandbox, in the order sandbox_enter goes through them. Each says in `report`
 * what the machine cannot do, and fails only where going on would be a lie. */
#ifndef SYS_SANDBOX_PARTS_H
#define SYS_SANDBOX_PARTS_H

#include "sys/sandbox.h"

#if defined(__SANITIZE_ADDRESS__)
#define SANDBOX_UNDER_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANDBOX_UNDER_ASAN 1
#endif
#endif
#ifndef SANDBOX_UNDER_ASAN
#define SANDBOX_UNDER_ASAN 0
#endif

/* Rights to what lies beneath a folder. */
#define SANDBOX_BENEATH (SANDBOX_FOLDER | SANDBOX_TERMINALS)

/* "core: TEXT\n" */
void sandbox_report(const struct sandbox *sandbox, struct buf *report, const char *text);

/* The kernel's version of Landlock; 0: none. */
int landlock_version(const struct sandbox *sandbox);
/* `folder`: a handle of the folder, or -1. */
struct err landlock_enter(const struct sandbox *sandbox, int folder, struct buf *report);

struct err seccomp_enter(const struct sandbox *sandbox, struct buf *report);

#endif
