#include "core/check.h"

#include "conf/own_sts.h"
#include "format/mta_sts.h"
#include "format/tls_report.h"
#include "store/dkim.h"
#include "trust/dkim_tags.h"

/* --- DKIM ------------------------------------------------------------------------------------ */

struct keys_seen {
    struct check *check;
    size_t count, active;
};

static void key_there(struct check *check, const struct dkim_kept *kept)
{
    static const struct {
        enum check_state state;
        const char *words, *command;
    } rows[] = {
        [DKIM_MADE] = {CHECK_WARN, "its record is there, and it does not sign yet",
                       "veredus dkim published"},
        [DKIM_ACTIVE] = {CHECK_OK, "it signs, and its record is there", NULL},
        [DKIM_RETIRING] = {CHECK_OK, "it signs no more, and its record is still there", NULL},
        [DKIM_RETIRED] = {CHECK_NOTE, "its record may be taken away, and the key",
                          "veredus dkim "
                          "remove"},
    };
    const char *command = rows[kept->state].command;
    check_say(check, "dkim", rows[kept->state].state,
              check_text(check, "%.*s: %s", STR_FMT(kept->selector), rows[kept->state].words),
              str_null(),
              command ? check_text(check, "%s %.*s %.*s", command, STR_FMT(kept->domain),
                                   STR_FMT(kept->selector))
                      : str_null());
}

/* `why`: what is wrong with the record that is there; null: there is none. */
static void key_missing(struct check *check, const struct dkim_kept *kept, struct str name,
                        struct str why)
{
    struct str words = STR("its record is not there");
    bool signs = kept->state == DKIM_ACTIVE;
    if (kept->state == DKIM_RETIRED)
        return;
    if (why.n > 0)
        words = check_text(check, "what is published in its place is not its record: %.*s",
                           STR_FMT(why));
    check_say(check, "dkim", signs ? CHECK_FAIL : CHECK_WARN,
              check_text(check, "%.*s: %.*s%s", STR_FMT(kept->selector), STR_FMT(words),
                         signs ? ", and it signs: receivers find every signature wrong" : ""),
              check_txt_record(check, name, kept->record), str_null());
}

/* RFC 6376 3.6.2.2: which of them a receiver takes is not known. */
static void several_tell(struct check *check, const struct dkim_kept *kept, size_t count)
{
    if (count > 1)
        check_say(check, "dkim", CHECK_WARN,
                  check_text(check,
                             "%.*s: there are %zu records in its place, and receivers take "
                             "any of them: only its own is to stay",
                             STR_FMT(kept->selector), count),
                  str_null(), str_null());
}

/* Private keys are not looked at. */
static struct err key_check(void *arg, const struct dkim_kept *kept)
{
    struct keys_seen *seen = arg;
    struct check *check = seen->check;
    const struct str *texts;
    size_t count;
    if (seen->count++ >= CHECK_KEYS)
        return err_none();
    seen->active += kept->state == DKIM_ACTIVE;
    struct str name =
        check_text(check, "%.*s._domainkey.%.*s", STR_FMT(kept->selector), STR_FMT(kept->domain));
    struct err e = check_texts(check, name, &texts, &count);
    if (check_unknown(check, "dkim", name, e))
        return err_none();
    struct str why = str_null();
    for (size_t i = 0; i < count; i++) {
        e = dkim_record_check(texts[i], kept->record);
        if (!err_is(e)) {
            key_there(check, kept);
            several_tell(check, kept, count);
            return err_none();
        }
        why = e.detail;
    }
    key_missing(check, kept, name, why);
    return err_none();
}

static void dkim_check(struct check *check)
{
    struct keys_seen seen = {.check = check};
    struct err e = dkim_kept_each(check->call->admin->engine, check->domain, key_check, &seen);
    if (err_is(e))
        check_say(check, "dkim", CHECK_UNKNOWN, STR("the keys cannot be read"), str_null(),
                  str_null());
    else if (seen.count == 0)
        check_say(check, "dkim", CHECK_FAIL,
                  STR("there are no keys: its mail is not signed, which large providers want"),
                  str_null(), check_text(check, "veredus dkim add %.*s", STR_FMT(check->domain)));
    if (seen.active > 0 && !check->conf->dkim.sign)
        check_say(check, "dkim", CHECK_WARN, STR("dkim.sign is no: nothing is signed"), str_null(),
                  STR("dkim { sign = yes } in veredus.conf"));
}

/* --- DMARC ----------------------------------------------------------------------------------- */

static struct str address_of_postmaster(struct check *check)
{
    return check_text(check, "mailto:postmaster@%.*s", STR_FMT(check->domain));
}

static bool is_dmarc(struct str text)
{
    struct str rest = text, version = str_trim(str_cut(&rest, ';'));
    struct str value = version, name = str_cut(&value, '=');
    return str_eq(str_trim(name), STR("v")) && str_eq(str_trim(value), STR("DMARC1"));
}

/* Of this name, or the closest one above it that has one; but for names of one label. */
static struct err dmarc_find(struct check *check, struct str *at_r, struct str *text_r,
                             size_t *found_r)
{
    struct str domain = check->domain;
    struct err e = err_none();
    for (*found_r = 0; *found_r == 0 && str_index(domain, '.') >= 0; str_cut(&domain, '.')) {
        const struct str *texts;
        size_t count;
        *at_r = domain;
        e = check_texts(check, check_text(check, "_dmarc.%.*s", STR_FMT(domain)), &texts, &count);
        if (err_is(e) && !check_is_absent(e))
            return e;
        for (size_t i = 0; i < count; i++) {
            if (!is_dmarc(texts[i]))
                continue;
            *text_r = texts[i];
            ++*found_r;
        }
    }
    return err_none();
}

static bool is_below(struct str name, struct str domain)
{
    return str_eq_nocase(name, domain) || (name.n > domain.n && str_ends_nocase(name, domain) &&
                                           name.p[name.n - domain.n - 1] == '.');
}

/* RFC 7489 7.1: who gets reports about another's domain must say that he wants them. */
static void report_elsewhere(struct check *check, struct str domain)
{
    const struct str *texts;
    size_t count;
    struct str name =
        check_text(check, "%.*s._report._dmarc.%.*s", STR_FMT(check->domain), STR_FMT(domain));
    struct err e = check_texts(check, name, &texts, &count);
    if (check_unknown(check, "dmarc", name, e))
        return;
    for (size_t i = 0; i < count; i++)
        if (is_dmarc(texts[i]))
            return;
    check_say(check, "dmarc", CHECK_WARN,
              check_text(check, "reports go to %.*s, which does not say that it takes them",
                         STR_FMT(domain)),
              check_txt_record(check, name, STR("v=DMARC1")), str_null());
}

static void reports_check(struct check *check, struct str rua, struct str at)
{
    for (int i = 0; rua.n > 0 && i < 5; i++) {
        struct str uri = str_trim(str_cut(&rua, ','));
        ssize_t sign = str_last_index(uri, '@');
        struct str domain = str_from_index(uri, (size_t)(sign + 1));
        ssize_t size = str_index(domain, '!');
        domain = size < 0 ? domain : str_head(domain, (size_t)size);
        if (!str_starts_nocase(uri, STR("mailto:")) || sign < 0 || !dns_name_ok(domain))
            check_say(
                check, "dmarc", CHECK_WARN,
                check_text(check, "reports cannot go to %.*s", STR_FMT(check_quoted(check, uri))),
                str_null(), str_null());
        else if (!is_below(domain, at) && !is_below(at, domain))
            report_elsewhere(check, domain);
    }
}

static void dmarc_read(struct check *check, struct str at, struct str text)
{
    struct dkim_tags tags;
    struct str name = check_text(check, "_dmarc.%.*s", STR_FMT(check->domain));
    bool read = dkim_tags_parse(text, &tags);
    struct str policy = read ? dkim_tag(&tags, STR("p")) : str_null();
    struct str rua = read ? dkim_tag(&tags, STR("rua")) : str_null();
    bool known = str_eq(policy, STR("none")) || str_eq(policy, STR("quarantine")) ||
                 str_eq(policy, STR("reject"));
    struct str wanted = check_txt_record(check, name,
                                         check_text(check, "v=DMARC1; p=%.*s; rua=%.*s",
                                                    STR_FMT(known ? policy : STR("none")),
                                                    STR_FMT(address_of_postmaster(check))));
    if (!known) {
        check_say(check, "dmarc", CHECK_FAIL,
                  check_text(check, "it has no policy that one can read: %.*s",
                             STR_FMT(check_quoted(check, text))),
                  wanted, str_null());
        return;
    }
    check_say(check, "dmarc", CHECK_OK,
              check_text(check, "%.*s says p=%.*s", STR_FMT(at), STR_FMT(policy)), str_null(),
              str_null());
    if (rua.n == 0)
        check_say(check, "dmarc", CHECK_WARN, STR("it asks for no reports (rua)"), wanted,
                  str_null());
    else
        reports_check(check, rua, at);
}

static void dmarc_check(struct check *check)
{
    struct str at = check->domain, text = str_null();
    size_t found;
    struct err e = dmarc_find(check, &at, &text, &found);
    struct str name = check_text(check, "_dmarc.%.*s", STR_FMT(check->domain));
    if (check_unknown(check, "dmarc", name, e))
        return;
    if (found == 1)
        dmarc_read(check, at, text);
    else if (found > 1)
        check_say(check, "dmarc", CHECK_FAIL,
                  check_text(check, "_dmarc.%.*s has more than one record: receivers take none",
                             STR_FMT(at)),
                  str_null(), str_null());
    else
        check_say(check, "dmarc", CHECK_FAIL,
                  STR("there is none: large providers refuse much of such mail"),
                  check_txt_record(check, name,
                                   check_text(check, "v=DMARC1; p=none; rua=%.*s",
                                              STR_FMT(address_of_postmaster(check)))),
                  str_null());
}

/* --- MTA-STS, TLS-RPT ------------------------------------------------------------------------ */

/* Of the policy that this server serves; empty: another one does, or nobody. */
static struct str sts_own_id(struct check *check)
{
    char id[CONF_STS_ID];
    conf_sts_id(check->conf, check->domain, id);
    return check_text(check, "%s", id);
}

static struct str sts_record(struct check *check, struct str name, struct str id)
{
    return check_txt_record(check, name, check_text(check, "v=STSv1; id=%.*s", STR_FMT(id)));
}

/* The policy that fits the MX, as the file has it; nothing where it is served here. */
struct str check_sts_wanted(struct check *check)
{
    if (sts_own_id(check).n > 0)
        return str_null();
    struct buf text = buf_in(check->arena, CHECK_TEXT);
    buf_printf(&text,
               "put at https://mta-sts.%.*s/.well-known/mta-sts.txt:\nversion: STSv1\n"
               "mode: testing\n",
               STR_FMT(check->domain));
    for (size_t i = 0; i < check->mx_count; i++)
        buf_printf(&text, "mx: %.*s\n", STR_FMT(check->mx[i].name));
    if (check->mx_count == 0)
        buf_printf(&text, "mx: %.*s\n", STR_FMT(check->host));
    buf_printf(&text,
               "max_age: 604800\nor let this server serve one, in veredus.conf:\n"
               "domain %.*s { mta_sts = testing } and http { listen_tls = *:443 }",
               STR_FMT(check->domain));
    return buf_built(&text);
}

static void sts_missing(struct check *check, struct str name, struct str why)
{
    struct str id = sts_own_id(check);
    if (id.n == 0)
        id = check_text(check, "%lld",
                        (long long)(world_wall(check->call->admin->loop->world) / 1000000));
    check_say(check, "mta-sts", why.n > 0 ? CHECK_FAIL : CHECK_WARN,
              why.n > 0 ? why
                        : STR("there is none: who stands between servers can keep mail to it "
                              "in clear text"),
              sts_record(check, name, id), check_sts_wanted(check));
}

/* The record beside the policy that we serve: who knows another id fetches it anew. */
static void sts_own(struct check *check, struct str name, struct str published, struct str id)
{
    bool same = str_eq(published, id);
    check_say(check, "mta-sts", same ? CHECK_OK : CHECK_FAIL,
              same ? STR("its record is that of the policy that is served here")
                   : STR("the policy that is served here is another one than its record says"),
              same ? str_null() : sts_record(check, name, id), str_null());
    if (check->conf->http.listen_tls.count == 0 && check->conf->http.listen.count == 0)
        check_say(check, "mta-sts", CHECK_FAIL, STR("the policy is configured, and not served"),
                  str_null(), STR("http { listen_tls = *:443 } in veredus.conf"));
}

static void sts_host(struct check *check)
{
    bool own = sts_own_id(check).n > 0;
    struct dns_addresses found;
    struct str host = check_text(check, "mta-sts.%.*s", STR_FMT(check->domain));
    struct err e = dns_address(check->dns, host, DNS_A, check->arena, &found);
    if (check_is_absent(e))
        e = dns_address(check->dns, host, DNS_AAAA, check->arena, &found);
    if (check_unknown(check, "mta-sts", host, e))
        return;
    if (err_is(e))
        check_say(
            check, "mta-sts", CHECK_FAIL,
            check_text(check, "%.*s, where the policy is to be, has no address", STR_FMT(host)),
            own ? check_record(check, host, "CNAME",
                               check_text(check, "%.*s.", STR_FMT(check->host)))
                : check_record(check, host, "A", STR("THE-ADDRESS-OF-ITS-WEB-SERVER")),
            check_sts_wanted(check));
    else if (!own && !check->looks)
        check_say(check, "mta-sts", CHECK_OK,
                  STR("its record is there; hold the policy against "
                      "this one"),
                  str_null(), check_sts_wanted(check));
    check->sts_there = !err_is(e);
}

static void sts_found(struct check *check, struct str name, struct str published)
{
    struct str id = sts_own_id(check);
    if (id.n > 0)
        sts_own(check, name, published, id);
    sts_host(check);
}

static void sts_check(struct check *check)
{
    const struct str *texts;
    struct str id, wrong = str_null();
    size_t count;
    struct str name = check_text(check, "_mta-sts.%.*s", STR_FMT(check->domain));
    struct err e = check_texts(check, name, &texts, &count);
    if (check_unknown(check, "mta-sts", name, e))
        return;
    if (count > 0 && mta_sts_record_find(texts, count, &id, &wrong))
        sts_found(check, name, id);
    else
        sts_missing(check, name, wrong);
}

static void tls_rpt_check(struct check *check)
{
    const struct str *texts;
    struct tls_report_places places;
    struct str wrong = str_null();
    size_t count;
    struct str name = check_text(check, "_smtp._tls.%.*s", STR_FMT(check->domain));
    struct str wanted = check_txt_record(
        check, name,
        check_text(check, "v=TLSRPTv1; rua=%.*s", STR_FMT(address_of_postmaster(check))));
    struct err e = check_texts(check, name, &texts, &count);
    if (check_unknown(check, "tls-rpt", name, e))
        return;
    if (count > 0 && tls_report_record_find(texts, count, check->arena, &places, &wrong))
        check_say(check, "tls-rpt", CHECK_OK, STR("others are asked to report what fails of TLS"),
                  str_null(), str_null());
    else
        check_say(check, "tls-rpt", wrong.n > 0 ? CHECK_FAIL : CHECK_WARN,
                  wrong.n > 0 ? check_text(check, "nobody gets reports: %.*s", STR_FMT(wrong))
                              : STR("there is none: nobody tells you what fails of TLS"),
                  wanted, str_null());
}

void check_policy(struct check *check)
{
    dkim_check(check);
    dmarc_check(check);
    sts_check(check);
    tls_rpt_check(check);
}
