/* Any octets end, within the room that is promised, and what comes out has no tag's name left open.
 */
#include "format/html_text.h"

#include <stdint.h>

#include "base/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct str html = str_make(data, n);
    struct buf text = BUF_INIT(HTML_TEXT_GROWTH * n + 16);
    html_text_put(html, &text);
    must(!buf_over(&text));
    struct str made = buf_str(&text);
    for (size_t i = 0; i < made.n; i++)
        must((unsigned char)made.p[i] >= 0x20 || made.p[i] == '\n' || made.p[i] == '\t');
    if (str_is_utf8(html))
        must(str_is_utf8(made));
    buf_done(&text);
    return 0;
}
