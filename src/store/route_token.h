/*
 * The refresh token of a route, where its provider gave another one than the operator's file has
 * (RFC 6749 6: the old one may be good no more). As plain as the signing keys of domains are, in a
 * folder that core alone may read.
 *
 * Partition QUEUE/0
 *   't' name of the block -> which grant it continues, when, and the token
 *
 * The record is versioned (FORMAT 1).
 */
#ifndef STORE_ROUTE_TOKEN_H
#define STORE_ROUTE_TOKEN_H

#include "base/sha256.h"
#include "store/engine.h"

struct route_token {
    unsigned char grant[SHA256_SIZE]; /* oauth_grant_digest of the file */
    int64_t since;                    /* microseconds since 1970 */
    struct str refresh_token;
};

/* All may yield. What is read borrows from the arena, which is to be wiped. ERR_NOT_FOUND;
 * ERR_STORE_DAMAGED. */
struct err route_token_read(struct engine *engine, struct str name, struct arena *arena,
                            struct route_token *token_r);
struct err route_token_write(struct engine *engine, struct str name,
                             const struct route_token *token);
/* Nothing happens where there is none. */
struct err route_token_remove(struct engine *engine, struct str name);
/* The names that have one, in order, at most `limit`. */
struct err route_token_names(struct engine *engine, size_t limit, struct arena *arena,
                             struct str **names_r, size_t *count_r);

#endif
