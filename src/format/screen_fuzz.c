/*
 * Properties: what is put is UTF-8 within the limits, with no control but LF and no ESC; putting it
 * again changes nothing; its ASCII form is ASCII. A message shows no more than any text.
 */
#include "base/must.h"
#include "format/screen.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void page_check(struct str page)
{
    size_t lines = 0, line = 0;
    must(page.n <= SCREEN_OCTETS && str_is_utf8(page));
    must(page.n == 0 || page.p[page.n - 1] == '\n');
    for (size_t i = 0; i < page.n; i++) {
        unsigned char c = (unsigned char)page.p[i];
        must((c >= 0x20 || c == '\n') && c != 0x7f);
        must(c != 0xc2 || (unsigned char)page.p[i + 1] >= 0xa0);
        line = c == '\n' ? 0 : line + 1;
        lines += c == '\n';
        must(line <= SCREEN_LINE_OCTETS);
    }
    must(lines <= SCREEN_LINES);
}

static void ascii_check(struct str page)
{
    struct buf ascii = BUF_INIT(SCREEN_OCTETS);
    screen_put_ascii(&ascii, page);
    must(!buf_over(&ascii) && str_is_ascii(buf_str(&ascii)));
    buf_done(&ascii);
}

static void text_check(struct str text)
{
    struct buf page = BUF_INIT(SCREEN_OCTETS), again = BUF_INIT(SCREEN_OCTETS);
    screen_put(&page, text);
    must(!buf_over(&page));
    page_check(buf_str(&page));
    screen_put(&again, buf_str(&page));
    must(str_eq(buf_str(&again), buf_str(&page)));
    ascii_check(buf_str(&page));
    buf_done(&page);
    buf_done(&again);
}

static void message_check(struct str message)
{
    const struct summary_limits limits = SUMMARY_LIMITS_DEFAULT;
    struct summary summary;
    struct summary_view view;
    struct arena arena;
    struct buf page = BUF_INIT(SCREEN_OCTETS);
    arena_init(&arena, 2 * SUMMARY_ARENA_MAX);
    summary_init(&summary, &arena, &limits);
    summary_feed(&summary, message);
    if (!err_is(summary_end(&summary)) && !err_is(summary_read_back(&summary, &arena, &view))) {
        screen_put_message(&page, &view, str_head(message, SCREEN_HEAD), &arena);
        must(!buf_over(&page));
        page_check(buf_str(&page));
    }
    buf_done(&page);
    arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct str text = str_make((const char *)data, n);
    text_check(text);
    message_check(text);
    return 0;
}
