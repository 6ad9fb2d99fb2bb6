/*
 * Property: what is printed is parsed as the same; what is parsed is the one way to print it; the
 * lenient decoder agrees; the letters of URLs without padding say the same as base64 with it.
 */
#include "base/must.h"
#include "format/encodings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum {
    MOST = 1 << 16
};

static void lenient_agrees(struct str text, struct str octets)
{
    struct buf buf = BUF_INIT(MOST);
    struct base64_decode decode;
    base64_decode_init(&decode);
    base64_decode_feed(&decode, text, &buf);
    base64_decode_end(&decode, &buf);
    must(!decode.malformed && str_eq(buf_str(&buf), octets));
    buf_done(&buf);
}

static void printed_is_parsed(struct str octets)
{
    struct buf text = BUF_INIT(MOST), back = BUF_INIT(MOST);
    base64_print(&text, octets);
    must(text.n == base64_encoded_size(octets.n, false));
    back.max = text.n + 3;
    must(base64_parse(buf_str(&text), &back) && str_eq(buf_str(&back), octets));
    buf_done(&text);
    buf_done(&back);
}

static void parsed_is_printed(struct str text)
{
    struct buf octets = BUF_INIT(text.n + 3), back = BUF_INIT(MOST);
    if (base64_parse(text, &octets)) {
        base64_print(&back, buf_str(&octets));
        must(str_eq(buf_str(&back), text));
        lenient_agrees(text, buf_str(&octets));
    }
    buf_done(&octets);
    buf_done(&back);
}

/* The same digits in base64's letters, with padding; false: it has letters that URLs' has not. */
static bool url_to_base64(struct str url, struct buf *buf)
{
    for (size_t i = 0; i < url.n; i++) {
        char c = url.p[i];
        if (c == '+' || c == '/' || c == '=')
            return false;
        buf_putc(buf, c == '-' ? '+' : c == '_' ? '/' : c);
    }
    while (buf->n % 4)
        buf_putc(buf, '=');
    return true;
}

static void url_says_the_same(struct str url)
{
    struct buf text = BUF_INIT(MOST), one = BUF_INIT(url.n + 3), two = BUF_INIT(MOST);
    bool may = url_to_base64(url, &text);
    bool parsed = base64url_parse(url, &one);
    must(parsed == (may && base64_parse(buf_str(&text), &two)));
    must(!parsed || str_eq(buf_str(&one), buf_str(&two)));
    buf_done(&text);
    buf_done(&one);
    buf_done(&two);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n > MOST / 2)
        return 0;
    printed_is_parsed(str_make(data, n));
    parsed_is_printed(str_make(data, n));
    url_says_the_same(str_make(data, n));
    return 0;
}
