/*
 * Adding decodes and encodes the record: a session is a connection that was made, which costs a
 * thousand times as much, and so there is one form of all of it, in memory and on the disk, whose
 * octets are counted by looking at them.
 */
#include "store/tls_sums.h"

#include "base/wire.h"

enum {
    FORMAT = 1,
    DAY = 4, /* octets of a key */
};

static const struct partition partition = {PARTITION_TLS_SUMS, 0};

/* --- The record ------------------------------------------------------------------------------ */

static void detail_encode(const struct tls_sums_detail *detail, struct buf *to)
{
    wire_put_u8(to, (uint8_t)detail->result);
    wire_put_short(to, detail->mx);
    wire_put_short(to, detail->sending);
    wire_put_short(to, detail->receiving);
    wire_put_short(to, detail->reason);
    wire_put_varint(to, detail->count);
}

void tls_sums_encode(const struct tls_sums *sums, struct buf *to)
{
    wire_put_u8(to, FORMAT);
    wire_put_u64(to, (uint64_t)sums->next);
    wire_put_u32(to, sums->tries);
    wire_put_varint(to, sums->left_out);
    wire_put_u8(to, (uint8_t)sums->policy_count);
    for (size_t i = 0; i < sums->policy_count; i++) {
        const struct tls_sums_policy *policy = &sums->policies[i];
        wire_put_u8(to, (uint8_t)policy->type);
        wire_put_short(to, policy->domain);
        wire_put_short(to, policy->lines);
        wire_put_varint(to, policy->successes);
        wire_put_varint(to, policy->failures);
        wire_put_u8(to, (uint8_t)policy->detail_count);
        for (size_t k = 0; k < policy->detail_count; k++)
            detail_encode(&policy->details[k], to);
    }
}

static struct str text_get(struct wire_in *in, size_t most)
{
    struct str text = wire_get_short(in);
    in->bad |= text.n > most;
    return text;
}

static void detail_get(struct wire_in *in, struct tls_sums_detail *detail)
{
    unsigned result = wire_get_u8(in);
    in->bad |= result == TLS_RESULT_OK || result >= TLS_RESULTS;
    detail->result = in->bad ? TLS_RESULT_VALIDATION_FAILURE : (enum tls_result)result;
    detail->mx = text_get(in, TLS_SUMS_TEXT_MAX);
    detail->sending = text_get(in, TLS_SUMS_TEXT_MAX);
    detail->receiving = text_get(in, TLS_SUMS_TEXT_MAX);
    detail->reason = text_get(in, TLS_SUMS_TEXT_MAX);
    detail->count = wire_get_varint(in);
}

/* With room for one detail more. */
static bool policy_get(struct wire_in *in, struct arena *arena, struct tls_sums_policy *policy)
{
    unsigned type = wire_get_u8(in);
    in->bad |= type >= TLS_REPORT_POLICY_TYPES;
    policy->type = in->bad ? TLS_REPORT_NO_POLICY : (enum tls_report_policy_type)type;
    policy->domain = text_get(in, TLS_SUMS_TEXT_MAX);
    policy->lines = text_get(in, TLS_SUMS_LINES_MAX);
    policy->successes = wire_get_varint(in);
    policy->failures = wire_get_varint(in);
    policy->detail_count = wire_get_u8(in);
    in->bad |= policy->detail_count > TLS_SUMS_DETAILS;
    if (in->bad)
        policy->detail_count = 0;
    policy->details =
        arena_take_array(arena, policy->detail_count + 1, sizeof(struct tls_sums_detail));
    for (size_t i = 0; policy->details && i < policy->detail_count; i++)
        detail_get(in, &policy->details[i]);
    return policy->details != NULL;
}

struct err tls_sums_decode(struct str record, struct arena *arena, struct tls_sums *sums_r)
{
    struct wire_in in = wire_in(record);
    in.bad |= record.n > TLS_SUMS_MAX || wire_get_u8(&in) != FORMAT;
    *sums_r = (struct tls_sums){.next = (int64_t)wire_get_u64(&in)};
    sums_r->tries = wire_get_u32(&in);
    sums_r->left_out = wire_get_varint(&in);
    size_t count = wire_get_u8(&in);
    in.bad |= count > TLS_SUMS_POLICIES;
    for (size_t i = 0; !in.bad && i < count; i++)
        if (!policy_get(&in, arena, &sums_r->policies[sums_r->policy_count++]))
            return err_make(ERR_NO_MEMORY);
    return wire_end(&in) ? err_none() : err_detail(ERR_STORE_DAMAGED, STR("sums of TLS sessions"));
}

/* --- Adding ---------------------------------------------------------------------------------- */

static struct str cut(struct str text)
{
    return str_head(text, text.n < TLS_SUMS_TEXT_MAX ? text.n : TLS_SUMS_TEXT_MAX);
}

/* NULL: there are as many as there may be. */
static struct tls_sums_policy *policy_of(struct tls_sums *sums,
                                         const struct tls_sums_session *session, struct arena *work)
{
    for (size_t i = 0; i < sums->policy_count; i++) {
        struct tls_sums_policy *policy = &sums->policies[i];
        if (policy->type == session->type && str_eq(policy->domain, session->domain) &&
            str_eq(policy->lines, session->lines))
            return policy;
    }
    struct tls_sums_detail *details = arena_new(work, struct tls_sums_detail);
    if (sums->policy_count == TLS_SUMS_POLICIES || !details)
        return NULL;
    struct tls_sums_policy *policy = &sums->policies[sums->policy_count++];
    *policy = (struct tls_sums_policy){.type = session->type,
                                       .domain = session->domain,
                                       .lines = session->lines,
                                       .details = details};
    return policy;
}

static bool is_same(const struct tls_sums_detail *detail, const struct tls_sums_session *session)
{
    return detail->result == session->result && str_eq(detail->mx, session->mx) &&
           str_eq(detail->sending, session->sending) &&
           str_eq(detail->receiving, session->receiving) && str_eq(detail->reason, session->reason);
}

/* False: it is counted without. */
static bool detail_add(struct tls_sums_policy *policy, const struct tls_sums_session *session)
{
    for (size_t i = 0; i < policy->detail_count; i++) {
        if (!is_same(&policy->details[i], session))
            continue;
        policy->details[i].count++;
        return true;
    }
    if (policy->detail_count == TLS_SUMS_DETAILS)
        return false;
    policy->details[policy->detail_count++] =
        (struct tls_sums_detail){.result = session->result,
                                 .mx = session->mx,
                                 .sending = session->sending,
                                 .receiving = session->receiving,
                                 .reason = session->reason,
                                 .count = 1};
    return true;
}

/* False: it would be too long. */
static bool put(const struct tls_sums *sums, struct buf *to)
{
    size_t before = to->n;
    tls_sums_encode(sums, to);
    if (!buf_over(to) && to->n - before <= TLS_SUMS_MAX)
        return true;
    buf_cut(to, before);
    return false;
}

static struct err add(struct str record, const struct tls_sums_session *session, int64_t due,
                      bool detailed, struct arena *work, struct tls_sums *sums)
{
    *sums = (struct tls_sums){.next = due};
    struct err e = record.n > 0 ? tls_sums_decode(record, work, sums) : err_none();
    if (err_is(e))
        return e;
    struct tls_sums_policy *policy =
        detailed || record.n > 0 ? policy_of(sums, session, work) : NULL;
    if (!policy)
        sums->left_out++;
    else if (session->result == TLS_RESULT_OK)
        policy->successes++;
    else
        policy->failures++;
    if (policy && detailed && session->result != TLS_RESULT_OK)
        (void)detail_add(policy, session);
    return arena_over(work) ? err_make(ERR_NO_MEMORY) : err_none();
}

struct err tls_sums_add(struct str record, const struct tls_sums_session *session, int64_t due,
                        struct arena *work, struct buf *to)
{
    struct tls_sums sums;
    struct tls_sums_session one = *session;
    one.domain = cut(one.domain);
    one.lines =
        str_head(one.lines, one.lines.n < TLS_SUMS_LINES_MAX ? one.lines.n : TLS_SUMS_LINES_MAX);
    one.mx = cut(one.mx);
    one.sending = cut(one.sending);
    one.receiving = cut(one.receiving);
    one.reason = cut(one.reason);
    struct err e = add(record, &one, due, true, work, &sums);
    if (err_is(e) || put(&sums, to))
        return e;
    /* Without its words, and then without its policy. */
    e = add(record, &one, due, false, work, &sums);
    if (err_is(e) || put(&sums, to))
        return e;
    e = tls_sums_decode(record, work, &sums);
    sums.left_out++;
    if (!err_is(e) && !put(&sums, to))
        e = err_make(ERR_NO_MEMORY);
    return e;
}

/* --- Taking away ----------------------------------------------------------------------------- */

static uint64_t less(uint64_t all, uint64_t sent)
{
    return all > sent ? all - sent : 0;
}

static void policy_less(struct tls_sums_policy *policy, const struct tls_sums_policy *sent)
{
    size_t kept = 0;
    policy->successes = less(policy->successes, sent->successes);
    policy->failures = less(policy->failures, sent->failures);
    for (size_t i = 0; i < policy->detail_count; i++) {
        struct tls_sums_detail detail = policy->details[i];
        if (i < sent->detail_count)
            detail.count = less(detail.count, sent->details[i].count);
        if (detail.count > 0)
            policy->details[kept++] = detail;
    }
    policy->detail_count = kept;
}

/* What is added stands behind what was there, so like has like's place. */
bool tls_sums_less(struct tls_sums *sums, const struct tls_sums *sent)
{
    size_t kept = 0;
    sums->left_out = less(sums->left_out, sent->left_out);
    for (size_t i = 0; i < sums->policy_count; i++) {
        struct tls_sums_policy *policy = &sums->policies[i];
        if (i < sent->policy_count)
            policy_less(policy, &sent->policies[i]);
        if (policy->successes + policy->failures > 0)
            sums->policies[kept++] = *policy;
    }
    sums->policy_count = kept;
    return kept > 0 || sums->left_out > 0;
}

/* --- Kept ------------------------------------------------------------------------------------ */

static struct str key_of(uint32_t day, struct str domain, struct arena *arena)
{
    char *key = arena_take(arena, DAY + domain.n);
    if (!key)
        return str_null();
    unsigned char octets[DAY];
    key_put_u32(octets, day);
    memcpy(key, octets, DAY);
    if (domain.n > 0)
        memcpy(key + DAY, domain.p, domain.n);
    return str_make(key, DAY + domain.n);
}

void tls_sums_put_ops(uint32_t day, struct str domain, struct str record, struct arena *arena,
                      struct op_list *ops)
{
    op_list_add(ops, OP_PUT, partition, key_of(day, domain, arena), record);
}

void tls_sums_remove_ops(uint32_t day, struct str domain, struct arena *arena, struct op_list *ops)
{
    op_list_add(ops, OP_REMOVE, partition, key_of(day, domain, arena), str_null());
}

struct err tls_sums_read(struct engine *engine, uint32_t day, struct str domain,
                         struct arena *arena, struct str *record_r)
{
    struct entry entry;
    struct str key = key_of(day, domain, arena);
    if (!key.p)
        return err_make(ERR_NO_MEMORY);
    struct err e = engine_get(engine, partition, key, arena, &entry);
    if (!err_is(e))
        *record_r = entry.value;
    return e;
}

struct err tls_sums_page(struct engine *engine, uint32_t day, struct str domain, size_t limit,
                         struct arena *arena, struct tls_sums_row **rows_r, size_t *count_r)
{
    struct str key = key_of(day, domain, arena);
    struct buf from = buf_in(arena, ENGINE_KEY_MAX + 1);
    struct entry *entries;
    size_t count = 0;
    *count_r = 0;
    buf_put(&from, key);
    if (domain.p)
        buf_putc(&from, '\0');
    struct str begin = buf_built(&from);
    struct err e =
        begin.p ? engine_scan(engine, partition, begin, str_null(), limit, arena, &entries, &count)
                : err_make(ERR_NO_MEMORY);
    if (err_is(e))
        return e;
    *rows_r = arena_take_array(arena, count + 1, sizeof(struct tls_sums_row));
    if (!*rows_r)
        return err_make(ERR_NO_MEMORY);
    for (size_t i = 0; i < count; i++) {
        if (entries[i].key.n < DAY)
            continue;
        unsigned char octets[DAY];
        memcpy(octets, entries[i].key.p, DAY);
        (*rows_r)[(*count_r)++] =
            (struct tls_sums_row){.day = key_get_u32(octets),
                                  .domain = str_from_index(entries[i].key, DAY),
                                  .record = entries[i].value};
    }
    return e;
}
