/*
 * A message, from a file, as submission by ann@here.test keeps it: to standard output. Where its
 * header is refused: exit code 1, and the reason on standard error.
 */
#include <stdio.h>

#include "base/buf.h"
#include "format/submission.h"

enum {
    MESSAGE_MAX = 16 << 20
};

static struct err put_right(struct str message)
{
    const struct submission_facts facts = {.account = STR("ann@here.test"),
                                           .hostname = STR("mx.here.test"),
                                           .id = STR("01j9x3k2m7q4r"),
                                           .time = 1795239423,
                                           .most = MESSAGE_MAX};
    struct arena kept, scratch;
    struct submission_result result;
    struct submission_scan scan = submission_scan_begin();
    bool ended;
    size_t n = submission_scan(&scan, message, &ended);
    arena_init(&kept, 4 * (size_t)MESSAGE_MAX);
    arena_init(&scratch, 64 * (size_t)MESSAGE_MAX);
    struct err e = submission_header(str_head(message, n), &facts, &kept, &scratch, &result);
    if (!err_is(e)) {
        fwrite(result.header.p, 1, result.header.n, stdout);
        fwrite(message.p + n, 1, message.n - n, stdout);
    }
    arena_done(&kept);
    arena_done(&scratch);
    return e;
}

int main(int argc, char **argv)
{
    static char octets[MESSAGE_MAX];
    FILE *file = argc == 2 ? fopen(argv[1], "rb") : NULL;
    if (!file)
        return 2;
    size_t n = fread(octets, 1, sizeof(octets), file);
    fclose(file);
    struct err e = put_right(str_make(octets, n));
    if (err_is(e))
        fprintf(stderr, "%s: %.*s\n", err_row(e.code)->name, STR_FMT(e.detail));
    return err_is(e);
}
