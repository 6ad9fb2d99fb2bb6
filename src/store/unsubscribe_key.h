/*
 * What the tokens in the links of newsletters are sealed with (trust/unsubscribe.h): made when it
 * is needed first, kept, and never changed, since a link is good for as long as the message.
 *
 * Partition FORWARD/0
 *   'u' -> u8 1, 32 octets
 */
#ifndef STORE_UNSUBSCRIBE_KEY_H
#define STORE_UNSUBSCRIBE_KEY_H

#include "store/engine.h"
#include "sys/world.h"
#include "trust/unsubscribe.h"

/* May yield. `make`: where there is none; then it is durable before it is given. ERR_NOT_FOUND:
 * there is none. */
struct err unsubscribe_key(struct engine *engine, struct world *world, bool make,
                           unsigned char key_r[UNSUBSCRIBE_KEY]);

#endif
