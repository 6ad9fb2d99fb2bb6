/*
 * Pages are counted, not copied: a simulator that explores crash states clones a disk per state,
 * and a log of several 64 MB segments must clone in microseconds. Written zeroes are one shared
 * page, because the engine zero-fills segments ahead.
 */
#include "sys/fake/image.h"

#include "base/must.h"

struct fake_page {
    size_t refs;
    char data[FAKE_PAGE];
};

/* Stands for written zeroes; never counted, never written to. */
static const struct fake_page zeroes = {.refs = 0};

static struct fake_page *zero_page(void)
{
    union {
        const struct fake_page *in;
        struct fake_page *out;
    } cast = {.in = &zeroes};
    return cast.out;
}

static void page_drop(struct fake_page *page)
{
    if (!page || page == &zeroes)
        return;
    must(page->refs > 0);
    if (--page->refs == 0)
        free(page);
}

static struct fake_page *page_hold(struct fake_page *page)
{
    if (page && page != &zeroes)
        page->refs++;
    return page;
}

static size_t pages_for(uint64_t size)
{
    return (size_t)((size + FAKE_PAGE - 1) / FAKE_PAGE);
}

static void room_for(struct fake_image *image, size_t pages)
{
    if (pages <= image->room)
        return;
    size_t room = image->room ? image->room : 4;
    while (room < pages)
        room *= 2;
    image->pages = realloc(image->pages, room * sizeof(*image->pages));
    must(image->pages);
    memset(image->pages + image->room, 0, (room - image->room) * sizeof(*image->pages));
    image->room = room;
}

/* Takes one reference to `page` over. */
static void page_set(struct fake_image *image, size_t i, struct fake_page *page)
{
    image->allocated += (page != NULL);
    image->allocated -= (image->pages[i] != NULL);
    page_drop(image->pages[i]);
    image->pages[i] = page;
}

/* Page i, ours alone, to write to. */
static char *page_own(struct fake_image *image, size_t i)
{
    struct fake_page *old = image->pages[i];
    if (old && old != &zeroes && old->refs == 1)
        return old->data;
    struct fake_page *page = malloc(sizeof(*page));
    must(page);
    page->refs = 1;
    memcpy(page->data, old ? old->data : zeroes.data, FAKE_PAGE);
    page_set(image, i, page);
    return page->data;
}

void fake_image_done(struct fake_image *image)
{
    for (size_t i = 0; i < image->room; i++)
        page_drop(image->pages[i]);
    free(image->pages);
    *image = (struct fake_image){0};
}

void fake_image_copy(struct fake_image *to, const struct fake_image *from)
{
    must(!to->pages);
    room_for(to, pages_for(from->size));
    to->size = from->size;
    for (size_t i = 0; i < pages_for(from->size) && i < from->room; i++)
        page_set(to, i, page_hold(from->pages[i]));
}

size_t fake_image_read(const struct fake_image *image, void *to, size_t n, uint64_t at)
{
    if (at >= image->size)
        return 0;
    if (n > image->size - at)
        n = (size_t)(image->size - at);
    char *p = to;
    for (size_t done = 0; done < n;) {
        size_t i = (size_t)((at + done) / FAKE_PAGE), from = (size_t)((at + done) % FAKE_PAGE);
        size_t part = FAKE_PAGE - from < n - done ? FAKE_PAGE - from : n - done;
        const struct fake_page *page = i < image->room ? image->pages[i] : NULL;
        memcpy(p + done, (page ? page : &zeroes)->data + from, part);
        done += part;
    }
    return n;
}

static void grow_to(struct fake_image *image, uint64_t size)
{
    room_for(image, pages_for(size));
    if (size > image->size)
        image->size = size;
}

void fake_image_write(struct fake_image *image, struct str bytes, uint64_t at)
{
    if (bytes.n == 0)
        return;
    grow_to(image, at + bytes.n);
    for (size_t done = 0; done < bytes.n;) {
        size_t i = (size_t)((at + done) / FAKE_PAGE), from = (size_t)((at + done) % FAKE_PAGE);
        size_t left = bytes.n - done;
        size_t part = FAKE_PAGE - from < left ? FAKE_PAGE - from : left;
        memcpy(page_own(image, i) + from, bytes.p + done, part);
        done += part;
    }
}

void fake_image_zero(struct fake_image *image, uint64_t at, uint64_t n)
{
    if (n == 0)
        return;
    grow_to(image, at + n);
    for (uint64_t done = 0; done < n;) {
        size_t i = (size_t)((at + done) / FAKE_PAGE), from = (size_t)((at + done) % FAKE_PAGE);
        size_t part = FAKE_PAGE - from < n - done ? FAKE_PAGE - from : (size_t)(n - done);
        if (part == FAKE_PAGE || !image->pages[i])
            page_set(image, i, zero_page());
        else
            memset(page_own(image, i) + from, 0, part);
        done += part;
    }
}

void fake_image_truncate(struct fake_image *image, uint64_t size)
{
    if (size >= image->size) {
        grow_to(image, size);
        return;
    }
    for (size_t i = pages_for(size); i < pages_for(image->size); i++)
        page_set(image, i, NULL);
    size_t tail = (size_t)(size % FAKE_PAGE), last = (size_t)(size / FAKE_PAGE);
    if (tail && image->pages[last])
        memset(page_own(image, last) + tail, 0, FAKE_PAGE - tail);
    image->size = size;
}

void fake_image_share(struct fake_image *image, const struct fake_image *from, uint64_t at,
                      uint64_t n)
{
    if (n == 0)
        return;
    size_t end = pages_for(at + n);
    room_for(image, end);
    for (size_t i = (size_t)(at / FAKE_PAGE); i < end; i++)
        page_set(image, i, i < from->room ? page_hold(from->pages[i]) : NULL);
}

size_t fake_image_holes(const struct fake_image *image, uint64_t at, uint64_t n)
{
    size_t holes = 0;
    for (size_t i = (size_t)(at / FAKE_PAGE); n && i < pages_for(at + n); i++)
        holes += i >= image->room || !image->pages[i];
    return holes;
}
