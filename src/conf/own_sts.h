/*
 * The MTA-STS policies that this server serves for domains of its own (RFC 8461): what their blocks
 * say, as the file that others fetch. Its id is a hash of the file, so it is another one exactly
 * when the policy is. Pure; nothing yields.
 */
#ifndef CONF_OWN_STS_H
#define CONF_OWN_STS_H

#include "conf/conf.h"

enum {
    CONF_STS_ID = 17,        /* octets of an id, with a NUL */
    CONF_STS_MAX = 32 << 10, /* octets of a policy */
};

/* Appends the policy of a domain (in any case). False: none is served. */
bool conf_sts_print(const struct conf *conf, struct str domain, struct buf *to);
/* The id that its record is to have; empty: none is served. */
void conf_sts_id(const struct conf *conf, struct str domain, char id_r[CONF_STS_ID]);

#endif
