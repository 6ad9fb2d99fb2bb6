/*
 * First the header is written as it is to be, then the authors are read from what was written: so
 * they are those that every later reader finds, whatever was completed on the way.
 *
 * A list that cannot be read is left alone where it names recipients (they stand in the envelope),
 * and refuses the message where it names authors.
 */
#include "format/submission.h"

#include "base/buf.h"
#include "format/addr.h"
#include "format/date.h"
#include "format/header.h"
#include "format/summary.h"
#include "format/token.h"

enum {
    WRITTEN_MAX = 1024 /* octets of an address, its domain perhaps in U-labels */
};

/* --- Where it ends --- */

size_t submission_scan(struct submission_scan *scan, struct str octets, bool *ended_r)
{
    static const char end[] = "\r\n\r\n";
    *ended_r = false;
    for (size_t i = 0; i < octets.n; i++) {
        char c = octets.p[i];
        if (c == end[scan->matched])
            scan->matched++;
        else
            scan->matched = c == '\r' ? 1 : 0;
        if (scan->matched == 4) {
            *ended_r = true;
            return i + 1;
        }
    }
    return octets.n;
}

/* --- The fields --- */

enum field_rule {
    RULE_COMPLETE = 1 << 0, /* an address list whose local parts get a domain */
    RULE_AUTHOR = 1 << 1,
    RULE_REMOVE = 1 << 2,
    RULE_NOT_EMPTY = 1 << 3, /* an empty one goes, and counts as missing */
};

enum field_row {
    ROW_FROM,
    ROW_SENDER,
    ROW_RESENT_FROM,
    ROW_RESENT_SENDER,
    ROW_REPLY_TO,
    ROW_TO,
    ROW_CC,
    ROW_RESENT_REPLY_TO,
    ROW_RESENT_TO,
    ROW_RESENT_CC,
    ROW_BCC,
    ROW_RESENT_BCC,
    ROW_RETURN_PATH,
    ROW_DATE,
    ROW_MESSAGE_ID,
    ROWS,
};

static const struct {
    struct str name;
    unsigned rules;
    const char *malformed;
} rows[ROWS] = {
    [ROW_FROM] = {STR_INIT("From"), RULE_COMPLETE | RULE_AUTHOR, "the From field is malformed"},
    [ROW_SENDER] = {STR_INIT("Sender"), RULE_COMPLETE | RULE_AUTHOR,
                    "the Sender field is malformed"},
    [ROW_RESENT_FROM] = {STR_INIT("Resent-From"), RULE_COMPLETE | RULE_AUTHOR,
                         "the Resent-From field is malformed"},
    [ROW_RESENT_SENDER] = {STR_INIT("Resent-Sender"), RULE_COMPLETE | RULE_AUTHOR,
                           "the Resent-Sender field is malformed"},
    [ROW_REPLY_TO] = {STR_INIT("Reply-To"), RULE_COMPLETE, NULL},
    [ROW_TO] = {STR_INIT("To"), RULE_COMPLETE, NULL},
    [ROW_CC] = {STR_INIT("Cc"), RULE_COMPLETE, NULL},
    [ROW_RESENT_REPLY_TO] = {STR_INIT("Resent-Reply-To"), RULE_COMPLETE, NULL},
    [ROW_RESENT_TO] = {STR_INIT("Resent-To"), RULE_COMPLETE, NULL},
    [ROW_RESENT_CC] = {STR_INIT("Resent-Cc"), RULE_COMPLETE, NULL},
    [ROW_BCC] = {STR_INIT("Bcc"), RULE_REMOVE, NULL},
    [ROW_RESENT_BCC] = {STR_INIT("Resent-Bcc"), RULE_REMOVE, NULL},
    [ROW_RETURN_PATH] = {STR_INIT("Return-Path"), RULE_REMOVE, NULL},
    [ROW_DATE] = {STR_INIT("Date"), RULE_NOT_EMPTY, NULL},
    [ROW_MESSAGE_ID] = {STR_INIT("Message-ID"), RULE_NOT_EMPTY, NULL},
};

static enum field_row row_of(struct str name)
{
    size_t i = 0;
    while (i < ROWS && !str_eq_nocase(rows[i].name, name))
        i++;
    return (enum field_row)i;
}

static bool is_empty(struct str value)
{
    cfws_skip(&value);
    return value.n == 0;
}

static bool is_kept(enum field_row row, const struct header_field *field)
{
    unsigned rules = row < ROWS ? rows[row].rules : 0;
    return !(rules & RULE_REMOVE) && !(rules & RULE_NOT_EMPTY && is_empty(field->value));
}

/* --- Writing --- */

struct rewrite {
    const struct submission_facts *facts;
    struct str domain; /* of the account */
    struct arena *scratch;
    struct buf to;
};

/* local@domain in its one form; the address behind `addr_r` lives in scratch. */
static struct err address_make(struct rewrite *rewrite, const struct header_address *written,
                               struct addr *addr_r)
{
    char room[WRITTEN_MAX];
    struct buf text = {.p = room, .cap = sizeof(room), .max = sizeof(room)};
    struct addr addr = {.local = written->local,
                        .domain = written->domain.p ? written->domain : rewrite->domain,
                        .kind = ADDR_DOMAIN};
    addr_print(&text, &addr);
    if (buf_over(&text))
        return err_make(ERR_ADDRESS_SYNTAX);
    return addr_parse(buf_str(&text), rewrite->scratch, addr_r);
}

static void field_complete(struct rewrite *rewrite, const struct header_field *field)
{
    struct header_addresses list = {
        .rest = field->value, .arena = rewrite->scratch, .unqualified = true};
    struct header_address address;
    struct addr addr;
    const char *from = field->whole.p;
    while (!buf_over(&rewrite->to) && header_addresses_next(&list, &address)) {
        if (address.kind != HEADER_MAILBOX || address.domain.p ||
            err_is(address_make(rewrite, &address, &addr)))
            continue;
        buf_put(&rewrite->to, str_make(from, (size_t)(address.local_end - from)));
        buf_putc(&rewrite->to, '@');
        buf_put(&rewrite->to, rewrite->domain);
        from = address.local_end;
    }
    buf_put(&rewrite->to, str_make(from, (size_t)(field->whole.p + field->whole.n - from)));
}

static void added_print(const struct submission_facts *facts, const bool has[ROWS], struct buf *to)
{
    if (!has[ROW_DATE]) {
        buf_put(to, STR("Date: "));
        date_print(to, facts->time, 0);
        buf_put(to, STR("\r\n"));
    }
    if (!has[ROW_FROM]) {
        buf_put(to, STR("From: <"));
        buf_put(to, facts->account);
        buf_put(to, STR(">\r\n"));
    }
    if (!has[ROW_TO] && !has[ROW_CC])
        buf_put(to, STR("To: undisclosed-recipients:;\r\n"));
    if (!has[ROW_MESSAGE_ID]) {
        buf_put(to, STR("Message-ID: <"));
        buf_put(to, facts->id);
        buf_putc(to, '@');
        buf_put(to, facts->hostname);
        buf_put(to, STR(">\r\n"));
    }
}

static void header_print(struct rewrite *rewrite, struct str header)
{
    bool has[ROWS] = {false};
    struct header_field field;
    struct str rest = header;
    while (header_next(&rest, &field)) {
        enum field_row row = row_of(field.name);
        if (row < ROWS && is_kept(row, &field))
            has[row] = true;
    }
    added_print(rewrite->facts, has, &rewrite->to);
    rest = header;
    while (header_next(&rest, &field)) {
        enum field_row row = row_of(field.name);
        if (!is_kept(row, &field))
            continue;
        if (row < ROWS && rows[row].rules & RULE_COMPLETE)
            field_complete(rewrite, &field);
        else
            buf_put(&rewrite->to, field.whole);
    }
    buf_put(&rewrite->to, rest); /* the empty line */
}

/* --- Reading the authors --- */

static struct err bad(const char *why)
{
    return err_detail(ERR_MESSAGE_FROM, str_from(why));
}

static struct err author_add(struct submission_result *result, const struct addr *addr,
                             struct arena *kept)
{
    char room[ADDR_PATH_MAX];
    struct buf text = {.p = room, .cap = sizeof(room), .max = sizeof(room)};
    addr_print(&text, addr);
    for (size_t i = 0; i < result->author_count; i++)
        if (str_eq(result->authors[i], buf_str(&text)))
            return err_none();
    if (result->author_count == SUBMISSION_AUTHORS_MAX)
        return bad("the message has too many authors");
    struct str author = buf_copy(&text, kept);
    if (!author.p)
        return err_make(ERR_OVER_LIMIT);
    result->authors[result->author_count++] = author;
    return err_none();
}

static struct err authors_of(struct rewrite *rewrite, enum field_row row, struct str value,
                             struct arena *kept, struct submission_result *result)
{
    struct header_addresses list = {.rest = value, .arena = rewrite->scratch};
    struct header_address address;
    size_t found = 0;
    while (header_addresses_next(&list, &address)) {
        struct addr addr;
        if (address.kind == HEADER_MALFORMED)
            return bad(rows[row].malformed);
        if (address.kind != HEADER_MAILBOX)
            continue;
        struct err e = address_make(rewrite, &address, &addr);
        if (e.code == ERR_ADDRESS_SYNTAX)
            return bad(rows[row].malformed);
        if (!err_is(e))
            e = author_add(result, &addr, kept);
        if (err_is(e))
            return e;
        found++;
    }
    if (arena_over(rewrite->scratch))
        return err_make(ERR_OVER_LIMIT);
    return found ? err_none() : bad(rows[row].malformed);
}

/* NUL, a bare CR or a bare LF. */
static bool has_control(struct str header)
{
    for (size_t i = 0; i < header.n; i++) {
        char c = header.p[i];
        bool cr_before = i > 0 && header.p[i - 1] == '\r';
        bool lf_behind = i + 1 < header.n && header.p[i + 1] == '\n';
        if (c == '\0' || (c == '\r' && !lf_behind) || (c == '\n' && !cr_before))
            return true;
    }
    return false;
}

static bool is_ambiguous(const struct header_field *field)
{
    return field->whole.p[field->name.n] != ':';
}

/* The summary's flags that header_from_check asks for. */
static uint32_t flags_of(struct str header)
{
    bool folded = header.n && (header.p[0] == ' ' || header.p[0] == '\t');
    return (has_control(header) ? SUMMARY_HEADER_HAS_CONTROL : 0) |
           (folded ? SUMMARY_FROM_AMBIGUOUS : 0);
}

static struct err authors_read(struct rewrite *rewrite, struct str came, struct arena *kept,
                               struct submission_result *result)
{
    uint32_t from_count = 0, flags = flags_of(came);
    struct str rest = result->header, from = str_null();
    struct header_field field;
    struct header_author author;
    struct err e = err_none();
    while (!err_is(e) && header_next(&rest, &field)) {
        enum field_row row = row_of(field.name);
        if (row == ROW_FROM) {
            from = from_count++ ? from : field.value;
            flags |= is_ambiguous(&field) ? SUMMARY_FROM_AMBIGUOUS : 0;
        } else if (row < ROWS && rows[row].rules & RULE_AUTHOR) {
            e = authors_of(rewrite, row, field.value, kept, result);
        }
    }
    if (!err_is(e))
        e = header_from_check(from, from_count, flags, rewrite->scratch, &author);
    return err_is(e) ? e : authors_of(rewrite, ROW_FROM, from, kept, result);
}

struct err submission_header(struct str header, const struct submission_facts *facts,
                             struct arena *kept, struct arena *scratch,
                             struct submission_result *result_r)
{
    ssize_t at = str_last_index(facts->account, '@');
    struct rewrite rewrite = {
        .facts = facts,
        .domain = str_from_index(facts->account, (size_t)(at + 1)),
        .scratch = scratch,
        .to = buf_in(kept, facts->most),
    };
    struct submission_result result = {.author_count = 0};
    header_print(&rewrite, header);
    bool large = buf_over(&rewrite.to) && !arena_over(kept);
    result.header = buf_built(&rewrite.to);
    if (!result.header.p || arena_over(scratch))
        return err_make(large ? ERR_HEADER_TOO_LARGE : ERR_OVER_LIMIT);
    result.authors = arena_take_array(kept, SUBMISSION_AUTHORS_MAX, sizeof(*result.authors));
    if (!result.authors)
        return err_make(ERR_OVER_LIMIT);
    struct err e = authors_read(&rewrite, header, kept, &result);
    if (!err_is(e))
        *result_r = result;
    return e;
}
