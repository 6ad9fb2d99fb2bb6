/*
 * Why every decision is told, also those behind a refusal: who asks why mail was refused wants to
 * know what comes next once that is mended.
 */
#include "core/explain.h"

#include "core/core.h"
#include "store/directory_text.h"

static const struct {
    const char *word, *outcome;
} states[EXPLAIN_STATES] = {
    [EXPLAIN_OK] = {"ok", "sent"},
    [EXPLAIN_NOTE] = {"note", "sent"},
    [EXPLAIN_WAITS] = {"WAITS", "waits"},
    [EXPLAIN_UNKNOWN] = {"unknown", "unknown"},
    [EXPLAIN_RETURNS] = {"RETURNS", "returned"},
    [EXPLAIN_REFUSES] = {"REFUSES", "refused"},
};

struct str explain_text(struct explain *explain, const char *format, ...)
{
    struct buf text = buf_in(explain->arena, EXPLAIN_TEXT);
    va_list args;
    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    return buf_built(&text);
}

struct str explain_address(struct explain *explain, struct str address)
{
    struct buf text = buf_in(explain->arena, EXPLAIN_TEXT);
    if (address.n == 0)
        return STR("<>");
    addr_text_display(&text, address);
    return buf_built(&text);
}

json_t *explain_say(struct explain *explain, const char *step, enum explain_state state,
                    struct str because, struct str text)
{
    json_t *object = json_object();
    json_put_text(object, "step", str_from(step));
    json_put_text(object, "state", str_from(states[state].word));
    json_put_text(object, "text", text);
    json_put_text(object, "because", because);
    json_put_text(object, "about", explain->about);
    json_array_append_new(explain->steps, object);
    if (state > explain->worst)
        explain->worst = state;
    return object;
}

/* --- The answer ------------------------------------------------------------------------------ */

static const char *outcome_of(const struct explain *explain)
{
    bool stays = explain->worst <= EXPLAIN_NOTE && !explain->elsewhere;
    return stays ? "delivered" : states[explain->worst].outcome;
}

static struct str outcome_text(const struct explain *explain)
{
    switch (explain->worst) {
    case EXPLAIN_REFUSES:
        return STR("it would be refused");
    case EXPLAIN_RETURNS:
        return STR("it would be accepted, and go back to its sender");
    case EXPLAIN_UNKNOWN:
        return STR("nobody can say now");
    case EXPLAIN_WAITS:
        return STR("it would be accepted, and wait");
    case EXPLAIN_OK:
    case EXPLAIN_NOTE:
    case EXPLAIN_STATES:
        break;
    }
    if (explain->here && explain->elsewhere)
        return STR("it would be delivered here, and leave at once");
    return explain->elsewhere ? STR("it would leave at once") : STR("it would be delivered here");
}

static const char *member(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

/* "REFUSES  sender      may not send as that", and what decides it below. */
static void steps_print(struct explain *explain)
{
    struct buf text = BUF_INIT(ADMIN_LINE_MAX);
    const char *about = "";
    size_t i;
    json_t *step;
    json_array_foreach(explain->steps, i, step)
    {
        if (strcmp(about, member(step, "about")) != 0)
            buf_printf(&text, "to %s\n", member(step, "about"));
        about = member(step, "about");
        buf_printf(&text, "%-8s %-10s %s\n", member(step, "state"), member(step, "step"),
                   member(step, "text"));
        if (member(step, "because")[0])
            buf_printf(&text, "%19s by: %s\n", "", member(step, "because"));
    }
    buf_printf(&text, "So: %.*s\n", STR_FMT(outcome_text(explain)));
    admin_text(explain->call, buf_str(&text));
    buf_done(&text);
}

static int answer_show(struct explain *explain)
{
    struct admin_call *call = explain->call;
    if (arena_over(explain->arena))
        return admin_fail(call, err_make(ERR_NO_MEMORY));
    if (!call->admin->json) {
        steps_print(explain);
        return ADMIN_OK;
    }
    json_t *object = json_object();
    json_put_text(object, "sender", explain->transaction->reverse_path);
    json_put_text(object, "recipient", explain->recipient);
    json_put_text(object, "outcome", str_from(outcome_of(explain)));
    json_put_text(object, "why", outcome_text(explain));
    json_put(object, "steps", json_incref(explain->steps));
    return admin_show(call, object);
}

static int exit_code(const struct explain *explain)
{
    if (explain->worst >= EXPLAIN_RETURNS)
        return ADMIN_FOUND_WANTING;
    return explain->worst >= EXPLAIN_WAITS ? ADMIN_LATER : ADMIN_OK;
}

/* --- The command ----------------------------------------------------------------------------- */

static int options_read(struct explain *explain)
{
    struct admin_call *call = explain->call;
    struct str size = admin_value(call, "--size");
    struct mail_options asked = {.require_tls = admin_has(call, "--requiretls")};
    if (size.p && (!text_to_quota(size, &explain->size) || explain->size == QUOTA_NONE))
        return admin_refuse(call, ADMIN_USAGE, "expected a size like 500K, not", size);
    explain->asked = mail_options_keep(&asked, explain->arena);
    return ADMIN_OK;
}

/* RFC 8689 5: a report is asked for the same, and goes without where nobody keeps it. */
static void promise_tell(struct explain *explain)
{
    if (!admin_has(explain->call, "--requiretls"))
        return;
    if (explain->transaction->reverse_path.n > 0) {
        explain_say(explain, "tls", EXPLAIN_NOTE, STR("--requiretls"),
                    STR("its sender requires TLS; whether a host promises it (REQUIRETLS) shows "
                        "when it is called"));
        return;
    }
    explain->asked = STR("");
    explain_say(explain, "tls", EXPLAIN_NOTE, STR("--requiretls"),
                STR("a report goes without the promise where nobody keeps it"));
}

static int all_explain(struct explain *explain)
{
    int code = options_read(explain);
    if (!code)
        code = explain_sender(explain);
    if (!code)
        promise_tell(explain);
    if (!code)
        code = explain_recipient(explain);
    if (!code)
        code = answer_show(explain);
    return code ? code : exit_code(explain);
}

int admin_explain_send(struct admin_call *call)
{
    struct arena *arena = call->admin->arena;
    if (!call->admin->core)
        return admin_refuse(call, ADMIN_UNAVAILABLE, "the server is down, and it decides",
                            str_null());
    struct explain *explain = arena_new(arena, struct explain);
    struct transaction *transaction = arena_new(arena, struct transaction);
    if (!explain || !transaction)
        return admin_fail(call, err_make(ERR_NO_MEMORY));
    *transaction = (struct transaction){.magic = TRANSACTION_MAGIC,
                                        .core = call->admin->core,
                                        .client = STR(""),
                                        .reverse_path = STR(""),
                                        .account_address = STR("")};
    *explain = (struct explain){.call = call,
                                .core = call->admin->core,
                                .arena = arena,
                                .transaction = transaction,
                                .about = STR(""),
                                .steps = json_array()};
    int code = all_explain(explain);
    json_decref(explain->steps);
    return code;
}
