/*
 * A policy, and the same octets as TXT records, one a line. Properties: a policy that was read says
 * the same once it is printed and read again; its values are within their limits; it allows each
 * host that one of its patterns names whole, and never a host of another depth; an id is letters
 * and digits. Memory is bounded.
 */
#include "base/must.h"
#include "format/mta_sts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum {
    MEMORY = 1 << 20,
    RECORDS = 8,
};

static void hosts_check(const struct mta_sts_policy *policy)
{
    for (size_t i = 0; i < policy->mx_count; i++) {
        char host[300];
        struct str pattern = policy->mx[i];
        must(pattern.n > 0 && pattern.n < sizeof(host) - 2 && str_is_printable_ascii(pattern));
        memcpy(host, pattern.p, pattern.n);
        if (host[0] == '*')
            host[0] = 'x';
        must(mta_sts_allows(policy, str_make(host, pattern.n)));
        must(str_index(str_from_index(pattern, 1), '*') < 0);
    }
    must(!mta_sts_allows(policy, STR("")));
}

static void policy_check(struct str text, struct arena *arena)
{
    struct mta_sts_policy policy, again;
    struct buf one = BUF_INIT(MEMORY), two = BUF_INIT(MEMORY);
    struct str wrong;
    if (mta_sts_policy_parse(text, arena, &policy, &wrong)) {
        must(policy.max_age <= MTA_STS_AGE_MAX && policy.mx_count <= MTA_STS_MX_MAX);
        must((policy.mx_count == 0) == (policy.mode == MTA_STS_NONE));
        hosts_check(&policy);
        mta_sts_policy_print(&policy, &one);
        must(mta_sts_policy_parse(buf_str(&one), arena, &again, &wrong));
        mta_sts_policy_print(&again, &two);
        must(str_eq(buf_str(&one), buf_str(&two)));
    } else {
        must(wrong.n > 0);
    }
    buf_done(&one);
    buf_done(&two);
}

static void records_check(struct str text)
{
    struct str texts[RECORDS], id, wrong;
    size_t n = 0;
    while (text.p && n < RECORDS)
        texts[n++] = str_cut(&text, '\n');
    if (!mta_sts_record_find(texts, n, &id, &wrong))
        return;
    must(id.n > 0 && id.n <= MTA_STS_ID_MAX);
    for (size_t i = 0; i < id.n; i++)
        must(ascii_is_alpha(id.p[i]) || ascii_is_digit(id.p[i]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct str text = str_make(data, n);
    struct arena arena;
    arena_init(&arena, MEMORY);
    policy_check(text, &arena);
    records_check(text);
    must(!arena_over(&arena));
    arena_done(&arena);
    return 0;
}
