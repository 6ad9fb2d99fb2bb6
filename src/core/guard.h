/*
 * struct guard: who guesses passwords. Asked before anything of a log-in is computed, told how it
 * went; gives the same answers for names that exist and for names that do not.
 *
 * Three counts of failures: of the client's address (IPv4 /32, IPv6 /64), of its network (/24, /56)
 * and of the name as typed. Each fades; at its limit the address, network or name backs off, for
 * twice as long each time: whoever asks meanwhile is told "later", and nothing is computed. An
 * address that goes on asking meanwhile is banned, with an end; a ban is for twice as long each
 * time, too. The settings are those of `login` (conf/conf.def).
 *
 * An attempt counts from the asking on: where those that are being looked at would reach a limit if
 * they all failed, the next one is to wait until one of them is decided. So many guesses at once
 * are no more guesses than one after the other.
 *
 * Who tried lately and was not right is told from who comes for the first time (`fresh`): when not
 * everybody can be looked at, the latter are first. A flood has used up its first tries in a
 * moment.
 *
 * The name's count does not bind who comes from a network from which the account logged in well
 * (`known`); an address of login.unlimited_from has no counts but its names'.
 *
 * Memory is taken when it is opened (suspects.h, bans.h); keys are hashed under a key of this
 * process. No clock: mono (nanoseconds) is for counts, wall (microseconds since 1970) for bans,
 * which are shown and kept. Never yields.
 */
#ifndef CORE_GUARD_H
#define CORE_GUARD_H

#include "base/network.h"
#include "conf/conf.h"
#include "core/suspects.h"
#include "trust/bans.h"

enum {
    GUARD_ADDRESSES = 100000,
    GUARD_NETWORKS = 20000,
    GUARD_NAMES = 100000,
};

struct guard_now {
    int64_t mono, wall;
};

enum guard_verdict {
    GUARD_ALLOWED, /* look at it, and tell how it went */
    GUARD_WAIT,    /* ask again when another attempt was decided */
    GUARD_LATER,
    GUARD_BANNED,
};

struct guard_answer {
    enum guard_verdict verdict;
    int64_t wait;     /* LATER, BANNED: nanoseconds until it may be tried again */
    bool new_ban;     /* BANNED: since this very question; to be kept and told */
    struct ban ban;   /* BANNED */
    bool has_dropped; /* and another ban had to go for it */
    struct ban dropped;
};

/* An attempt that was allowed: the caller's, until it told how it went. */
struct guard_attempt {
    struct suspect *address, *network, *name; /* NULL: does not count */
    bool fresh; /* within login.failures_within nobody tried in vain from its address or network */
};

struct guard;

/* `key`: random octets. NULL: no memory. `conf` may be changed at any time. */
struct guard *guard_open(const struct conf *conf, const unsigned char key[SIPHASH_KEY]);
void guard_close(struct guard *guard);
void guard_configure(struct guard *guard, const struct conf *conf);

/* Is it banned? For what comes before a name is known. */
const struct ban *guard_ban_of(const struct guard *guard, struct network client, int64_t wall);

/* `name`: prepared and folded, so that two spellings of one name are one. `known`: see above. */
struct guard_answer guard_ask(struct guard *guard, struct guard_now now, struct network client,
                              struct str name, bool known, struct guard_attempt *attempt_r);

/* How an attempt went, once for each: the password was wrong, it was right, or nobody looked. */
void guard_failed(struct guard *guard, struct guard_now now, struct guard_attempt *attempt);
void guard_right(struct guard *guard, struct guard_attempt *attempt);
void guard_let_go(struct guard *guard, struct guard_attempt *attempt);

/* --- Bans ------------------------------------------------------------------------------------ */

/* All of them, to be looked at: the ones that are over too, until guard_expire. */
const struct bans *guard_bans(const struct guard *guard);
/* An operator's, or one that was kept. true: another had to go, dropped_r. */
bool guard_ban(struct guard *guard, struct guard_now now, const struct ban *ban,
               struct ban *dropped_r);
/* Lifts it and forgets what its addresses did; false: there was none. */
bool guard_lift(struct guard *guard, const struct network *network);
/* One that is over, removed; false: none is. */
bool guard_expire(struct guard *guard, int64_t wall, struct ban *ban_r);

/* How many of each are counted. */
struct guard_sizes {
    size_t addresses, networks, names, bans;
};
struct guard_sizes guard_sizes(const struct guard *guard);

#endif
