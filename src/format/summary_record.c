/*
 * The record, version 1 (base/wire.h encodings; numbers are varints where nothing else is said):
 *
 *   u16 version, size, header_length, flags, longest_line, hops, from_count
 *   fields:   count; each: u8 n, n octets of name, start, length
 *   parts:    count; each: u16 parent, u8 depth, u8 kind (0x80: in_digest, 0x40: unfit),
 * header_offset, body_offset, body_length, lines, u16 what is present, then what is present in the
 *             order of the bits: the content words (str), the parameters of the type and of the
 *             disposition (count; name and value as str), the envelope (u16 what is present; str),
 *             encoding_start and encoding_length
 *   preview:  u8 version, str
 *   search:   u8 version, str
 *
 * What is absent takes no room, so that ten thousand empty parts fit. Reading checks everything a
 * later reader would rely on, since the record crossed the bus from a role that may be lost.
 */
#include "base/must.h"
#include "base/wire.h"
#include "format/summary_inside.h"

enum {
    HAS_TYPE_PARAMS = 1 << CONTENT_WORDS,
    HAS_DISPOSITION_PARAMS = 2 << CONTENT_WORDS,
    HAS_ENVELOPE = 4 << CONTENT_WORDS,
    HAS_ENCODING_PLACE = 8 << CONTENT_WORDS,
    PART_SMALLEST = 10,
    PARAM_SMALLEST = 2,
    FIELD_SMALLEST = 3,
    KIND_IN_DIGEST = 0x80,
    KIND_UNFIT = 0x40,
};

/* Printing */

static uint16_t present_of(const struct str *strings, size_t n)
{
    unsigned present = 0;
    for (size_t i = 0; i < n; i++)
        present |= (unsigned)(strings[i].p != NULL) << i;
    return (uint16_t)present;
}

static void strings_print(struct buf *buf, const struct str *strings, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strings[i].p)
            wire_put_short(buf, strings[i]);
}

static void params_print(struct buf *buf, struct params params)
{
    wire_put_varint(buf, params.n);
    for (uint32_t i = 0; i < params.n; i++) {
        wire_put_short(buf, params.at[i].name);
        wire_put_short(buf, params.at[i].value);
    }
}

static uint16_t part_present(const struct summary_part *part)
{
    unsigned present = part->envelope ? HAS_ENVELOPE : 0;
    present |= part->encoding_length ? HAS_ENCODING_PLACE : 0;
    const struct summary_content *content = part->content;
    if (!content)
        return (uint16_t)present;
    present |= present_of(content->word, CONTENT_WORDS);
    present |= content->type_params.n ? HAS_TYPE_PARAMS : 0;
    present |= content->disposition_params.n ? HAS_DISPOSITION_PARAMS : 0;
    return (uint16_t)present;
}

static void part_print(struct buf *buf, const struct summary_part *part)
{
    uint16_t present = part_present(part);
    wire_put_u16(buf, (uint16_t)part->parent);
    wire_put_u8(buf, (uint8_t)part->depth);
    wire_put_u8(buf, (uint8_t)(part->kind | (part->in_digest ? KIND_IN_DIGEST : 0) |
                               (part->unfit ? KIND_UNFIT : 0)));
    wire_put_varint(buf, part->header_offset);
    wire_put_varint(buf, part->body_offset);
    wire_put_varint(buf, part->body_length);
    wire_put_varint(buf, part->lines);
    wire_put_u16(buf, present);
    if (part->content)
        strings_print(buf, part->content->word, CONTENT_WORDS);
    if (present & HAS_TYPE_PARAMS)
        params_print(buf, part->content->type_params);
    if (present & HAS_DISPOSITION_PARAMS)
        params_print(buf, part->content->disposition_params);
    if (present & HAS_ENVELOPE) {
        wire_put_u16(buf, present_of(part->envelope->value, ENVELOPE_FIELDS));
        strings_print(buf, part->envelope->value, ENVELOPE_FIELDS);
    }
    if (present & HAS_ENCODING_PLACE) {
        wire_put_varint(buf, part->encoding_start);
        wire_put_varint(buf, part->encoding_length);
    }
}

static void fields_print(struct buf *buf, const struct summary *summary)
{
    wire_put_varint(buf, summary->field_count);
    for (const struct summary_chunk *chunk = summary->fields; chunk; chunk = chunk->next)
        for (uint32_t i = 0; i < chunk->n; i++) {
            const struct summary_field *field = &chunk->field[i];
            wire_put_u8(buf, (uint8_t)field->name.n);
            buf_put(buf, field->name);
            wire_put_varint(buf, field->start);
            wire_put_varint(buf, field->length);
        }
}

void summary_print(const struct summary *summary, struct buf *buf)
{
    must(!err_is(summary->error) && summary->frame_count == 0);
    wire_put_u16(buf, SUMMARY_VERSION);
    wire_put_varint(buf, (uint32_t)summary->size);
    wire_put_varint(buf, summary->header_length);
    wire_put_varint(buf, summary->flags);
    wire_put_varint(buf, summary->longest_line);
    wire_put_varint(buf, summary->hops);
    wire_put_varint(buf, summary->from_count);
    fields_print(buf, summary);
    wire_put_varint(buf, summary->part_count);
    for (const struct summary_chunk *chunk = summary->parts; chunk; chunk = chunk->next)
        for (uint32_t i = 0; i < chunk->n; i++)
            part_print(buf, &chunk->part[i]);
    for (int section = 0; section < 2; section++) {
        wire_put_u8(buf, 0);
        wire_put_short(buf, str_null());
    }
}

/* Reading */

struct reader {
    struct wire_in in;
    struct arena *arena;
};

static uint32_t number_read(struct wire_in *in)
{
    uint64_t number = wire_get_varint(in);
    in->bad |= number > UINT32_MAX;
    return in->bad ? 0 : (uint32_t)number;
}

/* An array for `count` entries that take at least `smallest` octets each; NULL and bad where the
 * record cannot hold them, so that a count never costs more memory than the record is long. */
static void *array_take(struct reader *reader, uint32_t count, size_t smallest, size_t size)
{
    if (reader->in.bad || count > reader->in.rest.n / smallest) {
        reader->in.bad = true;
        return NULL;
    }
    return arena_take_array(reader->arena, count, size);
}

/* Present but empty strings keep a p, so that they differ from absent ones. */
static void strings_read(struct reader *reader, struct str *strings, size_t n, unsigned present)
{
    for (size_t i = 0; i < n; i++) {
        if (!(present >> i & 1))
            continue;
        struct str s = wire_get_short(&reader->in);
        strings[i] = s.p ? s : STR("");
    }
}

static struct params params_read(struct reader *reader)
{
    uint32_t n = number_read(&reader->in);
    struct param *at = array_take(reader, n, PARAM_SMALLEST, sizeof(*at));
    for (uint32_t i = 0; at && i < n; i++) {
        at[i].name = wire_get_short(&reader->in);
        at[i].value = wire_get_short(&reader->in);
    }
    return (struct params){at, at ? n : 0};
}

static void content_read(struct reader *reader, struct summary_part *part, unsigned present)
{
    if (!(present & (HAS_ENVELOPE - 1)))
        return;
    struct summary_content *content = arena_new(reader->arena, struct summary_content);
    if (!content)
        return;
    part->content = content;
    strings_read(reader, content->word, CONTENT_WORDS, present);
    if (present & HAS_TYPE_PARAMS)
        content->type_params = params_read(reader);
    if (present & HAS_DISPOSITION_PARAMS)
        content->disposition_params = params_read(reader);
}

static void envelope_read(struct reader *reader, struct summary_part *part)
{
    unsigned present = wire_get_u16(&reader->in);
    struct summary_envelope *envelope = arena_new(reader->arena, struct summary_envelope);
    part->envelope = envelope;
    if (envelope)
        strings_read(reader, envelope->value, ENVELOPE_FIELDS, present);
    reader->in.bad |= present >> ENVELOPE_FIELDS != 0;
}

static void part_read(struct reader *reader, struct summary_part *part)
{
    part->parent = wire_get_u16(&reader->in);
    part->depth = wire_get_u8(&reader->in);
    uint8_t kind = wire_get_u8(&reader->in);
    part->kind = kind & (KIND_UNFIT - 1);
    part->in_digest = kind & KIND_IN_DIGEST;
    part->unfit = kind & KIND_UNFIT;
    part->header_offset = number_read(&reader->in);
    part->body_offset = number_read(&reader->in);
    part->body_length = number_read(&reader->in);
    part->lines = number_read(&reader->in);
    unsigned present = wire_get_u16(&reader->in);
    content_read(reader, part, present);
    if (present & HAS_ENVELOPE)
        envelope_read(reader, part);
    if (present & HAS_ENCODING_PLACE) {
        part->encoding_start = number_read(&reader->in);
        part->encoding_length = number_read(&reader->in);
    }
    reader->in.bad |= present >= 2 * HAS_ENCODING_PLACE;
}

static uint64_t body_end(const struct summary_part *part)
{
    return (uint64_t)part->body_offset + part->body_length;
}

static bool part_is_sound(const struct summary_part *part)
{
    bool place = part->encoding_length == 0 ||
                 (part->encoding_start >= part->header_offset &&
                  (uint64_t)part->encoding_start + part->encoding_length <= part->body_offset);
    return place && part->kind <= PART_OPAQUE && part->header_offset <= part->body_offset &&
           part->lines <= part->body_length && body_end(part) <= UINT32_MAX;
}

/* Inside its parent, behind its elder sibling, in the order of the message, and of a kind that
 * fits. `ends` is where the last child of each part ended. */
static bool part_is_nested(const struct summary_part *parts, uint32_t i, uint32_t *ends)
{
    const struct summary_part *part = &parts[i];
    ends[i] = part->body_offset;
    if (i == 0)
        return part->parent == 0 && part->depth == 0 && part->envelope;
    if (part->parent >= i || part->header_offset < parts[i - 1].header_offset)
        return false;
    const struct summary_part *parent = &parts[part->parent];
    bool of_message = parent->kind == PART_MESSAGE;
    bool inside = part->header_offset >= ends[part->parent] && body_end(part) <= body_end(parent);
    ends[part->parent] = (uint32_t)body_end(part);
    return inside && (of_message || parent->kind == PART_MULTIPART) &&
           part->depth == parent->depth + 1 && part->depth <= SUMMARY_DEPTH_MAX &&
           (part->envelope != NULL) == of_message;
}

static bool parts_read(struct reader *reader, struct summary_view *view)
{
    uint32_t n = number_read(&reader->in);
    struct summary_part *parts = array_take(reader, n, PART_SMALLEST, sizeof(*parts));
    uint32_t *ends = array_take(reader, n, PART_SMALLEST, sizeof(*ends));
    if (!parts || !ends || n == 0)
        return false;
    for (uint32_t i = 0; i < n; i++) {
        part_read(reader, &parts[i]);
        if (reader->in.bad || arena_over(reader->arena) || !part_is_sound(&parts[i]) ||
            !part_is_nested(parts, i, ends))
            return false;
    }
    view->parts = parts;
    view->part_count = n;
    return parts[0].header_offset == 0 && parts[0].body_offset == view->header_length &&
           body_end(&parts[0]) == view->size;
}

static bool fields_read(struct reader *reader, struct summary_view *view)
{
    uint32_t n = number_read(&reader->in);
    struct summary_field *fields = array_take(reader, n, FIELD_SMALLEST, sizeof(*fields));
    uint64_t end = 0;
    for (uint32_t i = 0; fields && i < n; i++) {
        fields[i].name = wire_get_octets(&reader->in, wire_get_u8(&reader->in));
        fields[i].start = number_read(&reader->in);
        fields[i].length = number_read(&reader->in);
        if (reader->in.bad || fields[i].start != end)
            return false;
        end += fields[i].length;
    }
    view->fields = fields;
    view->field_count = n;
    return fields && end <= view->header_length;
}

static bool view_read(struct reader *reader, struct summary_view *view)
{
    struct wire_in *in = &reader->in;
    if (wire_get_u16(in) != SUMMARY_VERSION)
        return false;
    view->size = number_read(in);
    view->header_length = number_read(in);
    view->flags = number_read(in);
    view->longest_line = number_read(in);
    view->hops = number_read(in);
    view->from_count = number_read(in);
    if (!fields_read(reader, view) || !parts_read(reader, view))
        return false;
    view->preview_version = wire_get_u8(in);
    view->preview = wire_get_short(in);
    view->search_version = wire_get_u8(in);
    view->search = wire_get_short(in);
    return wire_end(in);
}

struct err summary_parse(struct str record, struct arena *arena, struct summary_view *view_r)
{
    struct reader reader = {.in = wire_in(record), .arena = arena};
    struct summary_view view = {0};
    bool whole = view_read(&reader, &view);
    if (arena_over(arena))
        return err_make(ERR_OVER_LIMIT);
    if (!whole)
        return err_detail(ERR_STORE_DAMAGED, STR("a message summary does not hold"));
    *view_r = view;
    return err_none();
}

/* Reading a part */

struct str summary_part_word(const struct summary_part *part, enum content_word word)
{
    return part->content ? part->content->word[word] : str_null();
}

struct err summary_read_back(const struct summary *summary, struct arena *arena,
                             struct summary_view *view_r)
{
    struct buf record = buf_in(arena, summary->limits.record_bytes);
    summary_print(summary, &record);
    struct str built = buf_built(&record);
    return built.p ? summary_parse(built, arena, view_r) : err_make(ERR_OVER_LIMIT);
}

void summary_part_type(const struct summary_part *part, struct str *type_r, struct str *subtype_r)
{
    struct str type = summary_part_word(part, CONTENT_TYPE);
    struct str subtype = summary_part_word(part, CONTENT_SUBTYPE);
    if (part->kind == PART_OPAQUE) {
        type = STR("application");
        subtype = STR("octet-stream");
    } else if (!type.p || !subtype.p) {
        type = part->in_digest ? STR("message") : STR("text");
        subtype = part->in_digest ? STR("rfc822") : STR("plain");
    }
    *type_r = type;
    *subtype_r = subtype;
}
