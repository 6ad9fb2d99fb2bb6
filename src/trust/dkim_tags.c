/*
 * A tag is cut at the semicolons first and read then: neither names nor values can have one, so no
 * value can hide a tag.
 */
#include "trust/dkim_tags.h"

#include "format/token.h"

/* ALPHA *( ALPHA / DIGIT / "_" ) */
static bool is_name(struct str s)
{
    if (s.n == 0 || !ascii_is_alpha(s.p[0]))
        return false;
    for (size_t i = 1; i < s.n; i++)
        if (!ascii_is_alpha(s.p[i]) && !ascii_is_digit(s.p[i]) && s.p[i] != '_')
            return false;
    return true;
}

static bool is_value(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!is_fws(s.p[i]) && (s.p[i] <= 0x20 || s.p[i] > 0x7e))
            return false;
    return true;
}

static bool tag_add(struct dkim_tags *tags, struct str spec)
{
    if (str_index(spec, '=') < 0 || tags->count == DKIM_TAGS_MAX)
        return false;
    struct dkim_tag tag = {.name = fws_trim(str_cut(&spec, '='))};
    tag.value = fws_trim(spec);
    if (!is_name(tag.name) || !is_value(tag.value) || dkim_tag(tags, tag.name).p)
        return false;
    tags->list[tags->count++] = tag;
    return true;
}

bool dkim_tags_parse(struct str text, struct dkim_tags *tags_r)
{
    tags_r->count = 0;
    while (text.p) {
        struct str spec = str_cut(&text, ';');
        bool last = !text.p;
        if (last && tags_r->count && fws_trim(spec).n == 0)
            break;
        if (!tag_add(tags_r, spec))
            return false;
    }
    return tags_r->count > 0;
}

struct str dkim_tag(const struct dkim_tags *tags, struct str name)
{
    for (size_t i = 0; i < tags->count; i++)
        if (str_eq(tags->list[i].name, name))
            return tags->list[i].value;
    return str_null();
}

bool dkim_tag_lists(struct str value, struct str one)
{
    while (value.p)
        if (str_eq(fws_trim(str_cut(&value, ':')), one))
            return true;
    return false;
}
