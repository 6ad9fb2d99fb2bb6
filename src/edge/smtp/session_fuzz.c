/*
 * A whole session in the fake world: SMTP, LMTP or submission, as the first octet says. Properties:
 * every reply is well formed; who did not log in sends nothing through us; there are no more
 * messages than ends of data; nothing is held when it is over; and the conversation is the same
 * however the network cuts it, as long as the client waits behind DATA (what it sends there too
 * early is meant to be noticed). Where it is cut, slabs are short, too, and messages are parked.
 */
#include "base/must.h"
#include "edge/smtp/stage_test.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum {
    INPUT_MAX = 16384,
    SLABS = 16,
    SHORT = SLABS / 2, /* out of the way of the session */
    REPLIES_MAX = 4 << 20,
};

struct run {
    struct buf replies;
    size_t messages;
    bool logged_in;
};

static size_t count(struct str text, struct str what)
{
    size_t found = 0;
    for (size_t i = 0; i < text.n; i++)
        found += str_starts_nocase(str_from_index(text, i), what);
    return found;
}

/* Up to the end of the next line that has DATA in it. */
static struct str until_data(struct str input)
{
    for (size_t from = 0; from < input.n;) {
        struct str rest = str_from_index(input, from), line = rest;
        ssize_t lf = str_index(rest, '\n');
        if (lf < 0)
            break;
        line = str_head(rest, (size_t)lf + 1);
        from += line.n;
        if (count(line, STR("DATA")) > 0)
            return str_head(input, from);
    }
    return input;
}

static const char *listener(unsigned bits)
{
    return bits & 1 ? "lmtp" : bits & 4 ? "submission" : "smtp";
}

static const char *client_of(unsigned bits)
{
    return bits & 8 ? "203.0.113.1" : bits & 2 ? "192.0.2.7" : "127.0.0.1";
}

static struct run run(struct str input, unsigned bits, size_t piece)
{
    struct run run = {.replies = BUF_INIT(REPLIES_MAX)};
    struct stage stage;
    /* Time does not pass here: without a tarpit, what is held in it would be lost. */
    stage_open_as(&stage, bits & 4 ? ROLE_SUB : ROLE_MX,
                  STR("hostname = mx.example.test\n"
                      "smtp { message_size = 4096 recipients = 100 errors = 50 tarpit = 0s\n"
                      "       xclient_from = 203.0.113.1 deny_from = 198.51.100.7\n"
                      "       bare_newlines_from = \"192.0.2.7\" }\n"),
                  NULL, 1, SLABS);
    uint32_t slabs[SHORT];
    for (size_t i = 0; i < (piece == SIZE_MAX ? 0 : SHORT); i++)
        must(slabs_take(stage.edge.slabs, &slabs[i]));
    struct fake_client *client = stage_connect_to(&stage, listener(bits), client_of(bits));
    stage_receive(client, &run.replies);
    while (input.n > 0) {
        struct str part = until_data(input);
        stage_send(&stage, client, part, piece, &run.replies);
        input = str_from_index(input, part.n);
    }
    fake_client_done(client);
    stage_settle(&stage);
    must(slabs_out(stage.edge.slabs) == (piece == SIZE_MAX ? 0 : SHORT));
    while (slabs_out(stage.edge.slabs) > 0)
        slabs_give(stage.edge.slabs, slabs[slabs_out(stage.edge.slabs) - 1]);
    run.messages = stage.core.messages;
    run.logged_in = stage.core.access.logouts > 0; /* told at the session's end */
    stage_close(&stage);
    return run;
}

static void check_line(struct str line, int *open)
{
    must(line.n >= 4 && line.n + 2 <= 512 && str_is_utf8(line));
    must(line.p[0] >= '2' && line.p[0] <= '5' && ascii_is_digit(line.p[1]) &&
         ascii_is_digit(line.p[2]) && (line.p[3] == ' ' || line.p[3] == '-'));
    for (size_t i = 0; i < line.n; i++)
        must((unsigned char)line.p[i] >= 0x20 && line.p[i] != 0x7f);
    int code = (line.p[0] - '0') * 100 + (line.p[1] - '0') * 10 + line.p[2] - '0';
    must(*open == 0 || *open == code);
    *open = line.p[3] == '-' ? code : 0;
}

static void check_replies(struct str replies)
{
    int open = 0;
    must(str_starts(replies, STR("220 ")));
    while (replies.n > 0) {
        ssize_t end = str_find(replies, STR("\r\n"));
        must(end >= 0);
        check_line(str_head(replies, (size_t)end), &open);
        replies = str_from_index(replies, (size_t)end + 2);
    }
    must(open == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < 2 || n > INPUT_MAX)
        return 0;
    struct str input = str_make(data + 2, n - 2);
    struct run whole = run(input, data[0], SIZE_MAX);
    struct run cut = run(input, data[0], 1 + data[1] % 64);
    check_replies(buf_str(&whole.replies));
    must(str_eq(buf_str(&whole.replies), buf_str(&cut.replies)));
    must(whole.messages == cut.messages);
    must(whole.messages == 0 || whole.logged_in ||
         !str_eq(str_from(listener(data[0])), STR("submission")));
    bool lenient = data[0] & (2 | 8); /* or by XCLIENT */
    size_t ends = count(input, lenient ? STR("\n.\r\n") : STR("\r\n.\r\n"));
    must(whole.messages <= ends + count(input, STR("LAST")));
    buf_done(&whole.replies);
    buf_done(&cut.replies);
    return 0;
}
