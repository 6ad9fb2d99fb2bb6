/*
 * struct letter: a message with its envelope, on its way out of a command (sendmail, veredus send)
 * to the server of this host or to a smart host; and the text that it is while it waits in a spool.
 *
 * Addresses are in addr_print form; an empty sender is the null path. What is asked for is as
 * format/mail_options.h keeps it. Pure; nothing yields.
 */
#ifndef CLI_LETTER_H
#define CLI_LETTER_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

enum {
    LETTER_MAX = 128 * 1024 * 1024, /* octets of a message */
    LETTER_HEAD_MAX = 4 * 1024 * 1024,
    LETTER_RECIPIENTS_MAX = 10000,
};

struct letter_recipient {
    struct str address, asked;
};

struct letter {
    struct str sender, asked;
    struct letter_recipient *recipients;
    size_t count;
    struct str message; /* lines end in CR LF */
    bool eight_bit;     /* octets above 127 are in it */
    bool utf8;          /* it needs SMTPUTF8 */
};

/* Appends what letter_parse reads. */
void letter_print(const struct letter *letter, struct buf *to);
/* Borrows from the text. ERR_STORE_DAMAGED: it is none; ERR_NO_MEMORY: the arena is full. */
struct err letter_parse(struct str text, struct arena *arena, struct letter *letter_r);

/* What its message is: eight_bit and utf8 of the addresses and the header, from what is in it. */
void letter_look(struct letter *letter);

#endif
