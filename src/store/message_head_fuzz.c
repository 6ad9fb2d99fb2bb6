/* The head of a message. Properties: what decodes encodes to the same octets; the prefix has the
 * size that was told for it, whoever the recipient is; memory is linear. */
#include "base/must.h"
#include "store/message_head.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum {
    ARENA = 4 << 20,
    BLOCK = 65536, /* an arena's first */
};

static void prefix_check(const struct message_head *head, uint32_t recipient, size_t n)
{
    struct buf prefix = BUF_INIT(n + 100);
    message_prefix(head, recipient, &prefix);
    must(!buf_over(&prefix) && prefix.n == message_prefix_size(head, recipient));
    buf_done(&prefix);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct arena arena;
    struct message_head head;
    struct buf again = BUF_INIT(n + 1);
    arena_init(&arena, ARENA);
    struct err e = message_head_decode(str_make(data, n), &arena, &head);
    must(!err_is(e) || e.code == ERR_STORE_DAMAGED);
    must(arena.used <= 4 * n + MESSAGE_DELIVERED_MAX * sizeof(struct str) + BLOCK);
    if (!err_is(e)) {
        message_head_encode(&head, &again);
        must(!buf_over(&again) && str_eq(buf_str(&again), str_make(data, n)));
        prefix_check(&head, 0, n);
        prefix_check(&head, (uint32_t)head.delivered_to_count, n);
        prefix_check(&head, UINT32_MAX, n);
    }
    buf_done(&again);
    arena_done(&arena);
    return 0;
}
