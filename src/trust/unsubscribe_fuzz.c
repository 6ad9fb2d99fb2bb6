/* Properties: what is read can be printed, and is the same token in lower case; cuts of a good one
 * are none. */
#include "base/must.h"
#include "trust/unsubscribe.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum {
    ARENA = 64 << 10
};

static const unsigned char key[UNSUBSCRIBE_KEY] = "a key of thirty-two octets, here";

static bool same(struct str token, struct str list, struct str member, struct arena *arena)
{
    struct buf text = buf_in(arena, UNSUBSCRIBE_TOKEN_MAX);
    return unsubscribe_print(key, list, member, &text) && str_eq_nocase(buf_str(&text), token);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct arena arena;
    struct str list, member, input = str_make(data, n);
    arena_init(&arena, ARENA);
    if (unsubscribe_read(key, input, &arena, &list, &member))
        must(same(input, list, member, &arena));
    /* The input as an address. */
    struct buf text = buf_in(&arena, UNSUBSCRIBE_TOKEN_MAX);
    bool has_nul = str_index(input, '\0') >= 0;
    if (!has_nul && unsubscribe_print(key, input, STR("a@b"), &text)) {
        struct str token = buf_str(&text);
        must(unsubscribe_read(key, token, &arena, &list, &member));
        must(str_eq(list, input) && str_eq(member, STR("a@b")));
        must(!unsubscribe_read(key, str_head(token, token.n - 1), &arena, &list, &member));
    }
    arena_done(&arena);
    return 0;
}
