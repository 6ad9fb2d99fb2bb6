/*
 * A report is a message like any other, but for its sender, who is nobody: so nothing can answer
 * it. It goes where mail to the sender goes now: a sender who has moved gets it at his new place.
 */
#include "core/report.h"

#include "base/must.h"
#include "conf/conf.h"
#include "core/outgoing.h"
#include "core/signed.h"
#include "format/message_id.h"
#include "format/summary.h"

enum {
    REPORT_MAX = 2 << 20,               /* octets of a report */
    REPORT_ARENA = 8 << 20,             /* for the time of its making */
    ORIGINAL_HEAD = 2 * DSN_HEADER_MAX, /* octets of the original that are looked at for a header */
    OUTSIDE_MAX = 100,                  /* places elsewhere that one report goes to */
};

/* Whom it is for. */
struct reader {
    struct addr addr;
    struct str text;
    enum language language;
    struct copy *copies;
    size_t copy_count;
    struct outgoing_target *targets;
    size_t target_count;
    bool postmaster; /* in the place of a sender who cannot be told */
};

/* --- The original --- */

static struct str header_of(struct str text)
{
    ssize_t end = str_find(text, STR("\r\n\r\n"));
    return end < 0 ? text : str_head(text, (size_t)end + 4);
}

static struct err blob_begin(struct engine *engine, blob_id blob, uint64_t most,
                             struct arena *arena, struct str *text_r, uint64_t *size_r)
{
    uint64_t head_octets;
    struct err e = engine_blob_size(engine, blob, &head_octets, size_r);
    if (err_is(e))
        return e;
    size_t n = (size_t)(*size_r < most ? *size_r : most);
    char *text = arena_take(arena, n);
    if (!text)
        return err_make(ERR_NO_MEMORY);
    *text_r = str_make(text, n);
    return n ? engine_blob_read(engine, blob, 0, text, n) : err_none();
}

static struct err original_read(struct delivery *delivery, const struct queue_entry *entry,
                                const struct mail_options *options, bool failed,
                                struct dsn_original *original_r)
{
    struct engine *engine = delivery->core->engine;
    uint64_t full = delivery->core->conf->sending.report_full, size;
    struct str text;
    bool whole = entry->size <= full && dsn_returns_body(failed, options->ret, entry->size, full);
    struct err e = blob_begin(engine, entry->blob, whole ? UINT64_MAX : ORIGINAL_HEAD,
                              delivery->arena, &text, &size);
    if (e.code == ERR_NOT_FOUND) { /* nothing can be shown, and the rest is told all the same */
        *original_r = (struct dsn_original){.header = STR("\r\n"), .body = str_null()};
        return err_none();
    }
    if (err_is(e))
        return e;
    struct str header = header_of(text);
    *original_r = (struct dsn_original){
        .header = header,
        .body = whole ? str_from_index(text, header.n) : str_null(),
        .utf8 = (entry->flags & QUEUE_UTF8) != 0,
    };
    return err_none();
}

/* --- The reader --- */

static struct err copies_take(struct delivery *delivery, const struct resolved *resolved,
                              struct reader *reader)
{
    reader->copies = arena_take_array(delivery->arena, resolved->count, sizeof(struct copy));
    if (!reader->copies)
        return err_make(ERR_NO_MEMORY);
    for (size_t i = 0; i < resolved->count && reader->copy_count < DELIVERY_OWNERS_MAX; i++)
        if (!resolved->copies[i].disabled)
            reader->copies[reader->copy_count++] = resolved->copies[i];
    if (reader->copy_count)
        reader->language = reader->copies[0].language;
    return err_none();
}

static struct err targets_take(struct delivery *delivery, const struct resolved *resolved,
                               struct reader *reader)
{
    size_t count = resolved->kind == RESOLVED_RELAY ? 1 : resolved->outside_count;
    if (count > OUTSIDE_MAX)
        count = OUTSIDE_MAX;
    reader->targets = arena_take_array(delivery->arena, count, sizeof(struct outgoing_target));
    if (!reader->targets)
        return err_make(ERR_NO_MEMORY);
    for (size_t i = 0; i < count; i++) {
        bool relay = resolved->kind == RESOLVED_RELAY;
        const struct addr *addr = relay ? &reader->addr : &resolved->outside[i].addr;
        reader->targets[i] = (struct outgoing_target){
            .address = relay ? reader->text : resolved->outside[i].text,
            .domain = addr->domain,
            .given = relay ? str_make("", 0) : reader->text,
        };
    }
    reader->target_count = count;
    return err_none();
}

static struct err reader_find(struct delivery *delivery, struct str address, struct reader *reader)
{
    struct core *core = delivery->core;
    struct resolved resolved = {.refusal = err_none()};
    reader->text = address;
    reader->language = core->directory.settings.language;
    struct err e = addr_parse(address, delivery->arena, &reader->addr);
    if (!err_is(e))
        e = directory_resolve(&core->directory, &reader->addr, 0, str_null(), delivery->arena,
                              &resolved);
    if (!err_is(e))
        e = copies_take(delivery, &resolved, reader);
    return err_is(e) ? e : targets_take(delivery, &resolved, reader);
}

static bool is_anybody(const struct reader *reader)
{
    return reader->copy_count > 0 || reader->target_count > 0;
}

/* Who is told instead of somebody who cannot be. */
static struct err postmaster_find(struct delivery *delivery, struct reader *reader)
{
    struct core *core = delivery->core;
    struct addr addr = {.local = STR("postmaster"), .kind = ADDR_LOCAL_ONLY};
    struct resolved resolved = {.refusal = err_none()};
    *reader = (struct reader){.addr = addr, .text = STR("postmaster"), .postmaster = true};
    if (core->conf->sending.double_bounce == CONF_BOUNCE_DROP)
        return err_none();
    struct err e =
        directory_resolve(&core->directory, &addr, 0, str_null(), delivery->arena, &resolved);
    if (!err_is(e))
        e = copies_take(delivery, &resolved, reader);
    if (!err_is(e) && reader->copy_count)
        reader->text = reader->copies[0].address;
    return e;
}

/* --- Its text --- */

static struct str message_id_of(struct delivery *delivery)
{
    char id[MESSAGE_ID_TEXT];
    struct buf text = buf_in(delivery->arena, 512);
    message_id_print(delivery->message, id);
    buf_printf(&text, "%.*s.report@%.*s", MESSAGE_ID_TEXT, id,
               STR_FMT(delivery->core->conf->server.hostname));
    return buf_built(&text);
}

static struct err report_print(struct delivery *delivery, const struct queue_entry *entry,
                               const struct mail_options *options,
                               const struct dsn_original *original, const struct reader *reader,
                               const struct dsn_recipient *recipients, size_t count,
                               struct str *text_r)
{
    struct core *core = delivery->core;
    char id[MESSAGE_ID_TEXT];
    struct arena scratch;
    struct buf text = buf_in(delivery->arena, REPORT_MAX);
    struct dsn_made made;
    message_id_print(entry->message, id);
    struct dsn dsn = {
        .language = reader->language,
        .host = core->conf->server.hostname,
        .to = reader->text,
        .message_id = message_id_of(delivery),
        .time = delivery->now / US_PER_SECOND,
        .queue_id = str_make(id, sizeof(id)),
        .envid = options->envid,
        .arrival = entry->accepted / US_PER_SECOND,
        .recipients = recipients,
        .recipient_count = count,
        .reads_utf8 = reader->copy_count > 0,
        .tls_optional = options->tls_optional,
        .double_bounce = reader->postmaster,
    };
    struct err e = err_none();
    if (original)
        dsn.original = *original;
    else
        e = original_read(delivery, entry, options, recipients[0].action == DSN_FAILED,
                          &dsn.original);
    if (err_is(e))
        return e;
    arena_init_from(&scratch, REPORT_ARENA, &core->spares);
    e = dsn_print(&dsn, &scratch, &text, &made);
    arena_done(&scratch);
    *text_r = buf_built(&text);
    return err_is(e) ? e : err_make(text_r->p ? ERR_NONE : ERR_NO_MEMORY);
}

/* --- Where it goes --- */

static struct err text_put(struct delivery *delivery, const struct reader *reader,
                           const struct mail_options *asked, struct str text, int64_t lives)
{
    struct err e = delivery_text_put(delivery, text, reader->copies, reader->copy_count);
    if (err_is(e) || reader->target_count == 0)
        return e;
    const struct outgoing message = {
        .message = delivery->message,
        .blob = delivery->blobs[delivery->blob_count - 1].blob,
        .size = text.n,
        .sender = str_make("", 0),
        .body_type = BODY_8BITMIME,
        .asked = mail_options_keep(asked, delivery->arena),
        .lives = lives,
    };
    if (!message.asked.p)
        return err_make(ERR_NO_MEMORY);
    return outgoing_put(delivery, &message, reader->targets, reader->target_count);
}

/* What was asked of the message's way holds for the report's (RFC 8689 5, 6). */
static struct err reader_put(struct delivery *delivery, const struct reader *reader,
                             const struct mail_options *options, struct str text)
{
    const struct mail_options asked = {.require_tls = options->require_tls,
                                       .tls_optional = options->tls_optional};
    struct err e = err_none();
    if (reader->target_count)
        e = signed_report(delivery, text, &text);
    return err_is(e) ? e : text_put(delivery, reader, &asked, text, 0);
}

struct err report_letter_put(struct delivery *delivery, struct str to, struct str text,
                             int64_t lives)
{
    const struct mail_options asked = {.tls_optional = true};
    const struct rcpt_options never = {.notify = DSN_NOTIFY_NEVER};
    struct reader reader = {.language = LANGUAGE_ENGLISH};
    struct err e = reader_find(delivery, to, &reader);
    if (!err_is(e) && !is_anybody(&reader))
        e = err_detail(ERR_NOT_FOUND, STR("there is no such mailbox"));
    if (err_is(e))
        return e;
    for (size_t i = 0; i < reader.target_count; i++)
        reader.targets[i].asked = rcpt_options_keep(&never, delivery->arena);
    return text_put(delivery, &reader, &asked, text, lives);
}

/* Of a message that requires TLS the header alone comes back, whatever RET says (RFC 8689 5). */
static void options_read(const struct queue_entry *entry, struct mail_options *options_r)
{
    (void)mail_options_read(entry->asked, options_r); /* else nothing is asked */
    if (options_r->require_tls)
        options_r->ret = DSN_RETURN_HEADERS;
}

static struct err nobody_told(struct delivery *delivery, const struct dsn_recipient *recipients)
{
    struct err e = delivery_room_for_events(delivery, 1);
    if (err_is(e))
        return e;
    struct trace_event *event = delivery_event(delivery, TRACED_not_reported);
    trace_text(event, TRACE_recipient, recipients[0].final);
    trace_text(event, TRACE_text, STR("there is nobody to tell"));
    return err_none();
}

struct err report_put(struct delivery *delivery, const struct queue_entry *entry,
                      const struct dsn_original *original, const struct dsn_recipient *recipients,
                      size_t count)
{
    struct reader reader = {.language = LANGUAGE_ENGLISH};
    struct err e = err_none();
    struct mail_options options;
    struct str text;
    options_read(entry, &options);
    if (entry->sender.n)
        e = reader_find(delivery, entry->sender, &reader);
    if (!err_is(e) && !is_anybody(&reader) && recipients[0].action == DSN_FAILED)
        e = postmaster_find(delivery, &reader);
    if (err_is(e))
        return e;
    if (!is_anybody(&reader))
        return nobody_told(delivery, recipients);
    e = delivery_room_for_notices(delivery, 1);
    if (!err_is(e))
        e = report_print(delivery, entry, &options, original, &reader, recipients, count, &text);
    return err_is(e) ? e : reader_put(delivery, &reader, &options, text);
}
