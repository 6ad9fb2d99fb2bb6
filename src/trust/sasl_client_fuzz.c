/*
 * Challenges of a server: the first octet chooses the mechanism, the rest are challenges, a line
 * each. Property: a dialogue ends, an answer is of bounded length, memory is linear, and no server
 * that does not know the password is taken for one that does.
 */
#include "base/must.h"
#include "trust/sasl_client.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum {
    STEPS_MOST = 4,
    MEMORY_MOST = 1 << 20,
};

/* A run is to take no second. */
static bool is_dear(struct str challenge)
{
    ssize_t at = str_find(challenge, STR(",i="));
    return at >= 0 && challenge.n - (size_t)at > sizeof ",i=4096" - 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const struct sasl_identity identity = {.user = STR_INIT("user"),
                                                  .secret = STR_INIT("pencil"),
                                                  .host = STR_INIT("h"),
                                                  .encrypted = true};
    static const unsigned char random[SASL_CLIENT_NONCE] = {1, 2, 3};
    enum sasl_mechanism mechanism = n ? data[0] % SASL_MECHANISMS : SASL_PLAIN;
    struct str rest = str_make(data + (n > 0), n - (n > 0)), said;
    struct sasl_client client;
    struct arena arena;
    size_t steps = 0;
    if (mechanism == SASL_EXTERNAL)
        return 0;
    arena_init(&arena, MEMORY_MOST);
    struct err e = sasl_client_begin(&client, mechanism, &identity, false, random, &arena, &said);
    must(!err_is(e));
    while (!err_is(e) && rest.n > 0) {
        struct str challenge = str_cut(&rest, '\n');
        if (is_dear(challenge))
            break;
        e = sasl_client_step(&client, challenge, &arena, &said);
        must(err_is(e) || (said.p && said.n <= SASL_MESSAGE_MAX));
        must(++steps <= STEPS_MOST);
    }
    must(!client.proved); /* nobody finds the signature by chance */
    arena_done(&arena);
    return 0;
}
