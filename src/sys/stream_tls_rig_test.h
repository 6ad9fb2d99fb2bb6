/*
 * One house with one server, and one client that shook hands, for tests of streams in TLS.
 */
#ifndef SYS_STREAM_TLS_RIG_TEST_H
#define SYS_STREAM_TLS_RIG_TEST_H

#include "sys/fake/tls_fixture.h"

#include <sys/socket.h>
#include <unistd.h>

enum {
    ROOM = 64 * 1024
};

static const struct client_settings any = {.version = 0};
static struct house house;
static struct pair pair;
static char heard[ROOM];

static inline int house_begin(void **state)
{
    (void)state;
    house_open(&house, world_real());
    house_shows_key(&house, KEY_P256);
    return 0;
}

static inline int house_end(void **state)
{
    (void)state;
    house_close(&house);
    return 0;
}

static inline int pair_begin(void **state)
{
    house_begin(state);
    return pair_open(&pair, &house, &any) ? 0 : -1;
}

static inline int pair_end(void **state)
{
    pair_close(&pair);
    return house_end(state);
}

#define ON_HOUSE(name) cmocka_unit_test_setup_teardown(name, house_begin, house_end)
#define WITH_PAIR(name) cmocka_unit_test_setup_teardown(name, pair_begin, pair_end)

#endif
