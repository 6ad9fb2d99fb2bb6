/*
 * export, apply, trace, status, fsck. A trace is told message by message: in words a blank line
 * between two, in JSON an array of {id, events}.
 */
#include "core/admin_command.h"
#include "format/message_id.h"
#include "store/local/local.h"
#include "store/trace.h"

enum {
    TRACE_MESSAGES = 100, /* of an address, where --limit does not say otherwise */
    TRACE_MESSAGES_MAX = 10000,
    TRACE_SINCE_DAYS = 30,
    TRACE_MEMORY = 64 * 1024 * 1024, /* octets of one message's events */
};

/* --- The directory's text --- */

static void export_out(void *arg, struct str text)
{
    struct admin_call *call = arg;
    admin_text(call, text);
}

static void export_keep(void *arg, struct str text)
{
    buf_put(arg, text);
}

int admin_export(struct admin_call *call)
{
    struct directory *directory = call->admin->directory;
    if (!call->admin->json)
        return admin_fail(call, directory_export(directory, export_out, call));
    struct buf text = BUF_INIT(DIRECTORY_APPLY_MAX);
    struct err e = directory_export(directory, export_keep, &text);
    if (!err_is(e) && buf_over(&text))
        e = err_detail(ERR_OVER_LIMIT, STR("the directory's text is larger than 64 MB"));
    int code = admin_fail(call, e);
    if (!code) {
        json_t *object = json_object();
        json_put_text(object, "directory", buf_str(&text));
        code = admin_show(call, object);
    }
    buf_done(&text);
    return code;
}

struct applying {
    struct admin_call *call;
    json_t *changes; /* with --json */
};

static void apply_report(void *arg, struct str line)
{
    struct applying *applying = arg;
    if (applying->changes) {
        json_array_append_new(applying->changes, json_text(line));
        return;
    }
    admin_text(applying->call, line);
    admin_text(applying->call, STR("\n"));
}

int admin_apply(struct admin_call *call)
{
    struct admin *admin = call->admin;
    struct applying applying = {.call = call, .changes = admin->json ? json_array() : NULL};
    struct directory_applied applied = {0};
    bool dry_run = admin_has(call, "--dry-run");
    struct err e = directory_apply(admin->directory, admin->input, dry_run, apply_report, &applying,
                                   admin->arena, &applied);
    if (err_is(e)) {
        json_decref(applying.changes);
        return admin_fail(call, e);
    }
    if (admin->json) {
        json_t *object = json_object();
        json_put(object, "changes", applying.changes);
        json_put_flag(object, "dry_run", dry_run);
        json_put_number(object, "added", applied.added);
        json_put_number(object, "changed", applied.changed);
        json_put_number(object, "unchanged", applied.unchanged);
        return admin_show(call, object);
    }
    struct buf text = BUF_INIT(1024);
    buf_printf(&text, "%s%llu added, %llu changed, %llu unchanged\n",
               dry_run ? "nothing was written; it would be " : "",
               (unsigned long long)applied.added, (unsigned long long)applied.changed,
               (unsigned long long)applied.unchanged);
    admin_text(call, buf_str(&text));
    buf_done(&text);
    return ADMIN_OK;
}

/* --- Traces --- */

static void story_put(struct buf *to, bool json, bool first, uint64_t message,
                      const struct trace_event *events, size_t count)
{
    char id[MESSAGE_ID_TEXT];
    message_id_print(message, id);
    if (json)
        buf_put(to, first ? STR("\n{\"id\":\"") : STR(",\n{\"id\":\""));
    else
        buf_put(to, first ? STR("Message ") : STR("\nMessage "));
    buf_put(to, str_make(id, sizeof(id)));
    buf_put(to, json ? STR("\",\"events\":[") : STR("\n"));
    for (size_t i = 0; i < count; i++) {
        if (json) {
            buf_put(to, i ? STR(",") : STR(""));
            trace_print_json(&events[i], to);
        } else {
            buf_put(to, STR("  "));
            trace_print(&events[i], to);
            buf_putc(to, '\n');
        }
    }
    buf_put(to, json ? STR("]}") : STR(""));
}

/* One message; ERR_NOT_FOUND where nothing is known of it any more. */
static struct err story_tell(struct admin_call *call, uint64_t message, bool first)
{
    struct admin *admin = call->admin;
    struct arena arena;
    struct trace_event *events;
    size_t count;
    arena_init(&arena, TRACE_MEMORY);
    struct err e = trace_by_message(admin->engine, message, world_wall(admin->loop->world), &arena,
                                    &events, &count);
    if (!err_is(e)) {
        struct buf text = BUF_INIT(TRACE_MEMORY);
        story_put(&text, admin->json, first, message, events, count);
        if (buf_over(&text))
            e = err_make(ERR_NO_MEMORY);
        else
            admin_text(call, buf_str(&text));
        buf_done(&text);
    }
    arena_done(&arena);
    return e;
}

static int stories_tell(struct admin_call *call, const uint64_t *messages, size_t count)
{
    bool json = call->admin->json, any = false;
    struct err e = err_none();
    if (json)
        admin_text(call, STR("["));
    for (size_t i = 0; !err_is(e) && i < count; i++) {
        e = story_tell(call, messages[i], !any);
        any |= !err_is(e);
        if (e.code == ERR_NOT_FOUND)
            e = err_none();
    }
    if (json)
        admin_text(call, STR("\n]\n"));
    if (!err_is(e) && !any)
        return admin_refuse(call, ADMIN_UNAVAILABLE, "nothing is known of that", str_null());
    return admin_fail(call, e);
}

/* "<>" and "" are the null sender, which is nobody's address. */
static int trace_addr(struct admin_call *call, bool to, struct addr *addr_r)
{
    struct str text = admin_value(call, to ? "--to" : "--from");
    if (to || (text.n && !str_eq(text, STR("<>"))))
        return admin_addr(call, text, addr_r);
    *addr_r = (struct addr){.kind = ADDR_NULL};
    return ADMIN_OK;
}

static int trace_of_address(struct admin_call *call)
{
    struct admin *admin = call->admin;
    bool to = admin_has(call, "--to");
    struct addr addr;
    uint64_t *messages, limit = TRACE_MESSAGES;
    size_t count;
    int64_t now = world_wall(admin->loop->world);
    int64_t span = TRACE_SINCE_DAYS * 86400 * US_PER_SECOND;
    struct str since = admin_value(call, "--since"), most = admin_value(call, "--limit");
    if (since.p && !admin_span(since, &span))
        return admin_refuse(call, ADMIN_USAGE, "expected a time like 90s, 15m, 1h or 7d, not",
                            since);
    if (most.p && (!str_to_u64(most, &limit) || limit == 0 || limit > TRACE_MESSAGES_MAX))
        return admin_refuse(call, ADMIN_USAGE, "expected a number from 1 to 10000, not", most);
    int code = trace_addr(call, to, &addr);
    if (!code)
        code = admin_fail(call, trace_by_address(admin->engine, to ? TRACE_TO : TRACE_FROM, &addr,
                                                 now - span, now, limit, admin->arena, &messages,
                                                 &count));
    return code ? code : stories_tell(call, messages, count);
}

int admin_trace(struct admin_call *call)
{
    int ways = (call->count > 0) + admin_has(call, "--to") + admin_has(call, "--from");
    uint64_t message;
    if (ways != 1)
        return admin_refuse(call, ADMIN_USAGE, "give one of a message id, --to and --from",
                            str_null());
    if (call->count == 0)
        return trace_of_address(call);
    if (!message_id_parse(call->words[0], &message))
        return admin_refuse(call, ADMIN_USAGE,
                            str_find(call->words[0], STR("@")) >= 0
                                ? "that is no message id; for an address say --to or --from:"
                                : "that is no message id:",
                            call->words[0]);
    return stories_tell(call, &message, 1);
}

/* --- The store --- */

static void store_put(json_t *object, const struct local_status *status)
{
    json_put_number(object, "segments", status->segments);
    json_put_number(object, "segments_free", status->segments_free);
    json_put_number(object, "bytes_live", status->bytes_live);
    json_put_number(object, "bytes_dead", status->bytes_dead);
    json_put_number(object, "bytes_unused", status->bytes_unused);
    json_put_number(object, "blobs", status->blobs);
    json_put_number(object, "entries", status->entries);
    json_put_number(object, "commits", status->commits);
    json_put_number(object, "groups", status->groups);
    json_put_number(object, "syncs", status->syncs);
    json_put_number(object, "bytes_logged", status->bytes_logged);
    json_put_number(object, "overlay_bytes", status->overlay_bytes);
    json_put_number(object, "compactions", status->compactions);
    json_put_number(object, "checkpoints", status->checkpoints);
}

int admin_status(struct admin_call *call)
{
    struct local_status status = {0};
    local_status(call->admin->engine, &status);
    json_t *object = json_object();
    json_put_text(object, "server", call->admin->serving ? STR("up") : STR("down"));
    json_put_text(object, "store",
                  status.damaged     ? STR("damaged")
                  : status.read_only ? STR("read-only")
                  : status.full      ? STR("full")
                                     : STR("good"));
    json_put_text(object, "why", str_from(status.why));
    admin_put_certificates(call, object);
    store_put(object, &status);
    int code = admin_show(call, object);
    return code || !status.damaged ? code : ADMIN_DISK;
}

struct checking {
    struct admin_list list;
    uint64_t mended;
};

static void fsck_found(void *arg, struct str what, bool mended)
{
    struct checking *checking = arg;
    json_t *object = json_object();
    json_put_text(object, "found", what);
    json_put_flag(object, "mended", mended);
    checking->mended += mended;
    admin_list_item(&checking->list, object);
}

int admin_fsck(struct admin_call *call)
{
    struct admin *admin = call->admin;
    bool repair = admin_has(call, "--repair");
    uint64_t findings = 0;
    if (repair && admin->serving)
        return admin_refuse(call, ADMIN_UNAVAILABLE,
                            "the server has the store open; stop it before --repair", str_null());
    struct checking checking = {.list = admin_list_open(call)};
    struct err e = local_fsck(admin->engine, repair, fsck_found, &checking, &findings);
    int code = admin_list_close(&checking.list, e);
    if (code)
        return code;
    if (!admin->json && findings == 0)
        admin_text(call, STR("The store is whole.\n"));
    return findings > checking.mended ? ADMIN_DISK : ADMIN_OK;
}
