/* Property: a path that was taken, printed between brackets, is taken again with the same address;
 * what is left over begins with a space and ends where the input ends. */
#include "base/must.h"
#include "format/addr.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void again_check(const struct path *path, bool reverse, struct arena *arena)
{
    struct buf text = BUF_INIT(4096);
    struct path again;
    struct str rest;
    buf_putc(&text, '<');
    addr_print(&text, &path->addr);
    buf_putc(&text, '>');
    must(!err_is(path_parse(buf_str(&text), reverse, arena, &again, &rest)));
    must(rest.n == 0 && !again.has_route && again.addr.kind == path->addr.kind);
    must(str_eq(again.addr.local, path->addr.local));
    must(str_eq(again.addr.domain, path->addr.domain));
    buf_done(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n == 0)
        return 0;
    bool reverse = data[0] & 1;
    struct str text = str_make(data + 1, n - 1), rest;
    struct arena arena;
    struct path path;
    arena_init(&arena, 65536);
    if (!err_is(path_parse(text, reverse, &arena, &path, &rest))) {
        must(rest.n == 0 || (rest.p[0] == ' ' && rest.p + rest.n == text.p + text.n));
        again_check(&path, reverse, &arena);
    }
    arena_done(&arena);
    return 0;
}
