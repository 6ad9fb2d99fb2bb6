/*
 * Ids of messages, from acceptance to the last trace. The number is made of 44 bits of milliseconds
 * since 1970 and 20 bits that core counts up, so ids sort by time and the day of a message can be
 * read off its id.
 *
 * As people see them: 13 characters of Crockford's base 32 in lower case, most
 * significant first, as in the reply "250 2.0.0 Accepted, id 01j9x3k2m7q4r" and in `veredus trace`.
 * The letters i, l, o and u are not used, so that none is taken for a digit.
 */
#ifndef FORMAT_MESSAGE_ID_H
#define FORMAT_MESSAGE_ID_H

#include "base/str.h"

enum {
    MESSAGE_ID_TEXT = 13,        /* characters, no NUL behind them */
    MESSAGE_ID_NUMBER_BITS = 20, /* of `number` that are used */
};

/* `wall`: microseconds since 1970; before that counts as 1970. */
uint64_t message_id_make(int64_t wall, uint32_t number);
/* Microseconds since 1970, rounded down to a millisecond. */
int64_t message_id_time(uint64_t id);

void message_id_print(uint64_t id, char to[MESSAGE_ID_TEXT]);
/* Capitals are taken too, and i, l, o as the digits they look like. False, and *id_r untouched,
 * for anything that is not exactly one id. */
bool message_id_parse(struct str text, uint64_t *id_r);

#endif
