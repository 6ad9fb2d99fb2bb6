/* Any octets as a body, a header and a tag list. Properties: any cut of a body gives the same; a
 * canonical body is its own canonical form, has no blank at the end of a line and no empty line at
 * its end, and is at most two octets longer than what came. A relaxed field is its own relaxed form
 * and one line. A tag list that was read has its tags inside the text. */
#include "base/must.h"
#include "format/header.h"
#include "trust/dkim_canonical.h"
#include "trust/dkim_tags.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum {
    TEXT_MAX = 1 << 17
};

static void text_put(void *arg, struct str octets)
{
    must(octets.n > 0 && buf_put(arg, octets));
}

/* In pieces of `step` octets. */
static void body_make(enum dkim_canonical canonical, struct str text, size_t step, struct buf *to)
{
    const struct dkim_sink sink = {.put = text_put, .arg = to};
    struct dkim_body body;
    buf_clear(to);
    dkim_body_begin(&body, canonical);
    for (size_t at = 0; at < text.n; at += step)
        dkim_body_feed(&body, str_head(str_from_index(text, at), step), &sink);
    dkim_body_end(&body, &sink);
}

static void relaxed_look(struct str text)
{
    for (size_t i = 0; i + 1 < text.n; i++) {
        bool blank = text.p[i] == ' ';
        must(text.p[i] != '\t' && !(blank && text.p[i + 1] == ' '));
        must(!blank || !str_starts(str_from_index(text, i + 1), STR("\r\n")));
    }
    must(text.n == 0 || str_ends(text, STR("\r\n")));
    must(!str_ends(text, STR("\r\n\r\n")) && !str_eq(text, STR("\r\n")));
}

static void body_check(enum dkim_canonical canonical, struct str text, size_t step)
{
    struct buf one = BUF_INIT(TEXT_MAX), other = BUF_INIT(TEXT_MAX);
    body_make(canonical, text, text.n + 1, &one);
    body_make(canonical, text, step, &other);
    must(str_eq(buf_str(&one), buf_str(&other)));
    must(one.n <= text.n + 2);
    if (canonical == DKIM_RELAXED)
        relaxed_look(buf_str(&one));
    body_make(canonical, buf_str(&one), step, &other);
    must(str_eq(buf_str(&one), buf_str(&other)));
    buf_done(&one);
    buf_done(&other);
}

static void field_check(struct str whole)
{
    struct buf once = BUF_INIT(TEXT_MAX), twice = BUF_INIT(TEXT_MAX);
    dkim_header_canonical(DKIM_RELAXED, whole, &once);
    must(!buf_over(&once) && once.n <= whole.n + 2 && str_ends(buf_str(&once), STR("\r\n")));
    must(str_find(str_head(buf_str(&once), once.n - 2), STR("\r\n")) < 0);
    dkim_header_canonical(DKIM_RELAXED, buf_str(&once), &twice);
    must(str_eq(buf_str(&once), buf_str(&twice)));
    buf_done(&once);
    buf_done(&twice);
}

static void fields_check(struct str text)
{
    struct header_field field;
    while (header_next(&text, &field))
        if (field.name.n)
            field_check(field.whole);
}

static void tags_check(struct str text)
{
    struct dkim_tags tags;
    if (!dkim_tags_parse(text, &tags))
        return;
    must(tags.count > 0 && tags.count <= DKIM_TAGS_MAX);
    for (size_t i = 0; i < tags.count; i++) {
        struct dkim_tag tag = tags.list[i];
        must(tag.name.p >= text.p && tag.name.p + tag.name.n < tag.value.p);
        must(tag.value.p + tag.value.n <= text.p + text.n && str_index(tag.value, ';') < 0);
        must(dkim_tag(&tags, tag.name).p == tag.value.p);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < 1 || n > TEXT_MAX / 2)
        return 0;
    struct str text = str_make(data + 1, n - 1);
    size_t step = 1 + data[0] % 16;
    body_check(DKIM_SIMPLE, text, step);
    body_check(DKIM_RELAXED, text, step);
    fields_check(text);
    tags_check(text);
    return 0;
}
