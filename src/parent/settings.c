/*
 * A reload makes a whole new configuration beside the old one, and only a good one takes its place:
 * there is no moment with half of each.
 */
#include <errno.h>

#include "parent/house.h"

enum {
    HOST_MOST = 256
};

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

static struct err settings_make(struct house *house, struct arena *arena, struct conf *conf_r,
                                struct buf *text, struct conf_trouble *trouble)
{
    struct err e = file_parse(house, arena, conf_r, trouble);
    if (err_is(e))
        return e;
    if (house->serving)
        conf_keep(&house->conf, conf_r);
    host_name_fill(conf_r, arena);
    e = text_make(conf_r, arena, text);
    /* A system whose name is no host name: that one setting was refused and is empty again. */
    return e.code == ERR_CONFIG ? text_make(conf_r, arena, text) : e;
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
        buf_printf(&line, ": %s", e.os ? strerrordesc_np(e.os) : err_row(e.code)->text);
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

bool settings_load(struct house *house)
{
    struct conf_trouble trouble = {BUF_INIT(0)};
    struct err e = settings_make(house, &house->start_arena, &house->conf, &house->text, &trouble);
    if (err_is(e))
        each_line(house, e, buf_str(&trouble.text), say_line);
    buf_done(&trouble.text);
    house->log.least = (enum log_word)house->conf.server.log_least;
    return !err_is(e);
}

static void settings_swap(struct house *house, struct conf *conf, struct arena *arena,
                          struct buf *text)
{
    arena_done(&house->arena);
    house->arena = *arena;
    house->conf = *conf;
    buf_done(&house->text);
    house->text = *text;
    house->log.least = (enum log_word)conf->server.log_least;
    struct msg msg = {.kind = MSG_configure, .configure = {.configuration = buf_str(text)}};
    for (size_t i = 0; i < house->child_count; i++)
        child_tell(&house->children[i], &msg);
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
    if (names.n)
        log_event(&house->log, LOG_WARN, "needs_restart", log_str("settings", buf_str(&names)));
    buf_done(&trouble.text);
    buf_done(&names);
    arena_done(&arena);
}

void settings_reload(struct house *house)
{
    struct arena arena;
    struct conf conf;
    struct conf_trouble trouble = {BUF_INIT(0)};
    struct buf text = BUF_INIT(HOUSE_TEXT_MAX);
    arena_init(&arena, CONF_ARENA);
    struct err e = settings_make(house, &arena, &conf, &text, &trouble);
    if (err_is(e)) {
        each_line(house, e, buf_str(&trouble.text), log_line);
        buf_done(&text);
        arena_done(&arena);
    } else {
        settings_swap(house, &conf, &arena, &text);
        log_event(&house->log, LOG_INFO, "reloaded", log_str("file", house->config));
        restarts_log(house);
    }
    buf_done(&trouble.text);
}
