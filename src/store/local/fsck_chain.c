/*
 * The chain of segments, where the log above the index could not be read at all: a header is
 * damaged, or a file is gone.
 *
 * What a header says is also known elsewhere: its sequence from its name, the salt from the
 * records (a sum and its octets have exactly one seed), the segment before it from the folder, and
 * where that one ended from its own groups. The damaged octets only give hints; a hint counts where
 * the records agree with it. A salt that follows from a record is believed only of the record that
 * begins the segment: further on lie bodies, which a stranger wrote.
 *
 * Where a segment stood before the one that is mended and its number is not the one below, nobody
 * knows whether it ever was: then the header says so, and a missing segment is one case, not two.
 * A missing segment is left out of the chain: the one behind it is given the one before it. All
 * that is known of what is lost is told and listed. Headers are mended from the lowest up, because
 * a segment's end is looked for with its own header.
 */
#include "store/local/fsck.h"

enum {
    LOOK_STEP = 1024 * 1024,
    LOST_WORDS = 256,
};

/* The end of a segment that is gone. */
#define END_UNKNOWN ((uint64_t)INT64_MAX)

/* A segment, looked at without its neighbours. */
struct look {
    struct world *world;
    int file;
    uint64_t file_size;
    char octets[SEGMENT_HEADER_USED];
    struct segment_header header; /* as it stands, as far as proven */
    bool whole;                   /* the header is */
    bool salted;                  /* the salt fits records here */
    bool written;                 /* something of a record of this segment is here */
    uint64_t first;               /* number of the first group; 0: none */
    /* Where its groups end. */
    uint64_t hint; /* an end that counts if a group ends there */
    uint64_t end;
    uint64_t group; /* the number of the last; 0: none */
    struct err err;
};

/* --- One segment: on the reader lane -----------------------------------------------------------
 */

/* Does this salt show records? From the first on, or `anywhere`. */
static bool salt_fits(struct look *look, uint32_t salt, bool anywhere)
{
    struct scan scan;
    struct scanned found;
    look->header.salt = salt;
    /* As if the end were known: a torn record at the end shows the salt as well. */
    scan_init(&scan, look->world, look->file, &look->header, look->file_size, true);
    enum scan_state state = scan_next(&scan, &found);
    if (state != SCAN_RECORD && state != SCAN_BODY_BAD && state != SCAN_FAILED && anywhere &&
        scan_resync(&scan))
        state = scan_next(&scan, &found);
    bool fits = state == SCAN_RECORD || state == SCAN_BODY_BAD;
    if (fits)
        look->first = found.header.group;
    look->err = scan.err;
    scan_done(&scan);
    return fits;
}

static ssize_t octets_at(struct look *look, void *to, size_t n, uint64_t at)
{
    ssize_t got = look->world->ops->file_read(look->world, look->file, to, n, at);
    if (got < 0)
        look->err = err_os((int)-got, STR("segment"));
    return got;
}

/* Is there anything that could be a record of this segment? */
static bool anything_written(struct look *look)
{
    char *octets = malloc(LOOK_STEP);
    bool any = false;
    if (!octets)
        look->err = err_make(ERR_NO_MEMORY);
    for (uint64_t at = SEGMENT_HEADER_SIZE; octets && !any && !err_is(look->err);) {
        ssize_t got = octets_at(look, octets, LOOK_STEP, at);
        if (got < RECORD_HEADER_SIZE)
            break;
        struct str part = str_make(octets, (size_t)got);
        uint32_t salt;
        for (size_t i = 0; i + RECORD_HEADER_SIZE <= part.n && !any; i += RECORD_ALIGN)
            any = record_salt_solve(str_from_index(part, i), look->header.sequence, &salt);
        /* A header that begins in the last octets is whole in the next step. */
        at += format_align(part.n - RECORD_HEADER_SIZE + 1);
    }
    free(octets);
    return any;
}

static void salt_prove(struct look *look)
{
    char record[RECORD_HEADER_SIZE];
    uint32_t hinted = look->header.salt;
    uint32_t salt;
    look->salted = salt_fits(look, hinted, true);
    if (look->salted || err_is(look->err))
        return;
    ssize_t got = octets_at(look, record, sizeof record, SEGMENT_HEADER_SIZE);
    if (got == sizeof record &&
        record_salt_solve(str_make(record, sizeof record), look->header.sequence, &salt))
        look->salted = salt_fits(look, salt, false);
    if (!look->salted)
        look->header.salt = hinted;
}

static void look_run(void *arg)
{
    struct look *look = arg;
    uint64_t sequence = look->header.sequence;
    if (octets_at(look, look->octets, sizeof look->octets, 0) < 0)
        return;
    struct str octets = str_make(look->octets, sizeof look->octets);
    look->whole = segment_header_decode(octets, &look->header) == FORMAT_WHOLE &&
                  look->header.sequence == sequence;
    look->salted = look->whole;
    if (look->whole)
        return;
    segment_header_hints(octets, &look->header);
    look->header.sequence = sequence;
    salt_prove(look);
    look->written = look->salted || (!err_is(look->err) && anything_written(look));
}

/* Where the groups end: at the hint if one ends there, else behind the last that is whole. Without
 * a salt nothing in it can be told apart: its end is the file's. */
static void end_run(void *arg)
{
    struct look *look = arg;
    struct scan scan;
    struct scanned found;
    look->end = look->salted || !look->written ? (uint64_t)SEGMENT_HEADER_SIZE : look->file_size;
    if (!look->salted)
        return;
    bool hinted = look->hint == SEGMENT_HEADER_SIZE;
    scan_init(&scan, look->world, look->file, &look->header, look->file_size, false);
    for (;;) {
        enum scan_state state = scan_next(&scan, &found);
        if (state == SCAN_END || state == SCAN_FAILED ||
            (state == SCAN_DAMAGED && !scan_resync(&scan)))
            break;
        if (state == SCAN_DAMAGED || found.header.index + 1 != found.header.count)
            continue;
        look->end = scan.at;
        look->group = found.header.group;
        hinted |= scan.at == look->hint;
    }
    if (hinted)
        look->end = look->hint;
    look->err = scan.err;
    scan_done(&scan);
}

/* May yield. Runs look_run, and end_run with it where `end`. */
static struct err look_at(struct local *local, struct segment *segment, bool end, uint64_t hint,
                          struct look *look)
{
    *look = (struct look){.world = local->world,
                          .file_size = segment->file_size,
                          .header = {.sequence = segment->sequence},
                          .hint = hint};
    struct err e = segment_pin(&local->segments, segment);
    if (err_is(e))
        return e;
    look->file = segment->file;
    lane_call(&local->reader, look_run, look);
    if (end && !err_is(look->err))
        lane_call(&local->reader, end_run, look);
    segment_unpin(&local->segments, segment);
    return look->err;
}

/* --- Damaged headers ---------------------------------------------------------------------------
 */

static struct segment *segment_below(struct segment *segment)
{
    return TAILQ_PREV(segment, segment_list, link);
}

/* What the header is to say of the segment before it. `below`: look_at's, or NULL: there is none.
 */
static void before_fill(struct segment_header *header, const struct look *below)
{
    uint64_t lower = below ? below->header.sequence : 0;
    bool stated = header->previous > lower && header->previous < header->sequence;
    if (lower + 1 == header->sequence || header->previous == lower) {
        header->previous = lower;
        header->previous_end = below ? below->end : 0;
    } else if (!stated) {
        header->previous = header->sequence - 1;
        header->previous_end = END_UNKNOWN;
    }
}

/* The number of the first group that may lie here. */
static void first_group_fill(struct look *look, const struct look *below)
{
    uint64_t least = below ? below->group + 1 : 1;
    uint64_t stated = look->header.first_group;
    if (stated < least || stated > look->first)
        look->header.first_group = look->first > 0 ? look->first : least;
}

static struct err header_write(struct fsck *fsck, struct segment *segment,
                               const struct segment_header *header)
{
    struct local *local = fsck->local;
    if (!fsck->repair)
        return err_none();
    buf_printf(&fsck->list,
               "segment %llu: its first octets are kept as quarantine/header-%016llx\n",
               (unsigned long long)segment->sequence, (unsigned long long)segment->sequence);
    return segment_header_mend(&local->segments, segment, header, local->folder);
}

static struct err header_mend(struct fsck *fsck, struct segment *segment, struct look *look)
{
    struct segment *lower = segment_below(segment);
    struct look below;
    struct err e = err_none();
    if (lower)
        e = look_at(fsck->local, lower, true, look->header.previous_end, &below);
    if (err_is(e))
        return e;
    before_fill(&look->header, lower ? &below : NULL);
    first_group_fill(look, lower ? &below : NULL);
    struct str octets = str_make(look->octets, sizeof look->octets);
    const char *how = segment_header_is_as_it_was(octets, &look->header) ? "as it was"
                      : look->salted  ? "from its records and its neighbour"
                      : look->written ? "but its records could not be told apart"
                                      : "though no record is behind it";
    fsck_found(fsck, fsck->repair, "segment %llu: its header is damaged; written again %s",
               (unsigned long long)segment->sequence, how);
    if (!look->salted)
        fsck->log_broken = fsck->lost = true;
    return header_write(fsck, segment, &look->header);
}

/* A segment whose records cannot be told apart ends where its file does, so that nothing is
 * written over them: the log goes on in one behind it. */
static struct err segment_behind(struct fsck *fsck, const struct look *last, uint64_t sequence,
                                 uint64_t group)
{
    struct local *local = fsck->local;
    struct segment_header header = {
        .sequence = sequence,
        .previous = last ? last->header.sequence : 0,
        .previous_end = last ? last->end : 0,
        .first_group = last && last->group >= group ? last->group + 1 : group + 1,
        .made = world_wall(local->world),
    };
    if (!fsck->repair)
        return err_none();
    world_random(local->world, &header.salt, sizeof header.salt);
    struct segment_make make;
    segment_make_begin(&local->segments, &header, &make);
    segment_make_run(&make);
    struct segment *segment = segment_make_end(&local->segments, &make);
    if (!segment)
        return make.err;
    segment_unpin(&local->segments, segment);
    return err_none();
}

/* *any_r: there was one. */
static struct err headers_mend(struct fsck *fsck, struct log_position from, bool *any_r)
{
    struct local *local = fsck->local;
    struct segment *newest = segment_last(&local->segments);
    struct segment *segment;
    struct look look = {.salted = true};
    struct err e = err_none();
    *any_r = false;
    TAILQ_FOREACH (segment, &local->segments.list, link) {
        if (segment->sequence < from.segment)
            continue;
        e = look_at(local, segment, segment == newest, 0, &look);
        if (err_is(e))
            return e;
        if (look.whole)
            continue;
        *any_r = true;
        e = header_mend(fsck, segment, &look);
        if (err_is(e))
            return e;
    }
    if (newest && *any_r && look.written && !look.salted)
        e = segment_behind(fsck, &look, newest->sequence + 1, 0);
    return e;
}

/* --- Missing segments --------------------------------------------------------------------------
 */

/* Tells and lists what is lost; from now on the log has a hole. */
static void lost(struct fsck *fsck, const struct look *below, struct log_position from,
                 const struct segment_header *behind)
{
    struct buf words = BUF_INIT(LOST_WORDS);
    struct log_position last = from;
    if (below && below->header.sequence >= from.segment)
        last = (struct log_position){below->header.sequence, below->end};
    if (last.segment == 0)
        buf_put(&words, STR("a segment is missing: what the log held"));
    else
        buf_printf(&words,
                   "a segment is missing: what the log held behind segment %llu, octet %llu",
                   (unsigned long long)last.segment, (unsigned long long)last.offset);
    if (behind)
        buf_printf(&words, " and before segment %llu (groups before %llu)",
                   (unsigned long long)behind->sequence, (unsigned long long)behind->first_group);
    buf_put(&words, STR(" is lost"));
    fsck_found(fsck, fsck->repair, "%.*s", STR_FMT(buf_str(&words)));
    buf_printf(&fsck->list, "%.*s\n", STR_FMT(buf_str(&words)));
    buf_done(&words);
    fsck->log_broken = true;
    fsck->lost = true;
}

/* The segment before `look`'s is gone: the one below takes its place in the chain. */
static struct err link_mend(struct fsck *fsck, struct segment *segment, struct look *look,
                            struct log_position from)
{
    struct segment *lower = segment_below(segment);
    struct look below;
    struct err e = err_none();
    if (lower)
        e = look_at(fsck->local, lower, true, look->header.previous_end, &below);
    if (err_is(e))
        return e;
    lost(fsck, lower ? &below : NULL, from, &look->header);
    look->header.previous = lower ? lower->sequence : 0;
    look->header.previous_end = lower ? below.end : 0;
    return header_write(fsck, segment, &look->header);
}

/* The segment that the index' position lies in is gone, and none follows. */
static struct err newest_mend(struct fsck *fsck, struct log_position from)
{
    struct segment *newest = segment_last(&fsck->local->segments);
    struct look last;
    struct err e = err_none();
    if (newest)
        e = look_at(fsck->local, newest, true, 0, &last);
    if (err_is(e))
        return e;
    lost(fsck, newest ? &last : NULL, from, NULL);
    return segment_behind(fsck, newest ? &last : NULL, from.segment + 1, fsck->local->group_next);
}

static struct err links_mend(struct fsck *fsck, struct log_position from)
{
    struct local *local = fsck->local;
    struct segment *segment = segment_last(&local->segments);
    if (!segment || segment->sequence < from.segment)
        return newest_mend(fsck, from);
    while (segment) {
        struct look look;
        struct err e = look_at(local, segment, false, 0, &look);
        if (err_is(e))
            return e;
        /* Not whole: only where nothing is mended. */
        if (!look.whole || chain_reaches(&look.header, from))
            break;
        struct segment *before = segment_find(&local->segments, look.header.previous);
        if (!before)
            e = link_mend(fsck, segment, &look, from);
        if (err_is(e))
            return e;
        segment = before ? before : segment_find(&local->segments, look.header.previous);
    }
    return err_none();
}

/* --- Numbers that may have been given ----------------------------------------------------------
 */

/* More than a segment can have given. */
static uint64_t numbers_of_a_segment(const struct local *local)
{
    return local->settings.segment_size / OP_LEAST;
}

struct err fsck_numbers_leap(struct fsck *fsck)
{
    struct index *index = fsck->local->index;
    uint64_t leap = numbers_of_a_segment(fsck->local);
    const char table = TABLE_NUMBERS;
    struct index_view *view;
    struct str key, value;
    struct err e = index->ops->view_begin(index, &view);
    if (err_is(e))
        return e;
    bool more = index->ops->seek(view, str_make(&table, 1), &key, &value);
    for (; more && key.p[0] == table; more = index->ops->next(view, &key, &value)) {
        struct numbers numbers;
        unsigned char octets[VALUE_NUMBERS_SIZE];
        if (!value_numbers_decode(value, &numbers))
            continue;
        if (numbers.uid_next < UINT32_MAX - leap)
            numbers.uid_next += (uint32_t)leap;
        numbers.modseq_next += leap;
        value_numbers_encode(&numbers, octets);
        fsck_row(fsck, key, str_make(octets, sizeof octets));
    }
    index->ops->view_end(index, view);
    return e;
}

/* --- All of it ---------------------------------------------------------------------------------
 */

/* With the headers mended a checkpoint may be whole again that the index was not built from. */
static struct err read_again(struct fsck *fsck, struct log_position from)
{
    bool behind = false;
    struct err e = checkpoint_is_behind(fsck->local, from, &behind);
    if (!err_is(e) && behind)
        e = fsck_index_reset(fsck);
    return err_is(e) ? e : fsck_read_again(fsck);
}

struct err fsck_chain(struct fsck *fsck, bool *mended_r)
{
    struct local *local = fsck->local;
    bool any;
    if (!local->status.damaged || local->segment)
        return err_none();
    struct err e = headers_mend(fsck, local->applied, &any);
    if (!err_is(e) && any && fsck->repair)
        e = read_again(fsck, local->applied);
    if (!err_is(e) && !local->segment)
        e = links_mend(fsck, local->applied);
    if (err_is(e) || !fsck->repair)
        return e;
    *mended_r = true;
    return local->segment ? err_none() : fsck_read_again(fsck);
}
