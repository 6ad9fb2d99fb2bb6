/*
 * Certificates as the server shows them: the files may be others by now, and what counts is what
 * was read. And what is asked of other servers: a courier finds it as for a message, so that what
 * is shown is what would be done.
 */
#include "core/admin_command.h"
#include "core/core.h"
#include "core/keys.h"
#include "core/sts.h"

#define US_A_DAY (INT64_C(86400) * 1000000)

static json_t *names_list(const struct keys_row *row)
{
    json_t *names = json_array();
    for (size_t i = 0; i < row->name_count; i++)
        json_array_append_new(names, json_text(row->names[i]));
    return names;
}

static json_t *listeners_list(unsigned roles)
{
    static const struct {
        unsigned role;
        const char *name; /* as in certificate.listeners */
    } rows[] = {
        {FROM_MX, "smtp"}, {FROM_SUB, "submission"}, {FROM_BOX, "pop3"}, {FROM_WEB, "http"}};
    json_t *names = json_array();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (roles & rows[i].role)
            json_array_append_new(names, json_text(str_from(rows[i].name)));
    return names;
}

static json_t *certificate_object(struct admin_call *call, const struct keys_row *row)
{
    const struct certificate *certificate = row->certificate;
    struct arena *arena = call->admin->arena;
    int64_t left = certificate->not_after - world_wall(call->admin->loop->world);
    json_t *object = json_object();
    json_put_text(object, "certificate", row->name);
    json_put_flag(object, "EXPIRED", left <= 0);
    json_put(object, "names", names_list(row));
    json_put_text(object, "issuer", certificate->issuer);
    json_put_time(object, "not_before", certificate->not_before);
    json_put_time(object, "not_after", certificate->not_after);
    json_put(object, "days_left", json_integer(left / US_A_DAY));
    json_put_text(object, "key", certificate_key_text(certificate, arena));
    json_put(object, "listeners", listeners_list(row->roles));
    json_put_text(object, "fingerprint",
                  certificate_fingerprint_text(certificate->fingerprint, arena));
    return object;
}

int admin_tls_show(struct admin_call *call)
{
    const struct keys *keys = call->admin->keys;
    struct admin_list list = admin_list_open(call);
    for (size_t i = 0; i < keys_count(keys); i++) {
        struct keys_row row = keys_row(keys, i);
        admin_list_item(&list, certificate_object(call, &row));
    }
    return admin_list_close(&list, err_none());
}

/* "example: mail.example.test *.example.test, 63 days left"; what is over is said first and loud.
 */
static void certificate_line(struct buf *to, const struct keys_row *row, int64_t now)
{
    int64_t left = row->certificate->not_after - now;
    if (left <= 0)
        buf_put(to, STR("EXPIRED "));
    buf_put(to, row->name);
    buf_putc(to, ':');
    for (size_t i = 0; i < row->name_count; i++)
        buf_printf(to, " %.*s", STR_FMT(row->names[i]));
    if (left <= 0)
        buf_printf(to, ", EXPIRED %lld days ago", (long long)(-left / US_A_DAY));
    else if (row->certificate->not_before > now)
        buf_put(to, STR(", NOT VALID YET"));
    else
        buf_printf(to, ", %lld days left", (long long)(left / US_A_DAY));
}

void admin_put_certificates(struct admin_call *call, json_t *object)
{
    const struct keys *keys = call->admin->keys;
    int64_t now = world_wall(call->admin->loop->world);
    json_t *lines = json_array();
    struct buf line = BUF_INIT(ADMIN_LINE_MAX);
    for (size_t i = 0; i < keys_count(keys); i++) {
        struct keys_row row = keys_row(keys, i);
        buf_clear(&line);
        certificate_line(&line, &row, now);
        json_array_append_new(lines, json_text(buf_str(&line)));
    }
    buf_done(&line);
    json_put(object, "certificates", lines);
}

/* --- Policies -------------------------------------------------------------------------------- */

/* "10 mx.example:25: TLS, with a certificate that its 2 TLSA records tell (DANE)" */
static void host_line(struct buf *to, const struct msg_policy_host *host)
{
    static const char *const needs[TLS_NEEDS] = {
        [TLS_NEED_NONE] = "TLS if it can, with any certificate",
        [TLS_NEED_TLS] = "TLS, with any certificate: none of its TLSA records can be used (DANE)",
        [TLS_NEED_PKIX] = "TLS, with a certificate of an authority for this name (MTA-STS)",
        [TLS_NEED_DANE] = "TLS, with a certificate that its TLSA records tell (DANE)"};
    buf_printf(to, "%u %.*s:%u: ", host->preference, STR_FMT(host->host), host->port);
    if (host->why.n > 0)
        buf_printf(to, "PASSED OVER: %.*s", STR_FMT(host->why));
    else
        buf_printf(to, "%s", needs[host->need < TLS_NEEDS ? host->need : TLS_NEED_NONE]);
}

static json_t *hosts_list(const struct msg_policy_told *told)
{
    json_t *hosts = json_array();
    struct buf line = BUF_INIT(ADMIN_LINE_MAX);
    for (size_t i = 0; i < told->hosts_count; i++) {
        buf_clear(&line);
        host_line(&line, &told->hosts[i]);
        json_array_append_new(hosts, json_text(buf_str(&line)));
    }
    buf_done(&line);
    return hosts;
}

static json_t *lines_list(struct str text)
{
    json_t *lines = json_array();
    while (text.n > 0)
        json_array_append_new(lines, json_text(str_cut(&text, '\n')));
    return lines;
}

static json_t *policy_object(struct str domain, const struct msg_policy_told *told)
{
    json_t *object = json_object();
    json_put_text(object, "domain", domain);
    json_put_text(object, "why", told->why);
    json_put(object, "hosts", hosts_list(told));
    json_put(object, "mta_sts", lines_list(told->sts_policy));
    json_put_text(object, "mta_sts_id", told->sts_id);
    if (told->sts_until > 0)
        json_put_time(object, "mta_sts_until", (int64_t)told->sts_until * US_PER_SECOND);
    json_put_text(object, "mta_sts_trouble", told->sts_why);
    return object;
}

static int policy_ready(struct admin_call *call, struct str *domain_r)
{
    if (!call->admin->core)
        return admin_refuse(call, ADMIN_UNAVAILABLE, "the server is down, and its couriers, too",
                            str_null());
    return admin_domain_name(call, call->words[0], domain_r);
}

int admin_tls_policy(struct admin_call *call)
{
    struct msg answer;
    struct str domain;
    int code = policy_ready(call, &domain);
    if (code)
        return code;
    const struct msg_job by_mx = {.domain = domain};
    struct err e =
        sts_ask(call->admin->core, &by_mx, admin_has(call, "--fetch"), call->admin->arena, &answer);
    if (err_is(e))
        return admin_fail(call, e);
    code = admin_show(call, policy_object(domain, &answer.policy_told));
    return code ? code : answer.policy_told.why.n > 0 ? ADMIN_NO_HOST : ADMIN_OK;
}

int admin_tls_forget(struct admin_call *call)
{
    struct str domain;
    int code = policy_ready(call, &domain);
    if (code)
        return code;
    struct err e = sts_drop(call->admin->core, domain);
    if (e.code == ERR_NOT_FOUND)
        return admin_refuse(call, ADMIN_NO_HOST, "no MTA-STS policy is kept of", domain);
    return err_is(e) ? admin_fail(call, e)
                     : admin_done(call, "forgot", "the MTA-STS policy of", domain);
}
