/* Any octets as the parts of a handshake. Property: what would be signed begins with the label of
 * TLS 1.3 or has the mark and the head of parameters where TLS 1.2 has them, is never longer than
 * it may be, and is read back as the very parts. */
#include "base/must.h"
#include "trust/tls_sign.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void is_13(struct str octets, const struct tls_sign *asked)
{
    static const char label[] = "TLS 1.3, server CertificateVerify";
    must(octets.n == 98 + asked->what.n && (asked->what.n == 32 || asked->what.n == 48));
    for (size_t i = 0; i < 64; i++)
        must(octets.p[i] == ' ');
    must(str_eq(str_make(octets.p + 64, sizeof(label)), str_make(label, sizeof(label))));
    must(str_eq(str_from_index(octets, 98), asked->what));
}

static void is_12(struct str octets, const struct tls_sign *asked)
{
    must(octets.n == 100 || octets.n == 133 || octets.n == 165);
    must(str_eq(str_make(octets.p + 56, 10), STR("DOWNGRD\1\3\0")));
    must((unsigned char)octets.p[67] == octets.n - 68);
    must(octets.n == 100 ? octets.p[66] == 0x1d : octets.p[66] == (octets.n == 133 ? 0x17 : 0x18));
    must(octets.n == 100 || octets.p[68] == 4);
    must(str_eq(str_head(octets, 64), asked->randoms));
    must(str_eq(str_from_index(octets, 64), asked->what));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char room[TLS_SIGNED_MAX];
    struct buf octets = {.p = room, .cap = sizeof(room), .max = sizeof(room)};
    if (n < 4)
        return 0;
    struct str rest = str_make(data + 4, n - 4);
    struct tls_sign asked = {.scheme = (uint16_t)(data[0] << 8 | data[1]),
                             .randoms = str_head(rest, data[2]),
                             .what = str_from_index(rest, data[2])};
    struct err e = tls_signed_print(&asked, (enum key_kind)(data[3] % 3), &octets);
    must(!err_is(e) || (e.code == ERR_BUS_BROKEN && octets.n == 0));
    if (!err_is(e) && asked.randoms.n == 0)
        is_13(buf_str(&octets), &asked);
    else if (!err_is(e))
        is_12(buf_str(&octets), &asked);
    return 0;
}
