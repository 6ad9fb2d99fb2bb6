/*
 * What libunbound needs to be told, and what was met on the way:
 *
 *   - a bogus answer comes with rcode 0 and the data: only the verdict says so
 *   - an anchor that is none is noticed when the context is made final, by the first question, or
 *     by removing a local zone: that is done here, last, since nothing can be set behind it
 *   - it answers for some zones by itself (RFC 6303, 6761): "test" and private networks backwards.
 *     Who names servers for such a zone, or a forwarder, means those
 *   - servers on the machine itself are not asked unless it is told so
 *   - its caches are 4 MB as they come, and thrash where answers are signed
 *   - why something failed goes to standard error, or to a file of ours: it is listened to while
 *     the settings are made, and silent from then on
 */
#include <errno.h>
#include <stdio.h>

#include "base/must.h"
#include "sys/dns_backend.h"
#include "sys/dns_unbound_event.h"

#include <unbound.h>

enum {
    CLASS_IN = 1,
    VALUE_MAX = 32,
    LINE_MAX_OCTETS = 4096, /* of an anchor */
    NAME_ROOM = 256,
    SOCKETS_MORE =
        1024,     /* than questions, for those that it asks itself; over UDP at a time, and */
    STREAMS = 64, /* over TCP */
    WORDS_MOST = 4096,
};

struct unbound {
    struct dns dns; /* first */
    struct unbound_base base;
    struct ub_ctx *context;
};

static struct unbound *own(struct dns *dns)
{
    return (struct unbound *)dns;
}

/* --- Questions ------------------------------------------------------------------------------- */

static void told(void *arg, int rcode, void *packet, int n, int secure, char *why, int limited)
{
    struct dns_question *question = arg;
    struct dns_reply reply = {.verdict = DNS_INSECURE};
    (void)limited;
    must_be(question->dns, DNS_MAGIC);
    if (rcode != 0 || !packet || n <= 0) {
        dns_answered(question, err_detail(ERR_DNS_FAILED, STR("no server gave an answer")), NULL);
        return;
    }
    if (secure == 1) {
        reply.verdict = DNS_BOGUS;
        reply.why = str_from(why ? why : "no reason given");
    } else {
        reply.verdict = secure == 2 ? DNS_SECURE : DNS_INSECURE;
        reply.message = str_make(packet, (size_t)n);
    }
    dns_answered(question, err_none(), &reply);
}

static struct err unbound_ask(struct dns *dns, struct dns_question *question)
{
    struct unbound *unbound = own(dns);
    char name[NAME_ROOM] = ".";
    int id = 0;
    must(question->name.n < sizeof(name));
    if (question->name.n)
        memcpy(name, question->name.p, question->name.n);
    int failed =
        ub_resolve_event(unbound->context, name, question->type, CLASS_IN, question, told, &id);
    question->number = (uint64_t)id;
    if (failed == UB_SYNTAX)
        return err_detail(ERR_USAGE, STR("not a name"));
    return failed ? err_detail(ERR_TRY_LATER, str_from(ub_strerror(failed))) : err_none();
}

static void unbound_cancel(struct dns *dns, struct dns_question *question)
{
    (void)ub_cancel(own(dns)->context, (int)question->number);
}

static void unbound_close(struct dns *dns)
{
    struct unbound *unbound = own(dns);
    if (unbound->context)
        ub_ctx_delete(unbound->context);
    must(unbound->base.events == 0);
    free(unbound);
}

static const struct dns_backend backend = {
    .ask = unbound_ask, .cancel = unbound_cancel, .close = unbound_close};

/* --- Settings -------------------------------------------------------------------------------- */

static const struct option {
    const char *name, *value;
} options[] = {
    {"do-not-query-localhost:", "no"},
    {"qname-minimisation:", "yes"},
    {"serve-expired:", "no"},
    {"use-caps-for-id:", "no"}, /* there are servers that do not keep them: mail must arrive */
    {"harden-dnssec-stripped:", "yes"},
    {"harden-below-nxdomain:", "yes"},
    {"trust-anchor-signaling:", "no"},
    {"cache-max-ttl:", "86400"},
    {"cache-max-negative-ttl:", "3600"},
    {"infra-host-ttl:", "120"}, /* who was deaf is asked again before mail is tried again */
    {"msg-cache-slabs:", "1"},
    {"rrset-cache-slabs:", "1"},
    {"infra-cache-slabs:", "1"},
    {"key-cache-slabs:", "1"},
};

/* Where networks are private, whose names backwards a forwarder knows. */
static const struct option forwarding[] = {
    {"unblock-lan-zones:", "yes"},
    {"insecure-lan-zones:", "yes"},
};

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static int options_set(struct ub_ctx *context, const struct option *list, size_t count)
{
    int failed = 0;
    for (size_t i = 0; i < count && !failed; i++)
        failed = ub_ctx_set_option(context, list[i].name, list[i].value);
    return failed;
}

static int number_set(struct ub_ctx *context, const char *name, uint64_t value)
{
    char text[VALUE_MAX];
    snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
    return ub_ctx_set_option(context, name, text);
}

/* Of the whole: what is known of records, of messages, of keys, and of what there is not. */
static int sizes_set(struct ub_ctx *context, const struct dns_settings *settings)
{
    const struct {
        const char *name;
        uint64_t value;
    } sizes[] = {
        {"rrset-cache-size:", settings->cache_size / 2},
        {"msg-cache-size:", settings->cache_size / 4},
        {"key-cache-size:", settings->cache_size / 8},
        {"neg-cache-size:", settings->cache_size / 8},
        {"num-queries-per-thread:", 2 * settings->under_way}, /* those it asks itself, too */
        {"outgoing-range:", settings->under_way + SOCKETS_MORE},
        {"outgoing-num-tcp:", STREAMS},
    };
    int failed = 0;
    for (size_t i = 0; i < COUNT(sizes) && !failed; i++)
        failed = number_set(context, sizes[i].name, sizes[i].value);
    return failed;
}

/* A str as the C string that libunbound takes; false: it is too long for what it should be. */
static bool cstring(struct str text, char *to, size_t room)
{
    if (text.n >= room)
        return false;
    if (text.n)
        memcpy(to, text.p, text.n);
    to[text.n] = '\0';
    return true;
}

static int forwarders_set(struct ub_ctx *context, const struct dns_settings *settings)
{
    int failed =
        settings->forwarder_count ? options_set(context, forwarding, COUNT(forwarding)) : 0;
    for (size_t i = 0; i < settings->forwarder_count && !failed; i++) {
        char server[NAME_ROOM];
        failed = cstring(settings->forwarders[i], server, sizeof(server))
                     ? ub_ctx_set_fwd(context, server)
                     : UB_SYNTAX;
    }
    return failed;
}

static int stub_set(struct ub_ctx *context, const struct dns_stub *stub)
{
    char zone[NAME_ROOM], server[NAME_ROOM];
    int failed = cstring(stub->zone, zone, sizeof(zone)) ? 0 : UB_SYNTAX;
    for (size_t i = 0; i < stub->count && !failed; i++)
        failed = cstring(stub->servers[i], server, sizeof(server))
                     ? ub_ctx_set_stub(context, zone, server, 0)
                     : UB_SYNTAX;
    if (!failed && stub->unsigned_zone)
        failed = ub_ctx_set_option(context, "domain-insecure:", zone);
    return failed;
}

static int anchors_set(struct ub_ctx *context, struct str anchors)
{
    int failed =
        ub_ctx_set_option(context, "module-config:", anchors.n ? "validator iterator" : "iterator");
    while (anchors.n && !failed) {
        char line[LINE_MAX_OCTETS];
        struct str rest = str_cut(&anchors, '\n'), text = str_trim(str_cut(&rest, ';'));
        if (text.n == 0)
            continue;
        failed = cstring(text, line, sizeof(line)) ? ub_ctx_add_ta(context, line) : UB_SYNTAX;
    }
    return failed;
}

/* The zones that it has by itself and somebody else is to answer for. The last is none and makes
 * the settings final, where there is none of these. */
static int zones_free(struct ub_ctx *context, const struct dns_settings *settings)
{
    bool test = settings->forwarder_count > 0;
    int failed = 0;
    for (size_t i = 0; i < settings->stub_count && !failed; i++) {
        char zone[NAME_ROOM];
        struct str name = settings->stubs[i].zone;
        test = test || str_eq_nocase(name, STR("test")) || str_ends_nocase(name, STR(".test"));
        failed = cstring(name, zone, sizeof(zone)) ? ub_ctx_zone_remove(context, zone) : UB_SYNTAX;
    }
    if (!failed && test)
        failed = ub_ctx_zone_remove(context, "test.");
    return failed ? failed : ub_ctx_zone_remove(context, "final.invalid.");
}

static int all_set(struct ub_ctx *context, const struct dns_settings *settings)
{
    int failed = options_set(context, options, COUNT(options));
    if (!failed)
        failed = sizes_set(context, settings);
    if (!failed)
        failed = forwarders_set(context, settings);
    for (size_t i = 0; i < settings->stub_count && !failed; i++)
        failed = stub_set(context, &settings->stubs[i]);
    if (!failed)
        failed = anchors_set(context, settings->anchors);
    return failed ? failed : zones_free(context, settings);
}

/* --- Opening --------------------------------------------------------------------------------- */

/* What it says meanwhile is the reason, where it fails. */
static struct err settle(struct ub_ctx *context, const struct dns_settings *settings,
                         struct buf *why)
{
    char *words = NULL;
    size_t n = 0;
    FILE *listening = open_memstream(&words, &n);
    if (!listening)
        return err_make(ERR_NO_MEMORY);
    ub_ctx_debugout(context, listening);
    int failed = all_set(context, settings);
    ub_ctx_debugout(context, NULL);
    fclose(listening);
    if (failed) {
        buf_put(why, str_from(ub_strerror(failed)));
        buf_put(why, n ? STR(": ") : str_null());
        buf_put_escaped(why, str_trim(str_make(words, n)), WORDS_MOST);
    }
    free(words);
    return failed ? err_make(failed == UB_NOMEM ? ERR_NO_MEMORY : ERR_CONFIG) : err_none();
}

struct err dns_unbound_open(struct loop *loop, const struct dns_settings *settings,
                            struct dns **dns_r, struct buf *why)
{
    struct unbound *unbound = calloc(1, sizeof(*unbound));
    if (!unbound)
        return err_make(ERR_NO_MEMORY);
    dns_init(&unbound->dns, &backend, loop, settings->limit, settings->under_way);
    unbound_base_init(&unbound->base, loop);
    unbound->context = ub_ctx_create_ub_event(&unbound->base.base);
    struct err e =
        unbound->context ? settle(unbound->context, settings, why) : err_make(ERR_NO_MEMORY);
    if (err_is(e))
        dns_close(&unbound->dns);
    else
        *dns_r = &unbound->dns;
    return e;
}
