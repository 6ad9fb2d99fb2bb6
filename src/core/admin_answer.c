/*
 * Exit codes by what a script can do about them: 65 the input is wrong, 67 and 68 it is not there,
 * 73 it is there already or in use, 75 the same may work later.
 */
#include "base/must.h"
#include "core/admin_command.h"

enum {
    ABOUT_MAX = 1024,
};

/* --- Errors --- */

static int exit_of(enum err_code code)
{
    switch ((unsigned)code) {
    case ERR_NONE:
        return ADMIN_OK;
    case ERR_NOT_FOUND:
    case ERR_MAILBOX_UNKNOWN:
        return ADMIN_NO_USER;
    case ERR_DOMAIN_UNKNOWN:
        return ADMIN_NO_HOST;
    case ERR_EXISTS:
    case ERR_IN_USE:
        return ADMIN_CANNOT_CREATE;
    case ERR_ADDRESS_SYNTAX:
    case ERR_NAME_REFUSED:
    case ERR_ALIAS_LOOP:
    case ERR_CONFIG:
    case ERR_OVER_LIMIT:
    case ERR_MESSAGE_FROM:
    case ERR_MESSAGE_TOO_LARGE:
        return ADMIN_DATA;
    case ERR_USAGE:
        return ADMIN_USAGE;
    case ERR_NOT_ALLOWED:
        return ADMIN_NOT_ALLOWED;
    case ERR_DISK_FULL:
    case ERR_DISK_FAILED:
    case ERR_STORE_DAMAGED:
    case ERR_STORE_READ_ONLY:
        return ADMIN_DISK;
    default:
        return ADMIN_LATER;
    }
}

static void error_put(struct admin_call *call, int code, struct str words)
{
    struct admin *admin = call->admin;
    struct buf text = BUF_INIT(ADMIN_LINE_MAX);
    if (admin->json) {
        json_t *object = json_object();
        json_put_text(object, "error", words);
        json_put_number(object, "exit", (uint64_t)code);
        char *dump = object ? json_dumps(object, JSON_COMPACT) : NULL;
        buf_put(&text, str_from(dump));
        free(dump);
        json_decref(object);
    } else {
        buf_put(&text, STR("veredus: "));
        buf_put(&text, words);
    }
    buf_putc(&text, '\n');
    admin->out(admin->arg, buf_str(&text), true);
    buf_done(&text);
}

int admin_fail(struct admin_call *call, struct err e)
{
    if (!err_is(e))
        return ADMIN_OK;
    int code = exit_of(e.code);
    struct buf words = BUF_INIT(4 * ABOUT_MAX);
    buf_put(&words, e.detail.n ? e.detail : str_from(err_row(e.code)->text));
    if (e.os)
        buf_printf(&words, ": %s", strerrordesc_np(e.os));
    error_put(call, code, buf_str(&words));
    buf_done(&words);
    return code;
}

int admin_refuse(struct admin_call *call, int code, const char *words, struct str about)
{
    struct buf text = BUF_INIT(8 * ABOUT_MAX);
    buf_put(&text, str_from(words));
    if (about.n) {
        buf_put(&text, STR(" \""));
        buf_put_escaped(&text, about, ABOUT_MAX);
        buf_putc(&text, '"');
    }
    error_put(call, code, buf_str(&text));
    buf_done(&text);
    return code;
}

/* --- Members --- */

json_t *json_text(struct str text)
{
    json_t *value = json_stringn(text.n ? text.p : "", text.n);
    if (value)
        return value;
    /* Not UTF-8: shown escaped rather than not at all. */
    struct buf escaped = BUF_INIT(ADMIN_LINE_MAX);
    buf_put_escaped(&escaped, text, ABOUT_MAX);
    value = json_stringn(escaped.p, escaped.n);
    buf_done(&escaped);
    return value;
}

void json_put(json_t *object, const char *name, json_t *value)
{
    json_object_set_new(object, name, value);
}

void json_put_text(json_t *object, const char *name, struct str text)
{
    json_put(object, name, json_text(text));
}

void json_put_number(json_t *object, const char *name, uint64_t number)
{
    json_put(object, name, json_integer((json_int_t)number));
}

void json_put_flag(json_t *object, const char *name, bool flag)
{
    json_put(object, name, json_boolean(flag));
}

void json_put_time(json_t *object, const char *name, int64_t time)
{
    struct tm when;
    char text[64];
    time_t seconds = (time_t)(time / US_PER_SECOND);
    if (!gmtime_r(&seconds, &when) ||
        strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &when) == 0)
        text[0] = '\0';
    json_put_text(object, name, str_from(text));
}

json_t *admin_address(const struct admin_call *call, struct str address)
{
    struct buf shown = BUF_INIT(ADMIN_LINE_MAX);
    addr_text_display(&shown, address);
    json_t *value = json_text(call->admin->json ? address : buf_str(&shown));
    buf_done(&shown);
    return value;
}

void admin_put_name(const struct admin_call *call, json_t *object, const char *name,
                    struct str address)
{
    struct buf shown = BUF_INIT(ADMIN_LINE_MAX);
    addr_text_display(&shown, address);
    json_put(object, name, admin_address(call, address));
    if (call->admin->json && !str_eq(buf_str(&shown), address))
        json_put_text(object, "display", buf_str(&shown));
    buf_done(&shown);
}

struct str admin_stored(const struct admin_call *call, const struct addr *addr)
{
    struct buf buf = BUF_INIT(ADDR_PATH_MAX);
    directory_name_print(&buf, addr);
    struct str text = buf_copy(&buf, call->admin->arena);
    buf_done(&buf);
    return text;
}

/* --- As text --- */

static bool says_nothing(const json_t *value)
{
    return json_is_null(value) || json_is_false(value) ||
           (json_is_string(value) && json_string_length(value) == 0) ||
           (json_is_array(value) && json_array_size(value) == 0) ||
           (json_is_integer(value) && json_integer_value(value) == 0);
}

static void value_put(struct buf *to, const json_t *value)
{
    if (json_is_string(value))
        buf_put(to, str_make(json_string_value(value), json_string_length(value)));
    else if (json_is_integer(value))
        buf_put_u64(to, (uint64_t)json_integer_value(value));
    else if (json_is_boolean(value))
        buf_put(to, json_is_true(value) ? STR("yes") : STR("no"));
}

/* "a, b and 3 more" would hide members: all are shown. */
static void values_put(struct buf *to, const json_t *value, const char *between)
{
    if (!json_is_array(value)) {
        value_put(to, value);
        return;
    }
    for (size_t i = 0; i < json_array_size(value); i++) {
        buf_printf(to, "%s", i ? between : "");
        value_put(to, json_array_get(value, i));
    }
}

/* A line: the first member, then "name: value" of those that say something. */
void admin_line_put(struct buf *to, json_t *object)
{
    const char *name;
    json_t *value;
    bool first = true, any = false;
    json_object_foreach(object, name, value)
    {
        if (first) {
            value_put(to, value);
            first = false;
            continue;
        }
        if (says_nothing(value))
            continue;
        buf_put(to, any ? STR(", ") : STR("  "));
        any = true;
        buf_printf(to, "%s", name);
        if (json_is_true(value))
            continue;
        buf_put(to, STR(": "));
        values_put(to, value, " ");
    }
    buf_putc(to, '\n');
}

void admin_lines_put(struct buf *to, json_t *object)
{
    const char *name;
    json_t *value;
    json_object_foreach(object, name, value)
    {
        if (says_nothing(value) && !json_is_integer(value))
            continue;
        buf_printf(to, "%-16s ", name);
        values_put(to, value, "\n                 ");
        buf_putc(to, '\n');
    }
}

static void json_dump_put(struct buf *to, const json_t *object)
{
    char *dump = json_dumps(object, JSON_COMPACT);
    buf_put(to, str_from(dump));
    free(dump);
}

/* --- Answers --- */

void admin_text(struct admin_call *call, struct str text)
{
    call->admin->out(call->admin->arg, text, false);
}

static int answer_put(struct admin_call *call, struct buf *text)
{
    bool whole = !buf_over(text);
    if (whole)
        admin_text(call, buf_str(text));
    buf_done(text);
    return whole ? ADMIN_OK : admin_fail(call, err_make(ERR_NO_MEMORY));
}

int admin_show(struct admin_call *call, json_t *object)
{
    struct buf text = BUF_INIT(ADMIN_ARENA);
    if (!object)
        return admin_fail(call, err_make(ERR_NO_MEMORY));
    if (call->admin->json) {
        json_dump_put(&text, object);
        buf_putc(&text, '\n');
    } else {
        admin_lines_put(&text, object);
    }
    json_decref(object);
    return answer_put(call, &text);
}

int admin_done(struct admin_call *call, const char *done, const char *what, struct str about)
{
    if (call->admin->json) {
        json_t *object = json_object();
        json_put_text(object, "done", str_from(done));
        admin_put_name(call, object, what, about);
        return admin_show(call, object);
    }
    struct buf text = BUF_INIT(8 * ABOUT_MAX);
    buf_printf(&text, "%s %s ", done, what);
    addr_text_display(&text, about);
    buf_putc(&text, '\n');
    return answer_put(call, &text);
}

struct admin_list admin_list_open(struct admin_call *call)
{
    if (call->admin->json)
        admin_text(call, STR("["));
    return (struct admin_list){.call = call};
}

void admin_list_item(struct admin_list *list, json_t *object)
{
    struct buf text = BUF_INIT(ADMIN_ARENA);
    if (!object) {
        list->failed = true;
        return;
    }
    if (list->call->admin->json) {
        buf_put(&text, list->any ? STR(",\n") : STR("\n"));
        json_dump_put(&text, object);
    } else {
        admin_line_put(&text, object);
    }
    list->any = true;
    json_decref(object);
    list->failed |= buf_over(&text);
    admin_text(list->call, buf_str(&text));
    buf_done(&text);
}

int admin_list_close(struct admin_list *list, struct err e)
{
    if (list->call->admin->json)
        admin_text(list->call, STR("\n]\n"));
    if (!err_is(e) && list->failed)
        e = err_make(ERR_NO_MEMORY);
    return admin_fail(list->call, e);
}
