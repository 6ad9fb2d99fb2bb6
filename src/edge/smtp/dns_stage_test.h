/*
 * A resolver on the stage (stage_test.h): zones from memory, asked through the same link and the
 * same messages as the server's. A line of them is
 *
 *     192.0.2.1 PTR mail.example.org         for the address's reverse name, or a name
 *     mail.example.org A 192.0.2.1           AAAA, CNAME
 *     example.org MX 10 mail.example.org     a host "." says that there is no mail
 *     2.0.0.127.list.test TXT why
 *     example.org SILENT                     it and all below: no answer; FAILS; BOGUS; SLOW 3
 */
#ifndef EDGE_SMTP_DNS_STAGE_TEST_H
#define EDGE_SMTP_DNS_STAGE_TEST_H

#include "edge/smtp/stage_test.h"
#include "sys/fake/dns.h"

struct dns_stage {
    struct link link;
    bool up;
    struct loop loop;
    int role;
    struct fake_zones *zones;
    struct dns *dns;
    LIST_HEAD(, asked) asked; /* and not answered yet */
};

void dns_stage_open(struct dns_stage *dns, struct stage *stage);
void dns_stage_add(struct dns_stage *dns, struct str line);
/* Instead of stage_close. */
void dns_stage_close(struct dns_stage *dns, struct stage *stage);

#endif
