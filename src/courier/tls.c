/*
 * A handshake that fails where none is needed is followed by a connection in clear, at once: the
 * message would go in clear to a server without STARTTLS, too, and who can break the handshake can
 * strike the offer out as well.
 */
#include "courier/tls.h"

#include "courier/result.h"
#include "format/mail_options.h"

enum tls_need tls_need(const struct job *job, const struct connection *connection)
{
    struct mail_options asked = {.ret = DSN_RETURN_UNSAID};
    struct wire_in in = wire_in(job->order->asked);
    (void)connection;
    if (in.rest.n > 0)
        mail_options_decode(&in, &asked);
    return !in.bad && asked.require_tls ? TLS_NEED_PKIX : TLS_NEED_NONE;
}

/* For the facts: "TLSv1.3 TLS_AES_256_GCM_SHA384 pkix". */
static void facts_keep(struct connection *connection)
{
    struct tls_facts facts;
    struct tls_verdict verdict;
    stream_tls_facts(&connection->talk.stream, &facts);
    stream_tls_verdict(&connection->talk.stream, &verdict);
    snprintf(connection->tls, sizeof connection->tls, "%.*s/%.*s/%s", STR_FMT(facts.version),
             STR_FMT(facts.cipher), verdict.proof == TLS_PROOF_PKIX ? "pkix" : "unproven");
}

static void failure_note(struct job *job, const struct connection *connection, struct str words)
{
    struct tls_verdict verdict;
    struct buf text = BUF_INIT(JOB_TEXT_MAX);
    buf_put(&text, STR("TLS failed: "));
    if (words.n == 0) {
        stream_tls_verdict(&connection->talk.stream, &verdict);
        words = verdict.words;
    }
    buf_put(&text, words.n > 0 ? words : STR("the handshake"));
    job_note(job, JOB_TROUBLE_TLS, NULL, buf_str(&text));
    buf_done(&text);
}

static enum tls_end shake_hands(struct job *job, struct connection *connection, enum tls_need need)
{
    struct courier *courier = job->courier;
    struct network literal;
    struct str name = str_from(connection->host);
    const struct tls_peer peer = {
        .verify = need == TLS_NEED_PKIX ? TLS_VERIFY_PKIX : TLS_VERIFY_NONE,
        .name = network_address(name, &literal) || str_starts(name, STR("[")) ? STR("") : name};
    int64_t since = courier->loop->now;
    int failed =
        stream_tls_connect(&connection->talk.stream, courier->tls, &peer, since + WITHIN_HANDSHAKE);
    job_spends(job, PHASE_TLS, since);
    if (!failed) {
        facts_keep(connection);
        return TLS_ON;
    }
    failure_note(job, connection, STR(""));
    return need == TLS_NEED_NONE ? TLS_FAILED : TLS_REFUSED;
}

/* It was to be in TLS and cannot be. */
static enum tls_end in_clear(struct job *job, const struct connection *connection,
                             enum tls_need need, struct str why)
{
    if (need == TLS_NEED_NONE)
        return TLS_OFF;
    failure_note(job, connection, why);
    return TLS_REFUSED;
}

enum tls_end tls_begin(struct job *job, struct connection *connection)
{
    struct talk *talk = &connection->talk;
    enum tls_need need = tls_need(job, connection);
    if (!capabilities_have(&connection->can, CAPABILITY_STARTTLS) || !job->courier->tls)
        return in_clear(job, connection, need, STR("it is not offered"));
    if (job->in_clear && need == TLS_NEED_NONE)
        return TLS_OFF;
    talk_command(talk, "STARTTLS");
    enum talk_end end = talk_reply(talk, WITHIN_STARTTLS);
    const struct reply *reply = talk_last(talk);
    if (end != TALK_REPLY || talk_is_disturbed(talk)) {
        /* Octets behind the 220 are somebody's who wants to be taken for the server in TLS (S08).
         */
        failure_note(job, connection, talk_end_text(end, talk));
        return TLS_REFUSED;
    }
    if (reply->class != REPLY_SUCCESS)
        return in_clear(job, connection, need, STR("STARTTLS is refused"));
    return shake_hands(job, connection, need);
}
