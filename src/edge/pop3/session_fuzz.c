/*
 * A whole session in the fake world. Properties: every reply begins as one; nothing goes without
 * QUIT; nothing is held when it is over; and the conversation is the same however the network cuts
 * it and however core cuts its answers.
 */
#include "base/must.h"
#include "edge/pop3/stage_test.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum {
    INPUT_MAX = 8192,
    REPLIES_MAX = 16 << 20,
};

struct run {
    struct buf replies;
    bool expunged;
};

static bool holds(struct str text, struct str what)
{
    for (size_t i = 0; i < text.n; i++)
        if (str_starts_nocase(str_from_index(text, i), what))
            return true;
    return false;
}

static struct run run(struct str input, size_t piece, uint64_t give)
{
    struct run run = {.replies = BUF_INIT(REPLIES_MAX)};
    struct box_stage stage;
    box_open(&stage, "", NULL, 1);
    box_add(&stage, STR("R: p\r\nSubject: 1\r\n\r\none\r\n"), 6);
    box_add(&stage, STR("R: p\r\nSubject: 2\r\n\r\n.\r\n..x\r\n\r\ntwo\r\n."), 6);
    box_add(&stage, STR("R: p\r\n.no end\r"), 6);
    stage.core.give = give;
    struct fake_client *client = box_connect(&stage, "127.0.0.1");
    box_send(&stage, client, input, piece, &run.replies);
    fake_client_done(client);
    box_settle(&stage);
    must(slabs_out(stage.edge.slabs) == 0);
    must(stage.edge.session_count == 0);
    run.expunged = stage.core.expunges > 0;
    box_close(&stage);
    return run;
}

static void check_replies(struct str replies)
{
    must(str_starts(replies, STR("+OK Veredus ready\r\n")));
    must(str_ends(replies, STR("\r\n")));
    /* No line of the messages here begins with a sign, so these are the first lines of replies. */
    while (replies.n > 0) {
        ssize_t end = str_find(replies, STR("\r\n"));
        must(end >= 0);
        struct str line = str_head(replies, (size_t)end);
        if (str_starts(line, STR("-")))
            must(str_starts(line, STR("-ERR ")));
        if (str_starts(line, STR("+")))
            must(str_starts(line, STR("+OK")) || str_starts(line, STR("+ ")));
        replies = str_from_index(replies, (size_t)end + 2);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < 2 || n > INPUT_MAX)
        return 0;
    struct str input = str_make(data + 2, n - 2);
    struct run whole = run(input, SIZE_MAX, 0);
    struct run cut = run(input, 1 + data[0] % 9, 1 + data[1] % 40);
    check_replies(buf_str(&whole.replies));
    must(str_eq(buf_str(&whole.replies), buf_str(&cut.replies)));
    must(whole.expunged == cut.expunged);
    must(!whole.expunged || holds(input, STR("QUIT")));
    buf_done(&whole.replies);
    buf_done(&cut.replies);
    return 0;
}
