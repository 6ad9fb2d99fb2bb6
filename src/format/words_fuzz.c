/*
 * Properties: what is decoded is UTF-8 without controls and not much longer than the input; what is
 * encoded reads back; base64 and quoted-printable read back what they wrote, and read whatever they
 * are given as the same, however it was cut; memory is linear.
 */
#include "base/must.h"
#include "format/encodings.h"
#include "format/words.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum {
    /* What is taken from the arena: some copies of the text, a parameter for each of its octets at
     * worst, and the list of RFC 2231's segments once. */
    MEMORY_TIMES = 100,
    MEMORY_MORE = 1 << 18,
};

/* A converter that gives back what it gets, malformed as it may be. */
static bool echo(void *context, struct str charset, struct str bytes, struct buf *buf)
{
    (void)context;
    (void)charset;
    return buf_put(buf, bytes);
}

static const struct charset_converter converter = {NULL, echo};

static void clean_check(struct str text)
{
    must(str_is_utf8(text));
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        must(c >= 0x20 && c != 0x7f);
        must(c != 0xc2 || (unsigned char)text.p[i + 1] >= 0xa0);
    }
}

static void words_check(struct str text, struct arena *arena)
{
    struct buf out = BUF_INIT(1 << 20), back = BUF_INIT(1 << 20);
    words_decode(text, &converter, arena, &out);
    must(!buf_over(&out) && out.n <= 3 * text.n);
    clean_check(buf_str(&out));
    struct str clean = buf_copy(&out, arena);
    buf_clear(&out);
    words_encode(clean, &out);
    words_decode(buf_str(&out), NULL, arena, &back);
    must(str_eq(buf_str(&back), clean));
    buf_done(&out);
    buf_done(&back);
}

static void params_check(struct str text, struct arena *arena)
{
    struct str type, subtype;
    struct params params;
    struct buf out = BUF_INIT(1 << 20);
    must(content_type_parse(text, WORDS_SEGMENTS_MAX, arena, &type, &subtype, &params));
    must(params.n <= WORDS_SEGMENTS_MAX);
    if (params_decode(params, STR("name"), &converter, arena, &out))
        clean_check(buf_str(&out));
    must(!buf_over(&out));
    buf_done(&out);
}

static void base64_check(struct str text, size_t step)
{
    struct buf out = BUF_INIT(1 << 20), back = BUF_INIT(1 << 20);
    struct base64_encode encode;
    struct base64_decode decode;
    base64_encode_init(&encode, true);
    base64_decode_init(&decode);
    for (struct str rest = text; rest.n; rest = str_from_index(rest, step))
        base64_encode_feed(&encode, str_head(rest, step), &out);
    base64_encode_end(&encode, &out);
    must(out.n == base64_encoded_size(text.n, true));
    for (struct str rest = buf_str(&out); rest.n; rest = str_from_index(rest, step))
        base64_decode_feed(&decode, str_head(rest, step), &back);
    base64_decode_end(&decode, &back);
    must(str_eq(buf_str(&back), text) && !decode.malformed);
    buf_done(&out);
    buf_done(&back);
}

static void quoted_printable_check(struct str text, size_t step)
{
    struct buf out = BUF_INIT(1 << 20), back = BUF_INIT(1 << 20);
    struct quoted_printable_encode encode;
    struct quoted_printable_decode decode;
    quoted_printable_encode_init(&encode);
    quoted_printable_decode_init(&decode);
    for (struct str rest = text; rest.n; rest = str_from_index(rest, step))
        quoted_printable_encode_feed(&encode, str_head(rest, step), &out);
    quoted_printable_encode_end(&encode, &out);
    for (struct str rest = buf_str(&out); rest.n; rest = str_from_index(rest, step))
        quoted_printable_decode_feed(&decode, str_head(rest, step), &back);
    quoted_printable_decode_end(&decode, &back);
    must(str_eq(buf_str(&back), text) && !decode.malformed);
    buf_clear(&back);
    quoted_printable_decode_feed(&decode, text, &back);
    quoted_printable_decode_end(&decode, &back);
    must(back.n <= text.n);
    buf_done(&out);
    buf_done(&back);
}

/* What is no base64 and no quoted-printable either: the same whatever the cuts. */
static void decoders_check(struct str text, size_t step)
{
    struct buf one = BUF_INIT(1 << 20), two = BUF_INIT(1 << 20);
    struct base64_decode base64, base64_cut;
    struct quoted_printable_decode quoted, quoted_cut;
    base64_decode_init(&base64);
    base64_decode_init(&base64_cut);
    base64_decode_feed(&base64, text, &one);
    for (struct str rest = text; rest.n; rest = str_from_index(rest, step))
        base64_decode_feed(&base64_cut, str_head(rest, step), &two);
    base64_decode_end(&base64, &one);
    base64_decode_end(&base64_cut, &two);
    must(str_eq(buf_str(&one), buf_str(&two)) && base64.malformed == base64_cut.malformed);
    must(one.n <= text.n);
    buf_clear(&one);
    buf_clear(&two);
    quoted_printable_decode_init(&quoted);
    quoted_printable_decode_init(&quoted_cut);
    quoted_printable_decode_feed(&quoted, text, &one);
    for (struct str rest = text; rest.n; rest = str_from_index(rest, step))
        quoted_printable_decode_feed(&quoted_cut, str_head(rest, step), &two);
    quoted_printable_decode_end(&quoted, &one);
    quoted_printable_decode_end(&quoted_cut, &two);
    must(str_eq(buf_str(&one), buf_str(&two)) && quoted.malformed == quoted_cut.malformed);
    buf_done(&one);
    buf_done(&two);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n == 0 || n > 16384)
        return 0;
    struct str text = str_make(data + 1, n - 1);
    size_t step = 1 + data[0] % 80;
    struct arena arena;
    arena_init(&arena, 8 << 20);
    words_check(text, &arena);
    params_check(text, &arena);
    base64_check(text, step);
    quoted_printable_check(text, step);
    decoders_check(text, step);
    must(arena.used <= MEMORY_TIMES * text.n + MEMORY_MORE);
    arena_done(&arena);
    return 0;
}
