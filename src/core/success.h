/*
 * struct successes: passwords that were right a while ago, so that a program that logs in all day
 * costs no hash each time. What is kept is an HMAC-SHA-256, under a key of this process, over
 * account, credential version and password: no password can be read from it, and after any change
 * of the account's credentials (a new version) it fits no more.
 *
 * It is asked behind the guard only: it would else be a place where guesses cost little. One size,
 * taken at the opening; where a place is needed the oldest of a few goes. Times are mono; the key
 * is wiped at the end. Never yields.
 */
#ifndef CORE_SUCCESS_H
#define CORE_SUCCESS_H

#include "base/str.h"

enum {
    SUCCESS_KEY = 32,       /* octets */
    SUCCESSES_MOST = 65536, /* passwords that are kept */
};

/* Whose password, as of when: nobody else's and of no other time. */
struct success_of {
    uint64_t account, version;
    struct str password;
};

struct successes;

/* NULL: no memory. `key`: random octets. */
struct successes *successes_open(const unsigned char key[SUCCESS_KEY]);
void successes_close(struct successes *successes);

/* Was it right at `since` or later? */
bool success_known(const struct successes *successes, const struct success_of *of, int64_t since);
void success_note(struct successes *successes, const struct success_of *of, int64_t now);

#endif
