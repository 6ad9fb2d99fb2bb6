/*
 * TXT records, one a line; and a report whose strings are these lines. Properties: a place is an
 * address that reads back, or a URL in visible ASCII without a user; there are no more than are
 * used; the report is printable, and its message one header, two parts and nothing else.
 */
#include "base/must.h"
#include "format/addr.h"
#include "format/header.h"
#include "format/tls_report.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum {
    MEMORY = 1 << 20,
    RECORDS = 8,
};

static void place_check(const struct tls_report_place *place, struct arena *arena)
{
    struct addr addr;
    must(!place->mail.p != !place->url.p);
    if (place->mail.p)
        must(!err_is(addr_parse(place->mail, arena, &addr)));
    must(str_index(place->url, ' ') < 0 && str_is_printable_ascii(place->url));
    must(place->url.n <= TLS_REPORT_URL_MAX);
    must(!place->url.p || str_starts_nocase(place->url, STR("https://")));
}

static void records_check(const struct str *texts, size_t count, struct arena *arena)
{
    struct tls_report_places places;
    struct str wrong;
    if (!tls_report_record_find(texts, count, arena, &places, &wrong))
        return;
    must(places.count > 0 && places.count <= TLS_REPORT_PLACES_MAX);
    for (size_t i = 0; i < places.count; i++)
        place_check(&places.at[i], arena);
}

static void mail_check(const struct tls_report *report, struct str id)
{
    struct tls_report_mail mail = {
        .from = report->contact, .to = report->domain, .message_id = id, .time = 1795320000};
    struct buf json = BUF_INIT(MEMORY), out = BUF_INIT(MEMORY);
    must(!err_is(tls_report_json(report, &json)));
    must(str_is_utf8(buf_str(&json)) && str_index(buf_str(&json), '\n') < 0);
    mail.content = buf_str(&json);
    must(!err_is(tls_report_mail_print(report, &mail, &out)));
    struct str rest = buf_str(&out);
    struct header_field field;
    size_t fields = 0;
    while (header_next(&rest, &field)) {
        must(field.name.n > 0);
        fields++;
    }
    must(fields == 10);
    size_t types = 0;
    while (rest.p)
        types += str_starts(str_cut(&rest, '\n'), STR("Content-Type:"));
    must(types == 2);
    buf_done(&json);
    buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct str texts[RECORDS], rest = str_make(data, n);
    struct arena arena;
    size_t count = 0;
    while (rest.p && count < RECORDS)
        texts[count++] = str_cut(&rest, '\n');
    arena_init(&arena, MEMORY);
    records_check(texts, count, &arena);
    must(!arena_over(&arena));
    arena_done(&arena);
    while (count < RECORDS)
        texts[count++] = STR("x");
    struct tls_report_failure failure = {.mx = texts[3], .helo = texts[4], .reason = texts[5]};
    struct tls_report_policy policy = {.domain = texts[2],
                                       .lines = texts,
                                       .line_count = count,
                                       .details = &failure,
                                       .detail_count = 1};
    struct tls_report report = {.organization = texts[0],
                                .contact = texts[1],
                                .id = texts[6],
                                .domain = texts[2],
                                .policies = &policy,
                                .policy_count = 1};
    mail_check(&report, texts[7]);
    return 0;
}
