/*
 * Programs write what the sendmail of 1983 let them write: line feeds, no From, a text without a
 * header, "From " of a mailbox file in front. Each of these is put right here, so that what leaves
 * is a message whoever takes it.
 */
#include "cli/note.h"

#include "format/addr.h"
#include "format/header.h"
#include "format/header_print.h"
#include "format/submission.h"
#include "format/words.h"

enum {
    HEADER_MOST = 256 * 1024,
    ACCOUNT_MAX = 400,
};

/* --- The text -------------------------------------------------------------------------------- */

/* Octets of the line at the front, and of its end. */
static size_t line_length(struct str text, size_t *end_r)
{
    const char *lf = memchr(text.p, '\n', text.n);
    size_t n = lf ? (size_t)(lf - text.p) : text.n;
    *end_r = lf ? 1 : 0;
    if (n > 0 && text.p[n - 1] == '\r') {
        n--;
        *end_r += 1;
    }
    return n;
}

static bool is_field(struct str line)
{
    ssize_t colon = str_index(line, ':');
    if (colon <= 0)
        return false;
    for (ssize_t i = 0; i < colon; i++) {
        bool blank = line.p[i] == ' ' || line.p[i] == '\t';
        if ((line.p[i] <= ' ' || line.p[i] > '~') && !(blank && i > 0))
            return false;
    }
    return true;
}

static bool is_fold(struct str line)
{
    return line.n > 0 && (line.p[0] == ' ' || line.p[0] == '\t');
}

/* "From joe Sat Nov 21 ..." (mbox) and ">From " are no fields of a header. */
static bool is_mbox_line(struct str line)
{
    return str_starts(line, STR("From ")) || str_starts(line, STR(">From "));
}

/* A CR within a line has no meaning that all readers share; it goes. */
static void line_put(struct str line, struct buf *to)
{
    while (line.n > 0) {
        buf_put(to, str_cut(&line, '\r'));
    }
    buf_put(to, STR("\r\n"));
}

/* Where the header ends that nobody ended, an empty line is put. */
static bool text_lines(const struct note *note, struct buf *to)
{
    struct str rest = note->text;
    bool in_header = true, first = true;
    while (rest.n > 0) {
        size_t end, n = line_length(rest, &end);
        struct str line = str_head(rest, n);
        rest = str_from_index(rest, n + end);
        if (note->dot_ends && str_eq(line, STR(".")))
            break;
        if (first && is_mbox_line(line))
            continue;
        if (in_header && n > 0 && !is_field(line) && (first || !is_fold(line))) {
            buf_put(to, STR("\r\n"));
            in_header = false;
        }
        in_header = in_header && n > 0;
        first = false;
        line_put(line, to);
    }
    if (in_header)
        buf_put(to, STR("\r\n"));
    return !buf_over(to);
}

static struct str header_of(struct str message)
{
    struct submission_scan scan = submission_scan_begin();
    bool ended;
    return str_head(message, submission_scan(&scan, message, &ended));
}

/* --- Addresses ------------------------------------------------------------------------------- */

static struct str printed(const struct addr *addr, struct arena *arena)
{
    struct buf text = buf_in(arena, ADDR_PATH_MAX);
    addr_print(&text, addr);
    return buf_built(&text);
}

struct str note_address(struct str text, struct str host, struct arena *arena)
{
    struct addr addr;
    struct buf whole = buf_in(arena, ACCOUNT_MAX);
    text = str_trim(text);
    if (str_starts(text, STR("<")) && str_ends(text, STR(">")))
        text = str_make(text.p + 1, text.n - 2);
    buf_put(&whole, text);
    if (str_index(text, '@') < 0) {
        buf_putc(&whole, '@');
        buf_put(&whole, host);
    }
    struct str address = buf_built(&whole);
    if (text.n == 0 || !address.p || err_is(addr_parse(address, arena, &addr)))
        return str_null();
    return printed(&addr, arena);
}

struct gathering {
    struct letter *letter;
    struct str host;
    struct arena *arena;
    struct str bad; /* the first that is none; p == NULL */
    bool full;
};

static void recipient_add(struct gathering *gathering, struct str address)
{
    struct letter *letter = gathering->letter;
    for (size_t i = 0; i < letter->count; i++)
        if (str_eq(letter->recipients[i].address, address))
            return;
    if (letter->count == LETTER_RECIPIENTS_MAX)
        gathering->full = true;
    else
        letter->recipients[letter->count++] =
            (struct letter_recipient){.address = address, .asked = STR("")};
}

static struct str mailbox_print(const struct header_address *item, struct str host,
                                struct arena *arena)
{
    struct addr addr;
    struct buf quoted = buf_in(arena, ACCOUNT_MAX);
    /* As it was between its quotes: the parser of addresses wants them back. */
    const struct addr bare = {
        .local = item->local, .domain = item->domain.p ? item->domain : host, .kind = ADDR_DOMAIN};
    addr_print(&quoted, &bare);
    struct str text = buf_built(&quoted);
    if (!text.p || err_is(addr_parse(text, arena, &addr)))
        return str_null();
    return printed(&addr, arena);
}

/* A list as a field of a header has it. */
static void list_gather(struct gathering *gathering, struct str value)
{
    struct header_addresses list = {.rest = value, .arena = gathering->arena, .unqualified = true};
    struct header_address item;
    while (header_addresses_next(&list, &item)) {
        if (item.kind == HEADER_GROUP_BEGIN || item.kind == HEADER_GROUP_END)
            continue;
        struct str address = item.kind == HEADER_MAILBOX
                                 ? mailbox_print(&item, gathering->host, gathering->arena)
                                 : str_null();
        if (address.p)
            recipient_add(gathering, address);
        else if (!gathering->bad.p)
            gathering->bad = value;
    }
}

static bool name_is(const struct header_field *field, const char *const *names)
{
    for (; *names; names++)
        if (str_eq_nocase(field->name, str_from(*names)))
            return true;
    return false;
}

/* The first block of Resent fields stands in front of all others (RFC 5322 3.6.6). */
static void header_gather(struct gathering *gathering, struct str header)
{
    static const char *const plain[] = {"To", "Cc", "Bcc", NULL};
    static const char *const resent[] = {"Resent-To", "Resent-Cc", "Resent-Bcc", NULL};
    struct str rest = header;
    struct header_field field;
    bool was_resent = false, behind = false;
    while (header_next(&rest, &field)) {
        bool is = str_starts_nocase(field.name, STR("Resent-"));
        bool trace = str_eq_nocase(field.name, STR("Received")) ||
                     str_eq_nocase(field.name, STR("Return-Path"));
        behind |= was_resent && !is && !trace;
        was_resent |= is;
        if (is && !behind && name_is(&field, resent))
            list_gather(gathering, field.value);
    }
    rest = header;
    while (!was_resent && header_next(&rest, &field))
        if (name_is(&field, plain))
            list_gather(gathering, field.value);
}

static enum note_trouble recipients_gather(const struct note *note, const struct note_facts *facts,
                                           struct str header, struct arena *arena,
                                           struct letter *letter, struct str *what_r)
{
    struct gathering gathering = {.letter = letter, .host = facts->host, .arena = arena};
    letter->recipients = arena_take_array(arena, LETTER_RECIPIENTS_MAX, sizeof *letter->recipients);
    if (!letter->recipients)
        return NOTE_TOO_LARGE;
    for (size_t i = 0; i < note->named_count; i++)
        list_gather(&gathering, note->named[i]);
    if (note->from_header)
        header_gather(&gathering, header);
    if (arena_over(arena) || gathering.full)
        return NOTE_TOO_LARGE;
    *what_r = gathering.bad;
    return gathering.bad.p      ? NOTE_BAD_RECIPIENT
           : letter->count == 0 ? NOTE_NO_RECIPIENTS
                                : NOTE_FINE;
}

/* --- The letter ------------------------------------------------------------------------------ */

static struct str own_address(const struct note_facts *facts, struct arena *arena)
{
    return facts->address.n > 0 ? facts->address : note_address(facts->user, facts->host, arena);
}

/* A From with the full name, where there is none. */
static bool header_begin(const struct note_facts *facts, struct str header, struct str address,
                         struct buf *to)
{
    struct header_field field;
    if (!header_find(header, STR("From"), &field))
        header_put_mailbox(to, STR("From"), facts->name, address);
    buf_put(to, header);
    return !buf_over(to);
}

static enum note_trouble header_complete(const struct note_facts *facts, struct str account,
                                         struct str header, struct arena *arena,
                                         struct str *header_r, struct str *what_r)
{
    const struct submission_facts wanted = {.account = account,
                                            .hostname = facts->host,
                                            .id = facts->id,
                                            .time = facts->time,
                                            .most = HEADER_MOST};
    struct submission_result result;
    struct buf begun = buf_in(arena, HEADER_MOST);
    if (!header_begin(facts, header, account, &begun))
        return NOTE_TOO_LARGE;
    struct arena scratch;
    arena_init(&scratch, SUBMISSION_SCRATCH_TIMES * (2 * HEADER_MOST) + SUBMISSION_SCRATCH_MORE);
    struct err e = submission_header(buf_str(&begun), &wanted, arena, &scratch, &result);
    arena_done(&scratch);
    *what_r = e.detail;
    if (e.code == ERR_MESSAGE_FROM)
        return NOTE_BAD_HEADER;
    *header_r = err_is(e) ? str_null() : result.header;
    return err_is(e) ? NOTE_TOO_LARGE : NOTE_FINE;
}

static bool sender_set(const struct note *note, const struct note_facts *facts, struct str account,
                       struct arena *arena, struct letter *letter)
{
    if (!note->has_sender)
        letter->sender = account;
    else if (note->sender.n == 0 || str_eq(note->sender, STR("<>")))
        letter->sender = STR("");
    else
        letter->sender = note_address(note->sender, facts->host, arena);
    return letter->sender.p != NULL;
}

static struct str joined(struct str header, struct str body, struct arena *arena)
{
    char *octets = arena_take(arena, header.n + body.n + 1);
    if (!octets)
        return str_null();
    memcpy(octets, header.p, header.n);
    if (body.n)
        memcpy(octets + header.n, body.p, body.n);
    return str_make(octets, header.n + body.n);
}

enum note_trouble note_letter(const struct note *note, const struct note_facts *facts,
                              struct arena *arena, struct letter *letter_r, struct str *what_r)
{
    struct buf lines = buf_in(arena, LETTER_MAX);
    struct letter letter = {.asked = STR("")};
    struct str account = own_address(facts, arena), header;
    *what_r = str_null();
    if (!text_lines(note, &lines))
        return NOTE_TOO_LARGE;
    struct str text = buf_str(&lines), came = header_of(text);
    if (!account.p || !sender_set(note, facts, account, arena, &letter))
        return NOTE_BAD_SENDER;
    enum note_trouble trouble = recipients_gather(note, facts, came, arena, &letter, what_r);
    if (trouble == NOTE_FINE)
        trouble = header_complete(facts, account, came, arena, &header, what_r);
    if (trouble != NOTE_FINE)
        return trouble;
    letter.message = joined(header, str_from_index(text, came.n), arena);
    if (!letter.message.p)
        return NOTE_TOO_LARGE;
    letter_look(&letter);
    *letter_r = letter;
    return NOTE_FINE;
}

/* --- For a smart host ------------------------------------------------------------------------ */

static struct str display_of(struct str value, struct arena *arena)
{
    struct header_addresses list = {.rest = value, .arena = arena, .unqualified = true};
    struct header_address item;
    while (header_addresses_next(&list, &item))
        if (item.kind == HEADER_MAILBOX && item.name.p) {
            struct buf name = buf_in(arena, HEADER_MOST);
            words_decode(item.name, NULL, arena, &name);
            struct str decoded = buf_built(&name);
            return decoded.p ? decoded : STR("");
        }
    return STR("");
}

bool note_rewrite(struct letter *letter, struct str own, struct arena *arena)
{
    struct str header = header_of(letter->message), rest = header;
    struct buf text = buf_in(arena, 2 * HEADER_MOST);
    struct header_field field;
    bool answers = header_find(header, STR("Reply-To"), &field);
    while (header_next(&rest, &field)) {
        if (!str_eq_nocase(field.name, STR("From"))) {
            if (!str_eq_nocase(field.name, STR("Sender")))
                buf_put(&text, field.whole);
            continue;
        }
        header_put_mailbox(&text, STR("From"), display_of(field.value, arena), own);
        if (!answers) {
            buf_put(&text, STR("Reply-To:"));
            buf_put(&text, field.value);
            buf_put(&text, STR("\r\n"));
        }
        answers = true;
    }
    buf_put(&text, rest); /* the empty line */
    struct str header_new = buf_str(&text);
    struct str message = buf_over(&text)
                             ? str_null()
                             : joined(header_new, str_from_index(letter->message, header.n), arena);
    if (!message.p)
        return false;
    letter->message = message;
    if (letter->sender.n > 0)
        letter->sender = own;
    return true;
}
