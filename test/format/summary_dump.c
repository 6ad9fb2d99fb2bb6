/*
 * test_summary_dump FILE: sums a message up, reads the record back and prints what is in it as
 * JSON, strings in hexadecimal: for comparison with other parsers (test_summary.py).
 * test_summary_dump --reencode FILE: the message as a client without BINARYMIME gets it.
 */
#include <iconv.h>

#include "base/must.h"
#include "format/encodings.h"
#include "format/header.h"
#include "format/reencode.h"
#include "format/summary.h"
#include "format/words.h"

enum {
    LARGEST = 64 << 20
};

static bool iconv_convert(void *context, struct str charset, struct str bytes, struct buf *buf)
{
    (void)context;
    char name[32];
    snprintf(name, sizeof(name), "%.*s", STR_FMT(charset));
    iconv_t handle = iconv_open("UTF-8", name);
    if (handle == (iconv_t)-1)
        return false;
    size_t room = bytes.n * 4 + 16, left = room;
    char *to = buf_room(buf, room), *from = (char *)(uintptr_t)bytes.p;
    must(to);
    while (bytes.n && iconv(handle, &from, &bytes.n, &to, &left) == (size_t)-1 && bytes.n) {
        from++;
        bytes.n--;
    }
    buf_added(buf, room - left);
    iconv_close(handle);
    return true;
}

static const struct charset_converter converter = {NULL, iconv_convert};

static void hex_print(const char *key, struct str s)
{
    if (!s.p) {
        printf("\"%s\": null", key);
        return;
    }
    printf("\"%s\": \"", key);
    for (size_t i = 0; i < s.n; i++)
        printf("%02x", (unsigned char)s.p[i]);
    printf("\"");
}

static struct str decoded_body(struct str body, struct str encoding, struct buf *buf)
{
    struct base64_decode base64;
    struct quoted_printable_decode quoted;
    buf_clear(buf);
    if (str_eq_nocase(encoding, STR("base64"))) {
        base64_decode_init(&base64);
        base64_decode_feed(&base64, body, buf);
        base64_decode_end(&base64, buf);
    } else if (str_eq_nocase(encoding, STR("quoted-printable"))) {
        quoted_printable_decode_init(&quoted);
        quoted_printable_decode_feed(&quoted, body, buf);
        quoted_printable_decode_end(&quoted, buf);
    } else {
        buf_put(buf, body);
    }
    return buf->n ? buf_str(buf) : STR("");
}

static void filename_print(const struct summary_part *part, struct arena *arena)
{
    struct buf name = BUF_INIT(LARGEST);
    const struct summary_content *content = part->content;
    bool there =
        content &&
        (params_decode(content->disposition_params, STR("filename"), &converter, arena, &name) ||
         params_decode(content->type_params, STR("name"), &converter, arena, &name));
    hex_print("filename", there ? buf_str(&name) : str_null());
    buf_done(&name);
}

static void part_print(struct str text, const struct summary_part *part, struct arena *arena)
{
    static const char *kinds[] = {"leaf", "multipart", "message", "opaque"};
    struct buf body = BUF_INIT(LARGEST);
    struct str type, subtype, encoding = summary_part_word(part, CONTENT_ENCODING);
    summary_part_type(part, &type, &subtype);
    printf("{\"parent\": %u, \"depth\": %u, \"kind\": \"%s\", \"lines\": %u, ", part->parent,
           part->depth, kinds[part->kind], part->lines);
    printf("\"header_offset\": %u, \"body_offset\": %u, \"body_length\": %u, ", part->header_offset,
           part->body_offset, part->body_length);
    hex_print("type", type);
    printf(", ");
    hex_print("subtype", subtype);
    printf(", ");
    hex_print("encoding", encoding);
    printf(", ");
    hex_print("disposition", summary_part_word(part, CONTENT_DISPOSITION));
    printf(", ");
    filename_print(part, arena);
    printf(", ");
    hex_print("subject", part->envelope ? part->envelope->value[ENVELOPE_SUBJECT] : str_null());
    printf(", ");
    struct str stored = str_make(text.p + part->body_offset, part->body_length);
    hex_print("body", part->kind == PART_LEAF ? decoded_body(stored, encoding, &body) : str_null());
    printf("}");
    buf_done(&body);
}

static void field_print(struct str text, const struct summary_field *field, struct arena *arena)
{
    struct buf line = BUF_INIT(LARGEST), plain = BUF_INIT(LARGEST);
    struct str rest = str_make(text.p + field->start, field->length);
    struct header_field split;
    must(header_next(&rest, &split) && rest.n == 0);
    header_unfold(split.value, &line);
    words_decode(buf_str(&line), &converter, arena, &plain);
    printf("{\"start\": %u, \"length\": %u, ", field->start, field->length);
    hex_print("name", field->name);
    printf(", ");
    hex_print("value", plain.n ? buf_str(&plain) : STR(""));
    printf("}");
    buf_done(&line);
    buf_done(&plain);
}

static void view_print(struct str text, const struct summary_view *view, struct arena *arena)
{
    printf("{\"size\": %u, \"flags\": %u, \"hops\": %u, \"header_length\": %u,\n\"fields\": [",
           view->size, view->flags, view->hops, view->header_length);
    for (uint32_t i = 0; i < view->field_count; i++) {
        printf(i ? ",\n" : "\n");
        field_print(text, &view->fields[i], arena);
    }
    printf("],\n\"parts\": [");
    for (uint32_t i = 0; i < view->part_count; i++) {
        printf(i ? ",\n" : "\n");
        part_print(text, &view->parts[i], arena);
    }
    printf("]}\n");
}

static void segment_write(struct str text, const struct reencode_segment *segment)
{
    struct buf out = BUF_INIT(LARGEST);
    struct str stored = str_make(text.p + segment->start, segment->length);
    if (segment->kind == REENCODE_BASE64) {
        struct base64_encode encode;
        base64_encode_init(&encode, true);
        base64_encode_feed(&encode, stored, &out);
        base64_encode_end(&encode, &out);
        buf_cut(&out, out.n - 2);
    } else {
        buf_put(&out, segment->kind == REENCODE_RAW ? stored : segment->literal);
    }
    must(out.n == segment->served);
    fwrite(out.p, 1, out.n, stdout);
    buf_done(&out);
}

static void reencoded_write(struct str text, const struct summary_view *view, struct arena *arena)
{
    struct reencode_plan plan;
    must(!err_is(reencode_plan(view, arena, &plan)));
    for (uint32_t i = 0; i < plan.count; i++)
        segment_write(text, &plan.segments[i]);
}

static bool file_read(const char *name, struct buf *text)
{
    FILE *file = fopen(name, "rb");
    if (!file)
        return false;
    char *to;
    size_t n;
    while ((to = buf_room(text, 4096)) && (n = fread(to, 1, 4096, file)) > 0)
        buf_added(text, n);
    fclose(file);
    return !buf_over(text);
}

int main(int argc, char **argv)
{
    struct summary_limits limits = SUMMARY_LIMITS_DEFAULT;
    struct summary summary;
    struct summary_view view;
    struct arena arena;
    struct buf text = BUF_INIT(LARGEST), record = BUF_INIT(LARGEST);
    bool reencode = argc == 3 && str_eq(str_from(argv[1]), STR("--reencode"));
    if ((argc != 2 && !reencode) || !file_read(argv[argc - 1], &text))
        return 64;
    arena_init(&arena, LARGEST);
    summary_init(&summary, &arena, &limits);
    for (struct str rest = buf_str(&text); rest.n; rest = str_from_index(rest, 1000))
        summary_feed(&summary, str_head(rest, 1000));
    struct err e = summary_end(&summary);
    if (!err_is(e)) {
        summary_print(&summary, &record);
        must(!err_is(summary_parse(buf_str(&record), &arena, &view)));
        if (reencode)
            reencoded_write(buf_str(&text), &view, &arena);
        else
            view_print(buf_str(&text), &view, &arena);
    }
    buf_done(&text);
    buf_done(&record);
    arena_done(&arena);
    return err_is(e) ? 65 : 0;
}
