/* A hash table without memory: uthash would end the process. */
#include <stdbool.h>
#include <stdlib.h>

static bool poor;
#define uthash_malloc(n) (poor ? NULL : malloc(n))

#include "base/hash.h"
#include "base/test.h"

enum {
    ELEMENTS = 1000
};

struct element {
    unsigned key;
    UT_hash_handle hh;
};

static struct element *find(struct element *table, unsigned key)
{
    struct element *found;
    HASH_FIND(hh, table, &key, sizeof(key), found);
    return found;
}

/* Core ended at a log-in for want of a few octets. */
static void without_memory_nothing_is_added_and_nothing_lost(void **state)
{
    (void)state;
    static struct element elements[ELEMENTS];
    struct element *table = NULL;
    unsigned refused = 0;
    for (unsigned i = 0; i < ELEMENTS; i++) {
        struct element *element = &elements[i];
        element->key = i;
        poor = true;
        HASH_ADD(hh, table, key, sizeof(element->key), element);
        poor = false;
        if (HASH_ADDED(element))
            continue;
        refused++;
        assert_null(find(table, i));
        assert_int_equal(HASH_COUNT(table), i);
        HASH_ADD(hh, table, key, sizeof(element->key), element);
        assert_true(HASH_ADDED(element));
    }
    assert_true(refused > 1); /* the table itself, and each time that it grows */
    for (unsigned i = 0; i < ELEMENTS; i++)
        assert_ptr_equal(find(table, i), &elements[i]);
    HASH_CLEAR(hh, table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_memory_nothing_is_added_and_nothing_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
