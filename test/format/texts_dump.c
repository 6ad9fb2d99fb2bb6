/*
 * test_texts_dump: reads lines and prints one for each, for comparison with other parsers
 * (test_texts.py). "D text": a date, as seconds since 1970 and minutes east, or "-". "A text": an
 * address list, as "name<TAB>local part<TAB>domain" in hexadecimal, with spaces between.
 */
#include <inttypes.h>

#include "base/must.h"
#include "format/date.h"
#include "format/header.h"

enum {
    LINE_MOST = 65536,
    ARENA = 16 << 20,
};

static void hex_print(struct str s, char behind)
{
    for (size_t i = 0; i < s.n; i++)
        printf("%02x", (unsigned char)s.p[i]);
    putchar(behind);
}

static void date_dump(struct str text)
{
    struct date date;
    if (date_parse(text, &date))
        printf("%" PRId64 " %d\n", date.time, date.zone);
    else
        printf("-\n");
}

static void addresses_dump(struct str text, struct arena *arena)
{
    struct header_addresses list = {.rest = text, .arena = arena};
    struct header_address address;
    while (header_addresses_next(&list, &address)) {
        if (address.kind == HEADER_GROUP_BEGIN || address.kind == HEADER_GROUP_END)
            continue;
        if (address.kind == HEADER_MALFORMED)
            printf("malformed");
        hex_print(address.name, '\t');
        hex_print(address.local, '\t');
        hex_print(address.domain, ' ');
    }
    printf("\n");
}

int main(void)
{
    static char line[LINE_MOST];
    while (fgets(line, sizeof(line), stdin)) {
        struct arena arena;
        struct str text = str_trim(str_from(line));
        arena_init(&arena, ARENA);
        if (text.n && text.p[text.n - 1] == '\n')
            text.n--;
        must(text.n >= 2);
        if (text.p[0] == 'D')
            date_dump(str_from_index(text, 2));
        else
            addresses_dump(str_from_index(text, 2), &arena);
        arena_done(&arena);
    }
    return 0;
}
