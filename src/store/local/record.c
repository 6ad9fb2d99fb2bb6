/*
 * The octets of the log, written and checked.
 *
 * Everything has a fixed place and is written straight into the record's memory, whose size is
 * known before the commit has its turn (deltas_size): so a commit's bodies are copied once, to
 * where they are written from, and putting a group together touches only headers and deltas. A
 * cursor that grew a buffer would have copied bodies again when the buffer moved.
 *
 * Reading trusts nothing: sizes are compared in 64 bits before any octet is looked at, and sums are
 * checked before fields are believed.
 */
#include "store/local/format.h"

#include <endian.h>

#include "base/crc.h"
#include "base/must.h"

static const char segment_magic[8] = {'V', 'R', 'D', 'S', 'E', 'G', 0, 0};

enum {
    RECORD_MAGIC = 0x43455256, /* "VREC" */
    BLOB_MAGIC = 0x424c4256,   /* "VBLB" */
    FOOT_MAGIC = 0x59444256,   /* "VBDY" */
    BLOB_EXTERNAL = 1,
};

static void put_u32(unsigned char *to, uint32_t v)
{
    v = htole32(v);
    memcpy(to, &v, sizeof(v));
}

static void put_u64(unsigned char *to, uint64_t v)
{
    v = htole64(v);
    memcpy(to, &v, sizeof(v));
}

static uint32_t get_u32(const char *from)
{
    uint32_t v;
    memcpy(&v, from, sizeof(v));
    return le32toh(v);
}

static uint64_t get_u64(const char *from)
{
    uint64_t v;
    memcpy(&v, from, sizeof(v));
    return le64toh(v);
}

/* Many headers keep their sum at 4 and sum what follows it. */
static void put_sum(unsigned char *to, size_t n, uint32_t salt)
{
    put_u32(to + 4, crc32c(salt, str_make(to + 8, n - 8)));
}

static bool sum_fits(const char *from, size_t n, uint32_t salt)
{
    return get_u32(from + 4) == crc32c(salt, str_make(from + 8, n - 8));
}

uint32_t blob_seed(blob_id blob)
{
    unsigned char octets[8];
    put_u64(octets, blob);
    return crc32c(0, str_make(octets, sizeof(octets)));
}

/* --- Segments -------------------------------------------------------------------------------- */

void segment_header_encode(const struct segment_header *header,
                           unsigned char to[SEGMENT_HEADER_USED])
{
    memset(to, 0, SEGMENT_HEADER_USED);
    memcpy(to, segment_magic, sizeof(segment_magic));
    put_u32(to + 8, FORMAT_VERSION);
    put_u64(to + 16, header->sequence);
    put_u64(to + 24, header->previous);
    put_u64(to + 32, header->previous_end);
    put_u64(to + 40, header->first_group);
    put_u64(to + 48, (uint64_t)header->made);
    put_u32(to + 56, header->salt);
    put_u32(to + 12, crc32c(0, str_make(to + 16, SEGMENT_HEADER_USED - 16)));
}

void segment_header_hints(struct str octets, struct segment_header *header_r)
{
    const char *from = octets.p;
    must(octets.n >= SEGMENT_HEADER_USED);
    *header_r = (struct segment_header){
        .sequence = get_u64(from + 16),
        .previous = get_u64(from + 24),
        .previous_end = get_u64(from + 32),
        .first_group = get_u64(from + 40),
        .made = (int64_t)get_u64(from + 48),
        .salt = get_u32(from + 56),
    };
}

bool segment_header_is_as_it_was(struct str octets, const struct segment_header *header)
{
    unsigned char whole[SEGMENT_HEADER_USED];
    must(octets.n >= SEGMENT_HEADER_USED);
    segment_header_encode(header, whole);
    return get_u32(octets.p + 12) == get_u32((const char *)whole + 12);
}

enum format_state segment_header_decode(struct str octets, struct segment_header *header_r)
{
    const char *from = octets.p;
    if (octets.n < SEGMENT_HEADER_USED || memcmp(from, segment_magic, sizeof(segment_magic)) != 0)
        return FORMAT_BAD;
    /* The version comes before the sum: a later one may sum otherwise. */
    if (get_u32(from + 8) > FORMAT_VERSION)
        return FORMAT_FUTURE;
    if (get_u32(from + 8) == 0 ||
        get_u32(from + 12) != crc32c(0, str_make(from + 16, SEGMENT_HEADER_USED - 16)))
        return FORMAT_BAD;
    segment_header_hints(octets, header_r);
    return header_r->sequence == 0 || header_r->previous >= header_r->sequence ? FORMAT_BAD
                                                                               : FORMAT_WHOLE;
}

/* --- Records --------------------------------------------------------------------------------- */

void record_header_encode(const struct record_header *header, uint32_t salt,
                          unsigned char to[RECORD_HEADER_SIZE])
{
    put_u32(to, RECORD_MAGIC);
    put_u64(to + 8, header->segment);
    put_u64(to + 16, header->group);
    put_u32(to + 24, header->index);
    put_u32(to + 28, header->count);
    put_u32(to + 32, header->kind);
    put_u32(to + 36, header->size);
    put_u32(to + 40, header->deltas);
    put_u32(to + 44, header->blobs);
    put_u32(to + 48, header->deltas_sum);
    put_u32(to + 52, 0);
    put_u64(to + 56, (uint64_t)header->ordered);
    put_sum(to, RECORD_HEADER_SIZE, salt);
}

static bool record_makes_sense(const struct record_header *header)
{
    return header->kind >= RECORD_COMMIT && header->kind <= RECORD_MOVE &&
           header->index < header->count && header->segment != 0 && header->group != 0 &&
           header->size % RECORD_ALIGN == 0 && header->deltas % RECORD_ALIGN == 0 &&
           header->size >= RECORD_HEADER_SIZE &&
           header->deltas <= header->size - RECORD_HEADER_SIZE &&
           header->blobs <= (header->size - RECORD_HEADER_SIZE - header->deltas) / BLOB_HEADER_SIZE;
}

bool record_header_decode(struct str octets, uint32_t salt, struct record_header *header_r)
{
    const char *from = octets.p;
    if (octets.n < RECORD_HEADER_SIZE || get_u32(from) != RECORD_MAGIC ||
        !sum_fits(from, RECORD_HEADER_SIZE, salt))
        return false;
    *header_r = (struct record_header){
        .segment = get_u64(from + 8),
        .group = get_u64(from + 16),
        .index = get_u32(from + 24),
        .count = get_u32(from + 28),
        .kind = (enum record_kind)get_u32(from + 32),
        .size = get_u32(from + 36),
        .deltas = get_u32(from + 40),
        .blobs = get_u32(from + 44),
        .deltas_sum = get_u32(from + 48),
        .ordered = (int64_t)get_u64(from + 56),
    };
    return record_makes_sense(header_r);
}

bool record_salt_solve(struct str octets, uint64_t segment, uint32_t *salt_r)
{
    const char *from = octets.p;
    if (octets.n < RECORD_HEADER_SIZE || get_u32(from) != RECORD_MAGIC ||
        get_u64(from + 8) != segment)
        return false;
    *salt_r = crc32c_seed(get_u32(from + 4), str_make(from + 8, RECORD_HEADER_SIZE - 8));
    return true;
}

bool blob_octets_fit(struct str blob, const struct blob_header *header)
{
    uint32_t seed = blob_seed(header->blob);
    struct str head = str_make(blob.p + blob_head_at(header), header->head);
    if (crc32c(seed, head) != header->head_sum)
        return false;
    struct str body = str_make(blob.p + blob_body_at(header), header->body);
    for (uint32_t i = 0; i < header->chunks; i++) {
        struct str chunk = str_head(str_from_index(body, (size_t)i * CHUNK_SIZE), CHUNK_SIZE);
        if (crc32c(seed, chunk) != get_u32(header->sums.p + (size_t)i * CHUNK_SUM_SIZE))
            return false;
    }
    return true;
}

enum format_state record_check(struct str octets, uint32_t salt, struct record_header *header_r)
{
    if (!record_header_decode(octets, salt, header_r))
        return FORMAT_BAD;
    if (octets.n < header_r->size)
        return FORMAT_TOO_SHORT;
    struct str record = str_head(octets, header_r->size);
    if (crc32c(0, str_make(record.p + RECORD_HEADER_SIZE, header_r->deltas)) !=
        header_r->deltas_sum)
        return FORMAT_BAD;
    struct blob_walk walk;
    struct blob_header blob;
    uint64_t at;
    blob_walk_init(&walk, header_r, record);
    while (blob_walk_next(&walk, &blob, &at))
        if (blob.segment != header_r->segment ||
            !blob_octets_fit(str_from_index(record, at), &blob))
            return FORMAT_BODY_BAD;
    return walk.left == 0 && walk.rest.n == 0 ? FORMAT_WHOLE : FORMAT_BODY_BAD;
}

/* --- Blobs ----------------------------------------------------------------------------------- */

uint64_t blob_size_in_log(uint64_t head, uint64_t body, bool external)
{
    uint64_t inline_body = external ? 0 : body;
    return format_align(BLOB_HEADER_SIZE + chunk_count(inline_body) * CHUNK_SUM_SIZE + head +
                        inline_body);
}

void blob_header_encode(const struct blob_header *header, unsigned char *to)
{
    put_u32(to, BLOB_MAGIC);
    put_u64(to + 8, header->blob);
    put_u64(to + 16, header->segment);
    put_u32(to + 24, header->head);
    put_u32(to + 28, header->chunks);
    put_u64(to + 32, header->body);
    put_u32(to + 40, header->head_sum);
    put_u32(to + 44, header->external ? BLOB_EXTERNAL : 0);
    put_sum(to, BLOB_HEADER_SIZE + (size_t)header->chunks * CHUNK_SUM_SIZE, 0);
}

/* A stored size is believed only as far as the kind of the blob allows it. */
static bool blob_makes_sense(const struct blob_header *header)
{
    if (header->head > ENGINE_HEAD_MAX || header->blob == 0)
        return false;
    if (header->external)
        return header->chunks == 0 && header->body <= INT64_MAX;
    return header->body <= UINT32_MAX && header->chunks == chunk_count(header->body);
}

bool blob_header_decode(struct str octets, struct blob_header *header_r)
{
    const char *from = octets.p;
    if (octets.n < BLOB_HEADER_SIZE || get_u32(from) != BLOB_MAGIC ||
        get_u32(from + 28) > (octets.n - BLOB_HEADER_SIZE) / CHUNK_SUM_SIZE)
        return false;
    size_t sums = (size_t)get_u32(from + 28) * CHUNK_SUM_SIZE;
    if (!sum_fits(from, BLOB_HEADER_SIZE + sums, 0) || get_u32(from + 44) > BLOB_EXTERNAL)
        return false;
    *header_r = (struct blob_header){
        .blob = get_u64(from + 8),
        .segment = get_u64(from + 16),
        .head = get_u32(from + 24),
        .chunks = get_u32(from + 28),
        .body = get_u64(from + 32),
        .head_sum = get_u32(from + 40),
        .external = get_u32(from + 44) == BLOB_EXTERNAL,
        .sums = str_make(from + BLOB_HEADER_SIZE, sums),
    };
    return blob_makes_sense(header_r);
}

static unsigned char *copy_parts(unsigned char *to, const struct iovec *parts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (parts[i].iov_len > 0)
            memcpy(to, parts[i].iov_base, parts[i].iov_len);
        to += parts[i].iov_len;
    }
    return to;
}

void blob_lay_down(const struct blob_put *put, unsigned char *to, struct blob_header *header_r)
{
    uint64_t body = 0;
    for (size_t i = 0; i < put->body_parts; i++)
        body += put->body[i].iov_len;
    uint32_t seed = blob_seed(put->blob);
    *header_r = (struct blob_header){
        .blob = put->blob,
        .head = (uint32_t)put->head.n,
        .chunks = (uint32_t)chunk_count(body),
        .body = body,
        .head_sum = crc32c(seed, put->head),
    };
    unsigned char *sums = to + BLOB_HEADER_SIZE;
    header_r->sums = str_make(sums, (size_t)header_r->chunks * CHUNK_SUM_SIZE);
    if (put->head.n > 0)
        memcpy(to + blob_head_at(header_r), put->head.p, put->head.n);
    unsigned char *at = to + blob_body_at(header_r);
    /* Summed from our copy: what the caller shows us may be memory that others still write. */
    (void)copy_parts(at, put->body, put->body_parts);
    for (uint32_t i = 0; i < header_r->chunks; i++) {
        struct str rest = str_make(at, body);
        struct str chunk = str_head(str_from_index(rest, (size_t)i * CHUNK_SIZE), CHUNK_SIZE);
        put_u32(sums + (size_t)i * CHUNK_SUM_SIZE, crc32c(seed, chunk));
    }
}

void blob_walk_init(struct blob_walk *walk, const struct record_header *header, struct str record)
{
    uint64_t at = RECORD_HEADER_SIZE + (uint64_t)header->deltas;
    *walk = (struct blob_walk){
        .rest = str_from_index(str_head(record, header->size), at),
        .at = at,
        .left = header->blobs,
    };
}

bool blob_walk_next(struct blob_walk *walk, struct blob_header *header_r, uint64_t *at_r)
{
    if (walk->left == 0 || !blob_header_decode(walk->rest, header_r))
        return false;
    uint64_t size = blob_size_in_log(header_r->head, header_r->body, header_r->external);
    if (size > walk->rest.n)
        return false;
    *at_r = walk->at;
    walk->rest = str_from_index(walk->rest, size);
    walk->at += size;
    walk->left--;
    return true;
}

/* --- Deltas ---------------------------------------------------------------------------------- */

static bool op_is_change(enum op_kind kind)
{
    return kind == OP_PUT || kind == OP_REMOVE || kind == OP_APPEND || kind == OP_ADD;
}

/* An operation's first octet: its kind, and what else is there. */
enum {
    OP_KIND = 0x0f,
    OP_STAMPED = 0x10,
    OP_HAS_UID = 0x20,
    OP_HAS_MODSEQ = 0x40,
    OP_HAS_BLOB = 0x80
};

/* UID and modseq are given at its turn: so they have a fixed size. */
static uint64_t op_size(const struct op *op)
{
    size_t key = op->key.n + (op->kind == OP_APPEND ? 4 : 0);
    uint64_t size = 2 + wire_varint_size(op->partition.id);
    size += op->kind == OP_APPEND || op->uid ? 4 : 0;
    size += op->stamp || op->modseq ? 8 : 0;
    size += op->blob ? wire_varint_size(op->blob) : 0;
    return size + wire_varint_size(key) + key + wire_varint_size(op->value.n) + op->value.n;
}

uint64_t deltas_size(const struct commit *commit)
{
    uint64_t size = 4 + commit->tag.n + 4;
    for (size_t i = 0; i < commit->op_count; i++)
        if (op_is_change(commit->ops[i].kind))
            size += op_size(&commit->ops[i]);
    return format_align(size);
}

static void put_octets(struct delta_writer *writer, const void *from, size_t n)
{
    must(n <= (size_t)(writer->end - writer->at));
    if (n > 0)
        memcpy(writer->at, from, n);
    writer->at += n;
}

static void put_number(struct delta_writer *writer, uint64_t v, size_t n)
{
    v = htole64(v);
    put_octets(writer, &v, n);
}

static void put_varint(struct delta_writer *writer, uint64_t v)
{
    unsigned char octets[WIRE_VARINT_MAX];
    put_octets(writer, octets, wire_varint(octets, v));
}

static void put_short(struct delta_writer *writer, struct str s)
{
    put_varint(writer, s.n);
    put_octets(writer, s.p, s.n);
}

void deltas_begin(struct delta_writer *writer, unsigned char *to, uint64_t size, struct str tag)
{
    *writer = (struct delta_writer){.at = to, .end = to + size};
    put_number(writer, tag.n, 4);
    put_octets(writer, tag.p, tag.n);
    writer->count_at = writer->at;
    put_number(writer, 0, 4);
}

void deltas_op(struct delta_writer *writer, const struct op *op)
{
    must(op_is_change(op->kind));
    unsigned first = op->kind | (op->stamp ? OP_STAMPED : 0) | (op->uid ? OP_HAS_UID : 0) |
                     (op->modseq ? OP_HAS_MODSEQ : 0) | (op->blob ? OP_HAS_BLOB : 0);
    put_number(writer, first, 1);
    put_number(writer, op->partition.kind, 1);
    put_varint(writer, op->partition.id);
    if (op->uid)
        put_number(writer, op->uid, 4);
    if (op->modseq)
        put_number(writer, op->modseq, 8);
    if (op->blob)
        put_varint(writer, op->blob);
    put_short(writer, op->key);
    put_short(writer, op->value);
    writer->count++;
}

void deltas_end(struct delta_writer *writer)
{
    put_u32(writer->count_at, writer->count);
    memset(writer->at, 0, (size_t)(writer->end - writer->at));
    writer->at = writer->end;
}

static struct op get_op(struct wire_in *in)
{
    unsigned first = wire_get_u8(in);
    struct op op = {.kind = (enum op_kind)(first & OP_KIND), .stamp = first & OP_STAMPED};
    op.partition.kind = (enum partition_kind)wire_get_u8(in);
    op.partition.id = wire_get_varint(in);
    op.uid = first & OP_HAS_UID ? wire_get_u32(in) : 0;
    op.modseq = first & OP_HAS_MODSEQ ? wire_get_u64(in) : 0;
    op.blob = first & OP_HAS_BLOB ? wire_get_varint(in) : 0;
    op.key = wire_get_short(in);
    op.value = wire_get_short(in);
    if (!op_is_change(op.kind) || op.key.n > ENGINE_KEY_MAX + 4 || op.value.n > ENGINE_VALUE_MAX)
        in->bad = true;
    return op;
}

bool deltas_decode(struct str deltas, struct arena *arena, struct str *tag_r, struct op **ops_r,
                   size_t *count_r)
{
    struct wire_in in = wire_in(deltas);
    *tag_r = wire_get_str(&in);
    uint32_t count = wire_get_u32(&in);
    if (in.bad || count > ENGINE_COMMIT_OPS_MAX || count > in.rest.n / OP_LEAST)
        return false;
    struct op *ops = arena_take_array(arena, count, sizeof(*ops));
    if (!ops)
        return false;
    for (uint32_t i = 0; i < count; i++)
        ops[i] = get_op(&in);
    *ops_r = ops;
    *count_r = count;
    return !in.bad;
}

/* --- Body files ------------------------------------------------------------------------------ */

void body_foot_encode(const struct body_foot *foot, unsigned char to[BODY_FOOT_SIZE])
{
    memset(to, 0, BODY_FOOT_SIZE);
    put_u32(to, FOOT_MAGIC);
    put_u64(to + 8, foot->blob);
    put_u64(to + 16, foot->body);
    put_u32(to + 24, foot->chunks);
    put_u32(to + 28, foot->sums_sum);
    put_sum(to, BODY_FOOT_SIZE, 0);
}

bool body_foot_decode(struct str octets, struct body_foot *foot_r)
{
    const char *from = octets.p;
    if (octets.n < BODY_FOOT_SIZE || get_u32(from) != FOOT_MAGIC ||
        !sum_fits(from, BODY_FOOT_SIZE, 0))
        return false;
    *foot_r = (struct body_foot){
        .blob = get_u64(from + 8),
        .body = get_u64(from + 16),
        .chunks = get_u32(from + 24),
        .sums_sum = get_u32(from + 28),
    };
    return foot_r->body <= INT64_MAX && foot_r->chunks == chunk_count(foot_r->body);
}
