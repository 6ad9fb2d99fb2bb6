/*
 * Why tags are not matched with their ends: nobody's HTML is whole, and all that an end tag is
 * needed for here is the end of a link, of preformatted text, and of what is left out, which one
 * flag each remembers. So depth costs nothing and means nothing.
 */
#include "format/html_text.h"

enum {
    ENTITY_MAX = 12, /* octets between & and ; */
};

enum tag_does {
    TAG_NOTHING,
    TAG_LINE,      /* a line of its own */
    TAG_PARAGRAPH, /* and an empty one around it */
    TAG_ITEM,
    TAG_CELL,
    TAG_RULE,
    TAG_LINK,
    TAG_IMAGE,
    TAG_AS_IT_IS, /* white space counts */
    TAG_SKIPPED,  /* to its end tag */
};

static const struct {
    const char *name;
    enum tag_does does;
} tags[] = {
    {"a", TAG_LINK},
    {"address", TAG_LINE},
    {"article", TAG_PARAGRAPH},
    {"blockquote", TAG_PARAGRAPH},
    {"br", TAG_LINE},
    {"dd", TAG_LINE},
    {"div", TAG_LINE},
    {"dl", TAG_PARAGRAPH},
    {"dt", TAG_LINE},
    {"footer", TAG_PARAGRAPH},
    {"form", TAG_PARAGRAPH},
    {"h1", TAG_PARAGRAPH},
    {"h2", TAG_PARAGRAPH},
    {"h3", TAG_PARAGRAPH},
    {"h4", TAG_PARAGRAPH},
    {"h5", TAG_PARAGRAPH},
    {"h6", TAG_PARAGRAPH},
    {"head", TAG_SKIPPED},
    {"header", TAG_PARAGRAPH},
    {"hr", TAG_RULE},
    {"img", TAG_IMAGE},
    {"li", TAG_ITEM},
    {"ol", TAG_LINE},
    {"p", TAG_PARAGRAPH},
    {"pre", TAG_AS_IT_IS},
    {"script", TAG_SKIPPED},
    {"section", TAG_PARAGRAPH},
    {"style", TAG_SKIPPED},
    {"table", TAG_PARAGRAPH},
    {"td", TAG_CELL},
    {"template", TAG_SKIPPED},
    {"th", TAG_CELL},
    {"title", TAG_SKIPPED},
    {"tr", TAG_LINE},
    {"ul", TAG_LINE},
};

static const struct {
    const char *name, *text;
} entities[] = {
    {"amp", "&"},         {"lt", "<"},    {"gt", ">"},     {"quot", "\""},  {"apos", "'"},
    {"nbsp", "\xC2\xA0"}, {"copy", "©"},  {"reg", "®"},    {"trade", "™"},  {"hellip", "…"},
    {"ndash", "–"},       {"mdash", "—"}, {"lsquo", "‘"},  {"rsquo", "’"},  {"ldquo", "“"},
    {"rdquo", "”"},       {"laquo", "«"}, {"raquo", "»"},  {"bull", "•"},   {"middot", "·"},
    {"euro", "€"},        {"pound", "£"}, {"yen", "¥"},    {"sect", "§"},   {"deg", "°"},
    {"times", "×"},       {"larr", "←"},  {"rarr", "→"},   {"auml", "ä"},   {"ouml", "ö"},
    {"uuml", "ü"},        {"szlig", "ß"}, {"eacute", "é"}, {"egrave", "è"}, {"agrave", "à"},
    {"ccedil", "ç"},
};

struct writer {
    struct buf *to;
    size_t lines;     /* ends of line that are due before the next word */
    size_t ended;     /* that stand at the end already; at the begin: enough */
    bool space;       /* white space is due before the next word */
    bool as_it_is;    /* preformatted */
    struct str link;  /* of the link that is open; empty: none */
    size_t link_text; /* where its text begins */
};

/* --- Writing --------------------------------------------------------------------------------- */

static void due_put(struct writer *writer)
{
    while (writer->ended < writer->lines) {
        buf_putc(writer->to, '\n');
        writer->ended++;
        writer->space = false;
    }
    if (writer->space && writer->ended == 0)
        buf_putc(writer->to, ' ');
    writer->space = false;
    writer->lines = 0;
    writer->ended = 0;
}

static void word_put(struct writer *writer, struct str word)
{
    due_put(writer);
    buf_put(writer->to, word);
}

static void lines_due(struct writer *writer, size_t lines)
{
    if (writer->lines < lines)
        writer->lines = lines;
    writer->space = false;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\f';
}

/* --- Entities -------------------------------------------------------------------------------- */

/* What is no character, or a control, is U+FFFD. */
static void character_put(struct writer *writer, uint32_t code)
{
    char room[4];
    bool none = code < 0x20 || (code >= 0x7f && code < 0xa0) || (code >= 0xd800 && code < 0xe000) ||
                code > 0x10ffff;
    if (code == '\n' || code == '\r' || code == '\t') {
        writer->space = true;
        return;
    }
    if (none)
        code = 0xfffd;
    size_t n = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const unsigned char firsts[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = n; i-- > 1; code >>= 6)
        room[i] = (char)(0x80 | (code & 0x3f));
    room[0] = (char)(firsts[n] | code);
    word_put(writer, str_make(room, n));
}

/* "#38", "#x26" */
static bool number_read(struct str name, uint32_t *code_r)
{
    bool hex = name.n > 1 && (name.p[1] == 'x' || name.p[1] == 'X');
    uint32_t code = 0;
    if (name.n < 2 || name.p[0] != '#' || name.n <= 1u + hex)
        return false;
    for (size_t i = 1u + hex; i < name.n; i++) {
        char c = ascii_lower(name.p[i]);
        uint32_t digit = ascii_is_digit(c)             ? (uint32_t)(c - '0')
                         : hex && c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a' + 10)
                                                       : 16;
        if (digit == 16)
            return false;
        code = code > 0x110000 ? code : code * (hex ? 16 : 10) + digit;
    }
    *code_r = code;
    return true;
}

/* How many octets were an entity; 0: it was none. */
static size_t entity_put(struct writer *writer, struct str html)
{
    struct str name = str_head(str_from_index(html, 1), ENTITY_MAX);
    ssize_t end = str_index(name, ';');
    uint32_t code;
    if (end <= 0)
        return 0;
    name = str_head(name, (size_t)end);
    if (number_read(name, &code)) {
        character_put(writer, code);
        return name.n + 2;
    }
    for (size_t i = 0; i < sizeof entities / sizeof *entities; i++) {
        if (!str_eq(name, str_from(entities[i].name)))
            continue;
        word_put(writer, str_from(entities[i].text));
        return name.n + 2;
    }
    return 0;
}

/* --- Text ------------------------------------------------------------------------------------ */

static void plain_put(struct writer *writer, char c)
{
    if (writer->as_it_is && c == '\n') {
        writer->lines++;
    } else if (is_space(c) && !writer->as_it_is) {
        writer->space = true;
    } else if (c == '\t' || (unsigned char)c >= 0x20) {
        word_put(writer, str_make(&c, 1));
    }
}

/* A text without its tags: of an attribute, too. */
static void text_put(struct writer *writer, struct str text)
{
    while (text.n > 0) {
        size_t taken = text.p[0] == '&' ? entity_put(writer, text) : 0;
        if (taken == 0) {
            plain_put(writer, text.p[0]);
            taken = 1;
        }
        text = str_from_index(text, taken);
    }
}

/* --- Tags ------------------------------------------------------------------------------------ */

struct tag {
    struct str name, rest; /* its attributes */
    bool ends;
};

/* Where its '>' is, which may stand in quotes; in those that have no end it counts. 0: nowhere. */
static size_t tag_end(struct str html)
{
    char quote = 0;
    for (size_t i = 1; i < html.n; i++) {
        char c = html.p[i];
        if (quote)
            quote = c == quote ? 0 : quote;
        else if ((c == '"' || c == '\'') && html.p[i - 1] == '=')
            quote = c;
        else if (c == '>')
            return i;
    }
    ssize_t plain = quote ? str_index(html, '>') : -1;
    return plain < 0 ? 0 : (size_t)plain;
}

/* False: it has no end, and is text. */
static bool tag_take(struct str *html, struct tag *tag_r)
{
    size_t end = tag_end(*html), n = 0;
    if (end == 0)
        return false;
    struct str inside = str_make(html->p + 1, end - 1);
    tag_r->ends = str_starts(inside, STR("/"));
    tag_r->rest = str_from_index(inside, tag_r->ends);
    while (n < tag_r->rest.n && !is_space(tag_r->rest.p[n]) && tag_r->rest.p[n] != '/')
        n++;
    tag_r->name = str_head(tag_r->rest, n);
    tag_r->rest = str_from_index(tag_r->rest, n);
    *html = str_from_index(*html, end + 1);
    return true;
}

/* name="value", name='value', name=value; the first of that name. */
static struct str attribute_of(struct str rest, struct str name)
{
    while (rest.n > 0) {
        while (rest.n > 0 && (is_space(rest.p[0]) || rest.p[0] == '/'))
            rest = str_from_index(rest, 1);
        size_t n = 0;
        while (n < rest.n && !is_space(rest.p[n]) && rest.p[n] != '=')
            n++;
        struct str key = str_head(rest, n), value = STR("");
        rest = str_from_index(rest, n);
        if (str_starts(rest, STR("="))) {
            rest = str_from_index(rest, 1);
            char quote = rest.n > 0 && (rest.p[0] == '"' || rest.p[0] == '\'') ? rest.p[0] : 0;
            rest = str_from_index(rest, quote != 0);
            n = 0;
            while (n < rest.n && (quote ? rest.p[n] != quote : !is_space(rest.p[n])))
                n++;
            value = str_head(rest, n);
            rest = str_from_index(rest, n + (quote && n < rest.n));
        }
        if (str_eq_nocase(key, name))
            return value;
    }
    return STR("");
}

static enum tag_does does(struct str name)
{
    for (size_t i = 0; i < sizeof tags / sizeof *tags; i++)
        if (str_eq_nocase(name, str_from(tags[i].name)))
            return tags[i].does;
    return TAG_NOTHING;
}

/* Its address stands behind it, where its text is another. */
static void link_end(struct writer *writer)
{
    struct str link = writer->link, shown = STR("");
    writer->link = STR("");
    if (link.n == 0 || writer->to->n < writer->link_text)
        return;
    shown = str_trim(str_from_index(buf_str(writer->to), writer->link_text));
    struct str bare = str_starts_nocase(link, STR("mailto:")) ? str_from_index(link, 7) : link;
    if (shown.n == 0 || str_eq(shown, link) || str_eq(shown, bare))
        return;
    writer->space = false;
    buf_put(writer->to, STR(" <"));
    text_put(writer, bare);
    buf_put(writer->to, STR(">"));
}

static void link_begin(struct writer *writer, const struct tag *tag)
{
    struct str link = str_trim(attribute_of(tag->rest, STR("href")));
    link_end(writer);
    bool known = str_starts_nocase(link, STR("http:")) || str_starts_nocase(link, STR("https:")) ||
                 str_starts_nocase(link, STR("mailto:"));
    writer->link = known && link.n <= HTML_LINK_MAX ? link : STR("");
    writer->link_text = writer->to->n;
}

static void tag_act(struct writer *writer, const struct tag *tag, enum tag_does what)
{
    switch (what) {
    case TAG_LINE:
        lines_due(writer, 1);
        break;
    case TAG_PARAGRAPH:
        lines_due(writer, 2);
        break;
    case TAG_ITEM:
        lines_due(writer, 1);
        if (!tag->ends)
            word_put(writer, STR("- "));
        break;
    case TAG_CELL:
        writer->space = true;
        break;
    case TAG_RULE:
        lines_due(writer, 1);
        word_put(writer, STR("---"));
        lines_due(writer, 1);
        break;
    case TAG_LINK:
        if (tag->ends)
            link_end(writer);
        else
            link_begin(writer, tag);
        break;
    case TAG_IMAGE:
        text_put(writer, attribute_of(tag->rest, STR("alt")));
        break;
    case TAG_AS_IT_IS:
        lines_due(writer, 2);
        writer->as_it_is = !tag->ends;
        break;
    case TAG_NOTHING:
    case TAG_SKIPPED:
        break;
    }
}

/* --- All ------------------------------------------------------------------------------------- */

/* Behind "-->", or to the end. */
static struct str behind_comment(struct str html)
{
    ssize_t end = str_find(html, STR("-->"));
    return end < 0 ? STR("") : str_from_index(html, (size_t)end + 3);
}

/* Behind the end tag of what is left out; without one, to the end. */
static struct str behind(struct str html, struct str name)
{
    while (html.n > 0) {
        ssize_t at = str_find(html, STR("</"));
        struct tag tag;
        if (at < 0)
            return STR("");
        html = str_from_index(html, (size_t)at);
        struct str named = str_head(str_from_index(html, 2), name.n);
        if (!str_eq_nocase(named, name))
            html = str_from_index(html, 2);
        else if (tag_take(&html, &tag))
            return html;
        else
            return STR("");
    }
    return html;
}

static bool is_tag(struct str html)
{
    char c = html.n > 1 ? html.p[1] : 0;
    return html.p[0] == '<' && (ascii_is_alpha(c) || c == '/' || c == '!' || c == '?');
}

void html_text_put(struct str html, struct buf *text)
{
    struct writer writer = {.to = text, .ended = 2, .link = STR("")};
    bool open = false; /* a tag without an end was met: there is none behind it either */
    while (html.n > 0) {
        struct tag tag;
        if (str_starts(html, STR("<!--"))) {
            html = behind_comment(html);
        } else if (!open && is_tag(html) && tag_take(&html, &tag)) {
            enum tag_does what = does(tag.name);
            tag_act(&writer, &tag, what);
            if (what == TAG_SKIPPED && !tag.ends)
                html = behind(html, tag.name);
        } else {
            open = open || is_tag(html);
            size_t taken = html.p[0] == '&' ? entity_put(&writer, html) : 0;
            if (taken == 0)
                plain_put(&writer, html.p[0]);
            html = str_from_index(html, taken ? taken : 1);
        }
    }
    link_end(&writer);
    if (text->n > 0 && writer.ended == 0)
        buf_putc(text, '\n');
}
