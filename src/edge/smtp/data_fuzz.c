/*
 * Property: however the input is cut, the message, its end and the refusal are the same; what was
 * read, stuffed again, is a message with the same octets and one end.
 */
#include "base/buf.h"
#include "base/must.h"
#include "edge/smtp/data.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum {
    INPUT_MAX = 4096
};

static enum data_found read_cut(struct str input, size_t piece, bool dots, bool normalise,
                                struct buf *body, size_t *left_r)
{
    struct data_reader reader;
    enum data_found how = DATA_MORE;
    data_init(&reader, dots, normalise);
    while (input.n > 0 && how == DATA_MORE) {
        struct str part = str_head(input, piece), run;
        input = str_from_index(input, piece);
        while ((how = data_next(&reader, &part, &run)) == DATA_RUN)
            buf_put(body, run);
        *left_r = part.n + input.n;
    }
    return how;
}

static void stuff(struct str body, struct buf *to)
{
    bool at_start = true;
    for (size_t i = 0; i < body.n; i++) {
        if (at_start && body.p[i] == '.')
            buf_putc(to, '.');
        buf_putc(to, body.p[i]);
        at_start = body.p[i] == '\n' && i > 0 && body.p[i - 1] == '\r';
    }
    buf_put(to, STR(".\r\n"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < 2 || n > INPUT_MAX)
        return 0;
    bool dots = data[0] & 1, normalise = data[0] & 2;
    struct str input = str_make(data + 2, n - 2);
    struct buf whole = BUF_INIT(4 * INPUT_MAX), cut = BUF_INIT(4 * INPUT_MAX);
    size_t left = 0, left_cut = 0;
    enum data_found how = read_cut(input, input.n + 1, dots, normalise, &whole, &left);
    must(read_cut(input, (size_t)data[1] % 7 + 1, dots, normalise, &cut, &left_cut) == how);
    must(!normalise || how != DATA_BARE);
    if (how == DATA_MORE || how == DATA_END)
        must(left == left_cut && str_eq(buf_str(&whole), buf_str(&cut)));
    if (how == DATA_END && dots) {
        struct buf stuffed = BUF_INIT(8 * INPUT_MAX);
        stuff(buf_str(&whole), &stuffed);
        buf_clear(&cut);
        must(read_cut(buf_str(&stuffed), 3, true, false, &cut, &left) == DATA_END);
        must(left == 0 && str_eq(buf_str(&whole), buf_str(&cut)));
        buf_done(&stuffed);
    }
    buf_done(&whole);
    buf_done(&cut);
    return 0;
}
