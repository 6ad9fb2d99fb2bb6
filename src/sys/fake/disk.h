/*
 * struct fake_disk: a disk that remembers what a power cut would leave of it. For each file it
 * keeps what is durable and, in order, every write, zeroing and size change since the file's last
 * sync; for the folders, every name made, moved or removed since the folder's last sync.
 *
 * What is promised, as POSIX and the journaled file systems do: file_sync makes the bytes and the
 * size of that file durable, not its name; folder_sync makes the names in that folder durable. A
 * rename is one step: kept or lost as a whole, also between two folders, and a sync of either of
 * them settles it.
 *
 * What a crash may leave (fake_disk_crash): each unsynced write kept, lost, or torn at 512-byte
 * borders of the file, any of them without the earlier ones, but never an older value of a sector
 * over a newer; each unsynced size as after any of the changes; each unsynced name change kept or
 * lost by itself, but a file's later move never without its earlier ones. Unwritten parts inside
 * the size read as zeroes.
 *
 * Crash tests: a hook (sys/fake/call.h) takes fake_disk_clone at each call that could matter; each
 * clone then crashes, by seed or in every possible way (fake_pick_every, with FAKE_TEAR_CUT), is
 * given to a fresh world, recovered and checked. fake_disk_hash tells states that were seen
 * already.
 *
 * A disk outlives the worlds that use it; it is closed after them. Memory: pages are shared between
 * clones, holes and zeroes cost nothing, and above `unsynced_cap` (for names: some thousands) the
 * oldest unsynced changes become durable by themselves, as a kernel writes back.
 *
 * One thread. Nothing here yields. No real memory ends the test (must).
 */
#ifndef SYS_FAKE_DISK_H
#define SYS_FAKE_DISK_H

#include "sys/fake/random.h"

enum {
    FAKE_SECTOR = 512,
    FAKE_NAME_LIMIT = 255
};
#define FAKE_FILE_LIMIT (UINT64_C(1) << 33)

/* Each 0 stands for the value behind it. */
struct fake_disk_settings {
    uint64_t capacity;     /* bytes, counted in pages of 4 KB; 0: no limit */
    uint64_t nodes;        /* files and folders; 0: no limit */
    uint64_t unsynced_cap; /* bytes; 0: 256 MB */
};

struct fake_disk;

struct fake_disk *fake_disk_open(const struct fake_disk_settings *settings); /* NULL: defaults */
/* No world may hold a handle to it any more. */
void fake_disk_close(struct fake_disk *disk);
/* The same disk, unsynced changes included; without handles and locks. */
struct fake_disk *fake_disk_clone(const struct fake_disk *disk);

/* How a write may be torn. */
enum fake_tear {
    FAKE_TEAR_ANY,  /* any subset of its sectors */
    FAKE_TEAR_CUT,  /* its first sectors only: few enough to be enumerated */
    FAKE_TEAR_NEVER /* whole or not at all */
};

/*
 * The power goes, and comes back: the disk becomes one of the states described above, chosen by
 * `pick`; all of it is durable then. Handles to the disk are dead (-EIO), locks are gone.
 * Random picks favour the extremes too: nothing, everything, and everything up to a moment.
 */
void fake_disk_crash(struct fake_disk *disk, struct fake_pick pick, enum fake_tear tear);

/* What is seen now, as one number: names, sizes and bytes. Equal states, equal numbers. */
uint64_t fake_disk_hash(const struct fake_disk *disk);
/* Unsynced changes of files and of names: what a crash would decide about. */
size_t fake_disk_unsynced(const struct fake_disk *disk);

/* Episodes: a full disk, a remount after an error. Both can be taken back. */
void fake_disk_set_capacity(struct fake_disk *disk, uint64_t bytes);
void fake_disk_set_read_only(struct fake_disk *disk, bool read_only);
/* Memory gets scarce and the page cache is dropped: where a sync lied, the old bytes are back. */
void fake_disk_forget_cache(struct fake_disk *disk);
uint64_t fake_disk_used(const struct fake_disk *disk);

/* For oracles and damage tests: the file as it is now, without a world. -ENOENT where it is not. */
int64_t fake_disk_size(const struct fake_disk *disk, struct str path);
ssize_t fake_disk_peek(const struct fake_disk *disk, struct str path, void *to, size_t n,
                       uint64_t at);
/* Writes behind everybody's back, durably: a flipped bit, a lost sector. 0 or -errno. */
int fake_disk_poke(struct fake_disk *disk, struct str path, struct str bytes, uint64_t at);

#endif
