/*
 * Properties: fields follow each other without a gap; they are those of the summary; reading a list
 * ends, its groups are balanced, and what was copied is no longer than the text; memory is linear.
 */
#include "base/must.h"
#include "format/header.h"
#include "format/summary.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum {
    /* What is taken from the arena, the summary included. */
    MEMORY_TIMES = 200,
    MEMORY_MORE = 1 << 20,
};

static void fields_check(struct str text, struct arena *arena)
{
    struct summary_limits limits = SUMMARY_LIMITS_DEFAULT;
    struct summary summary;
    struct summary_view view;
    struct buf record = BUF_INIT(1 << 20);
    summary_init(&summary, arena, &limits);
    summary_feed(&summary, text);
    if (err_is(summary_end(&summary)))
        return;
    summary_print(&summary, &record);
    must(!err_is(summary_parse(buf_str(&record), arena, &view)));
    struct str rest = text;
    struct header_field field;
    uint32_t i = 0;
    while (header_next(&rest, &field)) {
        must(i < view.field_count && view.fields[i].length == field.whole.n);
        must(field.whole.p == text.p + view.fields[i].start);
        must(field.name.n > SUMMARY_FIELD_NAME_MAX || str_eq(view.fields[i].name, field.name));
        i++;
    }
    must(i == view.field_count);
    buf_done(&record);
}

static void list_check(struct str text, struct arena *arena)
{
    struct header_addresses list = {.rest = text, .arena = arena};
    struct header_address address;
    bool in_group = false;
    while (header_addresses_next(&list, &address)) {
        must(address.name.n + address.local.n + address.domain.n <= text.n);
        must(address.kind != HEADER_MAILBOX || (address.local.n && address.domain.n));
        if (address.kind == HEADER_GROUP_BEGIN || address.kind == HEADER_GROUP_END) {
            must(in_group == (address.kind == HEADER_GROUP_END));
            in_group = !in_group;
        }
    }
    must(!in_group);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n > 65536)
        return 0;
    struct str text = str_make(data, n);
    struct arena arena;
    struct header_author author;
    struct buf unfolded = BUF_INIT(1 << 20);
    arena_init(&arena, 32 << 20);
    fields_check(text, &arena);
    list_check(text, &arena);
    if (!err_is(header_from_check(text, 1, 0, &arena, &author)))
        must(author.local.n && author.domain.n);
    must(arena.used <= MEMORY_TIMES * n + MEMORY_MORE);
    header_unfold(text, &unfolded);
    must(unfolded.n <= n);
    buf_done(&unfolded);
    arena_done(&arena);
    return 0;
}
