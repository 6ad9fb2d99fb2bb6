/*
 * queue list, queue show. A list is a stream: lines go out as they are found, some thousand octets
 * at a time, and wait while nobody reads; nothing is sorted and nothing is counted before the first
 * one. `--mailq` is the form that scripts know from other servers.
 */
#include "core/admin_queue.h"
#include "base/must.h"
#include "format/date.h"
#include "format/mail_options.h"
#include "store/message_head.h"

enum {
    PIECE = 8 * 1024,       /* octets of lines that go out together */
    LINE_WORDS = 160,       /* octets of a server's words in a line */
    BODY_PIECE = 64 * 1024, /* octets of a message that are read at once */
    HEAD_ARENA = 2 * ENGINE_HEAD_MAX,
    MAILQ_REASON_END = 76, /* column where a reason ends, at least */
};

struct listing {
    struct admin_call *call;
    struct buf lines;
    bool mailq, failed;
    uint64_t count, octets;
    uint64_t account; /* whose address is known */
    struct str address;
};

/* --- What a line says --- */

/* "2d3h", "3h20m", "5m", "12s" */
static void span_put(struct buf *to, int64_t us)
{
    static const struct {
        int64_t seconds;
        char unit;
    } units[] = {{86400, 'd'}, {3600, 'h'}, {60, 'm'}, {1, 's'}};
    int64_t left = us > 0 ? us / US_PER_SECOND : 0;
    for (size_t i = 0; i < 4; i++) {
        if (left < units[i].seconds && i < 3)
            continue;
        buf_printf(to, "%lld%c", (long long)(left / units[i].seconds), units[i].unit);
        left %= units[i].seconds;
        if (i < 2 && left >= units[i + 1].seconds)
            buf_printf(to, "%lld%c", (long long)(left / units[i + 1].seconds), units[i + 1].unit);
        return;
    }
}

static void words_put(struct buf *to, const struct queue_words *words, size_t most)
{
    if (words->code)
        buf_printf(to, "%u ", words->code);
    if (words->status.n)
        buf_printf(to, "%.*s ", STR_FMT(words->status));
    buf_put_escaped(to, words->text, most);
    if (words->host.n) {
        buf_put(to, STR(" ("));
        buf_put_escaped(to, words->host, 255);
        buf_putc(to, ')');
    }
}

static json_t *words_json(const struct queue_words *words)
{
    if (!words->when)
        return json_null();
    json_t *object = json_object();
    json_put_text(object, "host", words->host);
    json_put_number(object, "code", words->code);
    json_put_text(object, "status", words->status);
    json_put_text(object, "text", words->text);
    json_put_time(object, "when", words->when);
    return object;
}

/* Those of the entry, or of the first recipient that has some. */
static const struct queue_words *last_words(const struct queue_entry *entry)
{
    for (size_t i = 0; i < entry->recipient_count && !entry->last.when; i++)
        if (entry->recipients[i].last.when)
            return &entry->recipients[i].last;
    return &entry->last;
}

static void put_built(json_t *object, const char *name, struct buf *text)
{
    json_put_text(object, name, buf_str(text));
    buf_done(text);
}

static void id_put(json_t *object, const struct queue_entry *entry)
{
    struct buf id = BUF_INIT(QUEUE_ID_TEXT + 1);
    queue_id_put(&id, entry);
    put_built(object, "id", &id);
}

/* --- A line for people --- */

static json_t *line_of(const struct listing *listing, const struct queue_entry *entry,
                       const struct queue_view *view, int64_t now)
{
    const struct admin_call *call = listing->call;
    const struct queue_words *last = last_words(entry);
    struct buf age = BUF_INIT(64), to = BUF_INIT(ADMIN_LINE_MAX), said = BUF_INIT(ADMIN_LINE_MAX);
    json_t *object = json_object();
    id_put(object, entry);
    span_put(&age, now - entry->accepted);
    put_built(object, "age", &age);
    json_put_number(object, "size", entry->size);
    json_put(object, "from",
             entry->sender.n ? admin_address(call, entry->sender) : json_text(STR("<>")));
    addr_text_display(&to, entry->recipients[0].address);
    if (entry->recipient_count > 1)
        buf_printf(&to, " and %zu more", entry->recipient_count - 1);
    put_built(object, "to", &to);
    json_put_text(object, "state", str_from(queue_state_word(view->state)));
    json_put_text(object, "why", view->why);
    words_put(&said, last, LINE_WORDS);
    put_built(object, "last", &said);
    json_put_number(object, "tries", entry->tries);
    if (view->next)
        json_put_time(object, "next", view->next);
    return object;
}

/* --- A line for programs --- */

static json_t *recipient_json(const struct queue_recipient *recipient)
{
    struct rcpt_options options = {.notify = 0};
    struct buf notify = BUF_INIT(128);
    json_t *object = json_object();
    (void)rcpt_options_read(recipient->asked, &options); /* else nothing is asked */
    json_put_text(object, "address", recipient->address);
    json_put_text(object, "given", recipient->given);
    dsn_notify_print(&notify, options.notify);
    put_built(object, "notify", &notify);
    json_put_text(object, "orcpt", options.orcpt);
    json_put(object, "last", words_json(&recipient->last));
    return object;
}

static json_t *recipients_json(const struct queue_entry *entry, bool whole)
{
    json_t *array = json_array();
    for (size_t i = 0; i < entry->recipient_count; i++)
        json_array_append_new(array, whole ? recipient_json(&entry->recipients[i])
                                           : json_text(entry->recipients[i].address));
    return array;
}

/* Entries of one account stand next to each other, mostly. May yield. */
static struct str account_of(struct listing *listing, const struct queue_entry *entry)
{
    struct admin *admin = listing->call->admin;
    struct account account;
    if (!entry->account)
        return STR("");
    if (entry->account != listing->account) {
        listing->account = entry->account;
        listing->address = STR("");
        if (!err_is(
                directory_account_by_id(admin->directory, entry->account, admin->arena, &account)))
            listing->address = account.address;
    }
    return listing->address;
}

static void age_put(const struct listing *listing, json_t *object, int64_t age)
{
    struct buf text = BUF_INIT(64);
    if (listing->call->admin->json) {
        json_put_number(object, "age", (uint64_t)(age / US_PER_SECOND));
        return;
    }
    span_put(&text, age);
    put_built(object, "age", &text);
}

static json_t *object_of(struct listing *listing, const struct queue_entry *entry,
                         const struct queue_view *view, int64_t now, bool whole)
{
    json_t *object = json_object();
    id_put(object, entry);
    json_put_time(object, "accepted", entry->accepted);
    age_put(listing, object, now > entry->accepted ? now - entry->accepted : 0);
    json_put_number(object, "size", entry->size);
    json_put_text(object, "sender", entry->sender);
    json_put(object, "recipients", recipients_json(entry, whole));
    json_put_text(object, "domain", entry->domain);
    json_put_text(object, "route", entry->route);
    json_put_text(object, "account", account_of(listing, entry));
    json_put_text(object, "state", str_from(queue_state_word(view->state)));
    json_put_text(object, "reason", str_from(view->reason));
    json_put_text(object, "why", view->why);
    json_put(object, "last", words_json(last_words(entry)));
    json_put_number(object, "tries", entry->tries);
    if (view->next)
        json_put_time(object, "next", view->next);
    else
        json_put(object, "next", json_null());
    json_put_time(object, "expires", entry->expires);
    return object;
}

/* --- As scripts know it --- */

/* "Sun Nov 22 07:11:01", of UTC: core has no other clock. */
static void arrival_put(struct buf *to, int64_t time)
{
    struct tm when;
    char text[32];
    time_t seconds = (time_t)(time / US_PER_SECOND);
    if (!gmtime_r(&seconds, &when) || !strftime(text, sizeof(text), "%a %b %e %H:%M:%S", &when))
        text[0] = '\0';
    buf_put(to, str_from(text));
}

static void mailq_reason_put(struct buf *to, const struct queue_words *words)
{
    struct buf said = BUF_INIT(ADMIN_LINE_MAX);
    if (words->host.n) {
        buf_put(&said, STR("host "));
        buf_put_escaped(&said, words->host, 255);
        buf_put(&said, STR(" said: "));
    }
    struct queue_words alone = *words;
    alone.host = STR("");
    words_put(&said, &alone, LINE_WORDS);
    int pad = said.n + 2 < MAILQ_REASON_END ? (int)(MAILQ_REASON_END - said.n - 2) : 0;
    if (said.n)
        buf_printf(to, "%*s(%.*s)\n", pad, "", STR_FMT(buf_str(&said)));
    buf_done(&said);
}

/* '*': it is being sent, '!': it is held. */
static void mailq_put(struct listing *listing, const struct queue_entry *entry,
                      const struct queue_view *view)
{
    struct buf *to = &listing->lines;
    struct buf id = BUF_INIT(QUEUE_ID_TEXT + 2);
    const struct queue_words *said = last_words(entry);
    if (listing->count == 0)
        buf_put(to, STR("-Queue ID-  --Size-- ----Arrival Time---- -Sender/Recipient-------\n"));
    else
        buf_putc(to, '\n');
    queue_id_put(&id, entry);
    if (view->state == QUEUE_STATE_UNDER_WAY || view->state == QUEUE_STATE_HELD)
        buf_putc(&id, view->state == QUEUE_STATE_HELD ? '!' : '*');
    buf_printf(to, "%-16.*s %8llu ", STR_FMT(buf_str(&id)), (unsigned long long)entry->size);
    buf_done(&id);
    arrival_put(to, entry->accepted);
    buf_put(to, STR("  "));
    buf_put(to, entry->sender.n ? entry->sender : STR("MAILER-DAEMON"));
    buf_putc(to, '\n');
    mailq_reason_put(to, said);
    for (size_t i = 0; i < entry->recipient_count; i++)
        buf_printf(to, "%41s%.*s\n", "", STR_FMT(entry->recipients[i].address));
}

static void mailq_end(struct listing *listing)
{
    if (listing->count == 0)
        buf_put(&listing->lines, STR("Mail queue is empty\n"));
    else
        buf_printf(&listing->lines, "\n-- %llu Kbytes in %llu Request%s.\n",
                   (unsigned long long)(listing->octets / 1024), (unsigned long long)listing->count,
                   listing->count == 1 ? "" : "s");
}

/* --- list --- */

static void lines_flush(struct listing *listing)
{
    listing->failed |= buf_over(&listing->lines);
    if (listing->lines.n)
        admin_text(listing->call, buf_str(&listing->lines));
    buf_clear(&listing->lines);
}

static void json_line_put(struct listing *listing, json_t *object)
{
    char *dump = object ? json_dumps(object, JSON_COMPACT) : NULL;
    listing->failed |= !dump;
    buf_put(&listing->lines, str_from(dump ? dump : ""));
    buf_putc(&listing->lines, '\n');
    free(dump);
}

static bool list_each(void *arg, const struct queue_entry *entry, const struct queue_view *view)
{
    struct listing *listing = arg;
    int64_t now = world_wall(listing->call->admin->loop->world);
    if (listing->mailq) {
        mailq_put(listing, entry, view);
    } else {
        bool json = listing->call->admin->json;
        json_t *object =
            json ? object_of(listing, entry, view, now, false) : line_of(listing, entry, view, now);
        if (json)
            json_line_put(listing, object);
        else
            admin_line_put(&listing->lines, object);
        json_decref(object);
    }
    /* The first lines at once: somebody looks at them. */
    if (listing->count < 20 || listing->lines.n >= PIECE)
        lines_flush(listing);
    listing->count++;
    listing->octets += entry->size;
    return !listing->failed;
}

int admin_queue_list(struct admin_call *call)
{
    struct queue_wanted wanted;
    struct listing listing = {
        .call = call, .lines = BUF_INIT(ADMIN_ARENA), .mailq = admin_has(call, "--mailq")};
    int code = queue_wanted_read(call, &wanted);
    if (code)
        return code;
    struct err e = queue_walk(call, &wanted, list_each, &listing);
    if (!err_is(e) && listing.failed)
        e = err_make(ERR_NO_MEMORY);
    if (!err_is(e) && listing.mailq)
        mailq_end(&listing);
    lines_flush(&listing);
    buf_done(&listing.lines);
    return err_is(e) ? admin_fail(call, e) : queue_unknown_tell(call, &wanted);
}

/* --- show --- */

static json_t *recipients_lines(const struct queue_entry *entry)
{
    json_t *array = json_array();
    for (size_t i = 0; i < entry->recipient_count; i++) {
        const struct queue_recipient *recipient = &entry->recipients[i];
        const struct queue_words *said = recipient->last.when ? &recipient->last : &entry->last;
        struct rcpt_options options = {.notify = 0};
        struct buf line = BUF_INIT(ADMIN_LINE_MAX);
        (void)rcpt_options_read(recipient->asked, &options);
        addr_text_display(&line, recipient->address);
        if (recipient->given.n) {
            buf_put(&line, STR(", for "));
            addr_text_display(&line, recipient->given);
        }
        if (options.notify) {
            buf_put(&line, STR(", NOTIFY="));
            dsn_notify_print(&line, options.notify);
        }
        if (said->when) {
            buf_put(&line, STR(": "));
            words_put(&line, said, QUEUE_WORDS_MAX);
        }
        json_array_append_new(array, json_text(buf_str(&line)));
        buf_done(&line);
    }
    return array;
}

static void asked_put(json_t *object, const struct queue_entry *entry)
{
    struct mail_options options = {.priority = 0};
    (void)mail_options_read(entry->asked, &options); /* else nothing is asked */
    json_put_text(object, "ret",
                  options.ret == DSN_RETURN_FULL      ? STR("FULL")
                  : options.ret == DSN_RETURN_HEADERS ? STR("HDRS")
                                                      : STR(""));
    json_put_text(object, "envid", options.envid);
    if (options.hold_until)
        json_put_time(object, "hold_until", options.hold_until * US_PER_SECOND);
    if (options.deliver_by_mode != DELIVER_BY_NONE) {
        json_put_time(object, "deliver_by", options.deliver_by * US_PER_SECOND);
        json_put_text(object, "deliver_by_mode",
                      options.deliver_by_mode == DELIVER_BY_RETURN ? STR("return") : STR("notify"));
    }
    json_put_flag(object, "require_tls", options.require_tls);
    json_put_flag(object, "tls_optional", options.tls_optional);
    json_put(object, "priority", json_integer(entry->priority));
}

static void rest_put(json_t *object, const struct queue_entry *entry)
{
    struct buf trace = BUF_INIT(64);
    char id[MESSAGE_ID_TEXT];
    if (entry->warn)
        json_put_time(object, "warns", entry->warn);
    json_put_flag(object, "warned", entry->flags & QUEUE_WARNED);
    json_put_flag(object, "may_duplicate", entry->flags & QUEUE_DOTTED);
    json_put_flag(object, "smtputf8", entry->flags & QUEUE_UTF8);
    json_put_flag(object, "of_list", entry->flags & QUEUE_OF_LIST);
    json_put_text(object, "body",
                  entry->body_type == BODY_BINARYMIME ? STR("BINARYMIME")
                  : entry->body_type == BODY_8BITMIME ? STR("8BITMIME")
                                                      : STR("7BIT"));
    asked_put(object, entry);
    message_id_print(entry->message, id);
    buf_printf(&trace, "veredus trace %.*s", MESSAGE_ID_TEXT, id);
    put_built(object, "trace", &trace);
}

static void text_put(struct listing *listing, json_t *object)
{
    if (listing->count)
        buf_putc(&listing->lines, '\n');
    admin_lines_put(&listing->lines, object);
}

static bool show_each(void *arg, const struct queue_entry *entry, const struct queue_view *view)
{
    struct listing *listing = arg;
    int64_t now = world_wall(listing->call->admin->loop->world);
    bool json = listing->call->admin->json;
    json_t *object = object_of(listing, entry, view, now, true);
    if (!json)
        json_put(object, "recipients", recipients_lines(entry));
    rest_put(object, entry);
    if (json) {
        json_line_put(listing, object);
    } else {
        json_object_del(object, "last");
        text_put(listing, object);
    }
    json_decref(object);
    lines_flush(listing);
    listing->count++;
    return !listing->failed;
}

/* --- show --message --- */

enum part {
    PART_MESSAGE,
    PART_HEAD,
    PART_BODY,
};

struct telling {
    struct admin_call *call;
    enum part part;
    size_t met; /* octets of the empty line that ends the header; 4: it is behind us */
    struct err e;
};

/* Octets of the header are `head`, those behind it the rest. */
static void octets_tell(struct telling *telling, struct str octets)
{
    static const char end[] = "\r\n\r\n";
    size_t head = 0;
    while (head < octets.n && telling->met < 4) {
        char c = octets.p[head++];
        telling->met = c == end[telling->met] ? telling->met + 1 : c == '\r' ? 1 : 0;
    }
    if (telling->part != PART_BODY && head)
        admin_text(telling->call, str_head(octets, head));
    if (telling->part != PART_HEAD && head < octets.n)
        admin_text(telling->call, str_from_index(octets, head));
}

static struct err body_tell(struct telling *telling, struct engine *engine, blob_id blob)
{
    uint64_t head, size;
    char *piece = malloc(BODY_PIECE);
    struct err e = piece ? engine_blob_size(engine, blob, &head, &size) : err_make(ERR_NO_MEMORY);
    for (uint64_t at = 0; !err_is(e) && at < size && !telling->call->admin->gone;) {
        size_t n = size - at < BODY_PIECE ? (size_t)(size - at) : BODY_PIECE;
        e = engine_blob_read(engine, blob, at, piece, n);
        if (!err_is(e))
            octets_tell(telling, str_make(piece, n));
        at += n;
        if (telling->part == PART_HEAD && telling->met == 4)
            break;
    }
    free(piece);
    return e;
}

static bool message_each(void *arg, const struct queue_entry *entry, const struct queue_view *view)
{
    struct telling *telling = arg;
    struct engine *engine = telling->call->admin->engine;
    struct message_head head;
    struct arena arena;
    struct str record;
    (void)view;
    arena_init(&arena, HEAD_ARENA);
    telling->e = engine_blob_head(engine, entry->blob, &arena, &record);
    if (!err_is(telling->e))
        telling->e = message_head_decode(record, &arena, &head);
    if (!err_is(telling->e)) {
        octets_tell(telling, entry->fields);
        octets_tell(telling, head.received);
        telling->e = body_tell(telling, engine, entry->blob);
    }
    arena_done(&arena);
    return false; /* of the others it is the same */
}

static int message_show(struct admin_call *call, struct queue_wanted *wanted, enum part part)
{
    struct telling telling = {.call = call, .part = part};
    struct err e = queue_walk(call, wanted, message_each, &telling);
    if (!err_is(e))
        e = telling.e;
    return err_is(e) ? admin_fail(call, e) : queue_unknown_tell(call, wanted);
}

int admin_queue_show(struct admin_call *call)
{
    struct queue_wanted wanted;
    struct listing listing = {.call = call, .lines = BUF_INIT(ADMIN_ARENA)};
    bool message = admin_has(call, "--message"), head = admin_has(call, "--head"),
         body = admin_has(call, "--body");
    if (message + head + body > 1)
        return admin_refuse(call, ADMIN_USAGE, "one of --message, --head and --body is enough",
                            str_null());
    int code = queue_wanted_read(call, &wanted);
    if (code)
        return code;
    if (message || head || body)
        return message_show(call, &wanted, head ? PART_HEAD : body ? PART_BODY : PART_MESSAGE);
    struct err e = queue_walk(call, &wanted, show_each, &listing);
    buf_done(&listing.lines);
    if (!err_is(e) && listing.failed)
        e = err_make(ERR_NO_MEMORY);
    return err_is(e) ? admin_fail(call, e) : queue_unknown_tell(call, &wanted);
}
