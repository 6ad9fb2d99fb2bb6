/*
 * What a remote SMTP or LMTP server says to our client (RFC 5321 4.2, RFC 2034, RFC 3463). Pure;
 * octets come in pieces of any size, the same octets give the same reply however they were cut.
 * Nothing yields.
 *
 *     struct buf text = BUF_INIT(REPLY_TEXT_MAX);
 *     reply_begin(&parser, &text);
 *     used = reply_feed(&parser, octets);     until parser.ended
 *     reply_close(&parser);                   the connection ended before that
 *
 * A reply ends with the line that has no '-' behind its code. reply_feed takes nothing behind that
 * line: what it leaves, and what is still to be read, is the next reply, or what nobody asked for.
 * Whoever expects no further reply (behind 220 of STARTTLS: catalogue S08; a peer without
 * PIPELINING) looks whether anything was left, and closes.
 *
 * Lines: CR LF ends one, and so does a bare LF: the server that writes its own replies gains
 * nothing by it that CR LF would not give, and whoever waits for the CR waits for ever. A bare CR
 * is a control character of the text. A code stands alone on its line, or before '-', a space or a
 * tab.
 *
 * Codes that change between lines: within one class the last line's counts. Where the class
 * changes, nobody can say what was meant, and the reply is broken.
 *
 * Limits (S11): 64 KiB, 128 lines; a reply beyond them is broken. How long it may take is the
 * caller's (S27). A broken reply ends at once; nothing behind its fault means anything, and the
 * connection is of no use any more.
 */
#ifndef FORMAT_REPLY_H
#define FORMAT_REPLY_H

#include "base/buf.h"
#include "base/str.h"

enum {
    REPLY_OCTETS_MAX = 64 << 10, /* of all lines with their ends */
    REPLY_LINES_MAX = 128,
    REPLY_TEXT_MAX = 16 << 10, /* a challenge of SASL is 12288 at most (RFC 4954 4) */
    STATUS_TEXT_MAX = 9,       /* "5.123.456" */
};

/* The first digit; 0 for what is none. 1yz is not in SMTP (RFC 5321 4.2.1) and broken. */
enum reply_class {
    REPLY_BROKEN = 0,
    REPLY_SUCCESS = 2,
    REPLY_INTERMEDIATE = 3,
    REPLY_TRANSIENT = 4,
    REPLY_PERMANENT = 5,
};

/* Why it is broken. */
enum reply_fault {
    REPLY_FAULT_NONE,
    REPLY_FAULT_CODE,    /* a line begins with no code of 200 to 599 */
    REPLY_FAULT_CHANGED, /* the class changed between lines */
    REPLY_FAULT_LENGTH,
    REPLY_FAULT_LINES,
    REPLY_FAULT_UNENDED, /* the connection ended within the reply, or before it */
};

/* An enhanced status code (RFC 3463 2); subject and detail are 0 to 999. */
struct status_code {
    uint8_t class; /* 2, 4, 5; 0: none */
    uint16_t subject, detail;
};

struct reply {
    enum reply_class class;
    enum reply_fault fault; /* REPLY_FAULT_NONE where the class is not REPLY_BROKEN */
    uint16_t code;          /* the last that was read, or 0 */
    /* Of the last line that has one; only where its class is the code's (RFC 2034 4). */
    struct status_code status;
    uint32_t lines;
    bool cut;     /* the text is longer than what was kept */
    bool unclean; /* something was removed or replaced in the text */
    /*
     * What stands behind the codes, enhanced status codes among it, lines with '\n' between them.
     * Clean UTF-8: a tab is a space, octets that are not UTF-8 are U+FFFD, all other controls (C0,
     * DEL, C1), bidirectional controls, line and paragraph separators are gone. Borrows from the
     * buf.
     */
    struct str text;
};

struct reply_parser {
    struct reply reply; /* once `ended` */
    bool ended;

    /* The parser's own. */
    struct buf *text;
    size_t text_start;
    uint32_t octets;
    uint8_t place;  /* where in a line */
    bool last;      /* the line is the last one */
    uint16_t code;  /* of this line, as far as it was read */
    uint8_t held_n; /* octets of a character that is not whole */
    unsigned char held[4];
    uint8_t head_n; /* the line's first octets behind its code */
    char head[STATUS_TEXT_MAX + 1];
};

/* Keeps as much text as there is room below the limit of `text`, which is appended to; the rest is
 * cut off at the boundary of a character. */
void reply_begin(struct reply_parser *parser, struct buf *text);
/* How many of the octets belong to the reply; fewer than all only where it ended. */
size_t reply_feed(struct reply_parser *parser, struct str octets);
/* Nothing more will come. */
void reply_close(struct reply_parser *parser);

/* "5.1.1" at the start of the text, an end or a blank behind it. */
bool status_code_parse(struct str text, struct status_code *status_r);
void status_code_print(struct buf *buf, struct status_code status);

/* One line for logs, trace and the Diagnostic-Code of a DSN: code, text, lines joined by spaces; at
 * most `limit` octets, then "...". */
void reply_print(struct buf *buf, const struct reply *reply, size_t limit);
/* What is wrong with a broken one, for the operator. */
const char *reply_fault_text(enum reply_fault fault);

#endif
