/*
 * The non-standard flag of RFC 5801 ("F,") is for mechanisms whose GSS-API form is not framed as
 * that RFC says; SCRAM and OAUTHBEARER have none, so here it is an error like any other.
 */
#include "trust/gs2.h"

static struct err syntax(void)
{
    return err_make(ERR_SASL_SYNTAX);
}

bool gs2_is_text(struct str message)
{
    return message.n <= SASL_MESSAGE_MAX && str_index(message, '\0') < 0 && str_is_utf8(message);
}

struct err gs2_name_read(struct str text, struct arena *arena, struct str *name_r)
{
    char *name = arena_take(arena, text.n);
    if (!name)
        return err_make(ERR_NO_MEMORY);
    size_t n = 0;
    while (text.n) {
        char c = text.p[0];
        size_t taken = 1;
        if (c == '=') {
            struct str escape = str_head(text, 3);
            taken = escape.n;
            if (str_eq(escape, STR("=2C")))
                c = ',';
            else if (!str_eq(escape, STR("=3D")))
                return syntax();
        }
        name[n++] = c;
        text = str_from_index(text, taken);
    }
    *name_r = str_make(name, n);
    return sasl_name_is_valid(*name_r) ? err_none() : syntax();
}

/* cb-name: letters, digits, "." and "-". */
static bool is_binding_type(struct str type)
{
    for (size_t i = 0; i < type.n; i++)
        if (!ascii_is_alpha(type.p[i]) && !ascii_is_digit(type.p[i]) && type.p[i] != '.' &&
            type.p[i] != '-')
            return false;
    return type.n > 0;
}

static struct err flag_read(struct str flag, struct gs2 *gs2)
{
    if (str_eq(flag, STR("n"))) {
        gs2->binding = SCRAM_BINDS_NOT;
    } else if (str_eq(flag, STR("y"))) {
        gs2->binding = SCRAM_WOULD_BIND;
    } else {
        gs2->binding = SCRAM_BINDS;
        gs2->binding_type = str_from_index(flag, 2);
        if (!str_starts(flag, STR("p=")) || !is_binding_type(gs2->binding_type))
            return syntax();
    }
    return err_none();
}

struct err gs2_take(struct str *rest, struct arena *arena, struct gs2 *gs2_r)
{
    *gs2_r = (struct gs2){.as = STR("")};
    struct str whole = *rest;
    struct err e = flag_read(str_cut(rest, ','), gs2_r);
    if (err_is(e))
        return e;
    struct str as = str_cut(rest, ',');
    if (!rest->p)
        return syntax(); /* a comma is missing */
    gs2_r->header = str_head(whole, (size_t)(rest->p - whole.p));
    if (as.n == 0)
        return err_none();
    if (!str_starts(as, STR("a=")))
        return syntax();
    return gs2_name_read(str_from_index(as, 2), arena, &gs2_r->as);
}
