/*
 * A reload makes a whole new configuration beside the old one, and only a good one takes its place:
 * there is no moment with half of each.
 */
#include <errno.h>

#include "parent/outbox.h"

enum {
    HOST_MOST = 256,
};

/* The package dns-root-data keeps it up to date. */
#define SYSTEM_ANCHORS STR("/usr/share/dns/root.key")

static struct str folder_of(struct str path)
{
    ssize_t slash = str_last_index(path, '/');
    if (slash < 0)
        return STR("");
    return slash == 0 ? STR("/") : str_head(path, (size_t)slash);
}

/* The file says nothing: the system's name. */
static void host_name_fill(struct conf *conf, struct arena *arena)
{
    struct buf name = BUF_INIT(HOST_MOST);
    if (conf->server.hostname.n == 0) {
        process_host_name(&name);
        conf->server.hostname = arena_str(arena, buf_str(&name));
    }
    buf_done(&name);
}

/* As the roles get it, and read back, so that conf points into this arena alone. */
static struct err text_make(struct conf *conf, struct arena *arena, struct buf *text)
{
    struct conf_trouble trouble;
    buf_clear(text);
    conf_print_whole(conf, text);
    struct str kept = buf_copy(text, arena);
    if (!kept.p)
        return err_detail(ERR_OVER_LIMIT, STR("the configuration is too large"));
    struct err e = conf_parse(kept, STR("configuration"), STR(""), arena, conf, &trouble);
    buf_done(&trouble.text);
    return e;
}

static struct err list_read(void *arg, struct str path, struct buf *to)
{
    (void)arg;
    return process_read_file(path, CONF_LIST_FILE_MAX, to);
}

static struct err file_parse(struct house *house, struct arena *arena, struct conf *conf_r,
                             struct conf_trouble *trouble)
{
    struct buf text = BUF_INIT(CONF_TEXT_MAX);
    struct conf_reading how = {
        .file = house->config, .folder = folder_of(house->config), .read = list_read};
    struct err e = process_read_file(house->config, CONF_TEXT_MAX, &text);
    if (!err_is(e))
        e = conf_read(buf_str(&text), &how, arena, conf_r, trouble);
    buf_done(&text);
    return e;
}

/* A configuration that is being made: all of it, or nothing of it. */
struct draft {
    struct arena *arena;
    struct conf conf;
    struct buf anchors;
    struct house_text *text;
    struct certificates *certificates;
    struct conf_trouble trouble;
};

static void draft_done(struct draft *draft)
{
    house_text_release(draft->text);
    certificates_free(draft->certificates);
    buf_done(&draft->anchors);
    buf_done(&draft->trouble.text);
}

bool anchors_read(const struct conf *conf, struct buf *text, struct buf *trouble)
{
    struct str path = conf->dns.trust_anchors;
    struct err e = process_read_file(path.n ? path : SYSTEM_ANCHORS, TRUST_ANCHORS_MAX, text);
    if (!err_is(e))
        return true;
    buf_clear(text);
    if (path.n == 0)
        return true;
    buf_put(trouble, STR("dns.trust_anchors: "));
    buf_put_escaped(trouble, path, HOUSE_LINE_MAX);
    buf_printf(trouble, ": %s\n",
               e.code == ERR_OVER_LIMIT ? "is too long for what it should be"
               : e.os                   ? strerrordesc_np(e.os)
                                        : err_row(e.code)->text);
    return false;
}

static struct err settings_make(struct house *house, struct draft *draft)
{
    struct conf *conf = &draft->conf;
    draft->text = house_text_new();
    if (!draft->text)
        return err_make(ERR_NO_MEMORY);
    struct err e = file_parse(house, draft->arena, conf, &draft->trouble);
    if (!err_is(e))
        e = certificates_load(conf, house->config, &draft->certificates, &draft->trouble.text);
    if (!err_is(e) && !anchors_read(conf, &draft->anchors, &draft->trouble.text))
        e = err_make(ERR_CONFIG);
    if (err_is(e))
        return e;
    if (house->serving)
        conf_keep(&house->conf, conf);
    host_name_fill(conf, draft->arena);
    e = text_make(conf, draft->arena, &draft->text->text);
    /* A system whose name is no host name: that one setting was refused and is empty again. */
    return e.code == ERR_CONFIG ? text_make(conf, draft->arena, &draft->text->text) : e;
}

/* A line for each mistake, or one for what kept us from reading, or from saying what is wrong. */
static void each_line(struct house *house, struct err e, struct str trouble,
                      void (*tell)(struct house *, struct str line))
{
    struct buf line = BUF_INIT(HOUSE_LINE_MAX);
    bool silent = trouble.n == 0;
    while (trouble.n)
        tell(house, str_cut(&trouble, '\n'));
    if (e.code != ERR_CONFIG || silent) {
        buf_put(&line, house->config);
        struct str why = e.detail.n ? e.detail : str_from(err_row(e.code)->text);
        buf_printf(&line, ": %.*s", STR_FMT(e.os ? str_from(strerrordesc_np(e.os)) : why));
        tell(house, buf_str(&line));
    }
    buf_done(&line);
}

static void say_line(struct house *house, struct str line)
{
    house_say(house, "%.*s", STR_FMT(line));
}

static void log_line(struct house *house, struct str line)
{
    log_event(&house->log, LOG_WARN, "configuration_refused", log_str("why", line));
}

static void certificate_line(struct house *house, struct str line)
{
    log_event(&house->log, LOG_FAIL, "certificate_not_read", log_str("why", line));
}

/* The old one's arena is not needed any more; nobody else's text neither. */
static void draft_take(struct house *house, struct draft *draft)
{
    house_text_release(house->text);
    certificates_free(house->certificates);
    house->conf = draft->conf;
    house->text = draft->text;
    house->certificates = draft->certificates;
    house->log.least = (enum log_word)house->conf.server.log_least;
    buf_done(&house->anchors);
    house->anchors = draft->anchors;
    draft->anchors = (struct buf)BUF_INIT(TRUST_ANCHORS_MAX);
    draft->text = NULL;
    draft->certificates = NULL;
}

bool settings_load(struct house *house)
{
    struct draft draft = {.arena = &house->start_arena,
                          .anchors = BUF_INIT(TRUST_ANCHORS_MAX),
                          .trouble = {BUF_INIT(0)}};
    struct err e = settings_make(house, &draft);
    if (err_is(e))
        each_line(house, e, buf_str(&draft.trouble.text), say_line);
    else
        draft_take(house, &draft);
    draft_done(&draft);
    return !err_is(e);
}

/* Mail goes on where a file was spoilt meanwhile: with the certificates that are left. */
struct certificates *settings_certificates(struct house *house)
{
    struct buf trouble = BUF_INIT(CONF_TROUBLE_SIZE);
    struct certificates *certificates = house->certificates;
    house->certificates = NULL;
    if (certificates)
        return certificates;
    struct err e = certificates_load(&house->conf, str_null(), &certificates, &trouble);
    if (err_is(e))
        each_line(house, e, buf_str(&trouble), certificate_line);
    buf_done(&trouble);
    return certificates;
}

void settings_tell_anchors(struct child *child)
{
    struct msg msg = {.kind = MSG_trust_anchors,
                      .trust_anchors = {.text = buf_str(&child->house->anchors)}};
    if (child->role == ROLE_RESOLVER)
        child_tell(child, &msg);
}

void settings_tell(struct child *child)
{
    struct certificates *certificates = NULL;
    if (!child->linked)
        return;
    settings_tell_anchors(child);
    outbox_configuration(child, false);
    if (child->role == ROLE_CORE)
        certificates = settings_certificates(child->house);
    if (certificates)
        outbox_certificates(child, &certificates);
    certificates_free(certificates);
}

void settings_tell_tokens(struct house *house)
{
    struct child *core = &house->children[0];
    struct certificates *tokens = NULL;
    if (core->linked && core->state == CHILD_SERVES)
        tokens = certificates_load_tokens(&house->conf);
    if (tokens)
        outbox_certificates(core, &tokens);
    certificates_free(tokens);
    timer_set(&house->loop, &house->tokens, house->loop.now + TOKENS_EVERY);
}

/* One that begins has looked at its configuration and would find another one half way. */
static void roles_tell(struct house *house)
{
    for (size_t i = 0; i < house->child_count; i++) {
        struct child *child = &house->children[i];
        child->outdated = child->state == CHILD_BEGINS;
        if (!child->outdated)
            settings_tell(child);
    }
    certificates_free(house->certificates);
    house->certificates = NULL;
}

static void restarts_log(struct house *house)
{
    struct arena arena;
    struct conf written;
    struct conf_trouble trouble = {BUF_INIT(0)};
    struct buf names = BUF_INIT(HOUSE_LINE_MAX);
    arena_init(&arena, CONF_ARENA);
    if (!err_is(file_parse(house, &arena, &written, &trouble)))
        conf_needs_restart(&house->conf, &written, &names);
    if (house->conf.certificate_count)
        listeners_missing(house, &names);
    if (names.n)
        log_event(&house->log, LOG_WARN, "needs_restart", log_str("settings", buf_str(&names)));
    buf_done(&trouble.text);
    buf_done(&names);
    arena_done(&arena);
}

void settings_reload(struct house *house)
{
    struct arena arena;
    struct draft draft = {
        .arena = &arena, .anchors = BUF_INIT(TRUST_ANCHORS_MAX), .trouble = {BUF_INIT(0)}};
    arena_init(&arena, CONF_ARENA);
    struct err e = settings_make(house, &draft);
    if (err_is(e)) {
        each_line(house, e, buf_str(&draft.trouble.text), log_line);
        arena_done(&arena);
    } else {
        arena_done(&house->arena);
        house->arena = arena;
        draft_take(house, &draft);
        roles_tell(house);
        log_event(&house->log, LOG_INFO, "reloaded", log_str("file", house->config));
        restarts_log(house);
    }
    draft_done(&draft);
}
