/*
 * An SPF record; and its lines as TXT records, of which one is found. Properties: what was read
 * lies within the record; lengths are within those of an address; networks have no bit behind their
 * length; memory is bounded.
 */
#include "base/must.h"
#include "format/spf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum {
    MEMORY = 1 << 20,
    RECORDS = 8,
};

static bool lies_in(struct str part, struct str whole)
{
    return part.n == 0 || (part.p >= whole.p && part.p + part.n <= whole.p + whole.n);
}

static void term_check(const struct spf_term *term, struct str text)
{
    must(lies_in(term->domain, text) && term->result <= SPF_NEUTRAL);
    must(term->v4 <= 32 && term->v6 <= 128 && term->network.bits <= NETWORK_BITS);
    if (term->mechanism != SPF_IP4 && term->mechanism != SPF_IP6)
        return;
    struct network cut = network_of(&term->network, term->network.bits);
    must(network_eq(&cut, &term->network));
    must(term->mechanism != SPF_IP4 || network_is_v4(&term->network) || term->network.bits == 96);
}

static void record_check(struct str text, struct arena *arena)
{
    struct spf_record record;
    struct str wrong, where;
    if (!spf_parse(text, arena, &record, &wrong, &where)) {
        must(wrong.n > 0 && lies_in(where, text));
        return;
    }
    must(record.count <= SPF_TERMS_MAX && lies_in(record.redirect, text));
    for (size_t i = 0; i < record.count; i++)
        term_check(&record.terms[i], text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct str texts[RECORDS], found, wrong, text = str_make(data, n);
    struct arena arena;
    size_t count = 0;
    arena_init(&arena, MEMORY);
    record_check(text, &arena);
    while (text.p && count < RECORDS)
        texts[count++] = str_cut(&text, '\n');
    if (spf_find(texts, count, &found, &wrong))
        record_check(found, &arena);
    arena_done(&arena);
    return 0;
}
