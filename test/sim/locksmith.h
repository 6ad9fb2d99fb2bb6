/*
 * The locksmith: another clerk, who changes passwords, makes and revokes those of applications, and
 * bans networks, by the operator's commands and one after the other, while users log in. What he
 * does he does again until it is acknowledged; the keyring knows since when.
 */
#ifndef SIM_LOCKSMITH_H
#define SIM_LOCKSMITH_H

#include "command.h"
#include "house.h"
#include "keyring.h"

struct sim;

enum locksmith_act {
    ACT_PASSWORD, /* a new one */
    ACT_APP_ADD,
    ACT_APP_REMOVE,
    ACT_BAN,
    ACT_LIFT,
    ACT_BAN_LIST,
    ACTS
};

struct locksmith {
    struct sim *sim;
    struct fake_event next;
    struct fake_random random;
    struct keyring keyring;
    uint32_t acts_left;
    uint64_t secrets; /* made so far */
    bool idle;

    /* What is being done. */
    enum locksmith_act act;
    bool busy, asked, again;
    int user;
    struct key *key;       /* that begins, or ends */
    struct key *old;       /* PASSWORD: the one before */
    struct known_ban *ban; /* that begins, or ends */
    int64_t begun_at;      /* mono, the newest try */
    uint64_t begun_step;
    char network[24];
    uint32_t seconds; /* a ban's */
    uint64_t core_deaths;
    int exit_code;
    struct command_answer answer;
    struct house_errand errand;
};

/* Everybody has a password, and nobody banned. Before anything else of a run. */
void locksmith_open(struct locksmith *locksmith, struct sim *sim, uint32_t acts);
/* Bans this network for so long, and waits for it. */
void locksmith_ban(struct locksmith *locksmith, const char *network, uint32_t seconds);
/* His work from now on. */
void locksmith_start(struct locksmith *locksmith);
/* Finishes what he is at, and no more. */
bool locksmith_is_settled(const struct locksmith *locksmith);

/* What this user types now. */
struct str locksmith_password(struct locksmith *locksmith, int user);

#endif
