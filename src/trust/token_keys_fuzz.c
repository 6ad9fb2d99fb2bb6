/* Any octets as a JWK set. Property: it is a set of at least one key, or refused with a reason; no
 * key of it has an algorithm of secrets. */
#include "base/must.h"
#include "trust/token_inside.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void keys_check(const struct token_keys *keys)
{
    static const struct str never[] = {STR_INIT("none"), STR_INIT("HS256"), STR_INIT("HS384"),
                                       STR_INIT("HS512"), STR_INIT("")};
    must(token_keys_count(keys) >= 1 && token_keys_count(keys) <= TOKEN_KEYS_MAX);
    for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++) {
        struct token_head head = {.algorithm = never[i], .key = STR("")};
        must(!token_key_find(keys, &head));
    }
    must(!token_key_verifies(&keys->list[0], STR("x"), STR("y")));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct arena arena;
    struct token_keys *keys = NULL;
    arena_init(&arena, 4 << 20);
    struct err e = token_keys_parse(str_make(data, n), &arena, &keys);
    must(!err_is(e) || (e.code == ERR_CONFIG && e.detail.n && !keys));
    if (!err_is(e))
        keys_check(keys);
    token_keys_done(keys);
    arena_done(&arena);
    return 0;
}
