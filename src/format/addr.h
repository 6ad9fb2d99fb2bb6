/*
 * Mailbox addresses: RFC 5321 4.1.2, with UTF-8 (RFC 6531) and internationalised domains (RFC 5890,
 * UTS 46 without transitional mappings). addr_parse and path_parse are the only ways to get a
 * struct addr; everything behind them takes nothing else.
 *
 * An addr is kept in one form, so that two ways of writing one mailbox compare as equal bytes:
 *   local   without quotes and backslashes, in NFC; any octet that RFC 5321 lets into a quoted
 *           local part may be in it, '@', '%' and '!' among them: they mean nothing here.
 *   domain  a name in lower case, A-labels only; or a literal with its brackets, "[192.0.2.1]" or
 *           "[IPv6:2001:db8::1]", in the form inet_ntop prints.
 * Its bytes live in the arena that was given.
 *
 * Refused beyond the grammar: an empty quoted local part (its key would be that of a catch-all), a
 * domain that ends in an all-digit label (RFC 1123 2.1: it could be taken for an address), literals
 * of other kinds, and in local parts: C1 controls, bidirectional controls, line and paragraph
 * separators, U+FEFF and noncharacters (catalogue S18).
 *
 * Errors: ERR_ADDRESS_SYNTAX (in a reverse-path ERR_SENDER_SYNTAX) with a detail that is a literal;
 * ERR_OVER_LIMIT when the arena is full. Results are not touched on error. Nothing yields.
 */
#ifndef FORMAT_ADDR_H
#define FORMAT_ADDR_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

enum {
    ADDR_LOCAL_MAX = 64,   /* octets without quotes, RFC 5321 4.5.3.1.1 */
    ADDR_DOMAIN_MAX = 255, /* octets as A-labels, 4.5.3.1.2 */
    ADDR_LABEL_MAX = 63,
    ADDR_PATH_MAX = 256, /* octets with the angle brackets, as written and as printed, 4.5.3.1.3 */
};

enum addr_kind {
    ADDR_NULL,       /* <>, only as a reverse-path */
    ADDR_LOCAL_ONLY, /* <postmaster>, only as a forward-path; local is "postmaster" */
    ADDR_DOMAIN,
    ADDR_LITERAL,
};

struct addr {
    struct str local;
    struct str domain;
    bool utf8; /* as written it had an octet above 0x7f: it needs SMTPUTF8 on MAIL */
    enum addr_kind kind;
};

struct path {
    struct addr addr;
    struct str route; /* "@a,@b" as written; checked, and ignored by us (RFC 5321 appendix C) */
    bool has_route;
};

/* local@domain, nothing around it. */
struct err addr_parse(struct str text, struct arena *arena, struct addr *addr_r);

/*
 * The argument of MAIL FROM: (reverse) or RCPT TO:. Spaces in front of the '<' are skipped. *rest_r
 * is what follows the '>': empty, or a space and the parameters; it borrows from `text`.
 */
struct err path_parse(struct str text, bool reverse, struct arena *arena, struct path *path_r,
                      struct str *rest_r);

/* A domain name alone, into its one form; no literals. */
struct err domain_parse(struct str text, struct arena *arena, struct str *domain_r);
/* A domain name or a literal, as EHLO takes it. */
struct err host_parse(struct str text, struct arena *arena, struct str *host_r);

/* As it goes on the wire, without angle brackets: quoted where it must be, domain as A-labels.
 * A null address prints nothing. addr_parse reads it back to the same addr (but for `utf8`). */
void addr_print(struct buf *buf, const struct addr *addr);
/* The same for people: U-labels where the domain has them. */
void addr_print_display(struct buf *buf, const struct addr *addr);
/*
 * The same for what was printed already: an address, "@domain" or a domain, in the form that is
 * stored. The one place that decides whether a name is shown with U-labels: where they lead back to
 * the same name.
 */
void addr_text_display(struct buf *buf, struct str text);

/* True where no ASCII form exists, so that sending to it takes a peer with SMTPUTF8. */
bool addr_needs_utf8(const struct addr *addr);

/*
 * The key of a mailbox in the directory: local part in simple case folding and NFC, unquoted, '@',
 * domain. The last '@' divides the two. The key of a key is that key. ADDR_LOCAL_ONLY and ADDR_NULL
 * have no key of their own: nothing is printed after the '@'.
 */
void addr_local_key(const struct addr *addr, struct buf *buf);

/*
 * Plus-addressing: cuts at the first `separator` behind the first octet. False, and *base_r the
 * whole, where there is none. Both borrow from `local`; separator '\0' never matches.
 */
bool addr_split_tag(struct str local, char separator, struct str *base_r, struct str *tag_r);

#endif
