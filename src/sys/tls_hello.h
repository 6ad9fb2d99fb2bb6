/*
 * How much a TLS client says in the clear that it will say, read along with OpenSSL, which makes
 * room for 128 KB at the client's word. A hello of CLIENT_HELLO_MAX octets is taken, and another
 * one only when the server has answered (HelloRetryRequest, RFC 8446 4.1.4). Nobody cuts a hello so
 * that its length is not in one record, but who wants to hide it.
 *
 * Only the form of records and the heads of messages are looked at; what is wrong in any other way
 * is OpenSSL's to refuse. Pure.
 */
#ifndef SYS_TLS_HELLO_H
#define SYS_TLS_HELLO_H

#include "base/str.h"

enum {
    TLS_HELLO_MAX = 16 * 1024, /* octets */
    TLS_RECORD_HEAD = 5,       /* RFC 8446 5.1 */
    TLS_MESSAGE_HEAD = 4,      /* RFC 8446 4 */
};

/* All zero at the beginning of a connection. */
struct tls_hello {
    unsigned char head[TLS_RECORD_HEAD + TLS_MESSAGE_HEAD]; /* of the record that is being read */
    uint8_t have;                                           /* octets of it */
    bool inside;      /* the record, behind what is looked at */
    uint16_t record;  /* octets of it that are to come */
    uint16_t message; /* the same of the hello */
    bool said;        /* a hello, and it is not answered */
    bool over;        /* the client speaks of something else: OpenSSL has limits for that */
};

/* What came, in order, and all of it while the handshake lasts. False: it says too much. */
bool tls_hello_heard(struct tls_hello *hello, struct str octets);
/* The server has said something. */
void tls_hello_answered(struct tls_hello *hello);

#endif
