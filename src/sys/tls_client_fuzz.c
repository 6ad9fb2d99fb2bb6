/* Any octets as what a server says in a handshake: the first octet says what it has to prove and
 * whether octets come by records, the second how many come at a time. Property: a step ends with
 * success, with a wait, or with words why not; what the client sends is made of records; nobody
 * says more than a handshake may have; a verdict of success is of a handshake that went well, and
 * with a proof of the kind that was asked for. */
#include "sys/tls_talk_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum {
    VERIFY_SHIFT = 2, /* of the first octet, beside BY_RECORDS */
    VERIFY_MASK = 3,
    DIGEST = 32,
};

static struct tls_client *client_made(void)
{
    static struct tls_client *client;
    if (!client) {
        must(tls_prepare());
        client = tls_client_new();
        must(client);
    }
    return client;
}

/* The records fit nobody, but the last, which fits a certificate's place in the chain by usage. */
static struct tls_session *session_of(unsigned how, struct world *world)
{
    static const char octets[DIGEST] = "a digest of nothing";
    const struct tls_tlsa records[] = {
        {.usage = 3, .selector = 1, .matching = 1, .data = str_make(octets, DIGEST)},
        {.usage = 2, .selector = 0, .matching = 1, .data = str_make(octets, DIGEST)},
        {.usage = 2, .selector = 0, .matching = 0, .data = str_make(octets, DIGEST)},
    };
    struct tls_peer want = {.verify = (enum tls_verify)((how >> VERIFY_SHIFT & VERIFY_MASK) % 3),
                            .name = STR("mail.example.test"),
                            .tlsa = records,
                            .tlsa_count = 3,
                            .destination = STR("mail.example.test 25")};
    return tls_session_call(client_made(), &want, world, HANDLE);
}

/* Nobody has a key that fits, so nothing is ever proved, and no handshake goes well: its randoms
 * are ours, and new each time. */
static void nothing_was_proved(const struct tls_session *session)
{
    struct tls_verdict verdict;
    tls_session_verdict(session, &verdict);
    must(verdict.proof == TLS_PROOF_NONE || verdict.result == TLS_RESULT_OK);
    must(verdict.proof != TLS_PROOF_DANE_EE && verdict.proof != TLS_PROOF_DANE_TA);
    must(verdict.result < TLS_RESULTS);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < 2)
        return 0;
    struct talk talk = talk_of_input(data, n);
    struct tls_session *session = session_of(data[0], &talk.world);
    must(session);
    talk_through(&talk, session);
    nothing_was_proved(session);
    tls_session_free(session);
    buf_done(&talk.sent);
    return 0;
}
