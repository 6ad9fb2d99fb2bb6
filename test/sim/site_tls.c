#include "site_tls.h"

#include <openssl/err.h>

#include "base/must.h"
#include "internet.h"
#include "sim.h"

enum {
    CHUNK = 16384
};

/* A reply to EHLO, and one to MAIL: what somebody in front of TLS would like to have said. */
#define INJECTED "250-mx.nobody.test\r\n250 PIPELINING\r\n250 2.1.0 ok\r\n"

static bool has(const struct site *site, unsigned quirk)
{
    return (site->quirks & quirk) != 0;
}

struct site_tls site_tls_plan(const struct site *site)
{
    struct fake_random *random = &site->internet->random;
    struct site_tls tls = {.forged = has(site, QUIRK_WRONG)};
    if (has(site, QUIRK_FORGED))
        tls.forged = fake_random_below(random, 2);
    if (tls.forged)
        tls.forger = fake_random_below(random, PAPERS_FORGERS);
    if (has(site, QUIRK_CLUMSY))
        tls.trouble = TLS_NONSENSE;
    else if (has(site, QUIRK_TLS_FAILS))
        tls.trouble = (enum tls_trouble)fake_random_below(random, TLS_TROUBLES);
    return tls;
}

bool site_tls_is_announced(const struct site *site, const struct site_tls *tls)
{
    return has(site, QUIRK_TLS) && !tls->ssl && tls->trouble != TLS_STRIPPED;
}

/* NULL: it has. */
static const char *not_proved(const struct site *site, const struct site_tls *tls)
{
    if (site->row->policy == POLICY_NONE)
        return NULL;
    if (site->row->policy == POLICY_STS_ANOTHER)
        return "and its domain's policy does not name it";
    if (!tls->ssl)
        return "in clear, which its policy forbids";
    return tls->forged ? "with a certificate that its policy does not know" : NULL;
}

void site_tls_judge(const struct site *site, const struct site_tls *tls, struct str from)
{
    struct oracle *oracle = &site->internet->sim->oracle;
    const struct letter *letter = oracle_letter_from(oracle, from);
    const char *why = not_proved(site, tls);
    bool well = has(site, QUIRK_TLS) && tls->trouble == TLS_WELL;
    if (why && !(letter && letter->tls_optional))
        oracle_wrong(oracle, "%s hears MAIL, %s", site->row->name, why);
    if (well && !tls->asked && site->handshakes == site->handshakes_used)
        oracle_wrong(oracle, "%s hears MAIL in clear, and offers TLS", site->row->name);
}

/* --- Octets ---------------------------------------------------------------------------------- */

void site_tls_begin(struct site_tls *tls, struct site *site, struct dialog *dialog)
{
    if (tls->trouble == TLS_INJECTED)
        dialog_say(dialog, STR(INJECTED));
    tls->site = site;
    tls->ssl = SSL_new(tls->forged ? site->internet->papers.forgers[tls->forger] : site->shown);
    must(tls->ssl);
    SSL_set_bio(tls->ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_accept_state(tls->ssl);
    site->handshakes++;
}

void site_tls_end(struct site_tls *tls)
{
    SSL_free(tls->ssl);
    ERR_clear_error();
}

/* What TLS wants to say. */
static void flush(struct site_tls *tls, struct dialog *dialog)
{
    char octets[CHUNK];
    int n;
    while ((n = BIO_read(SSL_get_wbio(tls->ssl), octets, sizeof(octets))) > 0)
        dialog_say(dialog, str_make(octets, (size_t)n));
}

static bool hear(struct site_tls *tls, struct dialog *dialog)
{
    char octets[CHUNK];
    size_t n;
    bool heard = false;
    while ((n = fake_client_recv(dialog->client, octets, sizeof(octets))) > 0) {
        must(BIO_write(SSL_get_rbio(tls->ssl), octets, (int)n) == (int)n);
        heard = true;
    }
    return heard;
}

static enum site_tls_end read_all(struct site_tls *tls, struct dialog *dialog)
{
    char octets[CHUNK];
    int n;
    while ((n = SSL_read(tls->ssl, octets, sizeof(octets))) > 0) {
        must(buf_put(&dialog->in, str_make(octets, (size_t)n)));
        tls->site->handshakes_used += !tls->used;
        tls->used = true;
    }
    int why = SSL_get_error(tls->ssl, n);
    ERR_clear_error();
    return why == SSL_ERROR_WANT_READ ? SITE_TLS_GOES_ON : SITE_TLS_FAILED;
}

/* The half of it that leaves. */
static enum site_tls_end half(struct dialog *dialog)
{
    buf_cut(&dialog->out, dialog->out_at + (dialog->out.n - dialog->out_at) / 2);
    return SITE_TLS_FAILED;
}

enum site_tls_end site_tls_pull(struct site_tls *tls, struct dialog *dialog)
{
    buf_drop_front(&dialog->in, dialog->in_at);
    dialog->in_at = 0;
    if (!hear(tls, dialog) || tls->trouble == TLS_SILENT)
        return SITE_TLS_GOES_ON;
    if (tls->trouble == TLS_RESETS)
        return SITE_TLS_RESET;
    if (tls->trouble == TLS_NONSENSE) {
        dialog_say(dialog, STR("500 what?\r\n"));
        return SITE_TLS_FAILED;
    }
    ERR_clear_error();
    enum site_tls_end end = read_all(tls, dialog);
    flush(tls, dialog);
    return tls->trouble == TLS_HALF ? half(dialog) : end;
}

void site_tls_say(struct site_tls *tls, struct dialog *dialog, struct str octets)
{
    ERR_clear_error();
    must(SSL_write(tls->ssl, octets.p, (int)octets.n) == (int)octets.n);
    flush(tls, dialog);
}
