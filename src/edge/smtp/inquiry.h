/*
 * struct smtp_inquiry: what is asked of the DNS about the client of one connection: its address at
 * once, its HELO name and its sender's domain when they are said. Questions run beside each other
 * and beside the session; a RCPT waits for them only where they may refuse it, and a session waits
 * no longer than smtp.dns_wait in all. What is known is the connection's and serves all its
 * messages; what judgement.h makes of it is asked for at each RCPT.
 *
 * Questions of all edges together take half of what the resolver has under way (dns.questions) at
 * most: strangers whose names nobody answers for must not keep couriers from asking. What is
 * beyond an edge's share is not asked, and counts as not known.
 *
 * It belongs to its session until smtp_inquiry_end, and to its questions from then on until the
 * last one is over. Clients in smtp.relay_from and smtp.unchecked_from have none, nor have LMTP,
 * unix sockets, and edges without a resolver (users').
 */
#ifndef EDGE_SMTP_INQUIRY_H
#define EDGE_SMTP_INQUIRY_H

#include "edge/smtp/dns_list.h"
#include "edge/smtp/session.h"

enum {
    INQUIRY_QUESTIONS_LEAST = 8, /* that an edge may have under way, ... */
    INQUIRY_QUESTIONS_MOST = 1024,
    INQUIRY_NAMES_MOST = 10, /* of an address that are looked at */
};

/* What the inquiries of an edge share. */
struct smtp_inquiries {
    struct dns_lists lists;
    size_t under_way;   /* questions */
    struct wait *ended; /* smtp_inquiries_close waits for the last one */
};

/* The client is there, or another one in its place (XCLIENT); never yields. */
void smtp_inquiry_begin(struct smtp_session *s);
/* It said who it is; the sender's domain is known ("" or a literal: none). Never yield. */
void smtp_inquiry_helo(struct smtp_session *s);
void smtp_inquiry_sender(struct smtp_session *s, struct str domain);
/* Is lent no more. Never yields. */
void smtp_inquiry_end(struct smtp_session *s);

/* May yield: waits where that may matter to this recipient, and judges. */
void smtp_inquiry_judge(struct smtp_session *s, struct str recipient,
                        struct judgement *judgement_r);
/* The same by what is known now. Never yields. */
void smtp_inquiry_judge_now(const struct smtp_session *s, struct str recipient,
                            struct judgement *judgement_r);
/* The name of the client's address that leads back to it; empty: none is known. */
struct str smtp_inquiry_name(const struct smtp_session *s);

/* May yield: until the last question is over; the link to the resolver must be done. */
void smtp_inquiries_close(struct smtp_inquiries *inquiries);

#endif
