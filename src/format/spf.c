/*
 * Why terms are a list and not a callback: a record is 512 octets or so, and who evaluates it comes
 * back to it behind every question to the DNS.
 */
#include "format/spf.h"

#include "base/buf.h"

enum {
    BITS_V4 = 32,
    BITS_V6 = 128,
};

static bool is_spf(struct str text)
{
    struct str version = STR("v=spf1");
    return str_starts_nocase(text, version) && (text.n == version.n || text.p[version.n] == ' ');
}

bool spf_find(const struct str *texts, size_t count, struct str *record_r, struct str *wrong_r)
{
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        if (!is_spf(texts[i]))
            continue;
        *record_r = texts[i];
        found++;
    }
    *wrong_r = found > 1 ? STR("there is more than one SPF record") : str_null();
    return found == 1;
}

/* --- A term ---------------------------------------------------------------------------------- */

static const struct {
    struct str name;
    enum {
        NO_DOMAIN,
        MAY_DOMAIN,
        MUST_DOMAIN,
        ADDRESS
    } takes;
    bool bits;
} mechanisms[] = {
    [SPF_ALL] = {STR_INIT("all"), NO_DOMAIN, false},
    [SPF_INCLUDE] = {STR_INIT("include"), MUST_DOMAIN, false},
    [SPF_A] = {STR_INIT("a"), MAY_DOMAIN, true},
    [SPF_MX] = {STR_INIT("mx"), MAY_DOMAIN, true},
    [SPF_PTR] = {STR_INIT("ptr"), MAY_DOMAIN, false},
    [SPF_IP4] = {STR_INIT("ip4"), ADDRESS, false},
    [SPF_IP6] = {STR_INIT("ip6"), ADDRESS, false},
    [SPF_EXISTS] = {STR_INIT("exists"), MUST_DOMAIN, false},
};

static bool is_visible(struct str text)
{
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] <= ' ' || text.p[i] > '~')
            return false;
    return true;
}

/* macro-expand: %{...}, %%, %_ and %- (7.1); what the braces hold is not looked into. */
static bool is_macro_string(struct str text, bool *macro_r)
{
    *macro_r = false;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] != '%')
            continue;
        *macro_r = true;
        if (++i == text.n)
            return false;
        ssize_t close = str_index(str_from_index(text, i), '}');
        if (text.p[i] == '{' && close < 2)
            return false;
        if (text.p[i] == '{')
            i += (size_t)close;
        else if (!strchr("%_-", text.p[i]))
            return false;
    }
    return is_visible(text);
}

/* "/24" at the end of `text` is taken off. True also where there is none. */
static bool bits_take(struct str *text, struct str slash, uint64_t most, uint8_t *bits_r)
{
    size_t digits = 0;
    while (digits < text->n && digits < 4 && ascii_is_digit(text->p[text->n - 1 - digits]))
        digits++;
    struct str front = str_head(*text, text->n - digits);
    uint64_t value;
    if (digits == 0 || !str_ends(front, slash))
        return true;
    if (slash.n == 1 && str_ends(front, STR("//"))) /* those of IPv6, twice */
        return false;
    struct str number = str_from_index(*text, front.n);
    if (!str_to_u64(number, &value) || value > most || (number.n > 1 && number.p[0] == '0'))
        return false;
    *bits_r = (uint8_t)value;
    *text = str_head(front, front.n - slash.n);
    return true;
}

static bool dual_bits_take(struct str *text, struct spf_term *term)
{
    term->v4 = BITS_V4;
    term->v6 = BITS_V6;
    return bits_take(text, STR("//"), BITS_V6, &term->v6) &&
           bits_take(text, STR("/"), BITS_V4, &term->v4);
}

/* What stands behind the length does not count, though it be set. */
static bool network_take(struct str text, bool v4, struct network *network_r)
{
    struct str rest = text, address = str_cut(&rest, '/');
    uint64_t bits = v4 ? BITS_V4 : BITS_V6;
    bool has_bits = str_index(text, '/') >= 0;
    if (has_bits && (!str_to_u64(rest, &bits) || bits > (uint64_t)(v4 ? BITS_V4 : BITS_V6)))
        return false;
    if (!network_address(address, network_r) || (str_index(address, ':') >= 0) == v4)
        return false;
    *network_r = network_of(network_r, (unsigned)bits + (v4 ? NETWORK_V4 : 0));
    return true;
}

static bool argument_take(struct str argument, bool given, struct spf_term *term,
                          struct str *wrong_r)
{
    enum spf_mechanism mechanism = term->mechanism;
    *wrong_r = STR("what stands behind the colon is not right");
    if (mechanisms[mechanism].takes == ADDRESS)
        return given && network_take(argument, mechanism == SPF_IP4, &term->network);
    if (given && mechanisms[mechanism].takes == NO_DOMAIN)
        return false;
    if (mechanisms[mechanism].takes == MUST_DOMAIN && argument.n == 0) {
        *wrong_r = STR("a domain is missing");
        return false;
    }
    term->domain = argument;
    return (!given || argument.n > 0) && is_macro_string(argument, &term->macro);
}

static bool mechanism_find(struct str name, enum spf_mechanism *mechanism_r)
{
    for (size_t i = 0; i < sizeof mechanisms / sizeof *mechanisms; i++) {
        *mechanism_r = (enum spf_mechanism)i;
        if (str_eq_nocase(name, mechanisms[i].name))
            return true;
    }
    return false;
}

static struct str qualifier_take(struct str text, enum spf_result *result_r)
{
    static const char signs[] = {
        [SPF_PASS] = '+', [SPF_FAIL] = '-', [SPF_SOFTFAIL] = '~', [SPF_NEUTRAL] = '?'};
    *result_r = SPF_PASS;
    for (size_t i = 0; i < sizeof signs; i++) {
        if (text.p[0] != signs[i])
            continue;
        *result_r = (enum spf_result)i;
        return str_from_index(text, 1);
    }
    return text;
}

static bool mechanism_parse(struct str text, struct spf_term *term, struct str *wrong_r)
{
    *term = (struct spf_term){.mechanism = SPF_ALL};
    text = qualifier_take(text, &term->result);
    size_t end = 0;
    while (end < text.n && text.p[end] != ':' && text.p[end] != '/')
        end++;
    bool given = end < text.n && text.p[end] == ':';
    struct str rest = str_from_index(text, end + given);
    *wrong_r = STR("no such mechanism");
    if (!mechanism_find(str_head(text, end), &term->mechanism))
        return false;
    *wrong_r = STR("the number of bits is not right");
    if (mechanisms[term->mechanism].bits && !dual_bits_take(&rest, term))
        return false;
    return argument_take(rest, given, term, wrong_r) &&
           (given || rest.n == 0 || mechanisms[term->mechanism].takes == ADDRESS);
}

/* --- The record ------------------------------------------------------------------------------ */

/* name=value (4.6.1); names begin with a letter and end at the first '='. */
static bool is_modifier(struct str term)
{
    ssize_t equals = str_index(term, '=');
    if (equals <= 0 || !ascii_is_alpha(term.p[0]))
        return false;
    for (ssize_t i = 0; i < equals; i++) {
        char c = term.p[i];
        if (!ascii_is_alpha(c) && !ascii_is_digit(c) && c != '-' && c != '_' && c != '.')
            return false;
    }
    return true;
}

static bool modifier_take(struct str term, struct spf_record *record, bool *explained,
                          struct str *wrong_r)
{
    struct str value = term, name = str_cut(&value, '=');
    bool redirect = str_eq_nocase(name, STR("redirect")), exp = str_eq_nocase(name, STR("exp"));
    bool macro = false;
    *wrong_r = STR("what stands behind the equals sign is not right");
    if (!is_macro_string(value, &macro) || ((redirect || exp) && value.n == 0))
        return false;
    *wrong_r = STR("given twice");
    if ((redirect && record->redirect.p) || (exp && *explained))
        return false;
    if (redirect) {
        record->redirect = value;
        record->redirect_macro = macro;
    }
    *explained = *explained || exp;
    return true;
}

bool spf_parse(struct str text, struct arena *arena, struct spf_record *record_r,
               struct str *wrong_r, struct str *where_r)
{
    bool explained = false;
    struct str term;
    *record_r = (struct spf_record){.count = 0};
    *where_r = text;
    *wrong_r = STR("it does not begin with v=spf1");
    if (!is_spf(text))
        return false;
    record_r->terms = arena_take_array(arena, SPF_TERMS_MAX, sizeof *record_r->terms);
    *wrong_r = STR("out of memory");
    if (!record_r->terms)
        return false;
    str_cut(&text, ' ');
    while (text.n > 0) {
        term = str_cut(&text, ' ');
        *where_r = term;
        *wrong_r = STR("too many terms");
        if (term.n == 0)
            continue;
        if (is_modifier(term)
                ? !modifier_take(term, record_r, &explained, wrong_r)
                : record_r->count == SPF_TERMS_MAX ||
                      !mechanism_parse(term, &record_r->terms[record_r->count++], wrong_r))
            return false;
    }
    return true;
}
