/*
 * Why each value has all lists that stand in it at hand, those of its lists included: to look an
 * address up then is a loop and no descent, and a list that leads back to itself is found while the
 * file is read.
 */
#include "conf/lists.h"

#include "conf/networks.h"
#include "conf/rows.h"

/* --- Files ----------------------------------------------------------------------------------- */

static void value_name(struct buf *to, const struct value_at *at)
{
    mistake_name(to, at->section->name, at->title, str_from(at->setting->name));
    buf_put(to, STR(": "));
}

static void unread(struct lists *lists, const struct value_at *at, unsigned line, struct str path,
                   struct err e)
{
    struct buf *to = mistake_begin(lists->mistakes, lists->how->file, line);
    value_name(to, at);
    buf_put(to, STR("cannot read "));
    buf_put_escaped(to, path, MISTAKE_MOST / 2);
    buf_printf(to, ": %s; expected a file of addresses and networks",
               e.os ? strerrordesc_np(e.os) : err_row(e.code)->text);
    mistake_end(lists->mistakes);
}

static void files_read(void *arg, const struct value_at *at)
{
    struct lists *lists = arg;
    struct conf_files *files = at->value;
    struct buf text = BUF_INIT(CONF_LIST_FILE_MAX);
    for (size_t i = 0; lists->how->read && i < files->count; i++) {
        buf_clear(&text);
        struct err e = lists->how->read(lists->how->arg, files->paths[i], &text);
        if (err_is(e))
            unread(lists, at, files->line, files->paths[i], e);
        else
            networks_read(buf_str(&text), files->paths[i], lists->mistakes, lists->arena,
                          &files->read);
    }
    networks_settle(&files->read);
    buf_done(&text);
}

/* --- Names ----------------------------------------------------------------------------------- */

/* Which lists stand in a value: those in front of `next` were looked into. */
struct reach {
    bool met[CONF_LISTS_MOST];
    size_t found[CONF_LISTS_MOST];
    size_t count, next;
};

static ssize_t list_of(const struct conf *conf, struct str name)
{
    for (size_t i = 0; i < conf->list_count; i++)
        if (str_eq(conf->lists[i].name, name))
            return (ssize_t)i;
    return -1;
}

static void unknown_list(struct lists *lists, const struct value_at *at, unsigned line,
                         struct str name)
{
    struct nearest nearest = nearest_begin(name);
    struct buf *to = mistake_begin(lists->mistakes, lists->how->file, line);
    value_name(to, at);
    buf_put(to, STR("no list has the name "));
    buf_put_escaped(to, name, NAME_SHOWN);
    buf_put(to, STR("; expected list NAME { ... } somewhere in the file"));
    for (size_t i = 0; i < lists->conf->list_count; i++)
        nearest_try(&nearest, lists->conf->lists[i].name);
    nearest_put(&nearest, to);
    mistake_end(lists->mistakes);
}

/* Unknown names are told for the value that has them, not for those that lead to it. */
static void reach_names(struct lists *lists, const struct value_at *at,
                        const struct conf_networks *networks, struct reach *reach)
{
    for (size_t i = 0; i < networks->name_count; i++) {
        ssize_t list = list_of(lists->conf, networks->names[i]);
        if (list < 0 && networks == at->value)
            unknown_list(lists, at, networks->line, networks->names[i]);
        if (list < 0 || reach->met[list])
            continue;
        reach->met[list] = true;
        reach->found[reach->count++] = (size_t)list;
    }
}

static void leads_back(struct lists *lists, const struct value_at *at, unsigned line)
{
    struct buf *to = mistake_begin(lists->mistakes, lists->how->file, line);
    value_name(to, at);
    buf_put(to, STR("leads back to itself; expected other lists"));
    mistake_end(lists->mistakes);
}

static void reach_keep(struct lists *lists, const struct reach *reach,
                       struct conf_networks *networks)
{
    networks->lists = arena_take_array(lists->arena, 2 * reach->count, sizeof(*networks->lists));
    for (size_t i = 0; networks->lists && i < reach->count; i++) {
        const struct conf_list *list = &lists->conf->lists[reach->found[i]];
        if (list->networks.count)
            networks->lists[networks->list_count++] = &list->networks;
        if (list->files.read.count)
            networks->lists[networks->list_count++] = &list->files.read;
    }
}

static void names_look_up(void *arg, const struct value_at *at)
{
    struct lists *lists = arg;
    struct conf_networks *networks = at->value;
    struct reach reach = {0};
    if (networks->name_count == 0)
        return;
    reach_names(lists, at, networks, &reach);
    while (reach.next < reach.count)
        reach_names(lists, at, &lists->conf->lists[reach.found[reach.next++]].networks, &reach);
    if (at->section == &section_rows[SECTION_list] && reach.met[at->instance])
        leads_back(lists, at, networks->line);
    else
        reach_keep(lists, &reach, networks);
}

void lists_settle(struct lists *lists)
{
    conf_each(lists->conf, TYPE_FILES, files_read, lists);
    conf_each(lists->conf, TYPE_NETWORKS, names_look_up, lists);
}
