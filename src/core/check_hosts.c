#include "core/check.h"

static void own_add(struct check *check, const char *address)
{
    if (!check_is_own(check, address) && check->own_count < CHECK_ADDRESSES &&
        network_address(str_from(address), &check->own[check->own_count]))
        check->own_count++;
}

/* --- Our name and its addresses -------------------------------------------------------------- */

static void reverse(struct check *check, const char *address)
{
    struct dns_names names;
    struct buf zone = buf_in(check->arena, DNS_NAME_MAX);
    struct err e = dns_ptr(check->dns, str_from(address), check->arena, &names);
    if (check_unknown(check, "reverse", str_from(address), e) ||
        !dns_reverse(str_from(address), str_null(), &zone))
        return;
    struct str wanted = check_record(check, buf_built(&zone), "PTR",
                                     check_text(check, "%.*s.", STR_FMT(check->host)));
    struct str ask = STR("whoever gave you the address publishes this one; ask there");
    if (err_is(e)) {
        check_say(check, "reverse", CHECK_FAIL,
                  check_text(check, "%s has no name (PTR): large providers refuse it; %.*s",
                             address, STR_FMT(ask)),
                  wanted, str_null());
        return;
    }
    for (size_t i = 0; i < names.count; i++) {
        if (!str_eq_nocase(names.list[i], check->host))
            continue;
        check_say(check, "reverse", CHECK_OK,
                  check_text(check, "%s is %.*s, and back", address, STR_FMT(check->host)),
                  str_null(), str_null());
        return;
    }
    check_say(check, "reverse", CHECK_FAIL,
              check_text(check, "%s is %.*s, and says HELO as %.*s; %.*s", address,
                         STR_FMT(names.list[0]), STR_FMT(check->host), STR_FMT(ask)),
              wanted, str_null());
}

/* True: nobody knows. */
static bool addresses_of(struct check *check, const char *item, struct str name,
                         struct dns_addresses found[2])
{
    static const enum dns_type types[] = {DNS_A, DNS_AAAA};
    for (size_t i = 0; i < 2; i++) {
        struct err e = dns_address(check->dns, name, types[i], check->arena, &found[i]);
        if (check_unknown(check, item, name, e))
            return true;
        if (err_is(e))
            found[i].count = 0;
    }
    return false;
}

static void own_name_check(struct check *check)
{
    struct dns_addresses found[2];
    if (check->host.n == 0 || str_index(check->host, '.') < 0) {
        check_say(check, "hostname", CHECK_FAIL,
                  STR("this server has no full name: set hostname in the configuration"),
                  str_null(), STR("hostname = mail.YOUR-DOMAIN in veredus.conf, veredus reload"));
        return;
    }
    if (addresses_of(check, "hostname", check->host, found))
        return;
    for (size_t i = 0; i < 2; i++)
        for (size_t j = 0; j < found[i].count; j++)
            own_add(check, found[i].list[j].text);
    if (found[0].count + found[1].count == 0)
        check_say(check, "hostname", CHECK_FAIL,
                  check_text(check, "%.*s has no address: it is said in HELO, and many look",
                             STR_FMT(check->host)),
                  check_record(check, check->host, "A", STR("THE-ADDRESS-OF-THIS-SERVER")),
                  str_null());
    else
        check_say(check, "hostname", CHECK_OK,
                  check_text(check, "%.*s leads to %zu of our addresses", STR_FMT(check->host),
                             found[0].count + found[1].count),
                  str_null(), str_null());
}

static void own_addresses_check(struct check *check)
{
    for (size_t i = 0; i < check->own_count; i++) {
        char text[NETWORK_TEXT];
        struct buf printed = {.p = text, .cap = sizeof text - 1, .max = sizeof text - 1};
        network_print(&check->own[i], &printed);
        ssize_t slash = str_index(buf_str(&printed), '/');
        text[slash < 0 ? (ssize_t)printed.n : slash] = 0;
        reverse(check, text);
    }
}

/* --- MX -------------------------------------------------------------------------------------- */

/* RFC 5321 5.1, RFC 2181 10.3: an MX names a host, not an alias of one. */
static void mx_host(struct check *check, struct str name)
{
    struct dns_addresses found[2];
    struct check_host *host = &check->mx[check->mx_count++];
    *host = (struct check_host){.name = name, .ours = str_eq_nocase(name, check->host)};
    if (addresses_of(check, "mx", name, found)) {
        host->unknown = true;
        return;
    }
    for (size_t i = 0; i < 2; i++)
        for (size_t j = 0; j < found[i].count; j++)
            host->ours = host->ours || check_is_own(check, found[i].list[j].text);
    struct str to = found[0].count > 0 ? found[0].found.canonical : found[1].found.canonical;
    if (found[0].count + found[1].count == 0)
        check_say(check, "mx", CHECK_FAIL, check_text(check, "%.*s has no address", STR_FMT(name)),
                  check_record(check, name, "A", STR("ITS-ADDRESS")), str_null());
    else if (!str_eq_nocase(to, name))
        check_say(
            check, "mx", CHECK_FAIL,
            check_text(check, "%.*s is an alias (CNAME), which an MX must not name", STR_FMT(name)),
            check_record(check, check->domain, "MX", check_text(check, "10 %.*s.", STR_FMT(to))),
            str_null());
    else
        check_say(check, "mx", CHECK_OK,
                  check_text(check, "%.*s is %s", STR_FMT(name),
                             host->ours ? "this server" : "another server"),
                  str_null(), str_null());
}

/* One may be where nobody knows. */
static bool any_ours(const struct check *check)
{
    for (size_t i = 0; i < check->mx_count; i++)
        if (check->mx[i].ours || check->mx[i].unknown)
            return true;
    return false;
}

static struct str wanted_mx(struct check *check)
{
    return check_record(check, check->domain, "MX",
                        check_text(check, "10 %.*s.", STR_FMT(check->host)));
}

static void mx_check(struct check *check)
{
    struct dns_mxs mxs;
    struct err e = dns_mx(check->dns, check->domain, check->arena, &mxs);
    if (check_unknown(check, "mx", check->domain, e))
        return;
    if (err_is(e)) {
        check_say(check, "mx", CHECK_FAIL,
                  check_text(check, "%.*s has none: mail goes to its address, if anywhere",
                             STR_FMT(check->domain)),
                  wanted_mx(check), str_null());
        return;
    }
    check->null_mx = mxs.count == 1 && mxs.list[0].host.n == 0;
    if (check->null_mx) {
        check_say(check, "mx", CHECK_FAIL,
                  STR("it says that it takes no mail (null MX), and mail from it is refused, too"),
                  wanted_mx(check), str_null());
        return;
    }
    for (size_t i = 0; i < mxs.count && check->mx_count < CHECK_HOSTS; i++)
        if (mxs.list[i].host.n > 0)
            mx_host(check, mxs.list[i].host);
    if (mxs.count > CHECK_HOSTS)
        check_say(
            check, "mx", CHECK_WARN,
            check_text(check, "there are %zu; the first %d are looked at", mxs.count, CHECK_HOSTS),
            str_null(), str_null());
    else if (!any_ours(check))
        check_say(check, "mx", CHECK_WARN, STR("none of them is this server"), wanted_mx(check),
                  str_null());
    check_say(check, "dnssec", mxs.found.secure ? CHECK_OK : CHECK_NOTE,
              mxs.found.secure ? STR("the domain is signed")
                               : STR("the domain is not signed: its records can be forged on the "
                                     "way, and DANE is not to be had"),
              str_null(), str_null());
}

/* --- Ports ----------------------------------------------------------------------------------- */

bool check_listens(const struct conf_listen *listen, const char *port)
{
    for (size_t i = 0; i < listen->count; i++) {
        struct str address = listen->addresses[i];
        ssize_t colon = str_last_index(address, ':');
        bool local = str_starts(address, STR("127.")) || str_starts(address, STR("[::1]"));
        if (colon >= 0 && !local &&
            str_eq(str_from_index(address, (size_t)colon + 1), str_from(port)))
            return true;
    }
    return false;
}

static void ports_check(struct check *check)
{
    const struct conf *conf = check->conf;
    const struct {
        const struct conf_listen *listen;
        const char *port, *setting, *what;
        enum check_state without;
    } rows[] = {
        {&conf->smtp.listen, "25", "smtp.listen", "mail from other servers", CHECK_FAIL},
        {&conf->submission.listen_tls, "465", "submission.listen_tls", "users who send, in TLS",
         CHECK_WARN},
        {&conf->submission.listen, "587", "submission.listen", "users who send", CHECK_NOTE},
        {&conf->pop3.listen_tls, "995", "pop3.listen_tls", "users who read, in TLS", CHECK_NOTE},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        bool found = check_listens(rows[i].listen, rows[i].port);
        bool in_tls = rows[i].listen == &conf->submission.listen_tls ||
                      rows[i].listen == &conf->pop3.listen_tls;
        if (found && in_tls && conf->certificate_count == 0)
            found = false;
        check_say(check, "port", found ? CHECK_OK : rows[i].without,
                  check_text(check, "%s (%s): %s", rows[i].port, rows[i].what,
                             found ? "served here; whether a firewall stands in front is seen from "
                                     "outside alone"
                                   : "not served on an address that others reach"),
                  str_null(),
                  found ? str_null() : check_text(check, "%s in veredus.conf", rows[i].setting));
    }
}

void check_hosts(struct check *check)
{
    own_name_check(check);
    if (check->host.n > 0)
        own_addresses_check(check);
    mx_check(check);
    ports_check(check);
}
