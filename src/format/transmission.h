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
    TRANSMISSION_COUNT
};

/* `extended`: by EHLO; LHLO always is. `utf8`: SMTPUTF8 was given on MAIL. */
enum transmission transmission_of(bool lmtp, bool extended, bool utf8);

/* "ESMTP", "UTF8SMTP" ... */
const char *transmission_word(enum transmission transmission);

#endif
