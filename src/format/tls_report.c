/*
 * jansson keeps the order in which members were set, so the text follows from the values alone. It
 * refuses strings that are not UTF-8; ours are made clean before.
 */
#include "format/tls_report.h"

#include <jansson.h>

#include "format/boundary.h"
#include "format/clean.h"
#include "format/date.h"
#include "format/encodings.h"
#include "format/header_print.h"

enum {
    STRING_MAX = 512, /* octets of a string; a stranger's HELO or reason is cut there */
    VALUE_MAX = 8192,
};

struct str tls_report_failure_word(enum tls_report_failure_type type)
{
    static const struct str words[TLS_REPORT_FAILURE_TYPES] = {
        [TLS_REPORT_STARTTLS_NOT_SUPPORTED] = STR_INIT("starttls-not-supported"),
        [TLS_REPORT_CERTIFICATE_HOST_MISMATCH] = STR_INIT("certificate-host-mismatch"),
        [TLS_REPORT_CERTIFICATE_EXPIRED] = STR_INIT("certificate-expired"),
        [TLS_REPORT_CERTIFICATE_NOT_TRUSTED] = STR_INIT("certificate-not-trusted"),
        [TLS_REPORT_VALIDATION_FAILURE] = STR_INIT("validation-failure"),
        [TLS_REPORT_TLSA_INVALID] = STR_INIT("tlsa-invalid"),
        [TLS_REPORT_DNSSEC_INVALID] = STR_INIT("dnssec-invalid"),
        [TLS_REPORT_DANE_REQUIRED] = STR_INIT("dane-required"),
        [TLS_REPORT_STS_POLICY_FETCH_ERROR] = STR_INIT("sts-policy-fetch-error"),
        [TLS_REPORT_STS_POLICY_INVALID] = STR_INIT("sts-policy-invalid"),
        [TLS_REPORT_STS_WEBPKI_INVALID] = STR_INIT("sts-webpki-invalid"),
    };
    return words[type];
}

bool tls_report_failure_parse(struct str word, enum tls_report_failure_type *type_r)
{
    for (int type = 0; type < TLS_REPORT_FAILURE_TYPES; type++) {
        if (!str_eq(tls_report_failure_word((enum tls_report_failure_type)type), word))
            continue;
        *type_r = (enum tls_report_failure_type)type;
        return true;
    }
    return false;
}

/* --- JSON; whatever cannot be made is NULL, and then nothing is made of it --- */

static json_t *text_json(struct str text)
{
    struct buf clean = BUF_INIT(6 * STRING_MAX + 16);
    clean_put_some(&clean, text, STRING_MAX, CLEAN_UTF8);
    json_t *json = buf_over(&clean) ? NULL : json_stringn(clean.n ? clean.p : "", clean.n);
    buf_done(&clean);
    return json;
}

static bool put(json_t *object, const char *key, json_t *value)
{
    return value && json_object_set_new(object, key, value) == 0;
}

static bool put_text(json_t *object, const char *key, struct str text)
{
    return text.n == 0 || put(object, key, text_json(text));
}

static bool put_count(json_t *object, const char *key, uint64_t count)
{
    return put(object, key, json_integer(count > INT64_MAX ? INT64_MAX : (json_int_t)count));
}

static bool put_time(json_t *object, const char *key, int64_t time)
{
    char room[64];
    struct buf text = {.p = room, .cap = sizeof(room), .max = sizeof(room)};
    date_print_rfc3339(&text, time);
    return put(object, key, text_json(buf_str(&text)));
}

static bool put_texts(json_t *object, const char *key, const struct str *texts, size_t count)
{
    json_t *array = json_array();
    bool good = array != NULL;
    for (size_t i = 0; good && i < count; i++)
        good = json_array_append_new(array, text_json(texts[i])) == 0;
    if (good && count)
        return put(object, key, array);
    json_decref(array);
    return good;
}

/* The object where all of it was made, else NULL. */
static json_t *whole(json_t *object, bool good)
{
    if (good)
        return object;
    json_decref(object);
    return NULL;
}

static json_t *failure_json(const struct tls_report_failure *failure)
{
    json_t *object = json_object();
    return whole(
        object, object && put_text(object, "result-type", tls_report_failure_word(failure->type)) &&
                    put_text(object, "sending-mta-ip", failure->sending_ip) &&
                    put_text(object, "receiving-mx-hostname", failure->mx) &&
                    put_text(object, "receiving-mx-helo", failure->helo) &&
                    put_text(object, "receiving-ip", failure->receiving_ip) &&
                    put_count(object, "failed-session-count", failure->count) &&
                    put_text(object, "failure-reason-code", failure->reason));
}

static json_t *failures_json(const struct tls_report_policy *policy)
{
    json_t *array = json_array();
    bool good = array != NULL;
    for (size_t i = 0; good && i < policy->detail_count; i++)
        good = json_array_append_new(array, failure_json(&policy->details[i])) == 0;
    return whole(array, good);
}

static json_t *applied_json(const struct tls_report_policy *policy)
{
    static const struct str types[TLS_REPORT_POLICY_TYPES] = {
        [TLS_REPORT_NO_POLICY] = STR_INIT("no-policy-found"),
        [TLS_REPORT_TLSA] = STR_INIT("tlsa"),
        [TLS_REPORT_STS] = STR_INIT("sts"),
    };
    json_t *object = json_object();
    return whole(object,
                 object && put_text(object, "policy-type", types[policy->type]) &&
                     put_texts(object, "policy-string", policy->lines, policy->line_count) &&
                     put_text(object, "policy-domain", policy->domain) &&
                     put_texts(object, "mx-host", policy->mx, policy->mx_count));
}

static json_t *summary_json(const struct tls_report_policy *policy)
{
    json_t *object = json_object();
    return whole(object,
                 object && put_count(object, "total-successful-session-count", policy->successes) &&
                     put_count(object, "total-failure-session-count", policy->failures));
}

static json_t *policy_json(const struct tls_report_policy *policy)
{
    json_t *object = json_object();
    bool good = object && put(object, "policy", applied_json(policy)) &&
                put(object, "summary", summary_json(policy));
    if (good && policy->detail_count)
        good = put(object, "failure-details", failures_json(policy));
    return whole(object, good);
}

static json_t *policies_json(const struct tls_report *report)
{
    json_t *array = json_array();
    bool good = array != NULL;
    for (size_t i = 0; good && i < report->policy_count; i++)
        good = json_array_append_new(array, policy_json(&report->policies[i])) == 0;
    return whole(array, good);
}

static json_t *range_json(const struct tls_report *report)
{
    json_t *object = json_object();
    return whole(object, object && put_time(object, "start-datetime", report->begin) &&
                             put_time(object, "end-datetime", report->end));
}

static int append(const char *octets, size_t n, void *buf)
{
    return buf_put(buf, str_make(octets, n)) ? 0 : -1;
}

struct err tls_report_json(const struct tls_report *report, struct buf *buf)
{
    json_t *object = json_object();
    bool good = object && put_text(object, "organization-name", report->organization) &&
                put(object, "date-range", range_json(report)) &&
                put_text(object, "contact-info", report->contact) &&
                put_text(object, "report-id", report->id) &&
                put(object, "policies", policies_json(report));
    if (good)
        good = json_dump_callback(object, append, buf, JSON_COMPACT) == 0;
    json_decref(object);
    if (buf_over(buf))
        return err_make(ERR_OVER_LIMIT);
    return good ? err_none() : err_make(ERR_NO_MEMORY);
}

/* --- Names --- */

static struct str submitter(const struct tls_report *report)
{
    ssize_t at = str_last_index(report->contact, '@');
    return str_from_index(report->contact, (size_t)(at + 1));
}

/* Letters, digits, hyphens and dots: nothing that a file's name or a parameter could trip over. */
static void put_name(struct buf *buf, struct str name)
{
    name = str_head(name, STRING_MAX);
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        bool good = ascii_is_alpha(c) || ascii_is_digit(c) || c == '-' || c == '.';
        buf_putc(buf, good ? c : '_');
    }
}

void tls_report_file_name(const struct tls_report *report, bool gzip, struct buf *buf)
{
    put_name(buf, submitter(report));
    buf_putc(buf, '!');
    put_name(buf, report->domain);
    buf_printf(buf, "!%lld!%lld!", (long long)report->begin, (long long)report->end);
    put_name(buf, report->id);
    buf_put(buf, gzip ? STR(".json.gz") : STR(".json"));
}

/* --- The message --- */

struct mail {
    const struct tls_report *report;
    const struct tls_report_mail *mail;
    struct buf *buf;
    struct buf value, text;
};

static void identified_put(struct buf *buf, struct str id)
{
    buf_putc(buf, '<');
    clean_put_some(buf, id, STRING_MAX, CLEAN_ASCII);
    buf_putc(buf, '>');
}

static void subject_put(struct mail *mail)
{
    buf_clear(&mail->value);
    buf_put(&mail->value, STR("Report Domain: "));
    put_name(&mail->value, mail->report->domain);
    buf_put(&mail->value, STR(" Submitter: "));
    put_name(&mail->value, submitter(mail->report));
    buf_put(&mail->value, STR(" Report-ID: "));
    identified_put(&mail->value, mail->mail->message_id);
    header_put(mail->buf, STR("Subject"), buf_str(&mail->value));
}

static void name_field_put(struct mail *mail, struct str field, struct str name)
{
    buf_clear(&mail->value);
    put_name(&mail->value, name);
    header_put(mail->buf, field, buf_str(&mail->value));
}

static void header_of(struct mail *mail, struct str boundary)
{
    header_put_mailbox(mail->buf, STR("From"), STR(""), mail->mail->from);
    header_put_mailbox(mail->buf, STR("To"), STR(""), mail->mail->to);
    subject_put(mail);
    buf_clear(&mail->value);
    date_print(&mail->value, mail->mail->time, mail->mail->zone);
    header_put(mail->buf, STR("Date"), buf_str(&mail->value));
    buf_clear(&mail->value);
    identified_put(&mail->value, mail->mail->message_id);
    header_put(mail->buf, STR("Message-ID"), buf_str(&mail->value));
    name_field_put(mail, STR("TLS-Report-Domain"), mail->report->domain);
    name_field_put(mail, STR("TLS-Report-Submitter"), submitter(mail->report));
    header_put(mail->buf, STR("TLS-Required"), STR("No")); /* 5.3, RFC 8689 3 */
    header_put(mail->buf, STR("Auto-Submitted"), STR("auto-generated"));
    header_put(mail->buf, STR("MIME-Version"), STR("1.0"));
    buf_put(mail->buf,
            STR("Content-Type: multipart/report; report-type=\"tlsrpt\";\r\n boundary=\""));
    buf_put(mail->buf, boundary);
    buf_put(mail->buf, STR("\"\r\n"));
}

static void text_make(struct mail *mail)
{
    buf_put(&mail->text, STR("This is an aggregate TLS report of "));
    put_name(&mail->text, submitter(mail->report));
    buf_put(&mail->text, STR("\r\nabout mail to "));
    put_name(&mail->text, mail->report->domain);
    buf_put(&mail->text, STR(",\r\nfrom "));
    date_print_rfc3339(&mail->text, mail->report->begin);
    buf_put(&mail->text, STR(" to "));
    date_print_rfc3339(&mail->text, mail->report->end);
    buf_put(&mail->text, STR(".\r\n"));
}

static void content_put(struct mail *mail)
{
    struct base64_encode encode;
    header_put(mail->buf, STR("Content-Type"),
               mail->mail->gzip ? STR("application/tlsrpt+gzip") : STR("application/tlsrpt+json"));
    header_put(mail->buf, STR("Content-Transfer-Encoding"), STR("base64"));
    buf_put(mail->buf, STR("Content-Disposition: attachment;\r\n filename=\""));
    tls_report_file_name(mail->report, mail->mail->gzip, mail->buf);
    buf_put(mail->buf, STR("\"\r\n\r\n"));
    base64_encode_init(&encode, true);
    base64_encode_feed(&encode, mail->mail->content, mail->buf);
    base64_encode_end(&encode, mail->buf);
}

static void delimiter_put(struct mail *mail, struct str boundary, struct str behind)
{
    buf_put(mail->buf, STR("\r\n--"));
    buf_put(mail->buf, boundary);
    buf_put(mail->buf, behind);
    buf_put(mail->buf, STR("\r\n"));
}

struct err tls_report_mail_print(const struct tls_report *report,
                                 const struct tls_report_mail *mail, struct buf *buf)
{
    struct mail m = {.report = report,
                     .mail = mail,
                     .buf = buf,
                     .value = BUF_INIT(VALUE_MAX),
                     .text = BUF_INIT(VALUE_MAX)};
    char room[BOUNDARY_MAX];
    struct buf boundary = {.p = room, .cap = sizeof(room), .max = sizeof(room)};
    text_make(&m);
    boundary_put(&boundary, mail->message_id, (struct str[]){buf_str(&m.text)}, 1);
    header_of(&m, buf_str(&boundary));
    delimiter_put(&m, buf_str(&boundary), STR(""));
    header_put(buf, STR("Content-Type"), STR("text/plain; charset=us-ascii"));
    buf_put(buf, STR("\r\n"));
    buf_put(buf, buf_str(&m.text));
    delimiter_put(&m, buf_str(&boundary), STR(""));
    content_put(&m);
    delimiter_put(&m, buf_str(&boundary), STR("--"));
    bool over = buf_over(buf) || buf_over(&m.value) || buf_over(&m.text);
    buf_done(&m.value);
    buf_done(&m.text);
    return over ? err_make(ERR_OVER_LIMIT) : err_none();
}
