/*
 * struct scan: the records of one segment in order, each read whole and checked. For whoever looks
 * at the log from outside: checkpoints, compaction, fsck. It waits for the disk; on a lane, or
 * while nothing else is served. One thread uses it. Memory: the largest record, at least
 * SCAN_WINDOW.
 */
#ifndef STORE_LOCAL_SCAN_H
#define STORE_LOCAL_SCAN_H

#include "store/local/format.h"
#include "sys/world.h"

enum {
    SCAN_WINDOW = 1024 * 1024 /* octets read at once */
};

enum scan_state {
    SCAN_RECORD,   /* whole */
    SCAN_BODY_BAD, /* the deltas are whole, a head or chunk of a blob is not */
    SCAN_DAMAGED,  /* no whole record here, though there should be: scan_resync goes on */
    SCAN_END,
    SCAN_FAILED, /* scan->err: the disk or memory, not the record */
};

struct scan {
    struct world *world;
    int file;
    uint64_t segment; /* sequence: records of another are none */
    uint32_t salt;    /* the segment's */
    uint64_t end;
    bool end_known; /* false: `end` is the file's; the last whole record ends the scan, but where
                       a later group shows that what is behind it was promised */
    uint64_t at;    /* of the record that comes next */
    uint64_t group; /* of the last one */
    struct err err;
    unsigned char *window;
    size_t window_size;
    uint64_t window_at;
    size_t window_n;
};

/* What scan_next found. The record borrows from the scan until its next call. */
struct scanned {
    uint64_t at;
    struct record_header header;
    struct str record; /* header->size octets */
};

void scan_init(struct scan *scan, struct world *world, int file,
               const struct segment_header *header, uint64_t end, bool end_known);
void scan_done(struct scan *scan);
enum scan_state scan_next(struct scan *scan, struct scanned *found_r);
/* After SCAN_DAMAGED: moves on to the next record header that is valid here. False: there is none
 * (or the scan failed). */
bool scan_resync(struct scan *scan);

#endif
