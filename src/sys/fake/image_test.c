#include "base/test.h"

#include "base/must.h"
#include "sys/fake/image.h"
#include "sys/fake/random.h"

enum {
    LARGEST = 5 * FAKE_PAGE + 100,
    STEPS = 3000
};

/* A file as simple as can be, to compare with. */
struct flat {
    char bytes[LARGEST];
    size_t size;
};

static void flat_resize(struct flat *flat, size_t size)
{
    if (size > flat->size)
        memset(flat->bytes + flat->size, 0, size - flat->size);
    flat->size = size;
}

static void flat_fill(struct flat *flat, char c, size_t n, size_t at)
{
    if (n > 0 && at + n > flat->size)
        flat_resize(flat, at + n);
    memset(flat->bytes + at, c, n);
}

static void same(const struct fake_image *image, const struct flat *flat)
{
    char bytes[LARGEST + 1];
    assert_int_equal(image->size, flat->size);
    assert_int_equal(fake_image_read(image, bytes, sizeof(bytes), 0), flat->size);
    assert_memory_equal(bytes, flat->bytes, flat->size);
}

static void change(struct fake_image *image, struct flat *flat, struct fake_random *r)
{
    char bytes[2 * FAKE_PAGE];
    size_t at = (size_t)fake_random_below(r, LARGEST);
    size_t most = LARGEST - at < sizeof(bytes) ? LARGEST - at : sizeof(bytes);
    size_t n = (size_t)fake_random_below(r, most + 1);
    char c = (char)fake_random_below(r, 256);
    switch (fake_random_below(r, 4)) {
    case 0:
        fake_image_zero(image, at, n);
        flat_fill(flat, 0, n, at);
        return;
    case 1:
        fake_image_truncate(image, at);
        flat_resize(flat, at);
        return;
    default:
        memset(bytes, c, n);
        fake_image_write(image, str_make(bytes, n), at);
        flat_fill(flat, c, n, at);
        return;
    }
}

/* Four images that are copied over each other all the time: a shared page that one of them wrote to
 * would show in another. */
static void images_share_pages_and_nothing_else(void **state)
{
    (void)state;
    enum {
        IMAGES = 4
    };
    struct fake_image images[IMAGES] = {{0}};
    struct flat *flats = calloc(IMAGES, sizeof(*flats));
    must(flats);
    struct fake_random r;
    fake_random_init(&r, 1, "test");
    for (int step = 0; step < STEPS; step++) {
        size_t i = (size_t)fake_random_below(&r, IMAGES), j = (size_t)fake_random_below(&r, IMAGES);
        if (i != j && fake_random_below(&r, 4) == 0) {
            fake_image_done(&images[i]);
            fake_image_copy(&images[i], &images[j]);
            flats[i] = flats[j];
        }
        change(&images[i], &flats[i], &r);
        for (int k = 0; k < IMAGES; k++)
            same(&images[k], &flats[k]);
    }
    for (int i = 0; i < IMAGES; i++)
        fake_image_done(&images[i]);
    free(flats);
}

static void holes_and_zeroes_are_told_apart(void **state)
{
    (void)state;
    struct fake_image image = {0}, other = {0};
    fake_image_truncate(&image, 10 * FAKE_PAGE);
    assert_int_equal(image.allocated, 0);
    assert_int_equal(fake_image_holes(&image, FAKE_PAGE - 1, 2), 2);
    fake_image_zero(&image, FAKE_PAGE, 2 * FAKE_PAGE);
    assert_int_equal(image.allocated, 2);
    assert_int_equal(fake_image_holes(&image, 0, 4 * FAKE_PAGE), 2);
    assert_int_equal(fake_image_holes(&image, 0, 0), 0);
    fake_image_write(&image, STR("x"), FAKE_PAGE);
    assert_int_equal(image.allocated, 2);
    fake_image_truncate(&other, 10 * FAKE_PAGE);
    fake_image_share(&other, &image, FAKE_PAGE + 1, 1);
    char c;
    assert_int_equal(other.allocated, 1);
    assert_int_equal(fake_image_read(&other, &c, 1, FAKE_PAGE), 1);
    assert_int_equal(c, 'x');
    fake_image_truncate(&image, FAKE_PAGE + 1);
    assert_int_equal(image.allocated, 1);
    fake_image_done(&image);
    assert_int_equal(fake_image_read(&other, &c, 1, FAKE_PAGE), 1);
    fake_image_done(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(images_share_pages_and_nothing_else),
        cmocka_unit_test(holes_and_zeroes_are_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
