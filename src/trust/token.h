/*
 * Bearer tokens: JSON Web Tokens (RFC 7519) signed by somebody whose public keys we have, as
 * OAUTHBEARER (RFC 7628) and XOAUTH2 bring them. Pure: the clock is given. Never yields.
 *
 * The edge reads the header only (token_head_parse), core checks: the signature first, and nothing
 * of the token is looked at before it holds. What a key is for is fixed by the key, never by the
 * token: RSA, EC and Ed25519 only, no shared secrets, no "none"; keys that a token brings along
 * (jwk, jku, x5c ...) are not looked at (RFC 8725 3.1, 3.10).
 *
 * A token is at most TOKEN_MAX octets; how deep its JSON is and how many values it has is counted
 * before jansson sees it, so what that takes is bounded.
 *
 * ERR_LOGIN_FAILED with a literal detail for the log: not good. ERR_NO_MEMORY.
 */
#ifndef TRUST_TOKEN_H
#define TRUST_TOKEN_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

enum {
    TOKEN_MAX = 8 * 1024,  /* octets of a token */
    TOKEN_PART_MAX = 4096, /* octets of its header, of a signature: base64url */
    TOKEN_KEY_ID_MAX = 256,
    TOKEN_ALGORITHM_MAX = 16,
    TOKEN_JSON_DEPTH = 6,           /* objects and arrays within each other */
    TOKEN_JSON_VALUES = 256,        /* of a header, of the claims */
    TOKEN_KEYS_OCTETS = 256 * 1024, /* of a JWK set */
    TOKEN_KEYS_MAX = 64,            /* of a JWK set */
    TOKEN_KEYS_VALUES = 4096,       /* of a JWK set */
    TOKEN_RSA_LEAST = 2048,         /* bits */
    TOKEN_RSA_MOST = 8192,
    TOKEN_SKEW_MAX = 600,    /* seconds: a larger one counts as this */
    TOKEN_CHECK = 64 * 1024, /* octets an arena must have free for token_check */
};

/* --- Edge ------------------------------------------------------------------------------------ */

struct token_head {
    struct str algorithm; /* alg; never empty */
    struct str key;       /* kid; may be empty */
};

/* Three parts of strict base64url (RFC 7515 7.1), a header without "crit", its "typ" that of a JWT
 * or an access token (RFC 9068) where it has one. In the arena. */
struct err token_head_parse(struct str token, struct arena *arena, struct token_head *head_r);

/* --- Core ------------------------------------------------------------------------------------ */

struct token_keys;

/*
 * A JWK set (RFC 7517 5), in the arena; give it back with token_keys_done before the arena ends. It
 * does not change, and may be used on several threads. A key's algorithm: its "alg"; without one
 * RS256 for RSA, and what the curve says (P-256: ES256, P-384: ES384, Ed25519: EdDSA). Keys that
 * are not for signatures and of kinds that we do not know are passed over.
 *
 * ERR_CONFIG with a literal detail: no JWK set; no key in it that we can use; a malformed, secret
 * (HMAC) or private key; RSA of less than 2,048 bits; two keys of one kid. ERR_NO_MEMORY.
 */
struct err token_keys_parse(struct str json, struct arena *arena, struct token_keys **keys_r);
/* NULL is allowed. */
void token_keys_done(struct token_keys *keys);
size_t token_keys_count(const struct token_keys *keys);

struct token_rules {
    struct str issuer;             /* must be iss; empty: every token is refused */
    struct str audience;           /* must be aud, or among them; empty: every token is refused */
    struct str scope;              /* must be among scope (RFC 8693 4.2) or scp; empty: not asked */
    const struct str *user_claims; /* the first of these that the token has names the user */
    size_t user_claim_count;       /* 0: TOKEN_USER_CLAIMS */
    int64_t now;                   /* seconds since 1970 */
    int64_t skew;                  /* seconds by which clocks may differ */
};

/* email, preferred_username, upn, sub. An "email" whose email_verified is false is refused. */
enum {
    TOKEN_USER_CLAIMS = 4
};
extern const struct str token_user_claims[TOKEN_USER_CLAIMS];

struct token_claims {
    struct str user;    /* UTF-8, not empty, not looked at further */
    struct str subject; /* sub; may be empty */
    struct str id;      /* jti; may be empty */
    int64_t expires;    /* seconds since 1970 */
};

/*
 * Signature, then header, then exp, nbf, iat, iss, aud, scope, user. `head` is what the edge said;
 * it chooses the key, and must be what the signed header says. A token without kid fits where one
 * key alone has its algorithm. Takes 30 microseconds (RSA) to a millisecond (ES384): a loop may
 * call it, behind what slows down strangers. In the arena.
 */
struct err token_check(const struct token_keys *keys, const struct token_head *head,
                       struct str token, const struct token_rules *rules, struct arena *arena,
                       struct token_claims *claims_r);

#endif
