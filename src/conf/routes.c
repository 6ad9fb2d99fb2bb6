/*
 * Why the first block that holds and not the nearest one: whoever reads the file from top to bottom
 * knows what happens, without a rule about which of two criteria weighs more.
 */
#include "conf/routes.h"

#include "conf/rows.h"
#include "format/addr.h"

enum {
    PORT_IMPLICIT = 465,
};

/* --- Presets --------------------------------------------------------------------------------- */

static const struct route_preset presets[CONF_PRESETS] = {
#define M(name) (1u << CONF_MECHANISM_##name)
#define PRESET(its_name, its_title, its_via, its_tls, its_mechanisms, per_message, hour, day,      \
               to_hour, to_day, at_once, its_endpoint, its_source, its_date, its_note)             \
    [CONF_PRESET_##its_name] = {.name = its_title,                                                 \
                                .title = its_title,                                                \
                                .via = its_via,                                                    \
                                .tls = CONF_ROUTE_TLS_##its_tls,                                   \
                                .mechanisms = its_mechanisms,                                      \
                                .limits = {.recipients_per_message = per_message,                  \
                                           .messages_per_hour = hour,                              \
                                           .messages_per_day = day,                                \
                                           .recipients_per_hour = to_hour,                         \
                                           .recipients_per_day = to_day},                          \
                                .connections = at_once,                                            \
                                .token_endpoint = its_endpoint,                                    \
                                .source = its_source,                                              \
                                .date = its_date,                                                  \
                                .note = its_note},
#include "conf/presets.def"
};

const struct route_preset *conf_preset(enum conf_preset preset)
{
    return preset == CONF_PRESET_NONE ? NULL : &presets[preset];
}

/* --- What a block comes to ------------------------------------------------------------------- */

static bool is_mx(const struct conf_texts *via)
{
    return via->count == 0 || str_eq(via->list[0], STR("mx"));
}

static bool is_implicit_port(struct str hop)
{
    uint64_t port = 0;
    ssize_t colon = str_last_index(hop, ':');
    return colon >= 0 && str_to_u64(str_from_index(hop, (size_t)colon + 1), &port) &&
           port == PORT_IMPLICIT;
}

static enum conf_route_tls tls_of(const struct conf_route *route, const struct route_preset *preset,
                                  const struct conf_way *way)
{
    if (route->tls != CONF_ROUTE_TLS_AUTO)
        return route->tls;
    if (preset && route->via.count == 0)
        return preset->tls;
    if (way->via.count > 0 && is_implicit_port(way->via.list[0]))
        return CONF_ROUTE_TLS_IMPLICIT;
    return way->logs_in ? CONF_ROUTE_TLS_VERIFIED : CONF_ROUTE_TLS_OPPORTUNISTIC;
}

static uint64_t number(uint64_t set, uint64_t of_preset)
{
    return set == CONF_NO_LIMIT ? 0 : set ? set : of_preset;
}

static void limits_take(const struct conf_route *route, const struct route_limits *preset,
                        struct route_limits *to)
{
    *to = (struct route_limits){
        .recipients_per_message =
            number(route->recipients_per_message, preset->recipients_per_message),
        .messages_per_hour = number(route->messages_per_hour, preset->messages_per_hour),
        .messages_per_day = number(route->messages_per_day, preset->messages_per_day),
        .recipients_per_hour = number(route->recipients_per_hour, preset->recipients_per_hour),
        .recipients_per_day = number(route->recipients_per_day, preset->recipients_per_day),
    };
}

void conf_route_way(const struct conf_route *route, struct conf_way *way_r)
{
    static const struct route_limits none;
    const struct route_preset *preset = conf_preset(route->preset);
    *way_r = (struct conf_way){.mechanisms = route->mechanisms,
                               .logs_in = route->user.n > 0,
                               .connections = route->connections};
    if (!is_mx(&route->via)) {
        way_r->via = route->via;
    } else if (preset && route->via.count == 0) {
        way_r->preset_via = str_from(preset->via);
        way_r->via = (struct conf_texts){.list = &way_r->preset_via, .count = 1};
    }
    if (preset && !way_r->mechanisms)
        way_r->mechanisms = preset->mechanisms;
    if (preset)
        way_r->connections = number(way_r->connections, preset->connections);
    limits_take(route, preset ? &preset->limits : &none, &way_r->limits);
    way_r->tls = tls_of(route, preset, way_r);
}

struct str conf_texts_join(const struct conf_texts *texts, struct arena *arena)
{
    size_t most = 1;
    for (size_t i = 0; i < texts->count; i++)
        most += texts->list[i].n + 1;
    struct buf all = buf_in(arena, most);
    for (size_t i = 0; i < texts->count; i++) {
        buf_put(&all, i ? STR(" ") : STR(""));
        buf_put(&all, texts->list[i]);
    }
    return buf_built(&all);
}

struct str conf_way_via(const struct conf_way *way, struct arena *arena)
{
    return conf_texts_join(&way->via, arena);
}

/* --- Which block ----------------------------------------------------------------------------- */

/* As in `to`: "user@domain", "domain", ".domain", "*". The domain alone fits no address. */
static bool place_fits(struct str pattern, struct str key, struct str domain)
{
    if (str_eq(pattern, STR("*")))
        return true;
    if (str_starts(pattern, STR(".")))
        return domain.n > pattern.n && str_ends_nocase(domain, pattern);
    return str_index(pattern, '@') >= 0 ? str_eq(pattern, key) : str_eq_nocase(pattern, domain);
}

bool conf_places_hold(const struct conf_texts *places, struct str domain)
{
    for (size_t i = 0; i < places->count; i++)
        if (str_eq(places->list[i], domain) || place_fits(places->list[i], str_null(), domain))
            return true;
    return false;
}

/* The key of an address as value_people keeps it. */
static struct str key_of(struct str address, struct buf *room)
{
    struct arena arena;
    struct addr addr;
    arena_init(&arena, 16 * ADDR_PATH_MAX);
    bool parsed = !err_is(addr_parse(address, &arena, &addr));
    if (parsed)
        addr_local_key(&addr, room);
    arena_done(&arena);
    return parsed ? buf_str(room) : str_null();
}

static struct str domain_of(struct str address)
{
    ssize_t at = str_last_index(address, '@');
    return str_from_index(address, (size_t)(at + 1));
}

static bool asks_addresses(const struct conf_texts *people)
{
    for (size_t i = 0; i < people->count; i++)
        if (str_index(people->list[i], '@') >= 0)
            return true;
    return false;
}

/* An empty address is nobody's: the null path, or no account at all. */
static bool people_hold(const struct conf_texts *people, struct str address, bool null_path)
{
    char room[4 * ADDR_PATH_MAX];
    struct buf key = {.p = room, .cap = sizeof room, .max = sizeof room};
    struct str looked = str_null();
    if (people->count == 0)
        return true;
    if (str_index(address, '@') >= 0 && asks_addresses(people))
        looked = key_of(address, &key);
    for (size_t i = 0; i < people->count; i++) {
        struct str pattern = people->list[i];
        bool is_null = str_eq(pattern, STR("<>"));
        if (is_null || address.n == 0) {
            if (is_null && null_path && address.n == 0)
                return true;
            continue;
        }
        if (place_fits(pattern, looked, domain_of(address)))
            return true;
    }
    return false;
}

bool conf_people_hold(const struct conf_texts *people, struct str address)
{
    return people_hold(people, address, false);
}

const struct conf_route *conf_route_find(const struct conf *conf,
                                         const struct route_question *question, bool *unsure_r)
{
    *unsure_r = false;
    for (size_t i = 0; i < conf->route_count; i++) {
        const struct conf_route *route = &conf->routes[i];
        if (!people_hold(&route->to, question->recipient, false) ||
            !people_hold(&route->from, question->sender, true))
            continue;
        if (route->accounts.count > 0 && question->account_unknown)
            *unsure_r = true;
        else if (people_hold(&route->accounts, question->account, false))
            return route;
    }
    return NULL;
}

static bool is_for_any(const struct conf_precedence *block, const struct route_question *questions,
                       size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (people_hold(&block->to, questions[i].recipient, false) &&
            people_hold(&block->from, questions[i].sender, true) &&
            people_hold(&block->accounts, questions[i].account, false))
            return true;
    return false;
}

int8_t conf_priority(const struct conf *conf, const struct route_question *questions, size_t count)
{
    static const int8_t numbers[] = {[CONF_RANK_FIRST] = 6,
                                     [CONF_RANK_EARLY] = 3,
                                     [CONF_RANK_USUAL] = 0,
                                     [CONF_RANK_LATE] = -3,
                                     [CONF_RANK_LAST] = -6};
    for (size_t i = 0; i < conf->precedence_count; i++)
        if (is_for_any(&conf->precedences[i], questions, count))
            return numbers[conf->precedences[i].rank];
    return 0;
}

bool conf_route_is_collected_by(const struct conf_route *route, struct str account)
{
    return route->collect.count > 0 && people_hold(&route->collect, account, false);
}

bool conf_route_is_for(const struct conf_route *route, struct str domain)
{
    return route->to.count == 0 || conf_places_hold(&route->to, domain);
}

bool conf_routes_collect(const struct conf *conf)
{
    for (size_t i = 0; i < conf->route_count; i++)
        if (conf->routes[i].collect.count > 0)
            return true;
    return false;
}

const struct conf_route *conf_route_named(const struct conf *conf, struct str name)
{
    for (size_t i = 0; i < conf->route_count; i++)
        if (str_eq(conf->routes[i].name, name))
            return &conf->routes[i];
    return NULL;
}

bool conf_routes_ask_accounts(const struct conf *conf)
{
    for (size_t i = 0; i < conf->route_count; i++)
        if (conf->routes[i].accounts.count > 0)
            return true;
    return false;
}

/* --- Mistakes -------------------------------------------------------------------------------- */

struct checking {
    const struct conf_route *route;
    struct str file;
    struct mistakes *mistakes;
};

static void wrong(const struct checking *checking, const char *setting, const char *what)
{
    const struct conf_route *route = checking->route;
    struct buf *to = mistake_begin(checking->mistakes, checking->file, route->line);
    mistake_name(to, "route", route->name, str_from(setting));
    buf_printf(to, ": %s", what);
    mistake_end(checking->mistakes);
}

static bool has_null(const struct conf_texts *people)
{
    for (size_t i = 0; i < people->count; i++)
        if (str_eq(people->list[i], STR("<>")))
            return true;
    return false;
}

static bool is_all_default(const struct conf_route *route)
{
    return route->collect.count == 0 && route->via.count == 0 &&
           route->preset == CONF_PRESET_NONE && route->user.n == 0 && route->password_file.n == 0 &&
           route->token_file.n == 0 && route->oauth_file.n == 0 && route->mechanisms == 0 &&
           route->source.count == 0 && route->helo.n == 0 && route->tls == CONF_ROUTE_TLS_AUTO &&
           route->tls_names.count == 0 && !route->shuffle &&
           route->protocol == CONF_PROTOCOL_SMTP && route->recipients_per_message == 0 &&
           route->messages_per_hour == 0 && route->messages_per_day == 0 &&
           route->recipients_per_hour == 0 && route->recipients_per_day == 0 &&
           route->connections == 0;
}

static void people_check(const struct checking *checking)
{
    if (has_null(&checking->route->to))
        wrong(checking, "to", "<> is no recipient; expected an address, a domain or *");
    if (has_null(&checking->route->accounts))
        wrong(checking, "accounts", "<> is no account; expected an address, a domain or *");
    if (checking->route->deny.n > 0 && !is_all_default(checking->route))
        wrong(checking, "deny",
              "mail that is refused goes no way; expected nothing beside it but to, from and "
              "accounts");
}

/* No host is called, so nothing is to be said of one. */
static bool names_no_host(const struct conf_route *route)
{
    return route->via.count == 0 && route->preset == CONF_PRESET_NONE && route->user.n == 0 &&
           route->password_file.n == 0 && route->token_file.n == 0 && route->oauth_file.n == 0 &&
           route->mechanisms == 0 && route->source.count == 0 &&
           route->tls == CONF_ROUTE_TLS_AUTO && route->tls_names.count == 0 && !route->shuffle &&
           route->protocol == CONF_PROTOCOL_SMTP && route->connections == 0;
}

static void collect_check(const struct checking *checking)
{
    if (has_null(&checking->route->collect))
        wrong(checking, "collect", "<> is no account; expected an address, a domain or *");
    if (checking->route->collect.count > 0 && !names_no_host(checking->route))
        wrong(checking, "collect",
              "mail that is collected goes to no host; expected nothing beside it but to, from, "
              "accounts, helo and limits");
}

static void via_check(const struct checking *checking)
{
    const struct conf_texts *via = &checking->route->via;
    for (size_t i = 0; i < via->count && via->count > 1; i++) {
        if (!str_eq(via->list[i], STR("mx")))
            continue;
        wrong(checking, "via", "mx beside other hosts; expected either mx or hosts");
        break;
    }
    if (checking->route->protocol == CONF_PROTOCOL_LMTP && is_mx(via))
        wrong(checking, "protocol",
              "lmtp to whatever the DNS says; expected hosts in via (RFC 2033 5)");
}

static void login_check(const struct checking *checking)
{
    const struct conf_route *route = checking->route;
    struct conf_way way;
    conf_route_way(route, &way);
    bool password = route->password_file.n > 0, token = route->token_file.n > 0;
    bool oauth = route->oauth_file.n > 0;
    const char *last = oauth ? "oauth_file" : token ? "token_file" : "password_file";
    if (password + token + oauth > 1)
        wrong(checking, last, "beside another file with a secret; expected one of them");
    if (route->user.n > 0 && !password && !token && !oauth)
        wrong(checking, "user",
              "no secret to log in with; expected password_file, token_file or oauth_file");
    if (route->user.n == 0 && (password || token || oauth))
        wrong(checking, last, "nobody to log in as; expected user");
    if (route->mechanisms && route->user.n == 0)
        wrong(checking, "mechanisms", "nobody to log in as; expected user");
    if (route->mechanisms & 1u << CONF_MECHANISM_EXTERNAL)
        wrong(checking, "mechanisms", "external is not for a password or token; expected others");
    if (route->user.n > 0 && way.via.count == 0)
        wrong(checking, "user",
              "a log-in at whatever the DNS says; expected hosts in via, or a preset");
    if (route->user.n > 0 && (way.tls == CONF_ROUTE_TLS_OPPORTUNISTIC))
        wrong(checking, "tls",
              "a log-in where encryption may be struck out; expected verified, implicit, required, "
              "or off for a host of this machine");
}

static bool family_twice(const struct conf_texts *source)
{
    struct network a, b;
    return source->count == 2 && network_address(source->list[0], &a) &&
           network_address(source->list[1], &b) && network_is_v4(&a) == network_is_v4(&b);
}

void routes_check(const struct conf *conf, struct str file, struct mistakes *mistakes)
{
    for (size_t i = 0; i < conf->route_count; i++) {
        const struct checking checking = {
            .route = &conf->routes[i], .file = file, .mistakes = mistakes};
        people_check(&checking);
        via_check(&checking);
        collect_check(&checking);
        login_check(&checking);
        if (conf->routes[i].source.count > 2 || family_twice(&conf->routes[i].source))
            wrong(&checking, "source", "two of one family; expected one of each at most");
    }
}
