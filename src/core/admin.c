/*
 * Reading what was typed against the table of commands (admin_commands.c). Options may stand
 * anywhere behind the command's words; "--" ends them, for addresses that begin with dashes.
 */
#include "base/must.h"
#include "core/admin_command.h"
#include "store/directory_text.h"

enum {
    USAGE_MAX = 2048,
};

/* --- Help --- */

static void usage_put(struct buf *to, const struct admin_command *command)
{
    buf_printf(to, "  %s%s%s%s%s\n", command->noun, command->verb[0] ? " " : "", command->verb,
               command->arguments[0] ? " " : "", command->arguments);
}

void admin_help(struct buf *to)
{
    for (size_t i = 0; i < admin_command_count; i++) {
        usage_put(to, &admin_commands[i]);
        buf_printf(to, "        %s\n", admin_commands[i].help);
    }
}

bool admin_help_about(struct str noun, struct buf *to)
{
    bool known = false;
    for (size_t i = 0; i < admin_command_count; i++) {
        if (!str_eq(noun, str_from(admin_commands[i].noun)))
            continue;
        known = true;
        usage_put(to, &admin_commands[i]);
        buf_printf(to, "        %s\n", admin_commands[i].help);
    }
    return known;
}

/* The usage of every command with this noun (or of one). */
static int usage_fail(struct admin *admin, const char *words, struct str about, struct str noun,
                      const struct admin_command *only)
{
    struct buf text = BUF_INIT(ADMIN_LINE_MAX);
    buf_printf(&text, "veredus: %s", words);
    if (about.n) {
        buf_put(&text, STR(" \""));
        buf_put_escaped(&text, about, USAGE_MAX);
        buf_putc(&text, '"');
    }
    buf_putc(&text, '\n');
    for (size_t i = 0; i < admin_command_count; i++)
        if (only ? only == &admin_commands[i] : str_eq(noun, str_from(admin_commands[i].noun)))
            usage_put(&text, &admin_commands[i]);
    admin->out(admin->arg, buf_str(&text), true);
    buf_done(&text);
    return ADMIN_USAGE;
}

/* --- What was typed --- */

struct str admin_value(const struct admin_call *call, const char *option)
{
    for (size_t i = call->given_count; i > 0; i--)
        if (str_eq(call->given[i - 1].name, str_from(option)))
            return call->given[i - 1].value;
    return str_null();
}

bool admin_has(const struct admin_call *call, const char *option)
{
    return admin_value(call, option).p != NULL;
}

/* "why: "text"" */
static int name_refuse(struct admin_call *call, struct str why, struct str text)
{
    struct buf words = BUF_INIT(USAGE_MAX);
    buf_put(&words, why);
    buf_putc(&words, ':');
    buf_putc(&words, '\0');
    int code = admin_refuse(call, ADMIN_DATA, words.p, text);
    buf_done(&words);
    return code;
}

/* "example.test." is how tools of the DNS print a domain (RFC 1034 3.1); mail has no such form (RFC
 * 5321 4.1.2), so the dot is the operator's alone. */
static struct str root_drop(struct str text)
{
    return text.n > 1 && str_ends(text, STR(".")) ? str_head(text, text.n - 1) : text;
}

int admin_addr(struct admin_call *call, struct str text, struct addr *addr_r)
{
    struct err e = directory_name_parse(root_drop(text), call->admin->arena, addr_r);
    return e.code == ERR_ADDRESS_SYNTAX ? name_refuse(call, e.detail, text) : admin_fail(call, e);
}

int admin_domain_name(struct admin_call *call, struct str text, struct str *domain_r)
{
    struct err e = host_parse(root_drop(text), call->admin->arena, domain_r);
    return e.code == ERR_ADDRESS_SYNTAX ? name_refuse(call, e.detail, text) : admin_fail(call, e);
}

int admin_quota(struct admin_call *call, struct str text, uint64_t *quota_r)
{
    return text_to_quota(text, quota_r)
               ? 0
               : admin_refuse(call, ADMIN_USAGE, "expected a size like 500M, none or default, not",
                              text);
}

bool admin_span(struct str text, int64_t *span_r)
{
    static const struct {
        char unit;
        int64_t seconds;
    } units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
    uint64_t number;
    for (size_t i = 0; text.n && i < sizeof(units) / sizeof(units[0]); i++)
        if (text.p[text.n - 1] == units[i].unit)
            return str_to_u64(str_head(text, text.n - 1), &number) && number <= INT32_MAX &&
                   !__builtin_mul_overflow((int64_t)number, units[i].seconds * US_PER_SECOND,
                                           span_r);
    return false;
}

static const struct admin_option *option_find(const struct admin_command *command, struct str word)
{
    for (size_t i = 0; i < ADMIN_OPTIONS_MAX && command->options[i].name; i++)
        if (str_eq(word, str_from(command->options[i].name)))
            return &command->options[i];
    return NULL;
}

/* Takes an option and its value; how many words that were, or 0 where it is wrong (and said). */
static size_t option_take(struct admin_call *call, const struct str *words, size_t count)
{
    const struct admin_option *option = option_find(call->command, words[0]);
    const char *wrong = !option                                ? "there is no such option:"
                        : option->has_value && count < 2       ? "a value is missing behind"
                        : call->given_count == ADMIN_GIVEN_MAX ? "too many options:"
                                                               : NULL;
    if (wrong) {
        usage_fail(call->admin, wrong, words[0], str_null(), call->command);
        return 0;
    }
    call->given[call->given_count++] =
        (struct admin_given){.name = words[0], .value = option->has_value ? words[1] : STR("yes")};
    return option->has_value ? 2 : 1;
}

static int words_take(struct admin_call *call, const struct str *words, size_t count)
{
    struct str *plain = arena_take_array(call->admin->arena, count, sizeof(*plain));
    bool options_over = false;
    if (!plain)
        return ADMIN_LATER;
    call->words = plain;
    for (size_t i = 0; i < count;) {
        size_t taken = 1;
        if (!options_over && str_eq(words[i], STR("--")))
            options_over = true;
        else if (!options_over && str_starts(words[i], STR("--")))
            taken = option_take(call, words + i, count - i);
        else
            plain[call->count++] = words[i];
        if (!taken)
            return ADMIN_USAGE;
        i += taken;
    }
    if (call->count < call->command->least)
        return usage_fail(call->admin, "something is missing in", words[-1], str_null(),
                          call->command);
    if (call->count > call->command->most)
        return usage_fail(call->admin, "this is too much:", plain[call->command->most], str_null(),
                          call->command);
    return 0;
}

static int command_read(struct admin *admin, const struct admin_command *command,
                        const struct str *words, size_t count, struct admin_call **call_r)
{
    struct admin_call *call = arena_new(admin->arena, struct admin_call);
    if (!call)
        return ADMIN_LATER;
    call->admin = admin;
    call->command = command;
    *call_r = call;
    return words_take(call, words, count);
}

/* How many of these words are the command's verb, of one word or two; SIZE_MAX: it is another. */
static size_t verb_words(const struct admin_command *command, const struct str *words, size_t count)
{
    struct str rest = str_from(command->verb);
    size_t n = 0;
    if (!rest.n)
        return 0;
    while (rest.p) {
        struct str word = str_cut(&rest, ' ');
        if (n == count || !str_eq(word, words[n++]))
            return SIZE_MAX;
    }
    return n;
}

/* Does a command's verb of two words begin with this one? */
static bool is_topic(struct str noun, struct str word)
{
    for (size_t i = 0; i < admin_command_count; i++) {
        struct str verb = str_from(admin_commands[i].verb);
        if (str_eq(noun, str_from(admin_commands[i].noun)) && str_index(verb, ' ') > 0 &&
            str_eq(str_cut(&verb, ' '), word))
            return true;
    }
    return false;
}

static int call_read(struct admin *admin, const struct str *words, size_t count,
                     struct admin_call **call_r)
{
    struct str noun = count ? words[0] : STR("");
    bool known = false;
    for (size_t i = 0; i < admin_command_count; i++) {
        const struct admin_command *command = &admin_commands[i];
        if (!str_eq(noun, str_from(command->noun)))
            continue;
        known = true;
        size_t verb = verb_words(command, words + 1, count - 1);
        if (verb != SIZE_MAX)
            return command_read(admin, command, words + 1 + verb, count - 1 - verb, call_r);
    }
    if (!known)
        return usage_fail(admin, "there is no such command; see veredus help:", noun, noun, NULL);
    size_t at = count > 1 && is_topic(noun, words[1]) ? 2 : 1;
    if (at >= count || !words[at].n)
        return usage_fail(admin, "expected what to do behind", words[at - 1], noun, NULL);
    return usage_fail(admin, "expected what to do, not", words[at], noun, NULL);
}

int admin_check(struct admin *admin, const struct str *words, size_t count)
{
    struct admin_call *call;
    return call_read(admin, words, count, &call);
}

int admin_run(struct admin *admin, const struct str *words, size_t count)
{
    struct admin_call *call;
    int code = call_read(admin, words, count, &call);
    if (code)
        return code;
    code = call->command->run(call);
    admin_record(admin, call->command, words, count, code);
    return code;
}
