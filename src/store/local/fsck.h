/*
 * The parts of fsck (local.h says what it promises): fsck.c goes through log and files,
 * fsck_chain.c mends the chain of segments where it is broken, fsck_index.c goes through the index,
 * fsck_compare.c compares it with the log, fsck_mend.c sets aside and empties damaged segments.
 *
 * What is damaged is set aside: its octets go to quarantine/ as they are, the entries that refer to
 * it stay and are listed there, and its place becomes segment 0, which reads as ERR_STORE_DAMAGED.
 * So a message with a damaged body is still in its mailbox, and fsck is content the next time.
 */
#ifndef STORE_LOCAL_FSCK_H
#define STORE_LOCAL_FSCK_H

#include "store/local/background.h"

struct fsck {
    struct local *local;
    bool repair;
    void (*found)(void *arg, struct str what, bool mended);
    void *arg;
    uint64_t findings;
    bool quiet;      /* a second look at what was mended: findings are not told again */
    bool log_broken; /* some record of the log is damaged */
    bool lost;       /* commits above the index' position are */
    struct buf rows; /* of the index, to be changed: key, there or not, value */
    size_t row_count;
    struct buf list; /* of what was set aside, for quarantine/ */
};

/* Tells and counts one finding. */
void fsck_found(struct fsck *fsck, bool mended, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* A row to be written (value.p == NULL: removed) by fsck_rows_write; only with repair. */
void fsck_row(struct fsck *fsck, struct str key, struct str value);
/* May yield. Writes what fsck_row collected; *any_r: there was something. */
struct err fsck_rows_write(struct fsck *fsck, bool *any_r);

/* May yield. Where the log above the index could not be read: headers and links of its segments;
 * then it is read again. *mended_r: something was written. */
struct err fsck_chain(struct fsck *fsck, bool *mended_r);
/* Where commits are lost: no UID and no modseq that one of them gave is given again. */
struct err fsck_numbers_leap(struct fsck *fsck);
/* May yield. One walk over the index: entries, owners, places and what they name, sums. */
struct err fsck_index(struct fsck *fsck);
/* May yield. The index against one that is built from the log alone. */
struct err fsck_compare(struct fsck *fsck);

/* May yield. The blob's body file, if it has one, goes to quarantine/; its owners are listed. */
struct err fsck_set_aside(struct fsck *fsck, blob_id blob, struct place *place, const char *why);
/* The body file goes to quarantine/ and onto the list: a lost commit may have named it. */
struct err fsck_keep_body(struct fsck *fsck, blob_id blob);
/* May yield. Moves what lives in segments marked damaged, then sets their files aside. */
struct err fsck_empty_damaged(struct fsck *fsck);
/* The list of what was set aside, as a file in quarantine/. */
struct err fsck_list_write(struct fsck *fsck);
/* May yield. */
struct err fsck_index_reset(struct fsck *fsck);
/* Reads the log above the index again; into an index without a position, a checkpoint first. */
struct err fsck_read_again(struct fsck *fsck);

#endif
