/*
 * Sums of TLS sessions. Properties: what was decoded and encoded decodes to the same octets; adding
 * a session adds one to the counts, and no record is longer than it may be.
 */
#include "base/must.h"
#include "store/tls_sums.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum {
    ARENA = 8 << 20,
};

static uint64_t sessions(const struct tls_sums *sums)
{
    uint64_t count = sums->left_out;
    for (size_t i = 0; i < sums->policy_count; i++)
        count += sums->policies[i].successes + sums->policies[i].failures;
    return count;
}

static void add_check(struct str record, const struct tls_sums *before, struct str text,
                      struct arena *arena)
{
    const struct tls_sums_session session = {
        .type = text.n % TLS_REPORT_POLICY_TYPES,
        .domain = text,
        .lines = text,
        .result = (enum tls_result)(text.n % TLS_RESULTS),
        .mx = text,
        .sending = text,
        .receiving = text,
        .reason = text,
    };
    struct buf to = BUF_INIT(2 * TLS_SUMS_MAX);
    struct tls_sums after;
    struct err e = tls_sums_add(record, &session, 0, arena, &to);
    must(err_is(e) || to.n <= TLS_SUMS_MAX);
    if (!err_is(e)) {
        must(!err_is(tls_sums_decode(buf_str(&to), arena, &after)));
        must(sessions(&after) == sessions(before) + 1);
    }
    buf_done(&to);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct arena arena;
    struct tls_sums sums;
    struct str record = str_make(data, n);
    arena_init(&arena, ARENA);
    if (!err_is(tls_sums_decode(record, &arena, &sums))) {
        struct buf one = BUF_INIT(2 * TLS_SUMS_MAX);
        tls_sums_encode(&sums, &one);
        must(str_eq(buf_str(&one), record));
        buf_done(&one);
        add_check(record, &sums, str_head(record, record.n / 2), &arena);
        add_check(record, &sums, STR("a"), &arena);
    }
    arena_done(&arena);
    return 0;
}
