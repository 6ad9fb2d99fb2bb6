/*
 * Keys are compared pairwise for doubles: sixty-four of them cost two thousand comparisons at most,
 * and a set would cost more to build.
 */
#include "format/smtp_words.h"

static bool is_key(struct str key)
{
    for (size_t i = 0; i < key.n; i++) {
        bool alnum = ascii_is_alpha(key.p[i]) || ascii_is_digit(key.p[i]);
        if (!alnum && (key.p[i] != '-' || i == 0))
            return false;
    }
    return key.n > 0;
}

/* esmtp-value: visible, no '=', or UTF-8. */
static bool is_value(struct str value)
{
    for (size_t i = 0; i < value.n; i++) {
        unsigned char c = (unsigned char)value.p[i];
        if (c <= 0x20 || c == '=' || c == 0x7f)
            return false;
    }
    return value.n > 0 && str_is_utf8(value);
}

static bool param_parse(struct str word, struct esmtp_param *param)
{
    ssize_t equals = str_index(word, '=');
    param->key = str_head(word, equals < 0 ? word.n : (size_t)equals);
    param->value = equals < 0 ? str_null() : str_from_index(word, (size_t)equals + 1);
    return is_key(param->key) && (equals < 0 || is_value(param->value));
}

struct err esmtp_params_parse(struct str text, struct esmtp_params *params_r)
{
    params_r->n = 0;
    if (text.n && text.p[0] != ' ')
        return err_make(ERR_COMMAND_SYNTAX);
    struct str rest = text;
    while (rest.p) {
        struct esmtp_param param;
        struct str word = str_cut(&rest, ' ');
        if (word.n == 0)
            continue;
        if (!param_parse(word, &param))
            return err_detail(ERR_COMMAND_SYNTAX, STR("a parameter is malformed"));
        if (params_r->n == ESMTP_PARAMS_MAX)
            return err_detail(ERR_COMMAND_SYNTAX, STR("too many parameters"));
        if (esmtp_params_get(params_r, param.key))
            return err_detail(ERR_COMMAND_SYNTAX, STR("a parameter came twice"));
        params_r->at[params_r->n++] = param;
    }
    return err_none();
}

const struct esmtp_param *esmtp_params_get(const struct esmtp_params *params, struct str key)
{
    for (uint32_t i = 0; i < params->n; i++)
        if (str_eq_nocase(params->at[i].key, key))
            return &params->at[i];
    return NULL;
}

struct err esmtp_size_parse(struct str value, uint64_t *size_r)
{
    enum {
        DIGITS_MAX = 20
    };
    for (size_t i = 0; i < value.n; i++)
        if (!ascii_is_digit(value.p[i]))
            return err_make(ERR_PARAMETER_VALUE);
    if (value.n == 0 || value.n > DIGITS_MAX)
        return err_make(ERR_PARAMETER_VALUE);
    return str_to_u64(value, size_r) ? err_none() : err_make(ERR_MESSAGE_TOO_LARGE);
}

/* RFC 3461 wants upper case; lower case is taken too, since it means nothing else. */
static int hex_digit(char c)
{
    if (ascii_is_digit(c))
        return c - '0';
    c = ascii_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* One octet of `text` at *i, or -1; moves *i behind it. */
static int xtext_octet(struct str text, size_t *i, bool high_too)
{
    char c = text.p[(*i)++];
    if (c == '=' || c < 0x21 || c > 0x7e)
        return -1;
    if (c != '+')
        return c;
    if (text.n - *i < 2)
        return -1;
    int high = hex_digit(text.p[*i]), low = hex_digit(text.p[*i + 1]);
    *i += 2;
    int octet = high < 0 || low < 0 ? -1 : high * 16 + low;
    return (octet >= 0x20 && octet <= 0x7e) || (high_too && octet >= 0x80) ? octet : -1;
}

static struct err xtext_take(struct str text, bool high_too, struct arena *arena,
                             struct str *plain_r)
{
    char *plain = arena_take(arena, text.n);
    if (!plain)
        return err_make(ERR_OVER_LIMIT);
    size_t n = 0;
    for (size_t i = 0; i < text.n;) {
        int octet = xtext_octet(text, &i, high_too);
        if (octet < 0)
            return err_detail(ERR_PARAMETER_VALUE, STR("xtext is malformed"));
        plain[n++] = (char)octet;
    }
    *plain_r = str_make(plain, n);
    return err_none();
}

struct err xtext_parse(struct str text, struct arena *arena, struct str *plain_r)
{
    return xtext_take(text, false, arena, plain_r);
}

/* The controls of Latin-1 (U+0080 to U+009F) are C2 80 to C2 9F. */
static bool has_high_control(struct str text)
{
    for (size_t i = 0; i + 1 < text.n; i++)
        if ((unsigned char)text.p[i] == 0xc2 && (unsigned char)text.p[i + 1] < 0xa0)
            return true;
    return false;
}

struct err xtext_parse_utf8(struct str text, struct arena *arena, struct str *plain_r)
{
    struct err e = xtext_take(text, true, arena, plain_r);
    if (!err_is(e) && (!str_is_utf8(*plain_r) || has_high_control(*plain_r)))
        return err_detail(ERR_PARAMETER_VALUE, STR("xtext holds no UTF-8"));
    return e;
}

void xtext_print(struct buf *buf, struct str plain)
{
    for (size_t i = 0; i < plain.n; i++) {
        unsigned char c = (unsigned char)plain.p[i];
        if (c >= 0x21 && c <= 0x7e && c != '+' && c != '=')
            buf_putc(buf, (char)c);
        else
            buf_printf(buf, "+%02X", c);
    }
}
