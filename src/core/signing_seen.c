/*
 * Why those that wait are asked for in turn, some in each look: a name that is not there costs its
 * time, and there may be thousands. Who waited longest without being asked for is asked for first.
 */
#include "core/signing_keys.h"

#include "base/must.h"

enum {
    SEEN_ARENA = 256 * 1024,
};

/* --- One record ------------------------------------------------------------------------------- */

static struct err not_there(struct err e, const struct dns_found *found, struct str *said_r)
{
    switch ((int)e.code) {
    case ERR_DNS_NO_NAME:
    case ERR_DNS_NO_DATA:
        *said_r = STR("there is no such record");
        return err_make(ERR_NOT_FOUND);
    case ERR_DNS_BOGUS:
        *said_r = STR("DNSSEC says that the answer is not to be believed");
        break;
    default:
        *said_r = found->why.n ? found->why : STR("the DNS has no answer now");
    }
    return err_make(ERR_TRY_LATER);
}

struct err signing_seek(struct core *core, struct str domain, struct str selector,
                        struct arena *arena, struct str *said_r)
{
    struct buf name = buf_in(arena, SIGNING_NAME_MAX);
    struct dns_txts txts = {.count = 0};
    dkim_record_name(selector, domain, &name);
    struct err e = dns_txt(&core->dns, buf_built(&name), arena, &txts);
    if (err_is(e))
        return not_there(e, &txts.found, said_r);
    e = err_make(ERR_NOT_FOUND);
    *said_r = STR("there is no such record");
    for (size_t i = 0; i < txts.count && err_is(e); i++) {
        e = signing_published(core, domain, selector, txts.list[i].joined);
        *said_r = err_is(e) ? e.detail : STR("it is there");
        if (e.code == ERR_CONFIG)
            e = err_make(ERR_NOT_FOUND);
    }
    return e;
}

/* --- All that wait ---------------------------------------------------------------------------- */

struct sought_key {
    struct str domain, selector;
};

struct seeking {
    struct signing *signing;
    struct arena arena;
    struct sought_key keys[SIGNING_SOUGHT_MAX];
    size_t count;
    bool more;
};

/* As they are stored: by domain, then selector. */
static struct str place_of(struct str domain, struct str selector, char to[SIGNING_NAME_MAX])
{
    struct buf place = {.p = to, .cap = SIGNING_NAME_MAX, .max = SIGNING_NAME_MAX};
    buf_put(&place, domain);
    buf_putc(&place, '\0');
    buf_put(&place, selector);
    return buf_str(&place);
}

static struct err key_note(void *arg, const struct dkim_kept *kept)
{
    struct seeking *seeking = arg;
    struct signing *signing = seeking->signing;
    char room[SIGNING_NAME_MAX];
    struct str place = place_of(kept->domain, kept->selector, room);
    if (kept->state != DKIM_MADE ||
        str_cmp(place, str_make(signing->sought, signing->sought_n)) <= 0)
        return err_none();
    if (seeking->count == SIGNING_SOUGHT_MAX) {
        seeking->more = true;
        return err_none();
    }
    seeking->keys[seeking->count++] =
        (struct sought_key){.domain = arena_str(&seeking->arena, kept->domain),
                            .selector = arena_str(&seeking->arena, kept->selector)};
    return err_make(arena_over(&seeking->arena) ? ERR_NO_MEMORY : ERR_NONE);
}

/* The next look begins behind the last one; from the start again where none was left out. */
static void turn(struct seeking *seeking)
{
    struct signing *signing = seeking->signing;
    signing->sought_n = 0;
    if (!seeking->more)
        return;
    const struct sought_key *last = &seeking->keys[seeking->count - 1];
    signing->sought_n = place_of(last->domain, last->selector, signing->sought).n;
}

static void key_seek(struct core *core, const struct sought_key *key)
{
    char room[SIGNING_NAME_MAX];
    struct buf name = {.p = room, .cap = sizeof(room), .max = sizeof(room)};
    struct str said = STR("");
    struct arena arena;
    arena_init_from(&arena, SEEN_ARENA, &core->spares);
    struct err e = signing_seek(core, key->domain, key->selector, &arena, &said);
    dkim_record_name(key->selector, key->domain, &name);
    if (err_is(e))
        log_event(core->log, LOG_INFO, "dkim_record_not_seen", log_str("record", buf_str(&name)),
                  log_str("dns", said));
    arena_done(&arena);
}

struct err signing_seek_all(struct core *core)
{
    struct seeking *seeking = calloc(1, sizeof(*seeking));
    if (!seeking)
        return err_make(ERR_NO_MEMORY);
    seeking->signing = core->signing;
    arena_init(&seeking->arena, SEEN_ARENA);
    struct err e = dkim_kept_each(core->engine, str_null(), key_note, seeking);
    if (!err_is(e))
        turn(seeking);
    for (size_t i = 0; i < seeking->count && !err_is(e); i++)
        key_seek(core, &seeking->keys[i]);
    arena_done(&seeking->arena);
    free(seeking);
    return e;
}
