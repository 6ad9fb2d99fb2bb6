/*
 * What is served is looked at by a courier, since core connects to nobody: our own names and
 * addresses alone, and the web server of the policy. From here, not from outside: a port that does
 * not answer may be well behind a router that does not lead back (hairpin), so that is a warning.
 */
#include "core/check.h"

#include "base/destination.h"
#include "base/tls_result.h"
#include "conf/own_sts.h"
#include "core/core.h"
#include "core/peer.h"
#include "format/mta_sts.h"

enum {
    LOOKS_MAX = 24, /* connections of one check, those to compare TLSA records left out */
    TLSA_MAX = 20,  /* that a look can be told */
    SMTP_PORT = 25,
};
#define LOOKS_WITHIN (90 * NS_PER_SECOND) /* then no other is begun */
#define SECONDS_A_DAY 86400

struct looks {
    struct check *check;
    int64_t deadline; /* mono */
    size_t count;
    bool over; /* it was told that there is no more */
};

/* --- Asking ---------------------------------------------------------------------------------- */

static struct err ask(struct check *check, struct msg *question, struct msg *answer_r)
{
    struct peer *peer = peer_courier(check->call->admin->core);
    if (!peer)
        return err_make(ERR_TRY_LATER);
    peer_hold(peer);
    struct err e = link_ask(&peer->link, question, check->arena, answer_r);
    peer_release(peer);
    return e;
}

static void nobody(struct check *check, const char *item)
{
    check_say(check, item, CHECK_UNKNOWN, STR("no courier is there to look at what is served"),
              str_null(), STR("veredus status"));
}

/* --- A port ---------------------------------------------------------------------------------- */

struct port {
    uint16_t number;
    enum look_kind kind;
    struct str host, address;
    struct msg_dns_record *tlsa;
    size_t tlsa_count;
};

static struct str where(struct check *check, const struct port *port)
{
    return check_text(check, "port %u of %.*s", port->number, STR_FMT(port->address));
}

/* A courier's own words, unless it was taken over. */
static struct str words_of(struct check *check, struct str text)
{
    return str_is_printable_ascii(text) ? text : check_quoted(check, text);
}

static void unreached(struct check *check, const struct port *port, const struct msg_looked *seen)
{
    struct str at = where(check, port);
    if (seen->end == LOOK_NOT_CONNECTED)
        check_say(check, "connect", CHECK_WARN,
                  check_text(check,
                             "%.*s cannot be connected from here (%.*s); from outside it may be, "
                             "where a router does not lead back",
                             STR_FMT(at), STR_FMT(words_of(check, seen->why))),
                  str_null(),
                  check_text(check,
                             "let port %u through the firewall; from another host: nc -vz %.*s %u",
                             port->number, STR_FMT(port->address), port->number));
    else
        check_say(check, "connect", CHECK_FAIL,
                  check_text(check, "%.*s is connected, and does not greet as a mail server: %.*s",
                             STR_FMT(at), STR_FMT(check_quoted(check, seen->why))),
                  str_null(), STR("look which program listens there: ss -ltnp"));
}

static void unencrypted(struct check *check, const struct port *port, const struct msg_looked *seen)
{
    struct str at = where(check, port);
    if (seen->end == LOOK_NO_TLS)
        check_say(check, "connect", check->sts_enforced ? CHECK_FAIL : CHECK_WARN,
                  check_text(check, "%.*s has no STARTTLS: %.*s", STR_FMT(at),
                             STR_FMT(check_quoted(check, seen->why))),
                  str_null(),
                  STR("a block certificate in veredus.conf, then veredus reload; or something in "
                      "front of this server takes STARTTLS away"));
    else
        check_say(check, "connect", CHECK_FAIL,
                  check_text(check, "%.*s begins TLS, which fails: %.*s", STR_FMT(at),
                             STR_FMT(check_quoted(check, seen->why))),
                  str_null(), STR("veredus tls show"));
}

/* "mail.example.test ESMTP ...": who greets. */
static void greeting_judge(struct check *check, const struct port *port, struct str said)
{
    struct str rest = said, name = str_cut(&rest, ' ');
    if (port->kind != LOOK_SMTP || str_eq_nocase(name, check->conf->server.hostname))
        return;
    check_say(check, "connect", CHECK_WARN,
              check_text(check, "%.*s greets as %.*s: is that this server?",
                         STR_FMT(where(check, port)), STR_FMT(check_quoted(check, name))),
              str_null(), STR("look which host the port is led to"));
}

/* Between servers any certificate will do, unless a policy says otherwise; users are warned. */
static enum check_state unproven(const struct check *check, const struct port *port)
{
    if (port->kind != LOOK_SMTP || port->number != SMTP_PORT)
        return CHECK_FAIL;
    return check->sts_enforced ? CHECK_FAIL : port->tlsa_count > 0 ? CHECK_NOTE : CHECK_WARN;
}

static void certificate_judge(struct check *check, const struct port *port,
                              const struct msg_looked *seen)
{
    struct str at = where(check, port);
    struct str in = words_of(check, seen->tls);
    enum tls_result pkix =
        seen->pkix < TLS_RESULTS ? (enum tls_result)seen->pkix : TLS_RESULT_VALIDATION_FAILURE;
    if (pkix == TLS_RESULT_OK)
        check_say(check, "connect", CHECK_OK,
                  check_text(check,
                             "%.*s answers in %.*s with a certificate of %.*s that an authority "
                             "vouches for",
                             STR_FMT(at), STR_FMT(in), STR_FMT(port->host)),
                  str_null(), str_null());
    else
        check_say(check, "connect", unproven(check, port),
                  check_text(check, "%.*s answers in %.*s, and for %.*s %.*s", STR_FMT(at),
                             STR_FMT(in), STR_FMT(port->host), STR_FMT(tls_result_text(pkix))),
                  str_null(),
                  check_text(check,
                             "a certificate of an authority for %.*s in a block certificate of "
                             "veredus.conf, then: veredus reload",
                             STR_FMT(port->host)));
}

static void records_judge(struct check *check, const struct port *port,
                          const struct msg_looked *seen)
{
    if (port->tlsa_count == 0)
        return;
    bool fits = seen->dane == TLS_RESULT_OK;
    check_say(check, "tlsa", fits ? CHECK_OK : CHECK_FAIL,
              check_text(check,
                         fits ? "what %.*s shows is what its TLSA records tell"
                              : "what %.*s shows fits none of its TLSA records: who looks at DANE "
                                "sends nothing",
                         STR_FMT(where(check, port))),
              str_null(),
              fits ? str_null()
                   : STR("veredus reload, if its files are new; else publish the record above"));
}

static void seen_judge(struct check *check, const struct port *port, const struct msg_looked *seen)
{
    if (seen->end == LOOK_NOT_CONNECTED || seen->end == LOOK_NOT_GREETED) {
        unreached(check, port, seen);
        return;
    }
    greeting_judge(check, port, seen->said);
    if (seen->end != LOOK_WELL) {
        unencrypted(check, port, seen);
        return;
    }
    certificate_judge(check, port, seen);
    records_judge(check, port, seen);
}

/* Where nobody's mail would come, nothing is to be looked for. */
static bool is_place(struct check *check, const struct port *port)
{
    struct network network;
    const struct destination_rules rules = {
        .allowed = &network,
        .allowed_count = network_address(port->address, &network) &&
                         conf_networks_hold(&check->conf->sending.allow_to, port->address)};
    enum destination judged = destination_judge(port->address, &rules);
    if (judged == DESTINATION_FINE)
        return true;
    check_say(check, "connect", CHECK_FAIL,
              check_text(check, "%.*s has %.*s, %.*s: nobody sends mail there", STR_FMT(port->host),
                         STR_FMT(port->address), STR_FMT(destination_words(judged))),
              check_record(check, port->host, "A", STR("ITS-ADDRESS-ON-THE-INTERNET")), str_null());
    return false;
}

static bool may_look(struct looks *looks)
{
    struct check *check = looks->check;
    bool more = looks->count < LOOKS_MAX && check->call->admin->loop->now < looks->deadline;
    if (!more && !looks->over)
        check_say(check, "connect", CHECK_UNKNOWN,
                  STR("there are more ports and addresses than are looked at in one check"),
                  str_null(), str_null());
    looks->over |= !more;
    looks->count += more;
    return more;
}

static void port_look(struct looks *looks, const struct port *port)
{
    struct check *check = looks->check;
    struct msg answer;
    struct msg question = {.kind = MSG_look,
                           .look = {.host = port->host,
                                    .address = port->address,
                                    .port = port->number,
                                    .kind = (uint8_t)port->kind,
                                    .tlsa = port->tlsa,
                                    .tlsa_count = port->tlsa_count}};
    if (!is_place(check, port) || !may_look(looks))
        return;
    if (err_is(ask(check, &question, &answer)))
        nobody(check, "connect");
    else
        seen_judge(check, port, &answer.looked);
}

/* --- Our hosts ------------------------------------------------------------------------------- */

/* Those of a host that are ours. */
static void addresses_look(struct looks *looks, struct port *port)
{
    static const enum dns_type types[] = {DNS_A, DNS_AAAA};
    struct check *check = looks->check;
    struct dns_addresses found;
    for (size_t i = 0; i < 2; i++) {
        if (err_is(dns_address(check->dns, port->host, types[i], check->arena, &found)))
            continue; /* told where its addresses were looked for */
        for (size_t j = 0; j < found.count; j++) {
            port->address = str_from(found.list[j].text);
            if (check_is_own(check, found.list[j].text))
                port_look(looks, port);
        }
    }
}

/* What DNSSEC proves, as a courier can hold it against a certificate. */
static void records_take(struct check *check, struct port *port)
{
    struct dns_raw raw;
    struct str name = check_text(check, "_%u._tcp.%.*s", port->number, STR_FMT(port->host));
    struct err e = dns_raw(check->dns, name, DNS_TLSA, check->arena, &raw);
    if (err_is(e) || !raw.found.secure)
        return;
    port->tlsa = arena_take_array(check->arena, raw.count, sizeof *port->tlsa);
    for (size_t i = 0; port->tlsa && i < raw.count && i < TLSA_MAX; i++)
        port->tlsa[port->tlsa_count++] = (struct msg_dns_record){.rdata = raw.records[i].rdata};
}

static void mx_look(struct looks *looks)
{
    struct check *check = looks->check;
    for (size_t i = 0; i < check->mx_count; i++) {
        struct port port = {.number = SMTP_PORT, .kind = LOOK_SMTP, .host = check->mx[i].name};
        if (!check->mx[i].ours)
            continue;
        records_take(check, &port);
        addresses_look(looks, &port);
    }
}

/* What is for users: by our own name. */
static void others_look(struct looks *looks)
{
    const struct conf *conf = looks->check->conf;
    const struct {
        const struct conf_listen *listen;
        const char *port;
        uint16_t number;
        enum look_kind kind;
    } rows[] = {
        {&conf->submission.listen_tls, "465", 465, LOOK_TLS},
        {&conf->submission.listen, "587", 587, LOOK_SMTP},
        {&conf->pop3.listen_tls, "995", 995, LOOK_TLS},
        {&conf->http.listen_tls, "443", 443, LOOK_TLS},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct port port = {
            .number = rows[i].number, .kind = rows[i].kind, .host = looks->check->host};
        if (check_listens(rows[i].listen, rows[i].port) && conf->certificate_count > 0 &&
            looks->check->host.n > 0)
            addresses_look(looks, &port);
    }
}

/* --- The policy ------------------------------------------------------------------------------ */

static struct str address_text(struct check *check, const struct network *network)
{
    struct buf text = buf_in(check->arena, NETWORK_TEXT);
    network_print(network, &text);
    struct str printed = buf_built(&text);
    ssize_t slash = str_index(printed, '/');
    return slash < 0 ? printed : str_head(printed, (size_t)slash);
}

static void policy_say(struct check *check, enum check_state state, struct str text)
{
    check_say(check, "mta-sts", state, text, str_null(),
              state == CHECK_OK ? str_null() : check_sts_wanted(check));
}

static void policy_missing(struct check *check, const struct msg_sts_looked *seen)
{
    struct str why = check_quoted(check, seen->why);
    if (seen->result == TLS_RESULT_STS_WEBPKI_INVALID)
        check_say(check, "mta-sts", CHECK_FAIL,
                  check_text(check,
                             "the web server of mta-sts.%.*s has no valid certificate of that "
                             "name: %.*s",
                             STR_FMT(check->domain), STR_FMT(why)),
                  str_null(),
                  check_text(check, "a certificate of an authority for mta-sts.%.*s",
                             STR_FMT(check->domain)));
    else if (seen->result == TLS_RESULT_STS_POLICY_INVALID)
        policy_say(check, CHECK_FAIL,
                   check_text(check, "what mta-sts.%.*s gives is no policy: %.*s",
                              STR_FMT(check->domain), STR_FMT(why)));
    else
        policy_say(check, CHECK_FAIL,
                   check_text(check, "the policy cannot be fetched from mta-sts.%.*s: %.*s",
                              STR_FMT(check->domain), STR_FMT(why)));
}

/* False: a host is not named, and it was told. */
static bool hosts_judge(struct check *check, const struct mta_sts_policy *policy)
{
    bool all = true;
    for (size_t i = 0; i < check->mx_count; i++) {
        if (mta_sts_allows(policy, check->mx[i].name))
            continue;
        all = false;
        policy_say(check, policy->mode == MTA_STS_ENFORCE ? CHECK_FAIL : CHECK_WARN,
                   check_text(check,
                              "its policy does not name the MX %.*s: who keeps to it sends "
                              "nothing there",
                              STR_FMT(check->mx[i].name)));
    }
    return all;
}

static void policy_judge(struct check *check, const struct mta_sts_policy *policy)
{
    if (policy->mode == MTA_STS_NONE) {
        policy_say(check, CHECK_NOTE, STR("its policy is mode none: nothing follows from it"));
        return;
    }
    bool named = hosts_judge(check, policy);
    if (policy->max_age < SECONDS_A_DAY)
        policy_say(check, CHECK_WARN,
                   check_text(check,
                              "its policy holds for %u seconds: who keeps others from the web "
                              "server so long takes it away",
                              policy->max_age));
    if (named)
        check_say(check, "mta-sts", policy->mode == MTA_STS_ENFORCE ? CHECK_OK : CHECK_NOTE,
                  check_text(check, "its policy is mode %.*s, names all MX and holds for %u days%s",
                             STR_FMT(mta_sts_mode_word(policy->mode)),
                             policy->max_age / SECONDS_A_DAY,
                             policy->mode == MTA_STS_ENFORCE
                                 ? ""
                                 : "; enforce protects, once reports say that nothing fails"),
                  str_null(), str_null());
}

/* What is served here is to be what the configuration says. */
static void own_judge(struct check *check, struct str served)
{
    struct buf own = buf_in(check->arena, CONF_STS_MAX),
               printed = buf_in(check->arena, CONF_STS_MAX);
    struct mta_sts_policy policy;
    struct str wrong;
    if (!conf_sts_print(check->conf, check->domain, &own) ||
        !mta_sts_policy_parse(buf_str(&own), check->arena, &policy, &wrong))
        return;
    mta_sts_policy_print(&policy, &printed);
    if (!str_eq(buf_str(&printed), served))
        check_say(check, "mta-sts", CHECK_FAIL,
                  check_text(check, "mta-sts.%.*s gives another policy than this server would",
                             STR_FMT(check->domain)),
                  str_null(),
                  check_text(check, "look where mta-sts.%.*s leads", STR_FMT(check->domain)));
}

static void policy_look(struct check *check)
{
    struct msg answer;
    struct mta_sts_policy policy;
    struct str wrong;
    struct msg question = {.kind = MSG_sts_look, .sts_look = {.domain = check->domain}};
    struct msg_text_line *own = arena_take_array(check->arena, check->own_count + 1, sizeof *own);
    for (size_t i = 0; own && i < check->own_count; i++)
        own[question.sts_look.own_count++].text = address_text(check, &check->own[i]);
    question.sts_look.own = own;
    if (err_is(ask(check, &question, &answer))) {
        nobody(check, "mta-sts");
        return;
    }
    const struct msg_sts_looked *seen = &answer.sts_looked;
    if (seen->result != TLS_RESULT_OK ||
        !mta_sts_policy_parse(seen->policy, check->arena, &policy, &wrong)) {
        policy_missing(check, seen);
        return;
    }
    own_judge(check, seen->policy);
    policy_judge(check, &policy);
    check->sts_enforced = policy.mode == MTA_STS_ENFORCE;
}

void check_look(struct check *check)
{
    struct looks looks = {.check = check, .deadline = check->call->admin->loop->now + LOOKS_WITHIN};
    if (!check->looks)
        return;
    if (check->sts_there)
        policy_look(check);
    mx_look(&looks);
    others_look(&looks);
}
