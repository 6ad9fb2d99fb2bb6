/*
 * struct keyring: what the users of people.h may log in with, and which networks an operator
 * banned, each with its time. A change that was asked for and not yet acknowledged leaves it open;
 * so does one that core did not outlive, until it was made again. Steps are those of the fake
 * world.
 */
#ifndef SIM_KEYRING_H
#define SIM_KEYRING_H

#include "base/str.h"
#include "people.h"

enum {
    KEYRING_MOST = 200,
    KEYRING_SECRET = 48, /* octets, with the NUL */
    KEYRING_BANS = 100,
    KEY_SMTP = 1 << 0,
    KEY_POP3 = 1 << 1,
    KEY_ALL = KEY_SMTP | KEY_POP3,
};

#define NEVER_STEP UINT64_MAX

/* A time from which on something may hold, and does; and may not, and does not. */
struct key_life {
    uint64_t may_from, is_from, is_until, may_until;
};

/* A password, or an application's. */
struct key {
    int user; /* its place among the users */
    bool app;
    unsigned services;
    char secret[KEYRING_SECRET];
    struct key_life life;
    int64_t ended_at; /* mono, when its end was acknowledged */
};

/* A ban that an operator made: of the addresses that begin like `network`. */
struct known_ban {
    uint32_t network;
    unsigned bits;
    struct key_life life;            /* without its own end */
    int64_t least_until, most_until; /* mono: its own end */
};

struct keyring {
    struct key keys[KEYRING_MOST];
    size_t key_count;
    struct known_ban bans[KEYRING_BANS];
    size_t ban_count;
};

/* Its change is asked for now. NULL: there is no room for more. */
struct key *keyring_add(struct keyring *keyring, int user, bool app, struct str secret,
                        uint64_t step);
/* Of this user, by what he says; NULL: it never was one. */
const struct key *keyring_find(const struct keyring *keyring, int user, struct str secret);
/* Those that are not known to be over, the newest last; `app`: of that kind. */
struct key *keyring_newest(struct keyring *keyring, int user, bool app);
/* One of all there ever were, but the newest. NULL: there is no other. */
const struct key *keyring_older(const struct keyring *keyring, int user, uint64_t which);

/* Something of it changed since, or is being changed. */
bool keyring_changed(const struct keyring *keyring, int user, uint64_t since);

bool life_may(const struct key_life *life, uint64_t since, uint64_t until);
bool life_must(const struct key_life *life, uint64_t since, uint64_t until);

struct known_ban *keyring_ban(struct keyring *keyring, uint32_t network, unsigned bits,
                              uint64_t step);
bool ban_covers(const struct known_ban *ban, uint32_t address);

#endif
