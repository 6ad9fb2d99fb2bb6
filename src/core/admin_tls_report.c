/*
 * What was counted for TLS reports, and sending one by hand. What is counted is written first, so
 * that what is shown is on the disk, and a page of it is all that is ever held.
 */
#include "core/admin_command.h"
#include "core/core.h"
#include "core/tls_counts.h"
#include "core/tls_reports.h"
#include "format/date.h"

enum {
    PAGE = 50,
    PAGE_ARENA = 4 << 20,
    SECONDS_A_DAY = 86400,
};

/* --- What is asked about --------------------------------------------------------------------- */

static bool day_parse(const struct core *core, struct str text, uint32_t *day_r)
{
    char room[64];
    struct buf time = {.p = room, .cap = sizeof(room), .max = sizeof(room)};
    struct date date;
    *day_r = tls_counts_today(core);
    if (str_eq(text, STR("yesterday")))
        --*day_r;
    if (!text.p || str_eq(text, STR("today")) || str_eq(text, STR("yesterday")))
        return true;
    buf_put(&time, text);
    buf_put(&time, STR("T00:00:00Z"));
    if (buf_over(&time) || !date_parse_rfc3339(buf_str(&time), &date) || date.time < 0)
        return false;
    *day_r = (uint32_t)(date.time / SECONDS_A_DAY);
    return true;
}

static struct str day_text(uint32_t day, struct arena *arena)
{
    struct buf text = buf_in(arena, 64);
    date_print_rfc3339(&text, (int64_t)day * SECONDS_A_DAY);
    struct str built = buf_built(&text);
    return str_head(built, built.n < 10 ? built.n : 10);
}

/* --- A row ----------------------------------------------------------------------------------- */

static json_t *policies_list(const struct tls_sums *sums)
{
    static const char *const types[TLS_REPORT_POLICY_TYPES] = {
        [TLS_REPORT_NO_POLICY] = "none", [TLS_REPORT_TLSA] = "DANE", [TLS_REPORT_STS] = "MTA-STS"};
    json_t *list = json_array();
    struct buf line = BUF_INIT(ADMIN_LINE_MAX);
    for (size_t i = 0; i < sums->policy_count; i++) {
        const struct tls_sums_policy *policy = &sums->policies[i];
        buf_clear(&line);
        buf_printf(&line, "%s of %.*s: %llu good, %llu failed", types[policy->type],
                   STR_FMT(policy->domain), (unsigned long long)policy->successes,
                   (unsigned long long)policy->failures);
        json_array_append_new(list, json_text(buf_str(&line)));
    }
    buf_done(&line);
    return list;
}

/* "3 certificate-expired at mx.example [192.0.2.1]: certificate has expired" */
static void detail_put(struct buf *line, const struct tls_sums_detail *detail)
{
    buf_printf(line, "%llu %.*s", (unsigned long long)detail->count,
               STR_FMT(tls_result_word(detail->result)));
    if (detail->mx.n)
        buf_put(line, STR(" at "));
    buf_put_escaped(line, detail->mx, TLS_SUMS_TEXT_MAX);
    if (detail->receiving.n) {
        buf_put(line, STR(" ["));
        buf_put_escaped(line, detail->receiving, TLS_SUMS_TEXT_MAX);
        buf_putc(line, ']');
    }
    if (detail->reason.n)
        buf_put(line, STR(": "));
    buf_put_escaped(line, detail->reason, TLS_SUMS_TEXT_MAX);
}

static json_t *details_list(const struct tls_sums *sums)
{
    json_t *list = json_array();
    struct buf line = BUF_INIT(ADMIN_LINE_MAX);
    for (size_t i = 0; i < sums->policy_count; i++)
        for (size_t k = 0; k < sums->policies[i].detail_count; k++) {
            buf_clear(&line);
            detail_put(&line, &sums->policies[i].details[k]);
            json_array_append_new(list, json_text(buf_str(&line)));
        }
    buf_done(&line);
    return list;
}

static json_t *row_object(struct admin_call *call, const struct tls_sums_row *row,
                          const struct tls_sums *sums)
{
    uint64_t good = 0, failed = 0;
    json_t *object = json_object();
    for (size_t i = 0; i < sums->policy_count; i++) {
        good += sums->policies[i].successes;
        failed += sums->policies[i].failures;
    }
    json_put_text(object, "domain", row->domain.n ? row->domain : STR("(further domains)"));
    json_put_text(object, "day", day_text(row->day, call->admin->arena));
    json_put_number(object, "good", good);
    json_put_number(object, "failed", failed);
    json_put(object, "policies", policies_list(sums));
    json_put(object, "failures", details_list(sums));
    json_put_number(object, "not_told_apart", sums->left_out);
    json_put_time(object, "due", sums->next * US_PER_SECOND);
    json_put_number(object, "tries", sums->tries);
    return object;
}

/* NULL: no memory. */
static json_t *report_json(struct admin_call *call, const struct tls_sums_row *row,
                           const struct tls_sums *sums, struct arena *arena)
{
    struct tls_report report;
    struct buf text = buf_in(arena, TLS_REPORT_JSON_MAX);
    struct err e = tls_report_fill(call->admin->core, row, sums, arena, &report);
    if (!err_is(e))
        e = tls_report_json(&report, &text);
    return err_is(e) ? NULL : json_loadb(text.p, text.n, 0, NULL);
}

/* --- One domain ------------------------------------------------------------------------------ */

static void places_put(struct admin_call *call, struct str domain, json_t *object)
{
    struct tls_report_places places;
    json_t *list = json_array();
    struct err e = tls_report_places(call->admin->core, domain, call->admin->arena, &places);
    for (size_t i = 0; !err_is(e) && i < places.count; i++)
        json_array_append_new(
            list, json_text(places.at[i].mail.p ? places.at[i].mail : places.at[i].url));
    json_put(object, "to", list);
    json_put_text(object, "to_nobody", e.detail);
}

static int one_show(struct admin_call *call, const struct tls_sums_row *row,
                    const struct tls_sums *sums, struct arena *arena)
{
    json_t *object = row_object(call, row, sums), *report = report_json(call, row, sums, arena);
    places_put(call, row->domain, object);
    if (call->admin->json) {
        json_put(object, "report", report);
        return admin_show(call, object);
    }
    int code = admin_show(call, object);
    char *text = report ? json_dumps(report, JSON_INDENT(2)) : NULL;
    if (text) {
        admin_text(call, STR("report:\n"));
        admin_text(call, str_from(text));
        admin_text(call, STR("\n"));
    }
    free(text);
    json_decref(report);
    return code;
}

static int one_send(struct admin_call *call, uint32_t day, struct str domain)
{
    struct str said;
    struct arena arena;
    arena_init(&arena, TLS_REPORT_ARENA);
    struct err e = tls_report_send(call->admin->core, day, domain, &arena, &said);
    json_t *object = json_object();
    json_put_text(object, "domain", domain);
    json_put_flag(object, "sent", !err_is(e));
    json_put_text(object, "said", said.n ? said : str_from(err_row(e.code)->text));
    arena_done(&arena);
    int code = admin_show(call, object);
    return code || !err_is(e) ? code : e.code == ERR_NOT_FOUND ? ADMIN_NO_HOST : ADMIN_LATER;
}

static int one(struct admin_call *call, uint32_t day, struct str domain)
{
    struct arena arena;
    struct tls_sums sums;
    struct tls_sums_row row = {.day = day, .domain = domain};
    if (admin_has(call, "--send"))
        return one_send(call, day, domain);
    arena_init(&arena, TLS_REPORT_ARENA);
    struct err e = tls_sums_read(call->admin->engine, day, domain, &arena, &row.record);
    if (!err_is(e))
        e = tls_sums_decode(row.record, &arena, &sums);
    int code = e.code == ERR_NOT_FOUND
                   ? admin_refuse(call, ADMIN_NO_HOST, "nothing is counted of that day for", domain)
               : err_is(e) ? admin_fail(call, e)
                           : one_show(call, &row, &sums, &arena);
    arena_done(&arena);
    return code;
}

/* --- A day ----------------------------------------------------------------------------------- */

static struct err row_list(struct admin_call *call, const struct tls_sums_row *row,
                           struct admin_list *list)
{
    struct arena arena;
    struct tls_sums sums;
    arena_init(&arena, TLS_REPORT_ARENA);
    struct err e = tls_sums_decode(row->record, &arena, &sums);
    if (!err_is(e)) {
        json_t *object = row_object(call, row, &sums);
        if (call->admin->json)
            json_put(object, "report", report_json(call, row, &sums, &arena));
        admin_list_item(list, object);
    }
    arena_done(&arena);
    return e;
}

static struct err page_list(struct admin_call *call, struct tls_sums_row *after, struct buf *name,
                            struct admin_list *list, bool *more_r)
{
    struct arena arena;
    struct tls_sums_row *rows;
    size_t count, i;
    arena_init(&arena, PAGE_ARENA);
    struct err e =
        tls_sums_page(call->admin->engine, after->day, after->domain, PAGE, &arena, &rows, &count);
    *more_r = !err_is(e) && count == PAGE && rows[count - 1].day == after->day;
    for (i = 0; !err_is(e) && i < count && rows[i].day == after->day; i++)
        e = row_list(call, &rows[i], list);
    if (*more_r) {
        buf_clear(name);
        buf_put(name, rows[count - 1].domain);
        after->domain = buf_str(name);
    }
    arena_done(&arena);
    return e;
}

static int all(struct admin_call *call, uint32_t day)
{
    struct tls_sums_row after = {.day = day, .domain = str_null()};
    struct buf name = BUF_INIT(ENGINE_KEY_MAX);
    struct admin_list list = admin_list_open(call);
    struct err e = err_none();
    bool more = true;
    while (more && !err_is(e) && !call->admin->gone)
        e = page_list(call, &after, &name, &list, &more);
    buf_done(&name);
    return admin_list_close(&list, e);
}

int admin_tls_report(struct admin_call *call)
{
    struct core *core = call->admin->core;
    struct str given = admin_value(call, "--domain"), domain;
    uint32_t day;
    if (!core)
        return admin_refuse(call, ADMIN_UNAVAILABLE, "the server is down", str_null());
    if (!day_parse(core, call->count ? call->words[0] : str_null(), &day))
        return admin_refuse(call, ADMIN_USAGE,
                            "a day is today, yesterday, or like 2026-11-22:", call->words[0]);
    if (admin_has(call, "--send") && !given.p)
        return admin_refuse(call, ADMIN_USAGE, "--send needs --domain", str_null());
    int code = given.p ? admin_domain_name(call, given, &domain) : 0;
    if (code)
        return code;
    struct err e = tls_counts_write(core);
    if (err_is(e))
        return admin_fail(call, e);
    return given.p ? one(call, day, domain) : all(call, day);
}
