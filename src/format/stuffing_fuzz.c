/* Properties: cuts change nothing, counting counts; on the wire each CR is followed by LF and each
 * LF comes behind CR; the only line that is a dot is the last; a reader that takes the dots off has
 * what was fed, but for bare CR and LF. */
#include "base/must.h"
#include "format/stuffing.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void stuff(struct str octets, bool dots, uint32_t seed, struct buf *buf)
{
    struct stuffing stuffing, counting;
    stuffing_init(&stuffing, dots);
    stuffing_init(&counting, dots);
    stuffing_feed(&counting, octets, NULL);
    while (octets.n) {
        seed = seed * 1664525 + 1013904223;
        struct str piece = str_head(octets, seed % 5 ? 1 + (seed >> 24) % 9 : octets.n);
        stuffing_feed(&stuffing, piece, buf);
        octets = str_from_index(octets, piece.n);
    }
    stuffing_end(&stuffing, buf);
    stuffing_end(&counting, NULL);
    must(stuffing.octets == buf->n && counting.octets == buf->n);
}

/* What a reader sees, its last CR LF taken off. */
static void unstuffed_check(struct str wire, bool dots, struct str octets)
{
    size_t at = 0;
    while (wire.n) {
        ssize_t end = str_find(wire, STR("\r\n"));
        must(end >= 0);
        struct str line = str_head(wire, (size_t)end + 2);
        wire = str_from_index(wire, line.n);
        must(str_index(str_head(line, line.n - 2), '\r') < 0);
        must(str_index(str_head(line, line.n - 2), '\n') < 0);
        if (dots && str_eq(line, STR(".\r\n"))) {
            must(wire.n == 0);
            break;
        }
        if (dots && line.p[0] == '.')
            line = str_from_index(line, 1);
        for (size_t i = 0; i < line.n; i++, at++) {
            bool ours = at >= octets.n && at < octets.n + 2 && i + 2 >= line.n;
            char was = at < octets.n ? octets.p[at] : '\0';
            must(ours || was == line.p[i] || (line.p[i] == ' ' && (was == '\r' || was == '\n')));
        }
        must(!dots || wire.n > 0);
    }
    must(at >= octets.n && at <= octets.n + 2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < 2)
        return 0;
    struct str octets = str_make(data + 2, n - 2);
    struct buf buf = BUF_INIT(3 * n + 16);
    stuff(octets, data[0] & 1, data[1], &buf);
    must(!buf_over(&buf));
    unstuffed_check(buf_str(&buf), data[0] & 1, octets);
    buf_done(&buf);
    return 0;
}
