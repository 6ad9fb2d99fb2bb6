/*
 * struct data_reader: from the octets behind DATA (RFC 5321 4.1.1.4, 4.5.2) or inside BDAT chunks
 * to the octets of the message. Pure: no memory, no clock; any cutting of the input gives the same
 * message, the same end and the same refusal.
 *
 * A message ends at CR LF . CR LF and nowhere else (the first CR LF may be that of the command).
 * A CR or LF that is not part of a CR LF is found out (catalogue S01): DATA_BARE, after which the
 * reader is of no more use; or, where `normalise` is set, made CR LF. A dot is only taken for
 * stuffing behind a real CR LF, and a normalised line end never begins an end of data.
 *
 *     while ((found = data_next(&reader, &input, &run)) == DATA_RUN)
 *         take(run);
 */
#ifndef EDGE_SMTP_DATA_H
#define EDGE_SMTP_DATA_H

#include "base/str.h"

enum data_place {
    DATA_AT_START, /* behind CR LF */
    DATA_IN_LINE,
    DATA_AT_CR, /* behind a CR that was handed out */
    DATA_AT_DOT,
    DATA_AT_DOT_CR,
};

struct data_reader {
    enum data_place place;
    bool dots;      /* DATA; false inside BDAT: dots mean nothing and nothing ends it */
    bool normalise; /* bare CR or LF becomes CR LF */
    bool nul;       /* a NUL octet was handed out */
};

enum data_found {
    DATA_MORE, /* the input is used up */
    DATA_RUN,  /* *run_r belongs to the message */
    DATA_END,  /* what is left of the input stands behind the message */
    DATA_BARE,
};

void data_init(struct data_reader *reader, bool dots, bool normalise);

/* Takes from the front of *input. *run_r borrows from the input or is a literal. */
enum data_found data_next(struct data_reader *reader, struct str *input, struct str *run_r);

/* The end of the last chunk of BDAT: as data_next, for what a CR at the very end comes to. */
enum data_found data_finish(struct data_reader *reader, struct str *run_r);

#endif
