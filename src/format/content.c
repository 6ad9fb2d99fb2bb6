/*
 * The value is copied once; everything returned points into that copy, and quotes are undone in
 * place, so that a field costs its own size and its array of parameters.
 */
#include "format/content.h"

#include "format/token.h"

/* Up to the next ';' or the end; a quoted ';' is none. */
static struct str until_semicolon(struct str *rest)
{
    bool quoted = false;
    size_t i = 0;
    for (; i < rest->n && (quoted || rest->p[i] != ';'); i++) {
        if (rest->p[i] == '"')
            quoted = !quoted;
        else if (quoted && rest->p[i] == '\\' && i + 1 < rest->n)
            i++;
    }
    struct str piece = str_head(*rest, i);
    *rest = str_from_index(*rest, i + 1);
    return piece;
}

/* An unquoted value without the comment behind it. */
static struct str bare_value(struct str piece)
{
    for (size_t i = 1; i < piece.n; i++)
        if (piece.p[i] == '(' && is_fws(piece.p[i - 1]))
            return fws_trim(str_head(piece, i));
    return fws_trim(piece);
}

/* `mutable` is the start of our copy, `value` lies inside it. */
static struct str plain_value(struct str value, char *mutable, struct str whole)
{
    value = fws_trim(value);
    if (value.n == 0 || value.p[0] != '"')
        return bare_value(value);
    struct str quoted = quoted_take(&value);
    char *to = mutable + (quoted.p - whole.p);
    return str_make(to, quoted_plain(quoted, to));
}

static bool param_read(struct str piece, char *mutable, struct str whole, struct param *param)
{
    cfws_skip(&piece);
    ssize_t equals = str_index(piece, '=');
    if (equals <= 0)
        return false;
    param->name = fws_trim(str_head(piece, (size_t)equals));
    if (param->name.n == 0 || str_index(param->name, '"') >= 0)
        return false;
    param->value = plain_value(str_from_index(piece, (size_t)equals + 1), mutable, whole);
    return true;
}

static uint32_t params_bound(struct str rest, uint32_t max)
{
    uint32_t n = 0;
    for (size_t i = 0; i < rest.n && n < max; i++)
        n += rest.p[i] == '=';
    return n;
}

static bool params_read(struct str rest, char *mutable, struct str whole, uint32_t max,
                        struct arena *arena, struct params *params_r)
{
    uint32_t bound = params_bound(rest, max), n = 0;
    *params_r = (struct params){NULL, 0};
    if (bound == 0)
        return true;
    struct param *at = arena_take_array(arena, bound, sizeof(*at));
    if (!at)
        return false;
    until_semicolon(&rest);
    while (rest.n && n < bound)
        n += param_read(until_semicolon(&rest), mutable, whole, &at[n]);
    *params_r = (struct params){at, n};
    return true;
}

static char *copy_take(struct str value, struct arena *arena, struct str *whole_r)
{
    char *copy = arena_take(arena, value.n);
    if (!copy)
        return NULL;
    if (value.n)
        memcpy(copy, value.p, value.n);
    *whole_r = str_make(copy, value.n);
    return copy;
}

bool content_type_parse(struct str value, uint32_t params_max, struct arena *arena,
                        struct str *type_r, struct str *subtype_r, struct params *params_r)
{
    struct str whole;
    char *mutable = copy_take(value, arena, &whole);
    *type_r = *subtype_r = str_null();
    *params_r = (struct params){NULL, 0};
    if (!mutable)
        return false;
    struct str rest = whole;
    cfws_skip(&rest);
    struct str type = token_take(&rest);
    cfws_skip(&rest);
    if (type.n == 0 || rest.n == 0 || rest.p[0] != '/')
        return true;
    rest = str_from_index(rest, 1);
    cfws_skip(&rest);
    struct str subtype = token_take(&rest);
    cfws_skip(&rest);
    if (subtype.n == 0 || (rest.n && rest.p[0] == '/'))
        return true;
    *type_r = type;
    *subtype_r = subtype;
    return params_read(rest, mutable, whole, params_max, arena, params_r);
}

bool content_disposition_parse(struct str value, uint32_t params_max, struct arena *arena,
                               struct str *disposition_r, struct params *params_r)
{
    struct str whole;
    char *mutable = copy_take(value, arena, &whole);
    *disposition_r = str_null();
    *params_r = (struct params){NULL, 0};
    if (!mutable)
        return false;
    struct str rest = whole;
    cfws_skip(&rest);
    struct str word = token_take(&rest);
    if (word.n == 0)
        return true;
    *disposition_r = word;
    return params_read(rest, mutable, whole, params_max, arena, params_r);
}

struct str params_get(struct params params, struct str name)
{
    for (uint32_t i = 0; i < params.n; i++)
        if (str_eq_nocase(params.at[i].name, name))
            return params.at[i].value;
    return str_null();
}
