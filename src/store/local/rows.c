/*
 * Keys and values of the index. Keys are big endian behind one octet for the table, so that an
 * account's entries lie together, blobs lie in the order they came, and owners of one blob are one
 * short range.
 */
#include <endian.h>

#include "store/local/format.h"

_Static_assert(1 + 8 + PARTITION_KEY_SIZE + ENGINE_KEY_MAX + 4 <= INDEX_KEY_MAX,
               "the longest owner fits the index");

static void key_octets(struct index_key *key, struct str octets)
{
    must(octets.n <= sizeof(key->p) - key->n);
    if (octets.n > 0)
        memcpy(key->p + key->n, octets.p, octets.n);
    key->n += octets.n;
}

static void key_number(struct index_key *key, uint64_t number)
{
    key_put_u64(key->p + key->n, number);
    key->n += 8;
}

static struct index_key key_begin(enum index_table table)
{
    struct index_key key;
    key.p[0] = (unsigned char)table;
    key.n = 1;
    return key;
}

static void key_partition(struct index_key *key, struct partition partition)
{
    key->p[key->n++] = (unsigned char)partition.kind;
    key_number(key, partition.id);
}

struct index_key key_entry(struct partition partition, struct str entry)
{
    struct index_key key = key_begin(TABLE_ENTRY);
    key_partition(&key, partition);
    key_octets(&key, entry);
    return key;
}

struct index_key key_numbers(struct partition partition)
{
    struct index_key key = key_begin(TABLE_NUMBERS);
    key_partition(&key, partition);
    return key;
}

struct index_key key_owner(blob_id blob, struct partition partition, struct str entry)
{
    struct index_key key = key_owners_of(blob);
    key_partition(&key, partition);
    key_octets(&key, entry);
    return key;
}

struct index_key key_owners_of(blob_id blob)
{
    struct index_key key = key_begin(TABLE_OWNER);
    key_number(&key, blob);
    return key;
}

struct index_key key_place(blob_id blob)
{
    struct index_key key = key_begin(TABLE_PLACE);
    key_number(&key, blob);
    return key;
}

struct index_key key_segment(uint64_t segment)
{
    struct index_key key = key_begin(TABLE_SEGMENT);
    key_number(&key, segment);
    return key;
}

struct index_key key_counts(void)
{
    struct index_key key = key_begin(TABLE_META);
    key_octets(&key, STR("counts"));
    return key;
}

struct index_key key_group(void)
{
    struct index_key key = key_begin(TABLE_META);
    key_octets(&key, STR("group"));
    return key;
}

static void value_u64(unsigned char *to, uint64_t v)
{
    v = htole64(v);
    memcpy(to, &v, sizeof(v));
}

static void value_u32(unsigned char *to, uint32_t v)
{
    v = htole32(v);
    memcpy(to, &v, sizeof(v));
}

void value_numbers_encode(const struct numbers *numbers, unsigned char to[VALUE_NUMBERS_SIZE])
{
    value_u32(to, numbers->uid_next);
    value_u64(to + 4, numbers->modseq_next);
}

bool value_numbers_decode(struct str value, struct numbers *numbers_r)
{
    struct wire_in in = wire_in(value);
    numbers_r->uid_next = wire_get_u32(&in);
    numbers_r->modseq_next = wire_get_u64(&in);
    return wire_end(&in);
}

void value_place_encode(const struct place *place, unsigned char to[VALUE_PLACE_SIZE])
{
    value_u64(to, place->segment);
    value_u64(to + 8, place->offset);
    value_u32(to + 16, place->head);
    value_u64(to + 20, place->body);
    value_u64(to + 28, place->in_log);
    to[36] = place->external;
}

bool value_place_decode(struct str value, struct place *place_r)
{
    struct wire_in in = wire_in(value);
    place_r->segment = wire_get_u64(&in);
    place_r->offset = wire_get_u64(&in);
    place_r->head = wire_get_u32(&in);
    place_r->body = wire_get_u64(&in);
    place_r->in_log = wire_get_u64(&in);
    place_r->external = wire_get_u8(&in) != 0;
    return wire_end(&in);
}

void value_segment_encode(const struct segment_use *use, unsigned char to[VALUE_SEGMENT_SIZE])
{
    value_u64(to, use->live);
    value_u64(to + 8, use->blobs);
}

bool value_segment_decode(struct str value, struct segment_use *use_r)
{
    struct wire_in in = wire_in(value);
    use_r->live = wire_get_u64(&in);
    use_r->blobs = wire_get_u64(&in);
    return wire_end(&in);
}

void value_counts_encode(const struct store_counts *counts, unsigned char to[VALUE_COUNTS_SIZE])
{
    value_u64(to, counts->blob_next);
    value_u64(to + 8, counts->entries);
    value_u64(to + 16, counts->blobs);
    value_u64(to + 24, counts->external);
}

bool value_counts_decode(struct str value, struct store_counts *counts_r)
{
    struct wire_in in = wire_in(value);
    counts_r->blob_next = wire_get_u64(&in);
    counts_r->entries = wire_get_u64(&in);
    counts_r->blobs = wire_get_u64(&in);
    counts_r->external = wire_get_u64(&in);
    return wire_end(&in);
}

bool value_entry_decode(struct str value, blob_id *blob_r, struct str *value_r)
{
    struct wire_in in = wire_in(value);
    *blob_r = wire_get_u64(&in);
    *value_r = in.rest;
    return !in.bad;
}

void value_u64_encode(uint64_t number, unsigned char to[VALUE_U64_SIZE])
{
    value_u64(to, number);
}

bool value_u64_decode(struct str value, uint64_t *number_r)
{
    struct wire_in in = wire_in(value);
    *number_r = wire_get_u64(&in);
    return wire_end(&in);
}
