/*
 * struct spool: letters that wait in a folder of their user for a way out, while no server of this
 * host and no smart host can be reached.
 *
 * A letter is one file, there whole or not at all: written under another name, synced, renamed. Its
 * name begins with the time it came, so their order is the order of the names. One process at a
 * time sends from a spool (spool_lock); others may put letters in.
 *
 *   NAME.letter   waits
 *   NAME.dotted   beside it: the end of its message was about to leave, and nobody knows what
 * became of it: sent again, it may be a second copy NAME.dead     refused for good; the user's to
 * read and to remove
 *
 * Names given out are without their ending. Nothing yields; all may wait for the disk.
 */
#ifndef CLI_SPOOL_H
#define CLI_SPOOL_H

#include "cli/letter.h"
#include "sys/world.h"

enum {
    SPOOL_NAME_MAX = 64,
    SPOOL_LETTERS_MAX = 100000, /* that are looked at */
};

struct spool {
    struct world *world;
    int folder; /* the caller's, until spool_close */
    int lock;   /* -1: not locked */
    uint64_t put;
};

struct spool_name {
    char text[SPOOL_NAME_MAX]; /* NUL at its end */
    bool dotted, dead;
    uint64_t size;
};

void spool_init(struct spool *spool, struct world *world, int folder);
void spool_close(struct spool *spool);

/* False: another process sends from it now. */
bool spool_lock(struct spool *spool);

/* Durable when it returns. */
struct err spool_put(struct spool *spool, const struct letter *letter, struct spool_name *name_r);
/* In the order they came; dead ones are among them. */
struct err spool_list(struct spool *spool, struct arena *arena, struct spool_name **names_r,
                      size_t *count_r);
/* The letter borrows from the arena. */
struct err spool_read(struct spool *spool, const struct spool_name *name, struct arena *arena,
                      struct letter *letter_r);
/* Durable, before the dot leaves. */
struct err spool_mark(struct spool *spool, const struct spool_name *name);
/* Nothing of it is under way any more. */
void spool_unmark(struct spool *spool, const struct spool_name *name);
/* The letter in the place of what it was: with fewer recipients. */
struct err spool_replace(struct spool *spool, const struct spool_name *name,
                         const struct letter *letter);
struct err spool_remove(struct spool *spool, const struct spool_name *name);
struct err spool_bury(struct spool *spool, const struct letter *letter, struct spool_name *name_r);

#endif
