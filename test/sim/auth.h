/*
 * struct auth: a client's part of one attempt to log in, by one mechanism, in the words of POP3 or
 * SMTP. It is given each reply and tells what is said next. Written with OpenSSL and nothing of
 * trust/, so that it is not our own code that is asked. Driver only; nothing here yields.
 */
#ifndef SIM_AUTH_H
#define SIM_AUTH_H

#include "base/buf.h"
#include "sys/fake/random.h"

enum auth_way {
    AUTH_USER_PASS, /* POP3's own; PLAIN where it is spoken to a submission listener */
    AUTH_PLAIN,
    AUTH_LOGIN,
    AUTH_SCRAM,  /* SCRAM-SHA-256 */
    AUTH_CANCEL, /* begins LOGIN and gives it up */
    AUTH_BROKEN, /* says what is no base64 */
    AUTH_WAYS
};

enum {
    AUTH_NAME_MAX = 64, /* octets, with the NUL */
    AUTH_LINE_MAX = 1024,
};

struct auth {
    enum auth_way way;
    bool smtp;
    char name[AUTH_NAME_MAX], secret[AUTH_NAME_MAX];
    int step;
    bool impostor; /* SCRAM: the server's last word does not show that it knows the keys */
    bool proves;   /* all of the secret was said, or proved */
    char nonce[33], bare[128], server_first[256];
    unsigned char server_signature[32];
};

struct auth auth_make(enum auth_way way, bool smtp, struct str name, struct str secret,
                      struct fake_random *random);
/* The first line, without its CR LF. */
void auth_begin(struct auth *auth, struct buf *line);
/* The line that answers this one. False: the attempt is over, and the reply says how. */
bool auth_next(struct auth *auth, struct str reply, struct buf *line);

#endif
