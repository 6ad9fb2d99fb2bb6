/*
 * A request of HTTP/1.1 as its server reads it (RFC 9110, 9112), and the little it has to know of
 * bodies and languages. It is a stranger's, so whatever two programs could read in two ways is
 * refused (catalogue W03): lines that do not end in CR LF, folded fields, a blank before a colon,
 * no Host or two, two lengths, a length beside a transfer coding. Bodies have a length; transfer
 * codings are not taken. Pure; nothing yields, and an answer never depends on where the network
 * cut. What is given back borrows.
 */
#ifndef FORMAT_HTTP_REQUEST_H
#define FORMAT_HTTP_REQUEST_H

#include "base/str.h"
#include "format/language.h"

enum {
    HTTP_ASKED_HEAD_MAX = 8 << 10,   /* octets of a head: 431, 414 */
    HTTP_ASKED_FIELDS_MAX = 100,     /* 431 */
    HTTP_ASKED_TARGET_MAX = 2 << 10, /* octets: 414 */
};

enum http_method {
    HTTP_GET,
    HTTP_HEAD,
    HTTP_POST,
};

struct http_asked {
    enum http_method method;
    struct str host;     /* without its port, as written; a literal with its brackets */
    struct str path;     /* as written: nothing is decoded, and ".." means nothing */
    struct str type;     /* Content-Type; empty: none */
    struct str language; /* Accept-Language; empty: none */
    size_t head;         /* octets, with the empty line */
    size_t length;       /* of the body behind it */
    bool last;           /* the connection ends behind the answer */
    bool expects;        /* 100 (Continue) before it sends the body */
};

/*
 * What stands at the begin of `octets`. 0: more is needed. 200: a whole head; the body is still to
 * come. Else the status that is to be answered, after which nothing on this connection can be
 * trusted: 400, 411, 413 (more than body_most), 414, 431, 501, 505.
 */
unsigned http_asked_read(struct str octets, size_t body_most, struct http_asked *asked_r);

/* Does a form, sent in either way that browsers know, hold this name with this value? `type` is its
 * Content-Type. The name and the value need no encoding (letters, digits, '-'). */
bool http_form_says(struct str type, struct str body, struct str name, struct str value);

/* In which of our languages somebody is answered, by Accept-Language (RFC 9110 12.5.4). */
enum language http_language(struct str accepted, enum language standard);

#endif
