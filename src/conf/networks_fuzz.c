/*
 * Property: the file of a list is taken line by line, or each wrong line is told; what is kept is
 * in order, prints to a file that is read as the same, and holds an address exactly where one of
 * the lines does.
 */
#include "base/must.h"
#include "conf/networks.h"

enum {
    ARENA = 1024 * 1024,
    LINES_MOST = 256, /* larger inputs say nothing new */
    PRINTED = LINES_MOST * (NETWORK_TEXT + 1),
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

struct naive {
    struct network list[LINES_MOST];
    size_t count, wrong;
};

/* False: too many lines. */
static bool naive_read(struct str text, struct naive *naive)
{
    *naive = (struct naive){0};
    while (text.n) {
        struct str line = str_cut(&text, '\n');
        if (str_ends(line, STR("\r")))
            line.n--;
        line = str_trim(str_cut(&line, '#'));
        if (line.n == 0)
            continue;
        if (naive->count + naive->wrong == LINES_MOST)
            return false;
        if (network_parse(line, &naive->list[naive->count]))
            naive->count++;
        else
            naive->wrong++;
    }
    return true;
}

static bool naive_hold(const struct naive *naive, const struct network *address)
{
    for (size_t i = 0; i < naive->count; i++)
        if (network_within(address, &naive->list[i]))
            return true;
    return false;
}

static void hold_check(const struct naive *naive, const struct conf_networks *networks,
                       const struct network *address)
{
    struct buf text = BUF_INIT(NETWORK_TEXT);
    networks_print_one(address, &text);
    must(conf_networks_hold(networks, buf_str(&text)) == naive_hold(naive, address));
    buf_done(&text);
}

/* One less or more, as numbers of 128 bits; around at the ends. */
static void step(struct network *address, int by)
{
    for (size_t i = NETWORK_OCTETS; i-- > 0;) {
        address->octets[i] = (unsigned char)(address->octets[i] + by);
        if (address->octets[i] != (by > 0 ? 0x00 : 0xff))
            return;
    }
}

/* At both ends of a network, within and without. */
static void ends_check(const struct naive *naive, const struct conf_networks *networks,
                       struct network network)
{
    struct network first = network, last = network;
    first.bits = last.bits = NETWORK_BITS;
    for (unsigned bit = network.bits; bit < NETWORK_BITS; bit++)
        last.octets[bit / 8] |= (unsigned char)(0x80 >> bit % 8);
    hold_check(naive, networks, &first);
    hold_check(naive, networks, &last);
    step(&first, -1);
    step(&last, 1);
    hold_check(naive, networks, &first);
    hold_check(naive, networks, &last);
}

static void read_it(struct str text, struct arena *arena, struct conf_networks *networks_r,
                    size_t *mistakes_r)
{
    struct buf trouble = BUF_INIT(CONF_TROUBLE_SIZE);
    struct mistakes mistakes;
    *networks_r = (struct conf_networks){0};
    mistakes_init(&mistakes, &trouble);
    networks_read(text, STR("file"), &mistakes, arena, networks_r);
    networks_settle(networks_r);
    *mistakes_r = mistakes.count;
    mistakes_done(&mistakes);
    must((trouble.n > 0) == (mistakes.count > 0));
    buf_done(&trouble);
}

static void again_check(const struct conf_networks *networks)
{
    struct arena arena;
    struct conf_networks again;
    struct buf text = BUF_INIT(PRINTED);
    size_t mistakes;
    arena_init(&arena, ARENA);
    for (size_t i = 0; i < networks->count; i++) {
        networks_print_one(&networks->list[i], &text);
        buf_putc(&text, '\n');
    }
    read_it(buf_str(&text), &arena, &again, &mistakes);
    must(mistakes == 0 && again.count == networks->count);
    for (size_t i = 0; i < again.count; i++)
        must(network_eq(&again.list[i], &networks->list[i]));
    buf_done(&text);
    arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static struct naive naive;
    struct str text = str_make(data, n);
    struct arena arena;
    struct conf_networks networks;
    size_t mistakes;
    if (!naive_read(text, &naive))
        return 0;
    arena_init(&arena, ARENA);
    read_it(text, &arena, &networks, &mistakes);
    must(mistakes == naive.wrong && networks.count <= naive.count);
    again_check(&networks);
    for (size_t i = 0; i < naive.count; i++)
        ends_check(&naive, &networks, naive.list[i]);
    arena_done(&arena);
    return 0;
}
