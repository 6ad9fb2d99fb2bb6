/*
 * The parts are made first, since the boundary must occur in none of them and the header says what
 * they need of a transport.
 */
#include "format/dsn.h"

#include "base/must.h"
#include "format/addr.h"
#include "format/boundary.h"
#include "format/clean.h"
#include "format/date.h"
#include "format/dsn_inside.h"
#include "format/header.h"
#include "format/header_print.h"

enum {
    ADDRESS_SHOWN = 320, /* octets of an address in the Subject */
    MESSAGE_ID_MAX = 900,
    VALUE_MAX = 4096,
};

/* --- Words --- */

struct str dsn_action_word(enum dsn_action action)
{
    static const struct str words[DSN_ACTIONS] = {
        [DSN_FAILED] = STR_INIT("failed"),       [DSN_DELAYED] = STR_INIT("delayed"),
        [DSN_EXPANDED] = STR_INIT("expanded"),   [DSN_RELAYED] = STR_INIT("relayed"),
        [DSN_DELIVERED] = STR_INIT("delivered"),
    };
    must(action < DSN_ACTIONS);
    return words[action];
}

struct str dsn_text(enum dsn_text text, enum language language)
{
    static const struct str texts[DSN_TEXTS][LANGUAGES] = {
#define DSN_TEXT(name, english, chinese)                                                           \
    [DSN_TEXT_##                                                                                   \
        name] = {[LANGUAGE_ENGLISH] = STR_INIT(english), [LANGUAGE_CHINESE] = STR_INIT(chinese)},
#include "format/dsn_texts.def"
    };
    must(language < LANGUAGES);
    return texts[text][language];
}

void dsn_text_put(struct buf *buf, enum dsn_text text, enum language language, struct str value)
{
    struct str rest = dsn_text(text, language);
    buf_put(buf, str_cut(&rest, '$'));
    if (!rest.p)
        return;
    buf_put(buf, value);
    buf_put(buf, rest);
}

enum dsn_cause dsn_recipient_cause(const struct dsn_recipient *recipient)
{
    if (recipient->cause != DSN_CAUSE_UNKNOWN && recipient->cause < DSN_CAUSES)
        return recipient->cause;
    return dsn_cause(recipient->code, recipient->status, recipient->text);
}

enum dsn_action dsn_gravest(const struct dsn *dsn)
{
    enum dsn_action gravest = DSN_DELIVERED;
    for (size_t i = 0; i < dsn->recipient_count; i++)
        if (dsn->recipients[i].action < gravest)
            gravest = dsn->recipients[i].action;
    return gravest;
}

/* --- The header --- */

struct report {
    const struct dsn *dsn;
    struct buf *buf;
    struct buf value;
};

static void from_put(struct report *report)
{
    const struct dsn *dsn = report->dsn;
    buf_clear(&report->value);
    buf_put(&report->value, STR("MAILER-DAEMON@"));
    clean_put_some(&report->value, dsn->host, ADDRESS_SHOWN, CLEAN_ASCII);
    header_put_mailbox(report->buf, STR("From"), dsn_text(DSN_TEXT_FROM_NAME, dsn->language),
                       buf_str(&report->value));
}

/* What it says, of whom: the first of those whom it befell worst, and how many more. */
static void subject_put(struct report *report)
{
    static const enum dsn_text subjects[DSN_ACTIONS] = {
        [DSN_FAILED] = DSN_TEXT_SUBJECT_FAILED,       [DSN_DELAYED] = DSN_TEXT_SUBJECT_DELAYED,
        [DSN_EXPANDED] = DSN_TEXT_SUBJECT_EXPANDED,   [DSN_RELAYED] = DSN_TEXT_SUBJECT_RELAYED,
        [DSN_DELIVERED] = DSN_TEXT_SUBJECT_DELIVERED,
    };
    const struct dsn *dsn = report->dsn;
    enum dsn_action gravest = dsn_gravest(dsn);
    struct buf address = BUF_INIT(VALUE_MAX), whom = BUF_INIT(VALUE_MAX), more = BUF_INIT(32);
    const struct dsn_recipient *first = dsn->recipients;
    while (first->action != gravest)
        first++;
    addr_text_display(&address, str_head(first->final, ADDRESS_SHOWN));
    clean_put(&whom, buf_str(&address), CLEAN_UTF8);
    if (dsn->recipient_count > 1) {
        buf_put_u64(&more, dsn->recipient_count - 1);
        dsn_text_put(&whom, DSN_TEXT_SUBJECT_MORE, dsn->language, buf_str(&more));
    }
    buf_clear(&report->value);
    dsn_text_put(&report->value, subjects[gravest], dsn->language, buf_str(&whom));
    header_put_text(report->buf, STR("Subject"), buf_str(&report->value));
    buf_done(&address);
    buf_done(&whom);
    buf_done(&more);
}

/* "<left@right>" of visible ASCII, and nothing else. */
static bool is_message_id(struct str id)
{
    if (id.n < 5 || id.n > MESSAGE_ID_MAX || id.p[0] != '<' || id.p[id.n - 1] != '>')
        return false;
    struct str inside = str_make(id.p + 1, id.n - 2);
    for (size_t i = 0; i < inside.n; i++)
        if ((unsigned char)inside.p[i] <= ' ' || (unsigned char)inside.p[i] >= 0x7f ||
            inside.p[i] == '<' || inside.p[i] == '>')
            return false;
    return str_index(inside, '@') > 0;
}

static void answered_put(struct report *report)
{
    struct header_field field;
    if (!header_find(report->dsn->original.header, STR("Message-ID"), &field))
        return;
    buf_clear(&report->value);
    header_unfold(str_head(field.value, VALUE_MAX), &report->value);
    struct str id = str_trim(buf_str(&report->value));
    if (!is_message_id(id))
        return;
    header_put(report->buf, STR("In-Reply-To"), id);
    header_put(report->buf, STR("References"), id);
}

static void dated_put(struct report *report)
{
    buf_clear(&report->value);
    date_print(&report->value, report->dsn->time, report->dsn->zone);
    header_put(report->buf, STR("Date"), buf_str(&report->value));
    buf_clear(&report->value);
    buf_putc(&report->value, '<');
    clean_put_some(&report->value, report->dsn->message_id, MESSAGE_ID_MAX, CLEAN_ASCII);
    buf_putc(&report->value, '>');
    header_put(report->buf, STR("Message-ID"), buf_str(&report->value));
}

static void header_of(struct report *report, struct str boundary)
{
    const struct dsn *dsn = report->dsn;
    from_put(report);
    header_put_mailbox(report->buf, STR("To"), STR(""), dsn->to);
    subject_put(report);
    dated_put(report);
    answered_put(report);
    header_put(report->buf, STR("Auto-Submitted"), STR("auto-replied"));
    if (dsn->tls_optional)
        header_put(report->buf, STR("TLS-Required"), STR("No"));
    header_put(report->buf, STR("MIME-Version"), STR("1.0"));
    buf_put(report->buf, STR("Content-Type: multipart/report; report-type=delivery-status;\r\n"
                             " boundary=\""));
    buf_put(report->buf, boundary);
    buf_put(report->buf, STR("\"\r\n\r\n"));
}

/* --- The parts --- */

static void part_put(struct report *report, struct str boundary, const struct dsn_part *part,
                     struct str language)
{
    buf_put(report->buf, STR("\r\n--"));
    buf_put(report->buf, boundary);
    buf_put(report->buf, STR("\r\n"));
    header_put(report->buf, STR("Content-Type"), part->type);
    if (language.n)
        header_put(report->buf, STR("Content-Language"), language);
    header_put(report->buf, STR("Content-Transfer-Encoding"), transfer_word(part->transfer));
    buf_put(report->buf, STR("\r\n"));
    buf_put(report->buf, part->octets);
}

static struct str language_tag(enum language language)
{
    return language == LANGUAGE_CHINESE ? STR("zh-Hans") : STR("en");
}

enum {
    PEOPLE,
    STATUS,
    ORIGINAL,
    PARTS
};

static struct err report_put(struct report *report, const struct dsn_part parts[PARTS])
{
    char room[BOUNDARY_MAX];
    struct buf boundary = {.p = room, .cap = sizeof(room), .max = sizeof(room)};
    struct str octets[PARTS];
    for (size_t i = 0; i < PARTS; i++)
        octets[i] = parts[i].octets;
    boundary_put(&boundary, report->dsn->message_id, octets, PARTS);
    header_of(report, buf_str(&boundary));
    for (size_t i = 0; i < PARTS; i++)
        if (parts[i].octets.p)
            part_put(report, buf_str(&boundary), &parts[i],
                     i == PEOPLE ? language_tag(report->dsn->language) : STR(""));
    buf_put(report->buf, STR("\r\n--"));
    buf_put(report->buf, buf_str(&boundary));
    buf_put(report->buf, STR("--\r\n"));
    return buf_over(report->buf) || buf_over(&report->value) ? err_make(ERR_OVER_LIMIT)
                                                             : err_none();
}

struct err dsn_print(const struct dsn *dsn, struct arena *scratch, struct buf *buf,
                     struct dsn_made *made_r)
{
    must(dsn->recipient_count > 0);
    struct dsn_part parts[PARTS];
    bool whole;
    parts[ORIGINAL] = dsn_original(dsn, scratch, &whole);
    parts[PEOPLE] = dsn_people(dsn, whole, scratch);
    parts[STATUS] = dsn_status(dsn, scratch);
    if (arena_over(scratch) || !parts[PEOPLE].octets.p || !parts[STATUS].octets.p)
        return err_make(ERR_OVER_LIMIT);
    *made_r = (struct dsn_made){.utf8 = !str_is_ascii(dsn->to)};
    made_r->eight_bit = made_r->utf8;
    for (size_t i = 0; i < PARTS; i++) {
        made_r->utf8 |= parts[i].utf8;
        made_r->eight_bit |= parts[i].transfer == TRANSFER_8BIT;
    }
    struct report report = {.dsn = dsn, .buf = buf, .value = BUF_INIT(2 * VALUE_MAX)};
    struct err e = report_put(&report, parts);
    buf_done(&report.value);
    return e;
}
