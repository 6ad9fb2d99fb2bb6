/*
 * A DNS from memory, behind sys/dns.h: zones that the driver fills, and how each of them behaves.
 * The zones outlive the roles that ask; a struct dns belongs to the role and the loop it was opened
 * for.
 *
 *     struct fake_zones *zones = fake_zones_open();
 *     fake_zones_mx(zones, "example.test", 10, "mx.example.test");
 *     fake_zones_address(zones, "mx.example.test", "192.0.2.1");
 *     fake_zones_behave(zones, "slow.test", (struct fake_behaviour){.delay = NS_PER_SECOND});
 *     ... in the role: dns = fake_dns_open(zones, &loop, 20 * NS_PER_SECOND, 1000) ...
 *
 * A name that has no record and nothing below it does not exist. CNAMEs are followed. Nothing here
 * yields; running out of memory ends the test (must).
 */
#ifndef SYS_FAKE_DNS_H
#define SYS_FAKE_DNS_H

#include "sys/dns.h"

struct fake_zones;

/* How names of a zone answer; of several zones the longest. All zero: unsigned, at once. */
struct fake_behaviour {
    enum dns_verdict verdict;
    bool silent;              /* no answer at all, until the time limit */
    bool failing;             /* no server answers */
    uint16_t rcode;           /* not 0: this one, without records */
    int64_t delay;            /* ns */
    const struct str *octets; /* instead of an answer; the driver's memory */
};

struct fake_zones *fake_zones_open(void);
void fake_zones_close(struct fake_zones *zones);
/* Instead of how it behaved before. */
void fake_zones_behave(struct fake_zones *zones, const char *zone, struct fake_behaviour how);
/* Names as text without the dot of the root, rdata as on the wire. */
void fake_zones_put(struct fake_zones *zones, const char *name, uint16_t type, uint32_t ttl,
                    struct str rdata);
void fake_zones_mx(struct fake_zones *zones, const char *name, unsigned preference,
                   const char *host);
/* A or AAAA. */
void fake_zones_address(struct fake_zones *zones, const char *name, const char *address);
/* CNAME, PTR, NS. */
void fake_zones_name(struct fake_zones *zones, const char *name, uint16_t type, const char *target);
/* One string of up to 255 octets. */
void fake_zones_txt(struct fake_zones *zones, const char *name, const char *text);
/* Forgets the records of a name. */
void fake_zones_drop(struct fake_zones *zones, const char *name);
/* Questions that were asked, of all roles. */
uint64_t fake_zones_asked(const struct fake_zones *zones);

struct dns *fake_dns_open(struct fake_zones *zones, struct loop *loop, int64_t limit, size_t most);

#endif
