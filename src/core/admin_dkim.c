/*
 * dkim add|check|published|list|show|rotate|remove. The store is changed; while the server is up
 * core is told to load what has changed. What is shown of a key is what is in the DNS, or will be.
 */
#include "core/admin_command.h"
#include "core/signing.h"

enum {
    ZONE_MAX = 2048
};

/* --- What was typed --------------------------------------------------------------------------- */

static int domain_read(struct admin_call *call, struct str *domain_r)
{
    int code = admin_domain_name(call, call->words[0], domain_r);
    if (code)
        return code;
    if (domain_r->p[0] == '[')
        return admin_refuse(call, ADMIN_DATA, "an address literal has no records:", *domain_r);
    if (domain_r->n > DKIM_SIGNING_DOMAIN_MAX)
        return admin_refuse(call, ADMIN_DATA, "too long for the names of its records:", *domain_r);
    return ADMIN_OK;
}

static struct err core_reload(struct admin_call *call, struct str domain)
{
    struct core *core = call->admin->core;
    return core ? signing_reload(core, domain) : err_none();
}

/* --- Keys as they are shown ------------------------------------------------------------------- */

static void name_put(json_t *object, const char *member, const struct dkim_kept *kept)
{
    struct buf name = BUF_INIT(ZONE_MAX);
    dkim_record_name(kept->selector, kept->domain, &name);
    json_put_text(object, member, buf_str(&name));
    buf_done(&name);
}

static void zone_put(json_t *object, const struct dkim_kept *kept)
{
    struct buf zone = BUF_INIT(ZONE_MAX);
    dkim_record_name(kept->selector, kept->domain, &zone);
    buf_put(&zone, STR(". IN TXT "));
    dkim_record_quote(kept->record, &zone);
    json_put_text(object, "zone", buf_str(&zone));
    buf_done(&zone);
}

/* What an operator has to do about it. */
static struct str next_step(enum dkim_state state)
{
    static const struct str words[] = {
        [DKIM_MADE] =
            STR_INIT("publish its record; then: veredus dkim check, or within an hour by itself"),
        [DKIM_ACTIVE] = STR_INIT("its record must stay"),
        [DKIM_RETIRING] = STR_INIT("its record must stay for mail that is on its way"),
        [DKIM_RETIRED] = STR_INIT("its record may be removed, then: veredus dkim remove")};
    return words[state];
}

static json_t *key_object(const struct dkim_kept *kept)
{
    json_t *object = json_object();
    json_put_text(object, "selector", kept->selector);
    json_put_text(object, "domain", kept->domain);
    json_put_text(object, "algorithm",
                  kept->algorithm == DKIM_RSA ? STR("rsa-sha256") : STR("ed25519-sha256"));
    json_put_text(object, "state", dkim_state_name(kept->state));
    json_put_time(object, "since", kept->since);
    json_put_time(object, "created", kept->created);
    return object;
}

static json_t *record_object(const struct dkim_kept *kept)
{
    json_t *object = key_object(kept);
    json_put_text(object, "next", next_step(kept->state));
    name_put(object, "name", kept);
    json_put_text(object, "record", kept->record);
    zone_put(object, kept);
    return object;
}

struct showing {
    struct admin_call *call;
    struct admin_list *list; /* JSON: all in one document */
    bool made_only, any;
};

static struct err record_show(void *arg, const struct dkim_kept *kept)
{
    struct showing *showing = arg;
    if (showing->made_only && kept->state != DKIM_MADE)
        return err_none();
    if (showing->list) {
        admin_list_item(showing->list, record_object(kept));
    } else {
        if (showing->any)
            admin_text(showing->call, STR("\n"));
        (void)admin_show(showing->call, record_object(kept));
    }
    showing->any = true;
    return err_none();
}

static int records_show(struct admin_call *call, struct str domain, bool made_only)
{
    struct admin *admin = call->admin;
    struct showing showing = {.call = call, .made_only = made_only};
    struct admin_list list;
    if (admin->json) {
        list = admin_list_open(call);
        showing.list = &list;
    }
    struct err e = dkim_kept_each(admin->engine, domain, record_show, &showing);
    if (!err_is(e) && !showing.any)
        e = err_detail(ERR_NOT_FOUND, STR("the domain has no signing keys"));
    return admin->json ? admin_list_close(&list, e) : admin_fail(call, e);
}

int admin_dkim_show(struct admin_call *call)
{
    struct str domain;
    int code = domain_read(call, &domain);
    return code ? code : records_show(call, domain, false);
}

static struct err key_item(void *arg, const struct dkim_kept *kept)
{
    struct admin_list *list = arg;
    admin_list_item(list, key_object(kept));
    return err_none();
}

int admin_dkim_list(struct admin_call *call)
{
    struct str domain = str_null();
    int code = call->count ? domain_read(call, &domain) : ADMIN_OK;
    if (code)
        return code;
    struct admin_list list = admin_list_open(call);
    struct err e = dkim_kept_each(call->admin->engine, domain, key_item, &list);
    return admin_list_close(&list, e);
}

/* --- What the DNS says -------------------------------------------------------------------------
 */

struct checking {
    struct admin_call *call;
    struct str selectors[DKIM_KEYS_MAX];
    size_t count;
};

/* A record that may be removed is nobody's to look for. */
static struct err check_note(void *arg, const struct dkim_kept *kept)
{
    struct checking *checking = arg;
    struct arena *arena = checking->call->admin->arena;
    if (kept->state != DKIM_RETIRED && checking->count < DKIM_KEYS_MAX)
        checking->selectors[checking->count++] = arena_str(arena, kept->selector);
    return err_make(arena_over(arena) ? ERR_NO_MEMORY : ERR_NONE);
}

/* False: it is not seen. An error of ours ends the check. */
static struct err record_check(struct admin_call *call, struct str domain, struct str selector,
                               struct admin_list *list, bool *seen_r)
{
    struct admin *admin = call->admin;
    struct buf name = buf_in(admin->arena, ZONE_MAX);
    struct str said = STR("");
    struct err e = signing_seek(admin->core, domain, selector, admin->arena, &said);
    *seen_r = !err_is(e);
    if (err_is(e) && e.code != ERR_NOT_FOUND && e.code != ERR_TRY_LATER)
        return e;
    dkim_record_name(selector, domain, &name);
    json_t *object = json_object();
    json_put_text(object, "record", buf_str(&name));
    json_put_text(object, "seen", *seen_r ? STR("yes") : STR("no"));
    json_put_text(object, "dns", said);
    admin_list_item(list, object);
    return err_none();
}

static struct err records_check(struct admin_call *call, struct str domain, struct admin_list *list,
                                bool *all_r)
{
    struct checking *checking = arena_new(call->admin->arena, struct checking);
    if (!checking)
        return err_make(ERR_NO_MEMORY);
    checking->call = call;
    struct err e = dkim_kept_each(call->admin->engine, domain, check_note, checking);
    if (!err_is(e) && checking->count == 0)
        e = err_detail(ERR_NOT_FOUND, STR("the domain has no signing keys"));
    for (size_t i = 0; i < checking->count && !err_is(e); i++) {
        bool seen = false;
        e = record_check(call, domain, checking->selectors[i], list, &seen);
        *all_r = *all_r && seen;
    }
    return e;
}

int admin_dkim_check(struct admin_call *call)
{
    struct str domain;
    bool all = true;
    int code = domain_read(call, &domain);
    if (!code && !call->admin->core)
        return admin_refuse(call, ADMIN_UNAVAILABLE, "the server is down, and its resolver, too",
                            str_null());
    if (code)
        return code;
    struct admin_list list = admin_list_open(call);
    struct err e = records_check(call, domain, &list, &all);
    code = admin_list_close(&list, e);
    return code || all ? code : ADMIN_DATA;
}

/* --- Changes ---------------------------------------------------------------------------------- */

static int pair_make(struct admin_call *call, bool first)
{
    struct admin *admin = call->admin;
    struct str domain;
    int code = domain_read(call, &domain);
    if (!code)
        code = admin_fail(call, signing_make(admin->engine, admin->hashes, domain, first,
                                             world_wall(admin->loop->world)));
    return code ? code : records_show(call, domain, true);
}

int admin_dkim_add(struct admin_call *call)
{
    return pair_make(call, true);
}

int admin_dkim_rotate(struct admin_call *call)
{
    return pair_make(call, false);
}

struct waiting {
    struct arena *arena;
    struct str only; /* or p == NULL */
    struct str selectors[DKIM_KEYS_MAX];
    size_t count;
};

static struct err waiting_note(void *arg, const struct dkim_kept *kept)
{
    struct waiting *waiting = arg;
    bool asked = !waiting->only.p || str_eq(waiting->only, kept->selector);
    if (asked && kept->state == DKIM_MADE && waiting->count < DKIM_KEYS_MAX)
        waiting->selectors[waiting->count++] = arena_str(waiting->arena, kept->selector);
    return err_make(arena_over(waiting->arena) ? ERR_NO_MEMORY : ERR_NONE);
}

static struct err publish(struct admin_call *call, struct str domain)
{
    struct admin *admin = call->admin;
    struct waiting *waiting = arena_new(admin->arena, struct waiting);
    int64_t now = world_wall(admin->loop->world);
    if (!waiting)
        return err_make(ERR_NO_MEMORY);
    waiting->arena = admin->arena;
    waiting->only = call->count > 1 ? call->words[1] : str_null();
    struct err e = dkim_kept_each(admin->engine, domain, waiting_note, waiting);
    if (!err_is(e) && waiting->count == 0)
        e = err_detail(ERR_NOT_FOUND, STR("no key of the domain waits for its record"));
    for (size_t i = 0; i < waiting->count && !err_is(e); i++)
        e = dkim_kept_published(admin->engine, domain, waiting->selectors[i], now);
    struct err loaded = core_reload(call, domain); /* of what was changed before an error, too */
    return err_is(e) ? e : loaded;
}

int admin_dkim_published(struct admin_call *call)
{
    struct str domain;
    int code = domain_read(call, &domain);
    if (!code)
        code = admin_fail(call, publish(call, domain));
    return code ? code : admin_done(call, "published", "dkim", domain);
}

int admin_dkim_remove(struct admin_call *call)
{
    struct str domain;
    int code = domain_read(call, &domain);
    if (code)
        return code;
    struct err e = dkim_kept_remove(call->admin->engine, domain,
                                    call->count > 1 ? call->words[1] : str_null());
    if (!err_is(e))
        e = core_reload(call, domain);
    code = admin_fail(call, e);
    return code ? code : admin_done(call, "removed", "dkim", domain);
}
