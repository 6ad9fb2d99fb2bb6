/*
 * A message, from a file, as it goes to a peer without 8BITMIME ("7") or without BINARYMIME ("8"):
 * to standard output. Exit code 3: it goes as it is; 1: it cannot go, the reason on standard error.
 */
#include <stdio.h>

#include "format/downconvert.h"

enum {
    MESSAGE_MAX = 16 << 20,
    PIECE = 4096,
    AS_IT_IS = 3,
};

static struct err view_of(struct str message, struct arena *arena, struct summary_view *view_r)
{
    static const struct summary_limits limits = SUMMARY_LIMITS_DEFAULT;
    struct summary summary;
    summary_init(&summary, arena, &limits);
    summary_feed(&summary, message);
    struct err e = summary_end(&summary);
    return err_is(e) ? e : summary_read_back(&summary, arena, view_r);
}

static void run(struct downconvert *convert, struct str message)
{
    struct buf out = BUF_INIT(DOWNCONVERT_TIMES * PIECE + DOWNCONVERT_MORE);
    downconvert_begin(convert);
    while (message.n) {
        struct str piece = str_head(message, PIECE);
        buf_clear(&out);
        downconvert_feed(convert, piece, &out);
        fwrite(out.p, 1, out.n, stdout);
        message = str_from_index(message, piece.n);
    }
    buf_clear(&out);
    downconvert_end(convert, &out);
    fwrite(out.p, 1, out.n, stdout);
    buf_done(&out);
}

static int convert(struct str message, enum downconvert_to to, struct arena *arena)
{
    struct summary_view view;
    struct downconvert convert;
    enum downconvert_verdict verdict;
    if (err_is(view_of(message, arena, &view)) ||
        err_is(downconvert_init(&convert, &view, to, arena)))
        return 2;
    downconvert_look(&convert, message);
    if (err_is(downconvert_plan(&convert, &verdict)))
        return 2;
    if (verdict == DOWNCONVERT_CAN)
        run(&convert, message);
    else
        fprintf(stderr, "%s\n", downconvert_verdict_text(verdict));
    return verdict == DOWNCONVERT_CAN ? 0 : verdict == DOWNCONVERT_NOT_NEEDED ? AS_IT_IS : 1;
}

int main(int argc, char **argv)
{
    static char octets[MESSAGE_MAX];
    FILE *file = argc == 3 ? fopen(argv[2], "rb") : NULL;
    if (!file)
        return 2;
    size_t n = fread(octets, 1, sizeof(octets), file);
    fclose(file);
    struct arena arena;
    arena_init(&arena, 4 * (size_t)MESSAGE_MAX);
    int code = convert(str_make(octets, n),
                       argv[1][0] == '7' ? DOWNCONVERT_TO_7BIT : DOWNCONVERT_TO_8BIT, &arena);
    arena_done(&arena);
    return code;
}
