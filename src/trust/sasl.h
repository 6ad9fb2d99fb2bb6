/*
 * SASL (RFC 4422), the server's side: which mechanisms there are, what their clients say, and the
 * computing of SCRAM and CRAM-MD5. One module for every protocol; a protocol brings its own framing
 * (AUTH of SMTP, RFC 4954, and of POP3, RFC 5034) and base64.
 *
 * The edge parses and asks core; core computes with what is stored. So the parsers here see
 * strangers' octets, and the computing sees typed values only. All of it is pure: randomness is
 * given, results live in the arena. Nothing yields; only scram_keys_make takes long (a worker
 * lane's work).
 *
 * Errors of the parsers: ERR_SASL_SYNTAX; ERR_NO_MEMORY.
 */
#ifndef TRUST_SASL_H
#define TRUST_SASL_H

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

enum sasl_mechanism {
    SASL_PLAIN,              /* RFC 4616 */
    SASL_LOGIN,              /* draft-murchison-sasl-login */
    SASL_CRAM_MD5,           /* RFC 2195 */
    SASL_SCRAM_SHA_1,        /* RFC 5802 */
    SASL_SCRAM_SHA_256,      /* RFC 7677 */
    SASL_SCRAM_SHA_256_PLUS, /* with tls-exporter (RFC 9266) or tls-server-end-point (RFC 5929) */
    SASL_OAUTHBEARER,        /* RFC 7628 */
    SASL_XOAUTH2,
    SASL_EXTERNAL,                    /* RFC 4422 A */
    SASL_MECHANISMS,                  /* how many */
    SASL_USER_PASS = SASL_MECHANISMS, /* POP3's own commands (RFC 1939 7): no mechanism, for logs */
};

enum {
    SASL_MESSAGE_MAX = 9 * 1024, /* octets of one decoded message: 12,288 in base64 */
    SASL_NAME_MAX = 320,         /* octets of a user's name */
    SASL_NONCE_MAX = 256,        /* octets of a client's nonce */
    SCRAM_SALT = 16,
    SCRAM_HASH_MAX = 32,
    SCRAM_ROUNDS_LEAST = 4096, /* RFC 7677 4 */
    SCRAM_ROUNDS_MOST = 10000000,
    SCRAM_NONCE = 24, /* octets of our randomness in a nonce; 32 as text */
};

struct sasl_row {
    const char *name; /* as it is announced and asked for */
    const char *rfc;
    bool shows_password; /* only in TLS */
    bool client_first;   /* its client speaks first: an initial response fits */
    bool needs_tls;      /* bound to the channel, or proved by it */
};

extern const struct sasl_row sasl_rows[SASL_MECHANISMS];
/* In any case of letters. */
bool sasl_find(struct str name, enum sasl_mechanism *mechanism_r);

/* "PLAIN", also of SASL_USER_PASS ("USER"): for logs and the audit. */
struct str sasl_name(enum sasl_mechanism mechanism);

/* --- What clients say ------------------------------------------------------------------------ */

/* UTF-8 without NUL, 1 to SASL_NAME_MAX octets: for names that come alone (LOGIN, EXTERNAL, USER);
 * the parsers below ask it themselves. */
bool sasl_name_is_valid(struct str name);

struct sasl_plain {
    struct str as, user, password;
};
/* Three parts, NUL between them. Names UTF-8, user and password not empty. */
struct err sasl_plain_parse(struct str message, struct sasl_plain *plain_r);

/* CRAM-MD5: "user digest"; 16 octets in digest_r. */
struct err sasl_cram_parse(struct str message, struct str *user_r, unsigned char digest_r[16]);

enum scram_binding {
    SCRAM_BINDS_NOT,  /* n */
    SCRAM_WOULD_BIND, /* y: it would, and thinks that we do not */
    SCRAM_BINDS,      /* p */
};

struct scram_first {
    enum scram_binding binding;
    struct str binding_type; /* "tls-exporter"; SCRAM_BINDS only */
    struct str as, user;     /* unescaped */
    struct str nonce;
    struct str gs2;  /* the header with its commas, as it came: it comes again in c= */
    struct str bare; /* client-first-message-bare, as it came */
};
struct err scram_first_parse(struct str message, struct arena *arena, struct scram_first *first_r);

struct scram_final {
    struct str binding; /* c=, decoded */
    struct str nonce;
    struct str proof;         /* decoded */
    struct str without_proof; /* as it came */
};
struct err scram_final_parse(struct str message, struct arena *arena, struct scram_final *final_r);

struct sasl_bearer {
    struct str user;  /* a= or user=; may be empty */
    struct str token; /* empty where the client only asks what is wanted (RFC 7628 4.3), or has
                         another scheme than Bearer, or no b64token: it is to be told */
};
struct err sasl_oauthbearer_parse(struct str message, struct arena *arena,
                                  struct sasl_bearer *bearer_r);
struct err sasl_xoauth2_parse(struct str message, struct arena *arena,
                              struct sasl_bearer *bearer_r);

/* --- SCRAM, core's part ---------------------------------------------------------------------- */

/* What is stored instead of a password. `length` octets each: 20 (SHA-1) or 32. */
struct scram_keys {
    unsigned char stored[SCRAM_HASH_MAX];
    unsigned char server[SCRAM_HASH_MAX];
};

bool sasl_is_scram(enum sasl_mechanism mechanism);
size_t scram_length(enum sasl_mechanism mechanism);

/* For long: `rounds` HMACs (RFC 5802 3, Hi). The password is prepared already (trust/prepare.h). */
struct err scram_keys_make(enum sasl_mechanism mechanism, struct str password,
                           const unsigned char salt[SCRAM_SALT], uint32_t rounds,
                           struct scram_keys *keys_r);

/* server-first-message: r=client nonce and ours, s=, i=. `random` becomes our nonce. */
struct str scram_server_first(struct str client_nonce, const unsigned char random[SCRAM_NONCE],
                              const unsigned char salt[SCRAM_SALT], uint32_t rounds,
                              struct arena *arena);

/* Does the proof fit? Constant time. server_final_r: "v=...", where it does. */
bool scram_proves(enum sasl_mechanism mechanism, const struct scram_keys *keys, struct str bare,
                  struct str server_first, struct str without_proof, struct str proof,
                  struct arena *arena, struct str *server_final_r);

/* The salt of a user whom there is not: the same at each time, another for each name. */
void scram_salt_made_up(const unsigned char key[32], struct str user,
                        unsigned char salt_r[SCRAM_SALT]);

/* --- CRAM-MD5, core's part ------------------------------------------------------------------- */

/* "<random.time@host>" (RFC 2195 2). */
struct str cram_challenge(const unsigned char random[16], int64_t wall, struct str host,
                          struct arena *arena);
/* Constant time. */
bool cram_proves(struct str secret, struct str challenge, const unsigned char digest[16]);

#endif
