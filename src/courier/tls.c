/*
 * A handshake that fails where none is needed is followed by a connection in clear, at once: the
 * message would go in clear to a server without STARTTLS, too, and who can break the handshake can
 * strike the offer out as well.
 */
#include "courier/tls.h"

#include <errno.h>

#include "courier/require.h"
#include "courier/result.h"
#include "courier/sessions.h"

enum {
    DESTINATION_MAX = 512, /* a host's name, its address and port */
};

/* What its route asks for. */
static enum tls_need route_need(const struct job *job)
{
    switch ((enum conf_route_tls)job->order->tls) {
    case CONF_ROUTE_TLS_VERIFIED:
    case CONF_ROUTE_TLS_IMPLICIT:
        return TLS_NEED_PKIX;
    case CONF_ROUTE_TLS_REQUIRED:
        return TLS_NEED_TLS;
    case CONF_ROUTE_TLS_AUTO:
    case CONF_ROUTE_TLS_OPPORTUNISTIC:
    case CONF_ROUTE_TLS_OFF:
    case CONF_ROUTE_TLS_COUNT:
        break;
    }
    return TLS_NEED_NONE;
}

/* With DANE there is a proof already, of this host and by its own records. */
enum tls_need tls_need(const struct job *job)
{
    enum tls_need need = job->policy ? job->policy->need : TLS_NEED_NONE;
    if (need < route_need(job))
        need = route_need(job);
    return need < TLS_NEED_PKIX && require_proof(job) ? TLS_NEED_PKIX : need;
}

/* For the facts: "TLSv1.3/TLS_AES_256_GCM_SHA384/pkix". */
static void facts_keep(struct connection *connection)
{
    static const char *const proofs[] = {[TLS_PROOF_NONE] = "unproven",
                                         [TLS_PROOF_PKIX] = "pkix",
                                         [TLS_PROOF_DANE_EE] = "dane-ee",
                                         [TLS_PROOF_DANE_TA] = "dane-ta"};
    struct tls_facts facts;
    struct tls_verdict verdict;
    stream_tls_facts(&connection->talk.stream, &facts);
    stream_tls_verdict(&connection->talk.stream, &verdict);
    snprintf(connection->tls, sizeof connection->tls, "%.*s/%.*s/%s%s", STR_FMT(facts.version),
             STR_FMT(facts.cipher), proofs[verdict.proof], facts.resumed ? "/resumed" : "");
}

/* "TLS failed (certificate-expired): certificate has expired". `lasts`: it will be so another time.
 */
static void failure_note(struct job *job, const struct connection *connection,
                         enum tls_result result, struct str words, bool lasts)
{
    session_over(job, connection, false, result, words);
    struct buf text = BUF_INIT(JOB_TEXT_MAX);
    buf_printf(&text, "TLS failed (%.*s): %.*s", STR_FMT(tls_result_word(result)),
               STR_FMT(words.n > 0 ? words : tls_result_text(result)));
    if (lasts && require_tls(job))
        require_miss(job, REQUIRE_NO_TLS, buf_str(&text));
    else
        job_note(job, JOB_TROUBLE_TLS, NULL, buf_str(&text));
    buf_done(&text);
}

/* --- The handshake --------------------------------------------------------------------------- */

/* Who is met there is the same one: for sessions that are resumed. */
static struct str destination_of(struct job *job, const struct connection *connection)
{
    struct buf text = buf_in(&job->arena, DESTINATION_MAX);
    buf_printf(&text, "%s %s %u", connection->host, connection->ends.text, connection->ends.port);
    struct str destination = buf_built(&text);
    return destination.p ? destination : STR("");
}

/* Those that the route names. */
static size_t names_of(struct job *job, struct str **names_r)
{
    struct str rest = job->order->tls_names;
    size_t count = 0;
    *names_r = arena_take_array(&job->arena, TLS_PEER_NAMES_MAX, sizeof(struct str));
    while (*names_r && rest.n > 0 && count < TLS_PEER_NAMES_MAX)
        (*names_r)[count++] = str_cut(&rest, ' ');
    return count;
}

/* A certificate without the names that it should have proves nothing: there are always some. */
static void named(struct job *job, struct str name, bool address, struct tls_peer *peer)
{
    struct str *names;
    peer->name_count = names_of(job, &names);
    if (peer->name_count == 0 && address && names) {
        names[0] = name;
        peer->name_count = 1;
    }
    peer->names = names;
}

static struct tls_peer peer_of(struct job *job, const struct connection *connection,
                               enum tls_need need)
{
    static const enum tls_verify ways[] = {[TLS_NEED_NONE] = TLS_VERIFY_NONE,
                                           [TLS_NEED_TLS] = TLS_VERIFY_NONE,
                                           [TLS_NEED_PKIX] = TLS_VERIFY_PKIX,
                                           [TLS_NEED_DANE] = TLS_VERIFY_DANE};
    const struct tls_policy *policy = job->policy;
    struct network literal;
    struct str name = str_from(connection->host);
    bool address = network_address(name, &literal);
    struct tls_peer peer = {.verify = ways[need],
                            .name = address || str_starts(name, STR("[")) ? STR("") : name,
                            .destination = destination_of(job, connection)};
    named(job, name, address, &peer);
    if (need == TLS_NEED_DANE) {
        peer.name = policy->base; /* RFC 7672 8.1 */
        peer.names = policy->names;
        peer.name_count = policy->name_count;
        peer.tlsa = policy->tlsa;
        peer.tlsa_count = policy->tlsa_count;
    }
    return peer;
}

static enum tls_end shake_hands(struct job *job, struct connection *connection, enum tls_need need)
{
    struct courier *courier = job->courier;
    const struct tls_peer peer = peer_of(job, connection, need);
    struct tls_verdict verdict;
    int64_t since = courier->loop->now;
    int failed =
        stream_tls_connect(&connection->talk.stream, courier->tls, &peer, since + WITHIN_HANDSHAKE);
    job_spends(job, PHASE_TLS, since);
    stream_tls_verdict(&connection->talk.stream, &verdict);
    if (!failed) {
        facts_keep(connection);
        session_over(job, connection, true, verdict.result, verdict.words);
        return TLS_ON;
    }
    failure_note(job, connection, verdict.result, verdict.words, failed == -EPROTO);
    return need == TLS_NEED_NONE ? TLS_FAILED : TLS_REFUSED;
}

/* It is not to be in TLS; where it should be, that is its end. */
static enum tls_end in_clear(struct job *job, const struct connection *connection,
                             enum tls_need need, struct str why, bool lasts)
{
    if (need != TLS_NEED_NONE) {
        failure_note(job, connection, TLS_RESULT_STARTTLS_NOT_SUPPORTED, why, lasts);
        return TLS_REFUSED;
    }
    session_over(job, connection, false, TLS_RESULT_STARTTLS_NOT_SUPPORTED, why);
    return TLS_OFF;
}

enum tls_end tls_begin(struct job *job, struct connection *connection)
{
    struct talk *talk = &connection->talk;
    enum tls_need need = tls_need(job);
    if (job->order->tls == CONF_ROUTE_TLS_OFF)
        return in_clear(job, connection, require_tls(job) ? TLS_NEED_PKIX : TLS_NEED_NONE,
                        STR("its route is without"), true);
    if (!job->courier->tls)
        return in_clear(job, connection, need, STR("this courier has none"), false);
    if (!capabilities_have(&connection->can, CAPABILITY_STARTTLS))
        return in_clear(job, connection, need, STR("it is not offered"), true);
    if (job->in_clear && need == TLS_NEED_NONE)
        return TLS_OFF;
    talk_command(talk, "STARTTLS");
    enum talk_end end = talk_reply(talk, WITHIN_STARTTLS);
    const struct reply *reply = talk_last(talk);
    if (end != TALK_REPLY || talk_is_disturbed(talk)) {
        /* Octets behind the 220 are somebody's who wants to be taken for the server in TLS (S08).
         */
        failure_note(job, connection, TLS_RESULT_VALIDATION_FAILURE, talk_end_text(end, talk),
                     false);
        return TLS_REFUSED;
    }
    if (reply->class != REPLY_SUCCESS)
        return in_clear(job, connection, need, STR("STARTTLS is refused"),
                        reply->class == REPLY_PERMANENT);
    return shake_hands(job, connection, need);
}

enum tls_end tls_begin_first(struct job *job, struct connection *connection)
{
    enum tls_need need = tls_need(job);
    if (!job->courier->tls)
        return in_clear(job, connection, need, STR("this courier has none"), false);
    return shake_hands(job, connection, need);
}
