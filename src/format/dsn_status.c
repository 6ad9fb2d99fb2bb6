/*
 * The fields come in the order of RFC 3464. A value is clean before it gets here in one of two
 * forms, so the writer of fields has nothing to decide but where to fold.
 */
#include "format/clean.h"
#include "format/date.h"
#include "format/dsn_inside.h"
#include "format/header_print.h"

enum {
    NAME_MAX_SHOWN = 600, /* octets of an address, a name or an id; ours are shorter */
    /* An octet becomes "\\x{FF}" at most, and an end of line " 550-". */
    VALUE_MAX = 6 * DSN_TEXT_MAX + 1024,
};

struct status {
    const struct dsn *dsn;
    bool global;
    struct buf out, value; /* the value of the field that is being made */
};

/* --- Which form --- */

static bool needs_global(struct str text)
{
    return !str_is_ascii(text) && str_is_utf8(text);
}

static bool is_global(const struct dsn *dsn)
{
    for (size_t i = 0; dsn->reads_utf8 && i < dsn->recipient_count; i++) {
        const struct dsn_recipient *recipient = &dsn->recipients[i];
        if (needs_global(recipient->original) || needs_global(recipient->final) ||
            (dsn_is_trouble(recipient->action) && needs_global(recipient->text)))
            return true;
    }
    return false;
}

static enum clean_to form_of(const struct status *status)
{
    return status->global ? CLEAN_UTF8 : CLEAN_ASCII;
}

/* --- Fields --- */

static void field_put(struct status *status, struct str name, struct str type, struct str value)
{
    buf_clear(&status->value);
    buf_put(&status->value, type);
    clean_put_some(&status->value, value, NAME_MAX_SHOWN, form_of(status));
    header_put(&status->out, name, buf_str(&status->value));
}

static void date_put(struct status *status, struct str name, int64_t time)
{
    if (time == 0)
        return;
    buf_clear(&status->value);
    date_print(&status->value, time, status->dsn->zone);
    header_put(&status->out, name, buf_str(&status->value));
}

/* An address of type utf-8 in the form that the part can hold (RFC 6533 3). */
static void utf8_address_put(struct status *status, struct str name, struct str address)
{
    buf_clear(&status->value);
    buf_put(&status->value, STR("utf-8; "));
    clean_put_some(&status->value, address, NAME_MAX_SHOWN,
                   status->global ? CLEAN_UTF8 : CLEAN_XTEXT);
    header_put(&status->out, name, buf_str(&status->value));
}

static void original_put(struct status *status, struct str original)
{
    struct str address = original, type = str_cut(&address, ';');
    if (address.p && str_eq_nocase(str_trim(type), STR("utf-8")))
        utf8_address_put(status, STR("Original-Recipient"), str_trim(address));
    else
        field_put(status, STR("Original-Recipient"), STR(""), original);
}

static void final_put(struct status *status, struct str address)
{
    if (str_is_ascii(address))
        field_put(status, STR("Final-Recipient"), STR("rfc822; "), address);
    else
        utf8_address_put(status, STR("Final-Recipient"), address);
}

/* The class that goes with the action; a delivery may fail for good with a 4.x.x (RFC 3464 2.3.3).
 */
static struct status_code status_of(const struct dsn_recipient *recipient)
{
    unsigned class = recipient->status.class;
    unsigned wanted = recipient->action == DSN_FAILED    ? 5
                      : recipient->action == DSN_DELAYED ? 4
                                                         : 2;
    if (class == wanted || (class == 4 && recipient->action == DSN_FAILED))
        return recipient->status;
    return (struct status_code){.class = (uint8_t)wanted};
}

static void status_put(struct status *status, const struct dsn_recipient *recipient)
{
    struct status_code code = status_of(recipient);
    buf_printf(&status->out, "Status: %u.%u.%u\r\n", code.class, code.subject % 1000,
               code.detail % 1000);
}

/* Each line of a reply with its code in front, as RFC 3461 9.2 has it. */
static void reply_put(struct status *status, unsigned code, struct str text)
{
    struct str rest = text;
    while (rest.p) {
        struct str line = str_cut(&rest, '\n');
        buf_printf(&status->value, " %03u%c", code % 1000, rest.p ? '-' : ' ');
        clean_put(&status->value, line, form_of(status));
    }
}

static void diagnostic_put(struct status *status, const struct dsn_recipient *recipient)
{
    struct str text = recipient->text;
    if (!dsn_is_trouble(recipient->action) || (recipient->code == 0 && text.n == 0))
        return;
    bool cut = text.n > DSN_TEXT_MAX;
    text = text.p ? str_head(text, DSN_TEXT_MAX) : STR("");
    buf_clear(&status->value);
    buf_put(&status->value, recipient->code ? STR("smtp;") : STR("x-veredus; "));
    if (recipient->code)
        reply_put(status, recipient->code, text);
    else
        clean_put(&status->value, text, form_of(status));
    if (cut)
        buf_put(&status->value, STR("..."));
    header_put(&status->out, STR("Diagnostic-Code"), buf_str(&status->value));
}

static void recipient_put(struct status *status, const struct dsn_recipient *recipient)
{
    buf_put(&status->out, STR("\r\n"));
    if (recipient->original.n)
        original_put(status, recipient->original);
    final_put(status, recipient->final);
    header_put(&status->out, STR("Action"), dsn_action_word(recipient->action));
    status_put(status, recipient);
    if (recipient->remote.n)
        field_put(status, STR("Remote-MTA"), STR("dns; "), recipient->remote);
    diagnostic_put(status, recipient);
    date_put(status, STR("Last-Attempt-Date"), recipient->last_attempt);
    if (recipient->action == DSN_DELAYED)
        date_put(status, STR("Will-Retry-Until"), recipient->retry_until);
}

static void message_put(struct status *status)
{
    const struct dsn *dsn = status->dsn;
    if (dsn->envid.n)
        field_put(status, STR("Original-Envelope-Id"), STR(""), dsn->envid);
    field_put(status, STR("Reporting-MTA"), STR("dns; "), dsn->host);
    date_put(status, STR("Arrival-Date"), dsn->arrival);
    if (dsn->queue_id.n)
        field_put(status, STR("X-Veredus-Queue-Id"), STR(""), dsn->queue_id);
}

struct dsn_part dsn_status(const struct dsn *dsn, struct arena *arena)
{
    struct status status = {.dsn = dsn,
                            .global = is_global(dsn),
                            .out = BUF_INIT(arena->cap),
                            .value = BUF_INIT(VALUE_MAX)};
    message_put(&status);
    for (size_t i = 0; i < dsn->recipient_count && !buf_over(&status.out); i++)
        recipient_put(&status, &dsn->recipients[i]);
    struct dsn_part part = {
        .type =
            status.global ? STR("message/global-delivery-status") : STR("message/delivery-status"),
        .transfer = status.global ? TRANSFER_8BIT : TRANSFER_7BIT,
        .octets = buf_copy(&status.out, arena),
        .utf8 = status.global,
    };
    buf_done(&status.out);
    buf_done(&status.value);
    return part;
}
