/*
 * `veredus dns query`: what the resolver says, as every other part of the server would hear it:
 * over the bus, from the same cache, with the same limits. So it answers "why was that mail not
 * sent".
 */
#include "core/admin_command.h"
#include "core/core.h"
#include "role/dns.h"

static int type_read(struct admin_call *call, struct str name, uint16_t *type_r)
{
    struct network address;
    *type_r = network_address(name, &address) ? DNS_PTR : DNS_MX;
    if (call->count < 2)
        return 0;
    if (dns_type_parse(call->words[1], type_r) && dns_type_ok(*type_r))
        return 0;
    return admin_refuse(call, ADMIN_USAGE, "expected a type such as MX, A or TXT, not",
                        call->words[1]);
}

/* An address is asked about backwards; what people write otherwise than the DNS is made its own. */
static int name_read(struct admin_call *call, uint16_t type, struct str *name_r)
{
    struct str text = call->words[0];
    struct buf reverse = buf_in(call->admin->arena, DNS_NAME_MAX);
    if (str_ends(text, STR(".")))
        text = str_head(text, text.n - 1);
    *name_r = text;
    if (type == DNS_PTR && dns_reverse(text, str_null(), &reverse))
        *name_r = buf_built(&reverse);
    else if (!str_is_ascii(text))
        return admin_domain_name(call, text, name_r);
    if (dns_name_ok(*name_r))
        return 0;
    return admin_refuse(call, ADMIN_DATA, "this is no name to ask for:", call->words[0]);
}

static const char *const verdicts[] = {
    [DNS_INSECURE] = "insecure", [DNS_SECURE] = "secure", [DNS_BOGUS] = "bogus"};

static json_t *records_of(struct admin_call *call, uint16_t type, const struct dns_raw *raw)
{
    json_t *list = json_array();
    struct buf text = BUF_INIT(ADMIN_LINE_MAX);
    for (size_t i = 0; i < raw->count; i++) {
        buf_clear(&text);
        dns_rdata_print(type, raw->records[i].rdata, call->admin->arena, &text);
        json_array_append_new(list, json_text(buf_str(&text)));
    }
    buf_done(&text);
    return list;
}

static void printed_put(json_t *object, const char *name, unsigned number,
                        void (*print)(unsigned, struct buf *))
{
    struct buf text = BUF_INIT(64);
    print(number, &text);
    json_put_text(object, name, buf_str(&text));
    buf_done(&text);
}

static void type_print(unsigned type, struct buf *to)
{
    dns_type_print((uint16_t)type, to);
}

/* What became of it in one word. */
static struct str outcome(struct err e)
{
    switch ((unsigned)e.code) {
    case ERR_NONE:
        return STR("found");
    case ERR_DNS_NO_NAME:
        return STR("no such name");
    case ERR_DNS_NO_DATA:
        return STR("no such record");
    case ERR_DNS_BOGUS:
        return STR("not to be believed");
    default:
        return STR("no answer");
    }
}

static int exit_code(struct err e)
{
    return !err_is(e)                                               ? ADMIN_OK
           : e.code == ERR_DNS_NO_NAME || e.code == ERR_DNS_NO_DATA ? ADMIN_NO_HOST
                                                                    : ADMIN_LATER;
}

static json_t *answer_object(struct admin_call *call, struct str name, uint16_t type, struct err e,
                             const struct dns_raw *raw)
{
    json_t *object = json_object();
    bool answered = !err_is(e) || e.code == ERR_DNS_NO_NAME || e.code == ERR_DNS_NO_DATA ||
                    e.code == ERR_DNS_BOGUS;
    json_put_text(object, "name", name);
    printed_put(object, "type", type, type_print);
    json_put_text(object, "outcome", outcome(e));
    if (e.code == ERR_DNS_NO_NAME || e.code == ERR_DNS_NO_DATA || !err_is(e))
        printed_put(object, "rcode", raw->rcode, dns_rcode_print);
    json_put_text(object, "dnssec", answered ? str_from(verdicts[raw->verdict]) : str_null());
    json_put_text(object, "why", e.detail);
    json_put_text(object, "canonical",
                  str_eq_nocase(raw->found.canonical, name) ? str_null() : raw->found.canonical);
    json_put(object, "records", records_of(call, type, raw));
    json_put_flag(object, "more", raw->cut);
    json_put_number(object, "ttl", raw->found.ttl);
    return object;
}

int admin_dns_query(struct admin_call *call)
{
    struct core *core = call->admin->core;
    struct dns_raw raw;
    struct str name;
    uint16_t type;
    if (!core)
        return admin_refuse(call, ADMIN_UNAVAILABLE, "the server is down, and its resolver, too",
                            str_null());
    int code = type_read(call, call->words[0], &type);
    if (!code)
        code = name_read(call, type, &name);
    if (code)
        return code;
    int64_t began = world_mono(core->world);
    struct err e = dns_raw(&core->dns, name, type, call->admin->arena, &raw);
    json_t *object = answer_object(call, name, type, e, &raw);
    json_put_number(object, "took_ms",
                    (uint64_t)((world_mono(core->world) - began + NS_PER_MS / 2) / NS_PER_MS));
    code = admin_show(call, object);
    return code ? code : exit_code(e);
}
