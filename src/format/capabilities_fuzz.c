/* Properties: any text gives a value within its bounds; what it says, written as a peer would, says
 * the same again. */
#include "base/buf.h"
#include "base/must.h"
#include "format/capabilities.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void again_check(const struct capabilities *one)
{
    struct buf text = BUF_INIT(4096);
    struct capabilities two;
    buf_put(&text, STR("mx.example\n"));
    if (capabilities_have(one, CAPABILITY_SIZE))
        buf_printf(&text, "SIZE %llu\n", (unsigned long long)one->size);
    if (capabilities_have(one, CAPABILITY_LIMITS))
        buf_printf(&text, "LIMITS RCPTMAX=%u MAILMAX=%u RCPTDOMAINMAX=%u\n", one->rcpt_max,
                   one->mail_max, one->rcpt_domain_max);
    if (capabilities_have(one, CAPABILITY_DELIVERBY))
        buf_printf(&text, "DELIVERBY %llu\n", (unsigned long long)one->deliver_by_min);
    buf_put(&text, STR("AUTH "));
    buf_put(&text, capabilities_mechanisms(one));
    capabilities_parse(buf_str(&text), &two);
    must(two.size == one->size && two.deliver_by_min == one->deliver_by_min);
    must(two.rcpt_max == one->rcpt_max && two.mail_max == one->mail_max);
    must(two.rcpt_domain_max == one->rcpt_domain_max);
    must(str_eq(capabilities_mechanisms(&two), capabilities_mechanisms(one)));
    buf_done(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct capabilities one;
    capabilities_parse(str_make(data, n), &one);
    must(one.mechanisms_n <= CAPABILITY_MECHANISMS_MAX);
    must(str_is_printable_ascii(capabilities_mechanisms(&one)));
    must(one.mechanisms_n == 0 || capabilities_have(&one, CAPABILITY_AUTH));
    must(one.size == 0 || capabilities_have(&one, CAPABILITY_SIZE));
    must(!capabilities_have(&one, CAPABILITY_BINARYMIME) ||
         capabilities_have(&one, CAPABILITY_CHUNKING));
    again_check(&one);
    return 0;
}
