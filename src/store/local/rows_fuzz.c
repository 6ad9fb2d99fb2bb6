/* Values of the index. Property: what decodes encodes to the same octets, and to no others; nothing
 * is taken that is shorter or longer than its kind. The first octet says which kind. */
#include "base/must.h"
#include "store/local/format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum {
    ROOM = 64,
    PLACE_EXTERNAL_AT = VALUE_PLACE_SIZE - 1, /* any octet but 0 says "external"; we write 1 */
};

/* The octets that the value is written as; 0: it is none. */
static size_t again(unsigned kind, struct str value, unsigned char to[ROOM])
{
    struct numbers numbers;
    struct place place;
    struct segment_use use;
    struct store_counts counts;
    uint64_t number;
    switch (kind) {
    case 0:
        if (!value_numbers_decode(value, &numbers))
            return 0;
        value_numbers_encode(&numbers, to);
        return VALUE_NUMBERS_SIZE;
    case 1:
        if (!value_place_decode(value, &place))
            return 0;
        value_place_encode(&place, to);
        return VALUE_PLACE_SIZE;
    case 2:
        if (!value_segment_decode(value, &use))
            return 0;
        value_segment_encode(&use, to);
        return VALUE_SEGMENT_SIZE;
    case 3:
        if (!value_counts_decode(value, &counts))
            return 0;
        value_counts_encode(&counts, to);
        return VALUE_COUNTS_SIZE;
    default:
        if (!value_u64_decode(value, &number))
            return 0;
        value_u64_encode(number, to);
        return VALUE_U64_SIZE;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const size_t sizes[] = {VALUE_NUMBERS_SIZE, VALUE_PLACE_SIZE, VALUE_SEGMENT_SIZE,
                                   VALUE_COUNTS_SIZE, VALUE_U64_SIZE};
    unsigned char octets[ROOM];
    if (n == 0)
        return 0;
    unsigned kind = data[0] % 5;
    struct str value = str_make(data + 1, n - 1), rest;
    size_t written = again(kind, value, octets);
    must((written > 0) == (value.n == sizes[kind]));
    if (kind == 1 && written > 0) {
        must(octets[PLACE_EXTERNAL_AT] == (value.p[PLACE_EXTERNAL_AT] != 0));
        octets[PLACE_EXTERNAL_AT] = data[n - 1];
    }
    must(written == 0 || memcmp(octets, value.p, written) == 0);
    blob_id blob;
    must(value_entry_decode(value, &blob, &rest) == (value.n >= sizeof(blob)));
    return 0;
}
