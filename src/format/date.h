/*
 * Dates: RFC 5322 3.3 and its obsolete forms (4.3), RFC 3339 for people and logs. Time is seconds
 * since 1970 UTC; there is no time zone database here, only offsets in minutes. Years 1970 to 9999;
 * a time outside is printed as the nearest one inside. Pure; nothing yields.
 */
#ifndef FORMAT_DATE_H
#define FORMAT_DATE_H

#include "base/buf.h"
#include "base/str.h"

#define DATE_MAX INT64_C(253402300799) /* 31 Dec 9999 23:59:59 UTC */

enum {
    DATE_ZONE_MAX = 23 * 60 + 59, /* minutes east or west */
};

struct date {
    int64_t time;
    int zone;          /* minutes east of UTC */
    bool zone_unknown; /* "-0000" or a zone nobody knows: the local time's offset is not told */
};

/* "Sat, 21 Nov 2026 05:57:03 +0000", as the clock stood `zone` minutes east of UTC. */
void date_print(struct buf *buf, int64_t time, int zone);
/* "2026-11-21T05:57:03Z" */
void date_print_rfc3339(struct buf *buf, int64_t time);

/*
 * With or without day of week and seconds, with comments, with two- and three-digit years, with the
 * named zones of RFC 822; a leap second counts as the second before it; the day of week is not held
 * against the date. False: not a date, or outside 1970 to 9999.
 */
bool date_parse(struct str text, struct date *date_r);

/* "2026-11-21T05:57:03Z", with any offset and a fraction, which is dropped; nothing around it. */
bool date_parse_rfc3339(struct str text, struct date *date_r);

#endif
