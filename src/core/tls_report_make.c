/*
 * The report's id is made of what it says, so that one that is sent twice is known by it.
 */
#include "base/must.h"
#include "base/sha256.h"
#include "conf/conf.h"
#include "core/tls_reports.h"

enum {
    SECONDS_A_DAY = 86400,
    ID_OCTETS = 8,
    LINES_MAX = 64, /* of a policy */
};

struct str tls_report_from(const struct conf *conf, struct arena *arena)
{
    struct buf from = buf_in(arena, 512);
    if (conf->sending.tls_reports_from.n)
        buf_put(&from, conf->sending.tls_reports_from);
    else
        buf_printf(&from, "postmaster@%.*s", STR_FMT(conf->server.hostname));
    return buf_built(&from);
}

/* In letters and digits (RFC 8460 5.1). When it is tried is no part of it. */
static struct str id_of(const struct tls_sums_row *row, const struct tls_sums *sums,
                        struct arena *arena)
{
    struct tls_sums said = *sums;
    struct buf octets = buf_in(arena, 2 * TLS_SUMS_MAX), id = buf_in(arena, 2 * ID_OCTETS);
    unsigned char hash[SHA256_SIZE];
    struct sha256 sha256;
    said.next = 0;
    said.tries = 0;
    buf_printf(&octets, "%u %.*s ", row->day, STR_FMT(row->domain));
    tls_sums_encode(&said, &octets);
    sha256_init(&sha256);
    sha256_feed(&sha256, buf_str(&octets));
    sha256_end(&sha256, hash);
    for (size_t i = 0; i < ID_OCTETS; i++)
        buf_printf(&id, "%02x", hash[i]);
    return buf_built(&id);
}

static bool lines_take(const struct tls_sums_policy *sums, struct arena *arena,
                       struct tls_report_policy *policy)
{
    struct str *lines = arena_take_array(arena, LINES_MAX, sizeof(*lines));
    struct str *mx = arena_take_array(arena, LINES_MAX, sizeof(*mx));
    struct str rest = sums->lines;
    if (!lines || !mx)
        return false;
    while (rest.n > 0 && policy->line_count < LINES_MAX) {
        struct str line = str_cut(&rest, '\n');
        lines[policy->line_count++] = line;
        if (sums->type == TLS_REPORT_STS && str_starts(line, STR("mx: ")))
            mx[policy->mx_count++] = str_from_index(line, 4);
    }
    policy->lines = lines;
    policy->mx = mx;
    return true;
}

/* Those that are beyond what is told apart are told as one. */
static bool details_take(const struct tls_sums_policy *sums, struct arena *arena,
                         struct tls_report_policy *policy)
{
    struct tls_report_failure *details =
        arena_take_array(arena, sums->detail_count + 1, sizeof(*details));
    uint64_t rest = sums->failures;
    if (!details)
        return false;
    for (size_t i = 0; i < sums->detail_count; i++) {
        const struct tls_sums_detail *one = &sums->details[i];
        details[i] = (struct tls_report_failure){.sending_ip = one->sending,
                                                 .receiving_ip = one->receiving,
                                                 .mx = one->mx,
                                                 .reason = one->reason,
                                                 .count = one->count};
        must(tls_report_failure_parse(tls_result_word(one->result), &details[i].type));
        rest -= one->count < rest ? one->count : rest;
    }
    policy->details = details;
    policy->detail_count = sums->detail_count;
    if (rest > 0)
        details[policy->detail_count++] =
            (struct tls_report_failure){.type = TLS_REPORT_VALIDATION_FAILURE,
                                        .reason = STR("further failures, not told apart"),
                                        .count = rest};
    return true;
}

struct err tls_report_fill(const struct core *core, const struct tls_sums_row *row,
                           const struct tls_sums *sums, struct arena *arena,
                           struct tls_report *report_r)
{
    const struct conf *conf = core->conf;
    struct str organization = conf->sending.tls_reports_organization;
    struct tls_report_policy *policies =
        arena_take_array(arena, TLS_SUMS_POLICIES, sizeof(*policies));
    *report_r = (struct tls_report){
        .organization = arena_str(arena, organization.n ? organization : conf->server.hostname),
        .contact = tls_report_from(conf, arena),
        .id = id_of(row, sums, arena),
        .begin = (int64_t)row->day * SECONDS_A_DAY,
        .end = (int64_t)row->day * SECONDS_A_DAY + SECONDS_A_DAY - 1,
        .domain = row->domain,
        .policies = policies,
        .policy_count = sums->policy_count,
    };
    bool good = policies != NULL;
    for (size_t i = 0; good && i < sums->policy_count; i++) {
        const struct tls_sums_policy *one = &sums->policies[i];
        policies[i] = (struct tls_report_policy){.type = one->type,
                                                 .domain = one->domain,
                                                 .successes = one->successes,
                                                 .failures = one->failures};
        good = lines_take(one, arena, &policies[i]) && details_take(one, arena, &policies[i]);
    }
    return good && !arena_over(arena) ? err_none() : err_make(ERR_NO_MEMORY);
}
