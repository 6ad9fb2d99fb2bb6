/*
 * Property: what was taken prints to a text that is taken again as the same address, its limits
 * hold, and the key of a key is that key.
 */
#include "base/must.h"
#include "format/addr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum {
    MEMORY_TIMES = 8,      /* copies of the text in the arena */
    MEMORY_MORE = 1 << 14, /* its first block */
};

static void key_check(const struct addr *addr, struct arena *arena)
{
    struct buf key = BUF_INIT(4096), again = BUF_INIT(4096);
    addr_local_key(addr, &key);
    struct str text = buf_copy(&key, arena);
    ssize_t at = str_last_index(text, '@');
    must(at > 0);
    struct addr folded = *addr;
    folded.local = str_head(text, (size_t)at);
    addr_local_key(&folded, &again);
    must(str_eq(buf_str(&again), text));
    buf_done(&key);
    buf_done(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct arena arena;
    struct buf printed = BUF_INIT(4096);
    struct addr one, two;
    arena_init(&arena, 65536);
    if (!err_is(addr_parse(str_make(data, n), &arena, &one))) {
        must(one.local.n > 0 && one.local.n <= ADDR_LOCAL_MAX && str_is_utf8(one.local));
        must(one.domain.n > 0 && one.domain.n <= ADDR_DOMAIN_MAX && str_is_ascii(one.domain));
        addr_print(&printed, &one);
        must(printed.n + 2 <= ADDR_PATH_MAX);
        must(!err_is(addr_parse(buf_str(&printed), &arena, &two)));
        must(str_eq(one.local, two.local) && str_eq(one.domain, two.domain));
        must(one.kind == two.kind);
        key_check(&one, &arena);
        buf_clear(&printed);
        addr_print_display(&printed, &one);
    }
    must(arena.used <= MEMORY_TIMES * n + MEMORY_MORE);
    buf_done(&printed);
    arena_done(&arena);
    return 0;
}
