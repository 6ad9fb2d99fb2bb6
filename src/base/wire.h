/*
 * Bytes of our own making: the encoding shared by the bus, the log and the records of the store.
 * Integers are little endian and fixed in width; a str is a u32 length and its octets. Where most
 * numbers are small and every octet is written four times, they are varints: seven bits an octet,
 * the lowest first, the top bit set in all but the last; in the shortest form only. Nothing is
 * delimited by a character, so no octet can add a field (catalogue S13).
 *
 * Writing goes through a buf and inherits its limit. Reading never trusts: each get checks what is
 * left, the first failure sets `bad`, and from then on every get gives zero or an empty str, so a
 * decoder may check once, at its end. A str that was read borrows from the input.
 */
#ifndef BASE_WIRE_H
#define BASE_WIRE_H

#include "base/buf.h"
#include "base/str.h"

struct wire_in {
    struct str rest;
    bool bad;
};

static inline struct wire_in wire_in(struct str from)
{
    return (struct wire_in){.rest = from};
}

void wire_put_u8(struct buf *to, uint8_t v);
void wire_put_u16(struct buf *to, uint16_t v);
void wire_put_u32(struct buf *to, uint32_t v);
void wire_put_u64(struct buf *to, uint64_t v);
void wire_put_str(struct buf *to, struct str s); /* s.n must fit u32 */

enum {
    WIRE_VARINT_MAX = 10 /* octets */
};

size_t wire_varint_size(uint64_t v);
/* Writes wire_varint_size(v) octets; gives back how many. */
size_t wire_varint(unsigned char to[WIRE_VARINT_MAX], uint64_t v);
void wire_put_varint(struct buf *to, uint64_t v);
void wire_put_short(struct buf *to, struct str s); /* its length is a varint */

uint8_t wire_get_u8(struct wire_in *in);
uint16_t wire_get_u16(struct wire_in *in);
uint32_t wire_get_u32(struct wire_in *in);
uint64_t wire_get_u64(struct wire_in *in);
struct str wire_get_str(struct wire_in *in);
uint64_t wire_get_varint(struct wire_in *in);
struct str wire_get_short(struct wire_in *in);
/* n octets without a length in front. */
struct str wire_get_octets(struct wire_in *in, size_t n);

/* True when everything was read, and nothing is left. */
bool wire_end(const struct wire_in *in);

/* Big-endian integers for keys: their order as bytes is their order as numbers. */
void key_put_u32(unsigned char to[4], uint32_t v);
void key_put_u64(unsigned char to[8], uint64_t v);
uint32_t key_get_u32(const unsigned char from[4]);
uint64_t key_get_u64(const unsigned char from[8]);

#endif
