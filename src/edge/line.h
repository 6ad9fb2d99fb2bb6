/*
 * Command lines out of pending octets. A line ends at CR LF; a bare CR or LF is found out, or taken
 * for an end of line (LF) where `lenient`. Pure; any cutting of the input gives the same lines.
 */
#ifndef EDGE_LINE_H
#define EDGE_LINE_H

#include "base/str.h"

enum line_found {
    LINE_MORE,  /* no whole line yet */
    LINE_WHOLE, /* *line_r, without its end; *used_r octets with it */
    LINE_LONG,  /* longer than `most` octets: its rest is to be skipped with line_skip */
    LINE_BARE,
};

enum line_found line_find(struct str pending, size_t most, bool lenient, struct str *line_r,
                          size_t *used_r);

/* How many octets of an over-long line may be dropped: up to its end (LINE_WHOLE), or as many as
 * are surely in it (LINE_MORE). */
enum line_found line_skip(struct str pending, bool lenient, size_t *used_r);

#endif
