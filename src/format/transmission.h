/*
 * How a message came, in the words that follow `with` in Received (RFC 3848, RFC 6531 4.3) and that
 * the trace tells. SMTPUTF8 implies that they said EHLO or LHLO. The numbers go over the bus only.
 */
#ifndef FORMAT_TRANSMISSION_H
#define FORMAT_TRANSMISSION_H

#include <stdbool.h>

enum transmission {
    TRANSMISSION_SMTP, /* HELO */
    TRANSMISSION_ESMTP,
    TRANSMISSION_UTF8SMTP,
    TRANSMISSION_LMTP,
    TRANSMISSION_UTF8LMTP,
    TRANSMISSION_ESMTPS, /* S: in TLS; A: from a user who logged in */
    TRANSMISSION_ESMTPA,
    TRANSMISSION_ESMTPSA,
    TRANSMISSION_UTF8SMTPS,
    TRANSMISSION_UTF8SMTPA,
    TRANSMISSION_UTF8SMTPSA,
    TRANSMISSION_LMTPS,
    TRANSMISSION_UTF8LMTPS,
    TRANSMISSION_COUNT
};

/* How a session came to its message. */
struct transmission_facts {
    bool lmtp;     /* nobody logs in there */
    bool extended; /* by EHLO; LHLO always is */
    bool utf8;     /* SMTPUTF8 was given on MAIL */
    bool encrypted, logged_in;
};

enum transmission transmission_of(const struct transmission_facts *facts);
bool transmission_is_lmtp(enum transmission transmission);
/* It came with SMTPUTF8. */
bool transmission_is_utf8(enum transmission transmission);

/* "ESMTP", "UTF8SMTP" ... */
const char *transmission_word(enum transmission transmission);

#endif
