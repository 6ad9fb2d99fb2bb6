/*
 * An address is first scanned to the special character that says what it is ('<', '@', ':' or the
 * end of it), and only then copied: as a display name or as a local part. So one pass decides and
 * one pass copies, whatever the list looks like.
 */
#include "format/header.h"

#include "format/addr.h"
#include "format/summary.h"
#include "format/token.h"

/* Fields */

/* Length of the line at the start of text with its CR LF, or all of text. */
static size_t line_length(struct str text)
{
    ssize_t end = str_find(text, STR("\r\n"));
    return end < 0 ? text.n : (size_t)end + 2;
}

static bool is_folded(struct str text)
{
    return text.n && (text.p[0] == ' ' || text.p[0] == '\t');
}

static struct str name_of(struct str line)
{
    ssize_t colon = str_index(line, ':');
    struct str name = str_head(line, colon < 0 ? 0 : (size_t)colon);
    while (name.n && (name.p[name.n - 1] == ' ' || name.p[name.n - 1] == '\t'))
        name.n--;
    for (size_t i = 0; i < name.n; i++)
        if (name.p[i] <= 0x20 || name.p[i] > 0x7e)
            name.n = 0;
    return name;
}

bool header_next(struct str *rest, struct header_field *field_r)
{
    if (rest->n == 0 || str_starts(*rest, STR("\r\n")))
        return false;
    size_t n = line_length(*rest);
    struct str name = name_of(str_head(*rest, n));
    while (is_folded(str_from_index(*rest, n)))
        n += line_length(str_from_index(*rest, n));
    struct str whole = str_head(*rest, n);
    struct str value = str_ends(whole, STR("\r\n")) ? str_head(whole, n - 2) : whole;
    ssize_t colon = name.n ? str_index(value, ':') : -1;
    *field_r = (struct header_field){name, str_from_index(value, (size_t)(colon + 1)), whole};
    *rest = str_from_index(*rest, n);
    return true;
}

bool header_find(struct str header, struct str name, struct header_field *field_r)
{
    while (header_next(&header, field_r))
        if (str_eq_nocase(field_r->name, name))
            return true;
    return false;
}

bool header_find_only(struct str header, struct str name, struct header_field *field_r)
{
    struct header_field found;
    size_t count = 0;
    while (header_next(&header, &found)) {
        if (!str_eq_nocase(found.name, name))
            continue;
        *field_r = found;
        count++;
    }
    return count == 1;
}

void header_unfold(struct str value, struct buf *buf)
{
    struct str rest = fws_trim(value);
    while (rest.p) {
        ssize_t fold = str_find(rest, STR("\r\n"));
        struct str line = fold < 0 ? rest : str_head(rest, (size_t)fold);
        buf_put(buf, line);
        rest = fold < 0 ? str_null() : str_from_index(rest, (size_t)fold + 2);
        if (rest.p && !is_folded(rest))
            buf_put(buf, STR("\r\n"));
    }
}

/* Addresses */

static bool ends_words(char c)
{
    return c == '<' || c == '>' || c == '@' || c == ',' || c == ':' || c == ';';
}

/* Words, dots, quoted strings and comments up to a special character or the end. */
static struct str words_take(struct str *rest)
{
    const char *start = rest->p;
    while (rest->n && !ends_words(rest->p[0])) {
        if (rest->p[0] == '"')
            quoted_take(rest);
        else if (rest->p[0] == '(')
            cfws_skip(rest);
        else
            *rest = str_from_index(*rest, 1);
    }
    return str_make(start, (size_t)(rest->p - start));
}

/* One word of `words` into `to`: a quoted string or the octets up to white space, a comment or a
 * quote. */
static size_t word_copy(struct str *words, char *to)
{
    if (words->p[0] == '"')
        return quoted_plain(quoted_take(words), to);
    size_t n = 0;
    while (n < words->n && !is_fws(words->p[n]) && words->p[n] != '(' && words->p[n] != '"')
        n++;
    memcpy(to, words->p, n);
    *words = str_from_index(*words, n);
    return n;
}

/* A phrase: words with one space between them. */
static struct str phrase_plain(struct str words, struct arena *arena)
{
    cfws_skip(&words);
    char *plain = arena_take(arena, words.n + 1);
    if (!plain || words.n == 0)
        return str_null();
    size_t n = 0;
    while (words.n) {
        n += word_copy(&words, plain + n);
        size_t before = words.n;
        cfws_skip(&words);
        if (words.n && words.n < before)
            plain[n++] = ' ';
    }
    return str_make(plain, n);
}

static bool dot_between(struct str words, bool dot_before)
{
    return dot_before || (words.n && words.p[0] == '.');
}

/* The quoted string at the start of words has its closing quote. */
static bool quote_ends(struct str words)
{
    struct str rest = words, inside = quoted_take(&rest);
    return words.n - rest.n == inside.n + 2;
}

/* A local part: words with dots between them and white space nowhere that counts (RFC 5322 4.4).
 * Null where it is none. *end_r: behind its last word. */
static struct str local_plain(struct str words, struct arena *arena, const char **end_r)
{
    cfws_skip(&words);
    char *plain = arena_take(arena, words.n + 1);
    if (!plain)
        return str_null();
    size_t n = 0;
    while (words.n) {
        bool quoted = words.p[0] == '"';
        if (quoted && !quote_ends(words))
            return str_null();
        n += word_copy(&words, plain + n);
        *end_r = words.p;
        bool dot = !quoted && n && plain[n - 1] == '.';
        cfws_skip(&words);
        if (words.n && !dot_between(words, dot))
            return str_null();
    }
    return n ? str_make(plain, n) : str_null();
}

/* A domain or literal; comments and white space around and, obsolete, within are dropped. */
static struct str domain_take(struct str *rest, struct arena *arena)
{
    cfws_skip(rest);
    if (rest->n && rest->p[0] == '[') {
        ssize_t end = str_index(str_head(*rest, ADDR_DOMAIN_MAX), ']');
        struct str literal = str_head(*rest, end < 0 ? 0 : (size_t)end + 1);
        *rest = str_from_index(*rest, literal.n);
        return literal.n ? arena_str(arena, literal) : str_null();
    }
    const char *end;
    struct str words = words_take(rest);
    return str_index(words, '"') >= 0 ? str_null() : local_plain(words, arena, &end);
}

/* To the comma or semicolon that ends what could not be read. */
static void malformed_skip(struct str *rest)
{
    while (rest->n && rest->p[0] != ',' && rest->p[0] != ';') {
        words_take(rest);
        if (rest->n && rest->p[0] != ',' && rest->p[0] != ';')
            *rest = str_from_index(*rest, 1);
    }
}

static bool char_take(struct str *rest, char c)
{
    cfws_skip(rest);
    if (rest->n == 0 || rest->p[0] != c)
        return false;
    *rest = str_from_index(*rest, 1);
    return true;
}

/* Obsolete: "@a,@b:" in front of the mailbox (RFC 5322 4.4). */
static bool route_skip(struct str *rest)
{
    cfws_skip(rest);
    if (rest->n == 0 || rest->p[0] != '@')
        return true;
    while (rest->n && (rest->p[0] == '@' || rest->p[0] == ',')) {
        *rest = str_from_index(*rest, 1);
        words_take(rest);
    }
    return char_take(rest, ':');
}

/* Whether a list can go on here. */
static bool at_end(struct str *rest)
{
    cfws_skip(rest);
    return rest->n == 0 || rest->p[0] == ',' || rest->p[0] == ';';
}

static bool mailbox_read(struct header_addresses *list, struct str words,
                         struct header_address *address)
{
    bool angle = char_take(&list->rest, '<');
    if (angle) {
        address->name = phrase_plain(words, list->arena);
        if (!route_skip(&list->rest))
            return false;
        words = words_take(&list->rest);
    }
    address->local = local_plain(words, list->arena, &address->local_end);
    if (!address->local.p)
        return false;
    bool qualified = char_take(&list->rest, '@');
    if (qualified)
        address->domain = domain_take(&list->rest, list->arena);
    if (qualified ? !address->domain.p : !list->unqualified)
        return false;
    return (!angle || char_take(&list->rest, '>')) && at_end(&list->rest);
}

static bool group_end(struct header_addresses *list, struct header_address *address_r)
{
    list->in_group = false;
    address_r->kind = HEADER_GROUP_END;
    return true;
}

bool header_addresses_next(struct header_addresses *list, struct header_address *address_r)
{
    *address_r = (struct header_address){.kind = HEADER_MAILBOX};
    while (char_take(&list->rest, ','))
        continue;
    if (list->rest.n == 0)
        return list->in_group && group_end(list, address_r);
    if (list->in_group && char_take(&list->rest, ';'))
        return group_end(list, address_r);
    struct str words = words_take(&list->rest);
    if (!list->in_group && char_take(&list->rest, ':')) {
        address_r->kind = HEADER_GROUP_BEGIN;
        address_r->name = phrase_plain(words, list->arena);
        list->in_group = true;
    } else if (!mailbox_read(list, words, address_r)) {
        *address_r = (struct header_address){.kind = HEADER_MALFORMED};
        malformed_skip(&list->rest);
        if (!list->in_group)
            char_take(&list->rest, ';');
    }
    return !arena_over(list->arena);
}

/* The author */

static struct err from_bad(const char *why)
{
    return err_detail(ERR_MESSAGE_FROM, str_from(why));
}

static bool has_control(struct str value)
{
    for (size_t i = 0; i < value.n; i++) {
        unsigned char c = (unsigned char)value.p[i];
        if ((c < 0x20 && !is_fws((char)c)) || c == 0x7f)
            return true;
    }
    return false;
}

/* Takes one more mailbox of the field into *author. */
static struct err author_add(const struct header_address *address, struct arena *arena,
                             struct header_author *author)
{
    struct str domain;
    if (address->kind == HEADER_MALFORMED)
        return from_bad("the From field is malformed");
    if (address->kind != HEADER_MAILBOX)
        return err_none();
    struct err e = host_parse(address->domain, arena, &domain);
    if (e.code == ERR_ADDRESS_SYNTAX)
        return from_bad("the domain in the From field is malformed");
    if (err_is(e))
        return e;
    if (author->domain.p && !str_eq(author->domain, domain))
        return from_bad("the From field names several domains");
    if (!author->domain.p)
        *author = (struct header_author){address->local, domain};
    return err_none();
}

struct err header_from_check(struct str value, uint32_t from_count, uint32_t flags,
                             struct arena *arena, struct header_author *author_r)
{
    if (from_count != 1)
        return from_bad(from_count ? "there are several From fields" : "there is no From field");
    if (flags & (SUMMARY_HEADER_HAS_CONTROL | SUMMARY_FROM_AMBIGUOUS) || has_control(value))
        return from_bad("the From field can be read in several ways");
    struct header_addresses list = {.rest = value, .arena = arena};
    struct header_address address;
    struct header_author author = {{0}, {0}};
    while (header_addresses_next(&list, &address)) {
        struct err e = author_add(&address, arena, &author);
        if (err_is(e))
            return e;
    }
    if (arena_over(arena))
        return err_make(ERR_OVER_LIMIT);
    if (!author.domain.p)
        return from_bad("the From field names nobody");
    *author_r = author;
    return err_none();
}
