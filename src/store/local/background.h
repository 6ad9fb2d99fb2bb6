/*
 * The work that goes on behind the commits: checkpoints of the index into the log, compaction, and
 * fsck. One of them at a time, each on a fiber of its own or its caller's; what reads files runs on
 * the reader lane.
 *
 * A segment may be freed when
 *   F1  no blob lives in it: its row in the index is gone, and so is every newer row of it;
 *   F2  the index is complete beyond it: the applied position lies in a later segment;
 *   F3  a checkpoint that is complete and durable pictures a position in a later segment, so that
 *       a lost index can be rebuilt without it;
 *   F4  nobody has it pinned.
 * Blobs move by ordinary groups (RECORD_MOVE), whose rows reach the index like any commit's.
 */
#ifndef STORE_LOCAL_BACKGROUND_H
#define STORE_LOCAL_BACKGROUND_H

#include "store/local/engine_local.h"
#include "store/local/scan.h"

/* Takes the turn; may yield until whoever has it is done. ERR_SHUTTING_DOWN while closing. */
struct err background_begin(struct local *local);
void background_end(struct local *local);

/* Pins the segment and begins to scan it from its first record. Where its records end is known
 * from the header behind it, or from the log's own end. */
struct err segment_scan_begin(struct local *local, struct segment *segment, struct scan *scan);
/* Gives the memory back and unpins. */
void segment_scan_end(struct local *local, struct segment *segment, struct scan *scan);

/* With the turn. May yield: writes a checkpoint of the index as it is applied now. *position_r is
 * what it pictures. */
struct err checkpoint_write(struct local *local, struct log_position *position_r);

/*
 * While the store is opened, when the index has no position: empties the index and loads the newest
 * checkpoint that is complete and whole into it, so that replay goes on from there. Without one it
 * stays empty, and replay begins at the first segment. Waits for the disk.
 */
struct err checkpoint_restore(struct local *local);

/* Does the log hold a complete checkpoint of a position behind `from`? Waits for the disk. */
struct err checkpoint_is_behind(struct local *local, struct log_position from, bool *behind_r);

/* --- compact.c ------------------------------------------------------------------------------- */

/* With the turn. May yield: empties segments whose live share is low and frees what may go, if at
 * least `least_dead` octets come free. `paced`: slowly. Damage in a segment leaves that one alone;
 * the others are done, and ERR_STORE_DAMAGED is the result. */
struct err compact_run(struct local *local, bool paced, uint64_t least_dead);

/* F1, F2, F4, and F3 where `checkpoint` is the position a durable checkpoint pictures. */
bool segment_may_go(struct local *local, const struct segment *segment,
                    struct log_position checkpoint);

#endif
