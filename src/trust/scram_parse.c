/*
 * SCRAM's grammar (RFC 5802 7), followed to the letter: attributes have their places, so nothing is
 * looked for, and what stands where an extension may stand is one, or is an error.
 */
#include "format/encodings.h"
#include "trust/gs2.h"

enum {
    NONCE_MOST = SASL_NONCE_MAX + 4 * SCRAM_NONCE / 3, /* with ours behind it */
};

static struct err syntax(void)
{
    return err_make(ERR_SASL_SYNTAX);
}

/* Printable ASCII; its commas were cut at. */
static bool is_nonce(struct str nonce, size_t most)
{
    return nonce.n > 0 && nonce.n <= most && str_is_printable_ascii(nonce) &&
           str_index(nonce, ' ') < 0;
}

/* The value of the attribute at the front of *rest, which must be this one; str_null: it is not. */
static struct str attribute_take(struct str *rest, char name)
{
    struct str attribute = str_cut(rest, ',');
    if (attribute.n < 2 || attribute.p[0] != name || attribute.p[1] != '=')
        return str_null();
    return str_from_index(attribute, 2);
}

/* Are these extensions that may be ignored? Those that RFC 5802 5.1 defines have other places, and
 * "m", an extension that must be understood, is never ignored. */
static bool may_ignore(struct str rest)
{
    while (rest.p) {
        struct str extension = str_cut(&rest, ',');
        if (extension.n < 3 || !ascii_is_alpha(extension.p[0]) || extension.p[1] != '=' ||
            memchr("anmrcsipve", extension.p[0], 10))
            return false;
    }
    return true;
}

struct err scram_first_parse(struct str message, struct arena *arena, struct scram_first *first_r)
{
    if (!gs2_is_text(message))
        return syntax();
    struct str rest = message;
    struct gs2 gs2;
    struct err e = gs2_take(&rest, arena, &gs2);
    if (err_is(e))
        return e;
    *first_r = (struct scram_first){.binding = gs2.binding,
                                    .binding_type = gs2.binding_type,
                                    .as = gs2.as,
                                    .gs2 = gs2.header,
                                    .bare = rest};
    if (str_starts(rest, STR("m=")))
        return syntax(); /* RFC 5802 5.1: a mandatory extension, and we know none */
    struct str user = attribute_take(&rest, 'n');
    first_r->nonce = attribute_take(&rest, 'r');
    if (!user.p || !is_nonce(first_r->nonce, SASL_NONCE_MAX) || !may_ignore(rest))
        return syntax();
    return gs2_name_read(user, arena, &first_r->user);
}

static struct err base64_read(struct str text, struct arena *arena, struct str *octets_r)
{
    struct buf buf = buf_in(arena, text.n + 3); /* as base64_parse takes it */
    bool good = base64_parse(text, &buf);
    *octets_r = buf_built(&buf);
    if (buf_over(&buf))
        return err_make(ERR_NO_MEMORY);
    return good && octets_r->n ? err_none() : syntax();
}

struct err scram_final_parse(struct str message, struct arena *arena, struct scram_final *final_r)
{
    ssize_t comma = str_last_index(message, ',');
    if (!gs2_is_text(message) || comma < 0)
        return syntax();
    struct str last = str_from_index(message, (size_t)comma + 1);
    struct str rest = final_r->without_proof = str_head(message, (size_t)comma);
    struct str binding = attribute_take(&rest, 'c');
    struct str proof = attribute_take(&last, 'p');
    final_r->nonce = attribute_take(&rest, 'r');
    if (!binding.p || !proof.p || !is_nonce(final_r->nonce, NONCE_MOST) || !may_ignore(rest))
        return syntax();
    struct err e = base64_read(binding, arena, &final_r->binding);
    return err_is(e) ? e : base64_read(proof, arena, &final_r->proof);
}
