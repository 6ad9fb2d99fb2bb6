/*
 * Why one item is one JSON object with the whole record in it: whoever keeps zones by program reads
 * `publish`; whoever does by hand copies the line.
 */
#include "core/check.h"

#include "core/core.h"
#include "trust/dkim_key.h"

static const char *const state_words[] = {[CHECK_OK] = "ok",
                                          [CHECK_NOTE] = "note",
                                          [CHECK_WARN] = "warn",
                                          [CHECK_FAIL] = "FAIL",
                                          [CHECK_UNKNOWN] = "unknown"};

/* --- Texts ----------------------------------------------------------------------------------- */

struct str check_text(struct check *check, const char *format, ...)
{
    struct buf text = buf_in(check->arena, CHECK_TEXT);
    va_list args;
    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    return buf_built(&text);
}

struct str check_quoted(struct check *check, struct str text)
{
    struct buf quoted = buf_in(check->arena, CHECK_TEXT);
    buf_putc(&quoted, '"');
    buf_put_escaped(&quoted, text, CHECK_TEXT / 8);
    buf_putc(&quoted, '"');
    return buf_built(&quoted);
}

struct str check_record(struct check *check, struct str name, const char *type, struct str value)
{
    if (!value.p)
        return str_null();
    return check_text(check, "%.*s. IN %s %.*s", STR_FMT(name), type, STR_FMT(value));
}

struct str check_txt_record(struct check *check, struct str name, struct str text)
{
    struct buf value = buf_in(check->arena, CHECK_TEXT);
    if (!text.p)
        return str_null();
    dkim_record_quote(text, &value);
    return check_record(check, name, "TXT", buf_built(&value));
}

/* --- Items ----------------------------------------------------------------------------------- */

void check_say(struct check *check, const char *item, enum check_state state, struct str text,
               struct str publish, struct str command)
{
    json_t *object = json_object();
    json_put_text(object, "item", str_from(item));
    json_put_text(object, "state", str_from(state_words[state]));
    json_put_text(object, "text", text);
    json_put_text(object, "publish", publish);
    json_put_text(object, "command", command);
    json_array_append_new(check->items, object);
    check->any[state] = true;
}

bool check_unknown(struct check *check, const char *item, struct str name, struct err e)
{
    if (!err_is(e) || check_is_absent(e))
        return false;
    const char *why = e.code == ERR_DNS_BOGUS ? "its signatures are wrong (DNSSEC): nobody who "
                                                "looks at them believes it"
                                              : "the DNS did not answer";
    check_say(check, item, e.code == ERR_DNS_BOGUS ? CHECK_FAIL : CHECK_UNKNOWN,
              check_text(check, "%.*s: %s", STR_FMT(name), why), str_null(), str_null());
    return true;
}

struct err check_texts(struct check *check, struct str name, const struct str **texts_r,
                       size_t *count_r)
{
    struct dns_txts found;
    *count_r = 0;
    struct err e = dns_txt(check->dns, name, check->arena, &found);
    if (err_is(e))
        return e;
    struct str *texts = arena_take_array(check->arena, found.count, sizeof *texts);
    if (!texts)
        return err_make(ERR_OVER_LIMIT);
    for (size_t i = 0; i < found.count; i++)
        texts[i] = found.list[i].joined;
    *texts_r = texts;
    *count_r = found.count;
    return err_none();
}

bool check_is_own(const struct check *check, const char *address)
{
    struct network network;
    if (!network_address(str_from(address), &network))
        return false;
    for (size_t i = 0; i < check->own_count; i++)
        if (network_eq(&network, &check->own[i]))
            return true;
    return false;
}

/* --- The command ----------------------------------------------------------------------------- */

static int addresses_read(struct admin_call *call, struct check *check)
{
    for (size_t i = 0; i < call->given_count; i++) {
        if (!str_eq(call->given[i].name, STR("--address")))
            continue;
        if (check->own_count == CHECK_ADDRESSES)
            return admin_refuse(call, ADMIN_USAGE, "too many of", STR("--address"));
        if (!network_address(call->given[i].value, &check->own[check->own_count++]))
            return admin_refuse(call, ADMIN_USAGE, "no IP address:", call->given[i].value);
    }
    return 0;
}

static void line_put(struct buf *to, const char *before, const json_t *value)
{
    struct str rest = str_from(json_string_value(value));
    while (rest.n > 0) {
        struct str line = str_cut(&rest, '\n');
        buf_put(to, str_from(before));
        buf_put(to, line);
        buf_putc(to, '\n');
    }
}

/* "FAIL     spf        example.org has none", and what is to be done indented below. */
static void items_print(struct admin_call *call, const json_t *items)
{
    struct buf text = BUF_INIT(ADMIN_LINE_MAX);
    size_t i;
    json_t *item;
    json_array_foreach(items, i, item)
    {
        buf_printf(&text, "%-8s %-10s ", json_string_value(json_object_get(item, "state")),
                   json_string_value(json_object_get(item, "item")));
        line_put(&text, "", json_object_get(item, "text"));
        line_put(&text, "             publish: ", json_object_get(item, "publish"));
        line_put(&text, "             do:      ", json_object_get(item, "command"));
    }
    admin_text(call, buf_str(&text));
    buf_done(&text);
}

static int show(struct check *check)
{
    struct admin_call *call = check->call;
    json_t *item;
    size_t i;
    if (!call->admin->json) {
        items_print(call, check->items);
    } else {
        struct admin_list list = admin_list_open(call);
        json_array_foreach(check->items, i, item) admin_list_item(&list, json_incref(item));
        int code = admin_list_close(&list, err_none());
        if (code)
            return code;
    }
    if (check->any[CHECK_FAIL])
        return ADMIN_FOUND_WANTING;
    return check->any[CHECK_UNKNOWN] ? ADMIN_LATER : ADMIN_OK;
}

static struct str own_name(const struct conf *conf)
{
    return conf->sending.helo.n > 0 ? conf->sending.helo : conf->server.hostname;
}

int admin_check_domain(struct admin_call *call)
{
    struct core *core = call->admin->core;
    if (!core)
        return admin_refuse(call, ADMIN_UNAVAILABLE, "the server is down, and its resolver, too",
                            str_null());
    struct check *check = arena_new(call->admin->arena, struct check);
    if (!check)
        return admin_fail(call, err_make(ERR_NO_MEMORY));
    *check = (struct check){.call = call,
                            .dns = &core->dns,
                            .arena = call->admin->arena,
                            .conf = call->admin->conf,
                            .host = own_name(call->admin->conf),
                            .looks = !admin_has(call, "--no-connect")};
    int code = addresses_read(call, check);
    if (!code)
        code = admin_domain_name(call, call->words[0], &check->domain);
    if (code)
        return code;
    if (!dns_name_ok(check->domain))
        return admin_refuse(call, ADMIN_DATA, "this is no name in the DNS:", call->words[0]);
    check->items = json_array();
    check_hosts(check);
    check_spf(check);
    check_policy(check);
    check_tls(check);
    check_look(check);
    code = arena_over(check->arena) ? admin_fail(call, err_make(ERR_NO_MEMORY)) : show(check);
    json_decref(check->items);
    return code;
}
