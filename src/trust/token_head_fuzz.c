/* Any octets as a token. Property: a header that is read is within its limits; the token, signed by
 * nobody, is refused, and before anything is said of its claims. */
#include "base/must.h"
#include "trust/token.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Of RFC 8032 7.1, test 2: no token of the corpus is signed with it. */
#define JWK                                                                                        \
    "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"a\",\"x\":\"PUAXw-hDiVqStwqnTRt-"              \
    "vJyYLM8uxJaMwM1V8Sr0Zgw\"}"

static void nobody_signed_it(const struct token_head *head, struct str token, struct arena *arena)
{
    struct token_keys *keys;
    must(!err_is(token_keys_parse(STR("{\"keys\":[" JWK "]}"), arena, &keys)));
    struct token_rules rules = {.issuer = STR("i"), .audience = STR("a")};
    struct token_claims claims;
    struct err e = token_check(keys, head, token, &rules, arena, &claims);
    must(e.code == ERR_LOGIN_FAILED);
    must(str_find(e.detail, STR("signature")) >= 0 || str_find(e.detail, STR("no key")) == 0);
    token_keys_done(keys);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct str token = str_make(data, n);
    struct token_head head;
    struct arena arena;
    arena_init(&arena, 1 << 20);
    struct err e = token_head_parse(token, &arena, &head);
    must(!err_is(e) || (e.code == ERR_LOGIN_FAILED && e.detail.n));
    if (!err_is(e)) {
        must(head.algorithm.n && head.algorithm.n <= TOKEN_ALGORITHM_MAX);
        must(head.key.n <= TOKEN_KEY_ID_MAX && str_is_utf8(head.key));
        nobody_signed_it(&head, token, &arena);
        head = (struct token_head){.algorithm = STR("EdDSA"), .key = STR("a")};
        nobody_signed_it(&head, token, &arena);
    }
    arena_done(&arena);
    return 0;
}
