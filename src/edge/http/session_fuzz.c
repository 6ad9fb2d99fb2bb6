/*
 * A whole session in the fake world. Properties: what is said begins as an answer; the conversation
 * is the same however the network cuts it; nothing is held when it is over.
 */
#include "base/must.h"
#include "edge/http/stage_test.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum {
    INPUT_MAX = 20000,
    REPLIES_MAX = 16 << 20,
};

#define CONF "hostname = mail.a.example\ndomain a.example {\n mta_sts = testing\n}\n"

static void run(struct str input, size_t piece, struct buf *replies)
{
    struct web_stage stage;
    web_open(&stage, CONF, 1);
    struct fake_client *client = web_connect(&stage, "http", "127.0.0.1");
    web_send(&stage, client, input, piece, replies);
    fake_client_done(client);
    web_settle(&stage);
    must(stage.edge.session_count == 0);
    web_close(&stage);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < 1 || n > INPUT_MAX)
        return 0;
    struct buf whole = BUF_INIT(REPLIES_MAX), cut = BUF_INIT(REPLIES_MAX);
    struct str input = str_make(data + 1, n - 1);
    run(input, SIZE_MAX, &whole);
    run(input, 1 + data[0], &cut);
    must(whole.n == 0 || str_starts(buf_str(&whole), STR("HTTP/1.1 ")));
    /* Whether a body is asked for depends on what has come. */
    if (str_find(buf_str(&cut), STR("HTTP/1.1 100 ")) < 0)
        must(str_eq(buf_str(&whole), buf_str(&cut)));
    buf_done(&whole);
    buf_done(&cut);
    return 0;
}
