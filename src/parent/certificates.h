/*
 * The files of certificates, of token keys and of what routes log in with, as the parent gives them
 * to core: read, bounded, looked at, told, wiped. Nobody else reads private keys, and the parent
 * keeps none.
 */
#ifndef PARENT_CERTIFICATES_H
#define PARENT_CERTIFICATES_H

#include "bus/messages.h"
#include "conf/conf.h"

enum {
    CERTIFICATES_CHAIN_MAX = 64 * 1024, /* octets of a file; chain and key fit a packet */
    CERTIFICATES_KEY_MAX = 32 * 1024,
    CERTIFICATES_TOKENS_MAX = 64 * 1024,
    CERTIFICATES_SECRET_MAX = 8 * 1024, /* a password, an access token, an oauth_file */
};

struct certificates;

/*
 * Reads the files that the configuration names. `trouble` gets a line for each mistake, with
 * `file`, the configuration's name, and its line in front where it is known: a file that cannot be
 * read, a key that others than its owner have rights to, a chain and a key that do not belong
 * together. What has a mistake is left out. ERR_CONFIG: there were some; ERR_NO_MEMORY:
 * *certificates_r is NULL.
 */
struct err certificates_load(const struct conf *conf, struct str file,
                             struct certificates **certificates_r, struct buf *trouble);
/* Wipes them. NULL is allowed. */
void certificates_free(struct certificates *certificates);

/* The token_file and oauth_file of routes alone, which others write anew. What cannot be read is
 * left out: the one before may still be good. NULL: there are none, or no memory. */
struct certificates *certificates_load_tokens(const struct conf *conf);

/* What core is to be told, one after the other from place 0 on: all certificates, or that there are
 * none, then the token keys, then what routes log in with. False: that was all. The message
 * borrows. */
bool certificates_msg(const struct certificates *certificates, size_t place, struct msg *msg_r);

#endif
