/*
 * audit verify, audit export, audit list, and the recording of commands themselves. What only shows
 * is not recorded; what changes is, whether or not it went well, as it was typed but for secrets.
 */
#include <inttypes.h>

#include "core/admin_command.h"
#include "core/audit.h"
#include "store/audit.h"

enum {
    LINE_MAX_OCTETS = 64 * 1024,
    LINK_TEXT = 2 * AUDIT_LINK,
    SINCE_DAYS = 1, /* of audit list, where --since does not say otherwise */
};

static void link_put(struct buf *to, const unsigned char *link)
{
    for (size_t i = 0; i < AUDIT_LINK; i++)
        buf_printf(to, "%02x", link[i]);
}

static int hex_digit(char c)
{
    return ascii_is_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool link_parse(struct str text, unsigned char link_r[AUDIT_LINK])
{
    if (text.n != LINK_TEXT)
        return false;
    for (size_t i = 0; i < AUDIT_LINK; i++) {
        int high = hex_digit(text.p[2 * i]), low = hex_digit(text.p[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        link_r[i] = (unsigned char)(high << 4 | low);
    }
    return true;
}

/* --- verify ---------------------------------------------------------------------------------- */

struct verifying {
    struct admin_call *call;
    json_t *troubles;
};

static void trouble_tell(void *arg, struct str what)
{
    struct verifying *verifying = arg;
    json_array_append_new(verifying->troubles, json_text(what));
}

static int verify_show(struct verifying *verifying, const struct audit_report *report, bool named)
{
    struct buf link = BUF_INIT(LINK_TEXT + 1);
    json_t *object = json_object();
    bool whole = report->troubles == 0 && (!named || report->named_found);
    link_put(&link, report->link);
    json_put_text(object, "audit", whole ? STR("whole") : STR("BROKEN"));
    json_put_number(object, "first", report->first);
    json_put_number(object, "last", report->last);
    json_put_number(object, "expired", report->expired);
    json_put_text(object, "head", buf_str(&link));
    if (named)
        json_put_text(object, "named", report->named_found ? STR("found") : STR("NOT FOUND"));
    json_put_number(object, "troubles_count", report->troubles);
    json_put(object, "troubles", verifying->troubles);
    buf_done(&link);
    int code = admin_show(verifying->call, object);
    return code || whole ? code : ADMIN_DATA;
}

int admin_audit_verify(struct admin_call *call)
{
    struct verifying verifying = {.call = call};
    struct str text = admin_value(call, "--head");
    unsigned char named[AUDIT_LINK];
    struct audit_report report;
    if (text.p && !link_parse(text, named))
        return admin_refuse(call, ADMIN_USAGE, "expected 64 hexadecimal digits, not", text);
    verifying.troubles = json_array();
    struct err e =
        audit_verify(call->admin->engine, text.p ? named : NULL, trouble_tell, &verifying, &report);
    if (err_is(e)) {
        json_decref(verifying.troubles);
        return admin_fail(call, e);
    }
    return verify_show(&verifying, &report, text.p != NULL);
}

/* --- export and list ------------------------------------------------------------------------- */

struct telling {
    struct admin_call *call;
    bool json;
    bool failed;
};

/* {"number":7,"link":"...","time":...}: the event's own members behind two of the chain's. */
static void event_put_json(struct buf *to, const struct audit_entry *entry)
{
    struct buf event = BUF_INIT(LINE_MAX_OCTETS);
    if (entry->event.kind < TRACE_KIND_COUNT)
        trace_print_json(&entry->event, &event);
    struct str members = buf_str(&event);
    buf_printf(to, "{\"number\":%" PRIu64 ",\"link\":\"", entry->number);
    link_put(to, entry->link);
    buf_putc(to, '"');
    if (members.n > 2) {
        buf_putc(to, ',');
        buf_put(to, str_from_index(members, 1));
    } else {
        buf_putc(to, '}');
    }
    buf_done(&event);
}

static struct err event_tell(void *arg, const struct audit_entry *entry)
{
    struct telling *telling = arg;
    struct buf line = BUF_INIT(2 * LINE_MAX_OCTETS);
    if (telling->json)
        event_put_json(&line, entry);
    else if (entry->event.kind < TRACE_KIND_COUNT)
        trace_print(&entry->event, &line);
    else
        buf_printf(&line, "event %" PRIu64 " is of a later version", entry->number);
    buf_putc(&line, '\n');
    telling->failed |= buf_over(&line);
    admin_text(telling->call, buf_str(&line));
    buf_done(&line);
    return err_none();
}

/* `option`: as a time before now; nothing given: `standard`. */
static int time_take(struct admin_call *call, const char *option, int64_t standard, int64_t *time_r)
{
    struct str text = admin_value(call, option);
    int64_t span;
    *time_r = standard;
    if (!text.p)
        return ADMIN_OK;
    if (!admin_span(text, &span))
        return admin_refuse(call, ADMIN_USAGE, "expected a time like 90s, 15m, 1h or 7d, not",
                            text);
    *time_r = world_wall(call->admin->loop->world) - span;
    return ADMIN_OK;
}

static int events_tell(struct admin_call *call, bool json, int64_t since)
{
    struct telling telling = {.call = call, .json = json};
    int64_t until;
    int code = time_take(call, "--since", since, &since);
    if (!code)
        code = time_take(call, "--until", INT64_MAX, &until);
    if (code)
        return code;
    struct err e = audit_scan(call->admin->engine, since, until, event_tell, &telling);
    if (!err_is(e) && telling.failed)
        e = err_make(ERR_NO_MEMORY);
    return admin_fail(call, e);
}

int admin_audit_export(struct admin_call *call)
{
    return events_tell(call, true, 0);
}

int admin_audit_list(struct admin_call *call)
{
    int64_t day = SINCE_DAYS * INT64_C(86400) * US_PER_SECOND;
    return events_tell(call, call->admin->json, world_wall(call->admin->loop->world) - day);
}

/* --- Commands are events --------------------------------------------------------------------- */

static bool changes_nothing(const struct admin_command *command)
{
    static const char *const showing[] = {"show", "list", "presets", "verify", "top"};
    static const char *const nouns[] = {"audit", "trace", "status", "check"};
    struct str verb = str_from(command->verb);
    verb = str_from_index(verb, (size_t)(str_last_index(verb, ' ') + 1)); /* "grant list" */
    for (size_t i = 0; i < sizeof showing / sizeof *showing; i++)
        if (str_eq(verb, str_from(showing[i])))
            return true;
    for (size_t i = 0; i < sizeof nouns / sizeof *nouns; i++)
        if (strcmp(command->noun, nouns[i]) == 0)
            return true;
    return false;
}

/* Whatever an option about passwords has behind it is nobody's to read. */
static void arguments_put(struct buf *to, const struct str *words, size_t count)
{
    bool secret = false;
    for (size_t i = 0; i < count; i++) {
        if (i)
            buf_putc(to, ' ');
        if (secret)
            buf_put(to, STR("(hidden)"));
        else
            buf_put(to, words[i]);
        secret = !secret && str_eq(words[i], STR("--password-hash"));
    }
}

void admin_record(struct admin *admin, const struct admin_command *command, const struct str *words,
                  size_t count, int code)
{
    struct trace_event event = trace_event(TRACED_administered, world_wall(admin->loop->world));
    struct buf arguments = BUF_INIT(LINE_MAX_OCTETS);
    if (!admin->audit || changes_nothing(command))
        return;
    arguments_put(&arguments, words, count);
    trace_number(&event, TRACE_operator, admin->operator);
    trace_text(&event, TRACE_arguments, buf_str(&arguments));
    trace_number(&event, TRACE_exit, (uint64_t)code);
    /* What is done is done; where the disk is full, the event waits and the log says so. */
    (void)audit_keep(admin->audit, &event);
    buf_done(&arguments);
}
