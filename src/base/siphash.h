/*
 * SipHash-2-4 (Aumasson and Bernstein, 2012): a hash of 64 bits under a key of 128. Who does not
 * know the key can neither find two texts that share a value nor tell which place of a table a text
 * falls on; so this is the hash for tables whose keys strangers choose. Pure, never yields.
 */
#ifndef BASE_SIPHASH_H
#define BASE_SIPHASH_H

#include "base/str.h"

enum {
    SIPHASH_KEY = 16 /* octets */
};

uint64_t siphash(const unsigned char key[SIPHASH_KEY], struct str text);

#endif
