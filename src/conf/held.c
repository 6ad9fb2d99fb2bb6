/*
 * Why counted, and not kept for as long as anything runs: a session may last for days, and lists
 * from files hold millions of octets.
 */
#include "conf/held.h"

#include "base/must.h"

enum {
    REPORT_MAX = 16 * 1024
};

#define CONF_HELD_MAGIC MAGIC('H', 'E', 'L', 'D')

struct conf_held {
    uint32_t magic;
    size_t holders;
    size_t *living;
    struct conf_held *successor; /* held by this one; NULL: none */
    struct arena arena;
    struct conf conf;
};

static void held_free(struct conf_held *held)
{
    --*held->living;
    arena_done(&held->arena);
    held->magic = 0;
    free(held);
}

struct err conf_held_read(struct str text, size_t *living, const struct conf **conf_r)
{
    struct conf_held *held = calloc(1, sizeof(*held));
    struct conf_trouble trouble;
    if (!held)
        return err_make(ERR_NO_MEMORY);
    arena_init(&held->arena, CONF_ARENA);
    struct err e =
        conf_parse(text, STR("configuration"), STR(""), &held->arena, &held->conf, &trouble);
    buf_done(&trouble.text);
    if (err_is(e)) {
        arena_done(&held->arena);
        free(held);
        return e;
    }
    held->magic = CONF_HELD_MAGIC;
    held->holders = 1;
    held->living = living;
    held->conf.held = held;
    ++*living;
    *conf_r = &held->conf;
    return e;
}

const struct conf *conf_hold(const struct conf *conf)
{
    if (conf->held) {
        must_be(conf->held, CONF_HELD_MAGIC);
        conf->held->holders++;
    }
    return conf;
}

/* One that goes lets its successor go, and so on. */
void conf_let_go(const struct conf *conf)
{
    struct conf_held *held = conf ? conf->held : NULL;
    while (held) {
        must_be(held, CONF_HELD_MAGIC);
        must(held->holders > 0);
        if (--held->holders)
            return;
        struct conf_held *successor = held->successor;
        held_free(held);
        held = successor;
    }
}

void conf_follow(const struct conf *old, const struct conf *successor)
{
    if (!old->held || !successor->held || old == successor)
        return;
    must(!old->held->successor);
    old->held->successor = conf_hold(successor)->held;
}
