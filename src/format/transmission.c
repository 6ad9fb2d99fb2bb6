/* A number and not the word goes over the bus, so that core prints no text of an edge here. */
#include "format/transmission.h"

#include "base/must.h"
#include "base/str.h"

enum transmission transmission_of(const struct transmission_facts *facts)
{
    static const enum transmission plain[2][2] = {
        {TRANSMISSION_ESMTP, TRANSMISSION_ESMTPA},
        {TRANSMISSION_ESMTPS, TRANSMISSION_ESMTPSA},
    };
    static const enum transmission utf8[2][2] = {
        {TRANSMISSION_UTF8SMTP, TRANSMISSION_UTF8SMTPA},
        {TRANSMISSION_UTF8SMTPS, TRANSMISSION_UTF8SMTPSA},
    };
    if (facts->lmtp && facts->encrypted)
        return facts->utf8 ? TRANSMISSION_UTF8LMTPS : TRANSMISSION_LMTPS;
    if (facts->lmtp)
        return facts->utf8 ? TRANSMISSION_UTF8LMTP : TRANSMISSION_LMTP;
    if (facts->utf8)
        return utf8[facts->encrypted][facts->logged_in];
    /* TLS and AUTH are extensions, whatever they greeted us with. */
    if (facts->extended || facts->encrypted || facts->logged_in)
        return plain[facts->encrypted][facts->logged_in];
    return TRANSMISSION_SMTP;
}

bool transmission_is_lmtp(enum transmission transmission)
{
    return transmission == TRANSMISSION_LMTP || transmission == TRANSMISSION_UTF8LMTP ||
           transmission == TRANSMISSION_LMTPS || transmission == TRANSMISSION_UTF8LMTPS;
}

bool transmission_is_utf8(enum transmission transmission)
{
    return str_starts(str_from(transmission_word(transmission)), STR("UTF8"));
}

const char *transmission_word(enum transmission transmission)
{
    static const char *const words[TRANSMISSION_COUNT] = {
        [TRANSMISSION_SMTP] = "SMTP",
        [TRANSMISSION_ESMTP] = "ESMTP",
        [TRANSMISSION_UTF8SMTP] = "UTF8SMTP",
        [TRANSMISSION_LMTP] = "LMTP",
        [TRANSMISSION_UTF8LMTP] = "UTF8LMTP",
        [TRANSMISSION_ESMTPS] = "ESMTPS",
        [TRANSMISSION_ESMTPA] = "ESMTPA",
        [TRANSMISSION_ESMTPSA] = "ESMTPSA",
        [TRANSMISSION_UTF8SMTPS] = "UTF8SMTPS",
        [TRANSMISSION_UTF8SMTPA] = "UTF8SMTPA",
        [TRANSMISSION_UTF8SMTPSA] = "UTF8SMTPSA",
        [TRANSMISSION_LMTPS] = "LMTPS",
        [TRANSMISSION_UTF8LMTPS] = "UTF8LMTPS",
    };
    must((unsigned)transmission < TRANSMISSION_COUNT);
    return words[transmission];
}
