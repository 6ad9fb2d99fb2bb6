/*
 * Property: a file that is taken prints to one that is taken again and prints the same, in both
 * forms; a refused one has a message; nothing else than the text has a say.
 */
#include "base/must.h"
#include "conf/conf.h"

enum {
    PRINTED = 1024 * 1024
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void again_check(const struct conf *conf, bool all)
{
    struct arena arena;
    struct conf again;
    struct conf_trouble trouble;
    struct buf one = BUF_INIT(PRINTED), two = BUF_INIT(PRINTED), names = BUF_INIT(PRINTED);
    arena_init(&arena, CONF_ARENA);
    conf_print(conf, all, &one);
    must(!err_is(conf_parse(buf_str(&one), STR("two"), str_null(), &arena, &again, &trouble)));
    conf_print(&again, all, &two);
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
    arena_init(&arena, CONF_ARENA);
    struct err e =
        conf_parse(str_make(data, n), STR("one"), STR("/etc/veredus"), &arena, &conf, &trouble);
    must(!err_is(e) || e.code == ERR_CONFIG);
    must(err_is(e) == (trouble.text.n > 0));
    if (!err_is(e)) {
        again_check(&conf, true);
        again_check(&conf, false);
    }
    buf_done(&trouble.text);
    arena_done(&arena);
    return 0;
}
