/*
 * What a terminal gets: a bell, who wrote and when, the text with a bar in front of each line, so
 * that none can pass for a line of ours or of the user's shell, and an end. Pure.
 */
#ifndef TERMINAL_NOTICE_H
#define TERMINAL_NOTICE_H

#include "base/buf.h"
#include "format/screen.h"

enum {
    /* Each line has "| " in front and a CR; who wrote takes one line. */
    NOTICE_MAX = SCREEN_OCTETS + 3 * SCREEN_LINES + SCREEN_LINE_OCTETS + 200
};

struct notice {
    struct str sender; /* empty: the null path */
    struct str text;   /* a stranger's, whoever cleaned it */
    int64_t time;      /* seconds since 1970 */
    bool utf8;         /* the terminal takes it */
};

/* Appended: NOTICE_MAX octets at most. */
void notice_put(struct buf *to, const struct notice *notice);

#endif
