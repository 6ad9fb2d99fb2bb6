/* Properties: cuts change nothing; what is accepted has a host, a path and a head that ends in an
 * empty line; a body is found to say what it says in whatever it stands, or not at all. */
#include "base/must.h"
#include "format/http_request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum {
    MOST = 200
};

/* As it arrives: the first answer that is one counts. */
static unsigned read_by(struct str octets, size_t piece, struct http_asked *asked_r)
{
    for (size_t n = piece; n < octets.n; n += piece) {
        unsigned status = http_asked_read(str_head(octets, n), MOST, asked_r);
        if (status)
            return status;
    }
    return http_asked_read(octets, MOST, asked_r);
}

static void sound(struct str octets, const struct http_asked *asked)
{
    must(asked->host.n > 0 && str_starts(asked->path, STR("/")) && asked->length <= MOST);
    must(asked->head <= octets.n && asked->head <= HTTP_ASKED_HEAD_MAX + 2);
    must(str_ends(str_head(octets, asked->head), STR("\r\n\r\n")));
    must(asked->method == HTTP_POST || asked->length == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct http_asked whole, cut;
    size_t piece = n > 0 ? data[0] % 16 + 1 : 1;
    struct str octets = str_make(data, n);
    unsigned status = http_asked_read(octets, MOST, &whole);
    must(read_by(octets, piece, &cut) == status);
    must(status == 0 || status == 200 || (status >= 400 && status <= 505));
    if (status == 200) {
        sound(octets, &whole);
        must(str_eq(whole.path, cut.path) && whole.length == cut.length && whole.last == cut.last);
        struct str body = str_head(str_from_index(octets, whole.head), whole.length);
        (void)http_form_says(whole.type, body, STR("List-Unsubscribe"), STR("One-Click"));
        must(http_language(whole.language, LANGUAGE_ENGLISH) < LANGUAGES);
    }
    return 0;
}
