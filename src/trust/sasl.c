/*
 * The table, and the mechanisms whose clients say it all in one message: PLAIN and the bearer
 * tokens. SCRAM and CRAM-MD5, which compute, have files of their own.
 *
 * XOAUTH2's pairs are written as OAUTHBEARER's are, so one reader serves both. What a client sends
 * beside its token (host, port) is checked for its grammar and then ignored: it comes through the
 * same TLS as the token, and says nothing that the listener does not know better.
 */
#include "trust/sasl.h"

#include "trust/gs2.h"

const struct sasl_row sasl_rows[SASL_MECHANISMS] = {
    [SASL_PLAIN] = {"PLAIN", "RFC 4616", .shows_password = true, .client_first = true},
    [SASL_LOGIN] = {"LOGIN", "draft-murchison-sasl-login", .shows_password = true,
                    .client_first = true},
    [SASL_CRAM_MD5] = {"CRAM-MD5", "RFC 2195"},
    [SASL_SCRAM_SHA_1] = {"SCRAM-SHA-1", "RFC 5802", .client_first = true},
    [SASL_SCRAM_SHA_256] = {"SCRAM-SHA-256", "RFC 7677", .client_first = true},
    [SASL_SCRAM_SHA_256_PLUS] = {"SCRAM-SHA-256-PLUS", "RFC 7677", .client_first = true,
                                 .needs_tls = true},
    [SASL_OAUTHBEARER] = {"OAUTHBEARER", "RFC 7628", .shows_password = true, .client_first = true,
                          .needs_tls = true},
    [SASL_XOAUTH2] = {"XOAUTH2", "Google", .shows_password = true, .client_first = true,
                      .needs_tls = true},
    [SASL_EXTERNAL] = {"EXTERNAL", "RFC 4422", .client_first = true, .needs_tls = true},
};

bool sasl_find(struct str name, enum sasl_mechanism *mechanism_r)
{
    for (size_t i = 0; i < SASL_MECHANISMS; i++)
        if (str_eq_nocase(str_from(sasl_rows[i].name), name)) {
            *mechanism_r = (enum sasl_mechanism)i;
            return true;
        }
    return false;
}

struct str sasl_name(enum sasl_mechanism mechanism)
{
    return mechanism < SASL_MECHANISMS ? str_from(sasl_rows[mechanism].name) : STR("USER");
}

static struct err syntax(void)
{
    return err_make(ERR_SASL_SYNTAX);
}

bool sasl_name_is_valid(struct str name)
{
    return name.n > 0 && name.n <= SASL_NAME_MAX && str_index(name, '\0') < 0 && str_is_utf8(name);
}

/* --- PLAIN ----------------------------------------------------------------------------------- */

struct err sasl_plain_parse(struct str message, struct sasl_plain *plain_r)
{
    if (message.n > SASL_MESSAGE_MAX)
        return syntax();
    struct str rest = message;
    plain_r->as = str_cut(&rest, '\0');
    plain_r->user = str_cut(&rest, '\0');
    plain_r->password = rest; /* null where a NUL is missing */
    bool good = (plain_r->as.n == 0 || sasl_name_is_valid(plain_r->as)) &&
                sasl_name_is_valid(plain_r->user) && plain_r->password.n > 0 &&
                str_index(plain_r->password, '\0') < 0;
    return good ? err_none() : syntax();
}

/* --- Bearer tokens ---------------------------------------------------------------------------
 */

/* "Bearer", in any case, and a b64token (RFC 6750 2.1); empty where it is something else. */
static struct str bearer_token(struct str auth)
{
    struct str scheme = str_cut(&auth, ' ');
    while (auth.n && auth.p[0] == ' ')
        auth = str_from_index(auth, 1);
    if (!str_eq_nocase(scheme, STR("Bearer")) || auth.n == 0)
        return STR("");
    size_t n = auth.n;
    while (n && auth.p[n - 1] == '=')
        n--;
    for (size_t i = 0; i < n; i++)
        if (!ascii_is_alpha(auth.p[i]) && !ascii_is_digit(auth.p[i]) &&
            !memchr("-._~+/", auth.p[i], 6))
            return STR("");
    return n ? auth : STR("");
}

/* VCHAR, space, tab, CR, LF */
static bool is_value(struct str value)
{
    for (size_t i = 0; i < value.n; i++) {
        char c = value.p[i];
        if ((c < 0x20 || c > 0x7e) && c != '\t' && c != '\r' && c != '\n')
            return false;
    }
    return true;
}

static bool is_key(struct str key)
{
    for (size_t i = 0; i < key.n; i++)
        if (!ascii_is_alpha(key.p[i]))
            return false;
    return key.n > 0;
}

/* key "=" value kvsep, and again, up to a kvsep that stands alone and is the last octet; what is
 * not known is ignored (RFC 7628 3.1). "auth" must come, once: auth_r. */
static struct err pairs_read(struct str rest, struct str *auth_r)
{
    *auth_r = str_null();
    for (;;) {
        struct str value = str_cut(&rest, '\1');
        if (!rest.p)
            return syntax(); /* a kvsep is missing */
        if (value.n == 0)
            break;
        struct str key = str_cut(&value, '=');
        if (!value.p || !is_key(key) || !is_value(value))
            return syntax();
        if (!str_eq(key, STR("auth")))
            continue;
        if (auth_r->p)
            return syntax(); /* which of the two? */
        *auth_r = value;
    }
    return rest.n == 0 && auth_r->p ? err_none() : syntax();
}

struct err sasl_oauthbearer_parse(struct str message, struct arena *arena,
                                  struct sasl_bearer *bearer_r)
{
    if (!gs2_is_text(message))
        return syntax();
    struct str rest = message, auth;
    struct gs2 gs2;
    struct err e = gs2_take(&rest, arena, &gs2);
    /* There is no form of it that binds to the channel. */
    if (!err_is(e) && (gs2.binding == SCRAM_BINDS || rest.n == 0 || rest.p[0] != '\1'))
        e = syntax();
    if (!err_is(e))
        e = pairs_read(str_from_index(rest, 1), &auth);
    if (err_is(e))
        return e;
    bearer_r->user = gs2.as;
    bearer_r->token = bearer_token(auth);
    return err_none();
}

struct err sasl_xoauth2_parse(struct str message, struct arena *arena, struct sasl_bearer *bearer_r)
{
    (void)arena; /* nothing is escaped here */
    struct str rest = message, auth;
    struct str user = str_cut(&rest, '\1');
    if (!gs2_is_text(message) || !str_starts(user, STR("user=")))
        return syntax();
    user = str_from_index(user, STR("user=").n);
    if (user.n && !sasl_name_is_valid(user))
        return syntax();
    struct err e = pairs_read(rest, &auth);
    if (err_is(e))
        return e;
    bearer_r->user = user;
    bearer_r->token = bearer_token(auth);
    return err_none();
}
