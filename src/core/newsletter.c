/*
 * Why signatures are made here and not when a courier gets its job: RSA costs a millisecond for
 * each member either way, and so what leaves is on the disk as it leaves, as with all other mail;
 * an entry takes 2 KB for it.
 */
#include "core/newsletter.h"

#include "core/outgoing.h"
#include "core/queue.h"
#include "core/signed.h"
#include "format/header.h"
#include "format/message_id.h"
#include "store/newsletter.h"
#include "store/unsubscribe_key.h"
#include "trust/dkim.h"

enum {
    ISSUE_ARENA = 8 << 20,  /* the message, and what is known of it */
    SLICE_ARENA = 32 << 20, /* one slice on its way */
    OWN_MAX = 4096,         /* octets of a member's fields, without signatures */
    FIELDS_MAX = 16 << 10,
    WHY_MAX = 1024,
};
#define AGAIN NS_PER_SECOND /* behind a slice that failed */

/* An issue under way. */
struct issue {
    struct core *core;
    struct fiber_start start;
    uint64_t id;
};

/* What all its members get. */
struct letter {
    struct newsletter at;
    struct mailing_list list;
    struct addr owner;
    struct str text, header, domain; /* the author's */
    unsigned char hash[DKIM_HASH];
    unsigned char key[UNSUBSCRIBE_KEY];
};

/* --- What is asked of it --------------------------------------------------------------------- */

static struct err refused(enum err_code code, const char *why)
{
    return err_detail(code, str_from(why));
}

/* With the empty line behind it, where there is one. */
static struct str header_of(struct str text)
{
    ssize_t end = str_find(text, STR("\r\n\r\n"));
    return str_head(text, end < 0 ? text.n : (size_t)end + 4);
}

static bool has_bare_newline(struct str text)
{
    for (size_t i = 0; i < text.n; i++)
        if ((text.p[i] == '\n' && (i == 0 || text.p[i - 1] != '\r')) ||
            (text.p[i] == '\r' && (i + 1 == text.n || text.p[i + 1] != '\n')))
            return true;
    return false;
}

static struct err text_check(struct str text, struct str header)
{
    static const struct str ours[] = {
        STR_INIT("To"),
        STR_INIT("Cc"),
        STR_INIT("Bcc"),
        STR_INIT("List-Id"),
        STR_INIT("Precedence"),
        STR_INIT("List-Unsubscribe"),
        STR_INIT("List-Unsubscribe-Post"),
    };
    struct header_field field;
    if (text.n > NEWSLETTER_MAX)
        return refused(ERR_MESSAGE_TOO_LARGE, "a newsletter has at most 200K");
    if (has_bare_newline(text) || !str_ends(header, STR("\r\n\r\n")))
        return refused(ERR_USAGE, "it has lines that do not end in CR LF, or no end of its header");
    for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
        if (header_find(header, ours[i], &field))
            return refused(ERR_USAGE, "To, Cc, Bcc, Precedence and List-* are written for each "
                                      "member; it has one of them");
    return err_none();
}

static struct err text_read(struct letter *letter, struct str text, struct arena *arena)
{
    struct header_author author;
    struct dkim_hash body;
    letter->text = text;
    letter->header = header_of(text);
    if (!signed_author(letter->header, arena, &author))
        return refused(ERR_MESSAGE_FROM, "its From does not name one author with a domain");
    letter->domain = author.domain;
    dkim_hash_begin(&body);
    dkim_hash_update(&body, str_from_index(text, letter->header.n));
    dkim_hash_end(&body, letter->hash);
    return err_none();
}

static struct err list_read(struct core *core, const struct addr *addr, struct arena *arena,
                            struct letter *letter)
{
    struct err e = directory_list_find(&core->directory, addr, arena, &letter->list);
    if (!err_is(e))
        e = addr_parse(letter->list.owner, arena, &letter->owner);
    return err_is(e) ? e : unsubscribe_key(core->engine, core->world, true, letter->key);
}

/* --- A member's fields ----------------------------------------------------------------------- */

/* RFC 2919 2: in the form of a host name. */
static void list_id_put(const struct letter *letter, struct buf *to)
{
    buf_put(to, STR("List-Id: <"));
    for (size_t i = 0; i < letter->list.address.n; i++) {
        char c = letter->list.address.p[i];
        bool plain = ascii_is_alpha(c) || ascii_is_digit(c) || c == '.' || c == '-' || c == '_';
        buf_putc(to, plain ? c : c == '@' ? '.' : '-');
    }
    buf_put(to, STR(">\r\n"));
}

static void own_put(struct core *core, const struct letter *letter, struct str member,
                    struct buf *to)
{
    const struct conf *conf = core->conf;
    struct str host = conf->http.hostname.n > 0 ? conf->http.hostname : conf->server.hostname;
    buf_printf(to, "To: <%.*s>\r\n", STR_FMT(member));
    list_id_put(letter, to);
    buf_printf(to, "List-Unsubscribe: <https://%.*s/unsubscribe/", STR_FMT(host));
    (void)unsubscribe_print(letter->key, letter->list.address, member, to);
    buf_put(to, STR(">\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
                    "Precedence: bulk\r\n"));
}

static struct err unsigned_refuse(struct str domain, struct arena *arena)
{
    struct buf why = buf_in(arena, WHY_MAX);
    buf_printf(
        &why,
        "no key signs for %.*s, the domain of its From, which one-click unsubscribing needs: "
        "veredus dkim add %.*s, or send it from another address (veredus send -r)",
        STR_FMT(domain), STR_FMT(domain));
    return err_detail(ERR_NOT_ALLOWED, buf_built(&why));
}

/* Its signatures cover what stands in front of the message as well (RFC 8058 4). */
static struct err fields_make(struct core *core, const struct letter *letter, struct str member,
                              struct arena *arena, struct str *fields_r)
{
    struct buf headers = buf_in(arena, OWN_MAX + letter->header.n);
    own_put(core, letter, member, &headers);
    size_t own = headers.n;
    buf_put(&headers, letter->header);
    struct str whole = buf_built(&headers), signatures;
    if (!whole.p)
        return err_make(ERR_NO_MEMORY);
    struct err e = signed_header(core, letter->domain, whole, letter->hash, arena, &signatures);
    if (err_is(e))
        return e;
    if (signatures.n == 0)
        return unsigned_refuse(letter->domain, arena);
    struct buf fields = buf_in(arena, FIELDS_MAX);
    buf_put(&fields, signatures);
    buf_put(&fields, str_head(whole, own));
    *fields_r = buf_built(&fields);
    return err_make(fields_r->p ? ERR_NONE : ERR_NO_MEMORY);
}

/* --- Slices ---------------------------------------------------------------------------------- */

static struct err slice_begin(struct core *core, const struct letter *letter, size_t copies,
                              struct arena *arena, struct delivery *delivery)
{
    struct err e = delivery_init(delivery, core, arena, core_message_id(core), copies, 1 + copies);
    if (!err_is(e) && !op_list_more(&delivery->ops, arena, NEWSLETTER_OPS))
        e = err_make(ERR_NO_MEMORY);
    if (err_is(e))
        return e;
    struct trace_event *event = delivery_event(delivery, TRACED_expanded);
    trace_text(event, TRACE_list, letter->list.address);
    trace_text(event, TRACE_recipient, letter->list.address);
    trace_text(event, TRACE_owner, letter->list.owner);
    return err_none();
}

/* How far it came is durable with what it came with. */
static struct err slice_commit(struct delivery *delivery, const struct letter *letter,
                               const struct addr *members, size_t count, struct str last)
{
    struct newsletter next = letter->at;
    next.after = last;
    next.sent += count;
    newsletter_put_ops(&next, delivery->arena, &delivery->ops);
    return delivery_commit(delivery, &letter->owner, members, count, STR(""));
}

static struct outgoing outgoing_of(const struct delivery *delivery, const struct letter *letter,
                                   blob_id blob, uint64_t size, bool utf8)
{
    static const struct mail_options nothing = {.ret = DSN_RETURN_UNSAID};
    return (struct outgoing){.message = delivery->message,
                             .blob = blob,
                             .size = size,
                             .sender = letter->list.owner,
                             .body_type = BODY_8BITMIME,
                             .utf8 = utf8,
                             .trusted = true,
                             .asked = mail_options_keep(&nothing, delivery->arena)};
}

/* Those elsewhere: the message is the one that all refer to. */
static struct err together_send(struct core *core, const struct letter *letter,
                                const struct addr *members, const struct str *texts, size_t count,
                                struct arena *arena)
{
    struct delivery delivery;
    struct outgoing_target *targets = arena_take_array(arena, count, sizeof(*targets));
    struct err e =
        targets ? slice_begin(core, letter, 0, arena, &delivery) : err_make(ERR_NO_MEMORY);
    for (size_t i = 0; i < count && !err_is(e); i++) {
        targets[i] = (struct outgoing_target){.address = texts[i],
                                              .domain = members[i].domain,
                                              .given = letter->list.address,
                                              .sender = letter->list.owner,
                                              .asked = str_make("", 0)};
        e = fields_make(core, letter, texts[i], arena, &targets[i].fields);
    }
    if (err_is(e))
        return e;
    const struct outgoing message =
        outgoing_of(&delivery, letter, letter->at.blob, letter->text.n, false);
    e = outgoing_put(&delivery, &message, targets, count);
    return err_is(e) ? e : slice_commit(&delivery, letter, members, count, texts[count - 1]);
}

/* A member of ours is a member like others of a list: who has no room is left out. */
static void copies_of_list(const struct letter *letter, struct resolved *resolved)
{
    for (size_t i = 0; i < resolved->count; i++) {
        if (resolved->copies[i].list.p)
            continue;
        resolved->copies[i].list = letter->list.address;
        resolved->copies[i].list_owner = letter->list.owner;
    }
}

static struct err onward_put(struct delivery *delivery, const struct letter *letter,
                             const struct resolved *resolved, struct str member, uint64_t size,
                             bool utf8)
{
    size_t count = resolved->outside_count;
    struct outgoing_target *targets = arena_take_array(delivery->arena, count, sizeof(*targets));
    if (!targets)
        return err_make(ERR_NO_MEMORY);
    for (size_t i = 0; i < count; i++)
        targets[i] = (struct outgoing_target){.address = resolved->outside[i].text,
                                              .domain = resolved->outside[i].addr.domain,
                                              .given = member,
                                              .sender = letter->list.owner,
                                              .fields = str_make("", 0),
                                              .asked = str_make("", 0)};
    const struct outgoing message =
        outgoing_of(delivery, letter, delivery->blobs[delivery->blob_count - 1].blob, size, utf8);
    return outgoing_put(delivery, &message, targets, count);
}

/* Whoever is not simply elsewhere: an account, or what leads on. He has a blob of his own. */
static struct err single_send(struct core *core, const struct letter *letter,
                              const struct addr *member, struct str text, struct resolved *resolved,
                              struct arena *arena)
{
    struct delivery delivery;
    struct str fields;
    struct err e = slice_begin(core, letter, resolved->count, arena, &delivery);
    copies_of_list(letter, resolved);
    if (!err_is(e))
        delivery_take_copies(&delivery, resolved->copies, resolved->count, true);
    if (!err_is(e) && delivery.copy_count + resolved->outside_count == 0) {
        log_event(core->log, LOG_WARN, "newsletter_member_left_out", log_str("member", text));
        return slice_commit(&delivery, letter, member, 1, text);
    }
    if (!err_is(e))
        e = fields_make(core, letter, text, arena, &fields);
    if (!err_is(e))
        e = delivery_own_put(&delivery, letter->list.owner, fields, letter->text, delivery.copies,
                             delivery.copy_count);
    if (!err_is(e) && resolved->outside_count)
        e = onward_put(&delivery, letter, resolved, text, fields.n + letter->text.n, member->utf8);
    return err_is(e) ? e : slice_commit(&delivery, letter, member, 1, text);
}

static struct err relay_as_outside(const struct addr *member, struct str text, struct arena *arena,
                                   struct resolved *resolved)
{
    resolved->outside = arena_new(arena, struct outside);
    if (!resolved->outside)
        return err_make(ERR_NO_MEMORY);
    *resolved->outside = (struct outside){.addr = *member, .text = text};
    resolved->outside_count = 1;
    return err_none();
}

/* The first ones of these; how many. */
static struct err some_send(struct core *core, const struct letter *letter, const struct str *texts,
                            size_t count, struct arena *arena, size_t *sent_r)
{
    struct addr *members = arena_take_array(arena, count, sizeof(*members));
    struct err e = err_make(members ? ERR_NONE : ERR_NO_MEMORY);
    size_t together = 0;
    while (together < count && !err_is(e)) {
        struct resolved resolved = {.refusal = err_none()};
        struct addr *member = &members[together];
        e = addr_parse(texts[together], arena, member);
        if (!err_is(e))
            e = directory_resolve(&core->directory, member, letter->text.n, str_null(), arena,
                                  &resolved);
        bool elsewhere = !err_is(e) && resolved.kind == RESOLVED_RELAY;
        if (elsewhere && member->utf8)
            e = relay_as_outside(member, texts[together], arena, &resolved);
        if (err_is(e) || (elsewhere && !member->utf8)) {
            together++;
            continue;
        }
        if (together > 0)
            break;
        *sent_r = 1;
        return single_send(core, letter, member, texts[0], &resolved, arena);
    }
    *sent_r = together;
    return err_is(e) ? e : together_send(core, letter, members, texts, together, arena);
}

/* --- An issue under way ---------------------------------------------------------------------- */

static struct err issue_end(struct core *core, const struct letter *letter, struct arena *arena)
{
    struct op_list ops = op_list_take(arena, NEWSLETTER_OPS);
    newsletter_remove_ops(letter->at.id, arena, &ops);
    if (ops.over || arena_over(arena))
        return err_make(ERR_NO_MEMORY);
    struct commit commit = {.ops = ops.ops, .op_count = ops.count};
    return engine_commit_wait(core->engine, &commit);
}

static void sent_log(struct core *core, const struct letter *letter)
{
    char id[MESSAGE_ID_TEXT];
    message_id_print(letter->at.id, id);
    log_event(core->log, LOG_INFO, "newsletter_sent", log_str("id", str_make(id, sizeof(id))),
              log_str("list", letter->list.address), log_u64("members", letter->at.sent));
}

/* Once. Its words may live in the arena of what failed. */
static void waiting_tell(struct core *core, struct err why, bool *told)
{
    if (!*told)
        log_err(core->log, "newsletter_waits", why);
    *told = true;
}

/* What may pass is waited for: half an issue helps nobody. */
static void issue_wait(struct core *core)
{
    fiber_sleep_until(core->loop, core->loop->now + AGAIN);
}

/* One slice; false: not now, which is told. *over_r: there was none left. */
static bool issue_go(struct core *core, struct letter *letter, bool *told, bool *over_r)
{
    struct arena arena;
    struct str *members;
    size_t count, sent;
    arena_init(&arena, SLICE_ARENA);
    struct err e = newsletter_read(core->engine, letter->at.id, &arena, &letter->at);
    if (!err_is(e))
        e = directory_members_after(&core->directory, &letter->list, letter->at.after,
                                    NEWSLETTER_SLICE, &arena, &members, &count);
    *over_r = !err_is(e) && count == 0;
    if (*over_r)
        e = issue_end(core, letter, &arena);
    else if (!err_is(e))
        e = some_send(core, letter, members, count, &arena, &sent);
    if (*over_r && !err_is(e))
        sent_log(core, letter);
    if (err_is(e))
        waiting_tell(core, e, told);
    arena_done(&arena);
    return !err_is(e);
}

static struct err letter_read(struct core *core, uint64_t id, struct arena *arena,
                              struct letter *letter)
{
    struct addr list;
    struct str head, text;
    *letter = (struct letter){.at = {.id = id}};
    struct err e = newsletter_read(core->engine, id, arena, &letter->at);
    if (!err_is(e))
        e = addr_parse(letter->at.list, arena, &list);
    if (!err_is(e))
        e = engine_blob_whole(core->engine, letter->at.blob, ISSUE_ARENA / 2, arena, &head, &text);
    if (!err_is(e))
        e = text_read(letter, text, arena);
    return err_is(e) ? e : list_read(core, &list, arena, letter);
}

/* Whoever ends its list ends its issues. */
static void issue_drop(struct core *core, struct letter *letter, struct err why)
{
    struct arena arena;
    log_err(core->log, "newsletter_ended", why);
    arena_init(&arena, SLICE_ARENA);
    (void)issue_end(core, letter, &arena);
    arena_done(&arena);
}

static bool issue_read(struct core *core, uint64_t id, struct arena *arena, struct letter *letter,
                       bool *told)
{
    while (!core->queue->closing) {
        arena_reset(arena);
        struct err e = letter_read(core, id, arena, letter);
        if (!err_is(e))
            return true;
        if (err_row(e.code)->retry == NEVER) {
            issue_drop(core, letter, e);
            return false;
        }
        waiting_tell(core, e, told);
        issue_wait(core);
    }
    return false;
}

static void issue_run(void *arg)
{
    struct issue *issue = arg;
    struct core *core = issue->core;
    struct queue *queue = core->queue;
    struct letter letter = {.at = {.id = issue->id}};
    struct arena arena;
    bool told = false;
    arena_init(&arena, ISSUE_ARENA);
    bool over = !issue_read(core, issue->id, &arena, &letter, &told);
    while (!over && !queue->closing) {
        if (issue_go(core, &letter, &told, &over))
            continue;
        over = false;
        issue_wait(core);
    }
    explicit_bzero(letter.key, sizeof(letter.key));
    arena_done(&arena);
    free(issue);
    queue_fiber_end(queue);
}

static struct err issue_begin(struct core *core, uint64_t id)
{
    struct issue *issue = calloc(1, sizeof(*issue));
    if (!issue)
        return err_make(ERR_NO_MEMORY);
    *issue = (struct issue){.core = core, .id = id, .start = {.run = issue_run, .arg = issue}};
    queue_fiber_begin(core->queue);
    fiber_run(core->fibers, &issue->start);
    return err_none();
}

/* --- From outside ---------------------------------------------------------------------------- */

static struct err conf_check(const struct conf *conf)
{
    if (conf->http.listen_tls.count == 0 && conf->http.listen.count == 0)
        return refused(ERR_NOT_ALLOWED, "nobody could unsubscribe: http.listen_tls is not set");
    if (conf->sending.processes == 0)
        return refused(ERR_NOT_ALLOWED, "nothing is sent here: sending.processes is 0");
    return err_none();
}

/* A core that starts finds no more than these. */
static struct err room_check(struct core *core, struct arena *arena)
{
    uint64_t *ids;
    size_t count;
    struct err e = newsletters_find(core->engine, arena, &ids, &count);
    return err_is(e) || count < NEWSLETTERS_MAX
               ? e
               : refused(ERR_TRY_LATER, "too many issues are under way");
}

static struct err issue_put(struct core *core, const struct letter *letter, struct arena *arena,
                            uint64_t *id_r)
{
    struct delivery delivery;
    struct err e = slice_begin(core, letter, 0, arena, &delivery);
    if (!err_is(e))
        e = delivery_text_put(&delivery, letter->text, NULL, 0);
    if (err_is(e))
        return e;
    const struct newsletter begins = {.id = delivery.message,
                                      .blob = delivery.blobs[0].blob,
                                      .list = letter->list.address,
                                      .after = str_make("", 0)};
    newsletter_put_ops(&begins, arena, &delivery.ops);
    *id_r = begins.id;
    return delivery_commit(&delivery, &letter->owner, &letter->owner, 1, STR(""));
}

struct err newsletter_put(struct core *core, const struct addr *list, struct str text,
                          struct arena *arena, uint64_t *id_r)
{
    struct letter letter = {.at = {.id = 0}};
    struct str fields;
    struct err e = conf_check(core->conf);
    if (!err_is(e))
        e = room_check(core, arena);
    if (!err_is(e))
        e = list_read(core, list, arena, &letter);
    if (!err_is(e))
        e = text_check(text, header_of(text));
    if (!err_is(e))
        e = text_read(&letter, text, arena);
    if (!err_is(e)) /* does anything sign? */
        e = fields_make(core, &letter, letter.list.address, arena, &fields);
    if (!err_is(e))
        e = issue_put(core, &letter, arena, id_r);
    explicit_bzero(letter.key, sizeof(letter.key));
    return err_is(e) ? e : issue_begin(core, *id_r);
}

struct err newsletters_open(struct core *core)
{
    struct arena arena;
    uint64_t *ids;
    size_t count;
    arena_init(&arena, ISSUE_ARENA);
    struct err e = newsletters_find(core->engine, &arena, &ids, &count);
    for (size_t i = 0; i < count && !err_is(e); i++)
        e = issue_begin(core, ids[i]);
    arena_done(&arena);
    return e;
}
