/*
 * The summary says where parts are, not what is in them, so a first run looks: it walks the message
 * by regions (a header, the body of a leaf, what lies between) and notes for each part what a peer
 * could not take, and where its label stands. The plan is that of format/reencode.h, whose segments
 * a later run carries out. Both runs keep nothing of the message but the line they are in.
 */
#include "format/downconvert.h"

#include "base/must.h"
#include "format/token.h"

enum offence {
    OFFENCE_8BIT = 1 << 0,
    OFFENCE_NUL = 1 << 1,
    OFFENCE_BARE = 1 << 2,
    OFFENCE_LONG = 1 << 3,
};

enum region_kind {
    REGION_HEADER,
    REGION_BODY,    /* of a leaf, or of what was not looked into */
    REGION_BETWEEN, /* delimiters, preambles, epilogues */
};

struct downconvert_region {
    uint32_t end;
    uint32_t part;
    enum region_kind kind;
};

enum label_kind {
    LABEL_NONE,
    LABEL_7BIT,
    LABEL_8BIT,
    LABEL_BINARY,
    LABEL_QUOTED,
    LABEL_BASE64,
    LABEL_OTHER,
};

struct downconvert_part {
    uint8_t header, body, between; /* enum offence */
    uint8_t label;                 /* enum label_kind */
    bool in_signed;                /* below a multipart/signed or /encrypted */
    bool has_version;              /* MIME-Version */
    bool has_label;                /* label_start and _length are set */
    uint32_t label_start, label_length;
};

enum {
    REGIONS_PER_PART = 3,
};

/* --- Regions --- */

static uint32_t body_end(const struct summary_part *part)
{
    return part->body_offset + part->body_length;
}

static bool is_leaf(const struct summary_part *part)
{
    return part->kind == PART_LEAF || part->kind == PART_OPAQUE;
}

static void region_add(struct downconvert *convert, uint32_t end, uint32_t part,
                       enum region_kind kind)
{
    uint32_t n = convert->region_count;
    uint32_t start = n ? convert->regions[n - 1].end : 0;
    if (end > start)
        convert->regions[convert->region_count++] =
            (struct downconvert_region){.end = end, .part = part, .kind = kind};
}

/* The innermost part that is still open at `at`, of those around `part`. */
static uint32_t part_around(const struct summary_view *view, uint32_t part, uint32_t at)
{
    while (part && body_end(&view->parts[part]) <= at)
        part = view->parts[part].parent;
    return part;
}

/* Up to `end` nothing begins behind `part`. */
static void between_add(struct downconvert *convert, uint32_t part, uint32_t end)
{
    uint32_t n = convert->region_count;
    uint32_t start = n ? convert->regions[n - 1].end : 0;
    region_add(convert, end, part_around(convert->view, part, start), REGION_BETWEEN);
}

static void regions_find(struct downconvert *convert)
{
    const struct summary_view *view = convert->view;
    for (uint32_t i = 0; i < view->part_count; i++) {
        const struct summary_part *part = &view->parts[i];
        between_add(convert, i ? i - 1 : 0, part->header_offset);
        region_add(convert, part->body_offset, i, REGION_HEADER);
        if (is_leaf(part))
            region_add(convert, body_end(part), i, REGION_BODY);
    }
    between_add(convert, view->part_count - 1, view->size);
}

static enum label_kind label_of(const struct summary_part *part)
{
    static const struct {
        struct str word;
        enum label_kind label;
    } rows[] = {
        {STR_INIT("7bit"), LABEL_7BIT},     {STR_INIT("8bit"), LABEL_8BIT},
        {STR_INIT("binary"), LABEL_BINARY}, {STR_INIT("quoted-printable"), LABEL_QUOTED},
        {STR_INIT("base64"), LABEL_BASE64},
    };
    struct str text = summary_part_word(part, CONTENT_ENCODING);
    if (!text.p)
        return LABEL_NONE;
    cfws_skip(&text);
    struct str word = token_take(&text);
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        if (str_eq_nocase(word, rows[i].word))
            return rows[i].label;
    return LABEL_OTHER;
}

/* A binary body up to the end of the message: whether that ends a line is part of it, and DATA
 * would end one. */
static bool ends_binary(const struct summary_view *view, const struct summary_part *part)
{
    return is_leaf(part) && body_end(part) == view->size && label_of(part) == LABEL_BINARY;
}

bool downconvert_may_need(const struct summary_view *view, enum downconvert_to to)
{
    bool eight = to == DOWNCONVERT_TO_7BIT && (view->flags & SUMMARY_HAS_8BIT);
    return eight || (view->flags & SUMMARY_HAS_NUL) || reencode_needed(view) ||
           ends_binary(view, &view->parts[view->part_count - 1]);
}

static bool protects(const struct summary_part *part)
{
    struct str type, subtype;
    summary_part_type(part, &type, &subtype);
    return str_eq_nocase(type, STR("multipart")) &&
           (str_eq_nocase(subtype, STR("signed")) || str_eq_nocase(subtype, STR("encrypted")));
}

struct err downconvert_init(struct downconvert *convert, const struct summary_view *view,
                            enum downconvert_to to, struct arena *arena)
{
    uint32_t count = view->part_count;
    *convert = (struct downconvert){.view = view, .to = to, .arena = arena};
    convert->parts = arena_take_array(arena, count, sizeof(*convert->parts));
    convert->regions =
        arena_take_array(arena, (size_t)count * REGIONS_PER_PART + 1, sizeof(*convert->regions));
    if (!convert->parts || !convert->regions)
        return err_make(ERR_OVER_LIMIT);
    for (uint32_t i = 0; i < count; i++) {
        const struct summary_part *part = &view->parts[i];
        convert->parts[i].label = (uint8_t)label_of(part);
        convert->parts[i].in_signed = i > 0 && (convert->parts[part->parent].in_signed ||
                                                protects(&view->parts[part->parent]));
    }
    regions_find(convert);
    return err_none();
}

/* --- The first run --- */

static void line_finish(struct downconvert *convert, struct downconvert_part *part)
{
    struct downconvert_line *line = &convert->line;
    if (line->in_label)
        part->label_length = (uint32_t)convert->at - part->label_start;
    *line = (struct downconvert_line){.n = 0};
}

static void name_finish(struct downconvert *convert, struct downconvert_part *part,
                        uint32_t line_start)
{
    struct downconvert_line *line = &convert->line;
    struct str name = str_trim(str_make(line->name, line->n));
    line->named = true;
    if (str_eq_nocase(name, STR("MIME-Version")))
        part->has_version = true;
    if (str_eq_nocase(name, STR("Content-Transfer-Encoding")) && !part->has_label) {
        part->has_label = line->in_label = true;
        part->label_start = line_start;
    }
}

/* An octet of a header, which stands at `column` of its line. */
static void header_octet(struct downconvert *convert, struct downconvert_part *part, char c)
{
    struct downconvert_line *line = &convert->line;
    bool folded = c == ' ' || c == '\t';
    if (convert->column == 0 && !folded)
        line_finish(convert, part);
    else if (convert->column == 0)
        line->named = true;
    if (line->named)
        return;
    if (c == ':')
        name_finish(convert, part, (uint32_t)convert->at - convert->column);
    else if (line->n < sizeof(line->name))
        line->name[line->n++] = c;
    else
        line->named = true;
}

/* Of one octet, and of where it stands. */
static uint8_t offence_of(struct downconvert *convert, char c)
{
    bool ends = convert->cr && c == '\n';
    uint8_t offence = 0;
    if (c == '\0')
        offence |= OFFENCE_NUL;
    if (c & 0x80)
        offence |= OFFENCE_8BIT;
    if ((convert->cr && c != '\n') || (!convert->cr && c == '\n'))
        offence |= OFFENCE_BARE;
    convert->column = ends ? 0 : convert->column + 1;
    convert->cr = c == '\r';
    /* The CR of its end is in the column. */
    if (convert->column > SUMMARY_LINE_MAX + (convert->cr ? 1u : 0u))
        offence |= OFFENCE_LONG;
    return offence;
}

static void region_end(struct downconvert *convert, const struct downconvert_region *region)
{
    struct downconvert_part *part = &convert->parts[region->part];
    if (region->kind == REGION_HEADER)
        line_finish(convert, part);
    else if (convert->cr || (convert->column > 0 && region->end == convert->view->size &&
                             part->label == LABEL_BINARY))
        part->body |= region->kind == REGION_BODY ? OFFENCE_BARE : 0;
    convert->column = 0;
    convert->cr = false;
    convert->region++;
}

static void octet_look(struct downconvert *convert, const struct downconvert_region *region, char c)
{
    struct downconvert_part *part = &convert->parts[region->part];
    if (region->kind == REGION_HEADER)
        header_octet(convert, part, c);
    uint8_t offence = offence_of(convert, c);
    if (region->kind == REGION_HEADER)
        part->header |= offence;
    else if (region->kind == REGION_BODY)
        part->body |= offence;
    else
        part->between |= offence;
}

void downconvert_look(struct downconvert *convert, struct str octets)
{
    for (size_t i = 0; i < octets.n && convert->region < convert->region_count; i++) {
        const struct downconvert_region *region = &convert->regions[convert->region];
        octet_look(convert, region, octets.p[i]);
        if (++convert->at == region->end)
            region_end(convert, region);
    }
}

/* --- The plan --- */

/* What the peer cannot take. */
static uint8_t refused(const struct downconvert *convert)
{
    return OFFENCE_NUL | OFFENCE_BARE | OFFENCE_LONG |
           (convert->to == DOWNCONVERT_TO_7BIT ? OFFENCE_8BIT : 0);
}

/* A preamble's lines may be as long as they are. */
static uint8_t refused_between(const struct downconvert *convert)
{
    return refused(convert) & (OFFENCE_NUL | OFFENCE_8BIT);
}

/* Composite types keep their identity encodings (RFC 2045 6.4); RFC 6532 3.7 frees its own. */
static bool may_be_encoded(const struct summary_part *part, enum label_kind label)
{
    struct str type, subtype;
    summary_part_type(part, &type, &subtype);
    if (label == LABEL_OTHER)
        return false;
    if (label == LABEL_BASE64 || label == LABEL_QUOTED)
        return true;
    bool message = str_eq_nocase(type, STR("message"));
    return part->kind == PART_LEAF && (!message || str_starts_nocase(subtype, STR("global-")));
}

static bool is_changed(const struct downconvert *convert, uint32_t i)
{
    const struct downconvert_part *part = &convert->parts[i];
    uint8_t offences = part->body & refused(convert);
    return part->in_signed ? offences & ~OFFENCE_LONG : offences;
}

static enum downconvert_verdict part_judge(struct downconvert *convert, uint32_t i)
{
    const struct downconvert_part *part = &convert->parts[i];
    bool between = part->between & refused_between(convert);
    if (convert->to == DOWNCONVERT_TO_7BIT && part->header & OFFENCE_8BIT)
        return DOWNCONVERT_HEADER_8BIT;
    if (!is_changed(convert, i) && !between)
        return DOWNCONVERT_NOT_NEEDED;
    if (part->in_signed)
        return DOWNCONVERT_SIGNED;
    convert->cleans |= between;
    bool can = !is_changed(convert, i) || may_be_encoded(&convert->view->parts[i], part->label);
    return can ? DOWNCONVERT_CAN : DOWNCONVERT_OPAQUE;
}

static bool is_text(const struct summary_part *part)
{
    struct str type, subtype;
    summary_part_type(part, &type, &subtype);
    return str_eq_nocase(type, STR("text")) || str_eq_nocase(type, STR("message"));
}

static enum reencode_kind body_kind(const struct downconvert *convert, uint32_t i)
{
    const struct downconvert_part *part = &convert->parts[i];
    if (!is_changed(convert, i))
        return REENCODE_RAW;
    if (part->label == LABEL_QUOTED || part->label == LABEL_BASE64)
        return part->label == LABEL_QUOTED ? REENCODE_QUOTED : REENCODE_BASE64;
    bool quoted = is_text(&convert->view->parts[i]) && !(part->body & OFFENCE_NUL);
    return quoted ? REENCODE_QUOTED : REENCODE_BASE64;
}

/* A label of what is not encoded, where it would promise more than the peer can take. */
static struct str plain_label(const struct downconvert *convert, uint32_t i)
{
    const struct downconvert_part *part = &convert->parts[i];
    bool seven = convert->to == DOWNCONVERT_TO_7BIT;
    bool says_more = part->label == LABEL_BINARY || (seven && part->label == LABEL_8BIT);
    if (part->in_signed || !says_more)
        return str_null();
    bool eight = !seven && convert->view->flags & SUMMARY_HAS_8BIT;
    return eight ? STR("Content-Transfer-Encoding: 8bit\r\n")
                 : STR("Content-Transfer-Encoding: 7bit\r\n");
}

static struct reencode_change change_of(const struct downconvert *convert, uint32_t i)
{
    const struct downconvert_part *part = &convert->parts[i];
    struct reencode_change change = {.body = body_kind(convert, i),
                                     .label_start = part->label_start,
                                     .label_length = part->label_length};
    if (change.body == REENCODE_QUOTED && part->label != LABEL_QUOTED)
        change.label = STR("Content-Transfer-Encoding: quoted-printable\r\n");
    else if (change.body == REENCODE_BASE64 && part->label != LABEL_BASE64)
        change.label = STR("Content-Transfer-Encoding: base64\r\n");
    else if (change.body == REENCODE_RAW)
        change.label = plain_label(convert, i);
    return change;
}

/* The message that part is in, the outermost or one inside. */
static uint32_t message_around(const struct summary_view *view, uint32_t i)
{
    while (i && view->parts[view->parts[i].parent].kind != PART_MESSAGE)
        i = view->parts[i].parent;
    return i;
}

/* RFC 2045 4: without it a label means nothing. */
static bool version_add(struct downconvert *convert, struct reencode_change *changes, uint32_t i)
{
    uint32_t root = message_around(convert->view, i);
    struct downconvert_part *part = &convert->parts[root];
    if (part->has_version || part->in_signed)
        return true;
    struct str label = changes[root].label;
    struct buf both = buf_in(convert->arena, 128);
    buf_put(&both, STR("MIME-Version: 1.0\r\n"));
    buf_put(&both, label);
    if (label.n == 0)
        changes[root].label_length = 0;
    changes[root].label = buf_built(&both);
    part->has_version = true;
    return changes[root].label.p != NULL;
}

static struct err changes_plan(struct downconvert *convert)
{
    const struct summary_view *view = convert->view;
    struct reencode_change *changes =
        arena_take_array(convert->arena, view->part_count, sizeof(*changes));
    if (!changes)
        return err_make(ERR_OVER_LIMIT);
    for (uint32_t i = 0; i < view->part_count; i++)
        changes[i] = change_of(convert, i);
    for (uint32_t i = 0; i < view->part_count; i++)
        if (changes[i].body != REENCODE_RAW && !version_add(convert, changes, i))
            return err_make(ERR_OVER_LIMIT);
    return reencode_plan_changes(view, changes, convert->arena, &convert->plan);
}

struct err downconvert_plan(struct downconvert *convert, enum downconvert_verdict *verdict_r)
{
    enum downconvert_verdict verdict = DOWNCONVERT_NOT_NEEDED;
    must(convert->at == convert->view->size);
    for (uint32_t i = 0; i < convert->view->part_count && verdict <= DOWNCONVERT_CAN; i++) {
        enum downconvert_verdict one = part_judge(convert, i);
        verdict = one > verdict ? one : verdict;
    }
    *verdict_r = verdict;
    return verdict == DOWNCONVERT_CAN ? changes_plan(convert) : err_none();
}

const char *downconvert_verdict_text(enum downconvert_verdict verdict)
{
    switch (verdict) {
    case DOWNCONVERT_NOT_NEEDED:
        return "no conversion needed";
    case DOWNCONVERT_CAN:
        return "can be converted";
    case DOWNCONVERT_HEADER_8BIT:
        return "8-bit octets in a header";
    case DOWNCONVERT_SIGNED:
        return "a signed or encrypted part would have to be changed";
    case DOWNCONVERT_OPAQUE:
        break;
    }
    return "a part that must not be encoded is not in lines of text";
}

/* --- The later runs --- */

void downconvert_begin(struct downconvert *convert)
{
    convert->octets = convert->at = 0;
    convert->region = convert->segment = 0;
    convert->begun = convert->held = convert->in_line = false;
}

static void out(struct downconvert *convert, struct str octets, struct buf *buf)
{
    if (octets.n == 0)
        return;
    convert->octets += octets.n;
    convert->in_line = octets.p[octets.n - 1] != '\n';
    if (buf)
        buf_put(buf, octets);
}

/* What lies between parts, with '?' for what nobody reads and the peer cannot take. */
static void between_out(struct downconvert *convert, struct str octets, struct buf *buf)
{
    uint8_t bad = refused_between(convert);
    size_t start = 0;
    for (size_t i = 0; i < octets.n; i++) {
        char c = octets.p[i];
        if (!(bad & (c == '\0' ? OFFENCE_NUL : c & 0x80 ? OFFENCE_8BIT : 0)))
            continue;
        out(convert, str_head(str_from_index(octets, start), i - start), buf);
        out(convert, STR("?"), buf);
        start = i + 1;
    }
    out(convert, str_from_index(octets, start), buf);
}

/* How many of n octets from here on are of one region; moves into it. */
static size_t region_run(struct downconvert *convert, size_t n)
{
    while (convert->regions[convert->region].end <= convert->at)
        convert->region++;
    uint64_t left = convert->regions[convert->region].end - convert->at;
    return n < left ? n : (size_t)left;
}

static void raw_out(struct downconvert *convert, struct str octets, struct buf *buf)
{
    if (!convert->cleans) {
        out(convert, octets, buf);
        convert->at += octets.n;
        return;
    }
    while (octets.n) {
        struct str run = str_head(octets, region_run(convert, octets.n));
        if (convert->regions[convert->region].kind == REGION_BETWEEN)
            between_out(convert, run, buf);
        else
            out(convert, run, buf);
        convert->at += run.n;
        octets = str_from_index(octets, run.n);
    }
}

/* The CR LF behind the last line of base64 belongs to what follows the part. */
static void base64_lines_out(struct downconvert *convert, struct str text, struct buf *buf)
{
    if (text.n == 0)
        return;
    if (convert->held)
        out(convert, STR("\r\n"), buf);
    convert->held = str_ends(text, STR("\r\n"));
    out(convert, str_head(text, text.n - (convert->held ? 2 : 0)), buf);
}

static void plain_encode(struct downconvert *convert, enum reencode_kind kind, struct str plain,
                         bool last, struct buf *buf)
{
    char room[(DOWNCONVERT_STEP + QUOTED_PRINTABLE_BLANKS) * DOWNCONVERT_TIMES];
    struct buf text = {.p = room, .cap = sizeof(room), .max = sizeof(room)};
    if (kind == REENCODE_QUOTED) {
        quoted_printable_encode_feed(&convert->quoted_out, plain, &text);
        if (last)
            quoted_printable_encode_end(&convert->quoted_out, &text);
        out(convert, buf_str(&text), buf);
    } else {
        base64_encode_feed(&convert->base64_out, plain, &text);
        if (last)
            base64_encode_end(&convert->base64_out, &text);
        base64_lines_out(convert, buf_str(&text), buf);
    }
    must(!buf_over(&text));
}

/* At most DOWNCONVERT_STEP octets of a part that is encoded. */
static void step_encode(struct downconvert *convert, const struct reencode_segment *segment,
                        struct str octets, bool last, struct buf *buf)
{
    char room[DOWNCONVERT_STEP + QUOTED_PRINTABLE_BLANKS];
    struct buf plain = {.p = room, .cap = sizeof(room), .max = sizeof(room)};
    enum label_kind label = (enum label_kind)convert->parts[segment->part].label;
    if (label == LABEL_QUOTED) {
        quoted_printable_decode_feed(&convert->quoted_in, octets, &plain);
        if (last)
            quoted_printable_decode_end(&convert->quoted_in, &plain);
        octets = buf_str(&plain);
    } else if (label == LABEL_BASE64) {
        base64_decode_feed(&convert->base64_in, octets, &plain);
        if (last)
            base64_decode_end(&convert->base64_in, &plain);
        octets = buf_str(&plain);
    }
    must(!buf_over(&plain));
    plain_encode(convert, segment->kind, octets, last, buf);
}

static void encoders_begin(struct downconvert *convert)
{
    if (convert->begun)
        return;
    convert->begun = true;
    convert->held = false;
    base64_decode_init(&convert->base64_in);
    quoted_printable_decode_init(&convert->quoted_in);
    base64_encode_init(&convert->base64_out, true);
    quoted_printable_encode_init(&convert->quoted_out);
}

static void encoded_out(struct downconvert *convert, const struct reencode_segment *segment,
                        struct str octets, struct buf *buf)
{
    uint64_t end = (uint64_t)segment->start + segment->length;
    encoders_begin(convert);
    while (octets.n) {
        struct str step = str_head(octets, DOWNCONVERT_STEP);
        convert->at += step.n;
        step_encode(convert, segment, step, convert->at == end, buf);
        octets = str_from_index(octets, step.n);
    }
}

/* Goes over literals and segments that are done. */
static void segments_pass(struct downconvert *convert, struct buf *buf)
{
    for (; convert->segment < convert->plan.count; convert->segment++) {
        const struct reencode_segment *segment = &convert->plan.segments[convert->segment];
        if (segment->kind != REENCODE_LITERAL &&
            convert->at < (uint64_t)segment->start + segment->length)
            return;
        if (segment->kind == REENCODE_LITERAL)
            out(convert, segment->literal, buf);
        convert->begun = false;
    }
}

/* Labels that are replaced are in no segment. */
static struct str replaced_skip(struct downconvert *convert, struct str octets)
{
    uint32_t start = convert->plan.segments[convert->segment].start;
    uint64_t left = start > convert->at ? start - convert->at : 0;
    size_t n = octets.n < left ? octets.n : (size_t)left;
    convert->at += n;
    return str_from_index(octets, n);
}

void downconvert_feed(struct downconvert *convert, struct str octets, struct buf *buf)
{
    for (;;) {
        segments_pass(convert, buf);
        if (octets.n == 0 || convert->segment == convert->plan.count)
            return;
        octets = replaced_skip(convert, octets);
        const struct reencode_segment *segment = &convert->plan.segments[convert->segment];
        uint64_t left = (uint64_t)segment->start + segment->length - convert->at;
        struct str run = str_head(octets, octets.n < left ? octets.n : (size_t)left);
        octets = str_from_index(octets, run.n);
        if (segment->kind == REENCODE_RAW)
            raw_out(convert, run, buf);
        else
            encoded_out(convert, segment, run, buf);
    }
}

void downconvert_end(struct downconvert *convert, struct buf *buf)
{
    segments_pass(convert, buf);
    const struct reencode_plan *plan = &convert->plan;
    bool quoted = plan->count && plan->segments[plan->count - 1].kind == REENCODE_QUOTED;
    /* A soft break: what is decoded does not grow by a line end. */
    if (quoted && convert->in_line)
        out(convert, STR("=\r\n"), buf);
}
