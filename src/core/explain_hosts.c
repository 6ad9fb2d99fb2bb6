#include "core/explain.h"

#include "core/core.h"
#include "core/sts.h"
#include "format/mta_sts.h"

/* --- One host -------------------------------------------------------------------------------- */

/* "192.0.2.1, not 127.0.0.1: a loopback address" */
static struct str addresses_text(struct explain *explain, struct str lines, json_t *list)
{
    struct buf text = buf_in(explain->arena, EXPLAIN_TEXT);
    while (lines.n > 0) {
        struct str why = str_cut(&lines, '\n'), address = str_cut(&why, ' ');
        buf_put(&text, text.n > 0 ? STR(", ") : STR(""));
        buf_printf(&text, why.n > 0 ? "not %.*s: " : "%.*s", STR_FMT(address));
        buf_put(&text, why);
        if (why.n == 0)
            json_array_append_new(list, json_text(address));
    }
    return buf_built(&text);
}

static const char *const needs[TLS_NEEDS] = {
    [TLS_NEED_NONE] = "TLS if it has it, whatever the certificate",
    [TLS_NEED_TLS] = "TLS, whatever the certificate",
    [TLS_NEED_PKIX] = "TLS with an authority's certificate of its name",
    [TLS_NEED_DANE] = "TLS with a certificate that its TLSA records tell",
};

static struct str need_reason(struct explain *explain, const struct msg_policy_host *host,
                              const struct msg_job *way, bool requires_tls)
{
    if (host->published == TLS_NEED_DANE)
        return STR("its TLSA records (DANE)");
    if (host->published == TLS_NEED_TLS)
        return STR("its TLSA records, though none of them can be used (DANE)");
    if (host->published == TLS_NEED_PKIX)
        return STR("the domain's MTA-STS policy");
    if (host->need == TLS_NEED_NONE)
        return STR("nothing is published that asks for more");
    if (requires_tls)
        return STR("REQUIRETLS");
    struct str rest = str_from_index(way->route, 1), block = str_cut(&rest, '/');
    return explain_text(explain, "route %.*s { tls }", STR_FMT(block));
}

static void host_tell(struct explain *explain, const struct msg_policy_host *host,
                      const struct msg_job *way, bool requires_tls)
{
    json_t *addresses = json_array();
    struct str list = addresses_text(explain, host->addresses, addresses);
    uint8_t need = host->need < TLS_NEEDS ? host->need : TLS_NEED_NONE;
    bool called = host->why.n == 0;
    struct str name =
        explain_text(explain, "%u %.*s:%u", host->preference, STR_FMT(host->host), host->port);
    if (list.n > 0)
        name = explain_text(explain, "%.*s (%.*s)", STR_FMT(name), STR_FMT(list));
    json_t *step =
        explain_say(explain, "host", called ? EXPLAIN_OK : EXPLAIN_NOTE,
                    called ? need_reason(explain, host, way, requires_tls) : STR(""),
                    called ? explain_text(explain, "%.*s: %s", STR_FMT(name), needs[need])
                           : explain_text(explain, "%.*s is passed over: %.*s", STR_FMT(name),
                                          STR_FMT(host->why)));
    json_put_text(step, "host", host->host);
    json_put_number(step, "port", host->port);
    json_put_number(step, "preference", host->preference);
    json_put(step, "addresses", addresses);
    json_put_number(step, "tlsa_records", host->records);
}

/* --- All of them ----------------------------------------------------------------------------- */

static void policy_tell(struct explain *explain, struct str domain,
                        const struct msg_policy_told *told)
{
    struct str asked = explain_text(explain, "veredus tls policy %.*s", STR_FMT(domain));
    struct mta_sts_policy policy;
    struct str wrong;
    if (told->sts_policy.n > 0 &&
        mta_sts_policy_parse(told->sts_policy, explain->arena, &policy, &wrong))
        explain_say(
            explain, "mta-sts", EXPLAIN_OK, asked,
            explain_text(explain, "the domain has a policy, mode %.*s%s",
                         STR_FMT(mta_sts_mode_word(policy.mode)),
                         policy.mode == MTA_STS_ENFORCE ? "" : ", which nothing follows from"));
    if (told->sts_why.n > 0)
        explain_say(
            explain, "mta-sts", EXPLAIN_NOTE, asked,
            explain_text(explain, "its policy could not be fetched: %.*s", STR_FMT(told->sts_why)));
}

static void nowhere_tell(struct explain *explain, struct str domain,
                         const struct msg_policy_told *told)
{
    explain_say(explain, "hosts", told->refused ? EXPLAIN_RETURNS : EXPLAIN_WAITS,
                explain_text(explain, "veredus dns query %.*s", STR_FMT(domain)),
                explain_text(explain, "%.*s%s%.*s", STR_FMT(told->status),
                             told->status.n > 0 ? ": " : "", STR_FMT(told->why)));
}

void explain_hosts(struct explain *explain, const struct msg_job *way)
{
    struct mail_options asked;
    struct msg answer;
    size_t called = 0;
    struct err e = sts_ask(explain->core, way, false, explain->arena, &answer);
    const struct msg_policy_told *told = &answer.policy_told;
    if (err_is(e)) {
        explain_say(explain, "hosts", EXPLAIN_UNKNOWN, STR("veredus status"),
                    STR("no courier is there to find its hosts"));
        return;
    }
    bool requires_tls = mail_options_read(way->asked, &asked) && asked.require_tls;
    for (size_t i = 0; i < told->hosts_count; i++) {
        host_tell(explain, &told->hosts[i], way, requires_tls);
        called += told->hosts[i].why.n == 0;
    }
    policy_tell(explain, way->domain, told);
    if (told->why.n > 0)
        nowhere_tell(explain, way->domain, told);
    else if (called == 0)
        explain_say(explain, "hosts", EXPLAIN_WAITS, STR(""),
                    STR("none of its hosts can be called: it is tried again later"));
}
