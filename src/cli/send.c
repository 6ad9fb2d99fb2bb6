/*
 * The message is made by compose and then goes the way of one that sendmail was handed: so what is
 * checked and completed there is checked and completed here.
 */
#include "cli/send.h"

#include "cli/charset.h"
#include "cli/cli.h"
#include "cli/dispatch.h"
#include "cli/note.h"
#include "cli/send_options.h"
#include "format/header.h"
#include "format/html_text.h"
#include "format/mail_options.h"
#include "sys/process.h"

enum {
    ARENA = 1024 * 1024 * 1024,
    WHY_MAX = 4096,
    TABLE_MAX = 4 * 1024 * 1024,
    PRIORITY_HIGH = 4, /* MT-PRIORITY (RFC 6710) */
    WORD_MAX = 64 * 1024,
};

struct sending {
    struct dispatch *dispatch;
    struct send_options *options;
    struct arena *arena;
    struct str locale; /* its charset; empty: UTF-8 */
    struct str bad;    /* words that are no addresses */
    struct buf message;
};

/* --- Charsets -------------------------------------------------------------------------------- */

static bool is_binary(const struct sending *sending)
{
    return str_eq_nocase(sending->options->charset, STR(CHARSET_BINARY));
}

static int charset_refuse(const struct sending *sending, enum charset_end end, struct str charset,
                          struct str what, size_t line)
{
    if (end == CHARSET_UNKNOWN)
        dispatch_say(sending->dispatch, "there is no charset %.*s (iconv -l lists them)",
                     STR_FMT(charset));
    else if (end == CHARSET_WRONG)
        dispatch_say(sending->dispatch,
                     "line %zu of %.*s is not %.*s; --charset says what it is in, --charset binary "
                     "that nobody knows",
                     line, STR_FMT(what), STR_FMT(charset));
    else
        dispatch_say(sending->dispatch, "%.*s is too large", STR_FMT(what));
    return EXIT_DATA;
}

/* Words of the command line are as the user types them; those of a script may be as its text. */
static bool word_read(struct sending *sending, struct str *word)
{
    struct str given = sending->options->charset;
    struct str charset = sending->locale.n > 0 ? sending->locale : given;
    struct buf made = buf_in(sending->arena, WORD_MAX);
    size_t line;
    if (str_is_ascii(*word) || (sending->locale.n == 0 && str_is_utf8(*word)))
        return true;
    if (charset.n == 0 || charset_convert(charset, *word, &made, &line) != CHARSET_FINE)
        return false;
    *word = buf_built(&made);
    return word->p != NULL;
}

static bool words_read(struct sending *sending, struct send_words *words)
{
    bool fine = true;
    for (size_t i = 0; i < words->count; i++)
        fine = fine && word_read(sending, &words->at[i]);
    return fine;
}

static int all_words_read(struct sending *sending)
{
    struct send_options *options = sending->options;
    bool fine = word_read(sending, &options->subject) && word_read(sending, &options->from) &&
                word_read(sending, &options->reply_to) && words_read(sending, &options->to) &&
                words_read(sending, &options->cc) && words_read(sending, &options->bcc) &&
                words_read(sending, &options->fields) &&
                word_read(sending, &sending->dispatch->full_name);
    if (fine)
        return 0;
    dispatch_say(sending->dispatch, "the words of the command are neither UTF-8 nor what the "
                                    "locale or --charset says");
    return EXIT_DATA;
}

/* Of the text: nobody said, and it is no UTF-8: the locale's. */
static struct str charset_meant(const struct sending *sending, struct str text)
{
    if (sending->options->charset.n > 0 || str_is_utf8(text))
        return sending->options->charset;
    return sending->locale;
}

/* As it is to be sent, and what it is labelled with; empty: as compose sees it. */
static int text_read(struct sending *sending, struct str text, struct str *text_r,
                     struct str *charset_r)
{
    struct str charset = charset_meant(sending, text);
    struct buf made = buf_in(sending->arena, COMPOSE_TEXT_MAX);
    size_t line;
    *text_r = text;
    *charset_r = STR("");
    if (is_binary(sending) && !str_is_ascii(text))
        *charset_r = STR("unknown-8bit");
    if (charset.n == 0 || is_binary(sending) || text.n == 0)
        return 0;
    enum charset_end end = charset_convert(charset, text, &made, &line);
    if (end != CHARSET_FINE)
        return charset_refuse(sending, end, charset, STR("the text"), line);
    *charset_r = sending->options->as_it_is ? charset : STR("");
    *text_r = sending->options->as_it_is ? text : buf_built(&made);
    return text_r->p ? 0 : EXIT_SOFTWARE;
}

/* --- Addresses ------------------------------------------------------------------------------- */

static bool mailboxes_gather(struct sending *sending, const struct send_words *words,
                             struct compose_mailboxes *mailboxes_r)
{
    size_t room = SEND_WORDS_MAX;
    struct compose_mailbox *list = arena_take_array(sending->arena, room, sizeof *list);
    size_t count = 0;
    for (size_t i = 0; list && i < words->count; i++) {
        sending->bad = words->at[i];
        struct header_addresses rest = {
            .rest = words->at[i], .arena = sending->arena, .unqualified = true};
        struct header_address item;
        while (header_addresses_next(&rest, &item)) {
            struct buf address = buf_in(sending->arena, WHY_MAX);
            if (item.kind != HEADER_MAILBOX || count == room)
                return false;
            buf_put(&address, item.local);
            buf_putc(&address, '@');
            buf_put(&address, item.domain.p ? item.domain : sending->dispatch->host);
            struct str whole =
                note_address(buf_built(&address), sending->dispatch->host, sending->arena);
            if (!whole.p)
                return false;
            list[count++] = (struct compose_mailbox){.name = item.name.p ? item.name : STR(""),
                                                     .address = whole};
        }
    }
    *mailboxes_r = (struct compose_mailboxes){list, count};
    return list != NULL;
}

static bool mailbox_of(struct sending *sending, struct str text, struct compose_mailbox *mailbox_r)
{
    struct str word[] = {text};
    struct compose_mailboxes list;
    if (!mailboxes_gather(sending, &(struct send_words){word, 1}, &list) || list.count != 1)
        return false;
    *mailbox_r = list.at[0];
    return true;
}

static bool author_of(struct sending *sending, struct compose_mailbox *from_r)
{
    struct dispatch *dispatch = sending->dispatch;
    struct str own = dispatch_own_address(dispatch);
    if (sending->options->from.n > 0)
        return mailbox_of(sending, sending->options->from, from_r);
    from_r->name = str_is_utf8(dispatch->full_name) ? dispatch->full_name : STR("");
    from_r->address =
        own.n > 0 ? own : note_address(dispatch->user, dispatch->host, sending->arena);
    return from_r->address.p != NULL;
}

static int address_refuse(const struct sending *sending, struct str words)
{
    struct buf clean = buf_in(sending->arena, WHY_MAX);
    buf_put_escaped(&clean, words, WHY_MAX / 8);
    dispatch_say(sending->dispatch, "no mail address in \"%.*s\"", STR_FMT(buf_str(&clean)));
    return EXIT_DATA;
}

/* --- The message ----------------------------------------------------------------------------- */

static bool sink_put(void *context, struct str octets)
{
    return buf_put(context, octets);
}

static int unreadable(const struct sending *sending, struct str file, struct err e)
{
    dispatch_say(sending->dispatch, "cannot read %.*s: %s", STR_FMT(file),
                 e.os ? strerrordesc_np(e.os) : err_row(e.code)->text);
    return EXIT_NO_INPUT;
}

/* A file goes as it is; of a text it is said what it is in. */
static struct str file_charset(const struct sending *sending, struct str octets)
{
    if (str_is_ascii(octets))
        return STR("us-ascii");
    if (is_binary(sending))
        return STR("");
    if (sending->options->charset.n > 0)
        return sending->options->charset;
    return str_is_utf8(octets) ? STR("utf-8") : sending->locale;
}

static void attach_begin(struct sending *sending, struct compose *compose, struct str file,
                         struct str octets, struct str table)
{
    struct str type = send_type(table, file), name = file;
    if (type.n == 0)
        type = compose_type(file);
    bool text = str_starts_nocase(type, STR("text/"));
    if (!word_read(sending, &name))
        name = file; /* compose writes what is no character as its number */
    compose_attach_text(compose, name, type, text ? file_charset(sending, octets) : STR(""));
}

static int files_attach(struct sending *sending, struct compose *compose)
{
    const struct send_words *files = &sending->options->files;
    struct buf table = BUF_INIT(TABLE_MAX);
    int code = 0;
    (void)process_read_file(STR("/etc/mime.types"), TABLE_MAX, &table);
    for (size_t i = 0; i < files->count && !code; i++) {
        struct buf octets = BUF_INIT(LETTER_MAX);
        struct err e = process_read_file(files->at[i], LETTER_MAX, &octets);
        if (err_is(e)) {
            code = unreadable(sending, files->at[i], e);
        } else {
            attach_begin(sending, compose, files->at[i], buf_str(&octets), buf_str(&table));
            compose_feed(compose, buf_str(&octets));
        }
        buf_done(&octets);
    }
    buf_done(&table);
    return code;
}

static bool is_field(struct str field)
{
    ssize_t colon = str_index(field, ':');
    bool fine = colon > 0 && str_is_utf8(field);
    for (size_t i = 0; i < field.n && fine; i++)
        fine = (unsigned char)field.p[i] >= (i < (size_t)colon ? 0x21 : 0x20) &&
               field.p[i] != 0x7f && (i > (size_t)colon || (unsigned char)field.p[i] < 0x7f);
    return fine;
}

/* The caller's own fields, in front. */
static int fields_put(struct sending *sending)
{
    const struct send_words *fields = &sending->options->fields;
    for (size_t i = 0; i < fields->count; i++) {
        if (!is_field(fields->at[i])) {
            dispatch_say(sending->dispatch, "-H takes one line, 'Name: value'");
            return EXIT_USAGE;
        }
        buf_put(&sending->message, fields->at[i]);
        buf_put(&sending->message, STR("\r\n"));
    }
    if (sending->options->tls_optional)
        buf_put(&sending->message, STR("TLS-Required: No\r\n"));
    return 0;
}

static bool people_find(struct sending *sending, struct compose_head *head,
                        struct compose_mailbox *answers)
{
    const struct send_options *options = sending->options;
    if (!author_of(sending, &head->from) || !mailboxes_gather(sending, &options->to, &head->to) ||
        !mailboxes_gather(sending, &options->cc, &head->cc))
        return false;
    if (options->reply_to.n > 0) {
        if (!mailbox_of(sending, options->reply_to, answers))
            return false;
        head->reply_to = (struct compose_mailboxes){answers, 1};
    }
    if (options->receipt)
        head->receipt_to = head->from.address;
    return true;
}

static struct str id_make(struct sending *sending)
{
    uint64_t chance;
    struct buf id = buf_in(sending->arena, WHY_MAX);
    world_random(world_real(), &chance, sizeof chance);
    buf_printf(&id, "%llx.%llx@", (unsigned long long)world_wall(world_real()),
               (unsigned long long)chance);
    buf_put(&id, sending->dispatch->host);
    return buf_built(&id);
}

/* A text of a terminal ends its lines in LF. */
static struct str text_lines(struct str text, struct arena *arena)
{
    struct buf lines = buf_in(arena, 2 * (size_t)COMPOSE_TEXT_MAX);
    while (text.n > 0) {
        ssize_t lf = str_index(text, '\n');
        struct str line = str_head(text, lf < 0 ? text.n : (size_t)lf);
        text = str_from_index(text, line.n + (lf >= 0));
        buf_put(&lines, str_ends(line, STR("\r")) ? str_head(line, line.n - 1) : line);
        buf_put(&lines, STR("\r\n"));
    }
    return buf_built(&lines);
}

/* Pages are made by programs, and in UTF-8, whatever a text beside them is in: what reads as that
 * by chance is not met. Without such octets it may be a charset of seven bits. */
static bool is_clearly_utf8(struct str octets)
{
    return !str_is_ascii(octets) && str_is_utf8(octets);
}

/* The file, or standard input, as UTF-8. */
static int html_read(struct sending *sending, struct str input, struct str *html_r)
{
    struct str file = sending->options->html, charset = STR("");
    struct buf octets = BUF_INIT(COMPOSE_TEXT_MAX);
    bool is_input = str_eq(file, STR("-"));
    struct err e = is_input ? err_none() : process_read_file(file, COMPOSE_TEXT_MAX, &octets);
    struct str read = is_input ? input : buf_copy(&octets, sending->arena);
    buf_done(&octets);
    if (err_is(e))
        return unreadable(sending, file, e);
    if (read.n == 0) {
        dispatch_say(sending->dispatch, "there is nothing in %.*s", STR_FMT(file));
        return EXIT_DATA;
    }
    if (read.p && is_clearly_utf8(read)) {
        *html_r = read;
        return 0;
    }
    int code = read.p ? text_read(sending, read, html_r, &charset) : EXIT_SOFTWARE;
    if (!code && (charset.n > 0 || !str_is_utf8(*html_r))) {
        dispatch_say(sending->dispatch, "HTML is sent as UTF-8: --charset says what it is in");
        code = EXIT_DATA;
    }
    return code;
}

/* Without a text of its own it is what the HTML says. */
static int texts_read(struct sending *sending, struct str input, struct compose_head *head)
{
    const struct send_options *options = sending->options;
    if (options->html.n == 0)
        return text_read(sending, input, &head->text, &head->charset);
    int code = html_read(sending, input, &head->html);
    bool own = !str_eq(options->html, STR("-")) && input.n > 0;
    if (code || own)
        return code ? code : text_read(sending, input, &head->text, &head->charset);
    struct buf text = buf_in(sending->arena, HTML_TEXT_GROWTH * (size_t)COMPOSE_TEXT_MAX);
    html_text_put(head->html, &text);
    bool whole = !buf_over(&text);
    head->text = buf_built(&text);
    return whole ? 0 : EXIT_SOFTWARE;
}

static int message_make(struct sending *sending, struct str text)
{
    const struct send_options *options = sending->options;
    struct compose_mailbox answers;
    struct compose compose;
    struct compose_head head = {.subject = options->subject,
                                .time = world_wall(world_real()) / US_PER_SECOND,
                                .message_id = id_make(sending),
                                .priority = options->priority,
                                .to_follows = options->newsletter.n > 0,
                                .attachments = options->files.count > 0};
    int code = texts_read(sending, text, &head);
    if (code)
        return code;
    head.text = text_lines(head.text, sending->arena);
    if (!people_find(sending, &head, &answers))
        return address_refuse(sending, sending->bad);
    code = fields_put(sending);
    if (code)
        return code;
    struct err e = compose_begin(
        &compose, &head, (struct compose_sink){.context = &sending->message, .put = sink_put});
    if (err_is(e)) {
        dispatch_say(sending->dispatch, "%s: %.*s", err_row(e.code)->text, STR_FMT(e.detail));
        return EXIT_DATA;
    }
    code = files_attach(sending, &compose);
    e = compose_end(&compose);
    if (err_is(e) && !code)
        dispatch_say(sending->dispatch, "the message is too large");
    return code ? code : err_is(e) ? EXIT_DATA : 0;
}

/* --- On its way ------------------------------------------------------------------------------ */

static int options_ask(struct sending *sending, struct letter *letter)
{
    const struct send_options *options = sending->options;
    struct mail_options asked = {.ret = DSN_RETURN_UNSAID, .require_tls = options->require_tls};
    int64_t now = world_wall(world_real()) / US_PER_SECOND;
    if (options->priority != COMPOSE_NORMAL)
        asked.priority = options->priority == COMPOSE_HIGH ? PRIORITY_HIGH : -PRIORITY_HIGH;
    if (options->at.n > 0 && !send_time_parse(options->at, now, &asked.hold_until)) {
        dispatch_say(sending->dispatch, "--at is +30m, +2h, +3d or 2026-12-24T18:00:00+01:00, and "
                                        "in the future");
        return EXIT_USAGE;
    }
    letter->asked = mail_options_keep(&asked, sending->arena);
    return letter->asked.p ? 0 : EXIT_SOFTWARE;
}

static struct str *all_recipients(struct sending *sending, size_t *count_r)
{
    const struct send_words *kinds[] = {&sending->options->to, &sending->options->cc,
                                        &sending->options->bcc};
    struct str *list = arena_take_array(sending->arena, 3 * SEND_WORDS_MAX, sizeof *list);
    *count_r = 0;
    for (size_t i = 0; list && i < sizeof kinds / sizeof *kinds; i++)
        for (size_t j = 0; j < kinds[i]->count; j++)
            list[(*count_r)++] = kinds[i]->at[j];
    return list;
}

static int letter_make(struct sending *sending, struct letter *letter_r)
{
    struct dispatch *dispatch = sending->dispatch;
    struct str what;
    struct compose_mailbox from;
    struct note note = {.text = buf_str(&sending->message)};
    const struct note_facts facts = {.user = dispatch->user,
                                     .host = dispatch->host,
                                     .id = STR("0"),
                                     .time = world_wall(world_real()) / US_PER_SECOND};
    note.named = all_recipients(sending, &note.named_count);
    note.has_sender = author_of(sending, &from);
    note.sender = from.address;
    enum note_trouble trouble =
        note.named ? note_letter(&note, &facts, sending->arena, letter_r, &what) : NOTE_TOO_LARGE;
    if (trouble == NOTE_BAD_RECIPIENT)
        return address_refuse(sending, what);
    if (trouble != NOTE_FINE) {
        dispatch_say(dispatch, "an address or a field is malformed");
        return EXIT_DATA;
    }
    return options_ask(sending, letter_r);
}

/* Core sends it: it has the list, the keys that sign, and the queue. */
static int newsletter_give(struct sending *sending)
{
    char *list = str_to_cstring(sending->options->newsletter);
    const char *words[] = {"newsletter", "send", list, "-"};
    int code =
        list ? cli_run_reading(words, sizeof words / sizeof *words, buf_str(&sending->message))
             : EXIT_SOFTWARE;
    free(list);
    return code;
}

static int send_message(struct sending *sending)
{
    struct buf text = BUF_INIT(COMPOSE_TEXT_MAX);
    struct letter letter;
    struct err e = process_read_input(COMPOSE_TEXT_MAX, &text);
    sending->locale = charset_of_locale();
    int code = err_is(e) ? unreadable(sending, STR("standard input"), e) : all_words_read(sending);
    bool newsletter = sending->options->newsletter.n > 0;
    if (!code)
        code = message_make(sending, buf_str(&text));
    if (!code && newsletter)
        code = newsletter_give(sending);
    if (!code && !newsletter)
        code = letter_make(sending, &letter);
    if (!code && !newsletter)
        code = dispatch_letter(sending->dispatch, &letter);
    buf_done(&text);
    return code;
}

static int run(struct sending *sending)
{
    switch (sending->options->what) {
    case SEND_FLUSH:
        return dispatch_flush(sending->dispatch);
    case SEND_LIST:
        return dispatch_list(sending->dispatch);
    case SEND_MESSAGE:
    case SEND_HELP:
        break;
    }
    return send_message(sending);
}

/* A newsletter has no recipients but its members, and goes when the queue has it. */
static bool is_contradictory(const struct send_options *options)
{
    return options->newsletter.n > 0 &&
           (options->to.count + options->cc.count + options->bcc.count > 0 || options->at.n > 0 ||
            options->receipt || options->require_tls || options->tls_optional);
}

static int options_refuse(const struct send_options *options, struct str why)
{
    size_t people = options->to.count + options->cc.count + options->bcc.count;
    if (why.n > 0)
        fprintf(stderr, "veredus send: %.*s; see veredus send --help\n", STR_FMT(why));
    else if (options->what == SEND_HELP)
        cli_out(str_from(send_usage));
    else if (options->what == SEND_MESSAGE && options->newsletter.n == 0 && people == 0)
        fprintf(stderr, "veredus send: to whom? see veredus send --help\n");
    else if (is_contradictory(options))
        fprintf(stderr, "veredus send: --newsletter goes to the members of its list alone, without "
                        "--at, --receipt, --require-tls and --tls-optional\n");
    else if (options->require_tls && options->tls_optional)
        fprintf(stderr, "veredus send: --require-tls and --tls-optional contradict each other\n");
    else
        return -1;
    return options->what == SEND_HELP && why.n == 0 ? 0 : EXIT_USAGE;
}

int send_main(int argc, char **argv)
{
    struct arena arena;
    struct send_options options;
    struct dispatch dispatch;
    struct buf why = BUF_INIT(WHY_MAX);
    arena_init(&arena, ARENA);
    (void)send_options_parse(argc, argv, &arena, &options, &why);
    int code = options_refuse(&options, buf_str(&why));
    buf_done(&why);
    if (code < 0) {
        code = dispatch_open(&dispatch, &arena, "veredus send", options.conf, options.loud);
        struct sending sending = {.dispatch = &dispatch,
                                  .options = &options,
                                  .arena = &arena,
                                  .message = BUF_INIT(LETTER_MAX)};
        if (!code)
            code = run(&sending);
        buf_done(&sending.message);
        dispatch_close(&dispatch);
    }
    fflush(stdout);
    arena_done(&arena);
    return code;
}
