/*
 * One line for each clause, so that no line comes near 998 octets: the longest are a host name and
 * an address of 255 each. The id is that of the trace.
 */
#include "edge/smtp/received.h"

#include "format/date.h"
#include "format/message_id.h"

enum {
    FACT_MAX = 255
};

/* An address literal: RFC 5321 4.1.3. */
static void put_literal(struct str client, struct buf *to)
{
    buf_put(to, str_index(client, ':') >= 0 ? STR("[IPv6:") : STR("["));
    buf_put(to, client);
    buf_put(to, STR("]"));
}

static void put_tls(const struct tls_facts *tls, struct buf *to)
{
    buf_put(to, STR("\r\n\t(using "));
    buf_put(to, tls->version);
    buf_put(to, STR(" with cipher "));
    buf_put(to, tls->cipher);
    buf_printf(to, " (%u/%u bits))", tls->bits, tls->bits);
}

static void put_from(const struct received *received, struct buf *to)
{
    buf_put(to, STR("from "));
    buf_put(to, received->helo.n > 0 ? received->helo : STR("unknown"));
    if (received->client.n > 0) {
        buf_put(to, STR(" ("));
        buf_put(to, received->name);
        buf_put(to, received->name.n > 0 ? STR(" ") : STR(""));
        put_literal(received->client, to);
        buf_put(to, STR(")"));
    }
    if (received->tls)
        put_tls(received->tls, to);
    buf_put(to, STR("\r\n\t"));
}

static void put_user(const struct received *received, struct buf *to)
{
    buf_put(to, STR("(from "));
    buf_put(to, received->client);
    buf_put(to, STR(")\r\n\t"));
}

void received_print(const struct received *received, struct buf *to)
{
    char id[MESSAGE_ID_TEXT];
    message_id_print(received->message, id);
    buf_put(to, STR("Received: "));
    if (received->local)
        put_user(received, to);
    else if (!received->hidden)
        put_from(received, to);
    buf_put(to, STR("by "));
    buf_put(to, received->host);
    buf_put(to, STR(" with "));
    buf_put(to, str_from(transmission_word(received->transmission)));
    buf_put(to, STR(" id "));
    buf_put(to, str_make(id, sizeof id));
    if (received->only_one_for.n > 0) {
        buf_put(to, STR("\r\n\tfor <"));
        buf_put(to, received->only_one_for);
        buf_put(to, STR(">"));
    }
    buf_put(to, STR(";\r\n\t"));
    date_print(to, received->time, 0);
    buf_put(to, STR("\r\n"));
}

static void put_fact(struct buf *to, const char *key, struct str value)
{
    if (to->n > 0)
        buf_putc(to, ' ');
    buf_put(to, str_from(key));
    buf_put(to, STR("=\""));
    buf_put_escaped(to, value, FACT_MAX);
    buf_put(to, STR("\""));
}

void received_facts_print(const struct received *received, struct buf *to)
{
    put_fact(to, "client", received->client);
    buf_printf(to, " port=%u", received->port);
    if (received->name.n > 0)
        put_fact(to, "name", received->name);
    put_fact(to, "helo", received->helo);
    put_fact(to, "with", str_from(transmission_word(received->transmission)));
    if (received->tls) {
        put_fact(to, "tls", received->tls->version);
        put_fact(to, "cipher", received->tls->cipher);
    }
    if (received->login.n > 0)
        put_fact(to, "login", received->login);
    put_fact(to, "from", received->reverse_path);
    put_fact(to, "body", str_from(received->body_type));
    if (received->found.n > 0)
        put_fact(to, "found", received->found);
    if (received->forwarded.n > 0)
        buf_putc(to, ' ');
    buf_put(to, received->forwarded);
}
