/*
 * struct fake_image: the contents of one file, sparse, in pages of 4 KB that images share until one
 * of them writes. A copy costs a pointer a page; zeroes that were written cost no page of memory
 * but count as allocated, holes do not.
 *
 * Inside the fake world only. Running out of real memory here ends the test (must).
 */
#ifndef SYS_FAKE_IMAGE_H
#define SYS_FAKE_IMAGE_H

#include "base/str.h"

enum {
    FAKE_PAGE = 4096
};

struct fake_page;

struct fake_image {
    uint64_t size;
    struct fake_page **pages;
    size_t room;      /* pages the array can hold */
    size_t allocated; /* that are no holes */
};

/* {0} is an empty image. */
void fake_image_done(struct fake_image *image);
void fake_image_copy(struct fake_image *to, const struct fake_image *from); /* `to` is empty */

/* What is there: 0 from the end on. */
size_t fake_image_read(const struct fake_image *image, void *to, size_t n, uint64_t at);
/* These three grow the image where needed. */
void fake_image_write(struct fake_image *image, struct str bytes, uint64_t at);
void fake_image_zero(struct fake_image *image, uint64_t at, uint64_t n);
void fake_image_truncate(struct fake_image *image, uint64_t size);
/* Makes the whole pages that hold at .. at+n the same as in `from`. Neither size changes. */
void fake_image_share(struct fake_image *image, const struct fake_image *from, uint64_t at,
                      uint64_t n);
/* How many holes a write of this range would fill. */
size_t fake_image_holes(const struct fake_image *image, uint64_t at, uint64_t n);

#endif
