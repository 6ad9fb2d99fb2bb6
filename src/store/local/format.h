/*
 * doc/format.md as code: what the octets of the log and of body files are. Pure: octets in, values
 * out, no file, no clock, no heap but the buffers it is given. Nothing here trusts what it reads;
 * decoded strs borrow from the input.
 */
#ifndef STORE_LOCAL_FORMAT_H
#define STORE_LOCAL_FORMAT_H

#include "base/arena.h"
#include "base/wire.h"
#include "store/engine.h"
#include "store/local/index.h"

enum {
    FORMAT_VERSION = 1,
    SEGMENT_HEADER_SIZE = 4096, /* the first group begins here */
    SEGMENT_HEADER_USED = 64,
    RECORD_HEADER_SIZE = 64,
    RECORD_ALIGN = 8,
    BLOB_HEADER_SIZE = 48,
    BODY_FOOT_SIZE = 48,
    CHUNK_SIZE = 16 * 1024,
    CHUNK_SUM_SIZE = 4,
    OP_LEAST = 5,       /* octets of an operation in the deltas: of one without key and value */
    ADD_NUMBERS_MAX = 8 /* in the row of an OP_ADD */
};

static inline uint64_t format_align(uint64_t n)
{
    return (n + (RECORD_ALIGN - 1)) & ~(uint64_t)(RECORD_ALIGN - 1);
}

static inline uint64_t chunk_count(uint64_t body)
{
    return body / CHUNK_SIZE + (body % CHUNK_SIZE != 0);
}

/* What every sum of a blob's head and chunks starts from. */
uint32_t blob_seed(blob_id blob);

/* --- Segments -------------------------------------------------------------------------------- */

struct segment_header {
    uint64_t sequence;
    uint64_t previous; /* 0: the first of the log */
    uint64_t previous_end;
    uint64_t first_group;
    int64_t made; /* wall */
    /* Random: what the sums of this segment's record headers start from, so that no body can hold
     * octets that look like a record here. */
    uint32_t salt;
};

void segment_header_encode(const struct segment_header *header,
                           unsigned char to[SEGMENT_HEADER_USED]);

enum format_state {
    FORMAT_WHOLE,
    FORMAT_BAD,       /* not ours, torn or damaged */
    FORMAT_FUTURE,    /* of a later version of this program */
    FORMAT_BODY_BAD,  /* record_check: the deltas are whole, a head or chunk is not */
    FORMAT_TOO_SHORT, /* record_check: there are fewer octets than the record has */
};

enum format_state segment_header_decode(struct str octets, struct segment_header *header_r);
/* What the fields of a damaged header say (octets: SEGMENT_HEADER_USED): hints, nothing more. */
void segment_header_hints(struct str octets, struct segment_header *header_r);
/* Does a damaged header's own sum fit the one that is to take its place? Then it is as it was. */
bool segment_header_is_as_it_was(struct str octets, const struct segment_header *header);

/* --- Records --------------------------------------------------------------------------------- */

enum record_kind {
    RECORD_COMMIT = 1,
    RECORD_CHECKPOINT = 2,
    RECORD_MOVE = 3,
};

struct record_header {
    uint64_t segment;
    uint64_t group;
    uint32_t index; /* of count, in its group */
    uint32_t count;
    enum record_kind kind;
    uint32_t size;   /* of everything */
    uint32_t deltas; /* octets */
    uint32_t blobs;
    uint32_t deltas_sum;
    int64_t ordered; /* wall */
};

void record_header_encode(const struct record_header *header, uint32_t salt,
                          unsigned char to[RECORD_HEADER_SIZE]);
/* True if sum, kind and the sizes make sense together. */
bool record_header_decode(struct str octets, uint32_t salt, struct record_header *header_r);
/* Could a record of this segment begin here, whatever the salt? *salt_r: what it then is. Proves
 * nothing: record_check does. `octets`: RECORD_HEADER_SIZE at least. */
bool record_salt_solve(struct str octets, uint64_t segment, uint32_t *salt_r);

/* Checks a whole record, sums of heads and bodies included. `octets` may go on behind it. */
enum format_state record_check(struct str octets, uint32_t salt, struct record_header *header_r);

/* --- Blobs in a record ----------------------------------------------------------------------- */

struct blob_header {
    blob_id blob;
    uint64_t segment;
    uint32_t head;   /* octets */
    uint32_t chunks; /* sums that follow; 0 if external */
    uint64_t body;   /* octets */
    uint32_t head_sum;
    bool external; /* the body lies in a file of its own */
    struct str sums;
};

/* Octets a blob takes in a record, padding included. body: octets stored inline. */
uint64_t blob_size_in_log(uint64_t head, uint64_t body, bool external);
/* Where head and body begin, from the start of the blob. */
static inline uint64_t blob_head_at(const struct blob_header *header)
{
    return BLOB_HEADER_SIZE + (uint64_t)header->chunks * CHUNK_SUM_SIZE;
}

static inline uint64_t blob_body_at(const struct blob_header *header)
{
    return blob_head_at(header) + header->head;
}

/* Writes the header's octets over the start of a blob whose chunk sums stand behind it already. */
void blob_header_encode(const struct blob_header *header, unsigned char *to);
/* `octets` must hold header and chunk sums. False: not a blob, or damaged. */
bool blob_header_decode(struct str octets, struct blob_header *header_r);
/* Do head and body match their sums? `blob`: all of it, the header too. */
bool blob_octets_fit(struct str blob, const struct blob_header *header);

/*
 * Lays head and body down at `to` (blob_size_in_log octets, zeroed) with their sums; all but the
 * header's own octets, which need the segment and are written by blob_header_encode when the group
 * is put together. *header_r is filled but for `segment`.
 */
void blob_lay_down(const struct blob_put *put, unsigned char *to, struct blob_header *header_r);

/* Walks the blobs of a record that record_check found whole, or at least its deltas. */
struct blob_walk {
    struct str rest;
    uint64_t at; /* of `rest`, from the start of the record */
    uint32_t left;
};

void blob_walk_init(struct blob_walk *walk, const struct record_header *header, struct str record);
/* False at the end, or at a header that is damaged (walk->left is then not 0). */
bool blob_walk_next(struct blob_walk *walk, struct blob_header *header_r, uint64_t *at_r);

/* --- Deltas ---------------------------------------------------------------------------------- */

/* Octets the deltas of a commit take at most: known before its turn, so that room can be kept. */
uint64_t deltas_size(const struct commit *commit);

/* An operation as it was ordered: op->key of an APPEND with its UID, op->value with its modseq or
 * sums. Preconditions are not written. Writes at most what deltas_size promised. */
struct delta_writer {
    unsigned char *at, *end;
    unsigned char *count_at;
    uint32_t count;
};

void deltas_begin(struct delta_writer *writer, unsigned char *to, uint64_t size, struct str tag);
void deltas_op(struct delta_writer *writer, const struct op *op);
/* Zeroes the rest. */
void deltas_end(struct delta_writer *writer);

/* False: damaged (or the arena is over). Keys and values borrow from `deltas`. */
bool deltas_decode(struct str deltas, struct arena *arena, struct str *tag_r, struct op **ops_r,
                   size_t *count_r);

/* --- Body files ------------------------------------------------------------------------------ */

struct body_foot {
    blob_id blob;
    uint64_t body;
    uint32_t chunks;
    uint32_t sums_sum;
};

void body_foot_encode(const struct body_foot *foot, unsigned char to[BODY_FOOT_SIZE]);
bool body_foot_decode(struct str octets, struct body_foot *foot_r);

/* Where the chunk sums and the foot of a body file lie. */
static inline uint64_t body_sums_at(uint64_t body)
{
    return format_align(body);
}

static inline uint64_t body_foot_at(uint64_t body)
{
    return body_sums_at(body) + format_align(chunk_count(body) * CHUNK_SUM_SIZE);
}

/* --- Keys and values of the index ------------------------------------------------------------ */

enum index_table {
    TABLE_ENTRY = 'e',
    TABLE_META = 'm',
    TABLE_NUMBERS = 'n',
    TABLE_OWNER = 'o',
    TABLE_PLACE = 'p',
    TABLE_SEGMENT = 's',
};

enum {
    PARTITION_KEY_SIZE = 9
};

/* A key under construction; it always fits. */
struct index_key {
    unsigned char p[INDEX_KEY_MAX];
    size_t n;
};

static inline struct str index_key_str(const struct index_key *key)
{
    return str_make(key->p, key->n);
}

struct index_key key_entry(struct partition partition, struct str key);
struct index_key key_numbers(struct partition partition);
/* With an empty partition (kind 0): the prefix of all owners of the blob. */
struct index_key key_owner(blob_id blob, struct partition partition, struct str key);
struct index_key key_owners_of(blob_id blob);
struct index_key key_place(blob_id blob);
struct index_key key_segment(uint64_t segment);
struct index_key key_counts(void);
struct index_key key_group(void); /* the number of the newest group that was ordered */

/* Where a blob is. */
struct place {
    uint64_t segment; /* 0: it was found damaged and set aside */
    uint64_t offset;  /* of the blob in the segment */
    uint32_t head;
    uint64_t body;
    uint64_t in_log; /* octets it takes in the segment */
    bool external;
};

/* What is alive in one segment. */
struct segment_use {
    uint64_t live;
    uint64_t blobs;
};

struct store_counts {
    blob_id blob_next;
    uint64_t entries;
    uint64_t blobs;
    uint64_t external; /* octets of live body files */
};

enum {
    VALUE_NUMBERS_SIZE = 12,
    VALUE_PLACE_SIZE = 37,
    VALUE_SEGMENT_SIZE = 16,
    VALUE_COUNTS_SIZE = 32,
    VALUE_U64_SIZE = 8,
    VALUE_ENTRY_EXTRA = 8, /* the blob id in front of an entry's value */
};

/* Decoders: false if the value has not the size it must have. */
void value_numbers_encode(const struct numbers *numbers, unsigned char to[VALUE_NUMBERS_SIZE]);
bool value_numbers_decode(struct str value, struct numbers *numbers_r);
void value_place_encode(const struct place *place, unsigned char to[VALUE_PLACE_SIZE]);
bool value_place_decode(struct str value, struct place *place_r);
void value_segment_encode(const struct segment_use *use, unsigned char to[VALUE_SEGMENT_SIZE]);
bool value_segment_decode(struct str value, struct segment_use *use_r);
void value_counts_encode(const struct store_counts *counts, unsigned char to[VALUE_COUNTS_SIZE]);
bool value_counts_decode(struct str value, struct store_counts *counts_r);
void value_u64_encode(uint64_t number, unsigned char to[VALUE_U64_SIZE]);
bool value_u64_decode(struct str value, uint64_t *number_r);
bool value_entry_decode(struct str value, blob_id *blob_r, struct str *value_r);

#endif
