/*
 * Password hashes: made with yescrypt; also taken where a stored hash says so: yescrypt of other
 * costs, scrypt ($7$), argon2id, bcrypt, SHA-512-crypt and SHA-256-crypt, each also behind the name
 * of its scheme as Dovecot writes it ("{BLF-CRYPT}$2y$..."). Pure computing, but for long (tens of
 * milliseconds) and with megabytes of memory: call it on a worker lane, never on a loop. Nothing
 * here has a clock, a descriptor or randomness of its own: salts are given.
 *
 * Application passwords are made by us and have more than 128 random bits: nobody guesses one, so
 * one SHA-256 is enough to keep it, and no lane is needed. The two kinds of hashes are never taken
 * for each other.
 */
#ifndef TRUST_PASSWORD_H
#define TRUST_PASSWORD_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

enum {
    PASSWORD_MAX = 256,            /* octets of a password as typed */
    PASSWORD_HASH_MAX = 256,       /* octets of a stored hash */
    PASSWORD_SALT = 16,            /* octets of randomness password_hash takes */
    PASSWORD_SCRATCH = 128 * 1024, /* what an arena must have free for one call */
    PASSWORD_APP_RANDOM = 18, /* octets of randomness an application password takes: 140 bits */
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

/*
 * The same for a password as a client brought it: prepared (trust/prepare.h), and, where that is
 * not what was typed, as typed too, for hashes that were imported or made before there was
 * SASLprep. Costs twice as much then, whether there is a hash or not.
 */
bool password_verify_typed(struct str typed, struct str hash, struct arena *scratch);

/* Was it made as password_hash makes it today? Others are to be made anew when their password is
 * known, after the next log-in. */
bool password_hash_is_current(struct str hash);

/* Is this the text of a hash that password_verify understands, with a bearable cost? */
bool password_hash_is_known(struct str hash);

/* A password for a person, from 16 random octets: four groups of four letters and digits that
 * cannot be mistaken for each other. In the arena; str_null where it is full. */
struct str password_make(const unsigned char random[PASSWORD_SALT], struct arena *arena);

/* --- Application passwords ------------------------------------------------------------------- */

/* Seven groups of four. In the arena; str_null where it is full. */
struct str password_app_make(const unsigned char random[PASSWORD_APP_RANDOM], struct arena *arena);

/* "$app$" and a SHA-256. In the arena; str_null where it is full. */
struct str password_app_hash(struct str password, struct arena *arena);

/* Is it the password of this hash? False for hashes of other kinds, and where the arena is full.
 * Microseconds, constant time. */
bool password_app_verify(struct str password, struct str hash, struct arena *scratch);

#endif
