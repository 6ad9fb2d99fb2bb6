/*
 * Where a segment's end is not known (the header behind it is gone, or a power cut ended it), what
 * is invalid is the end, unless a record of a later group follows: one group flies at a time, so
 * then it is damage (doc/format.md, reading the log). So is a body: the write of a group that
 * failed may have left the record whole but for octets of its body.
 */
#include "store/local/scan.h"

#include <errno.h>

#include "base/must.h"

void scan_init(struct scan *scan, struct world *world, int file,
               const struct segment_header *header, uint64_t end, bool end_known)
{
    *scan = (struct scan){.world = world,
                          .file = file,
                          .segment = header->sequence,
                          .salt = header->salt,
                          .end = end,
                          .end_known = end_known,
                          .at = SEGMENT_HEADER_SIZE};
}

void scan_done(struct scan *scan)
{
    free(scan->window);
    scan->window = NULL;
    scan->window_size = scan->window_n = 0;
}

/* The octets from `at` on, n or fewer at the end; str_null: failed. */
static struct str look(struct scan *scan, uint64_t at, size_t n)
{
    if (at >= scan->window_at && at + n <= scan->window_at + scan->window_n)
        return str_make(scan->window + (at - scan->window_at), n);
    uint64_t left = at < scan->end ? scan->end - at : 0;
    size_t wanted = n > SCAN_WINDOW ? n : SCAN_WINDOW;
    if (wanted > left)
        wanted = (size_t)left;
    if (wanted > scan->window_size) {
        unsigned char *grown = realloc(scan->window, wanted);
        if (!grown) {
            scan->err = err_make(ERR_NO_MEMORY);
            return str_null();
        }
        scan->window = grown;
        scan->window_size = wanted;
    }
    scan->window_n = 0;
    ssize_t got =
        wanted ? scan->world->ops->file_read(scan->world, scan->file, scan->window, wanted, at) : 0;
    if (got < 0) {
        scan->err = err_os((int)-got, STR("segment"));
        return str_null();
    }
    scan->window_at = at;
    scan->window_n = (size_t)got;
    return str_make(scan->window ? scan->window : (const unsigned char *)"",
                    (size_t)got < n ? (size_t)got : n);
}

static bool header_at(struct scan *scan, uint64_t at, struct record_header *header_r)
{
    struct str octets = look(scan, at, RECORD_HEADER_SIZE);
    return octets.n == RECORD_HEADER_SIZE && record_header_decode(octets, scan->salt, header_r) &&
           header_r->segment == scan->segment && header_r->size >= RECORD_HEADER_SIZE &&
           header_r->size <= scan->end - at;
}

/* The first valid header at or behind `from` of a group not before `group`; 0: none. */
static uint64_t find_header(struct scan *scan, uint64_t from, uint64_t group,
                            struct record_header *header_r)
{
    for (uint64_t at = from; at + RECORD_HEADER_SIZE <= scan->end; at += RECORD_ALIGN) {
        if (header_at(scan, at, header_r) && header_r->group >= group)
            return at;
        /* Reading failed, or a file that grows with its records ended: it may be far from `end`. */
        if (look(scan, at, RECORD_HEADER_SIZE).n < RECORD_HEADER_SIZE)
            return 0;
    }
    return 0;
}

/* Is there a record of a group behind the one that begins, invalid, at scan->at? A record that is
 * the first of its group is, and one whose group differs from another's seen here. */
static bool later_group(struct scan *scan)
{
    struct record_header header;
    uint64_t torn = 0;
    uint64_t at = scan->at;
    while ((at = find_header(scan, at + RECORD_ALIGN, scan->group + 1, &header)) > 0) {
        if (header.index == 0 || (torn > 0 && header.group != torn))
            return true;
        torn = header.group;
    }
    return false;
}

/* Is there a record of a group behind that of this one, at scan->at? */
static bool was_durable(struct scan *scan, const struct record_header *header)
{
    struct record_header later;
    return find_header(scan, scan->at + header->size, header->group + 1, &later) > 0;
}

static enum scan_state invalid(struct scan *scan)
{
    bool damaged = !err_is(scan->err) && (scan->end_known || later_group(scan));
    if (err_is(scan->err))
        return SCAN_FAILED;
    return damaged ? SCAN_DAMAGED : SCAN_END;
}

enum scan_state scan_next(struct scan *scan, struct scanned *found_r)
{
    if (scan->at >= scan->end || (!scan->end_known && scan->end - scan->at < RECORD_HEADER_SIZE))
        return SCAN_END;
    struct record_header header;
    if (!header_at(scan, scan->at, &header) || header.group < scan->group)
        return invalid(scan);
    struct str record = look(scan, scan->at, header.size);
    enum format_state state = record.p ? record_check(record, scan->salt, &header) : FORMAT_BAD;
    if (state != FORMAT_WHOLE && state != FORMAT_BODY_BAD)
        return invalid(scan);
    if (state == FORMAT_BODY_BAD && !scan->end_known) {
        if (!was_durable(scan, &header))
            return err_is(scan->err) ? SCAN_FAILED : SCAN_END;
        record = look(scan, scan->at, header.size); /* the window has moved */
        if (record.n < header.size)
            return invalid(scan);
    }
    *found_r = (struct scanned){.at = scan->at, .header = header, .record = record};
    scan->at += header.size;
    scan->group = header.group;
    return state == FORMAT_WHOLE ? SCAN_RECORD : SCAN_BODY_BAD;
}

bool scan_resync(struct scan *scan)
{
    struct record_header header;
    uint64_t at = find_header(scan, scan->at + RECORD_ALIGN, scan->group, &header);
    if (at > 0)
        scan->at = at;
    return at > 0;
}
