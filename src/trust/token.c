/*
 * The header chooses a key before anything is proved, so it is read before the signature; all that
 * it can choose is one of our keys, with the algorithm that is the key's own. Core gets what the
 * edge read in a message, verifies with that, and only then reads the header itself, which is
 * signed by now: an edge that was taken over gains nothing by lying.
 *
 * A number of seconds may have a fraction (RFC 7519 2) and no more than 53 bits, beyond which JSON
 * readers disagree.
 */
#include "trust/sasl.h"
#include "trust/token_inside.h"

const struct str token_user_claims[TOKEN_USER_CLAIMS] = {
    STR_INIT("email"), STR_INIT("preferred_username"), STR_INIT("upn"), STR_INIT("sub")};

static struct err refused(const char *why)
{
    return err_detail(ERR_LOGIN_FAILED, str_from(why));
}

/* --- Its three parts ------------------------------------------------------------------------- */

struct parts {
    struct str head, claims, signature; /* decoded */
    struct str signed_part;             /* as it came */
};

static struct err parts_read(struct str token, struct arena *arena, struct parts *parts_r)
{
    if (token.n > TOKEN_MAX)
        return refused("the token is too long");
    struct str rest = token;
    struct str head = str_cut(&rest, '.'), claims = str_cut(&rest, '.'), signature = rest;
    if (!signature.p)
        return refused("the token is no JWT");
    if (head.n > TOKEN_PART_MAX || signature.n > TOKEN_PART_MAX)
        return refused("a part of the token is too long");
    *parts_r = (struct parts){
        .head = token_octets(head, arena),
        .claims = token_octets(claims, arena),
        .signature = token_octets(signature, arena),
        .signed_part = str_head(token, head.n + 1 + claims.n),
    };
    if (arena_over(arena))
        return err_make(ERR_NO_MEMORY);
    if (!parts_r->head.n || !parts_r->claims.n || !parts_r->signature.n)
        return refused("the token is no JWT");
    return err_none();
}

/* --- The header ------------------------------------------------------------------------------ */

static bool type_is_known(const json_t *json)
{
    static const struct str known[] = {STR_INIT("JWT"), STR_INIT("application/jwt"),
                                       STR_INIT("at+jwt"), STR_INIT("application/at+jwt")};
    if (!json_object_get(json, "typ"))
        return true;
    struct str type = token_member(json, "typ");
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (str_eq_nocase(type, known[i]))
            return true;
    return false;
}

static struct err head_read(const json_t *json, struct arena *arena, struct token_head *head_r)
{
    struct str algorithm = token_member(json, "alg"), key = token_member(json, "kid");
    if (algorithm.n == 0 || algorithm.n > TOKEN_ALGORITHM_MAX)
        return refused("the token's header has no good alg");
    if (key.n > TOKEN_KEY_ID_MAX || (!key.p && json_object_get(json, "kid")))
        return refused("the token's header has no good kid");
    if (json_object_get(json, "crit"))
        return refused("the token's header has extensions that must be understood");
    if (!type_is_known(json))
        return refused("the token's typ is not that of an access token");
    head_r->algorithm = arena_str(arena, algorithm);
    head_r->key = arena_str(arena, key);
    return head_r->algorithm.p && head_r->key.p ? err_none() : err_make(ERR_NO_MEMORY);
}

static struct err head_parse(struct str text, struct arena *arena, struct token_head *head_r)
{
    json_t *json = token_json_parse(text, TOKEN_JSON_VALUES);
    struct err e = json ? head_read(json, arena, head_r)
                        : refused("the token's header is no JSON object, or beyond our limits");
    json_decref(json);
    return e;
}

struct err token_head_parse(struct str token, struct arena *arena, struct token_head *head_r)
{
    struct parts parts;
    struct err e = parts_read(token, arena, &parts);
    return err_is(e) ? e : head_parse(parts.head, arena, head_r);
}

/* --- Claims: of a token whose signature holds ------------------------------------------------ */

static bool seconds_read(const json_t *value, int64_t *seconds_r)
{
    const int64_t most = (int64_t)1 << 53;
    double number = json_number_value(value); /* rounded, which is enough for the limits */
    if (!json_is_number(value) || !(number > (double)-most && number < (double)most))
        return false;
    *seconds_r = json_is_integer(value) ? json_integer_value(value) : (int64_t)number;
    return true;
}

static struct err times_check(const json_t *claims, const struct token_rules *rules,
                              int64_t *expires_r)
{
    int64_t skew = rules->skew < 0 ? 0 : rules->skew;
    skew = skew > TOKEN_SKEW_MAX ? TOKEN_SKEW_MAX : skew;
    const json_t *from = json_object_get(claims, "nbf"), *issued = json_object_get(claims, "iat");
    int64_t begin;
    if (!seconds_read(json_object_get(claims, "exp"), expires_r))
        return refused("the token has no good exp");
    if (rules->now >= *expires_r + skew)
        return refused("the token has expired");
    if (from && !seconds_read(from, &begin))
        return refused("the token has no good nbf");
    if (from && rules->now < begin - skew)
        return refused("the token is not valid yet");
    if (issued && !seconds_read(issued, &begin))
        return refused("the token has no good iat");
    if (issued && rules->now < begin - skew)
        return refused("the token was issued in the future");
    return err_none();
}

static bool is_text(const json_t *value, struct str wanted)
{
    return json_is_string(value) &&
           str_eq(str_make(json_string_value(value), json_string_length(value)), wanted);
}

/* Is `wanted` this string, or one of the strings of this list? */
static bool names(const json_t *value, struct str wanted)
{
    size_t i;
    const json_t *one;
    json_array_foreach(value, i, one) if (is_text(one, wanted)) return true;
    return is_text(value, wanted);
}

static bool has_word(struct str words, struct str wanted)
{
    while (words.p)
        if (str_eq(str_cut(&words, ' '), wanted))
            return true;
    return false;
}

static struct err purpose_check(const json_t *claims, const struct token_rules *rules)
{
    if (rules->issuer.n == 0 || !str_eq(token_member(claims, "iss"), rules->issuer))
        return refused("the token's iss is not the configured issuer");
    if (rules->audience.n == 0 || !names(json_object_get(claims, "aud"), rules->audience))
        return refused("the token's aud is not the configured audience");
    if (rules->scope.n && !has_word(token_member(claims, "scope"), rules->scope) &&
        !has_word(token_member(claims, "scp"), rules->scope) &&
        !names(json_object_get(claims, "scp"), rules->scope))
        return refused("the token's scope lacks the configured one");
    return err_none();
}

/* Its owner has not shown that it is theirs: anybody may have written it there. */
static bool email_is_doubtful(const json_t *claims, struct str claim)
{
    const json_t *verified = json_object_get(claims, "email_verified");
    return str_eq(claim, STR("email")) && verified && !json_is_true(verified) &&
           !str_eq_nocase(token_member(claims, "email_verified"), STR("true"));
}

static struct err user_find(const json_t *claims, const struct token_rules *rules,
                            struct str *user_r)
{
    const struct str *list = rules->user_claim_count ? rules->user_claims : token_user_claims;
    size_t count = rules->user_claim_count ? rules->user_claim_count : TOKEN_USER_CLAIMS;
    for (size_t i = 0; i < count; i++) {
        const json_t *value = json_object_getn(claims, list[i].p, list[i].n);
        if (!value)
            continue;
        *user_r = str_make(json_string_value(value), json_string_length(value));
        if (!json_is_string(value) || !sasl_name_is_valid(*user_r))
            return refused("the token's claim of the user is no good name");
        if (email_is_doubtful(claims, list[i]))
            return refused("the token's email is not verified");
        return err_none();
    }
    return refused("the token names no user");
}

static struct err claims_judge(const json_t *claims, const struct token_rules *rules,
                               struct arena *arena, struct token_claims *claims_r)
{
    struct str user;
    struct err e = times_check(claims, rules, &claims_r->expires);
    if (!err_is(e))
        e = purpose_check(claims, rules);
    if (!err_is(e))
        e = user_find(claims, rules, &user);
    if (err_is(e))
        return e;
    claims_r->user = arena_str(arena, user);
    claims_r->subject = arena_str(arena, token_member(claims, "sub"));
    claims_r->id = arena_str(arena, token_member(claims, "jti"));
    return arena_over(arena) ? err_make(ERR_NO_MEMORY) : err_none();
}

struct err token_check(const struct token_keys *keys, const struct token_head *head,
                       struct str token, const struct token_rules *rules, struct arena *arena,
                       struct token_claims *claims_r)
{
    struct parts parts;
    struct err e = parts_read(token, arena, &parts);
    if (err_is(e))
        return e;
    const struct token_key *key = token_key_find(keys, head);
    if (!key)
        return refused("no key has the token's alg and kid");
    if (!token_key_verifies(key, parts.signed_part, parts.signature))
        return refused("the token's signature does not hold");
    struct token_head signed_head;
    e = head_parse(parts.head, arena, &signed_head);
    if (err_is(e))
        return e;
    if (!str_eq(signed_head.algorithm, head->algorithm) || !str_eq(signed_head.key, head->key))
        return refused("the token's header is not what the edge said");
    json_t *claims = token_json_parse(parts.claims, TOKEN_JSON_VALUES);
    e = claims ? claims_judge(claims, rules, arena, claims_r)
               : refused("the token's claims are no JSON object, or beyond our limits");
    json_decref(claims);
    return e;
}
