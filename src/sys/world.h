/*
 * struct world: everything a role can touch outside its own memory, as one table of calls shaped
 * like a very small kernel. The server runs on world_real (system calls); tests, fuzzers and the
 * simulator run the same handlers on a fake world with a fake network, clock, disk and randomness.
 * Fault tests wrap a world and make its n-th call fail; crash tests wrap it and record.
 *
 * No code outside src/sys makes a system call; it calls these.
 *
 * A handle is a small integer that names an open socket, file, folder or piece of shared memory: a
 * descriptor in the server, an index into the simulator's tables elsewhere. -1 is no handle.
 *
 * Calls return >= 0, or -errno. None blocks but those marked "waits for the disk": these belong on
 * a worker lane (sys/worker.h), never on a role's loop. None yields the fiber. In the server every
 * call but those on a loop or lane may be made from any thread.
 */
#ifndef SYS_WORLD_H
#define SYS_WORLD_H

#include <sys/uio.h>

#include "base/must.h"
#include "base/str.h"

struct world;
struct loop;
struct watch;
struct lane;
struct job;

enum {
    IP_TEXT = 46 /* octets of an IP address as text, with its NUL */
};

/* The other end of a network connection, as text: "192.0.2.1", "2001:db8::1", "" for a unix socket.
 * An IPv4-mapped IPv6 address is given as IPv4. */
struct peer_address {
    char text[IP_TEXT];
    uint16_t port;
    char server[IP_TEXT]; /* our own address at this end of it, in the same form */
    /* Unix sockets: who is there; -1 elsewhere. */
    int64_t uid;
    int64_t pid;
};

/* A TCP connection that we make. Addresses are IP addresses as text. */
struct connect_to {
    struct str address;
    uint16_t port;
    struct str from;  /* our own address at our end; empty: the system's choice */
    bool may_be_ours; /* the address may be one of this machine's */
};

enum file_open {
    FILE_READ = 1,
    FILE_WRITE = 2,
    FILE_CREATE = 4, /* with FILE_EXCLUSIVE: must not exist */
    FILE_EXCLUSIVE = 8,
    FILE_DIRECT = 16, /* past the page cache, for verification; needs 4 KB alignment */
};

struct world_ops {
    /* Time. mono: nanoseconds since an arbitrary start, never steps, drives every timer.
     * wall: microseconds since 1970 UTC, may jump, goes into records and headers only. */
    int64_t (*mono)(struct world *);
    int64_t (*wall)(struct world *);
    void (*random)(struct world *, void *to, size_t n);

    /* Byte streams. recv: 0 at the orderly end, -EAGAIN when nothing is there. send: how many
     * bytes were taken, -EAGAIN when none; never SIGPIPE. */
    ssize_t (*recv)(struct world *, int handle, void *to, size_t n);
    ssize_t (*send)(struct world *, int handle, const struct iovec *parts, int count);
    /* Takes a waiting connection off a listening socket, non-blocking, or -EAGAIN. What was aborted
     * before it was taken is passed over. -EMFILE, -ENFILE, -ENOBUFS, -ENOMEM leave it queued: the
     * caller backs off for a while (see watch_begin in sys/loop.h). */
    int (*accept)(struct world *, int handle, struct peer_address *peer_r);
    /* Begins a connection: its handle, ready to write when it is over, or -errno of what is known
     * at once. -EINVAL: no address; -EADDRNOTAVAIL: `from` is not ours; -ELOOP: the address is. */
    int (*connect)(struct world *, const struct connect_to *to);
    /* How it went: 0 and both ends, now and as long as it lasts; -EAGAIN: it is not over; else why
     * there is none (-ECONNREFUSED, -EHOSTUNREACH ...), told once. */
    int (*connected)(struct world *, int handle, struct peer_address *ends_r);
    /* The two ends of a connection within this machine, each for whom it is passed to. 0 or -errno.
     */
    int (*stream_pair)(struct world *, int pair_r[2]);
    /* Half-close: nothing more will be sent; reading goes on. */
    int (*finish)(struct world *, int handle);
    int (*close)(struct world *, int handle);

    /* Packets between roles (SOCK_SEQPACKET): whole or not at all, never empty; may carry one
     * handle. recv: 0 at the end. A packet larger than `cap` is -EMSGSIZE and lost, one with more
     * than one handle is -EBADMSG and lost; what they carried is closed. *passed_r is -1 where none
     * came; its receiver owns it. The sender keeps its own copy of `pass` (-1: none). */
    ssize_t (*packet_recv)(struct world *, int handle, void *to, size_t cap, int *passed_r);
    ssize_t (*packet_send)(struct world *, int handle, struct str packet, int pass);

    /* Shared memory that can neither shrink nor grow. map gives the same bytes to each caller, or
     * NULL: no memory, or not such a handle of at least this size (whoever sent it, a later access
     * never faults). Unmapped with unmap; the handle may be closed before. */
    int (*shm_create)(struct world *, size_t size);
    void *(*shm_map)(struct world *, int handle, size_t size);
    void (*shm_unmap)(struct world *, void *at, size_t size);

    /* Files, always beneath an open folder: `name` may hold '/', never an empty part, "." or ".."
     * (-EINVAL), never through a symbolic link (-ELOOP). Modes: files 0600, folders 0700. With
     * `create` a folder that is there already is opened; its parent must exist. Only plain files
     * with one link, owned by us or by the owner of `folder`, are opened: else -EPERM. (Catalogue
     * O01) */
    int (*folder_open)(struct world *, int folder, struct str name, bool create);
    int (*file_open)(struct world *, int folder, struct str name, unsigned how);
    int64_t (*file_size)(struct world *, int file);
    /* Short counts happen at the end of the file only (reads) or never (writes: all or an error,
     * after which the contents of the range are unknown). file_read may wait for the disk. */
    ssize_t (*file_read)(struct world *, int file, void *to, size_t n, uint64_t at);
    /* As file_read, but -EAGAIN where the disk would have to be asked (or the file system cannot
     * tell). */
    ssize_t (*file_read_nowait)(struct world *, int file, void *to, size_t n, uint64_t at);
    ssize_t (*file_write)(struct world *, int file, const struct iovec *parts, int count,
                          uint64_t at);             /* waits for the disk */
    int (*file_sync)(struct world *, int file);     /* fdatasync; waits for the disk */
    int (*folder_sync)(struct world *, int folder); /* waits for the disk */
    int (*file_truncate)(struct world *, int file, uint64_t size);
    /* Really writes zeroes over the range (FALLOC_FL_WRITE_ZEROES or plain writes), so that a later
     * overwrite needs no journal commit. Waits for the disk. */
    int (*file_zero)(struct world *, int file, uint64_t at, uint64_t n);
    /* Replaces what is called `to`. Both are durable with the sync of their folders only. */
    int (*file_rename)(struct world *, int folder, struct str from, struct str to);
    int (*file_remove)(struct world *, int folder, struct str name);
    /* Calls each(arg, name, size) for every plain file of the folder, in no order. */
    int (*folder_list)(struct world *, int folder, void (*each)(void *, struct str, uint64_t),
                       void *arg);
    /* An advisory lock that ends with the process; -EWOULDBLOCK when somebody else holds it. */
    int (*file_lock)(struct world *, int file);
    /* Bytes free for us on the file system of the folder. */
    int64_t (*folder_free)(struct world *, int folder);

    /* How many processors we may use, at least 1: threads beyond that only wait for each other. */
    int (*processors)(struct world *);

    /* One log line, newline included, to wherever the log goes. Never fails visibly. */
    void (*log_line)(struct world *, int word, struct str line);

    /* Readiness: see sys/loop.h, which is the only caller. */
    int (*loop_begin)(struct world *, struct loop *);
    void (*loop_end)(struct world *, struct loop *);
    int (*watch_begin)(struct world *, struct loop *, struct watch *);
    void (*watch_want)(struct world *, struct loop *, struct watch *);
    void (*watch_end)(struct world *, struct loop *, struct watch *);
    /* Waits until a watch is ready or until `deadline` (mono; INT64_MAX: no limit; 0: only look),
     * and calls the watches' functions. */
    void (*wait)(struct world *, struct loop *, int64_t deadline);

    /* Threads: see sys/worker.h, which is the only caller. */
    int (*lane_begin)(struct world *, struct lane *);
    void (*lane_end)(struct world *, struct lane *);
    void (*lane_submit)(struct world *, struct lane *, struct job *);
};

#define WORLD_MAGIC MAGIC('W', 'R', 'L', 'D')

struct world {
    uint32_t magic;
    const struct world_ops *ops;
};

/* The real one. It owns nothing that needs closing; there is one per process. */
struct world *world_real(void);

/*
 * Where the real world's log lines go, until the process ends. Called once at the start, before the
 * sandbox closes and before any thread. Without it: standard error, plain.
 *
 * STANDARD_ERROR  with journald's priority prefix where JOURNAL_STREAM says that it is journald's.
 *                 Writes block where its reader does not read.
 * SYSLOG          facility mail, by a socket to /dev/log that stays open: a line that it does not
 *                 take goes to standard error. -errno if nobody listens there.
 */
enum log_sink {
    LOG_TO_STANDARD_ERROR,
    LOG_TO_SYSLOG
};
int world_real_log_to(struct world *world, enum log_sink sink);

static inline int64_t world_mono(struct world *world)
{
    return world->ops->mono(world);
}

static inline int64_t world_wall(struct world *world)
{
    return world->ops->wall(world);
}

static inline void world_random(struct world *world, void *to, size_t n)
{
    world->ops->random(world, to, n);
}

enum {
    NS_PER_MS = 1000000
};
#define NS_PER_SECOND INT64_C(1000000000)
#define US_PER_SECOND INT64_C(1000000)

#endif
