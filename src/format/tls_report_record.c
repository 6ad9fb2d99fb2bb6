/*
 * Of the places that a record names those are kept that we can send to; what is malformed or of
 * another scheme is passed over, so that a list that somebody extends later still works.
 */
#include "format/addr.h"
#include "format/policy_record.h"
#include "format/tls_report.h"

static int hex_value(char c)
{
    if (ascii_is_digit(c))
        return c - '0';
    c = ascii_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Percent escapes undone (RFC 3986 2.1), in the arena; str_null where one is malformed. */
static struct str unescape(struct str text, struct arena *arena)
{
    char *to = arena_take(arena, text.n);
    size_t n = 0;
    for (size_t i = 0; to && i < text.n; i++, n++) {
        to[n] = text.p[i];
        if (text.p[i] != '%')
            continue;
        int high = text.n - i > 2 ? hex_value(text.p[i + 1]) : -1;
        int low = high < 0 ? -1 : hex_value(text.p[i + 2]);
        if (low < 0)
            return str_null();
        to[n] = (char)(high * 16 + low);
        i += 2;
    }
    return to ? str_make(to, n) : str_null();
}

/* mailto:address, RFC 6068; what stands behind a '?' is not for us. */
static struct str mail_of(struct str uri, struct arena *arena)
{
    struct str rest = str_from_index(uri, 7);
    struct str text = unescape(str_cut(&rest, '?'), arena);
    struct addr addr;
    if (!text.p || err_is(addr_parse(text, arena, &addr)) || addr.kind != ADDR_DOMAIN)
        return str_null();
    struct buf printed = buf_in(arena, 2 * ADDR_PATH_MAX);
    addr_print(&printed, &addr);
    return buf_built(&printed);
}

static bool is_port(struct str text)
{
    uint64_t port;
    return str_to_u64(text, &port) && port > 0 && port <= 65535;
}

/* https://host[:port][/...]: no user in it, and a name, so that its certificate can be checked. */
static bool is_https(struct str uri, struct arena *arena)
{
    struct str rest = str_from_index(uri, 8), host, ignored;
    size_t n = 0;
    while (n < rest.n && !memchr("/?#", rest.p[n], 3))
        n++;
    struct str port = str_head(rest, n);
    host = str_cut(&port, ':');
    return !err_is(domain_parse(host, arena, &ignored)) && (!port.p || is_port(port));
}

/* Of the characters of RFC 3986, so that it can stand in a request, a log and a report as it is. */
static bool is_uri(struct str uri)
{
    for (size_t i = 0; i < uri.n; i++)
        if (uri.p[i] <= 0x20 || uri.p[i] > 0x7e || memchr("\"<>\\^`{|}!", uri.p[i], 10))
            return false;
    return uri.n <= TLS_REPORT_URL_MAX;
}

static bool place_parse(struct str uri, struct arena *arena, struct tls_report_place *place_r)
{
    *place_r = (struct tls_report_place){.mail = str_null(), .url = str_null()};
    if (!is_uri(uri))
        return false;
    if (str_starts_nocase(uri, STR("mailto:")))
        place_r->mail = mail_of(uri, arena);
    else if (str_starts_nocase(uri, STR("https://")) && is_https(uri, arena))
        place_r->url = arena_str(arena, uri);
    return place_r->mail.p || place_r->url.p;
}

static void places_read(struct str list, struct arena *arena, struct tls_report_places *places)
{
    while (list.p && places->count < TLS_REPORT_PLACES_MAX) {
        struct tls_report_place place;
        if (place_parse(str_trim(str_cut(&list, ',')), arena, &place))
            places->at[places->count++] = place;
    }
}

static const char *fields_read(struct str fields, struct arena *arena,
                               struct tls_report_places *places)
{
    struct str key, value, rua = str_null();
    bool malformed;
    while (policy_field_next(&fields, &key, &value, &malformed))
        if (!rua.p && str_eq(key, STR("rua")))
            rua = value;
    if (malformed)
        return "the record has a malformed field";
    if (!rua.p)
        return "the record has no rua";
    places_read(rua, arena, places);
    return places->count ? NULL : "the record names no place we can send to";
}

bool tls_report_record_find(const struct str *texts, size_t count, struct arena *arena,
                            struct tls_report_places *places_r, struct str *wrong_r)
{
    struct str fields;
    struct tls_report_places places = {.count = 0};
    if (!policy_record_find(texts, count, STR("v=TLSRPTv1"), &fields, wrong_r))
        return false;
    const char *wrong = fields.n > TLS_REPORT_RECORD_MAX ? "the record is too long"
                                                         : fields_read(fields, arena, &places);
    *wrong_r = str_from(wrong);
    if (!wrong)
        *places_r = places;
    return !wrong;
}
