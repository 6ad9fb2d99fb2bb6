/*
 * A TLS report that core has sent by HTTPS (RFC 8460 5.4): one exchange (role/https.h), whose
 * answer nobody reads but for its status. Its own failures of TLS count: an https URL whose
 * certificate is nobody's gets nothing, though RFC 8460 3 would allow it, for who can forge the
 * name of a web server would get everybody's reports.
 */
#ifndef COURIER_POST_H
#define COURIER_POST_H

#include "courier/courier.h"

#define POST_WITHIN (60 * NS_PER_SECOND)

/* Core's question (post): begins a fiber that asks and answers. ERR_NO_MEMORY. */
struct err post_begin(struct courier *courier, const struct msg *asked);

#endif
