/*
 * The message is made by compose and then goes the way of one that sendmail was handed: so what is
 * checked and completed there is checked and completed here.
 */
#include "cli/send.h"

#include "cli/cli.h"
#include "cli/dispatch.h"
#include "cli/note.h"
#include "cli/send_options.h"
#include "format/header.h"
#include "format/mail_options.h"
#include "sys/process.h"

enum {
    ARENA = 1024 * 1024 * 1024,
    WHY_MAX = 4096,
    TABLE_MAX = 4 * 1024 * 1024,
    PRIORITY_HIGH = 4, /* MT-PRIORITY (RFC 6710) */
};

struct sending {
    struct dispatch *dispatch;
    const struct send_options *options;
    struct arena *arena;
    struct buf message;
};

/* --- Addresses ------------------------------------------------------------------------------- */

static bool mailboxes_gather(struct sending *sending, const struct send_words *words,
                             struct compose_mailboxes *mailboxes_r)
{
    size_t room = SEND_WORDS_MAX;
    struct compose_mailbox *list = arena_take_array(sending->arena, room, sizeof *list);
    size_t count = 0;
    for (size_t i = 0; list && i < words->count; i++) {
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
            compose_attach(compose, files->at[i], send_type(buf_str(&table), files->at[i]));
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

static int message_make(struct sending *sending, struct str text)
{
    const struct send_options *options = sending->options;
    struct compose_mailbox answers;
    struct compose compose;
    struct compose_head head = {.subject = options->subject,
                                .time = world_wall(world_real()) / US_PER_SECOND,
                                .message_id = id_make(sending),
                                .priority = options->priority,
                                .text = text_lines(text, sending->arena),
                                .charset = options->charset,
                                .attachments = options->files.count > 0};
    if (!str_is_utf8(options->subject) || !people_find(sending, &head, &answers)) {
        dispatch_say(sending->dispatch, "an address is none, or the words are not UTF-8");
        return EXIT_DATA;
    }
    int code = fields_put(sending);
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
    struct mail_options asked = {.ret = DSN_RETURN_UNSAID};
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
    if (!note.named || note_letter(&note, &facts, sending->arena, letter_r, &what) != NOTE_FINE) {
        dispatch_say(dispatch, "an address or a field is malformed");
        return EXIT_DATA;
    }
    return options_ask(sending, letter_r);
}

static int send_message(struct sending *sending)
{
    struct buf text = BUF_INIT(COMPOSE_TEXT_MAX);
    struct letter letter;
    struct err e = process_read_file(STR("/dev/stdin"), COMPOSE_TEXT_MAX, &text);
    int code = err_is(e) ? unreadable(sending, STR("standard input"), e)
                         : message_make(sending, buf_str(&text));
    if (!code)
        code = letter_make(sending, &letter);
    if (!code)
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

static int options_refuse(const struct send_options *options, struct str why)
{
    if (why.n > 0)
        fprintf(stderr, "veredus send: %.*s; see veredus send --help\n", STR_FMT(why));
    else if (options->what == SEND_HELP)
        cli_out(str_from(send_usage));
    else if (options->what == SEND_MESSAGE &&
             options->to.count + options->cc.count + options->bcc.count == 0)
        fprintf(stderr, "veredus send: to whom? see veredus send --help\n");
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
