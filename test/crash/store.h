/*
 * The real engine over the real world, in a folder: opened as core opens it, a function run on a
 * fiber of it, and what it holds listed for the oracle.
 */
#ifndef CRASH_STORE_H
#define CRASH_STORE_H

#include "store/local/local.h"
#include "sys/fiber.h"
#include "trial.h"

struct store {
    const char *path;
    int folder;
    struct local_settings settings;
    struct loop loop;
    struct fiber_pool *fibers;
    struct engine *engine; /* NULL: not open */
    void *arg;             /* of whoever runs on it */
};

extern const char store_count_key[];
extern const char store_gone_key[];

enum {
    STORE_SEGMENT = 64 * 1024,
    STORE_VALUE = 16 /* modseq u64, the delivery's number u32, the flag's u32 */
};

struct partition store_box(unsigned box);
struct partition store_account(unsigned box);
void store_value(unsigned char to[STORE_VALUE], uint32_t number, uint32_t flag);

/* Runs `run` on a fiber until it returns. Threads start with the engine: only in a process that
 * does nothing else. */
void store_run(struct store *store, const char *path, void (*run)(struct store *));

/* On the fiber. The index is made anew where it is damaged, as core does. */
struct err store_open(struct store *store);
void store_close(struct store *store);
/* All that there is. False: *why says what is wrong in itself. */
bool store_list(struct store *store, struct listing *listing, struct buf *why);
/* fsck. False: it could not, or found something, in *why. With `repair` what it finds is no fault.
 */
bool store_fsck(struct store *store, bool repair, struct buf *why);

#endif
