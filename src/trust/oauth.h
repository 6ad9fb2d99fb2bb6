/*
 * OAuth 2.0 (RFC 6749) as a client has it that renews its access token (section 6): what the
 * operator's file says, what is asked of the token endpoint, and what that answers, which is a
 * stranger's. Pure. JSON is counted before it is parsed (token_inside.h), and what it took is wiped
 * behind it, as far as jansson lets us.
 *
 * The file is an object with refresh_token and client_id; client_secret, scope and token_endpoint
 * (or token_uri, as Google calls it) where they are needed. Other members are passed over, so files
 * that Google's libraries and other mail programs made can be used as they are.
 */
#ifndef TRUST_OAUTH_H
#define TRUST_OAUTH_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/sha256.h"
#include "base/str.h"

enum {
    OAUTH_FILE_MAX = 8 * 1024,     /* octets of the operator's file */
    OAUTH_TOKEN_MAX = 4 * 1024,    /* octets of a token: it has to fit a response of SASL */
    OAUTH_TEXT_MAX = 1024,         /* octets of an endpoint, an id, a secret, a scope */
    OAUTH_ANSWER_MAX = 32 * 1024,  /* octets of an answer */
    OAUTH_REQUEST_MAX = 48 * 1024, /* octets of a request's body: each octet of a grant takes 3 */
    OAUTH_ERROR_MAX = 64,
    OAUTH_WHY_MAX = 256,
    OAUTH_LASTS = 3600,      /* seconds, where the answer has none (RFC 6749 5.1) */
    OAUTH_LASTS_MAX = 86400, /* a longer one is asked for anew all the same */
};

/* May be shown to nobody, but for endpoint, client_id and scope. */
struct oauth_grant {
    struct str endpoint; /* "https://..." */
    struct str client_id, client_secret;
    struct str refresh_token;
    struct str scope;
};

/* `endpoint`: where the file names none; may be empty. What it borrows is the arena's.
 * ERR_CONFIG with a literal detail: what is wrong; ERR_NO_MEMORY. */
struct err oauth_grant_parse(struct str json, struct str endpoint, struct arena *arena,
                             struct oauth_grant *grant_r);
/* The same for the same file: by it what was kept for a grant is known again. */
void oauth_grant_digest(const struct oauth_grant *grant, unsigned char digest_r[SHA256_SIZE]);

/* The body of the request, application/x-www-form-urlencoded (RFC 6749 6, 2.3.1); wipe it. False:
 * no room. */
bool oauth_request_print(const struct oauth_grant *grant, struct buf *to);

struct oauth_answer {
    struct str access_token;  /* empty: there is none */
    struct str refresh_token; /* in the place of the one that was used; empty: that one stays */
    uint32_t lasts;           /* seconds */
    struct str error; /* RFC 6749 5.2, "invalid_grant"; else a literal that says what is wrong */
    struct str why;   /* its description, ASCII without controls, without any secret of the grant */
};

/* What came with this status. False: no memory. What it borrows is the arena's; wipe that. */
bool oauth_answer_parse(unsigned status, struct str json, const struct oauth_grant *grant,
                        struct arena *arena, struct oauth_answer *answer_r);

#endif
