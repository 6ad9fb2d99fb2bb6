/*
 * The question of RCPT. Everything is read in a scratch arena, since following a list of 10,000
 * reads megabytes of which the caller wants a few; only the copies, and what is elsewhere, go into
 * the caller's.
 *
 * A copy without room refuses the recipient where it came by no list: then nobody gets it and the
 * sender keeps it, which is better than some getting it and one losing it. A list refuses
 * for no member: its owner hears of it (core does that).
 */
#include "base/must.h"
#include "store/directory_find.h"
#include "store/directory_record.h"

enum {
    SCRATCH_MAX = 128 * 1024 * 1024
};

void directory_init(struct directory *directory, struct engine *engine, struct world *world,
                    const struct directory_settings *settings)
{
    *directory = (struct directory){
        .magic = DIRECTORY_MAGIC, .engine = engine, .world = world, .settings = *settings};
}

/* One question: who, with how large a message. */
struct asked {
    const struct addr *addr;
    uint64_t size;
    struct arena *arena; /* of the answer */
};

uint64_t directory_quota(const struct directory *directory, const struct account *account)
{
    if (account->quota == QUOTA_NONE)
        return 0;
    return account->quota ? account->quota : directory->settings.quota;
}

enum language directory_language(const struct directory *directory, const struct account *account)
{
    static const enum language own[ACCOUNT_LANGUAGES] = {
        [ACCOUNT_LANGUAGE_ENGLISH] = LANGUAGE_ENGLISH,
        [ACCOUNT_LANGUAGE_CHINESE] = LANGUAGE_CHINESE,
    };
    return account->language == ACCOUNT_LANGUAGE_DEFAULT ? directory->settings.language
                                                         : own[account->language];
}

enum err_code copy_room(const struct copy *copy, uint64_t size)
{
    if (copy->quota == 0)
        return ERR_NONE;
    if (size > copy->quota)
        return ERR_QUOTA_FULL;
    bool fits = copy->used < copy->quota && size <= copy->quota - copy->used;
    return fits ? ERR_NONE : ERR_QUOTA_FULL_LATER;
}

static struct err copy_fill(struct draft *draft, const struct reached *reached,
                            const struct asked *asked, struct copy *copy)
{
    struct arena *arena = asked->arena;
    const struct account *account = &reached->account;
    struct usage usage;
    struct err e = mailbox_usage(draft->directory->engine, account->id, draft->arena, &usage);
    if (err_is(e))
        return e;
    *copy = (struct copy){
        .account = account->id,
        .mailbox = account->inbox,
        .address = arena_str(arena, account->address),
        .delivered_to = arena_str(arena, reached->delivered_to),
        .list = reached->list.p ? arena_str(arena, reached->list) : str_null(),
        .list_owner = reached->list.p ? arena_str(arena, reached->list_owner) : str_null(),
        .quota = directory_quota(draft->directory, account),
        .used = usage.octets,
        .language = directory_language(draft->directory, account),
        .disabled = account->disabled,
    };
    copy->over_quota = copy_room(copy, asked->size) != ERR_NONE;
    return err_none();
}

static struct err copies_fill(struct draft *draft, const struct expansion *expansion,
                              const struct asked *asked, struct resolved *resolved)
{
    resolved->copies = arena_take_array(asked->arena, expansion->count, sizeof(struct copy));
    if (!resolved->copies)
        return err_make(ERR_OVER_LIMIT);
    struct reached *reached;
    TAILQ_FOREACH (reached, &expansion->reached, link) {
        draft_step(draft);
        struct err e = copy_fill(draft, reached, asked, &resolved->copies[resolved->count++]);
        if (err_is(e))
            return e;
    }
    return arena_over(asked->arena) ? err_make(ERR_OVER_LIMIT) : err_none();
}

/* A copy, or the one that was made last: the members of a list share its name. */
static struct str copy_again(struct arena *arena, struct str s, struct str before,
                             struct str before_copy)
{
    if (!s.p)
        return str_null();
    return s.p == before.p && s.n == before.n && before_copy.p ? before_copy : arena_str(arena, s);
}

static struct err outside_fill(const struct expansion *expansion, struct arena *arena,
                               struct resolved *resolved)
{
    if (expansion->outside_count == 0)
        return err_none();
    resolved->outside = arena_take_array(arena, expansion->outside_count, sizeof(struct outside));
    if (!resolved->outside)
        return err_make(ERR_OVER_LIMIT);
    struct reached_outside none = {.text = str_null()}, *reached, *before = &none;
    struct outside copied = {.text = str_null()};
    TAILQ_FOREACH (reached, &expansion->outside, link) {
        copied = (struct outside){
            .text = arena_str(arena, reached->text),
            .given = copy_again(arena, reached->given, before->given, copied.given),
            .list = copy_again(arena, reached->list, before->list, copied.list),
            .list_owner =
                copy_again(arena, reached->list_owner, before->list_owner, copied.list_owner),
            .forward = !reached->list.p,
        };
        copied.addr = addr_in(reached->addr, copied.text, arena);
        resolved->outside[resolved->outside_count++] = copied;
        before = reached;
    }
    return arena_over(arena) ? err_make(ERR_OVER_LIMIT) : err_none();
}

static struct err refusal_of(const struct resolved *resolved, uint64_t size)
{
    bool all_disabled = resolved->outside_count == 0;
    for (size_t i = 0; i < resolved->count; i++)
        all_disabled &= resolved->copies[i].disabled;
    if (all_disabled)
        return err_make(ERR_MAILBOX_DISABLED);
    enum err_code code = ERR_NONE;
    for (size_t i = 0; i < resolved->count; i++) {
        const struct copy *copy = &resolved->copies[i];
        if (copy->over_quota && !copy->disabled && !copy->list.p && code != ERR_QUOTA_FULL)
            code = copy_room(copy, size);
    }
    return err_make(code);
}

static struct err resolve_found(struct draft *draft, const struct found *found, struct str written,
                                const struct asked *asked, struct resolved *resolved)
{
    const struct name *record = &found->record;
    if (record->kind == NAME_MOVED) {
        resolved->moved_to = arena_str(asked->arena, record->moved.to);
        resolved->forwarded = record->moved.forward;
        if (!record->moved.forward) {
            resolved->kind = RESOLVED_MOVED;
            resolved->refusal = err_make(ERR_MAILBOX_MOVED);
            return resolved->moved_to.p ? err_none() : err_make(ERR_OVER_LIMIT);
        }
    }
    struct expansion expansion;
    const struct follow how = {.depth = 0};
    struct err e = directory_follow(draft, &written, 1, &how, &expansion);
    if (err_is(e))
        return e;
    bool nobody = expansion_count(&expansion) == 0;
    if (expansion.too_deep || (nobody && expansion.looped)) {
        resolved->refusal = err_make(ERR_ALIAS_LOOP);
        return err_none();
    }
    if (nobody)
        return err_none();
    resolved->kind = RESOLVED_FOUND;
    e = copies_fill(draft, &expansion, asked, resolved);
    if (!err_is(e))
        e = outside_fill(&expansion, asked->arena, resolved);
    resolved->refusal = refusal_of(resolved, asked->size);
    return e;
}

/* What to follow: the address as it was written, or whom postmaster without a domain stands for. */
static struct str written_of(const struct addr *addr, const struct found *found,
                             struct arena *arena)
{
    if (addr->kind == ADDR_LOCAL_ONLY)
        return name_address(&found->record);
    struct buf buf = buf_in(arena, ADDR_PATH_MAX);
    addr_print(&buf, addr);
    return buf_built(&buf);
}

static struct err resolve(struct draft *draft, const struct asked *asked, struct resolved *resolved)
{
    const struct addr *addr = asked->addr;
    struct found found;
    struct domain domain;
    struct err e = name_find(draft, addr, &found);
    if (!err_is(e))
        return resolve_found(draft, &found, written_of(addr, &found, draft->arena), asked,
                             resolved);
    if (e.code != ERR_NOT_FOUND || addr->kind == ADDR_LOCAL_ONLY)
        return e.code == ERR_NOT_FOUND ? err_none() : e;
    e = domain_get(draft, addr->domain, &domain);
    if (e.code == ERR_NOT_FOUND && is_at_server(draft, addr))
        return err_none();
    if (e.code == ERR_NOT_FOUND) {
        resolved->kind = RESOLVED_RELAY;
        resolved->refusal = err_make(ERR_RELAY_DENIED);
        return err_none();
    }
    return e;
}

struct err directory_resolve(struct directory *directory, const struct addr *addr, uint64_t size,
                             struct str server, struct arena *arena, struct resolved *resolved_r)
{
    struct arena scratch;
    struct draft draft;
    const struct asked asked = {.addr = addr, .size = size, .arena = arena};
    struct resolved resolved = {.kind = RESOLVED_UNKNOWN, .refusal = err_make(ERR_MAILBOX_UNKNOWN)};
    arena_init_from(&scratch, SCRATCH_MAX, directory->spares);
    draft_read(&draft, directory, &scratch);
    draft.server = server;
    struct err e = resolve(&draft, &asked, &resolved);
    arena_done(&scratch);
    if (!err_is(e))
        *resolved_r = resolved;
    return e;
}
