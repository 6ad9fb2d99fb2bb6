/*
 * struct access: what must hold of log-ins, judged from outside (doc/testing.md). Each attempt is
 * told with what was said, when, and what was heard:
 *
 *   in        only with what was valid at some moment between the secret and the reply, not from a
 *             banned address, and with a server that knows the keys (SCRAM)
 *   wrong     the very same words for everybody, and never for what was valid all the time; of
 * these no more from an address, a network or for a name than the limits allow (each is a look at a
 * guess) back-off  only where enough was guessed; at home only what was guessed at home counts
 *   banned    only where an operator banned, or the address went on asking
 *   trouble   only where somebody died, or the disk fails
 *
 * Counts live in core's memory, bans do not: limits are held against what one core heard.
 */
#ifndef SIM_ACCESS_H
#define SIM_ACCESS_H

#include "auth.h"
#include "keyring.h"

enum {
    /* As house_conf.c configures them. */
    ACCESS_PER_ADDRESS = 5,
    ACCESS_PER_NETWORK = 12,
    ACCESS_PER_NAME = 8,
    ACCESS_BAN_AFTER = 12,
};

struct sim;

enum access_outcome {
    ACCESS_CUT, /* no reply */
    ACCESS_IN,
    ACCESS_WRONG,
    ACCESS_OFF, /* the secret is not for this service */
    ACCESS_BACK_OFF,
    ACCESS_LATER, /* others are looked at */
    ACCESS_BANNED,
    ACCESS_MALFORMED,
    ACCESS_TROUBLE,
    ACCESS_STRANGE,
};

struct access_attempt {
    struct auth *auth;
    int user;      /* who is meant; -1: nobody there is */
    uint32_t from; /* IPv4 */
    size_t mark;   /* its place among them */
    /* When the attempt began, and when its secret was said. */
    uint64_t begun_step, said_step;
    int64_t begun_at; /* mono */
    uint64_t lifts;   /* when it began */
    bool said;
};

enum access_counts {
    COUNTS_NOT,
    COUNTS_PERHAPS, /* nothing was heard, or not yet */
    COUNTS_REFUSED, /* told later: nobody looked at it */
    COUNTS_WRONG,
};

/* An attempt, as it may count in core. */
struct access_mark {
    uint32_t from;
    uint32_t name; /* a hash of it, as core folds it */
    bool at_home;
    bool is_old; /* a lifted ban has made it forgotten, perhaps */
    enum access_counts counts;
    int64_t said_at, heard_at;
    uint64_t core_deaths; /* when it began, and when the reply was heard; NEVER_STEP: they differ */
};

/* A ban that the guard made. */
struct access_ban {
    uint32_t from;
    int64_t least_until, heard_at;
    uint64_t core_deaths;
    bool durable; /* it outlives core */
};

struct access {
    struct sim *sim;
    struct access_mark *marks;
    size_t mark_count, mark_room;
    struct access_ban *bans;
    size_t ban_count, ban_room;
    uint64_t lifts;
    bool fair; /* nothing is in anybody's way: no trouble, no queue */
    bool home_known[PEOPLE_USERS];
    struct {
        int64_t at;
        uint64_t core_deaths;
    } home_success[PEOPLE_USERS];         /* that may be noted; at 0: none */
    uint64_t in, wrong, back_off, banned; /* how many */
};

void access_open(struct access *access, struct sim *sim);
void access_close(struct access *access);

struct access_attempt access_begin(struct access *access, struct auth *auth, int user,
                                   uint32_t from);
/* The line that has the secret, or its proof, is said now; later ones change nothing. */
void access_said(struct access *access, struct access_attempt *attempt);
/* `line`: the last reply; str_null: none came. */
enum access_outcome access_judge(struct access *access, const struct access_attempt *attempt,
                                 struct str line);
/* An operator lifted a ban: what its addresses did is forgotten. */
void access_lifted(struct access *access);

/* 10.1.USER.x, where a user lives; 10.5.0.x is where all of them are at times. */
bool access_is_home(uint32_t from);
/* A connection was turned away by the edge, with this line. */
void access_turned_away(struct access *access, uint32_t from, struct str line);
bool access_says_banned(struct str line);

#endif
