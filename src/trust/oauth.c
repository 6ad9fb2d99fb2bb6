/*
 * Why the secrets go in the body and not by HTTP Basic: both large providers document the body, and
 * RFC 6749 2.3.1 lets any server take it; a client that tries one way after the other shows its
 * secret twice.
 */
#include "trust/oauth.h"

#include "trust/token_inside.h"

enum {
    VALUES = 64, /* of the JSON */
};

/* --- JSON ------------------------------------------------------------------------------------ */

static struct str octets_of(json_t *value)
{
    return json_is_string(value) ? str_make(json_string_value(value), json_string_length(value))
                                 : str_null();
}

/* Secrets are strings of the object itself. */
static void json_wipe(json_t *object)
{
    const char *name;
    json_t *value;
    json_object_foreach(object, name, value) if (json_is_string(value)) str_wipe(octets_of(value));
    json_decref(object);
}

static bool is_visible(struct str text, char least)
{
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] < least || text.p[i] > '~')
            return false;
    return true;
}

/* RFC 6749 A: VSCHAR; a scope has spaces, too. */
static bool is_token(struct str text, size_t most)
{
    return text.n > 0 && text.n <= most && is_visible(text, '!');
}

/* --- The operator's file --------------------------------------------------------------------- */

static struct err wrong(const char *why)
{
    return err_detail(ERR_CONFIG, str_from(why));
}

static struct err grant_check(const struct oauth_grant *grant)
{
    if (grant->refresh_token.n == 0)
        return wrong("has no refresh_token");
    if (grant->client_id.n == 0)
        return wrong("has no client_id");
    if (grant->endpoint.n == 0)
        return wrong("has no token_endpoint, and the route's preset names none");
    if (!is_token(grant->endpoint, OAUTH_TEXT_MAX) ||
        !str_starts_nocase(grant->endpoint, STR("https://")))
        return wrong("has a token_endpoint that is no https URL");
    if (!is_token(grant->refresh_token, OAUTH_TOKEN_MAX))
        return wrong("has a refresh_token that can be none");
    if (!is_visible(grant->client_id, ' ') || grant->client_id.n > OAUTH_TEXT_MAX)
        return wrong("has a client_id that can be none");
    if (!is_visible(grant->client_secret, ' ') || grant->client_secret.n > OAUTH_TEXT_MAX)
        return wrong("has a client_secret that can be none");
    if (!is_visible(grant->scope, ' ') || grant->scope.n > OAUTH_TEXT_MAX)
        return wrong("has a scope that can be none");
    return err_none();
}

static struct str member(const json_t *json, const char *name)
{
    struct str text = token_member(json, name);
    return text.p ? text : STR("");
}

static struct err grant_copy(const struct oauth_grant *from, struct arena *arena,
                             struct oauth_grant *to)
{
    *to = (struct oauth_grant){.endpoint = arena_str(arena, from->endpoint),
                               .client_id = arena_str(arena, from->client_id),
                               .client_secret = arena_str(arena, from->client_secret),
                               .refresh_token = arena_str(arena, from->refresh_token),
                               .scope = arena_str(arena, from->scope)};
    bool whole = to->endpoint.p && to->client_id.p && to->client_secret.p && to->refresh_token.p &&
                 to->scope.p;
    return err_make(whole ? ERR_NONE : ERR_NO_MEMORY);
}

struct err oauth_grant_parse(struct str text, struct str endpoint, struct arena *arena,
                             struct oauth_grant *grant_r)
{
    json_t *json = text.n <= OAUTH_FILE_MAX ? token_json_parse(text, VALUES) : NULL;
    if (!json)
        return wrong("is no JSON object");
    struct oauth_grant grant = {.endpoint = member(json, "token_endpoint"),
                                .client_id = member(json, "client_id"),
                                .client_secret = member(json, "client_secret"),
                                .refresh_token = member(json, "refresh_token"),
                                .scope = member(json, "scope")};
    if (grant.endpoint.n == 0)
        grant.endpoint = member(json, "token_uri");
    if (grant.endpoint.n == 0)
        grant.endpoint = endpoint;
    struct err e = grant_check(&grant);
    if (!err_is(e))
        e = grant_copy(&grant, arena, grant_r);
    json_wipe(json);
    return e;
}

void oauth_grant_digest(const struct oauth_grant *grant, unsigned char digest_r[SHA256_SIZE])
{
    const struct str parts[] = {grant->endpoint, grant->client_id, grant->refresh_token};
    struct sha256 sha256;
    sha256_init(&sha256);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        sha256_feed(&sha256, parts[i]);
        sha256_feed(&sha256, str_make("", 1)); /* no part has a NUL */
    }
    sha256_end(&sha256, digest_r);
}

/* --- The request ----------------------------------------------------------------------------- */

static void form_put(struct buf *to, const char *name, struct str value)
{
    buf_printf(to, to->n > 0 ? "&%s=" : "%s=", name);
    for (size_t i = 0; i < value.n; i++) {
        unsigned char c = (unsigned char)value.p[i];
        bool plain = ascii_is_alpha((char)c) || ascii_is_digit((char)c) || c == '-' || c == '.' ||
                     c == '_' || c == '~';
        if (plain)
            buf_putc(to, (char)c);
        else
            buf_printf(to, "%%%02X", c);
    }
}

bool oauth_request_print(const struct oauth_grant *grant, struct buf *to)
{
    form_put(to, "grant_type", STR("refresh_token"));
    form_put(to, "refresh_token", grant->refresh_token);
    form_put(to, "client_id", grant->client_id);
    if (grant->client_secret.n > 0)
        form_put(to, "client_secret", grant->client_secret);
    if (grant->scope.n > 0)
        form_put(to, "scope", grant->scope);
    return !buf_over(to);
}

/* --- The answer ------------------------------------------------------------------------------ */

/* Some send it as text. */
static uint32_t lasts_of(const json_t *json)
{
    const json_t *value = json_object_get(json, "expires_in");
    struct str text = token_member(json, "expires_in");
    uint64_t seconds = OAUTH_LASTS;
    if (json_is_integer(value) && json_integer_value(value) >= 0)
        seconds = (uint64_t)json_integer_value(value);
    else if (json_is_real(value) && json_real_value(value) >= 0 &&
             json_real_value(value) < OAUTH_LASTS_MAX)
        seconds = (uint64_t)json_real_value(value);
    else if (text.n > 0 && !str_to_u64(text, &seconds))
        seconds = OAUTH_LASTS;
    return (uint32_t)(seconds < OAUTH_LASTS_MAX ? seconds : OAUTH_LASTS_MAX);
}

/* An endpoint that says what it was told, in a text for a log, does not get it there. */
static bool tells(struct str text, struct str secret)
{
    return secret.n > 0 && str_find(text, secret) >= 0;
}

static struct str why_of(struct str said, const struct oauth_grant *grant, struct arena *arena)
{
    struct buf why = buf_in(arena, OAUTH_WHY_MAX + 1);
    if (tells(said, grant->refresh_token) || tells(said, grant->client_secret))
        return STR("");
    for (size_t i = 0; i < said.n && why.n < OAUTH_WHY_MAX; i++)
        if (said.p[i] >= ' ' && said.p[i] <= '~')
            buf_putc(&why, said.p[i]);
        else if (why.n > 0 && why.p[why.n - 1] != ' ')
            buf_putc(&why, ' ');
    return buf_built(&why);
}

static bool refused(const char *how, struct oauth_answer *answer)
{
    *answer = (struct oauth_answer){.error = str_from(how), .why = STR("")};
    return true;
}

static bool error_take(const json_t *json, const struct oauth_grant *grant, struct arena *arena,
                       struct oauth_answer *answer)
{
    struct str error = token_member(json, "error");
    if (!is_token(error, OAUTH_ERROR_MAX) || tells(error, grant->refresh_token) ||
        tells(error, grant->client_secret))
        return refused("an error without a name", answer);
    *answer = (struct oauth_answer){.error = arena_str(arena, error),
                                    .why = why_of(member(json, "error_description"), grant, arena)};
    return answer->error.p && answer->why.p;
}

static bool tokens_take(const json_t *json, struct arena *arena, struct oauth_answer *answer)
{
    struct str access = token_member(json, "access_token");
    struct str refresh = token_member(json, "refresh_token");
    struct str type = token_member(json, "token_type");
    if (type.p && !str_eq_nocase(type, STR("Bearer"))) /* RFC 6749 7.1 */
        return refused("a token that is no bearer token", answer);
    if (!is_token(access, OAUTH_TOKEN_MAX))
        return refused("no access token that could be used", answer);
    if (refresh.n > 0 && !is_token(refresh, OAUTH_TOKEN_MAX))
        return refused("a refresh token that could not be used", answer);
    *answer =
        (struct oauth_answer){.access_token = arena_str(arena, access),
                              .refresh_token = arena_str(arena, refresh.p ? refresh : STR("")),
                              .lasts = lasts_of(json),
                              .error = STR(""),
                              .why = STR("")};
    return answer->access_token.p && answer->refresh_token.p;
}

bool oauth_answer_parse(unsigned status, struct str text, const struct oauth_grant *grant,
                        struct arena *arena, struct oauth_answer *answer_r)
{
    json_t *json = text.n <= OAUTH_ANSWER_MAX ? token_json_parse(text, VALUES) : NULL;
    if (!json)
        return refused("an answer that is no JSON object", answer_r);
    bool done;
    if (json_object_get(json, "error"))
        done = error_take(json, grant, arena, answer_r);
    else if (status / 100 != 2)
        done = refused("a refusal without a reason", answer_r);
    else
        done = tokens_take(json, arena, answer_r);
    json_wipe(json);
    return done;
}
