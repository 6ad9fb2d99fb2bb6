/*
 * Processes, listening sockets and signals: what the parent, the command line and tests need of the
 * system beyond struct world. Real world only; the simulator has no parent.
 */
#ifndef SYS_PROCESS_H
#define SYS_PROCESS_H

#include "base/buf.h"
#include "base/err.h"
#include "sys/loop.h"

/* A pair of connected packet sockets, close-on-exec, non-blocking. */
struct err process_socket_pair(int pair_r[2]);

/*
 * Starts this very executable again as `role` (argv: "veredus", "role", ROLE), with `link` as
 * descriptor 3 and standard error kept; everything else is closed. The role ignores SIGINT, SIGTERM
 * and SIGHUP: a terminal sends them to all of us, and it is the parent that says when to stop.
 * *pid_r gets its process id. Only for processes with one thread.
 */
struct err process_start_role(const char *role, int link, int64_t *pid_r);
/* The link a role was started with. */
enum {
    PROCESS_ROLE_LINK = 3
};

/* From now on memory that was taken in pieces of a megabyte or more goes back to the system as soon
 * as it is given back. Without this the C library keeps it for the next one, once it saw the first.
 */
void process_memory_returns(void);

/* Reaps one child that ended: its pid, or 0. *how_r says how in words ("exit 1", "signal 9"). */
int64_t process_reap(struct buf *how_r);
void process_terminate(int64_t pid); /* SIGTERM */
void process_kill(int64_t pid);      /* SIGKILL */
/* Has this pid a live process? */
bool process_alive(int64_t pid);
int64_t process_own_pid(void);
bool process_is_root(void);
int64_t process_own_uid(void);
bool process_has_user(struct str user);
/* Who runs this process, as the system's list of users has him; appended to the bufs. False: it
 * does not know him. `full`: the first part of the comment (GECOS), '&' in it his name. */
bool process_own_user(struct buf *name, struct buf *full, struct buf *home);
/* The value of a variable of the environment; appended. False: there is none. */
bool process_environment(const char *name, struct buf *to);
/* Is standard input a terminal? */
bool process_input_is_terminal(void);
/* False: the system has no such group. */
bool process_group(struct str name, int64_t *gid_r);
/* Root's folder becomes this user's; it may be the user's already, and nobody else's. */
struct err process_give_folder(struct str path, struct str user);
/* IPv4 or IPv6 addresses of a name, as the system looks them up; may wait for the network. False:
 * nobody knows now. None found: true, and *count_r 0. */
struct process_address {
    unsigned char octets[16]; /* the first 4 of IPv4 */
};
bool process_addresses(struct str name, bool six, struct process_address *list, size_t most,
                       size_t *count_r);
/* The system's host name. */
void process_host_name(struct buf *to);

/* SIGHUP, SIGINT, SIGTERM and SIGCHLD as events: `got` runs on the loop. SIGPIPE is ignored. One
 * per process; NULL where the system says no. */
struct signals;
struct signals *signals_open(struct loop *loop, void (*got)(void *arg, int signal), void *arg);
void signals_close(struct signals *signals);

/* "127.0.0.1:2525", "[::1]:2525", "*:25" -> a listening TCP socket with SO_REUSEADDR, non-blocking.
 * "*" is IPv6 and IPv4 in one socket, or IPv4 where the system has no IPv6; "[::]" is IPv6 alone.
 */
struct err process_listen(struct str address, int *handle_r);
/* A unix packet socket at path, mode 0600; a stale one is replaced only if nobody answers there
 * (else errno EADDRINUSE). A path has at most 107 octets. */
struct err process_listen_unix(struct str path, int *handle_r);
struct err process_connect_unix(struct str path, int *handle_r);
/* A unix stream socket at path, likewise, that everybody may connect to; with a group: its members
 * alone, and root. ERR_CONFIG: there is no such group. */
struct err process_listen_local(struct str path, struct str group, int *handle_r);
struct err process_connect_local(struct str path, int *handle_r);

/* `path` as it is from the root folder on; unchanged where the working folder has no name. */
void process_absolute_path(struct str path, struct buf *to);

/* What comes on standard input goes to the handle, and what comes there to standard output, until
 * the other side has ended. Takes the handle over. */
struct err process_pass(int handle);

/* May we read the file? */
bool process_may_read(struct str path);
/* Does it belong to another user than the one who runs this process? False where there is none. */
bool process_is_anothers(struct str path);

/* Whole small files, for the configuration and the command line. At most `max` bytes. */
struct err process_read_file(struct str path, size_t max, struct buf *to);
/* The same of standard input, from where it is: it may be a pipe or a socket that another user
 * made, as cron does, and such a one cannot be opened by its name (/dev/stdin). That others have it
 * non-blocking does not matter. */
struct err process_read_input(size_t max, struct buf *to);
/* Of a secret that is in a file: ERR_NOT_ALLOWED where others than its owner have any right to it,
 * ERR_USAGE where it is none (a pipe, a folder); never waits for anybody.
 * The caller wipes; nothing else keeps octets of it. */
struct err process_read_secret(struct str path, size_t max, struct buf *to);
/* Atomically: a new file beside it, synced, renamed over it, folder synced. */
struct err process_write_file(struct str path, struct str bytes, unsigned mode);
/* The same, but a file that is there already stays as it is: ERR_EXISTS. */
struct err process_new_file(struct str path, struct str bytes, unsigned mode);
struct err process_make_folder(struct str path, unsigned mode);
struct err process_open_folder(struct str path, int *handle_r);
struct err process_remove_file(struct str path);

/* From the terminal without echo, or a line of standard input where that is no terminal. */
struct err process_read_password(struct str prompt, struct buf *to);

#endif
