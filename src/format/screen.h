/*
 * A stranger's text as a terminal may show it: lines of characters that do nothing but stand there.
 *
 * What goes: C0 but tab, DEL, C1, whole escape sequences (ECMA-48), also those that begin with a C1
 * of their own; what turns the direction of writing or cannot be seen (category Cf, but the joiners
 * of scripts and emoji), line and paragraph separators, what is no character. A tab is a space.
 * Octets that are not UTF-8 become U+FFFD. A line ends at LF or CR LF; what is longer than
 * SCREEN_LINE_OCTETS goes on in the next. A sequence ends with its line.
 *
 * Where there is more than fits, the last line is "[...]". What comes out holds no more than the
 * limits below, each line with an LF; putting that again changes nothing. Pure; work is linear;
 * nothing yields.
 */
#ifndef FORMAT_SCREEN_H
#define FORMAT_SCREEN_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/str.h"
#include "format/summary.h"

enum {
    SCREEN_OCTETS = 4096, /* of a text, with its LFs */
    SCREEN_LINES = 40,
    SCREEN_LINE_OCTETS = 400,
    SCREEN_HEAD = 16 * 1024, /* octets of a message that are looked at */
};

void screen_put(struct buf *to, struct str text);

/* The same for one that shows ASCII alone: every other character is a '?'. Of clean text. */
void screen_put_ascii(struct buf *to, struct str text);

/*
 * What of a message is worth a terminal: its subject, and its first part of plain text that is no
 * attachment, as far as that lies within `head`, the first octets of the message. Charsets other
 * than UTF-8, US-ASCII and ISO-8859-1 come out as U+FFFD. Appended as screen_put would. The arena
 * is for the time of the call.
 */
void screen_put_message(struct buf *to, const struct summary_view *view, struct str head,
                        struct arena *arena);

#endif
