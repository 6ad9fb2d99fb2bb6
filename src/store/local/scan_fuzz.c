/*
 * A segment of a stranger's octets, read through. The sums of the records in it are made right
 * where there is one, or nothing would be read behind the first. Properties: the reading ends;
 * records come in order, without overlap, inside the file, in groups that never fall; each is whole
 * when it is looked at by itself; and what is found does not depend on where the file is known to
 * end, up to the first place that is no record.
 */
#include "store/local/scan.h"

#include "base/crc.h"
#include "base/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum {
    INPUT_MAX = 32768,
    MOST = INPUT_MAX / RECORD_HEADER_SIZE + 2, /* records in it */
    SEQUENCE = 1,
    SALT = 0x5a17,
    SUM_AT = 4, /* in a record's header: over what follows it, */
    DELTAS_AT = 40,
    DELTAS_SUM_AT = 48, /* and over the deltas */
};

/* The file: zeroes where the segment's header is, then the input. */
struct disk {
    struct world world;
    struct str octets;
};

static ssize_t read_disk(struct world *world, int file, void *to, size_t n, uint64_t at)
{
    const struct disk *disk = (const struct disk *)world;
    (void)file;
    size_t total = SEGMENT_HEADER_SIZE + disk->octets.n;
    must(at >= SEGMENT_HEADER_SIZE && at <= total);
    struct str part = str_head(str_from_index(disk->octets, at - SEGMENT_HEADER_SIZE), n);
    if (part.n > 0)
        memcpy(to, part.p, part.n);
    return (ssize_t)part.n;
}

static void put_u32(unsigned char *to, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        to[i] = (unsigned char)(v >> (8 * i));
}

static uint32_t get_u32(const unsigned char *from)
{
    return from[0] | (uint32_t)from[1] << 8 | (uint32_t)from[2] << 16 | (uint32_t)from[3] << 24;
}

/* A record wherever its magic begins, its sums as they should be. */
static void sums_mend(unsigned char *octets, size_t n)
{
    for (size_t at = 0; at + RECORD_HEADER_SIZE <= n; at += RECORD_ALIGN) {
        if (octets[at] != 'V')
            continue;
        uint32_t deltas = get_u32(octets + at + DELTAS_AT);
        if (deltas <= n - at - RECORD_HEADER_SIZE)
            put_u32(octets + at + DELTAS_SUM_AT,
                    crc32c(0, str_make(octets + at + RECORD_HEADER_SIZE, deltas)));
        put_u32(octets + at + SUM_AT,
                crc32c(SALT, str_make(octets + at + 8, RECORD_HEADER_SIZE - 8)));
    }
}

struct seen {
    uint64_t at[MOST];
    bool body_bad[MOST];
    size_t count;
    bool whole; /* it ended at the end, not at damage */
};

static void see(const struct scanned *found, struct seen *seen)
{
    struct record_header header;
    enum format_state state = record_check(found->record, SALT, &header);
    must(state == FORMAT_WHOLE || state == FORMAT_BODY_BAD);
    must(header.segment == SEQUENCE && found->record.n == header.size);
    must(seen->count < MOST);
    seen->body_bad[seen->count] = state == FORMAT_BODY_BAD;
    seen->at[seen->count++] = found->at;
}

static void scan_all(struct disk *disk, bool end_known, bool go_on, struct seen *seen)
{
    static const struct segment_header segment = {.sequence = SEQUENCE, .salt = SALT};
    struct scan scan;
    struct scanned found;
    uint64_t end = SEGMENT_HEADER_SIZE + disk->octets.n, at = SEGMENT_HEADER_SIZE, group = 0;
    scan_init(&scan, &disk->world, 0, &segment, end, end_known);
    *seen = (struct seen){.count = 0};
    for (size_t turns = 0;; turns++) {
        must(turns <= 2 * MOST);
        enum scan_state state = scan_next(&scan, &found);
        must(state != SCAN_FAILED);
        seen->whole = state == SCAN_END;
        if (state == SCAN_END || (state == SCAN_DAMAGED && (!go_on || !scan_resync(&scan))))
            break;
        if (state == SCAN_DAMAGED)
            continue;
        see(&found, seen);
        must(found.at >= at && found.at + found.header.size <= end && found.header.group >= group);
        at = found.at + found.header.size;
        group = found.header.group;
    }
    scan_done(&scan);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const struct world_ops ops = {.file_read = read_disk};
    static unsigned char octets[INPUT_MAX];
    static struct seen known, unknown, resumed;
    if (n == 0 || n > INPUT_MAX)
        return 0;
    memcpy(octets, data, n);
    sums_mend(octets, n);
    struct disk disk = {{WORLD_MAGIC, &ops}, str_make(octets, n)};
    scan_all(&disk, true, false, &known);
    scan_all(&disk, false, false, &unknown);
    scan_all(&disk, true, true, &resumed);
    must(unknown.count <= known.count && known.count <= resumed.count);
    for (size_t i = 0; i < known.count; i++)
        must(known.at[i] == resumed.at[i] && (i >= unknown.count || known.at[i] == unknown.at[i]));
    /* Where the end is not known, a body that is torn may be it. */
    must(unknown.count == known.count || known.body_bad[unknown.count]);
    return 0;
}
