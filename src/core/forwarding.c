/*
 * Why the sender is rewritten when a job is given out and not when the message is accepted: reports
 * of ours go to the one who sent it without a detour, operators see him, and the time in the
 * rewritten one is that of the try.
 */
#include "core/forwarding.h"

#include "base/must.h"

static int64_t seconds(const struct core *core)
{
    return world_wall(core->world) / US_PER_SECOND;
}

struct err forwarding_keys(struct core *core)
{
    return forward_keys_take(core->engine, core->world, &core->forward);
}

static struct err is_ours(struct core *core, struct str name, struct arena *arena, bool *ours_r)
{
    struct domain domain;
    struct err e = directory_domain_show(&core->directory, name, arena, &domain);
    *ours_r = !err_is(e);
    return e.code == ERR_DOMAIN_UNKNOWN ? err_none() : e;
}

struct err forwarding_rewrites(struct core *core, const struct addr *sender, struct arena *arena,
                               bool *rewrites_r)
{
    bool ours = true;
    struct err e = err_none();
    if (sender->kind == ADDR_DOMAIN)
        e = is_ours(core, sender->domain, arena, &ours);
    *rewrites_r = !ours;
    return e;
}

struct str forwarding_sender(const struct core *core, const struct queue_entry *entry,
                             struct arena *arena)
{
    struct addr sender, forwarder, rewritten;
    must(entry->recipient_count > 0);
    if (!(entry->flags & QUEUE_FORWARDED) || err_is(addr_parse(entry->sender, arena, &sender)) ||
        err_is(addr_parse(entry->recipients[0].given, arena, &forwarder)) ||
        err_is(srs_forward(&core->forward.srs, &sender, forwarder.domain, seconds(core), arena,
                           &rewritten)))
        return entry->sender;
    struct buf text = buf_in(arena, ADDR_PATH_MAX);
    addr_print(&text, &rewritten);
    struct str built = buf_built(&text);
    return built.p ? built : entry->sender;
}

struct err forwarding_is_back(struct core *core, const struct addr *addr, struct arena *arena,
                              bool *is_back_r)
{
    *is_back_r = false;
    if (addr->kind != ADDR_DOMAIN || !srs_is(addr->local))
        return err_none();
    return is_ours(core, addr->domain, arena, is_back_r);
}

static struct err outside_set(const struct addr *original, struct arena *arena,
                              struct resolved *resolved)
{
    struct buf text = buf_in(arena, ADDR_PATH_MAX);
    addr_print(&text, original);
    resolved->outside = arena_new(arena, struct outside);
    if (!resolved->outside)
        return err_make(ERR_NO_MEMORY);
    *resolved->outside = (struct outside){.addr = *original, .text = buf_built(&text)};
    resolved->outside_count = 1;
    resolved->kind = RESOLVED_FOUND;
    resolved->refusal = err_none();
    return err_make(resolved->outside->text.p ? ERR_NONE : ERR_NO_MEMORY);
}

struct err forwarding_back(struct core *core, const struct addr *addr, bool null_path,
                           struct arena *arena, struct resolved *resolved_r)
{
    struct addr original;
    if (!null_path)
        return err_make(ERR_MAILBOX_UNKNOWN);
    struct err e = srs_reverse(&core->forward.srs, addr, seconds(core), SRS_DAYS, arena, &original);
    if (!err_is(e))
        e = directory_resolve(&core->directory, &original, 0, str_null(), arena, resolved_r);
    if (!err_is(e) && resolved_r->kind == RESOLVED_RELAY)
        e = outside_set(&original, arena, resolved_r);
    return e;
}
