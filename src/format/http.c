/*
 * Ours, and not libcurl's: what is asked of HTTP here is one file of a well-known name, and one
 * small POST. Connections, TLS with its authorities, the addresses that are never connected, time
 * limits and the sandbox are all there already, in one way for all that leaves; libcurl would bring
 * its own of each, and thirteen libraries into every role.
 */
#include "format/http.h"

#include <string.h>

enum {
    STATUS_DIGITS = 3,
    CHUNK_DIGITS = 8,
    NO_CONTENT = 204,
    NOT_MODIFIED = 304,
    FIRST_FINAL = 200,
};

/* --- The request ----------------------------------------------------------------------------- */

static bool is_word(struct str text)
{
    for (size_t i = 0; i < text.n; i++)
        if ((unsigned char)text.p[i] <= ' ' || (unsigned char)text.p[i] >= 0x7f)
            return false;
    return text.n > 0;
}

static bool is_value(struct str text)
{
    return str_is_printable_ascii(text);
}

bool http_request_print(const struct http_request *request, struct buf *buf)
{
    if (!is_word(request->method) || !is_word(request->host) || !is_word(request->path) ||
        request->path.p[0] != '/' || !is_value(request->type))
        return false;
    buf_printf(buf, "%.*s %.*s HTTP/1.1\r\nHost: %.*s\r\nUser-Agent: Veredus\r\nAccept: */*\r\n",
               STR_FMT(request->method), STR_FMT(request->path), STR_FMT(request->host));
    buf_put(buf, STR("Accept-Encoding: identity\r\nConnection: close\r\n"));
    if (request->type.n > 0)
        buf_printf(buf, "Content-Type: %.*s\r\nContent-Length: %zu\r\n", STR_FMT(request->type),
                   request->body.n);
    buf_put(buf, STR("\r\n"));
    if (request->type.n > 0)
        buf_put(buf, request->body);
    return !buf_over(buf);
}

/* --- The response ---------------------------------------------------------------------------- */

void http_begin(struct http_reader *reader, size_t body_most)
{
    *reader = (struct http_reader){.place = HTTP_STATUS, .end = HTTP_MORE};
    buf_init(&reader->body, body_most);
    buf_init(&reader->line, HTTP_HEAD_MAX);
}

void http_done(struct http_reader *reader)
{
    buf_done(&reader->body);
    buf_done(&reader->line);
}

static void broken(struct http_reader *reader)
{
    reader->end = HTTP_BROKEN;
}

static void over(struct http_reader *reader)
{
    reader->place = HTTP_OVER;
    reader->end = HTTP_DONE;
}

/* "HTTP/1.1 200 OK" (RFC 9112 4) */
static void status_line(struct http_reader *reader, struct str line)
{
    uint64_t status;
    bool known = str_starts(line, STR("HTTP/1.1 ")) || str_starts(line, STR("HTTP/1.0 "));
    struct str rest = str_from_index(line, sizeof "HTTP/1.1 " - 1);
    struct str digits = str_cut(&rest, ' ');
    if (!known || digits.n != STATUS_DIGITS || !str_to_u64(digits, &status) || status < 100) {
        broken(reader);
        return;
    }
    reader->status = (unsigned)status;
    reader->type[0] = '\0';
    reader->has_length = reader->chunked = false;
    reader->place = HTTP_FIELDS;
}

static void type_keep(struct http_reader *reader, struct str value)
{
    struct str type = str_trim(str_cut(&value, ';'));
    size_t n = type.n < HTTP_TYPE_MAX ? type.n : HTTP_TYPE_MAX;
    for (size_t i = 0; i < n; i++)
        reader->type[i] = ascii_lower(type.p[i]);
    reader->type[n] = '\0';
}

/* Said twice it is the same, or nobody knows where the body ends (RFC 9112 6.3). */
static void length_keep(struct http_reader *reader, struct str value)
{
    uint64_t length;
    if (!str_to_u64(value, &length) || (reader->has_length && reader->length != length)) {
        broken(reader);
        return;
    }
    reader->has_length = true;
    reader->length = length;
}

static void field(struct http_reader *reader, struct str line)
{
    ssize_t colon = str_index(line, ':');
    if (colon <= 0 || !is_word(str_head(line, (size_t)colon))) {
        broken(reader);
        return;
    }
    struct str name = str_head(line, (size_t)colon);
    struct str value = str_trim(str_from_index(line, (size_t)colon + 1));
    if (str_eq_nocase(name, STR("Content-Type")))
        type_keep(reader, value);
    else if (str_eq_nocase(name, STR("Content-Length")))
        length_keep(reader, value);
    else if (str_eq_nocase(name, STR("Transfer-Encoding")) && !reader->chunked &&
             str_eq_nocase(value, STR("chunked")))
        reader->chunked = true;
    else if (str_eq_nocase(name, STR("Transfer-Encoding")) ||
             (str_eq_nocase(name, STR("Content-Encoding")) &&
              !str_eq_nocase(value, STR("identity"))))
        broken(reader);
}

/* Where the body is, and where it ends (RFC 9112 6.3). */
static void head_ends(struct http_reader *reader)
{
    bool empty = reader->status == NO_CONTENT || reader->status == NOT_MODIFIED;
    if (reader->status < FIRST_FINAL) {
        reader->place = HTTP_STATUS;
    } else if (reader->chunked && reader->has_length) {
        broken(reader);
    } else if (empty || (reader->has_length && reader->length == 0)) {
        over(reader);
    } else if (reader->chunked) {
        reader->place = HTTP_CHUNK_SIZE;
    } else if (reader->has_length) {
        reader->place = HTTP_BODY;
        reader->left = reader->length;
        if (reader->length > reader->body.max)
            reader->end = HTTP_TOO_LARGE;
    } else {
        reader->place = HTTP_TO_THE_END;
    }
}

static int hex_digit(char c)
{
    c = ascii_lower(c);
    return ascii_is_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "1f; name=value": what is behind the size means nothing to us. */
static void chunk_size(struct http_reader *reader, struct str line)
{
    struct str digits = str_trim(str_cut(&line, ';'));
    reader->left = 0;
    if (digits.n == 0 || digits.n > CHUNK_DIGITS)
        broken(reader);
    for (size_t i = 0; i < digits.n && reader->end == HTTP_MORE; i++) {
        int digit = hex_digit(digits.p[i]);
        reader->left = reader->left * 16 + (uint64_t)digit;
        if (digit < 0)
            broken(reader);
    }
    if (reader->end == HTTP_MORE && reader->left > reader->body.max - reader->body.n)
        reader->end = HTTP_TOO_LARGE;
    reader->place = reader->left > 0 ? HTTP_CHUNK : HTTP_TRAILERS;
}

static void line_ended(struct http_reader *reader)
{
    struct str line = buf_str(&reader->line);
    if (str_ends(line, STR("\r")))
        line = str_head(line, line.n - 1);
    enum http_place place = reader->place;
    if (place == HTTP_STATUS)
        status_line(reader, line);
    else if (place == HTTP_FIELDS && line.n > 0)
        field(reader, line);
    else if (place == HTTP_FIELDS)
        head_ends(reader);
    else if (place == HTTP_CHUNK_SIZE)
        chunk_size(reader, line);
    else if (place == HTTP_CHUNK_END && line.n == 0)
        reader->place = HTTP_CHUNK_SIZE;
    else if (place == HTTP_CHUNK_END)
        broken(reader);
    else if (line.n == 0) /* behind the trailers */
        over(reader);
    buf_clear(&reader->line);
}

/* What is told in lines. How much was used. */
static size_t line_feed(struct http_reader *reader, struct str octets)
{
    ssize_t end = str_index(octets, '\n');
    size_t n = end < 0 ? octets.n : (size_t)end + 1;
    reader->head += n;
    if (reader->head > HTTP_HEAD_MAX || !buf_put(&reader->line, str_head(octets, n - (end >= 0)))) {
        reader->end = HTTP_TOO_LARGE;
        return n;
    }
    if (end >= 0)
        line_ended(reader);
    return n;
}

static size_t body_feed(struct http_reader *reader, struct str octets)
{
    bool to_the_end = reader->place == HTTP_TO_THE_END;
    size_t n = !to_the_end && reader->left < octets.n ? (size_t)reader->left : octets.n;
    if (!buf_put(&reader->body, str_head(octets, n)))
        reader->end = HTTP_TOO_LARGE;
    reader->left -= to_the_end ? 0 : n;
    if (to_the_end || reader->left > 0 || reader->end != HTTP_MORE)
        return n;
    if (reader->place == HTTP_CHUNK)
        reader->place = HTTP_CHUNK_END;
    else
        over(reader);
    return n;
}

static bool is_body(enum http_place place)
{
    return place == HTTP_BODY || place == HTTP_CHUNK || place == HTTP_TO_THE_END;
}

enum http_end http_feed(struct http_reader *reader, struct str octets)
{
    while (octets.n > 0 && reader->end == HTTP_MORE) {
        size_t used =
            is_body(reader->place) ? body_feed(reader, octets) : line_feed(reader, octets);
        octets = str_from_index(octets, used);
    }
    return reader->end;
}

enum http_end http_closed(struct http_reader *reader)
{
    if (reader->end == HTTP_MORE && reader->place == HTTP_TO_THE_END)
        over(reader);
    else if (reader->end == HTTP_MORE)
        broken(reader);
    return reader->end;
}
