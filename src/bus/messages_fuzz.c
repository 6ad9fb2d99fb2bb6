/* Properties: what decodes encodes to the same octets and can be printed; whoever sent it may;
 * memory is linear. */
#include "base/must.h"
#include "bus/messages.h"

enum {
    ARENA = 4 * 1024 * 1024,
    PRINTED = 64 * 1024,
    MEMORY_TIMES = 16, /* a record of a list, beside what it is on the wire */
    MEMORY_MORE = 1 << 17,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void again_check(const struct msg *msg, struct str octets)
{
    struct buf again = BUF_INIT(octets.n + 1), printed = BUF_INIT(PRINTED);
    msg_encode(&again, msg);
    must(!buf_over(&again) && str_eq(buf_str(&again), octets));
    msg_print(&printed, msg);
    must(!buf_over(&printed) && str_is_ascii(str_head(buf_str(&printed), 1)));
    buf_done(&again);
    buf_done(&printed);
}

static void packet_check(struct str packet, enum bus_role sender, struct arena *arena)
{
    struct wire_in in = wire_in(packet);
    while (in.rest.n) {
        struct msg msg;
        struct str before = in.rest;
        if (err_is(msg_decode(&in, sender, arena, &msg)))
            return;
        must(msg_senders(msg.kind) & 1u << sender);
        again_check(&msg, str_head(before, before.n - in.rest.n));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    for (enum bus_role sender = 0; sender < ROLE_COUNT; sender++) {
        struct arena arena;
        arena_init(&arena, ARENA);
        packet_check(str_make(data, n), sender, &arena);
        must(arena.used <= MEMORY_TIMES * n + MEMORY_MORE);
        arena_done(&arena);
    }
    return 0;
}
