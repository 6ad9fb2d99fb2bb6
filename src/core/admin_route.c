/*
 * veredus route: which ways mail goes, and how much of their limits is used.
 */
#include "conf/routes.h"
#include "core/admin_command.h"
#include "core/core.h"
#include "core/governor.h"
#include "core/queue.h"
#include "core/secrets.h"
#include "core/tokens.h"

static const char *const tls_words[CONF_ROUTE_TLS_COUNT] = {
    [CONF_ROUTE_TLS_AUTO] = "auto",         [CONF_ROUTE_TLS_OPPORTUNISTIC] = "opportunistic",
    [CONF_ROUTE_TLS_REQUIRED] = "required", [CONF_ROUTE_TLS_VERIFIED] = "verified",
    [CONF_ROUTE_TLS_IMPLICIT] = "implicit", [CONF_ROUTE_TLS_OFF] = "off",
};

/* "17 of 500"; nothing where there is no limit. */
static void use_put(json_t *object, const char *name, uint64_t used, uint64_t most)
{
    json_t *both = json_object();
    if (most == 0) {
        json_decref(both);
        return;
    }
    json_put_number(both, "used", used);
    json_put_number(both, "limit", most);
    json_put(object, name, both);
}

static json_t *texts_list(const struct conf_texts *texts)
{
    json_t *list = json_array();
    for (size_t i = 0; i < texts->count; i++)
        json_array_append_new(list, json_text(texts->list[i]));
    return list;
}

static size_t entries_of(const struct core *core, struct str name)
{
    struct buf room = BUF_INIT(ADMIN_LINE_MAX);
    struct destination *destination = NULL;
    size_t entries = 0;
    buf_printf(&room, "@%.*s", STR_FMT(name));
    while ((destination = schedule_next_destination(&core->queue->schedule, destination))) {
        struct str rest = destination_name(destination);
        if (str_eq(str_cut(&rest, '/'), buf_str(&room)))
            entries += destination->entries;
    }
    buf_done(&room);
    return entries;
}

/* May yield. */
static json_t *use_object(struct core *core, const struct conf_route *route, json_t *object)
{
    struct conf_way way;
    struct governor_row row = {.until = 0};
    int64_t now = world_wall(core->world);
    conf_route_way(route, &way);
    const struct route_limits limits = way.limits;
    size_t waiting = entries_of(core, route->name);
    bool counted = route_has_rates(&limits) && !err_is(governor_row(core, route->name, &row));
    const struct sending *messages = &row.use.messages, *recipients = &row.use.recipients;
    json_put_number(object, "waiting", waiting);
    if (!counted)
        return object;
    use_put(object, "messages_hour", sending_last_hour(messages, now), limits.messages_per_hour);
    use_put(object, "messages_day", sending_last_day(messages, now), limits.messages_per_day);
    use_put(object, "recipients_hour", sending_last_hour(recipients, now),
            limits.recipients_per_hour);
    use_put(object, "recipients_day", sending_last_day(recipients, now), limits.recipients_per_day);
    if (row.until)
        json_put_time(object, "free_again", row.until);
    return object;
}

/* A token that is not here is asked for by the next message. */
static void token_put(const struct core *core, const struct token_found *found, json_t *object)
{
    const char *word = found->refused ? "its refresh token is good no more: log in at the provider "
                                        "anew, and put the new one into its oauth_file"
                                      : "ready";
    json_put_text(object, "log_in", str_from(word));
    if (found->token.n > 0)
        json_put_time(object, "token_until",
                      world_wall(core->world) + found->left / NS_PER_MS * 1000);
    json_put_text(object, "token_trouble", found->why);
}

static void log_in_put(const struct core *core, const struct conf_route *route,
                       const struct conf_way *way, json_t *object)
{
    struct arena scratch;
    struct token_found found;
    arena_init(&scratch, ADMIN_LINE_MAX);
    struct str via = conf_way_via(way, &scratch);
    bool there = route->oauth_file.n > 0 ? tokens_find(core, route->name, via, &found)
                                         : secrets_find(core->secrets, route->name, via).n > 0;
    if (there && route->oauth_file.n > 0)
        token_put(core, &found, object);
    else
        json_put_text(object, "log_in", there ? STR("ready") : STR("its file could not be read"));
    arena_done(&scratch);
}

static json_t *route_object(struct core *core, const struct conf_route *route, bool whole)
{
    struct conf_way way;
    json_t *object = json_object();
    conf_route_way(route, &way);
    json_put_text(object, "route", route->name);
    json_put_text(object, "deny", route->deny);
    if (whole) {
        json_put(object, "to", texts_list(&route->to));
        json_put(object, "from", texts_list(&route->from));
        json_put(object, "accounts", texts_list(&route->accounts));
    }
    if (route->deny.n > 0)
        return object;
    if (route->collect.count > 0) {
        json_put(object, "collect", texts_list(&route->collect));
        return use_object(core, route, object);
    }
    json_put(object, "via", way.via.count ? texts_list(&way.via) : json_text(STR("mx")));
    json_put_text(object, "tls", str_from(tls_words[way.tls]));
    json_put_text(object, "user", route->user);
    if (whole && way.logs_in)
        log_in_put(core, route, &way, object);
    if (whole && way.limits.recipients_per_message > 0)
        json_put_number(object, "recipients_per_message", way.limits.recipients_per_message);
    return use_object(core, route, object);
}

static int without(struct admin_call *call)
{
    return admin_refuse(call, ADMIN_UNAVAILABLE, "the server is down, and its queue, too",
                        str_null());
}

int admin_route_list(struct admin_call *call)
{
    struct core *core = call->admin->core;
    if (!core)
        return without(call);
    struct admin_list list = admin_list_open(call);
    const struct conf *conf = conf_hold(core->conf);
    for (size_t i = 0; i < conf->route_count; i++)
        admin_list_item(&list, route_object(core, &conf->routes[i], false));
    conf_let_go(conf);
    return admin_list_close(&list, err_none());
}

int admin_route_show(struct admin_call *call)
{
    struct core *core = call->admin->core;
    if (!core)
        return without(call);
    const struct conf *conf = conf_hold(core->conf);
    const struct conf_route *route = conf_route_named(conf, call->words[0]);
    int code = route ? admin_show(call, route_object(core, route, true))
                     : admin_refuse(call, ADMIN_NO_HOST, "there is no such route", call->words[0]);
    conf_let_go(conf);
    return code;
}

static void numbers_put(json_t *object, const struct route_limits *limits)
{
    json_put_number(object, "recipients_per_message", limits->recipients_per_message);
    json_put_number(object, "messages_per_hour", limits->messages_per_hour);
    json_put_number(object, "messages_per_day", limits->messages_per_day);
    json_put_number(object, "recipients_per_hour", limits->recipients_per_hour);
    json_put_number(object, "recipients_per_day", limits->recipients_per_day);
}

int admin_route_presets(struct admin_call *call)
{
    struct admin_list list = admin_list_open(call);
    for (enum conf_preset i = CONF_PRESET_NONE + 1; i < CONF_PRESETS; i++) {
        const struct route_preset *preset = conf_preset(i);
        json_t *object = json_object();
        json_put_text(object, "preset", str_from(preset->title));
        json_put_text(object, "via", str_from(preset->via));
        json_put_text(object, "tls", str_from(tls_words[preset->tls]));
        numbers_put(object, &preset->limits);
        json_put_number(object, "connections", preset->connections);
        json_put_text(object, "token_endpoint", str_from(preset->token_endpoint));
        json_put_text(object, "note", str_from(preset->note));
        json_put_text(object, "source", str_from(preset->source));
        json_put_text(object, "date", str_from(preset->date));
        admin_list_item(&list, object);
    }
    return admin_list_close(&list, err_none());
}
