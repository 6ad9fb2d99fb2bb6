/*
 * The calls of the real world, by file; world_real.c puts them into one table. Their meaning is
 * told in sys/world.h. Only the real_*.c files include this.
 */
#ifndef SYS_REAL_H
#define SYS_REAL_H

#include <stdatomic.h>

#include "sys/loop.h"
#include "sys/worker.h"
#include "sys/world.h"

/* The one world_real() gives. Its log is set before the sandbox closes and before any thread. */
struct real_world {
    struct world world;
    int syslog;                 /* -1: none */
    bool journal;               /* standard error is journald's */
    _Atomic uint64_t unwritten; /* lines that standard error did not take, since one that it took */
};

/* real_loop.c */
int real_loop_begin(struct world *world, struct loop *loop);
void real_loop_end(struct world *world, struct loop *loop);
int real_watch_begin(struct world *world, struct loop *loop, struct watch *watch);
void real_watch_want(struct world *world, struct loop *loop, struct watch *watch);
void real_watch_end(struct world *world, struct loop *loop, struct watch *watch);
void real_wait(struct world *world, struct loop *loop, int64_t deadline);

/* real_net.c */
ssize_t real_recv(struct world *world, int handle, void *to, size_t n);
ssize_t real_send(struct world *world, int handle, const struct iovec *parts, int count);
int real_accept(struct world *world, int handle, struct peer_address *peer_r);
int real_connect(struct world *world, const struct connect_to *to);
int real_connected(struct world *world, int handle, struct peer_address *ends_r);
int real_stream_pair(struct world *world, int pair_r[2]);
int real_finish(struct world *world, int handle);
int real_close(struct world *world, int handle);

/* real_packet.c */
ssize_t real_packet_recv(struct world *world, int handle, void *to, size_t cap, int *passed_r);
ssize_t real_packet_send(struct world *world, int handle, struct str packet, int pass);
int real_shm_create(struct world *world, size_t size);
void *real_shm_map(struct world *world, int handle, size_t size);
void real_shm_unmap(struct world *world, void *at, size_t size);

/* real_open.c */
int real_folder_open(struct world *world, int folder, struct str name, bool create);
int real_file_open(struct world *world, int folder, struct str name, unsigned how);
int real_file_rename(struct world *world, int folder, struct str from, struct str to);
int real_file_remove(struct world *world, int folder, struct str name);
int real_folder_list(struct world *world, int folder, void (*each)(void *, struct str, uint64_t),
                     void *arg);

/* real_file.c */
int64_t real_file_size(struct world *world, int file);
ssize_t real_file_read(struct world *world, int file, void *to, size_t n, uint64_t at);
ssize_t real_file_read_nowait(struct world *world, int file, void *to, size_t n, uint64_t at);
ssize_t real_file_write(struct world *world, int file, const struct iovec *parts, int count,
                        uint64_t at);
int real_file_sync(struct world *world, int file);
int real_folder_sync(struct world *world, int folder);
int real_file_truncate(struct world *world, int file, uint64_t size);
int real_file_zero(struct world *world, int file, uint64_t at, uint64_t n);
int real_file_lock(struct world *world, int file);
int64_t real_folder_free(struct world *world, int folder);

/* real_lane.c */
int real_lane_begin(struct world *world, struct lane *lane);
void real_lane_end(struct world *world, struct lane *lane);
void real_lane_submit(struct world *world, struct lane *lane, struct job *job);

/* real_log.c */
void real_log_line(struct world *world, int word, struct str line);

#endif
