/*
 * The house that most tests of core begin with: an mx edge and a mailbox edge, under the settings
 * of HOUSE_SETTINGS, which the test names before it includes this.
 */
#ifndef CORE_HOUSE_TEST_H
#define CORE_HOUSE_TEST_H

#include "core/core_rig_test.h"

enum {
    READ_MAX = 4 << 20,
};

#define TEXT STR("Subject: hello\r\n\r\nA message.\r\n")

static struct house house;
static struct edge_end *mx, *box;

static inline int house_up(void **state)
{
    (void)state;
    house_open(&house, HOUSE_SETTINGS, 1);
    mx = house_edge(&house, ROLE_MX);
    box = house_edge(&house, ROLE_BOX);
    return 0;
}

static int house_down(void **state)
{
    (void)state;
    house_close(&house);
    return 0;
}

/* A message says what a mx edge may not: its link is cut, the other's is not. */
static inline void refused_with_a_cut(struct edge_end *edge, struct msg msg)
{
    struct msg answer;
    uint32_t call;
    if (msg_asks(&msg, &call))
        assert_int_equal(house_ask(edge, msg, &answer).code, ERR_BUS_BROKEN);
    else
        edge_end_tell(edge, &msg);
    house_settle(&house);
    assert_true(edge->ended);
    edge_end_connect(edge);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, house_up, house_down)

#endif
