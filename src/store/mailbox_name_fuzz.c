/*
 * Properties of a mailbox name that is taken: it keeps its limits, is taken again as itself, and is
 * no path to anywhere (catalogue I10).
 */
#include "base/must.h"
#include "store/mailbox.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct arena arena;
    struct str name, again;
    arena_init(&arena, 65536);
    if (!err_is(mailbox_name_parse(str_make(data, n), &arena, &name))) {
        must(name.n > 0 && name.n <= MAILBOX_NAME_MAX && str_is_utf8(name));
        must(!err_is(mailbox_name_parse(name, &arena, &again)) && str_eq(name, again));
        must(name.p[0] != '/' && name.p[0] != '~' && !memchr(name.p, '\0', name.n));
        must(str_find(name, STR("//")) < 0 && str_find(name, STR("/../")) < 0);
        must(!str_starts(name, STR("../")) && !str_ends(name, STR("/..")));
    }
    arena_done(&arena);
    return 0;
}
