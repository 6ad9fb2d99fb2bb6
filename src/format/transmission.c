/* A number and not the word goes over the bus, so that core prints no text of an edge here. */
#include "format/transmission.h"

#include "base/must.h"

enum transmission transmission_of(bool lmtp, bool extended, bool utf8)
{
    if (lmtp)
        return utf8 ? TRANSMISSION_UTF8LMTP : TRANSMISSION_LMTP;
    if (utf8)
        return TRANSMISSION_UTF8SMTP;
    return extended ? TRANSMISSION_ESMTP : TRANSMISSION_SMTP;
}

const char *transmission_word(enum transmission transmission)
{
    static const char *const words[TRANSMISSION_COUNT] = {
        [TRANSMISSION_SMTP] = "SMTP",         [TRANSMISSION_ESMTP] = "ESMTP",
        [TRANSMISSION_UTF8SMTP] = "UTF8SMTP", [TRANSMISSION_LMTP] = "LMTP",
        [TRANSMISSION_UTF8LMTP] = "UTF8LMTP",
    };
    must((unsigned)transmission < TRANSMISSION_COUNT);
    return words[transmission];
}
