/*
 * Chunks against a model: whatever is sent, and in which place, each chunk takes exactly its
 * octets; the message is the chunks put together, and it is there exactly when the model says so.
 *
 * The input is a program: an octet for what to do, then for a chunk two octets of size and its
 * contents.
 */
#include "base/must.h"
#include "edge/smtp/stage_test.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum {
    INPUT_MAX = 8192,
    MESSAGE_MAX = 1024, /* smtp.message_size */
    CHUNK_MAX = 700,
    OUT_MAX = 1 << 20,
};

enum place {
    NO_SENDER,
    NO_RECIPIENT,
    RECIPIENT,
    CHUNKED
};

struct model {
    enum place place;
    struct buf body; /* of the message that is coming */
    struct buf last; /* message that came last */
    size_t messages;
    struct buf out;    /* what the client sends */
    struct buf expect; /* the first digits of the replies */
};

static void say(struct model *m, const char *text, char expected)
{
    buf_put(&m->out, str_from(text));
    buf_putc(&m->expect, expected);
}

static void message_over(struct model *m)
{
    buf_clear(&m->last);
    buf_put(&m->last, buf_str(&m->body));
    buf_clear(&m->body);
    m->messages++;
    m->place = NO_SENDER;
}

/* What the reply to this chunk begins with. */
static char chunk_result(struct model *m, struct str contents, bool last)
{
    if (m->place < RECIPIENT)
        return '5';
    m->place = CHUNKED;
    if (m->body.n + contents.n > MESSAGE_MAX) {
        buf_clear(&m->body);
        m->place = NO_SENDER;
        return '5';
    }
    buf_put(&m->body, contents);
    if (last)
        message_over(m);
    return '2';
}

static void chunk(struct model *m, struct str contents, bool last)
{
    size_t begin;
    buf_printf(&m->out, "BDAT %zu%s\r\n", contents.n, last ? " LAST" : "");
    begin = m->out.n;
    buf_put(&m->out, contents);
    /* Octets that would be refused for themselves are another fuzzer's. */
    for (size_t i = begin; i < m->out.n; i++) {
        if (m->out.p[i] == '\r' || m->out.p[i] == '\n' || m->out.p[i] == '\0')
            m->out.p[i] = 'x';
    }
    contents = str_make(m->out.p + begin, contents.n);
    buf_putc(&m->expect, chunk_result(m, contents, last));
}

static void step(struct model *m, struct str *program)
{
    unsigned char what = (unsigned char)program->p[0];
    *program = str_from_index(*program, 1);
    if (what % 8 == 0) {
        say(m, "RSET\r\n", '2');
        buf_clear(&m->body);
        m->place = NO_SENDER;
    } else if (what % 8 == 1) {
        say(m, "NOOP\r\n", '2');
    } else if (what % 8 == 2) {
        say(m, "MAIL FROM:<a@b.example>\r\n", m->place == NO_SENDER ? '2' : '5');
        m->place = m->place == NO_SENDER ? NO_RECIPIENT : m->place;
    } else if (what % 8 == 3) {
        bool may = m->place == NO_RECIPIENT || m->place == RECIPIENT;
        say(m, "RCPT TO:<bob@example.test>\r\n", may ? '2' : '5');
        m->place = may ? RECIPIENT : m->place;
    } else if (program->n >= 2) {
        size_t size = ((size_t)(unsigned char)program->p[0] << 8 | (unsigned char)program->p[1]);
        *program = str_from_index(*program, 2);
        struct str contents = str_head(*program, size % CHUNK_MAX);
        *program = str_from_index(*program, contents.n);
        chunk(m, contents, what % 8 == 4);
    }
}

static void check(const struct model *m, struct str replies, const struct stage *stage)
{
    for (size_t i = 0; i < m->expect.n; i++) {
        ssize_t end = str_find(replies, STR("\r\n"));
        must(end > 0 && replies.p[0] == m->expect.p[i]);
        replies = str_from_index(replies, (size_t)end + 2);
    }
    must(replies.n == 0);
    must(stage->core.messages == m->messages);
    must(m->messages == 0 || str_eq(buf_str(&m->last), buf_str(&stage->core.body)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < 2 || n > INPUT_MAX)
        return 0;
    struct model m = {.body = BUF_INIT(OUT_MAX),
                      .last = BUF_INIT(OUT_MAX),
                      .out = BUF_INIT(OUT_MAX),
                      .expect = BUF_INIT(OUT_MAX)};
    struct buf replies = BUF_INIT(4 * OUT_MAX);
    struct str program = str_make(data + 1, n - 1);
    struct stage stage;
    buf_putc(&m.expect, '2');
    say(&m, "HELO c.example\r\n", '2');
    while (program.n > 0)
        step(&m, &program);
    stage_open(&stage, STR("smtp { message_size = 1024 errors = 100000 messages = 100000 }"), NULL,
               1, 8);
    struct fake_client *client = stage_connect(&stage, false, "192.0.2.1");
    stage_receive(client, &replies);
    stage_send(&stage, client, buf_str(&m.out), data[0] ? data[0] : SIZE_MAX, &replies);
    check(&m, buf_str(&replies), &stage);
    fake_client_done(client);
    stage_settle(&stage);
    must(slabs_out(stage.edge.slabs) == 0);
    stage_close(&stage);
    buf_done(&replies);
    buf_done(&m.body);
    buf_done(&m.last);
    buf_done(&m.out);
    buf_done(&m.expect);
    return 0;
}
