#include "core/check.h"
#include "core/keys.h"
#include "trust/certificate.h"

#define US_A_DAY (INT64_C(86400) * 1000000)

enum {
    DIGESTS = 2 * CERTIFICATE_LINKS_MAX,
    CAA_TYPE = 257, /* RFC 8659 */
};

/* --- Certificates ---------------------------------------------------------------------------- */

/* "*." stands for one label (RFC 6125 6.4.3). */
static bool names_host(struct str name, struct str host)
{
    if (str_eq_nocase(name, host))
        return true;
    ssize_t dot = str_index(host, '.');
    return str_starts(name, STR("*.")) && dot > 0 &&
           str_eq_nocase(str_from_index(name, 1), str_from_index(host, (size_t)dot));
}

/* The one for SMTP that names the host, and lasts longest. */
static const struct certificate *certificate_for(const struct check *check, struct str host)
{
    const struct keys *keys = check->call->admin->keys;
    const struct certificate *best = NULL;
    for (size_t i = 0; keys && i < keys_count(keys); i++) {
        struct keys_row row = keys_row(keys, i);
        for (size_t j = 0; row.roles & FROM_MX && j < row.name_count; j++)
            if (names_host(row.names[j], host) &&
                (!best || row.certificate->not_after > best->not_after))
                best = row.certificate;
    }
    return best;
}

static void certificate_check(struct check *check, struct str host)
{
    const struct certificate *certificate = certificate_for(check, host);
    if (!certificate) {
        check_say(check, "tls", CHECK_FAIL,
                  check_text(check, "no certificate of this server names %.*s", STR_FMT(host)),
                  str_null(),
                  check_text(check,
                             "veredus tls new %.*s, or one of an authority; then a block "
                             "certificate in veredus.conf",
                             STR_FMT(host)));
        return;
    }
    int64_t left = certificate->not_after - world_wall(check->call->admin->loop->world);
    long long days = (long long)(left / US_A_DAY);
    if (left <= 0)
        check_say(check, "tls", CHECK_FAIL,
                  check_text(check, "the certificate of %.*s is over", STR_FMT(host)), str_null(),
                  STR("renew it, then: veredus reload"));
    else
        check_say(
            check, "tls", left < check->conf->tls.warn_before / 1000 ? CHECK_WARN : CHECK_OK,
            check_text(check, "the certificate of %.*s lasts %lld days more", STR_FMT(host), days),
            str_null(), str_null());
}

/* --- TLSA ------------------------------------------------------------------------------------ */

struct digest {
    unsigned usage, selector;
    unsigned char octets[CERTIFICATE_FINGERPRINT];
};

struct digests {
    struct digest list[DIGESTS];
    size_t count;
};

/* What TLSA records with SHA-256 may say of the chain (RFC 7671 5). */
static void digests_of(const struct certificate *certificate, struct digests *digests)
{
    digests->count = 0;
    for (size_t i = 0; certificate && i < certificate->link_count; i++)
        for (unsigned selector = 0; selector < 2; selector++) {
            struct digest *digest = &digests->list[digests->count];
            digest->usage = i == 0 ? 3 : 2;
            digest->selector = selector;
            if (certificate_digest(certificate->links[i], selector == 1, digest->octets))
                digests->count++;
        }
}

static bool tlsa_fits(const struct dns_tlsa *tlsa, const struct digests *digests)
{
    for (size_t i = 0; i < digests->count; i++) {
        const struct digest *digest = &digests->list[i];
        if (tlsa->usage == digest->usage && tlsa->selector == digest->selector &&
            str_eq(tlsa->data, str_make(digest->octets, sizeof digest->octets)))
            return true;
    }
    return false;
}

static struct str tlsa_wanted(struct check *check, struct str name, const struct digests *digests)
{
    char hex[2 * CERTIFICATE_FINGERPRINT + 1] = {0};
    for (size_t i = 0; i < digests->count; i++) {
        if (digests->list[i].usage != 3 || digests->list[i].selector != 1)
            continue;
        for (size_t j = 0; j < CERTIFICATE_FINGERPRINT; j++) {
            static const char digits[] = "0123456789abcdef";
            hex[2 * j] = digits[digests->list[i].octets[j] >> 4];
            hex[2 * j + 1] = digits[digests->list[i].octets[j] & 15];
        }
        return check_record(check, name, "TLSA", check_text(check, "3 1 1 %s", hex));
    }
    return str_null();
}

static void tlsa_judge(struct check *check, struct str name, const struct dns_tlsas *tlsas,
                       const struct digests *digests)
{
    size_t fit = 0, other = 0;
    for (size_t i = 0; i < tlsas->count; i++) {
        const struct dns_tlsa *tlsa = &tlsas->list[i];
        if (tlsa->matching != 1 || tlsa->usage < 2)
            other++;
        else if (tlsa_fits(tlsa, digests))
            fit++;
    }
    if (fit > 0)
        check_say(check, "tlsa", CHECK_OK,
                  check_text(check, "%.*s fits the certificate", STR_FMT(name)), str_null(),
                  str_null());
    else if (other > 0 && other == tlsas->count)
        check_say(check, "tlsa", CHECK_NOTE,
                  check_text(check,
                             "%.*s is not of the kinds that are looked at here (3 x 1, 2 x 1)",
                             STR_FMT(name)),
                  tlsa_wanted(check, name, digests), str_null());
    else
        check_say(check, "tlsa", CHECK_FAIL,
                  check_text(check,
                             "%.*s fits no certificate of this server: who looks at DANE "
                             "sends nothing",
                             STR_FMT(name)),
                  tlsa_wanted(check, name, digests), str_null());
    if (!tlsas->found.secure)
        check_say(
            check, "tlsa", CHECK_WARN,
            check_text(check, "%.*s is not signed (DNSSEC): it counts for nothing", STR_FMT(name)),
            str_null(), str_null());
}

static void tlsa_check(struct check *check, struct str host)
{
    struct dns_tlsas tlsas;
    struct digests *digests = arena_new(check->arena, struct digests);
    struct str name = check_text(check, "_25._tcp.%.*s", STR_FMT(host));
    if (!digests)
        return;
    digests_of(certificate_for(check, host), digests);
    struct err e = dns_tlsa(check->dns, name, check->arena, &tlsas);
    if (check_unknown(check, "tlsa", name, e))
        return;
    if (!err_is(e))
        tlsa_judge(check, name, &tlsas, digests);
    else if (tlsas.found.secure && digests->count > 0)
        check_say(check, "tlsa", CHECK_NOTE,
                  check_text(check,
                             "%.*s is not there, and the zone is signed: with it nobody on "
                             "the way can read mail",
                             STR_FMT(name)),
                  tlsa_wanted(check, name, digests), str_null());
}

/* --- CAA ------------------------------------------------------------------------------------- */

static void caa_check(struct check *check, struct str host)
{
    struct dns_raw raw;
    struct err e = dns_raw(check->dns, host, CAA_TYPE, check->arena, &raw);
    if (!err_is(e))
        check_say(check, "caa", CHECK_NOTE,
                  check_text(check,
                             "%.*s says which authorities may make certificates for it "
                             "(CAA): yours must be among them",
                             STR_FMT(host)),
                  str_null(), str_null());
}

void check_tls(struct check *check)
{
    bool any = false;
    for (size_t i = 0; i < check->mx_count; i++) {
        if (!check->mx[i].ours)
            continue;
        any = true;
        certificate_check(check, check->mx[i].name);
        tlsa_check(check, check->mx[i].name);
        caa_check(check, check->mx[i].name);
    }
    if (!any && check->host.n > 0)
        certificate_check(check, check->host);
}
