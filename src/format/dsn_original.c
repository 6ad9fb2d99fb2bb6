/*
 * message/rfc822 may not be encoded (RFC 2046 5.2.1), message/global and headers alone may
 * (RFC 6533 4.4, RFC 6522 4). So what no transport of lines can carry loses its body, and keeps its
 * header in quoted-printable.
 */
#include "format/dsn_inside.h"
#include "format/header.h"

bool dsn_returns_body(bool failed, enum dsn_return ret, uint64_t message_size, uint64_t full_max)
{
    if (!failed || ret == DSN_RETURN_HEADERS)
        return false;
    return message_size <= (ret == DSN_RETURN_FULL ? full_max : DSN_RETURN_MAX);
}

/* Fields, without the empty line behind them. */
static struct str fields_of(struct str header)
{
    if (str_eq(header, STR("\r\n")))
        return str_head(header, 0);
    return str_ends(header, STR("\r\n\r\n")) ? str_head(header, header.n - 2) : header;
}

/* As many whole fields as the limit allows. */
static struct str fields_some(struct str fields)
{
    if (fields.n <= DSN_HEADER_MAX)
        return fields;
    struct str rest = fields;
    struct header_field field;
    size_t n = 0;
    while (header_next(&rest, &field) && n + field.whole.n <= DSN_HEADER_MAX)
        n += field.whole.n;
    return str_head(fields, n);
}

/* The encoding of octets that may travel in UTF-8 (where the reader can have that), or encoded. */
static enum transfer global_transfer(const struct dsn *dsn, const struct transfer_look *look)
{
    if (dsn->reads_utf8 && transfer_is_lines(look))
        return TRANSFER_8BIT;
    return transfer_choose(look);
}

static struct dsn_part part_make(struct str type, struct str octets, enum transfer transfer,
                                 struct arena *arena)
{
    struct dsn_part part = {.type = type, .transfer = transfer};
    if (transfer == TRANSFER_7BIT || transfer == TRANSFER_8BIT) {
        part.octets = octets;
        return part;
    }
    struct buf encoded = buf_in(arena, octets.n * 4 + 64);
    transfer_put(&encoded, octets, transfer);
    part.octets = buf_built(&encoded);
    return part;
}

static bool is_global(const struct dsn *dsn, struct str fields)
{
    return dsn->original.utf8 && !str_is_ascii(fields) && str_is_utf8(fields);
}

static struct dsn_part fields_part(const struct dsn *dsn, struct arena *arena)
{
    struct str fields = fields_some(fields_of(dsn->original.header));
    struct transfer_look look = {0};
    transfer_look(&look, fields);
    if (fields.n == 0)
        return (struct dsn_part){.octets = str_null()};
    if (!is_global(dsn, fields)) {
        bool plain = transfer_choose(&look) == TRANSFER_7BIT;
        return part_make(STR("text/rfc822-headers"), fields,
                         plain ? TRANSFER_7BIT : TRANSFER_QUOTED_PRINTABLE, arena);
    }
    enum transfer transfer = global_transfer(dsn, &look);
    struct dsn_part part = part_make(STR("message/global-headers"), fields, transfer, arena);
    part.utf8 = transfer == TRANSFER_8BIT;
    return part;
}

static struct dsn_part message_part(const struct dsn *dsn, struct str message,
                                    const struct transfer_look *look, struct arena *arena)
{
    if (is_global(dsn, fields_of(dsn->original.header))) {
        enum transfer transfer = global_transfer(dsn, look);
        struct dsn_part part = part_make(STR("message/global"), message, transfer, arena);
        part.utf8 = transfer == TRANSFER_8BIT;
        return part;
    }
    return part_make(STR("message/rfc822"), message,
                     look->above_ascii ? TRANSFER_8BIT : TRANSFER_7BIT, arena);
}

struct dsn_part dsn_original(const struct dsn *dsn, struct arena *arena, bool *whole_r)
{
    struct str fields = fields_of(dsn->original.header);
    *whole_r = false;
    if (!dsn->original.body.p)
        return fields_part(dsn, arena);
    struct buf message = buf_in(arena, fields.n + 2 + dsn->original.body.n);
    buf_put(&message, fields);
    buf_put(&message, STR("\r\n"));
    buf_put(&message, dsn->original.body);
    struct str octets = buf_built(&message);
    struct transfer_look look = {0};
    transfer_look(&look, octets);
    bool headed = fields.n == 0 || str_ends(fields, STR("\r\n"));
    if (!headed || !transfer_is_lines(&look))
        return fields_part(dsn, arena);
    *whole_r = true;
    return message_part(dsn, octets, &look, arena);
}
