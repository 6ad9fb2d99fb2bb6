/*
 * Why a list is tested by each edge and not once by the resolver: the answers are in its cache, so
 * it costs a message in the house, and the resolver need not know what a list is.
 */
#include "edge/smtp/dns_list.h"

enum kind {
    KIND_V4,
    KIND_V6,
    KIND_DOMAIN,
};

/* What must not be on any list, and what is on every one (RFC 5782 5). */
static const struct {
    struct str never, always;
} tests[] = {
    [KIND_V4] = {STR_INIT("1.0.0.127"), STR_INIT("2.0.0.127")},
    [KIND_V6] = {STR_INIT("1.0.0.0.0.0.f.7.f.f.f.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0"),
                 STR_INIT("2.0.0.0.0.0.f.7.f.f.f.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0")},
    [KIND_DOMAIN] = {STR_INIT("invalid"), STR_INIT("test")},
};

static bool is_absent(struct err e)
{
    return e.code == ERR_DNS_NO_NAME || e.code == ERR_DNS_NO_DATA;
}

static enum kind kind_of(enum conf_subject of, struct str subject)
{
    struct network network;
    if (of != CONF_SUBJECT_ADDRESS)
        return KIND_DOMAIN;
    return network_address(subject, &network) && network_is_v4(&network) ? KIND_V4 : KIND_V6;
}

static struct str name_below(struct str name, struct str zone, struct arena *arena)
{
    struct buf whole = buf_in(arena, DNS_NAME_MAX);
    buf_put(&whole, name);
    buf_putc(&whole, '.');
    buf_put(&whole, zone);
    return buf_built(&whole);
}

static struct str name_of(const struct conf_dns_list *list, enum kind kind, struct str subject,
                          struct arena *arena)
{
    struct buf reversed = buf_in(arena, DNS_NAME_MAX);
    if (kind == KIND_DOMAIN)
        return name_below(subject, list->zone, arena);
    return dns_reverse(subject, list->zone, &reversed) ? buf_built(&reversed) : str_null();
}

static bool is_within(const char *text, const char *network)
{
    struct network address, outer;
    return network_address(str_from(text), &address) && network_parse(str_from(network), &outer) &&
           network_within(&address, &outer);
}

/* --- Is the list in order? ------------------------------------------------------------------- */

static void warn(struct edge *edge, const struct conf_dns_list *list, const char *event,
                 struct str why)
{
    log_event(edge->log, LOG_WARN, event, log_str("list", list->name), log_str("zone", list->zone),
              log_str("why", why));
}

static struct dns_list_state *state_find(struct dns_lists *lists, struct str zone, enum kind kind)
{
    struct dns_list_state *state;
    SLIST_FOREACH(state, &lists->known, link)
    if (state->kind == kind && str_eq_nocase(str_from(state->zone), zone))
        return state;
    return NULL;
}

/* NULL: no memory; then it is tested again the next time. */
static struct dns_list_state *state_keep(struct edge *edge, struct dns_lists *lists,
                                         struct str zone, enum kind kind)
{
    struct dns_list_state *state = state_find(lists, zone, kind);
    if (!state && lists->count >= DNS_LISTS_KNOWN)
        dns_lists_close(lists);
    if (!state && (state = calloc(1, sizeof *state))) {
        state->zone = str_to_cstring(zone);
        state->kind = kind;
        if (!state->zone) {
            free(state);
            return NULL;
        }
        SLIST_INSERT_HEAD(&lists->known, state, link);
        lists->count++;
    }
    if (state)
        state->since = edge->loop->now;
    return state;
}

/* May yield. False: nobody knows. */
static bool is_listed(struct edge *edge, struct str name, struct arena *arena, bool *listed_r)
{
    struct dns_addresses found;
    struct err e = dns_address(&edge->dns, name, DNS_A, arena, &found);
    *listed_r = !err_is(e);
    return !err_is(e) || is_absent(e);
}

static void broken(struct edge *edge, struct dns_lists *lists, const struct conf_dns_list *list,
                   enum kind kind, struct str why)
{
    struct dns_list_state *state = state_keep(edge, lists, list->zone, kind);
    if (state && !state->broken)
        warn(edge, list, "dns_list_broken", why);
    if (state)
        state->broken = true;
}

/* May yield. */
static bool test(struct edge *edge, struct dns_lists *lists, const struct conf_dns_list *list,
                 enum kind kind, struct arena *arena)
{
    bool never, always;
    struct str zone = list->zone;
    if (!is_listed(edge, name_below(tests[kind].never, zone, arena), arena, &never))
        return false;
    if (never) {
        broken(edge, lists, list, kind, STR("it lists what no list may"));
        return false;
    }
    bool known = is_listed(edge, name_below(tests[kind].always, zone, arena), arena, &always);
    bool is_first = !state_find(lists, zone, kind);
    struct dns_list_state *state = state_keep(edge, lists, zone, kind);
    if (state)
        state->broken = false;
    if (is_first && known && !always && kind != KIND_V6)
        warn(edge, list, "dns_list_silent", STR("its test entry is not there: is it alive?"));
    return true;
}

/* May yield. While a test is repeated the last result holds, so that one session alone repeats it.
 */
static bool is_in_order(struct edge *edge, struct dns_lists *lists,
                        const struct conf_dns_list *list, enum kind kind, struct arena *arena)
{
    struct dns_list_state *state = state_find(lists, list->zone, kind);
    int64_t now = edge->loop->now;
    if (state && now - state->since < DNS_LIST_LASTS)
        return !state->broken;
    if (state)
        state->since = now;
    return test(edge, lists, list, kind, arena);
}

/* --- A question ------------------------------------------------------------------------------ */

/* The answer that counts, if there is one. */
static const char *code_of(struct edge *edge, struct dns_lists *lists,
                           const struct conf_dns_list *list, enum kind kind,
                           const struct dns_addresses *found)
{
    const char *code = NULL;
    for (size_t i = 0; i < found->count; i++) {
        const char *text = found->list[i].text;
        if (!is_within(text, "127.0.0.0/8")) {
            broken(edge, lists, list, kind, STR("it answers with addresses outside 127.0.0.0/8"));
            return NULL;
        }
        if (is_within(text, "127.255.255.0/24"))
            warn(edge, list, "dns_list_refuses", str_from(text));
        if (!code && conf_networks_hold(&list->codes, str_from(text)))
            code = text;
    }
    return code;
}

/* May yield. What does not belong into a line of a reply becomes a question mark. */
static void reason_take(struct edge *edge, struct str name, struct arena *arena,
                        char to[HIT_REASON])
{
    struct dns_txts found;
    if (err_is(dns_txt(&edge->dns, name, arena, &found)) || found.count == 0)
        return;
    struct str text = str_head(found.list[0].joined, HIT_REASON - 1);
    for (size_t i = 0; i < text.n; i++)
        to[i] = text.p[i] >= ' ' && text.p[i] <= '~' ? text.p[i] : '?';
}

bool dns_list_asks(struct edge *edge, struct dns_lists *lists, const struct conf_dns_list *list,
                   enum conf_subject of, struct str subject, struct arena *arena, struct hit *hit_r)
{
    enum kind kind = kind_of(of, subject);
    struct dns_addresses found;
    struct str name = name_of(list, kind, subject, arena);
    if (!name.p || !is_in_order(edge, lists, list, kind, arena) ||
        err_is(dns_address(&edge->dns, name, DNS_A, arena, &found)))
        return false;
    const char *code = code_of(edge, lists, list, kind, &found);
    if (!code)
        return false;
    *hit_r = (struct hit){.list = list, .of = of};
    memcpy(hit_r->code, code, strnlen(code, HIT_CODE - 1));
    if (list->text.n == 0)
        reason_take(edge, name, arena, hit_r->reason);
    return true;
}

void dns_lists_close(struct dns_lists *lists)
{
    struct dns_list_state *state;
    while ((state = SLIST_FIRST(&lists->known))) {
        SLIST_REMOVE_HEAD(&lists->known, link);
        free(state->zone);
        free(state);
    }
    lists->count = 0;
}
