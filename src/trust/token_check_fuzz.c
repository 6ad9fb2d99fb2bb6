/*
 * Claims that were signed well, and then once more with a bit of the signature turned: the first
 * octet chooses the bit and the time. Property: a user comes only out of a token that has not
 * expired, from our issuer, for us; whatever the claims say, a bent signature is what is found.
 */
#include "base/must.h"
#include "trust/sasl.h"
#include "trust/token_rig_test.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct err asked(struct str token, const struct token_keys *keys, int64_t now,
                        struct arena *arena, struct token_claims *claims)
{
    const struct token_head head = {.algorithm = STR("EdDSA"), .key = STR("a")};
    const struct token_rules rules = {
        .issuer = STR("i"), .audience = STR("a"), .now = now, .skew = 10};
    return token_check(keys, &head, token, &rules, arena, claims);
}

static void good_check(struct str text, const struct token_claims *claims, int64_t now)
{
    must(sasl_name_is_valid(claims->user) && claims->expires > now - 10);
    must(str_find(text, STR("exp")) >= 0 || str_find(text, STR("\\u")) >= 0);
}

static void token_try(struct str text, unsigned bit, int64_t now, EVP_PKEY *key,
                      const struct token_keys *keys, struct arena *arena)
{
    struct token_claims claims = {0};
    struct str head = STR("{\"alg\":\"EdDSA\",\"kid\":\"a\"}");
    struct str token = rig_token(STR("EdDSA"), key, head, text, arena);
    struct err e = asked(token, keys, now, arena, &claims);
    must(!err_is(e) || (e.code == ERR_LOGIN_FAILED && e.detail.n));
    if (!err_is(e))
        good_check(text, &claims, now);
    /* A letter for a letter: still base64url, but for the last one. */
    struct str bent = arena_str(arena, token);
    size_t at = bent.n - 2 - bit % 84;
    char *octets = arena_take(arena, bent.n);
    must(octets);
    memcpy(octets, bent.p, bent.n);
    octets[at] = octets[at] == 'A' ? 'B' : 'A';
    bool is_long = token.n > TOKEN_MAX;
    e = asked(str_make(octets, bent.n), keys, now, arena, &claims);
    must(e.code == ERR_LOGIN_FAILED);
    must(is_long || !text.n || str_eq(e.detail, STR("the token's signature does not hold")));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n == 0 || n > TOKEN_MAX)
        return 0;
    struct arena arena;
    struct token_keys *keys;
    arena_init(&arena, 1 << 20);
    EVP_PKEY *key = rig_ed25519();
    must(!err_is(
        token_keys_parse(STR("{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"a\","
                             "\"x\":\"" RIG_ED25519_X "\"}]}"),
                         &arena, &keys)));
    token_try(str_make(data + 1, n - 1), data[0], data[0] * 1000, key, keys, &arena);
    token_keys_done(keys);
    EVP_PKEY_free(key);
    arena_done(&arena);
    return 0;
}
