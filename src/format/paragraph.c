/*
 * libunistring knows where a line may end; what it does not do is to leave out the spaces there.
 */
#include "format/paragraph.h"

#include <unilbrk.h>

static void line_put(struct buf *buf, struct str line, size_t indent)
{
    while (line.n && line.p[line.n - 1] == ' ')
        line.n--;
    for (size_t i = 0; line.n && i < indent; i++)
        buf_putc(buf, ' ');
    buf_put(buf, line);
    buf_put(buf, STR("\r\n"));
}

void paragraph_put(struct buf *buf, struct str text, size_t indent, struct buf *breaks)
{
    buf_clear(breaks);
    char *at = buf_room(breaks, text.n);
    if (!at || text.n == 0) {
        line_put(buf, text, indent);
        return;
    }
    u8_width_linebreaks((const uint8_t *)text.p, text.n, PARAGRAPH_COLUMNS - (int)indent, 0, 0,
                        NULL, "UTF-8", at);
    size_t from = 0;
    for (size_t i = 1; i < text.n; i++) {
        if (at[i] != UC_BREAK_POSSIBLE && at[i] != UC_BREAK_MANDATORY)
            continue;
        line_put(buf, str_make(text.p + from, i - from), indent);
        from = i;
    }
    line_put(buf, str_from_index(text, from), indent);
}
