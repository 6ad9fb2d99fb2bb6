/*
 * Segment files: the chain of files the log is written into (doc/format.md). Here are their names,
 * their headers and their handles; what lies behind the header is record.c's and commit.c's.
 *
 * struct segments belongs to the loop's thread. What waits for the disk is split off into structs
 * that own their input (segment_make, segment_spare), so that a lane may run them while the loop
 * goes on; their results are then handed back on the loop.
 *
 * At most SEGMENT_FILES_MAX files are kept open, those least lately used are closed first. A
 * segment that is pinned is neither closed nor recycled.
 */
#ifndef STORE_LOCAL_SEGMENT_H
#define STORE_LOCAL_SEGMENT_H

#include <bsd/sys/tree.h>
#include <sys/queue.h>

#include "store/local/format.h"
#include "sys/world.h"

enum {
    SEGMENT_FILES_MAX = 256, /* open at once, the pinned ones not counted */
    SEGMENT_NAME_MAX = 40,
};

/* A segment that exists under its name in log/. */
struct segment {
    TAILQ_ENTRY(segment) link; /* by sequence, lowest first */
    RB_ENTRY(segment) by_sequence;
    TAILQ_ENTRY(segment) recent; /* open and not pinned, least lately used first */
    uint64_t sequence;
    uint64_t file_size; /* when it was listed or made */
    int file;           /* -1: not open now */
    unsigned pins;
    /* fsck's: what it counted here, and whether something here is damaged. */
    uint64_t seen_live, seen_blobs;
    bool seen_row;
    bool damaged;
    uint64_t read_to; /* every record below was read and is whole, bodies too; 0: not known */
};

TAILQ_HEAD(segment_list, segment);
RB_HEAD(segment_tree, segment);

struct segments {
    struct world *world;
    int folder; /* log/ */
    uint64_t segment_size;
    struct segment_list list;
    struct segment_tree tree;
    struct segment_list recent;
    size_t count;
    size_t open; /* in `recent` */
    /* Names of spares are spare-N; those listed and not in use now. */
    uint64_t *spares;
    size_t spare_count, spare_cap;
    uint64_t spare_next; /* the number of the next spare that is made */
};

/* Lists log/ (made, and its name synced, if it is not there). Reads no header and opens no file.
 * *segments is filled. */
struct err segments_open(struct segments *segments, struct world *world, int store_folder,
                         uint64_t segment_size);
/* Closes every file. Nothing may be pinned. */
void segments_close(struct segments *segments);

struct segment *segment_find(struct segments *segments, uint64_t sequence); /* or NULL */
struct segment *segment_last(struct segments *segments);                    /* or NULL: none */

/* Opens the file if it is not open, and pins it. ERR_STORE_DAMAGED with NOT_FOUND's errno if it is
 * gone; other errors as err_os. */
struct err segment_pin(struct segments *segments, struct segment *segment);
void segment_unpin(struct segments *segments, struct segment *segment);

/* Pins, reads and unpins. ERR_STORE_DAMAGED: not a header of this segment. OS errors as they are.
 */
struct err segment_read_header(struct segments *segments, struct segment *segment,
                               struct segment_header *header_r);

/* Writes the header of a damaged segment again, over the first SEGMENT_HEADER_SIZE octets, and
 * syncs it. What stood there is kept as quarantine/header-SEQUENCE-MICROSECONDS first. Waits for
 * the disk.
 */
struct err segment_header_mend(struct segments *segments, struct segment *segment,
                               const struct segment_header *header, int store_folder);

/* --- Making one: on a lane -------------------------------------------------------------------- */

struct segment_make {
    struct world *world;
    int folder;
    struct segment_header header;
    bool have_spare;
    uint64_t spare;
    struct segment *segment; /* for segment_make_end, so that it cannot run out of memory */
    /* Results. */
    struct err err; /* on an error nothing but a spare may be left behind */
    int file;
};

/* Takes a spare off the list if there is one. On the loop. */
void segment_make_begin(struct segments *segments, const struct segment_header *header,
                        struct segment_make *make_r);
/* Waits for the disk: header into the spare (or a new file), file synced, renamed, folder synced.
 */
void segment_make_run(struct segment_make *make);
/* On the loop: the new segment, in the list and pinned, or NULL after an error: make->err. */
struct segment *segment_make_end(struct segments *segments, struct segment_make *make);

/* --- Spares: on a lane ------------------------------------------------------------------------ */

/* One is filled in steps, so that none holds much of the disk's queue between a group and its
 * sync. */
struct segment_spare {
    struct world *world;
    int folder;
    uint64_t spare;
    uint64_t end;    /* octets it is to have */
    uint64_t filled; /* octets that are written and synced */
    uint64_t step;   /* octets that the next run writes, or what is left */
    int file;        /* -1: closed */
    struct err err;
};

/* prefill: zero-fill the whole file; else only a header's room. Touches no file. */
void segment_spare_begin(struct segments *segments, bool prefill, struct segment_spare *spare_r);
/* Waits for the disk: makes the file at first, writes a step of zeroes, syncs it. After an error
 * the file is gone. */
void segment_spare_run(struct segment_spare *spare);
static inline bool segment_spare_whole(const struct segment_spare *spare)
{
    return spare->filled == spare->end;
}
/* On the loop, of one that is whole or failed: into the list; on an error (spare->err) its file is
 * gone. */
void segment_spare_end(struct segments *segments, struct segment_spare *spare);
/* On the loop, of any: the file stays as it is. */
void segment_spare_leave(struct segment_spare *spare);
size_t segments_spares(const struct segments *segments);
/* Removes spares that are shorter than a segment: they were being filled when a process ended. */
void segments_short_spares_remove(struct segments *segments);

/* --- Letting one go --------------------------------------------------------------------------- */

/* Renames it to a spare and forgets it; `keep_spares`: with as many spares already there the file
 * is removed instead. Must not be pinned. The caller has made sure that nothing needs it, now or
 * after a crash. Does not wait for the disk: a crash may bring the segment back, dead as it was. */
struct err segment_recycle(struct segments *segments, struct segment *segment, size_t keep_spares);

/* Moves the file to quarantine/ under its name and forgets it. Waits for the disk. */
struct err segment_quarantine(struct segments *segments, struct segment *segment, int store_folder);

/* "00000000000000ff.seg" and back; false: no segment's name. */
struct str segment_name(uint64_t sequence, char to[SEGMENT_NAME_MAX]);
bool segment_name_parse(struct str name, uint64_t *sequence_r);

#endif
