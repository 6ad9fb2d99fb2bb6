/*
 * ban list, ban lift, ban add. While the server is up it is core that bans, so that the edges hear
 * of it at once; a store that no server has open is changed alone, and core reads it at its start.
 */
#include "core/admin_command.h"
#include "core/core.h"

#define FOR_USUALLY (INT64_C(3600) * US_PER_SECOND)
#define FOR_MOST (INT64_C(366) * 86400 * US_PER_SECOND)

static int64_t wall_of(const struct admin_call *call)
{
    return world_wall(call->admin->loop->world);
}

static int network_read(struct admin_call *call, struct str text, struct network *network_r)
{
    if (network_parse(text, network_r))
        return ADMIN_OK;
    return admin_refuse(call, ADMIN_DATA, "expected an address or a network like 192.0.2.0/24, not",
                        text);
}

static struct str network_text(const struct network *network, struct arena *arena)
{
    struct buf text = buf_in(arena, NETWORK_TEXT);
    network_print(network, &text);
    return buf_built(&text);
}

/* --- list ------------------------------------------------------------------------------------ */

static struct err ban_item(void *arg, const struct ban *ban)
{
    struct admin_list *list = arg;
    json_t *object = json_object();
    json_put_text(object, "network", network_text(&ban->network, list->call->admin->arena));
    json_put_time(object, "since", ban->since);
    json_put_time(object, "until", ban->until);
    json_put_number(object, "times", ban->times);
    json_put_text(object, "by", ban->by_hand ? STR("operator") : STR("guard"));
    admin_list_item(list, object);
    return err_none();
}

int admin_ban_list(struct admin_call *call)
{
    struct admin_list list = admin_list_open(call);
    struct err e = bans_store_list(call->admin->engine, wall_of(call), ban_item, &list);
    return admin_list_close(&list, e);
}

/* --- lift ------------------------------------------------------------------------------------ */

static struct err lift(struct admin *admin, const struct network *network)
{
    return admin->core ? ban_lift(admin->core, network) : bans_store_remove(admin->engine, network);
}

struct lifting {
    struct network *networks;
    size_t count;
};

static struct err network_note(void *arg, const struct ban *ban)
{
    struct lifting *lifting = arg;
    if (lifting->count < BANS_MOST)
        lifting->networks[lifting->count++] = ban->network;
    return err_none();
}

static int lift_all(struct admin_call *call)
{
    struct admin *admin = call->admin;
    struct lifting lifting = {
        .networks = arena_take_array(admin->arena, BANS_MOST, sizeof(struct network))};
    if (!lifting.networks)
        return admin_fail(call, err_make(ERR_NO_MEMORY));
    struct err e = bans_store_list(admin->engine, wall_of(call), network_note, &lifting);
    for (size_t i = 0; i < lifting.count && !err_is(e); i++) {
        e = lift(admin, &lifting.networks[i]);
        if (e.code == ERR_NOT_FOUND) /* it ended meanwhile */
            e = err_none();
    }
    int code = admin_fail(call, e);
    return code ? code : admin_done(call, "lifted", "bans:", STR("all"));
}

int admin_ban_lift(struct admin_call *call)
{
    struct network network;
    if (str_eq(call->words[0], STR("all")))
        return lift_all(call);
    int code = network_read(call, call->words[0], &network);
    if (!code)
        code = admin_fail(call, lift(call->admin, &network));
    return code ? code
                : admin_done(call, "lifted", "ban of", network_text(&network, call->admin->arena));
}

/* --- add ------------------------------------------------------------------------------------- */

int admin_ban_add(struct admin_call *call)
{
    struct admin *admin = call->admin;
    struct str span = admin_value(call, "--for");
    int64_t length = FOR_USUALLY, now = wall_of(call);
    struct ban ban = {.since = now, .times = 1, .by_hand = true};
    if (span.p && (!admin_span(span, &length) || length <= 0 || length > FOR_MOST))
        return admin_refuse(call, ADMIN_USAGE, "expected a time like 90s, 15m, 1h or 7d, not",
                            span);
    int code = network_read(call, call->words[0], &ban.network);
    if (code)
        return code;
    ban.until = now + length;
    struct err e = admin->core ? ban_set(admin->core, &ban) : bans_store_put(admin->engine, &ban);
    code = admin_fail(call, e);
    return code ? code
                : admin_done(call, "added", "ban of", network_text(&ban.network, admin->arena));
}
