/*
 * What a program hands to sendmail, made a letter: lines end in CR LF, a header is there and whole
 * (format/submission.h), its sender and recipients are addresses. Pure: who calls and what time it
 * is stands in struct note_facts. Memory is the arena's. Nothing yields.
 *
 * Recipients are those that were named, and with `from_header` those of To, Cc and Bcc, or of
 * Resent-To, Resent-Cc and Resent-Bcc where the message was resent (RFC 5322 3.6.6; its first block
 * of Resent fields, which is the newest). Each address counts once. Bcc never leaves.
 */
#ifndef CLI_NOTE_H
#define CLI_NOTE_H

#include "cli/letter.h"

struct note_facts {
    struct str user;    /* local part of who calls */
    struct str host;    /* behind the '@' of local parts alone */
    struct str name;    /* his full name, UTF-8; empty: none is told */
    struct str address; /* whose mail it is where nothing else is said; empty: user@host */
    struct str id;      /* dot-atom text for a Message-ID */
    int64_t time;       /* seconds since 1970 */
};

struct note {
    struct str text;         /* as it came */
    bool dot_ends;           /* a line with a dot alone is the end */
    bool from_header;        /* -t */
    bool has_sender;         /* -f, -r */
    struct str sender;       /* of it; empty: the null path */
    const struct str *named; /* recipients on the command line; each may be a list */
    size_t named_count;
};

enum note_trouble {
    NOTE_FINE,
    NOTE_NO_RECIPIENTS,
    NOTE_BAD_RECIPIENT, /* what_r */
    NOTE_BAD_SENDER,
    NOTE_BAD_HEADER, /* why in what_r */
    NOTE_TOO_LARGE,
};

enum note_trouble note_letter(const struct note *note, const struct note_facts *facts,
                              struct arena *arena, struct letter *letter_r, struct str *what_r);

/* One address, or a local part alone, into addr_print form; str_null: it is none. */
struct str note_address(struct str text, struct str host, struct arena *arena);

/*
 * The letter as one of `own` (a smart host takes no other sender): that is its envelope's sender
 * and the address in From, whose name stays; where there is no Reply-To, the From that was becomes
 * it. A null path stays one. False: no memory.
 */
bool note_rewrite(struct letter *letter, struct str own, struct arena *arena);

#endif
