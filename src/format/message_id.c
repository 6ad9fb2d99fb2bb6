/*
 * Fixed in length, so that ids sort as text the way they sort as numbers.
 */
#include "format/message_id.h"

enum {
    BITS = 5,
    US_PER_MS = 1000,
};

static const char alphabet[] = "0123456789abcdefghjkmnpqrstvwxyz";

uint64_t message_id_make(int64_t wall, uint32_t number)
{
    uint64_t ms = wall > 0 ? (uint64_t)wall / US_PER_MS : 0;
    return ms << MESSAGE_ID_NUMBER_BITS | (number & ((1U << MESSAGE_ID_NUMBER_BITS) - 1));
}

int64_t message_id_time(uint64_t id)
{
    return (int64_t)(id >> MESSAGE_ID_NUMBER_BITS) * US_PER_MS;
}

void message_id_print(uint64_t id, char to[MESSAGE_ID_TEXT])
{
    for (int i = MESSAGE_ID_TEXT - 1; i >= 0; i--) {
        to[i] = alphabet[id & 31];
        id >>= BITS;
    }
}

static int value_of(char c)
{
    c = ascii_lower(c);
    if (c == 'o')
        c = '0';
    if (c == 'i' || c == 'l')
        c = '1';
    const char *at = c ? memchr(alphabet, c, sizeof alphabet - 1) : NULL;
    return at ? (int)(at - alphabet) : -1;
}

bool message_id_parse(struct str text, uint64_t *id_r)
{
    uint64_t id = 0;
    if (text.n != MESSAGE_ID_TEXT || value_of(text.p[0]) > 15)
        return false;
    for (size_t i = 0; i < text.n; i++) {
        int value = value_of(text.p[i]);
        if (value < 0)
            return false;
        id = id << BITS | (uint64_t)value;
    }
    *id_r = id;
    return true;
}
