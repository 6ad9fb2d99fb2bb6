/*
 * Why all records are followed and not only the first octets looked at: in front of a hello there
 * may be an alert, in front of the second one a ChangeCipherSpec, and both hellos may come at once.
 *
 * Why nothing may stand behind a hello before it was answered: OpenSSL reads it as the next
 * message, when it is too late for us.
 */
#include "sys/tls_hello.h"

enum {
    RECORD_HANDSHAKE = 22,
    CLIENT_HELLO = 1,
};

/* So many more octets of the head, as far as they are there. */
static bool head_take(struct tls_hello *hello, struct str *octets, size_t whole)
{
    while (hello->have < whole && octets->n > 0) {
        hello->head[hello->have++] = (unsigned char)octets->p[0];
        *octets = str_from_index(*octets, 1);
    }
    return hello->have == whole;
}

/* The head of a record has come. */
static bool record_begins(struct tls_hello *hello)
{
    bool handshake = hello->head[0] == RECORD_HANDSHAKE;
    hello->record = (uint16_t)(hello->head[3] << 8 | hello->head[4]);
    hello->inside = !handshake || hello->message > 0;
    if (!handshake)
        return true;
    if (hello->message > 0)
        return hello->record > 0 && hello->record <= hello->message;
    return !hello->said && hello->record >= TLS_MESSAGE_HEAD;
}

/* The head of a message has come. */
static bool message_begins(struct tls_hello *hello)
{
    const unsigned char *head = hello->head + TLS_RECORD_HEAD;
    unsigned length = (unsigned)head[1] << 16 | (unsigned)head[2] << 8 | head[3];
    hello->over = head[0] != CLIENT_HELLO;
    if (hello->over)
        return true;
    hello->said = hello->inside = true;
    hello->record = (uint16_t)(hello->record - TLS_MESSAGE_HEAD);
    hello->message = (uint16_t)length;
    return length <= TLS_HELLO_MAX && hello->record <= length;
}

/* Octets of the record that nobody looks at. */
static void pass_over(struct tls_hello *hello, struct str *octets)
{
    size_t n = octets->n < hello->record ? octets->n : hello->record;
    *octets = str_from_index(*octets, n);
    hello->record = (uint16_t)(hello->record - n);
    if (hello->head[0] == RECORD_HANDSHAKE)
        hello->message = (uint16_t)(hello->message - n);
    if (hello->record == 0) {
        hello->inside = false;
        hello->have = 0;
    }
}

bool tls_hello_heard(struct tls_hello *hello, struct str octets)
{
    while (octets.n > 0 && !hello->over) {
        if (hello->inside) {
            pass_over(hello, &octets);
        } else if (hello->have < TLS_RECORD_HEAD) {
            if (head_take(hello, &octets, TLS_RECORD_HEAD) && !record_begins(hello))
                return false;
        } else if (head_take(hello, &octets, sizeof(hello->head)) && !message_begins(hello)) {
            return false;
        }
    }
    return true;
}

void tls_hello_answered(struct tls_hello *hello)
{
    if (hello->message == 0)
        hello->said = false;
}
