/*
 * For tests of an operator's commands: a core that sends (courier_rig_test.h), and somebody who
 * types.
 */
#ifndef CORE_OPERATOR_RIG_TEST_H
#define CORE_OPERATOR_RIG_TEST_H

#include "core/admin_queue.h"
#include "core/courier_rig_test.h"

enum {
    WORDS_MAX = 16,
    OUTPUT_MAX = 4 << 20,
};

static struct {
    const char *line;
    bool json, leaves; /* leaves: reads the first piece, and goes */
    struct admin *admin;
    struct str input; /* standard input */
    struct buf out, err;
    size_t pieces;
    int code;
} typing = {.out = BUF_INIT(OUTPUT_MAX), .err = BUF_INIT(OUTPUT_MAX)};

static inline void take(void *arg, struct str octets, bool to_stderr)
{
    (void)arg;
    buf_put(to_stderr ? &typing.err : &typing.out, octets);
    typing.pieces++;
    typing.admin->gone = typing.leaves;
}

static inline void type(struct rig *rig, void *arg)
{
    struct arena arena;
    struct str words[WORDS_MAX], rest = str_from(typing.line);
    size_t count = 0;
    (void)arg;
    arena_init(&arena, ADMIN_ARENA);
    while (rest.n && count < WORDS_MAX)
        words[count++] = str_cut(&rest, ' ');
    struct admin admin = {.loop = rig->loop,
                          .engine = rig->engine,
                          .directory = &house.core.directory,
                          .conf = &house.conf,
                          .hashes = &house.core.hashes,
                          .keys = house.core.keys,
                          .arena = &arena,
                          .input = typing.input,
                          .json = typing.json,
                          .serving = true,
                          .core = &house.core,
                          .senders = &house.core.senders,
                          .audit = &house.core.audit,
                          .operator= 1000,
                          .out = take};
    typing.admin = &admin;
    typing.code = admin_run(&admin, words, count);
    arena_done(&arena);
}

/* What the command said on standard output; it ends well. */
static inline struct str typed(const char *line)
{
    buf_clear(&typing.out);
    buf_clear(&typing.err);
    typing.line = line;
    typing.pieces = 0;
    assert_true(rig_do(&house.rig, type, NULL));
    house_settle(&house);
    if (typing.code) {
        print_error("%.*s", STR_FMT(buf_str(&typing.err)));
        return STR("(failed)");
    }
    return buf_str(&typing.out);
}

static inline struct str complaint(const char *line, int code)
{
    (void)typed(line);
    assert_int_equal(typing.code, code);
    return buf_str(&typing.err);
}

/* "queue hold 01...": the id of a message's first entry where `line` has a '#'. */
static inline struct str typed_about(const char *line, uint64_t message)
{
    static char whole[512];
    char id[MESSAGE_ID_TEXT];
    const char *at = strchr(line, '#');
    message_id_print(message, id);
    snprintf(whole, sizeof(whole), "%.*s%.*s.0%s", (int)(at - line), line, (int)sizeof(id), id,
             at + 1);
    return typed(whole);
}

static inline size_t lines_of(struct str octets)
{
    size_t lines = 0;
    for (size_t i = 0; i < octets.n; i++)
        lines += octets.p[i] == '\n';
    return lines;
}

/* kill -9, and the next core. */
static inline void core_again(void)
{
    house_crash(&house);
    for (size_t i = 0; i < house.edge_count; i++)
        edge_end_leave(&house.edges[i]);
    house_start(&house);
    for (size_t i = 0; i < house.edge_count; i++)
        edge_end_connect(&house.edges[i]);
    courier_ready(NULL, 0);
}

#endif
