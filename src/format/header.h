/*
 * Header text (RFC 5322 2.2, 3.4): its fields, and the addresses in them. One parser for the store,
 * for IMAP and for the author checks, so that they cannot disagree (catalogue M10, M11): lines and
 * fields are split as the summary splits them (format/summary.h).
 *
 * Everything is iterative and looks at each octet a bounded number of times. Nothing yields.
 */
#ifndef FORMAT_HEADER_H
#define FORMAT_HEADER_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

struct header_field {
    struct str name;  /* empty for a line without a field name; blanks before the colon cut off */
    struct str value; /* behind the colon, folds in it, without the last CR LF */
    struct str whole; /* with its CR LF */
};

/* Cuts the next field off *rest; false at the empty line or the end of the text. All borrow. */
bool header_next(struct str *rest, struct header_field *field_r);
/* The first field of that name, case ignored. */
bool header_find(struct str header, struct str name, struct header_field *field_r);
/* The same where there is one alone; false: none, or several. */
bool header_find_only(struct str header, struct str name, struct header_field *field_r);
/* Appends a value on one line: CR LF in front of white space goes, white space at its ends too. */
void header_unfold(struct str value, struct buf *buf);

enum header_address_kind {
    HEADER_MAILBOX,
    HEADER_GROUP_BEGIN, /* name is the group's */
    HEADER_GROUP_END,
    HEADER_MALFORMED, /* something between commas that is no mailbox; nothing else is set */
};

struct header_address {
    enum header_address_kind kind;
    struct str name;   /* display name, quotes undone, encoded words not; p == NULL where absent */
    struct str local;  /* quotes undone */
    struct str domain; /* as written, without comments; a literal with its brackets */
    const char *local_end; /* in the text: behind the local part */
};

/* An address list being read: `rest`, `arena` and perhaps `unqualified` are set by the caller, the
 * rest is zero. */
struct header_addresses {
    struct str rest;
    struct arena *arena;
    bool unqualified; /* a local part alone is a mailbox, too; its domain.p is NULL */
    bool in_group;
};

/*
 * The next of: mailbox, begin or end of a group (RFC 5322 3.4, RFC 6854: wherever a list may
 * stand), malformed. A local part without a domain is malformed, unless `unqualified`. False at the
 * end of the list (a group that is open is closed first) or when the arena is full. Strings live in
 * the arena.
 */
bool header_addresses_next(struct header_addresses *list, struct header_address *address_r);

struct header_author {
    struct str local;
    struct str domain; /* normalised as in struct addr */
};

/*
 * The author of a message, for those who trust its domain. `value` is that of its first From field,
 * `from_count` and `flags` are the summary's. ERR_MESSAGE_FROM, with a literal detail, unless there
 * is exactly one From field, every mailbox in it is well formed, there is at least one, all have
 * the same domain, and no other reader could find another From: a header with NUL, bare CR or bare
 * LF, a "From :" or a header that begins with a continuation line is refused, too. ERR_OVER_LIMIT
 * when the arena is full.
 */
struct err header_from_check(struct str value, uint32_t from_count, uint32_t flags,
                             struct arena *arena, struct header_author *author_r);

#endif
