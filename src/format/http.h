/*
 * One exchange of HTTP/1.1 (RFC 9112) as its client has it: the request as octets, and a reader for
 * the response, which is a stranger's: head and body are bounded, and what is ambiguous is no
 * response. It knows what a file and a small answer need: a length, chunks, or the end of the
 * connection. Compressed bodies, which nobody asked for, and folded fields are none. Pure; nothing
 * yields.
 */
#ifndef FORMAT_HTTP_H
#define FORMAT_HTTP_H

#include "base/buf.h"
#include "base/str.h"

enum {
    HTTP_HEAD_MAX = 32 << 10, /* octets of all heads, interim ones and trailers included */
    HTTP_TYPE_MAX = 128,      /* octets of a media type; a longer one is cut */
};

struct http_request {
    struct str method; /* "GET", "POST" */
    struct str host;   /* as Host says it, with its port if that is not 443 */
    struct str path;   /* with its query; begins with '/' */
    struct str type;   /* of the body; empty: there is none */
    struct str body;
};

/* False: a value has an octet that its place cannot have, or the buf is full. */
bool http_request_print(const struct http_request *request, struct buf *buf);

enum http_end {
    HTTP_MORE, /* octets are missing */
    HTTP_DONE,
    HTTP_BROKEN,    /* that is no response, or an ambiguous one */
    HTTP_TOO_LARGE, /* its head or its body */
};

enum http_place {
    HTTP_STATUS,
    HTTP_FIELDS,
    HTTP_BODY,       /* of a length */
    HTTP_CHUNK_SIZE, /* a line */
    HTTP_CHUNK,
    HTTP_CHUNK_END, /* the line end behind it */
    HTTP_TRAILERS,
    HTTP_TO_THE_END, /* of the connection */
    HTTP_OVER,
};

/* Zeroed by http_begin; read what is named up to `body`. */
struct http_reader {
    unsigned status;
    char type[HTTP_TYPE_MAX + 1]; /* Content-Type without parameters; empty: none */
    struct buf body;              /* http_done ends it */

    enum http_place place;
    enum http_end end;
    struct buf line;
    size_t head;
    uint64_t left, length;
    bool has_length, chunked;
};

/* body_most: a larger body is HTTP_TOO_LARGE. */
void http_begin(struct http_reader *reader, size_t body_most);
void http_done(struct http_reader *reader);
/* What arrived, however it was cut; what is behind the response is dropped. */
enum http_end http_feed(struct http_reader *reader, struct str octets);
/* The connection has ended. */
enum http_end http_closed(struct http_reader *reader);

#endif
