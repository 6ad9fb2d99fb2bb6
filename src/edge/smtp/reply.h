/*
 * Reply lines (RFC 5321 4.2, 2034). Each has a code, an enhanced code but for greeting and
 * HELO/EHLO, and text; errors take all three from their row in base/errors.def. A line is at most
 * 512 octets: text is cut where it would be longer. Text that a stranger had a part in goes through
 * smtp_reply_quoting. Nothing here yields; the stream sends what a turn produced in one write.
 *
 * Refusals count as errors of the session; which do is said at `counts` in reply.c.
 */
#ifndef EDGE_SMTP_REPLY_H
#define EDGE_SMTP_REPLY_H

#include "edge/smtp/session.h"

enum {
    SMTP_REPLY_MAX = 512 /* octets with CR LF, RFC 5321 4.5.3.1.5 */
};

/* One line; `enhanced` may be NULL. more: "250-", further lines follow. */
void smtp_reply_line(struct smtp_session *s, int code, const char *enhanced, bool more,
                     struct str text);
/* The only line. */
void smtp_reply(struct smtp_session *s, int code, const char *enhanced, struct str text);
/* `before`, the stranger's text escaped, `behind`. */
void smtp_reply_quoting(struct smtp_session *s, int code, const char *enhanced, struct str before,
                        struct str text, struct str behind);
/* The error's code, enhanced code and text. 421 names the host. Closing is the caller's. */
void smtp_reply_error(struct smtp_session *s, enum err_code error);
/* The same with a text of its own, where that is not empty, and a code of its own, where not 0. */
void smtp_reply_error_text(struct smtp_session *s, enum err_code error, int code, struct str text);

/* 251 or 551 with the new path, which stands in its angle brackets (RFC 5321 4.2.2). */
void smtp_reply_moved(struct smtp_session *s, int code, struct str path);

/* "421 4.7.0 host text" without a session: for connections that get none. */
void smtp_refusal_line(const struct conf *conf, enum err_code why, struct buf *line);

#endif
