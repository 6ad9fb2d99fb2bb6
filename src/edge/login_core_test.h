/*
 * The part of a stage's core that answers log-ins by rule:
 *
 *   "bob" has the password "secret", SCRAM keys for it and the certificate of `fingerprint`; he may
 *   act as himself. His handles are counted; each core begins elsewhere.
 *   "dave" with "secret" is disabled, "off" may not use this service, "later", "fast" and "banned"
 *   hear LOGIN_LATER, LOGIN_BACK_OFF and BANNED, whatever they say. Everybody else fails.
 *   A token is good when it ends in ".good": bob's, or whose the client says he is.
 *
 * SCRAM's salt, rounds and the server's part of the nonce are always the same, so that a
 * transcript can have a client's proof in it.
 */
#ifndef EDGE_LOGIN_CORE_TEST_H
#define EDGE_LOGIN_CORE_TEST_H

#include "base/buf.h"
#include "bus/messages.h"
#include "trust/sasl.h"

enum {
    LOGIN_CORE_ROUNDS = SCRAM_ROUNDS_LEAST,
    LOGIN_CORE_ARENA = 64 * 1024,
};

struct login_core {
    uint64_t handle; /* of the last log-in; each core begins elsewhere */
    uint64_t attempt;
    enum sasl_mechanism mechanism; /* of the attempt */
    char user[SASL_NAME_MAX];
    struct arena arena; /* the attempt's texts */
    struct str bare, server_first;
    size_t logins, logouts, begins, drops; /* how often it was asked and told */
    uint8_t protocol, encrypted;           /* of the last login */
    unsigned char fingerprint[32];         /* the certificate of bob */
    struct buf password, as;               /* of the last one asked for */
};

void login_core_open(struct login_core *core);
void login_core_close(struct login_core *core);
/* Another core: nothing that this one gave out is known. */
void login_core_forget(struct login_core *core);

/* False: that is not about log-ins. What was only told has no answer. */
bool login_core_answer(struct login_core *core, const struct msg *asked, struct msg *answer_r);
bool login_core_knows(const struct login_core *core, uint64_t handle);

#endif
