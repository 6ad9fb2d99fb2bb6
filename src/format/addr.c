/*
 * A parser by hand, since the grammar is small and every deviation is a decision. What it leaves to
 * libraries: IDNA to libidn2, NFC and case folding to libunistring, literals to inet_pton.
 *
 * libidn2's own STD3 flag is not used: it drops what it forbids ("a_b" becomes "ab"), where two
 * different names must never become one. The result of the mapping is checked here instead.
 * NFC can turn non-ASCII into ASCII (U+037E into ';'), so it comes first and all checks after it;
 * whether a local part needs quotes is decided at printing, from what it then is.
 */
#include "format/addr.h"

#include <arpa/inet.h>
#include <idn2.h>
#include <unicase.h>
#include <unictype.h>
#include <uninorm.h>
#include <unistr.h>

enum {
    /* An unquoted local part can grow under NFC (at most threefold in UTF-8) before it is measured
     * against its limit. */
    LOCAL_WRITTEN_MAX = 4 * ADDR_LOCAL_MAX,
    DOMAIN_WRITTEN_MAX = 2 * ADDR_DOMAIN_MAX,
    MAPPED_MAX = 16, /* UTF-8 octets a single character may become when its case is folded */
    IDNA_FLAGS = IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL,
};

static const char IPV6_TAG[] = "IPv6:";

static struct err bad(const char *why)
{
    return err_detail(ERR_ADDRESS_SYNTAX, str_from(why));
}

/* atext of RFC 5322 3.2.3, and all that is not ASCII. */
static bool is_atext(char c)
{
    return ascii_is_alpha(c) || ascii_is_digit(c) || (unsigned char)c > 0x7f ||
           (c && strchr("!#$%&'*+-/=?^_`{|}~", c));
}

static bool is_ldh(char c)
{
    return ascii_is_alpha(c) || ascii_is_digit(c) || c == '-';
}

/* Local part */

static bool is_refused_char(ucs4_t c)
{
    return (c >= 0x80 && c < 0xa0) || c == 0x2028 || c == 0x2029 || c == 0xfeff ||
           (c >= 0xfdd0 && c <= 0xfdef) || (c & 0xfffe) == 0xfffe || uc_is_property_bidi_control(c);
}

static struct err chars_check(struct str local)
{
    for (size_t i = 0; i < local.n;) {
        ucs4_t c;
        int n = u8_mbtoucr(&c, (const uint8_t *)local.p + i, local.n - i);
        if (n <= 0)
            return bad("the local part is not well-formed UTF-8");
        if (is_refused_char(c))
            return bad("the local part has a control character");
        i += (size_t)n;
    }
    return err_none();
}

/* Normalises, checks and keeps a local part whose quotes are gone. */
static struct err local_take(struct str plain, struct arena *arena, struct str *local_r)
{
    if (plain.n == 0)
        return bad("the local part is empty");
    if (!str_is_utf8(plain))
        return bad("the local part is not well-formed UTF-8");
    uint8_t composed[LOCAL_WRITTEN_MAX];
    if (!str_is_ascii(plain)) {
        size_t n = sizeof(composed);
        uint8_t *at = u8_normalize(UNINORM_NFC, (const uint8_t *)plain.p, plain.n, composed, &n);
        if (at && at != composed)
            free(at);
        if (at != composed)
            return bad("the local part is too long");
        plain = str_make(composed, n);
    }
    if (plain.n > ADDR_LOCAL_MAX)
        return bad("the local part is too long");
    struct err e = chars_check(plain);
    if (err_is(e))
        return e;
    *local_r = arena_str(arena, plain);
    return local_r->p ? err_none() : err_make(ERR_OVER_LIMIT);
}

/* Quoted-string: *rest begins at the opening quote and is moved behind the closing one. */
static struct err quoted_read(struct str *rest, struct arena *arena, struct str *local_r)
{
    char plain[LOCAL_WRITTEN_MAX];
    size_t n = 0;
    for (size_t i = 1; i < rest->n; i++) {
        char c = rest->p[i];
        if (c == '"') {
            *rest = str_from_index(*rest, i + 1);
            return local_take(str_make(plain, n), arena, local_r);
        }
        bool pair = c == '\\';
        if (pair && ++i < rest->n)
            c = rest->p[i];
        if (i == rest->n || (unsigned char)c < 0x20 || c == 0x7f ||
            (pair && (unsigned char)c > 0x7f))
            return bad("the quoted local part is malformed");
        if (n == sizeof(plain))
            return bad("the local part is too long");
        plain[n++] = c;
    }
    return bad("the quoted local part has no end");
}

/* Dot-string: atoms between single dots. */
static struct err dot_string_read(struct str *rest, struct arena *arena, struct str *local_r)
{
    size_t n = 0;
    for (; n < rest->n; n++) {
        char c = rest->p[n];
        bool dot_ok = c == '.' && n > 0 && rest->p[n - 1] != '.';
        if (!dot_ok && !is_atext(c))
            break;
    }
    if (n == 0 && (rest->n == 0 || rest->p[0] == '@' || rest->p[0] == '>'))
        return bad("the local part is empty");
    if (n == 0 || rest->p[n - 1] == '.')
        return bad("the local part is malformed");
    if (n > LOCAL_WRITTEN_MAX)
        return bad("the local part is too long");
    struct str plain = str_head(*rest, n);
    *rest = str_from_index(*rest, n);
    return local_take(plain, arena, local_r);
}

static struct err local_read(struct str *rest, struct arena *arena, struct str *local_r)
{
    if (rest->n && rest->p[0] == '"')
        return quoted_read(rest, arena, local_r);
    return dot_string_read(rest, arena, local_r);
}

/* Domain */

static bool label_is_good(struct str label)
{
    if (label.n == 0 || label.n > ADDR_LABEL_MAX)
        return false;
    for (size_t i = 0; i < label.n; i++)
        if (!is_ldh(label.p[i]))
            return false;
    return label.p[0] != '-' && label.p[label.n - 1] != '-';
}

static bool is_all_digits(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!ascii_is_digit(s.p[i]))
            return false;
    return true;
}

/* Labels of letters, digits and hyphens (RFC 5321 4.1.2 sub-domain), the last not a number. */
static bool name_is_good(struct str name)
{
    if (name.n > ADDR_DOMAIN_MAX)
        return false;
    struct str rest = name, label;
    do {
        label = str_cut(&rest, '.');
        if (!label_is_good(label))
            return false;
    } while (rest.p);
    return !is_all_digits(label);
}

static bool has_ace_label(struct str name)
{
    struct str rest = name;
    do {
        if (str_starts_nocase(str_cut(&rest, '.'), STR("xn--")))
            return true;
    } while (rest.p);
    return false;
}

/* Through IDNA: U-labels to A-labels, A-labels checked against what they decode to. */
static struct err name_map(struct str text, struct arena *arena, struct str *name_r)
{
    char written[DOMAIN_WRITTEN_MAX + 1];
    memcpy(written, text.p, text.n);
    written[text.n] = '\0';
    uint8_t *mapped = NULL;
    int rc = idn2_lookup_u8((const uint8_t *)written, &mapped, IDNA_FLAGS);
    if (rc != IDN2_OK)
        return bad("the domain is not a valid internationalised name");
    *name_r = arena_str(arena, str_from((const char *)mapped));
    idn2_free(mapped);
    return name_r->p ? err_none() : err_make(ERR_OVER_LIMIT);
}

static struct err name_lower(struct str text, struct arena *arena, struct str *name_r)
{
    char *to = arena_take(arena, text.n);
    if (!to)
        return err_make(ERR_OVER_LIMIT);
    for (size_t i = 0; i < text.n; i++)
        to[i] = ascii_lower(text.p[i]);
    *name_r = str_make(to, text.n);
    return err_none();
}

struct err domain_parse(struct str text, struct arena *arena, struct str *domain_r)
{
    if (text.n == 0)
        return bad("the domain is missing");
    if (text.n > DOMAIN_WRITTEN_MAX)
        return bad("the domain is too long");
    for (size_t i = 0; i < text.n; i++)
        if ((unsigned char)text.p[i] <= 0x7f && !is_ldh(text.p[i]) && text.p[i] != '.')
            return bad("the domain has a character that no domain can have");
    bool plain = str_is_ascii(text) && !has_ace_label(text);
    struct str name;
    struct err e = plain ? name_lower(text, arena, &name) : name_map(text, arena, &name);
    if (err_is(e))
        return e;
    if (!name_is_good(name))
        return bad("the domain is malformed");
    *domain_r = name;
    return err_none();
}

static struct err literal_parse(struct str text, struct arena *arena, struct str *domain_r)
{
    struct str inner = str_make(text.p + 1, text.n - 2);
    bool v6 = str_starts_nocase(inner, STR("IPv6:"));
    if (v6)
        inner = str_from_index(inner, sizeof(IPV6_TAG) - 1);
    char number[INET6_ADDRSTRLEN], canonical[INET6_ADDRSTRLEN];
    unsigned char binary[16];
    if (inner.n >= sizeof(number) || memchr(inner.p, '\0', inner.n))
        return bad("the address literal is malformed");
    memcpy(number, inner.p, inner.n);
    number[inner.n] = '\0';
    int family = v6 ? AF_INET6 : AF_INET;
    if (inet_pton(family, number, binary) != 1 ||
        !inet_ntop(family, binary, canonical, sizeof(canonical)))
        return bad("the address literal is malformed");
    char whole[INET6_ADDRSTRLEN + 8];
    int n = snprintf(whole, sizeof(whole), "[%s%s]", v6 ? IPV6_TAG : "", canonical);
    *domain_r = arena_str(arena, str_make(whole, (size_t)n));
    return domain_r->p ? err_none() : err_make(ERR_OVER_LIMIT);
}

static bool is_literal(struct str text)
{
    return text.n >= 2 && text.p[0] == '[' && text.p[text.n - 1] == ']';
}

struct err host_parse(struct str text, struct arena *arena, struct str *host_r)
{
    return is_literal(text) ? literal_parse(text, arena, host_r)
                            : domain_parse(text, arena, host_r);
}

/* Whole addresses */

/* Octets of the local part as printed. */
static size_t local_printed(struct str local);

struct err addr_parse(struct str text, struct arena *arena, struct addr *addr_r)
{
    struct addr addr = {.utf8 = !str_is_ascii(text)};
    struct str rest = text;
    struct err e = local_read(&rest, arena, &addr.local);
    if (err_is(e))
        return e;
    if (rest.n == 0 || rest.p[0] != '@')
        return bad("an address is written local-part@domain");
    rest = str_from_index(rest, 1);
    addr.kind = is_literal(rest) ? ADDR_LITERAL : ADDR_DOMAIN;
    e = host_parse(rest, arena, &addr.domain);
    if (err_is(e))
        return e;
    if (local_printed(addr.local) + 1 + addr.domain.n + 2 > ADDR_PATH_MAX)
        return bad("the address is too long");
    *addr_r = addr;
    return err_none();
}

/* Index of the '>' that ends the path which begins at 0, or -1; a quoted one is not the end. */
static ssize_t path_end(struct str text)
{
    bool quoted = false;
    for (size_t i = 1; i < text.n; i++) {
        char c = text.p[i];
        if (c == '"')
            quoted = !quoted;
        else if (c == '\\' && quoted)
            i++;
        else if (c == '>' && !quoted)
            return (ssize_t)i;
    }
    return -1;
}

/* "@a,@b:" in front of the mailbox (RFC 5321 4.1.2 A-d-l). Cuts it off *rest. */
static struct err route_read(struct str *rest, struct arena *arena, struct path *path)
{
    if (rest->n == 0 || rest->p[0] != '@')
        return err_none();
    size_t end = 0;
    bool literal = false;
    for (; end < rest->n && (literal || rest->p[end] != ':'); end++)
        literal = rest->p[end] == '[' || (literal && rest->p[end] != ']');
    if (end == rest->n)
        return bad("the source route has no end");
    struct str hops = str_head(*rest, end);
    path->route = arena_str(arena, hops);
    path->has_route = true;
    *rest = str_from_index(*rest, end + 1);
    if (!path->route.p)
        return err_make(ERR_OVER_LIMIT);
    do {
        struct str hop = str_cut(&hops, ','), domain;
        if (hop.n == 0 || hop.p[0] != '@')
            return bad("the source route is malformed");
        struct err e = host_parse(str_from_index(hop, 1), arena, &domain);
        if (err_is(e))
            return e;
    } while (hops.p);
    return err_none();
}

static struct err inside_parse(struct str inside, bool reverse, struct arena *arena,
                               struct path *path)
{
    if (reverse && inside.n == 0) {
        path->addr.kind = ADDR_NULL;
        return err_none();
    }
    if (!reverse && str_eq_nocase(inside, STR("postmaster"))) {
        path->addr = (struct addr){.kind = ADDR_LOCAL_ONLY, .local = STR("postmaster")};
        return err_none();
    }
    bool utf8 = !str_is_ascii(inside);
    struct err e = route_read(&inside, arena, path);
    if (err_is(e))
        return e;
    e = addr_parse(inside, arena, &path->addr);
    path->addr.utf8 = utf8;
    return e;
}

static struct err path_read(struct str text, bool reverse, struct arena *arena, struct path *path_r,
                            struct str *rest_r)
{
    while (text.n && text.p[0] == ' ')
        text = str_from_index(text, 1);
    if (text.n == 0 || text.p[0] != '<')
        return bad("a path is written <local-part@domain>");
    ssize_t end = path_end(text);
    if (end < 0)
        return bad("the path has no closing bracket");
    if (end + 1 > ADDR_PATH_MAX)
        return bad("the path is too long");
    struct str rest = str_from_index(text, (size_t)end + 1);
    if (rest.n && rest.p[0] != ' ')
        return bad("a space is missing behind the path");
    struct path path = {.addr.kind = ADDR_NULL};
    struct err e = inside_parse(str_make(text.p + 1, (size_t)end - 1), reverse, arena, &path);
    if (err_is(e))
        return e;
    *path_r = path;
    *rest_r = rest;
    return err_none();
}

struct err path_parse(struct str text, bool reverse, struct arena *arena, struct path *path_r,
                      struct str *rest_r)
{
    struct err e = path_read(text, reverse, arena, path_r, rest_r);
    if (reverse && e.code == ERR_ADDRESS_SYNTAX)
        e.code = ERR_SENDER_SYNTAX;
    return e;
}

/* Printing */

static bool is_dot_string(struct str local)
{
    for (size_t i = 0; i < local.n; i++) {
        bool dot_ok = local.p[i] == '.' && i > 0 && local.p[i - 1] != '.' && i + 1 < local.n;
        if (!dot_ok && !is_atext(local.p[i]))
            return false;
    }
    return local.n > 0;
}

static bool needs_backslash(char c)
{
    return c == '"' || c == '\\';
}

static size_t local_printed(struct str local)
{
    if (is_dot_string(local))
        return local.n;
    size_t n = local.n + 2;
    for (size_t i = 0; i < local.n; i++)
        n += needs_backslash(local.p[i]);
    return n;
}

static void local_print(struct buf *buf, struct str local)
{
    if (is_dot_string(local)) {
        buf_put(buf, local);
        return;
    }
    buf_putc(buf, '"');
    for (size_t i = 0; i < local.n; i++) {
        if (needs_backslash(local.p[i]))
            buf_putc(buf, '\\');
        buf_putc(buf, local.p[i]);
    }
    buf_putc(buf, '"');
}

void addr_print(struct buf *buf, const struct addr *addr)
{
    if (addr->kind == ADDR_NULL)
        return;
    local_print(buf, addr->local);
    if (addr->kind == ADDR_LOCAL_ONLY)
        return;
    buf_putc(buf, '@');
    buf_put(buf, addr->domain);
}

static bool leads_back(const char *shown, struct str domain)
{
    uint8_t *back = NULL;
    bool same = idn2_lookup_u8((const uint8_t *)shown, &back, IDNA_FLAGS) == IDN2_OK &&
                str_eq(str_from((const char *)back), domain);
    idn2_free(back);
    return same;
}

static void domain_print_display(struct buf *buf, struct str domain)
{
    char name[ADDR_DOMAIN_MAX + 1];
    char *shown = NULL;
    if (domain.n < sizeof(name) && has_ace_label(domain)) {
        memcpy(name, domain.p, domain.n);
        name[domain.n] = '\0';
        if (idn2_to_unicode_8z8z(name, &shown, 0) != IDN2_OK)
            shown = NULL;
    }
    buf_put(buf, shown && leads_back(shown, domain) ? str_from(shown) : domain);
    idn2_free(shown);
}

void addr_print_display(struct buf *buf, const struct addr *addr)
{
    if (addr->kind != ADDR_DOMAIN) {
        addr_print(buf, addr);
        return;
    }
    local_print(buf, addr->local);
    buf_putc(buf, '@');
    domain_print_display(buf, addr->domain);
}

void addr_text_display(struct buf *buf, struct str text)
{
    size_t at = text.n;
    while (at > 0 && text.p[at - 1] != '@')
        at--;
    buf_put(buf, str_head(text, at));
    domain_print_display(buf, str_from_index(text, at));
}

bool addr_needs_utf8(const struct addr *addr)
{
    return !str_is_ascii(addr->local);
}

/* Keys */

/*
 * Simple folding of one character: libunistring offers the full one only, so what folds to several
 * characters (the sharp s) is lowered instead. U+0130 has no simple folding and stays.
 */
static size_t fold_char(struct str c, uint8_t to[MAPPED_MAX])
{
    size_t n = MAPPED_MAX;
    ucs4_t one = 0;
    uint8_t *at = u8_casefold((const uint8_t *)c.p, c.n, NULL, NULL, to, &n);
    if (at && at != to)
        free(at);
    if (at == to && n && u8_mbtoucr(&one, to, n) == (int)n)
        return n;
    u8_mbtoucr(&one, (const uint8_t *)c.p, c.n);
    int lowered = u8_uctomb(to, one == 0x130 ? one : uc_tolower(one), MAPPED_MAX);
    return lowered > 0 ? (size_t)lowered : 0;
}

static void fold_local(struct str local, struct buf *buf)
{
    uint8_t folded[LOCAL_WRITTEN_MAX], composed[LOCAL_WRITTEN_MAX];
    size_t n = 0;
    while (local.n && n <= sizeof(folded) - MAPPED_MAX) {
        int one = u8_mblen((const uint8_t *)local.p, local.n);
        size_t step = one > 0 ? (size_t)one : 1;
        n += fold_char(str_head(local, step), folded + n);
        local = str_from_index(local, step);
    }
    size_t composed_n = sizeof(composed);
    uint8_t *at = u8_normalize(UNINORM_NFC, folded, n, composed, &composed_n);
    buf_put(buf, at ? str_make(at, composed_n) : str_make(folded, n));
    if (at && at != composed)
        free(at);
}

static void lower_local(struct str local, struct buf *buf)
{
    for (size_t i = 0; i < local.n; i++)
        buf_putc(buf, ascii_lower(local.p[i]));
}

void addr_local_key(const struct addr *addr, struct buf *buf)
{
    if (str_is_ascii(addr->local))
        lower_local(addr->local, buf);
    else
        fold_local(addr->local, buf);
    buf_putc(buf, '@');
    buf_put(buf, addr->domain);
}

bool addr_split_tag(struct str local, char separator, struct str *base_r, struct str *tag_r)
{
    *base_r = local;
    *tag_r = str_null();
    if (separator == '\0' || local.n == 0)
        return false;
    ssize_t at = str_index(str_from_index(local, 1), separator);
    if (at < 0)
        return false;
    *base_r = str_head(local, (size_t)at + 1);
    *tag_r = str_from_index(local, (size_t)at + 2);
    return true;
}
