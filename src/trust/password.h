/*
 * Password hashes: made with yescrypt; also taken where a stored hash says so: argon2id, bcrypt,
 * SHA-512-crypt. Pure computing, but for long (tens of milliseconds) and with megabytes of memory:
 * call it on a worker lane, never on a loop. Nothing here has a clock, a descriptor or randomness
 * of its own: salts are given.
 */
#ifndef TRUST_PASSWORD_H
#define TRUST_PASSWORD_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

enum {
    PASSWORD_MAX = 256,       /* octets of a password as typed */
    PASSWORD_HASH_MAX = 256,  /* octets of a stored hash */
    PASSWORD_SALT = 16,       /* octets of randomness password_hash takes */
    PASSWORD_SCRATCH = 65536, /* what an arena must have free for one call */
};

/* A new yescrypt hash, in the arena. ERR_USAGE: empty, too long, or with a NUL; ERR_NO_MEMORY. */
struct err password_hash(struct str password, const unsigned char salt[PASSWORD_SALT],
                         struct arena *arena, struct str *hash_r);

/*
 * Is it the password of this hash? False also for a hash of an unknown form, for an empty one (an
 * account that cannot log in) and where memory is short. An unknown user, or a known one without a
 * hash, must cost as much: give str_null as the hash, and a hash of the default cost is computed
 * for nothing.
 */
bool password_verify(struct str password, struct str hash, struct arena *scratch);

/* Is this the text of a hash that password_verify understands, with a bearable cost? */
bool password_hash_is_known(struct str hash);

/* A password for a person, from 16 random octets: four groups of four letters and digits that
 * cannot be mistaken for each other. In the arena; str_null where it is full. */
struct str password_make(const unsigned char random[PASSWORD_SALT], struct arena *arena);

#endif
