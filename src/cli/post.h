/*
 * Sending from a command: a courier (src/courier) in this very process, with a core of one letter
 * at one end of its link and the system's own look-up of names at that of the resolver. So a
 * command speaks SMTP with the same code as the server does; there is no second client.
 *
 * post_letter returns when each recipient has a result. It may take as long as an SMTP session
 * does, and keeps nothing behind.
 */
#ifndef CLI_POST_H
#define CLI_POST_H

#include "bus/messages.h"
#include "cli/letter.h"

enum {
    POST_TEXT_MAX = 600,
};

/* Where to. Texts are the caller's. */
struct post_way {
    struct str local; /* path of a server's socket on this host; empty: none, but */
    struct str via;   /* "host:port" */
    unsigned tls;     /* enum conf_route_tls */
    struct str user, password;
    struct str helo;        /* how this host calls itself */
    struct str authorities; /* PEM file of those whose certificates are good; empty: the system's */
};

struct post_result {
    enum job_verdict verdict;
    uint16_t code;     /* 0: no reply led to it */
    struct str status; /* "5.1.1"; may be empty */
    struct str text;
};

struct post_outcome {
    struct post_result *results; /* one for each recipient */
    enum job_trouble trouble;    /* why the way could not be used, if it could not */
    bool dotted;                 /* an answer to the whole message never came */
};

/* `dotted`: the end of the message is about to leave; NULL: nobody wants to know. Memory is the
 * arena's. An error: nothing was tried. */
struct post_watch {
    void (*dotted)(void *arg);
    void *arg;
};
struct err post_letter(const struct post_way *way, const struct letter *letter,
                       const struct post_watch *watch, struct arena *arena,
                       struct post_outcome *outcome_r);

/* Does a server listen on the local socket? */
bool post_is_reachable(struct str local);

#endif
