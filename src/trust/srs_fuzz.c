/* Any text as an address, before and behind a forwarder. Properties: what is rewritten is an
 * address of at most 64 octets before its '@', is of the form, and comes back as what it was, also
 * folded to lower case but for case; what was not made with our keys never comes back. */
#include "base/must.h"
#include "trust/srs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum {
    ARENA = 1 << 16
};

#define NOW INT64_C(1795219200)

static const struct srs_keys keys = {.now = "a key that no seed was made with"};

static struct addr text_again(const struct addr *addr, bool lower, struct arena *arena)
{
    struct buf text = buf_in(arena, 1024);
    struct addr again;
    addr_print(&text, addr);
    for (size_t i = 0; lower && i < text.n; i++)
        text.p[i] = ascii_lower(text.p[i]);
    must(!err_is(addr_parse(buf_built(&text), arena, &again)));
    return again;
}

static void back_check(const struct addr *sender, const struct addr *made, bool lower,
                       struct arena *arena)
{
    struct addr again = text_again(made, lower, arena), back;
    must(!err_is(srs_reverse(&keys, &again, NOW, SRS_DAYS, arena, &back)));
    if (str_starts(made->local, STR("SRS1")))
        return;
    must(str_eq(back.domain, sender->domain));
    must(lower ? str_eq_nocase(back.local, sender->local) : str_eq(back.local, sender->local));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct arena arena;
    struct addr sender, made, back;
    arena_init(&arena, ARENA);
    if (!err_is(addr_parse(str_make(data, n), &arena, &sender))) {
        must(err_is(srs_reverse(&keys, &sender, NOW, SRS_DAYS, &arena, &back)));
        struct err e = srs_forward(&keys, &sender, STR("ours.test"), NOW, &arena, &made);
        must(!err_is(e) || e.code == ERR_SENDER_SYNTAX);
        if (!err_is(e) && 2 * made.local.n + 16 < ADDR_PATH_MAX) {
            must(made.local.n <= ADDR_LOCAL_MAX && srs_is(made.local));
            back_check(&sender, &made, false, &arena);
            back_check(&sender, &made, true, &arena);
        }
    }
    arena_done(&arena);
    return 0;
}
