/*
 * What a person reads first: whom it is about, why, and what to do. Everything a stranger wrote
 * stands indented under a line of ours that says whose words follow.
 */
#include "format/addr.h"
#include "format/clean.h"
#include "format/date.h"
#include "format/dsn_inside.h"
#include "format/header.h"
#include "format/paragraph.h"

enum {
    INDENT_RECIPIENT = 2,
    INDENT_ABOUT = 6,
    INDENT_SAID = 10,
    NAME_SHOWN = 320,    /* octets of an address or a name */
    SUBJECT_SHOWN = 200, /* of the original's Subject */
    SUBJECT_READ = 4096,
    LINE_MAX_MADE = 6 * DSN_TEXT_MAX + 1024,
};

struct people {
    const struct dsn *dsn;
    struct arena *arena;
    struct buf out;
    struct buf line;            /* the paragraph that is being made */
    struct buf value;           /* what goes into it */
    struct buf breaks;          /* paragraph_put's */
    uint64_t told[DSN_ACTIONS]; /* causes whose advice was given */
};
_Static_assert(DSN_CAUSES <= 64, "told has a bit for each cause");

/* --- Paragraphs --- */

static void empty_put(struct people *people)
{
    buf_put(&people->out, STR("\r\n"));
}

static void line_end(struct people *people, size_t indent)
{
    paragraph_put(&people->out, buf_str(&people->line), indent, &people->breaks);
    buf_clear(&people->line);
}

static void text_line(struct people *people, enum dsn_text text, struct str value, size_t indent)
{
    dsn_text_put(&people->line, text, people->dsn->language, value);
    line_end(people, indent);
}

static void stranger_line(struct people *people, enum dsn_text text, struct str value,
                          size_t indent)
{
    buf_clear(&people->value);
    clean_put_some(&people->value, value, NAME_SHOWN, CLEAN_UTF8);
    text_line(people, text, buf_str(&people->value), indent);
}

/* "2026-11-22 03:50:00 +0800" */
static void time_line(struct people *people, enum dsn_text text, int64_t time, size_t indent)
{
    int zone = people->dsn->zone, ahead = zone < 0 ? -zone : zone;
    if (time == 0)
        return;
    buf_clear(&people->value);
    date_print_rfc3339(&people->value, time + zone * 60);
    char *mark = people->value.n ? memchr(people->value.p, 'T', people->value.n) : NULL;
    if (!mark)
        return;
    *mark = ' ';
    buf_cut(&people->value, people->value.n - 1);
    buf_printf(&people->value, " %c%02d%02d", zone < 0 ? '-' : '+', ahead / 60 % 100, ahead % 60);
    text_line(people, text, buf_str(&people->value), indent);
}

/* --- A recipient --- */

static struct str address_of(struct people *people, struct str address)
{
    buf_clear(&people->value);
    addr_text_display(&people->value, str_head(address, NAME_SHOWN));
    return buf_str(&people->value);
}

static void address_line(struct people *people, struct str address)
{
    clean_put(&people->line, address_of(people, address), CLEAN_UTF8);
    line_end(people, INDENT_RECIPIENT);
}

/* Where the address is another than the one that was written. */
static void written_to_line(struct people *people, const struct dsn_recipient *recipient)
{
    struct str address = recipient->original;
    str_cut(&address, ';');
    address = str_trim(address);
    if (address.n && !str_eq_nocase(address, recipient->final))
        stranger_line(people, DSN_TEXT_WRITTEN_TO, address, INDENT_ABOUT);
}

static void said_lines(struct people *people, const struct dsn_recipient *recipient)
{
    struct str rest = str_head(recipient->text, DSN_TEXT_MAX);
    bool cut = rest.n < recipient->text.n;
    if (recipient->code == 0 && rest.n == 0)
        return;
    empty_put(people);
    if (recipient->code && recipient->remote.n)
        stranger_line(people, DSN_TEXT_SAID, recipient->remote, INDENT_ABOUT);
    else
        text_line(people, DSN_TEXT_HAPPENED, STR(""), INDENT_ABOUT);
    if (recipient->code)
        buf_printf(&people->line, "%03u ", recipient->code % 1000);
    while (rest.p) {
        clean_put(&people->line, str_cut(&rest, '\n'), CLEAN_UTF8);
        if (!rest.p && cut)
            buf_put(&people->line, STR("..."));
        if (people->line.n)
            line_end(people, INDENT_SAID);
    }
    empty_put(people);
}

static void advice_line(struct people *people, enum dsn_action action, enum dsn_cause cause)
{
    uint64_t bit = UINT64_C(1) << cause;
    if (people->told[action] & bit)
        return;
    people->told[action] |= bit;
    text_line(people, DSN_TEXT_ADVICE, dsn_cause_advice(cause, people->dsn->language),
              INDENT_ABOUT);
}

static void trouble_lines(struct people *people, const struct dsn_recipient *recipient)
{
    enum dsn_cause cause = dsn_recipient_cause(recipient);
    buf_put(&people->line, dsn_cause_text(cause, people->dsn->language));
    line_end(people, INDENT_ABOUT);
    said_lines(people, recipient);
    time_line(people, DSN_TEXT_LAST_TRY, recipient->last_attempt, INDENT_ABOUT);
    if (recipient->action == DSN_DELAYED)
        time_line(people, DSN_TEXT_TRIED_UNTIL, recipient->retry_until, INDENT_ABOUT);
    advice_line(people, recipient->action, cause);
}

static void recipient_lines(struct people *people, const struct dsn_recipient *recipient)
{
    empty_put(people);
    address_line(people, recipient->final);
    written_to_line(people, recipient);
    if (dsn_is_trouble(recipient->action))
        trouble_lines(people, recipient);
}

/* --- All recipients, the gravest actions first --- */

static enum dsn_text heading(const struct dsn *dsn, enum dsn_action action)
{
    static const enum dsn_text headings[DSN_ACTIONS] = {
        [DSN_FAILED] = DSN_TEXT_LIST_FAILED,       [DSN_DELAYED] = DSN_TEXT_LIST_DELAYED,
        [DSN_EXPANDED] = DSN_TEXT_LIST_EXPANDED,   [DSN_RELAYED] = DSN_TEXT_LIST_RELAYED,
        [DSN_DELIVERED] = DSN_TEXT_LIST_DELIVERED,
    };
    return dsn->double_bounce ? DSN_TEXT_LIST_DOUBLE_BOUNCE : headings[action];
}

/* Returns how many it told, at most `room`. */
static size_t action_lines(struct people *people, enum dsn_action action, size_t room)
{
    const struct dsn *dsn = people->dsn;
    size_t told = 0;
    for (size_t i = 0; i < dsn->recipient_count && told < room; i++) {
        if (dsn->recipients[i].action != action)
            continue;
        if (told++ == 0) {
            empty_put(people);
            text_line(people, heading(dsn, action), STR(""), 0);
        }
        recipient_lines(people, &dsn->recipients[i]);
    }
    return told;
}

static void all_lines(struct people *people)
{
    size_t told = 0;
    for (int action = 0; action < DSN_ACTIONS; action++)
        told += action_lines(people, (enum dsn_action)action, DSN_RECIPIENTS_TOLD - told);
    if (told == people->dsn->recipient_count)
        return;
    empty_put(people);
    buf_clear(&people->value);
    buf_put_u64(&people->value, people->dsn->recipient_count - told);
    text_line(people, DSN_TEXT_AND_MORE, buf_str(&people->value), 0);
}

/* --- The message --- */

static void subject_line(struct people *people)
{
    struct header_field field;
    struct buf text = BUF_INIT(4 * SUBJECT_READ);
    if (!header_find(people->dsn->original.header, STR("Subject"), &field))
        return;
    buf_clear(&people->value);
    header_unfold(str_head(field.value, SUBJECT_READ), &people->value);
    words_decode(buf_str(&people->value), people->dsn->converter, people->arena, &text);
    /* What was in a charset we have no table for is no help. */
    if (!buf_over(&text) && text.n && str_find(buf_str(&text), STR("\xef\xbf\xbd")) < 0) {
        buf_clear(&people->value);
        clean_put_some(&people->value, buf_str(&text), SUBJECT_SHOWN, CLEAN_UTF8);
        text_line(people, DSN_TEXT_SUBJECT_WAS, buf_str(&people->value), INDENT_RECIPIENT);
    }
    buf_done(&text);
}

static void message_lines(struct people *people, bool whole)
{
    const struct dsn *dsn = people->dsn;
    empty_put(people);
    subject_line(people);
    time_line(people, DSN_TEXT_ARRIVED, dsn->arrival, INDENT_RECIPIENT);
    if (dsn->queue_id.n)
        stranger_line(people, DSN_TEXT_QUEUE_ID, dsn->queue_id, INDENT_RECIPIENT);
    empty_put(people);
    if (dsn->original.header.n)
        text_line(people, whole ? DSN_TEXT_WHOLE_FOLLOWS : DSN_TEXT_HEADER_FOLLOWS, STR(""), 0);
}

static void help_line(struct people *people)
{
    buf_clear(&people->value);
    if (people->dsn->postmaster.n) {
        clean_put_some(&people->value, people->dsn->postmaster, NAME_SHOWN, CLEAN_UTF8);
    } else {
        buf_put(&people->value, STR("postmaster@"));
        clean_put_some(&people->value, people->dsn->host, NAME_SHOWN, CLEAN_UTF8);
    }
    text_line(people, DSN_TEXT_HELP, buf_str(&people->value), 0);
}

struct dsn_part dsn_people(const struct dsn *dsn, bool whole, struct arena *arena)
{
    struct people people = {.dsn = dsn,
                            .arena = arena,
                            .out = BUF_INIT(arena->cap),
                            .line = BUF_INIT(LINE_MAX_MADE),
                            .value = BUF_INIT(LINE_MAX_MADE),
                            .breaks = BUF_INIT(LINE_MAX_MADE)};
    stranger_line(&people, DSN_TEXT_WHO, dsn->host, 0);
    if (dsn->double_bounce)
        text_line(&people, DSN_TEXT_DOUBLE_BOUNCE, STR(""), 0);
    all_lines(&people);
    message_lines(&people, whole);
    if (!dsn->double_bounce)
        help_line(&people);

    struct transfer_look look = {0};
    transfer_look(&look, buf_str(&people.out));
    struct dsn_part part = {.type = look.above_ascii ? STR("text/plain; charset=utf-8")
                                                     : STR("text/plain; charset=us-ascii"),
                            .transfer = transfer_choose(&look)};
    struct buf encoded = buf_in(arena, people.out.n * 4 + 64);
    transfer_put(&encoded, buf_str(&people.out), part.transfer);
    part.octets = buf_over(&people.out) ? str_null() : buf_built(&encoded);
    buf_done(&people.out);
    buf_done(&people.line);
    buf_done(&people.value);
    buf_done(&people.breaks);
    return part;
}
