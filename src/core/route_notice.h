/*
 * What the postmaster is told of a route by mail, because he can do something about it before mail
 * waits for long: four fifths of a limit are used, or the log-in is refused for good. In his
 * account's language, through the commit that remembers that he was told: so it is told once in
 * the limit's own window, and of a log-in once a day, also behind a restart.
 *
 * Partition QUEUE/0
 *   'n' name of the block, NUL, kind -> when he was told, u64: microseconds since 1970
 */
#ifndef CORE_ROUTE_NOTICE_H
#define CORE_ROUTE_NOTICE_H

#include "core/core.h"

enum route_notice_kind {
    ROUTE_NOTICE_MESSAGES_HOUR = 0, /* stored */
    ROUTE_NOTICE_MESSAGES_DAY = 1,
    ROUTE_NOTICE_RECIPIENTS_HOUR = 2,
    ROUTE_NOTICE_RECIPIENTS_DAY = 3,
    ROUTE_NOTICE_LOG_IN = 4,
    ROUTE_NOTICES
};

struct route_notice {
    enum route_notice_kind kind;
    struct str route;
    uint64_t used, limit; /* of the limits */
    struct str user;      /* of a log-in: as whom */
    struct str said;      /* and what was said about it */
};

/* Never yields: begins a fiber of the queue's, and copies what it is told. Without memory nobody is
 * told; the log has it all the same. */
void route_notice(struct core *core, const struct route_notice *notice);

#endif
