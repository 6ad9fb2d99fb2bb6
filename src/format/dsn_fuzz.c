/*
 * A report made of strings that were all chosen to break it. Properties: it has the parts and the
 * fields that it would have with harmless strings, each once, and none besides; its boundary
 * divides it into them; every line ends in CR LF and none is longer than 998 octets, but in a
 * message that is returned; it is 7-bit unless it says otherwise; the same values make the same
 * report.
 */
#include "base/must.h"
#include "format/dsn.h"
#include "format/header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum {
    ROOM = 8 << 20,
    STRINGS = 12,
    PARTS_MOST = 8,
};

/* Strings with their length in front; the last has what is left. */
static struct str string_take(struct str *rest)
{
    if (rest->n < 2)
        return STR("");
    size_t n = (size_t)((unsigned char)rest->p[0] << 8 | (unsigned char)rest->p[1]);
    struct str s = str_head(str_from_index(*rest, 2), n);
    *rest = str_from_index(*rest, 2 + s.n);
    return s;
}

static void dsn_fill(struct dsn *dsn, struct dsn_recipient *recipient, struct str rest)
{
    struct str *strings[STRINGS] = {
        &recipient->text, &recipient->final,     &recipient->original, &recipient->remote,
        &dsn->to,         &dsn->envid,           &dsn->host,           &dsn->message_id,
        &dsn->queue_id,   &dsn->original.header, &dsn->original.body,  &dsn->postmaster,
    };
    uint8_t bits = (uint8_t)rest.p[0], more = (uint8_t)rest.p[1];
    dsn->language = bits & 1 ? LANGUAGE_CHINESE : LANGUAGE_ENGLISH;
    dsn->reads_utf8 = bits & 2;
    dsn->original.utf8 = bits & 4;
    dsn->double_bounce = bits & 8;
    recipient->action = (enum dsn_action)((bits >> 4) % DSN_ACTIONS);
    recipient->code = more * 4u;
    recipient->status = (struct status_code){more % 8, more, (uint16_t)(more * 3)};
    rest = str_from_index(rest, 2);
    for (size_t i = 0; i < STRINGS; i++)
        *strings[i] = string_take(&rest);
    if (bits & 128)
        dsn->original.body = str_null();
}

/* --- Reading it back --- */

static size_t fields_check(struct str header, struct str name, struct str *value_r)
{
    struct header_field field;
    size_t n = 0;
    while (header_next(&header, &field)) {
        must(field.name.n > 0);
        if (!str_eq_nocase(field.name, name))
            continue;
        *value_r = field.value;
        n++;
    }
    return n;
}

static void lines_check(struct str text)
{
    while (text.n) {
        ssize_t end = str_find(text, STR("\r\n"));
        must(end >= 0 && end <= 998);
        must(str_index(str_head(text, (size_t)end), '\n') < 0);
        must(str_index(str_head(text, (size_t)end), '\r') < 0);
        must(str_index(str_head(text, (size_t)end), '\0') < 0);
        text = str_from_index(text, (size_t)end + 2);
    }
}

static struct str header_cut(struct str *rest)
{
    ssize_t end = str_find(*rest, STR("\r\n\r\n"));
    must(end >= 0);
    struct str header = str_head(*rest, (size_t)end + 2);
    *rest = str_from_index(*rest, (size_t)end + 4);
    return header;
}

/* Whole parts between delimiters. */
static size_t parts_cut(struct str body, struct str boundary, struct str parts[PARTS_MOST])
{
    size_t n = 0;
    ssize_t at = str_find(body, boundary);
    must(at >= 0);
    body = str_from_index(body, (size_t)at + boundary.n);
    while (str_starts(body, STR("\r\n"))) {
        body = str_from_index(body, 2);
        at = str_find(body, boundary);
        must(at >= 4 && n < PARTS_MOST);
        must(str_eq(str_make(body.p + at - 4, 4), STR("\r\n--")));
        parts[n++] = str_head(body, (size_t)at - 4);
        body = str_from_index(body, (size_t)at + boundary.n);
    }
    must(str_eq(body, STR("--\r\n")));
    return n;
}

static void status_check(struct str part, enum dsn_action action)
{
    static const char *const once[] = {"Final-Recipient", "Action", "Status"};
    struct str value;
    header_cut(&part);
    lines_check(part);
    struct str message = header_cut(&part);
    must(fields_check(message, STR("Reporting-MTA"), &value) == 1);
    must(fields_check(message, STR("Action"), &value) == 0);
    for (size_t i = 0; i < 3; i++)
        must(fields_check(part, str_from(once[i]), &value) == 1);
    must(fields_check(part, STR("Diagnostic-Code"), &value) <= 1);
    must(fields_check(part, STR("Action"), &value) == 1);
    must(str_eq(str_trim(value), dsn_action_word(action)));
    must(str_find(part, STR("\r\n\r\n")) < 0);
}

static void report_check(const struct dsn *dsn, struct str report, struct dsn_made made)
{
    static const char *const once[] = {"From",         "To",          "Subject",
                                       "Date",         "Message-ID",  "Auto-Submitted",
                                       "MIME-Version", "Content-Type"};
    struct str rest = report, header = header_cut(&rest), value, parts[PARTS_MOST];
    for (size_t i = 0; i < sizeof(once) / sizeof(once[0]); i++)
        must(fields_check(header, str_from(once[i]), &value) == 1);
    lines_check(header);
    must(made.eight_bit || str_is_ascii(report));
    must(!made.utf8 || made.eight_bit);
    ssize_t at = str_find(value, STR("boundary=\""));
    must(at >= 0);
    value = str_from_index(value, (size_t)at + 10);
    size_t n = parts_cut(rest, str_cut(&value, '"'), parts);
    must(n == 2 || n == 3);
    must(n == 3 || dsn->original.header.n == 0 || dsn->original.header.n > DSN_HEADER_MAX ||
         str_eq(dsn->original.header, STR("\r\n")));
    lines_check(parts[0]);
    status_check(parts[1], dsn->recipients[0].action);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct dsn_recipient recipient = {.last_attempt = 1795319000, .retry_until = 1795320000};
    struct dsn dsn = {.time = 1795320000, .arrival = 1795310000, .recipient_count = 1};
    struct buf one = BUF_INIT(ROOM), two = BUF_INIT(ROOM);
    struct arena arena;
    struct dsn_made made;
    if (n < 2)
        return 0;
    dsn.recipients = &recipient;
    dsn_fill(&dsn, &recipient, str_make(data, n));
    arena_init(&arena, ROOM);
    must(!err_is(dsn_print(&dsn, &arena, &one, &made)));
    must(!err_is(dsn_print(&dsn, &arena, &two, &made)));
    must(str_eq(buf_str(&one), buf_str(&two)));
    report_check(&dsn, buf_str(&one), made);
    arena_done(&arena);
    buf_done(&one);
    buf_done(&two);
    return 0;
}
