/* Properties: what was taken is possible, survives its record octet by octet, and what is said to a
 * peer is taken again as the same; a record of any octets is refused or possible. */
#include "base/must.h"
#include "format/mail_options.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum {
    NOW = 1700000000,
    ENOUGH = 1 << 20,
};

static const struct capabilities everything = {.has = UINT32_MAX};

static bool mail_take(struct str text, struct arena *arena, struct mail_options *options_r)
{
    struct esmtp_params params;
    *options_r = (struct mail_options){0};
    struct err e = esmtp_params_parse(text, &params);
    for (uint32_t i = 0; !err_is(e) && i < params.n; i++)
        e = mail_options_take(options_r, &params.at[i], NOW, arena);
    return !err_is(e);
}

static bool rcpt_take(struct str text, bool utf8, struct arena *arena,
                      struct rcpt_options *options_r)
{
    struct esmtp_params params;
    *options_r = (struct rcpt_options){0};
    struct err e = esmtp_params_parse(text, &params);
    for (uint32_t i = 0; !err_is(e) && i < params.n; i++)
        e = rcpt_options_take(options_r, &params.at[i], utf8, arena);
    return !err_is(e);
}

static void mail_check(const struct mail_options *one, struct arena *arena)
{
    struct buf record = BUF_INIT(ENOUGH), again = BUF_INIT(ENOUGH), said = BUF_INIT(ENOUGH);
    struct mail_options two;
    must(mail_options_possible(one));
    mail_options_encode(&record, one);
    struct wire_in in = wire_in(buf_str(&record));
    mail_options_decode(&in, &two);
    must(wire_end(&in));
    mail_options_encode(&again, &two);
    must(str_eq(buf_str(&record), buf_str(&again)));
    mail_options_print(&said, one, &everything, NOW);
    must(str_is_printable_ascii(buf_str(&said)) && mail_take(buf_str(&said), arena, &two));
    must(two.ret == one->ret && two.priority == one->priority);
    must(two.require_tls == one->require_tls && two.tls_optional == one->tls_optional &&
         str_eq(two.envid, one->envid));
    must(two.deliver_by_mode == one->deliver_by_mode);
    buf_done(&record);
    buf_done(&again);
    buf_done(&said);
}

static void rcpt_check(const struct rcpt_options *one, bool utf8, struct arena *arena)
{
    struct buf record = BUF_INIT(ENOUGH), said = BUF_INIT(ENOUGH);
    struct rcpt_options two;
    must(rcpt_options_possible(one));
    rcpt_options_encode(&record, one);
    struct wire_in in = wire_in(buf_str(&record));
    rcpt_options_decode(&in, &two);
    must(wire_end(&in) && two.notify == one->notify && str_eq(two.orcpt, one->orcpt));
    rcpt_options_print(&said, one, &everything, utf8);
    must(utf8 || str_is_printable_ascii(buf_str(&said)));
    must(rcpt_take(buf_str(&said), utf8, arena, &two) && two.notify == one->notify);
    must(!two.orcpt.p || str_eq(two.orcpt, one->orcpt));
    buf_done(&record);
    buf_done(&said);
}

static void records_check(struct str record)
{
    struct wire_in in = wire_in(record);
    struct mail_options mail;
    struct rcpt_options rcpt;
    mail_options_decode(&in, &mail);
    must(mail_options_possible(&mail));
    in = wire_in(record);
    rcpt_options_decode(&in, &rcpt);
    must(rcpt_options_possible(&rcpt));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct arena arena;
    struct mail_options mail;
    struct rcpt_options rcpt;
    struct str text = str_make(data, n);
    arena_init(&arena, ENOUGH);
    if (mail_take(text, &arena, &mail))
        mail_check(&mail, &arena);
    for (unsigned utf8 = 0; utf8 < 2; utf8++) {
        if (!rcpt_take(text, utf8, &arena, &rcpt))
            continue;
        rcpt_check(&rcpt, false, &arena);
        rcpt_check(&rcpt, true, &arena);
    }
    records_check(text);
    arena_done(&arena);
    return 0;
}
