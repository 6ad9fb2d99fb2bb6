/*
 * What stands in each answer besides: no script, frame or source of anything else in our pages, no
 * guess at types, and nowhere the address that led here, since it may hold a token (catalogue W02).
 */
#include "edge/http/session.h"

#include "format/date.h"

static const struct {
    unsigned status;
    const char *reason, *text;
} rows[] = {
    {200, "OK", "Done"},
    {400, "Bad Request", "That is no request that can be read in one way alone"},
    {404, "Not Found", "There is nothing of this name here"},
    {405, "Method Not Allowed", "That cannot be done with it"},
    {411, "Length Required", "A body needs a Content-Length"},
    {413, "Content Too Large", "The body is too long"},
    {414, "URI Too Long", "The target is too long"},
    {421, "Misdirected Request", "That host is not served here"},
    {429, "Too Many Requests", "Too many requests; try again later"},
    {431, "Request Header Fields Too Large", "The head is too long"},
    {501, "Not Implemented", "No such method here"},
    {503, "Service Unavailable", "Not now; try again later"},
    {505, "HTTP Version Not Supported", "HTTP/1.1 is spoken here"},
};

static size_t row_of(unsigned status)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (rows[i].status == status)
            return i;
    return row_of(503);
}

/* RFC 9110 5.6.7: as in mail, but for the zone's name. */
static void date_put(struct buf *to, int64_t wall)
{
    char room[64];
    struct buf date = {.p = room, .cap = sizeof(room), .max = sizeof(room)};
    date_print(&date, wall / US_PER_SECOND, 0);
    struct str text = buf_str(&date);
    ssize_t zone = str_last_index(text, ' ');
    buf_printf(to, "Date: %.*s GMT\r\n", (int)zone, text.p);
}

static void head_put(const struct http_session *s, const struct http_answer *answer, size_t row,
                     size_t octets, struct buf *to)
{
    buf_printf(to, "HTTP/1.1 %u %s\r\n", rows[row].status, rows[row].reason);
    date_put(to, world_wall(s->base.edge->world));
    buf_printf(to, "Content-Type: %.*s\r\nContent-Length: %zu\r\n", STR_FMT(answer->type), octets);
    if (answer->language)
        buf_printf(to, "Content-Language: %s\r\n", answer->language);
    if (answer->allow)
        buf_printf(to, "Allow: %s\r\n", answer->allow);
    if (answer->status == 429 || answer->status == 503)
        buf_put(to, STR("Retry-After: 60\r\n"));
    buf_put(to, STR("Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
                    "Content-Security-Policy: default-src 'none'; form-action 'self'; "
                    "base-uri 'none'; frame-ancestors 'none'\r\n"
                    "Referrer-Policy: no-referrer\r\nX-Robots-Tag: noindex\r\n"));
    if (answer->last)
        buf_put(to, STR("Connection: close\r\n"));
    buf_put(to, STR("\r\n"));
}

static void closing(struct http_session *s, const char *end)
{
    s->state = HTTP_CLOSING;
    s->end = end;
    stream_finish(&s->stream);
}

void http_answer(struct http_session *s, const struct http_asked *asked,
                 const struct http_answer *given)
{
    char room[HTTP_ANSWER_HEAD_MAX], line[128];
    struct buf head = {.p = room, .cap = sizeof(room), .max = sizeof(room)};
    struct buf text = {.p = line, .cap = sizeof(line), .max = sizeof(line)};
    struct http_answer answer = *given;
    size_t row = row_of(answer.status);
    bool over = s->requests >= s->base.conf->http.requests;
    answer.last = answer.last || asked->last || over || s->stopping;
    if (answer.body.n == 0) {
        buf_printf(&text, "%s\n", rows[row].text);
        answer.body = buf_str(&text);
        answer.type = STR("text/plain; charset=utf-8");
    }
    s->errors += answer.status >= 400;
    head_put(s, &answer, row, answer.body.n, &head);
    stream_put(&s->stream, buf_str(&head));
    if (asked->method != HTTP_HEAD)
        stream_put(&s->stream, answer.body);
    if (answer.last)
        closing(s, answer.status >= 400 ? "refused" : "done");
}
