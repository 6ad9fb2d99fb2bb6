#include "command.h"

#include "core/admin.h"

enum {
    WORDS_MOST = 16
};

static void hear(void *arg, struct str text, bool to_stderr)
{
    struct command_answer *answer = arg;
    if (!answer || to_stderr)
        return;
    text = str_head(text, sizeof(answer->text) - answer->n);
    memcpy(answer->text + answer->n, text.p, text.n);
    answer->n += text.n;
}

int command_run(struct core *core, const char *text, struct str input,
                struct command_answer *answer)
{
    struct str words[WORDS_MOST], rest = str_from(text);
    size_t count = 0;
    while (rest.n && count < WORDS_MOST)
        words[count++] = str_cut(&rest, ' ');
    struct arena arena;
    arena_init(&arena, ADMIN_ARENA);
    struct admin admin = {.loop = core->loop,
                          .engine = core->engine,
                          .directory = &core->directory,
                          .hashes = &core->hashes,
                          .conf = core->conf,
                          .arena = &arena,
                          .input = input,
                          .json = answer != NULL,
                          .serving = true,
                          .senders = &core->senders,
                          .core = core,
                          .audit = &core->audit,
                          .out = hear,
                          .arg = answer};
    int code = admin_run(&admin, words, count);
    arena_done(&arena);
    return code;
}
