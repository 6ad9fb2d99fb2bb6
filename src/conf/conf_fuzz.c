/*
 * Property: a file that is taken prints to one that is taken again and prints the same, in every
 * form; a refused one has a message; nothing else than the text, and what is in the lists' files,
 * has a say. Behind the first NUL of an input is what every such file has.
 */
#include "base/must.h"
#include "conf/conf.h"

enum {
    PRINTED = CONF_TEXT_MAX
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct err file_read(void *arg, struct str path, struct buf *to)
{
    const struct str *file = arg;
    (void)path;
    if (!file->p)
        return err_make(ERR_NOT_FOUND);
    buf_put(to, *file);
    return err_none();
}

enum form {
    FORM_CHANGED,
    FORM_ALL,
    FORM_WHOLE,
    FORMS
};

static void print(const struct conf *conf, enum form form, struct buf *to)
{
    if (form == FORM_WHOLE)
        conf_print_whole(conf, to);
    else
        conf_print(conf, form == FORM_ALL, to);
}

static void again_check(const struct conf *conf, enum form form, struct str *file)
{
    struct arena arena;
    struct conf again;
    struct conf_trouble trouble;
    struct buf one = BUF_INIT(PRINTED), two = BUF_INIT(PRINTED), names = BUF_INIT(PRINTED);
    struct conf_reading how = {
        .file = STR("two"), .read = form == FORM_WHOLE ? NULL : file_read, .arg = file};
    arena_init(&arena, CONF_ARENA);
    print(conf, form, &one);
    must(!err_is(conf_read(buf_str(&one), &how, &arena, &again, &trouble)));
    print(&again, form, &two);
    must(str_eq(buf_str(&one), buf_str(&two)));
    conf_needs_restart(conf, &again, &names);
    must(names.n == 0);
    buf_done(&trouble.text);
    buf_done(&names);
    buf_done(&one);
    buf_done(&two);
    arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct arena arena;
    struct conf conf;
    struct conf_trouble trouble;
    struct str file = str_make(data, n);
    struct str text = str_cut(&file, '\0');
    struct conf_reading how = {
        .file = STR("one"), .folder = STR("/etc/veredus"), .read = file_read, .arg = &file};
    arena_init(&arena, CONF_ARENA);
    struct err e = conf_read(text, &how, &arena, &conf, &trouble);
    must(!err_is(e) || e.code == ERR_CONFIG);
    must(err_is(e) == (trouble.text.n > 0));
    for (enum form form = 0; !err_is(e) && form < FORMS; form++)
        again_check(&conf, form, &file);
    buf_done(&trouble.text);
    arena_done(&arena);
    return 0;
}
