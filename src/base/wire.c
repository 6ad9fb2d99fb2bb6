#include "base/wire.h"

#include <endian.h>

#include "base/must.h"

static void put(struct buf *to, const void *p, size_t n)
{
    buf_put(to, str_make(p, n));
}

void wire_put_u8(struct buf *to, uint8_t v)
{
    put(to, &v, sizeof(v));
}

void wire_put_u16(struct buf *to, uint16_t v)
{
    v = htole16(v);
    put(to, &v, sizeof(v));
}

void wire_put_u32(struct buf *to, uint32_t v)
{
    v = htole32(v);
    put(to, &v, sizeof(v));
}

void wire_put_u64(struct buf *to, uint64_t v)
{
    v = htole64(v);
    put(to, &v, sizeof(v));
}

void wire_put_str(struct buf *to, struct str s)
{
    must(s.n <= UINT32_MAX);
    wire_put_u32(to, (uint32_t)s.n);
    buf_put(to, s);
}

size_t wire_varint_size(uint64_t v)
{
    size_t n = 1;
    while (v >>= 7)
        n++;
    return n;
}

size_t wire_varint(unsigned char to[WIRE_VARINT_MAX], uint64_t v)
{
    size_t n = 0;
    for (; v > 0x7f; v >>= 7)
        to[n++] = (unsigned char)(v | 0x80);
    to[n++] = (unsigned char)v;
    return n;
}

void wire_put_varint(struct buf *to, uint64_t v)
{
    unsigned char octets[WIRE_VARINT_MAX];
    put(to, octets, wire_varint(octets, v));
}

void wire_put_short(struct buf *to, struct str s)
{
    wire_put_varint(to, s.n);
    buf_put(to, s);
}

struct str wire_get_octets(struct wire_in *in, size_t n)
{
    if (in->bad || n > in->rest.n) {
        in->bad = true;
        return str_null();
    }
    struct str got = str_head(in->rest, n);
    in->rest = str_from_index(in->rest, n);
    return got;
}

static bool get(struct wire_in *in, void *to, size_t n)
{
    struct str octets = wire_get_octets(in, n);
    if (in->bad)
        return false;
    memcpy(to, octets.p, n);
    return true;
}

uint8_t wire_get_u8(struct wire_in *in)
{
    uint8_t v = 0;
    return get(in, &v, sizeof(v)) ? v : 0;
}

uint16_t wire_get_u16(struct wire_in *in)
{
    uint16_t v = 0;
    return get(in, &v, sizeof(v)) ? le16toh(v) : 0;
}

uint32_t wire_get_u32(struct wire_in *in)
{
    uint32_t v = 0;
    return get(in, &v, sizeof(v)) ? le32toh(v) : 0;
}

uint64_t wire_get_u64(struct wire_in *in)
{
    uint64_t v = 0;
    return get(in, &v, sizeof(v)) ? le64toh(v) : 0;
}

struct str wire_get_str(struct wire_in *in)
{
    uint32_t n = wire_get_u32(in);
    return wire_get_octets(in, n);
}

uint64_t wire_get_varint(struct wire_in *in)
{
    uint64_t v = 0;
    for (unsigned bits = 0; bits < 64; bits += 7) {
        uint64_t octet = wire_get_u8(in);
        if (in->bad)
            return 0;
        v |= (octet & 0x7f) << bits;
        if (octet & 0x80)
            continue;
        if ((octet == 0 && bits > 0) || (bits == 63 && octet > 1))
            break; /* not the shortest form; too large */
        return v;
    }
    in->bad = true;
    return 0;
}

struct str wire_get_short(struct wire_in *in)
{
    uint64_t n = wire_get_varint(in);
    return wire_get_octets(in, n);
}

bool wire_end(const struct wire_in *in)
{
    return !in->bad && in->rest.n == 0;
}

void key_put_u32(unsigned char to[4], uint32_t v)
{
    v = htobe32(v);
    memcpy(to, &v, sizeof(v));
}

void key_put_u64(unsigned char to[8], uint64_t v)
{
    v = htobe64(v);
    memcpy(to, &v, sizeof(v));
}

uint32_t key_get_u32(const unsigned char from[4])
{
    uint32_t v;
    memcpy(&v, from, sizeof(v));
    return be32toh(v);
}

uint64_t key_get_u64(const unsigned char from[8])
{
    uint64_t v;
    memcpy(&v, from, sizeof(v));
    return be64toh(v);
}
