/*
 * Property: a record that is taken is written again as a record that is taken, and from then on its
 * octets do not change. The first octet chooses the kind of record.
 */
#include "base/must.h"
#include "store/directory_record.h"
#include "store/message_head.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void name_check(struct str record, struct arena *arena)
{
    struct name name, again;
    if (err_is(name_decode(record, arena, &name)))
        return;
    struct str written = name_encode(&name, arena);
    if (!written.p)
        return; /* larger than a value may be */
    must(!err_is(name_decode(written, arena, &again)));
    must(str_eq(name_encode(&again, arena), written));
    must(str_eq(name_address(&again), name_address(&name)));
}

static void domain_check(struct str record, struct arena *arena)
{
    struct domain domain;
    if (!err_is(domain_decode(STR("example.test"), record, &domain)))
        must(str_eq(domain_encode(&domain, arena), record));
}

/* Padding is no part of what was decoded, so records are compared, not structs. */
static void credentials_check(struct str record, struct arena *arena)
{
    struct credentials credentials, again;
    if (err_is(credentials_decode(record, arena, &credentials)))
        return;
    struct str written = credentials_encode(&credentials, arena);
    must(str_eq(written, record));
    must(!err_is(credentials_decode(written, arena, &again)));
    must(again.app_password_count == credentials.app_password_count);
    must(again.certificate_count == credentials.certificate_count);
}

static void head_check(struct str record, struct arena *arena)
{
    struct message_head head;
    struct buf written = BUF_INIT(ENGINE_HEAD_MAX), prefix = BUF_INIT(ENGINE_HEAD_MAX);
    if (!err_is(message_head_decode(record, arena, &head))) {
        message_head_encode(&head, &written);
        must(str_eq(buf_str(&written), record));
        message_prefix(&head, 0, &prefix);
        must(buf_over(&prefix) || prefix.n == message_prefix_size(&head, 0));
    }
    buf_done(&written);
    buf_done(&prefix);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static void (*const checks[])(struct str, struct arena *) = {name_check, domain_check,
                                                                 head_check, credentials_check};
    struct arena arena;
    if (n == 0)
        return 0;
    arena_init(&arena, 4 << 20);
    checks[data[0] % 4](str_make(data + 1, n - 1), &arena);
    arena_done(&arena);
    return 0;
}
