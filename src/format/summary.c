/*
 * One pass, line by line. A line that arrives whole is looked at where it lies; only one that was
 * cut by a chunk is gathered, and of it only as much as its place needs: in a header the line, in
 * a body with open boundaries the first few hundred octets, elsewhere nothing.
 *
 * Work stays linear because each octet is scanned once, a line is held against all boundaries by
 * one bisection (summary_stack.c), a part is closed once, and a value is copied once when its field
 * ends. A second field of the same name is not kept: joining a thousand To fields would not be
 * linear, and RFC 5322 3.6 allows one.
 */
#include "format/summary.h"

#include "base/must.h"
#include "format/summary_inside.h"
#include "format/token.h"

enum {
    TEXT_AT_FIRST = 256,
    /* Of a body line: "--", boundary, "--" and some white space. */
    DELIMITER_LINE_MAX = SUMMARY_BOUNDARY_MAX + 300,
    /* What one part can add to record_used at most: its kept values and what is around them. */
    RECORD_PART_MAX = SUMMARY_PART_HEADER_KEPT + 80 * 1024,
};

enum wanted_kind {
    WANTED_ENVELOPE,
    WANTED_WORD,
    WANTED_TYPE,
    WANTED_DISPOSITION,
};

static const struct wanted_field {
    struct str name;
    enum wanted_kind kind;
    uint8_t slot; /* enum envelope_field or enum content_word */
} wanted_fields[] = {
    {STR_INIT("Date"), WANTED_ENVELOPE, ENVELOPE_DATE},
    {STR_INIT("Subject"), WANTED_ENVELOPE, ENVELOPE_SUBJECT},
    {STR_INIT("From"), WANTED_ENVELOPE, ENVELOPE_FROM},
    {STR_INIT("Sender"), WANTED_ENVELOPE, ENVELOPE_SENDER},
    {STR_INIT("Reply-To"), WANTED_ENVELOPE, ENVELOPE_REPLY_TO},
    {STR_INIT("To"), WANTED_ENVELOPE, ENVELOPE_TO},
    {STR_INIT("Cc"), WANTED_ENVELOPE, ENVELOPE_CC},
    {STR_INIT("Bcc"), WANTED_ENVELOPE, ENVELOPE_BCC},
    {STR_INIT("In-Reply-To"), WANTED_ENVELOPE, ENVELOPE_IN_REPLY_TO},
    {STR_INIT("Message-ID"), WANTED_ENVELOPE, ENVELOPE_MESSAGE_ID},
    {STR_INIT("Content-Type"), WANTED_TYPE, CONTENT_TYPE},
    {STR_INIT("Content-Disposition"), WANTED_DISPOSITION, CONTENT_DISPOSITION},
    {STR_INIT("Content-Transfer-Encoding"), WANTED_WORD, CONTENT_ENCODING},
    {STR_INIT("Content-ID"), WANTED_WORD, CONTENT_ID},
    {STR_INIT("Content-Description"), WANTED_WORD, CONTENT_DESCRIPTION},
    {STR_INIT("Content-MD5"), WANTED_WORD, CONTENT_MD5},
    {STR_INIT("Content-Language"), WANTED_WORD, CONTENT_LANGUAGE},
    {STR_INIT("Content-Location"), WANTED_WORD, CONTENT_LOCATION},
};

static void fail(struct summary *summary, enum err_code code)
{
    if (!err_is(summary->error))
        summary->error = err_make(code);
}

static bool failed(const struct summary *summary)
{
    return err_is(summary->error);
}

static bool in_top_header(const struct summary *summary)
{
    return summary->in_header && summary->frame_count == 1;
}

static void text_add(struct summary *summary, struct summary_text *text, struct str s)
{
    if (s.n > text->cap - text->n) {
        size_t cap = text->cap ? text->cap : TEXT_AT_FIRST;
        while (cap < text->n + s.n)
            cap *= 2;
        char *p = arena_take(summary->arena, cap);
        if (!p) {
            fail(summary, ERR_OVER_LIMIT);
            return;
        }
        if (text->n)
            memcpy(p, text->p, text->n);
        text->p = p;
        text->cap = cap;
        summary->steps += text->n / OCTETS_PER_STEP;
    }
    if (s.n)
        memcpy(text->p + text->n, s.p, s.n);
    text->n += s.n;
}

/* Room for one more entry in a list of chunks, or NULL. */
static struct summary_chunk *chunk_for(struct summary *summary, struct summary_chunk **first,
                                       struct summary_chunk **last)
{
    if (*last && (*last)->n < SUMMARY_CHUNK)
        return *last;
    struct summary_chunk *chunk = arena_new(summary->arena, struct summary_chunk);
    if (!chunk) {
        fail(summary, ERR_OVER_LIMIT);
        return NULL;
    }
    if (*last)
        (*last)->next = chunk;
    else
        *first = chunk;
    *last = chunk;
    return chunk;
}

/* Parts */

static struct summary_part *part_add(struct summary *summary, uint64_t offset)
{
    struct summary_chunk *chunk = chunk_for(summary, &summary->parts, &summary->last_parts);
    if (!chunk)
        return NULL;
    struct summary_part *part = &chunk->part[chunk->n];
    part->header_offset = part->body_offset = (uint32_t)offset;
    if (summary->frame_count) {
        struct summary_part *parent = stack_top(summary)->part;
        part->parent = stack_top(summary)->index;
        part->depth = (uint16_t)(parent->depth + 1);
    }
    if (!stack_push(summary, part, summary->part_count)) {
        fail(summary, ERR_OVER_LIMIT);
        return NULL;
    }
    chunk->n++;
    summary->part_count++;
    summary->steps++;
    summary->record_used += RECORD_PART;
    return part;
}

static bool is_type(const struct summary_part *part, struct str type, struct str subtype)
{
    struct str is, sub;
    summary_part_type(part, &is, &sub);
    return str_eq_nocase(is, type) && (!subtype.p || str_eq_nocase(sub, subtype));
}

/* A part whose header begins at `offset`, inside the innermost open one. */
static void part_begin(struct summary *summary, uint64_t offset)
{
    const struct summary_part *parent = summary->frame_count ? stack_top(summary)->part : NULL;
    struct summary_part *part = part_add(summary, offset);
    if (!part)
        return;
    summary->in_header = true;
    summary->header_kept = 0;
    if (!parent || parent->kind == PART_MESSAGE) {
        part->envelope = arena_new(summary->arena, struct summary_envelope);
        if (!part->envelope)
            fail(summary, ERR_OVER_LIMIT);
        return;
    }
    part->in_digest = is_type(parent, STR("multipart"), STR("digest"));
}

/* Everything from `offset` to the end of the message, in one leaf. */
static void rest_begin(struct summary *summary, uint64_t offset)
{
    struct summary_part *part = part_add(summary, offset);
    if (!part)
        return;
    part->kind = PART_OPAQUE;
    stack_top(summary)->lines_before_body = summary->lines + 1;
    summary->in_rest = true;
    summary->flags |= SUMMARY_HAS_REST;
}

static bool has_room_for_part(const struct summary *summary)
{
    return summary->part_count < summary->limits.parts &&
           summary->record_used + RECORD_PART_MAX <= summary->limits.record_bytes;
}

/* What a leaf is served by is kept (format/reencode.h), once it is known where its body ends. */
static void serving_settle(const struct summary_frame *frame)
{
    struct summary_part *part = frame->part;
    part->unfit &= part->body_length > 0 && (part->kind == PART_LEAF || part->kind == PART_OPAQUE);
    if (!frame->binary && !part->unfit)
        part->encoding_start = part->encoding_length = 0;
}

/*
 * Closes all open parts from `level` up; their bodies end at `end`, before which there were `lines`
 * lines. Outermost first: a part that began behind that end (its own delimiter was the last thing
 * in its parent) becomes an empty one at its parent's end, so that it lies inside.
 */
static void parts_close(struct summary *summary, uint32_t level, uint64_t end, uint64_t lines)
{
    uint64_t bound = UINT64_MAX;
    for (uint32_t i = level; i < summary->frame_count; i++) {
        struct summary_frame *frame = &summary->frames[i];
        struct summary_part *part = frame->part;
        if (part->header_offset > bound)
            part->header_offset = (uint32_t)bound;
        if (part->body_offset > bound)
            part->body_offset = (uint32_t)bound;
        uint64_t last = end < bound ? end : bound;
        if (last < part->body_offset)
            last = part->body_offset;
        part->body_length = (uint32_t)(last - part->body_offset);
        if (part->body_length && lines > frame->lines_before_body)
            part->lines = (uint32_t)(lines - frame->lines_before_body);
        serving_settle(frame);
        bound = last;
        summary->steps++;
    }
    while (summary->frame_count > level)
        stack_pop(summary);
}

/* The end of a header: what kind of part is it? */

static struct str encoding_word(struct str encoding)
{
    cfws_skip(&encoding);
    return token_take(&encoding);
}

static bool is_identity(struct str encoding)
{
    struct str word = encoding_word(encoding);
    return !encoding.p || str_eq_nocase(word, STR("7bit")) || str_eq_nocase(word, STR("8bit")) ||
           str_eq_nocase(word, STR("binary"));
}

static void multipart_begin(struct summary *summary, struct summary_part *part)
{
    struct str boundary = params_get(part->content->type_params, STR("boundary"));
    while (boundary.n && is_fws(boundary.p[boundary.n - 1]))
        boundary.n--;
    if (boundary.n == 0 || boundary.n > SUMMARY_BOUNDARY_MAX)
        return;
    part->kind = PART_MULTIPART;
    stack_boundary_open(summary, boundary);
}

static void message_begin(struct summary *summary, struct summary_part *part, uint64_t body_offset)
{
    if (!is_identity(summary_part_word(part, CONTENT_ENCODING)) || !has_room_for_part(summary))
        return;
    part->kind = PART_MESSAGE;
    part_begin(summary, body_offset);
}

static void classify(struct summary *summary, struct summary_part *part, uint64_t body_offset)
{
    bool multipart = is_type(part, STR("multipart"), str_null());
    bool message = is_type(part, STR("message"), STR("rfc822")) ||
                   is_type(part, STR("message"), STR("global"));
    if (!multipart && !message)
        return;
    part->kind = PART_OPAQUE;
    if (part->depth >= summary->limits.depth)
        return;
    if (multipart)
        multipart_begin(summary, part);
    else
        message_begin(summary, part, body_offset);
}

static void field_finish(struct summary *summary);

/* The innermost open part's header has ended and its body begins at `offset`. */
static void header_end(struct summary *summary, uint64_t offset, uint64_t lines_before)
{
    field_finish(summary);
    summary->field = NULL;
    struct summary_frame *frame = stack_top(summary);
    frame->part->body_offset = (uint32_t)offset;
    frame->lines_before_body = lines_before;
    if (in_top_header(summary))
        summary->header_length = (uint32_t)offset;
    summary->in_header = false;
    if (!failed(summary))
        classify(summary, frame->part, offset);
}

/* Headers that end without an empty line; a message in a message ends its own, too. */
static void headers_cut(struct summary *summary, uint64_t offset)
{
    while (summary->in_header && !failed(summary))
        header_end(summary, offset, summary->lines);
}

/* Header fields */

static struct str *wanted_slot(struct summary_part *part, const struct wanted_field *wanted)
{
    if (wanted->kind == WANTED_ENVELOPE)
        return part->envelope ? &part->envelope->value[wanted->slot] : NULL;
    return part->content ? &part->content->word[wanted->slot] : NULL;
}

static const struct wanted_field *wanted_find(struct summary *summary, struct str name)
{
    struct summary_part *part = stack_top(summary)->part;
    for (size_t i = 0; i < sizeof(wanted_fields) / sizeof(wanted_fields[0]); i++) {
        const struct wanted_field *wanted = &wanted_fields[i];
        if (!str_eq_nocase(name, wanted->name))
            continue;
        if (wanted->kind == WANTED_ENVELOPE && !part->envelope)
            return NULL;
        struct str *slot = wanted_slot(part, wanted);
        return slot && slot->p ? NULL : wanted;
    }
    return NULL;
}

static void value_add(struct summary *summary, struct str s)
{
    if (!summary->wanted)
        return;
    if (!in_top_header(summary))
        s = str_head(s, SUMMARY_PART_HEADER_KEPT - summary->header_kept);
    summary->header_kept += s.n;
    summary->steps += s.n / OCTETS_PER_STEP;
    text_add(summary, &summary->value, s);
}

/* A parameter is charged for its memory, which is more than its lengths in the record: parts with
 * a thousand short ones each must fill neither. */
static size_t params_cost(struct params params)
{
    size_t n = RECORD_STRING + params.n * sizeof(struct param);
    for (uint32_t i = 0; i < params.n; i++)
        n += params.at[i].name.n + params.at[i].value.n;
    return n;
}

static bool type_keep(struct summary *summary, struct summary_content *content, struct str value)
{
    if (!content_type_parse(value, summary->limits.parameters, summary->arena,
                            &content->word[CONTENT_TYPE], &content->word[CONTENT_SUBTYPE],
                            &content->type_params))
        return false;
    summary->record_used += 2 * RECORD_STRING + content->word[CONTENT_TYPE].n +
                            content->word[CONTENT_SUBTYPE].n + params_cost(content->type_params);
    return true;
}

static bool disposition_keep(struct summary *summary, struct summary_content *content,
                             struct str value)
{
    if (!content_disposition_parse(value, summary->limits.parameters, summary->arena,
                                   &content->word[CONTENT_DISPOSITION],
                                   &content->disposition_params))
        return false;
    summary->record_used += RECORD_STRING + content->word[CONTENT_DISPOSITION].n +
                            params_cost(content->disposition_params);
    return true;
}

static bool word_keep(struct summary *summary, struct str *slot, struct str value)
{
    *slot = arena_str(summary->arena, value);
    summary->record_used += RECORD_STRING + value.n;
    return slot->p != NULL;
}

static bool is_encoding(const struct wanted_field *wanted)
{
    return wanted && wanted->kind == WANTED_WORD && wanted->slot == CONTENT_ENCODING;
}

static bool value_keep(struct summary *summary, const struct wanted_field *wanted, struct str value)
{
    struct summary_part *part = stack_top(summary)->part;
    if (wanted->kind != WANTED_ENVELOPE && !part->content) {
        part->content = arena_new(summary->arena, struct summary_content);
        if (!part->content)
            return false;
    }
    if (wanted->kind == WANTED_TYPE)
        return type_keep(summary, part->content, value);
    if (wanted->kind == WANTED_DISPOSITION)
        return disposition_keep(summary, part->content, value);
    if (is_encoding(wanted))
        stack_top(summary)->binary = str_eq_nocase(encoding_word(value), STR("binary"));
    return word_keep(summary, wanted_slot(part, wanted), value);
}

static void field_finish(struct summary *summary)
{
    if (!summary->wanted)
        return;
    struct str value = fws_trim(str_make(summary->value.p, summary->value.n));
    if (!failed(summary) && !value_keep(summary, summary->wanted, value))
        fail(summary, ERR_OVER_LIMIT);
    summary->steps += value.n;
    summary->wanted = NULL;
}

/* The name in front of the colon, empty where there is none (RFC 5322 3.6.8); obsolete white space
 * behind it (4.5.8) is cut off. */
static struct str field_name(struct str line, bool *malformed_r)
{
    ssize_t colon = str_index(line, ':');
    struct str written = str_head(line, colon < 0 ? 0 : (size_t)colon);
    struct str name = written;
    while (name.n && (name.p[name.n - 1] == ' ' || name.p[name.n - 1] == '\t'))
        name.n--;
    for (size_t i = 0; i < name.n; i++)
        if (name.p[i] <= 0x20 || name.p[i] > 0x7e)
            name.n = 0;
    *malformed_r = name.n == 0 || name.n != written.n;
    return name;
}

static void top_field_add(struct summary *summary, struct str name)
{
    if (summary->field_count == summary->limits.fields) {
        fail(summary, ERR_HEADER_TOO_LARGE);
        return;
    }
    struct summary_chunk *chunk = chunk_for(summary, &summary->fields, &summary->last_fields);
    if (!chunk)
        return;
    struct summary_field *field = &chunk->field[chunk->n++];
    summary->field = field;
    summary->field_count++;
    if (name.n > SUMMARY_FIELD_NAME_MAX)
        name.n = 0;
    field->name = arena_str(summary->arena, name);
    if (!field->name.p)
        fail(summary, ERR_OVER_LIMIT);
    field->start = (uint32_t)summary->line_start;
    field->length = (uint32_t)summary->line_length;
    summary->record_used += RECORD_FIELD + name.n;
    summary->hops += str_eq_nocase(name, STR("Received"));
    summary->from_count += str_eq_nocase(name, STR("From"));
}

static void field_begin(struct summary *summary, struct str line)
{
    field_finish(summary);
    bool malformed;
    struct str name = field_name(line, &malformed);
    if (in_top_header(summary)) {
        if (malformed)
            summary->flags |= SUMMARY_HEADER_MALFORMED;
        if (malformed && (str_eq_nocase(name, STR("From")) || summary->line_start == 0))
            summary->flags |= SUMMARY_FROM_AMBIGUOUS;
        top_field_add(summary, name);
    }
    summary->wanted = name.n ? wanted_find(summary, name) : NULL;
    summary->value.n = 0;
    if (is_encoding(summary->wanted)) {
        stack_top(summary)->part->encoding_start = (uint32_t)summary->line_start;
        stack_top(summary)->part->encoding_length = (uint32_t)summary->line_length;
    }
    ssize_t colon = str_index(line, ':');
    value_add(summary, str_from_index(line, (size_t)(colon + 1)));
}

static void header_line(struct summary *summary, struct str line)
{
    bool top = in_top_header(summary);
    if (top && summary->line_start + summary->line_length > summary->limits.header_bytes) {
        fail(summary, ERR_HEADER_TOO_LARGE);
        return;
    }
    bool folded = line.p[0] == ' ' || line.p[0] == '\t';
    if (!folded || (top && !summary->field)) {
        field_begin(summary, line);
        return;
    }
    if (summary->field)
        summary->field->length += (uint32_t)summary->line_length;
    if (is_encoding(summary->wanted))
        stack_top(summary)->part->encoding_length += (uint32_t)summary->line_length;
    value_add(summary, line);
}

/* Lines */

static void delimiter_line(struct summary *summary, uint32_t level, bool closes)
{
    headers_cut(summary, summary->line_start);
    if (failed(summary))
        return;
    uint64_t start = summary->line_start;
    parts_close(summary, level + 1, start >= 2 ? start - 2 : 0,
                summary->lines ? summary->lines - 1 : 0);
    uint64_t next = start + summary->line_length;
    if (closes)
        stack_boundary_close(summary, level);
    else if (has_room_for_part(summary))
        part_begin(summary, next);
    else
        rest_begin(summary, next);
}

/* How much of the current line its place needs. */
static size_t line_need(const struct summary *summary)
{
    if (summary->in_rest)
        return 0;
    if (in_top_header(summary))
        return summary->limits.header_bytes;
    if (summary->in_header)
        return SUMMARY_PART_HEADER_KEPT;
    return summary->boundary_count ? DELIMITER_LINE_MAX : 0;
}

/* `line` is what is needed of it, without its CR LF; its length without that was `length`. */
static void line_look(struct summary *summary, struct str line, uint64_t length)
{
    if (summary->in_rest)
        return;
    bool closes;
    ssize_t level = length <= DELIMITER_LINE_MAX ? stack_match(summary, line, &closes) : -1;
    if (level >= 0)
        delimiter_line(summary, (uint32_t)level, closes);
    else if (!summary->in_header)
        return;
    else if (length == 0)
        header_end(summary, summary->line_start + summary->line_length, summary->lines + 1);
    else
        header_line(summary, line);
}

/* The octets of a body are its innermost open part's; of a header they are nobody's. */
static void unfit_set(struct summary *summary)
{
    if (!summary->in_header)
        stack_top(summary)->part->unfit = true;
}

static bool is_fit(struct summary *summary)
{
    return !summary->in_header && !stack_top(summary)->part->unfit;
}

static void line_end(struct summary *summary, struct str whole, bool crlf)
{
    uint64_t length = summary->line_length - (crlf ? 2 : 0);
    if (length > SUMMARY_LINE_MAX)
        unfit_set(summary);
    if (length > summary->longest_line)
        summary->longest_line = (uint32_t)length;
    size_t need = line_need(summary);
    line_look(summary, str_head(whole, length < need ? length : need), length);
    summary->line_start += summary->line_length;
    summary->line_length = 0;
    summary->line.n = 0;
    summary->lines += crlf;
}

static void flags_set(struct summary *summary, uint32_t flags)
{
    if (in_top_header(summary) && (flags & ~(uint32_t)SUMMARY_HAS_8BIT))
        flags |= SUMMARY_HEADER_HAS_CONTROL;
    if (in_top_header(summary) && (flags & SUMMARY_HAS_8BIT))
        flags |= SUMMARY_HEADER_HAS_8BIT;
    summary->flags |= flags;
    if (flags & (SUMMARY_HAS_NUL | SUMMARY_HAS_BARE_CR | SUMMARY_HAS_BARE_LF))
        unfit_set(summary);
}

static bool has_8bit(struct str s)
{
    unsigned char all = 0;
    for (size_t i = 0; i < s.n; i++)
        all |= (unsigned char)s.p[i];
    return all & 0x80;
}

/* `piece` has an LF at its end or nowhere; what is set already, for the message and for the part,
 * is not looked for again. */
static void flags_look(struct summary *summary, struct str piece, bool lf, bool crlf)
{
    uint32_t found = 0;
    if (lf && !crlf)
        found |= SUMMARY_HAS_BARE_LF;
    if (summary->last_octet == '\r' && piece.p[0] != '\n')
        found |= SUMMARY_HAS_BARE_CR;
    size_t not_last = piece.n - (lf && piece.n > 1 ? 2 : 1);
    if (memchr(piece.p, '\r', not_last))
        found |= SUMMARY_HAS_BARE_CR;
    if ((!(summary->flags & SUMMARY_HAS_NUL) || is_fit(summary)) && memchr(piece.p, '\0', piece.n))
        found |= SUMMARY_HAS_NUL;
    if (!(summary->flags & SUMMARY_HAS_8BIT) && has_8bit(piece))
        found |= SUMMARY_HAS_8BIT;
    if (found)
        flags_set(summary, found);
}

/* A piece of a line; an LF is its last octet or not in it. */
static void piece_feed(struct summary *summary, struct str piece)
{
    char last = piece.p[piece.n - 1];
    bool lf = last == '\n';
    bool crlf = lf && (piece.n > 1 ? piece.p[piece.n - 2] : summary->last_octet) == '\r';
    summary->steps += piece.n;
    flags_look(summary, piece, lf, crlf);
    summary->last_octet = last;
    bool whole = summary->line_length == 0 && crlf;
    summary->line_length += piece.n;
    if (whole) {
        line_end(summary, piece, true);
        return;
    }
    size_t need = line_need(summary);
    if (summary->line.n < need)
        text_add(summary, &summary->line, str_head(piece, need - summary->line.n));
    if (in_top_header(summary) &&
        summary->line_start + summary->line_length > summary->limits.header_bytes + 2ull)
        fail(summary, ERR_HEADER_TOO_LARGE);
    if (crlf && !failed(summary))
        line_end(summary, str_make(summary->line.p, summary->line.n), true);
}

void summary_init(struct summary *summary, struct arena *arena, const struct summary_limits *limits)
{
    must(limits->depth >= 1 && limits->depth <= SUMMARY_DEPTH_MAX);
    must(limits->parts >= 1 && limits->parts < UINT16_MAX);
    must(limits->parameters <= SUMMARY_PARAMETERS_MAX);
    *summary = (struct summary){.arena = arena, .limits = *limits, .record_used = RECORD_FIXED};
    /* Room for the largest header the other limits allow. */
    size_t least = limits->header_bytes + (size_t)limits->fields * RECORD_FIELD + RECORD_PART_MAX;
    if (limits->record_bytes < least)
        summary->limits.record_bytes = (uint32_t)least;
    part_begin(summary, 0);
    if (!failed(summary))
        summary->envelope = stack_top(summary)->part->envelope;
}

struct err summary_feed(struct summary *summary, struct str bytes)
{
    if (summary->size + bytes.n > UINT32_MAX)
        fail(summary, ERR_MESSAGE_TOO_LARGE);
    while (bytes.n && !failed(summary)) {
        ssize_t lf = str_index(bytes, '\n');
        struct str piece = lf < 0 ? bytes : str_head(bytes, (size_t)lf + 1);
        bytes = str_from_index(bytes, piece.n);
        summary->size += piece.n;
        piece_feed(summary, piece);
    }
    return summary->error;
}

struct err summary_end(struct summary *summary)
{
    if (summary->last_octet == '\r')
        flags_set(summary, SUMMARY_HAS_BARE_CR);
    if (summary->line_length && !failed(summary))
        line_end(summary, str_make(summary->line.p, summary->line.n), false);
    if (in_top_header(summary))
        summary->flags |= SUMMARY_HEADER_UNENDED;
    headers_cut(summary, summary->size);
    if (!failed(summary))
        parts_close(summary, 0, summary->size, summary->lines);
    return summary->error;
}
