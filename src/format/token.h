/*
 * The small words of structured header fields: white space and comments (RFC 5322 3.2.2), tokens
 * (RFC 2045 5.1), quoted strings (RFC 5322 3.2.4). All take from the front of *rest and move it;
 * they accept any octet, never fail, never recurse and look at each octet once.
 */
#ifndef FORMAT_TOKEN_H
#define FORMAT_TOKEN_H

#include "base/str.h"

/* True for space, tab, CR and LF: a field may be given folded or unfolded. */
static inline bool is_fws(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Without white space, folds included, at both ends. */
struct str fws_trim(struct str s);

/* Skips white space and comments; nested comments are counted. A comment without an end goes up to
 * the end of the input. */
void cfws_skip(struct str *rest);

/* A token, empty where none begins. */
struct str token_take(struct str *rest);

/*
 * A quoted string: *rest begins at the opening quote and is moved behind the closing one, or to the
 * end where there is none. The returned text has its quotes removed and its quoted pairs still in.
 */
struct str quoted_take(struct str *rest);

/* Octets of `quoted` (from quoted_take) without backslashes and folds' CR LF, written to `to`,
 * which has room for quoted.n and may be where quoted begins. */
size_t quoted_plain(struct str quoted, char *to);

#endif
