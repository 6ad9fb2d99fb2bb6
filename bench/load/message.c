/*
 * No line begins with a dot, so nothing has to be stuffed and the octets that are sent are those
 * that are stored. The first field is ours to find the message by: a server may put fields before
 * it, none may change what follows.
 */
#include "message.h"

#include "base/must.h"

enum {
    LINE = 78, /* octets of a line with its end (RFC 5322, 2.1.1) */
    WORD = 7,
};

void message_lines_init(struct message_lines *lines, uint64_t size)
{
    uint32_t letter = 12345;
    lines->text = (struct buf)BUF_INIT(MESSAGE_MOST + LINE);
    while (lines->text.n < size) {
        for (unsigned i = 1; i <= LINE - 2; i++) {
            letter = letter * 1103515245 + 12345;
            must(buf_putc(&lines->text, i % WORD ? (char)('a' + (letter >> 16) % 26) : ' '));
        }
        must(buf_put(&lines->text, STR("\r\n")));
    }
}

void message_lines_done(struct message_lines *lines)
{
    buf_done(&lines->text);
}

static void put_header(struct buf *header, uint64_t number, uint64_t size, unsigned padding)
{
    static const char dots[] = "................................................................"
                               "..............";
    must(buf_printf(header,
                    "X-Load: %llu %llu %.*s\r\n"
                    "From: Load <load@client.test>\r\n"
                    "To: Everybody <everybody@bench.test>\r\n"
                    "Subject: Message %llu of the load\r\n"
                    "Date: Sat, 21 Nov 2026 12:00:00 +0000\r\n"
                    "Message-ID: <%llu.load@client.test>\r\n"
                    "MIME-Version: 1.0\r\n"
                    "Content-Type: text/plain; charset=us-ascii\r\n"
                    "\r\n",
                    (unsigned long long)number, (unsigned long long)size, (int)padding, dots,
                    (unsigned long long)number, (unsigned long long)number));
}

struct str message_make(const struct message_lines *lines, uint64_t number, uint64_t size,
                        struct buf *header)
{
    size_t begun = header->n;
    put_header(header, number, size, 0);
    size_t body = size - (header->n - begun);
    buf_cut(header, begun);
    put_header(header, number, size, (unsigned)(body % LINE));
    return str_head(buf_str(&lines->text), body - body % LINE);
}

/* Cuts a number and the space behind it. */
static bool take_number(struct str *line, uint64_t *value_r)
{
    return str_to_u64(str_cut(line, ' '), value_r);
}

bool message_check(const struct message_lines *lines, struct str read, uint64_t *number_r,
                   uint64_t *size_r)
{
    static const struct str mark = STR_INIT("X-Load: ");
    ssize_t at = str_starts(read, mark) ? 0 : str_find(read, STR("\nX-Load: ")) + 1;
    struct str message = str_from_index(read, (size_t)at);
    if (!str_starts(message, mark))
        return false;
    struct str line = str_from_index(str_head(message, MESSAGE_HEADER_MAX), mark.n);
    if (!take_number(&line, number_r) || !take_number(&line, size_r) || *size_r != message.n ||
        *size_r < MESSAGE_LEAST || *size_r > lines->text.n)
        return false;
    struct buf header = BUF_INIT(MESSAGE_HEADER_MAX);
    struct str body = message_make(lines, *number_r, *size_r, &header);
    bool same = str_eq(str_head(message, header.n), buf_str(&header)) &&
                str_eq(str_from_index(message, header.n), body);
    buf_done(&header);
    return same;
}
