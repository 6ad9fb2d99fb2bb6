/*
 * What the files of trust/token.h share: JSON within limits, and keys.
 */
#ifndef TRUST_TOKEN_INSIDE_H
#define TRUST_TOKEN_INSIDE_H

#include <jansson.h>
#include <openssl/evp.h>

#include "trust/token.h"

/* An object and nothing behind it; json_decref it. NULL: something else, a member that comes twice,
 * deeper than TOKEN_JSON_DEPTH, or of more than `values` values. */
json_t *token_json_parse(struct str text, size_t values);

/* The octets of base64url without padding, in the arena; str_null: it is none, or no room. */
struct str token_octets(struct str text, struct arena *arena);

/* A member that is a string, borrowed; str_null: there is none, or it is something else. */
struct str token_member(const json_t *object, const char *name);

struct token_algorithm; /* a row of the table in token_keys.c */

struct token_key {
    const struct token_algorithm *algorithm;
    struct str id; /* kid; may be empty */
    EVP_PKEY *key;
};

struct token_keys {
    uint32_t magic;
    size_t count;
    struct token_key list[TOKEN_KEYS_MAX];
};

/* The one that `head` names; NULL: none, or it might be several. */
const struct token_key *token_key_find(const struct token_keys *keys,
                                       const struct token_head *head);

/* Did the owner of the key sign this? */
bool token_key_verifies(const struct token_key *key, struct str what, struct str signature);

#endif
