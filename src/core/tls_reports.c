/*
 * One after the other, each whole: there is no hurry, and a web server that lets everybody wait
 * holds up nothing but other reports, for a minute.
 */
#include "core/tls_reports.h"

#include "base/must.h"
#include "conf/conf.h"
#include "core/report.h"
#include "core/signed.h"
#include "core/tls_counts.h"
#include "format/gzip.h"
#include "format/message_id.h"

enum {
    PAGE = 50,
    PAGE_ARENA = 4 << 20,
    MAIL_MAX = 1 << 20, /* octets */
    DOUBLINGS_MOST = 10,
    STATUS_GOOD = 200, /* and the 99 behind it (RFC 8460 5.4) */
    STATUS_NEXT = 300,
};
#define MAIL_LIVES ((int64_t)24 * 3600 * US_PER_SECOND)

/* A report on its way. */
struct sent_report {
    struct core *core;
    struct arena *arena;
    const struct tls_sums_row *row;
    struct tls_report report;
    struct str zipped;
    struct buf said; /* what became of it at each place */
    bool taken;      /* somewhere */
    bool later;      /* somewhere else it might be */
};

static int64_t now_of(const struct core *core)
{
    return world_wall(core->world) / US_PER_SECOND;
}

/* --- Where to -------------------------------------------------------------------------------- */

struct err tls_report_places(struct core *core, struct str domain, struct arena *arena,
                             struct tls_report_places *places_r)
{
    struct buf name = buf_in(arena, DNS_NAME_MAX);
    struct dns_txts txts = {.count = 0};
    struct str wrong = str_null();
    buf_printf(&name, "_smtp._tls.%.*s", STR_FMT(domain));
    struct str asked = buf_built(&name);
    if (!asked.p)
        return err_detail(ERR_NOT_FOUND, STR("it asks for no reports"));
    struct err e = dns_txt(&core->dns, asked, arena, &txts);
    if (e.code == ERR_DNS_NO_NAME || e.code == ERR_DNS_NO_DATA)
        return err_detail(ERR_NOT_FOUND, STR("it asks for no reports"));
    if (err_is(e))
        return err_detail(ERR_TRY_LATER, STR("no usable DNS answer"));
    struct str *texts = arena_take_array(arena, txts.count + 1, sizeof(*texts));
    for (size_t i = 0; texts && i < txts.count; i++)
        texts[i] = txts.list[i].joined;
    if (!texts)
        return err_make(ERR_NO_MEMORY);
    if (tls_report_record_find(texts, txts.count, arena, places_r, &wrong))
        return err_none();
    return err_detail(ERR_NOT_FOUND, wrong.p ? wrong : STR("it asks for no reports"));
}

/* --- By mail --------------------------------------------------------------------------------- */

static struct str domain_of(struct str address)
{
    return str_from_index(address, (size_t)(str_last_index(address, '@') + 1));
}

static struct err mail_make(const struct sent_report *sent, struct delivery *delivery,
                            struct str to, struct str *text_r)
{
    struct buf text = buf_in(sent->arena, MAIL_MAX), id = buf_in(sent->arena, 512);
    buf_printf(&id, "%.*s.%u@%.*s", STR_FMT(sent->report.id), sent->row->day,
               STR_FMT(domain_of(sent->report.contact)));
    const struct tls_report_mail mail = {.from = sent->report.contact,
                                         .to = to,
                                         .message_id = buf_built(&id),
                                         .time = delivery->now / US_PER_SECOND,
                                         .content = sent->zipped,
                                         .gzip = true};
    struct err e = tls_report_mail_print(&sent->report, &mail, &text);
    struct str plain = buf_built(&text);
    if (err_is(e) || !plain.p)
        return err_is(e) ? e : err_make(ERR_NO_MEMORY);
    e = signed_by(delivery, domain_of(sent->report.contact), plain, text_r);
    if (!err_is(e) && text_r->n == plain.n)
        e = err_detail(ERR_NOT_FOUND, STR("there is no DKIM key to sign it with"));
    return e;
}

static struct err mail_put(const struct sent_report *sent, struct delivery *delivery, struct str to)
{
    struct str text;
    struct err e = delivery_init(delivery, sent->core, sent->arena, core_message_id(sent->core),
                                 DELIVERY_OWNERS_MAX, 1);
    if (!err_is(e))
        e = mail_make(sent, delivery, to, &text);
    if (!err_is(e))
        e = report_letter_put(delivery, to, text, MAIL_LIVES);
    return err_is(e) ? e : delivery_commit(delivery, NULL, NULL, 0, str_null());
}

static struct err by_mail(struct sent_report *sent, struct str to)
{
    struct delivery delivery;
    char id[MESSAGE_ID_TEXT];
    struct err e = mail_put(sent, &delivery, to);
    if (err_is(e))
        return e;
    message_id_print(delivery.message, id);
    buf_printf(&sent->said, "queued for <%.*s> as %.*s", STR_FMT(to), MESSAGE_ID_TEXT, id);
    return e;
}

/* --- By HTTPS -------------------------------------------------------------------------------- */

static struct err by_https(struct sent_report *sent, struct str url)
{
    struct msg msg = {.kind = MSG_post,
                      .post = {.url = url,
                               .type = STR("application/tlsrpt+gzip"),
                               .body = sent->zipped}},
               answer;
    struct peer *peer = peer_courier(sent->core);
    if (!peer)
        return err_detail(ERR_TRY_LATER, STR("no courier is there"));
    peer_hold(peer);
    struct err e = link_ask(&peer->link, &msg, sent->arena, &answer);
    peer_release(peer);
    if (err_is(e))
        return err_detail(ERR_TRY_LATER, STR("the courier ended"));
    const struct msg_posted *posted = &answer.posted;
    if (posted->status == 0)
        return err_detail(ERR_TRY_LATER, posted->why);
    buf_printf(&sent->said, "%.*s answered %u", STR_FMT(url), posted->status);
    return err_make(posted->status >= STATUS_GOOD && posted->status < STATUS_NEXT ? ERR_NONE
                                                                                  : ERR_TRY_LATER);
}

/* --- To all of them -------------------------------------------------------------------------- */

static void place_send(struct sent_report *sent, const struct tls_report_place *place)
{
    struct str where = place->mail.p ? place->mail : place->url;
    if (sent->said.n)
        buf_put(&sent->said, STR("; "));
    size_t before = sent->said.n;
    struct err e = place->mail.p ? by_mail(sent, where) : by_https(sent, where);
    sent->taken |= !err_is(e);
    sent->later |= err_is(e) && e.code != ERR_NOT_FOUND;
    if (err_is(e) && sent->said.n == before) {
        buf_printf(&sent->said, "not sent to %.*s: ", STR_FMT(where));
        buf_put_escaped(&sent->said, e.detail.n ? e.detail : str_from(err_row(e.code)->name), 200);
    }
}

static struct err zip(struct sent_report *sent)
{
    struct buf json = buf_in(sent->arena, TLS_REPORT_JSON_MAX);
    struct buf zipped = buf_in(sent->arena, TLS_REPORT_JSON_MAX + GZIP_MORE_MAX);
    struct err e = tls_report_json(&sent->report, &json);
    if (!err_is(e))
        e = gzip_put(buf_str(&json), sent->arena, &zipped);
    sent->zipped = buf_str(&zipped);
    return e;
}

/* NONE: it was taken, or nobody wants it: its record may go. NOT_FOUND: nobody can be told. */
static struct err send(struct core *core, const struct tls_sums_row *row,
                       const struct tls_sums *sums, struct arena *arena, struct str *said_r)
{
    struct sent_report sent = {.core = core, .arena = arena, .row = row};
    struct tls_report_places places;
    sent.said = buf_in(arena, 4096);
    struct err e = tls_report_places(core, row->domain, arena, &places);
    *said_r = e.detail;
    if (!err_is(e))
        e = tls_report_fill(core, row, sums, arena, &sent.report);
    if (!err_is(e))
        e = zip(&sent);
    if (err_is(e))
        return e;
    for (size_t i = 0; i < places.count; i++)
        place_send(&sent, &places.at[i]);
    struct str said = buf_built(&sent.said);
    *said_r = said.p ? said : STR("");
    if (sent.taken)
        return err_none();
    return err_make(sent.later ? ERR_TRY_LATER : ERR_NOT_FOUND);
}

/* --- Records --------------------------------------------------------------------------------- */

static struct err row_write(struct core *core, const struct tls_sums_row *row,
                            const struct tls_sums *sums)
{
    struct arena arena;
    arena_init_from(&arena, TLS_SUMS_ARENA, &core->spares);
    struct op_list ops = op_list_take(&arena, TLS_SUMS_OPS);
    struct buf record = buf_in(&arena, 2 * TLS_SUMS_MAX);
    tls_sums_encode(sums, &record);
    tls_sums_put_ops(row->day, row->domain, buf_str(&record), &arena, &ops);
    struct commit commit = {.ops = ops.ops, .op_count = ops.count};
    struct err e = ops.over || arena_over(&arena) ? err_make(ERR_NO_MEMORY)
                                                  : engine_commit_wait(core->engine, &commit);
    arena_done(&arena);
    return e;
}

static void tell(struct core *core, const char *event, enum log_word level,
                 const struct tls_sums_row *row, struct str said)
{
    log_event(core->log, level, event, log_str("domain", row->domain), log_u64("day", row->day),
              log_str("said", said));
}

static int64_t dropped_at(const struct tls_sums_row *row)
{
    return ((int64_t)row->day + 1) * 86400 + TLS_COUNTS_SPREAD + TLS_REPORTS_DROPPED;
}

/* It was in vain: later, or never. */
static struct err put_off(struct core *core, const struct tls_sums_row *row, struct tls_sums *sums,
                          struct str said)
{
    uint32_t doublings = sums->tries < DOUBLINGS_MOST ? sums->tries : DOUBLINGS_MOST;
    uint32_t chance;
    int64_t wait = (int64_t)TLS_REPORTS_AGAIN << doublings;
    world_random(core->world, &chance, sizeof(chance));
    sums->tries++;
    sums->next = now_of(core) + wait + chance % (wait / 10);
    if (sums->next < dropped_at(row)) {
        tell(core, "tls_report_waits", LOG_INFO, row, said);
        return row_write(core, row, sums);
    }
    tell(core, "tls_report_dropped", LOG_WARN, row, said);
    return tls_counts_end(core, row->day, row->domain, sums);
}

static struct err due_send(struct core *core, const struct tls_sums_row *row, struct tls_sums *sums)
{
    struct arena arena;
    struct str said;
    arena_init(&arena, TLS_REPORT_ARENA);
    struct err e = send(core, row, sums, &arena, &said);
    if (!err_is(e))
        tell(core, "tls_report", LOG_INFO, row, said);
    else if (e.code == ERR_NOT_FOUND && !str_eq(said, STR("it asks for no reports")))
        tell(core, "tls_report_dropped", LOG_WARN, row, said);
    e = err_is(e) && e.code != ERR_NOT_FOUND ? put_off(core, row, sums, said)
                                             : tls_counts_end(core, row->day, row->domain, sums);
    arena_done(&arena);
    return e;
}

/* --- What is due ----------------------------------------------------------------------------- */

static struct err row_look(struct core *core, const struct tls_sums_row *row)
{
    struct tls_sums sums;
    struct arena arena;
    int64_t now = now_of(core);
    arena_init_from(&arena, TLS_SUMS_ARENA, &core->spares);
    struct err e = tls_sums_decode(row->record, &arena, &sums);
    int64_t *next = &core->tls_reporting.next;
    if (err_is(e) || row->domain.n == 0 || !core->conf->sending.tls_reports) {
        if (err_is(e))
            log_err(core->log, "tls_sums_dropped", e);
        e = tls_counts_end(core, row->day, row->domain, NULL);
    } else if (sums.next > now && sums.next < dropped_at(row)) {
        *next = sums.next < *next ? sums.next : *next;
    } else if (now >= dropped_at(row)) {
        tell(core, "tls_report_dropped", LOG_WARN, row, STR("this server was not there in time"));
        e = tls_counts_end(core, row->day, row->domain, &sums);
    } else {
        *next = now;
        e = due_send(core, row, &sums);
    }
    arena_done(&arena);
    return e;
}

static struct err page_look(struct core *core, struct tls_sums_row *after, struct buf *name,
                            bool *more_r)
{
    struct arena arena;
    struct tls_sums_row *rows;
    size_t count, i;
    arena_init(&arena, PAGE_ARENA);
    struct err e =
        tls_sums_page(core->engine, after->day, after->domain, PAGE, &arena, &rows, &count);
    *more_r = !err_is(e) && count == PAGE;
    for (i = 0; !err_is(e) && i < count && rows[i].day < tls_counts_today(core); i++)
        e = row_look(core, &rows[i]);
    *more_r &= i == count && core->peer_count > 0;
    if (*more_r) {
        buf_clear(name);
        buf_put(name, rows[count - 1].domain);
        *after = (struct tls_sums_row){.day = rows[count - 1].day, .domain = buf_str(name)};
    }
    arena_done(&arena);
    return e;
}

static void look(void *arg)
{
    struct core *core = arg;
    struct tls_sums_row after = {.day = 0, .domain = str_null()};
    struct buf name = BUF_INIT(ENGINE_KEY_MAX);
    struct err e = err_none();
    bool more = true;
    tls_counts_lock(core);
    core->tls_reporting.next = ((int64_t)tls_counts_today(core) + 1) * 86400;
    while (more && !err_is(e))
        e = page_look(core, &after, &name, &more);
    if (err_is(e))
        log_err(core->log, "tls_reports_not_sent", e);
    tls_counts_unlock(core);
    buf_done(&name);
    core->tls_reporting.running = false;
    if (core->tls_reporting.over)
        wait_over(core->tls_reporting.over);
}

void tls_reports_duty(struct core *core)
{
    struct tls_reporting *reporting = &core->tls_reporting;
    if (reporting->running || now_of(core) < reporting->next)
        return;
    reporting->running = true;
    reporting->start = (struct fiber_start){.run = look, .arg = core};
    fiber_run(core->fibers, &reporting->start);
}

void tls_reports_close(struct core *core)
{
    struct wait over = {.done = !core->tls_reporting.running};
    core->tls_reporting.over = &over;
    wait_for(&over);
    core->tls_reporting.over = NULL;
}

/* --- By an operator -------------------------------------------------------------------------- */

struct err tls_report_send(struct core *core, uint32_t day, struct str domain, struct arena *arena,
                           struct str *said_r)
{
    struct tls_sums_row row = {.day = day, .domain = domain};
    struct tls_sums sums;
    *said_r = STR("");
    struct err e = tls_counts_write(core);
    if (err_is(e))
        return e;
    tls_counts_lock(core);
    e = tls_sums_read(core->engine, day, domain, arena, &row.record);
    if (!err_is(e))
        e = tls_sums_decode(row.record, arena, &sums);
    if (!err_is(e))
        e = send(core, &row, &sums, arena, said_r);
    if (!err_is(e))
        e = tls_counts_end(core, day, domain, &sums);
    tls_counts_unlock(core);
    return e;
}
