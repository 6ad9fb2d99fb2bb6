/*
 * Properties: the end of the header is where the fields end, however it is cut; what comes out is
 * within its limit and has no Bcc; its authors are addresses in their one form; doing it twice is
 * doing it once.
 */
#include "base/buf.h"
#include "base/must.h"
#include "format/addr.h"
#include "format/header.h"
#include "format/submission.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum {
    MOST = 4000,
    INPUT_MAX = 65536,
};

static size_t scan_in_pieces(struct str text, unsigned step, bool *ended_r)
{
    struct submission_scan scan = submission_scan_begin();
    size_t at = 0;
    *ended_r = false;
    while (at < text.n && !*ended_r) {
        struct str piece = str_head(str_from_index(text, at), step);
        size_t taken = submission_scan(&scan, piece, ended_r);
        must(taken == piece.n || *ended_r);
        at += taken;
    }
    return at;
}

static size_t fields_end(struct str text)
{
    struct str rest = text;
    struct header_field field;
    while (header_next(&rest, &field))
        continue;
    return text.n - rest.n;
}

static void authors_check(const struct submission_result *result, struct arena *arena)
{
    must(result->author_count > 0 && result->author_count <= SUBMISSION_AUTHORS_MAX);
    for (size_t i = 0; i < result->author_count; i++) {
        struct addr addr;
        char room[ADDR_PATH_MAX];
        struct buf text = {.p = room, .cap = sizeof(room), .max = sizeof(room)};
        must(!err_is(addr_parse(result->authors[i], arena, &addr)));
        addr_print(&text, &addr);
        must(str_eq(buf_str(&text), result->authors[i]));
    }
}

static void rewritten_check(struct str header, struct arena *kept, struct arena *scratch)
{
    const struct submission_facts facts = {.account = STR("a@b.test"),
                                           .hostname = STR("m.test"),
                                           .id = STR("i"),
                                           .time = 1795239423,
                                           .most = MOST};
    struct submission_result once, twice;
    struct header_field field;
    struct err e = submission_header(header, &facts, kept, scratch, &once);
    must(e.code == ERR_NONE || e.code == ERR_MESSAGE_FROM || e.code == ERR_HEADER_TOO_LARGE);
    if (err_is(e))
        return;
    must(once.header.n <= MOST);
    must(!header_find(once.header, STR("Bcc"), &field));
    must(!header_find(once.header, STR("Resent-Bcc"), &field));
    must(header_find(once.header, STR("Date"), &field));
    must(header_find(once.header, STR("From"), &field));
    authors_check(&once, scratch);
    must(!err_is(submission_header(once.header, &facts, kept, scratch, &twice)));
    must(str_eq(once.header, twice.header));
    must(once.author_count == twice.author_count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n == 0 || n > INPUT_MAX)
        return 0;
    struct str text = str_make(data + 1, n - 1);
    bool ended, also;
    size_t end = scan_in_pieces(text, INPUT_MAX, &ended);
    must(scan_in_pieces(text, 1 + data[0], &also) == end && also == ended);
    must(end == fields_end(text) + (ended ? 2 : 0));
    struct arena kept, scratch;
    arena_init(&kept, 1 << 20);
    arena_init(&scratch, 3 * (SUBMISSION_SCRATCH_TIMES * (n + MOST) + SUBMISSION_SCRATCH_MORE));
    rewritten_check(str_head(text, end), &kept, &scratch);
    arena_done(&kept);
    arena_done(&scratch);
    return 0;
}
