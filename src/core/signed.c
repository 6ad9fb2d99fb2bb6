/*
 * What signing takes on the way has memory of its own: it is many times what stays.
 */
#include "core/signed.h"

#include "conf/conf.h"
#include "core/arrived.h"
#include "core/departing.h"
#include "core/signing.h"
#include "format/header.h"
#include "format/summary.h"

enum {
    SIGNED_ARENA = SUMMARY_ARENA_MAX + 8 * HEADER_KEPT_MAX + 4 * DKIM_SIGN_ARENA_MORE,
};

/* Whose From it is; false: nobody's for certain. */
bool signed_author(struct str header, struct arena *arena, struct header_author *author_r)
{
    struct summary_limits limits = SUMMARY_LIMITS_DEFAULT;
    struct summary summary;
    struct header_field from;
    summary_init(&summary, arena, &limits);
    struct err e = summary_feed(&summary, header);
    if (!err_is(e))
        e = summary_end(&summary);
    return !err_is(e) && header_find(header, STR("From"), &from) &&
           !err_is(
               header_from_check(from.value, summary.from_count, summary.flags, arena, author_r));
}

/* One of those whom COMMIT named, and who were judged. An edge might name others. */
static bool is_judged(const struct msg_commit *asked, const struct header_author *author,
                      struct arena *arena)
{
    const struct addr addr = {
        .local = author->local, .domain = author->domain, .kind = ADDR_DOMAIN};
    struct buf text = buf_in(arena, 2 * ADDR_PATH_MAX);
    addr_print(&text, &addr);
    for (size_t i = 0; i < asked->authors_count; i++)
        if (str_eq_nocase(asked->authors[i].text, buf_str(&text)))
            return true;
    return false;
}

static struct err fields_make(const struct request *request, const struct transaction *transaction,
                              struct str header, struct arena *arena, struct str *fields_r)
{
    const struct msg_commit *asked = &request->msg.commit;
    struct core *core = request->peer->core;
    struct header_author author;
    if (!signed_author(header, arena, &author) ||
        (transaction->login && !is_judged(asked, &author, arena)))
        return err_none();
    const void *hash = asked->body_hash.p;
    return signing_fields(core, author.domain, header, hash, world_wall(core->world), arena,
                          fields_r);
}

static struct err may_leave_unsigned(struct core *core, struct err e)
{
    if (e.code != ERR_OVER_LIMIT)
        return e;
    log_err(core->log, "not_signed", e);
    return err_none();
}

struct err signed_fields(const struct request *request, const struct transaction *transaction,
                         struct str header, struct arena *arena, struct str *fields_r)
{
    struct core *core = request->peer->core;
    struct str fields = STR("");
    struct arena work;
    *fields_r = fields;
    if (request->msg.commit.body_hash.n != DKIM_HASH || !core->conf->dkim.sign ||
        !departing_is_trusted(core, transaction))
        return err_none();
    arena_init_from(&work, SIGNED_ARENA, &core->spares);
    struct err e =
        may_leave_unsigned(core, fields_make(request, transaction, header, &work, &fields));
    if (!err_is(e)) {
        *fields_r = arena_str(arena, fields);
        e = err_make(fields_r->p ? ERR_NONE : ERR_NO_MEMORY);
    }
    arena_done(&work);
    return e;
}

struct err signed_header(struct core *core, struct str domain, struct str headers,
                         const unsigned char hash[DKIM_HASH], struct arena *arena,
                         struct str *fields_r)
{
    struct str fields = STR("");
    struct arena work;
    arena_init_from(&work, SIGNED_ARENA, &core->spares);
    struct err e =
        signing_fields(core, domain, headers, hash, world_wall(core->world), &work, &fields);
    if (!err_is(e)) {
        *fields_r = arena_str(arena, fields);
        e = err_make(fields_r->p ? ERR_NONE : ERR_NO_MEMORY);
    }
    arena_done(&work);
    return e;
}

/* By the first of the name and those above it that has keys: From has the name itself, which is
 * aligned with each of them (RFC 7489 3.1.1). */
static struct err name_fields(struct core *core, struct str name, struct str headers,
                              const unsigned char hash[DKIM_HASH], struct arena *arena,
                              struct str *fields_r)
{
    struct err e = err_none();
    *fields_r = STR("");
    while (name.n && !fields_r->n && !err_is(e)) {
        e = signing_fields(core, name, headers, hash, world_wall(core->world), arena, fields_r);
        (void)str_cut(&name, '.');
    }
    return e;
}

struct err signed_by(struct delivery *delivery, struct str domain, struct str report,
                     struct str *signed_r)
{
    struct core *core = delivery->core;
    struct dkim_hash body;
    unsigned char hash[DKIM_HASH];
    ssize_t end = str_find(report, STR("\r\n\r\n"));
    struct str header = end < 0 ? report : str_head(report, (size_t)end + 4), fields = STR("");
    struct arena work;
    dkim_hash_begin(&body);
    dkim_hash_update(&body, str_from_index(report, header.n));
    dkim_hash_end(&body, hash);
    *signed_r = report;
    arena_init_from(&work, SIGNED_ARENA, &core->spares);
    struct err e =
        may_leave_unsigned(core, name_fields(core, domain, header, hash, &work, &fields));
    if (!err_is(e) && fields.n) {
        struct buf text = buf_in(delivery->arena, fields.n + report.n);
        buf_put(&text, fields);
        buf_put(&text, report);
        *signed_r = buf_built(&text);
        e = err_make(signed_r->p ? ERR_NONE : ERR_NO_MEMORY);
    }
    arena_done(&work);
    return e;
}

struct err signed_report(struct delivery *delivery, struct str report, struct str *signed_r)
{
    return signed_by(delivery, delivery->core->conf->server.hostname, report, signed_r);
}
