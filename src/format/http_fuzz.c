/* Properties: cuts change nothing; the body is within its limit; what is over stays over. */
#include "base/must.h"
#include "format/http.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum {
    MOST = 200
};

static void read_by(struct str octets, size_t piece, struct http_reader *to)
{
    http_begin(to, MOST);
    while (octets.n > 0) {
        (void)http_feed(to, str_head(octets, piece));
        octets = str_from_index(octets, piece < octets.n ? piece : octets.n);
    }
}

static void same(const struct http_reader *a, const struct http_reader *b)
{
    must(a->end == b->end && a->status == b->status && strcmp(a->type, b->type) == 0);
    must(a->end == HTTP_TOO_LARGE || str_eq(buf_str(&a->body), buf_str(&b->body)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct http_reader whole, cut;
    size_t piece = n > 0 ? data[0] % 16 + 1 : 1;
    struct str octets = str_make(data, n);
    read_by(octets, n + 1, &whole);
    read_by(octets, piece, &cut);
    same(&whole, &cut);
    must(whole.body.n <= MOST && whole.status < 1000);
    must(http_closed(&whole) != HTTP_MORE && http_closed(&cut) == whole.end);
    http_done(&whole);
    http_done(&cut);
    return 0;
}
