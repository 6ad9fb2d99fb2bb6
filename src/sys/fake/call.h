/*
 * Every call of a fake world, seen: hooks before and after each, for recorders, oracles and faults
 * of any kind, and ready-made faults by call and n-th use.
 *
 * Hooks and faults are the caller's memory and linked in until removed. A hook must not call the
 * world. mono and wall are not shown: they have no effect and cannot fail.
 */
#ifndef SYS_FAKE_CALL_H
#define SYS_FAKE_CALL_H

#include "sys/fake/fake.h"

enum fake_call_kind {
    FAKE_ANY_CALL, /* in a fault: whichever */
    FAKE_RANDOM,
    FAKE_RECV,
    FAKE_SEND,
    FAKE_ACCEPT,
    FAKE_CONNECT,
    FAKE_CONNECTED,
    FAKE_STREAM_PAIR,
    FAKE_FINISH,
    FAKE_CLOSE,
    FAKE_PACKET_RECV,
    FAKE_PACKET_SEND,
    FAKE_SHM_CREATE,
    FAKE_SHM_MAP,
    FAKE_SHM_UNMAP,
    FAKE_FOLDER_OPEN,
    FAKE_FILE_OPEN,
    FAKE_FILE_SIZE,
    FAKE_FILE_READ,
    FAKE_FILE_READ_NOWAIT,
    FAKE_FILE_WRITE,
    FAKE_FILE_SYNC,
    FAKE_FOLDER_SYNC,
    FAKE_FILE_TRUNCATE,
    FAKE_FILE_ZERO,
    FAKE_FILE_RENAME,
    FAKE_FILE_REMOVE,
    FAKE_FOLDER_LIST,
    FAKE_FILE_LOCK,
    FAKE_FOLDER_FREE,
    FAKE_LOG_LINE,
    FAKE_LOOP_BEGIN,
    FAKE_WATCH_BEGIN,
    FAKE_LANE_BEGIN,
    FAKE_LANE_SUBMIT,
    FAKE_CALLS
};

const char *fake_call_name(enum fake_call_kind kind); /* "file_sync" */

/* What a call was asked; members that do not belong to its kind are zero. */
struct fake_call {
    enum fake_call_kind kind;
    int role;
    int handle;
    int passed;                /* packet_send, packet_recv; -1: none */
    uint64_t node;             /* of a file or folder call: the file's number on its disk */
    struct str name, to;       /* file_open ...; rename: from and to; connect: address, from */
    const struct iovec *parts; /* bytes that are sent or written */
    int count;
    uint64_t at, n;
    unsigned how;
    /* Set for `after`: what the caller gets, and the bytes it got. */
    int64_t result;
    struct str got;
    bool lie;    /* a fault's: see below */
    bool unseen; /* the role is dying: no hook, no hash */
};

enum {
    FAKE_DIE = -100000 /* from a hook or as a fault's error: kill the role here (kill_role_at) */
};

struct fake_hook {
    TAILQ_ENTRY(fake_hook) link;
    /* Either may be NULL. before: 0, or -errno that the caller gets instead, or FAKE_DIE. */
    int (*before)(struct fake_hook *, const struct fake_call *);
    void (*after)(struct fake_hook *, const struct fake_call *);
    void *arg;
};

void fake_hook_add(struct fake_world *fake, struct fake_hook *hook);
void fake_hook_remove(struct fake_world *fake, struct fake_hook *hook);

/*
 * Makes calls fail: of this kind and role, from the nth (1: the next) on, `times` of them (0:
 * once). Kinds that cannot fail (random, close, log_line, shm_unmap) are never counted, but
 * FAKE_DIE strikes at any.
 */
struct fake_fault {
    TAILQ_ENTRY(fake_fault) link;
    enum fake_call_kind kind;
    int role;      /* 0: any */
    uint64_t node; /* 0: any file */
    uint64_t nth;
    uint64_t times;
    int error; /* -EIO, -ENOSPC, -EROFS, -EMFILE, -ENOMEM ..., or FAKE_DIE */
    /* For file_sync: what was unsynced is marked clean although it is not on disk. It is still
     * seen, the next sync returns 0, and at a crash it is gone (what ext4, XFS and btrfs do). */
    bool lie;
    uint64_t seen;  /* calls that matched */
    uint64_t fired; /* of them failed */
};

void fake_fault_add(struct fake_world *fake, struct fake_fault *fault);
void fake_fault_remove(struct fake_world *fake, struct fake_fault *fault);

#endif
