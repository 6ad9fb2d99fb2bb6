/*
 * A job's message for a peer that cannot take it as it is: 8-bit content without 8BITMIME (RFC 6152
 * 3), binary content without BINARYMIME (RFC 3030 3). It is read twice before anything is said
 * about it, to know what must be done and whether it can be (format/downconvert.h). May yield.
 */
#ifndef COURIER_CONVERT_H
#define COURIER_CONVERT_H

#include "courier/job.h"
#include "format/downconvert.h"
#include "format/summary.h"

struct conversion {
    struct arena arena; /* of the next three */
    struct summary summary;
    struct summary_view view;
    struct downconvert downconvert;
};

enum conversion_end {
    CONVERSION_NONE,   /* it can be sent as it is */
    CONVERSION_CAN,    /* content.h takes it from here */
    CONVERSION_CANNOT, /* each recipient has a result: it goes back to its sender (5.6.3) */
    CONVERSION_LOST,   /* core does not give its content */
};

enum conversion_end conversion_look(struct conversion *conversion, struct job *job,
                                    enum downconvert_to to);
void conversion_done(struct conversion *conversion);

#endif
