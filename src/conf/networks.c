/*
 * Why a sorted array and not a trie: seventeen octets a network, no pointers, built by one sort,
 * and seventeen steps for a hundred thousand. What the parent tells the roles is in order already.
 */
#include "conf/networks.h"

#include "base/must.h"
#include "conf/rows.h"

/* --- Text ------------------------------------------------------------------------------------ */

bool networks_parse_one(struct str word, struct network *network_r, struct buf *why)
{
    struct str address = word;
    struct network at;
    if (network_parse(word, network_r))
        return true;
    return value_wrong(why, word,
                       network_address(str_cut(&address, '/'), &at)
                           ? "has a length that does not fit, or bits set behind it"
                           : "is no IP address or network");
}

void networks_print_one(const struct network *network, struct buf *to)
{
    size_t before = to->n;
    network_print(network, to);
    ssize_t slash = str_last_index(str_from_index(buf_str(to), before), '/');
    if (network->bits == NETWORK_BITS && slash > 0) /* an address */
        buf_cut(to, before + (size_t)slash);
}

/* --- Order ----------------------------------------------------------------------------------- */

/* By the first address, the larger one first: what lies within a network follows it. */
static int order(const void *a, const void *b)
{
    const struct network *one = a, *two = b;
    int octets = memcmp(one->octets, two->octets, sizeof(one->octets));
    if (octets)
        return octets;
    return one->bits < two->bits ? -1 : one->bits > two->bits;
}

static bool is_ascending(const struct conf_networks *networks)
{
    for (size_t i = 1; i < networks->count; i++)
        if (order(&networks->list[i - 1], &networks->list[i]) > 0)
            return false;
    return true;
}

void networks_settle(struct conf_networks *networks)
{
    size_t kept = 0;
    if (networks->count > 1 && !is_ascending(networks))
        qsort(networks->list, networks->count, sizeof(networks->list[0]), order);
    for (size_t i = 0; i < networks->count; i++)
        if (kept == 0 || !network_within(&networks->list[i], &networks->list[kept - 1]))
            networks->list[kept++] = networks->list[i];
    networks->count = kept;
}

/* The last one that begins at or before the address is the only one that can hold it. */
static bool own_hold(const struct conf_networks *networks, const struct network *address,
                     size_t *steps)
{
    size_t from = 0, to = networks->count;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        ++*steps;
        if (memcmp(networks->list[middle].octets, address->octets, sizeof(address->octets)) > 0)
            to = middle;
        else
            from = middle + 1;
    }
    return from > 0 && network_within(address, &networks->list[from - 1]);
}

bool networks_hold_counted(const struct conf_networks *networks, struct str address, size_t *steps)
{
    struct network one;
    size_t uncounted = 0;
    if (!network_address(address, &one))
        return false;
    if (!steps)
        steps = &uncounted;
    bool held = own_hold(networks, &one, steps);
    for (size_t i = 0; i < networks->list_count && !held; i++)
        held = own_hold(networks->lists[i], &one, steps);
    return held;
}

bool conf_networks_hold(const struct conf_networks *networks, struct str address)
{
    return networks_hold_counted(networks, address, NULL);
}

/* --- Files ----------------------------------------------------------------------------------- */

/* Without its comment, its CR and what is blank around it. */
static struct str next_line(struct str *text)
{
    struct str line = str_cut(text, '\n');
    if (str_ends(line, STR("\r")))
        line.n--;
    return str_trim(str_cut(&line, '#'));
}

static size_t lines_in(struct str text)
{
    size_t n = 0;
    while (text.n)
        n += next_line(&text).n > 0;
    return n;
}

static void line_wrong(struct mistakes *mistakes, struct str file, unsigned line, struct buf *why)
{
    struct buf *to = mistake_begin(mistakes, file, line);
    buf_put(to, buf_str(why));
    buf_put(to, STR("; expected an address or network such as 192.0.2.7, 10.0.0.0/8 or "
                    "2001:db8::/32"));
    mistake_end(mistakes);
}

void networks_read(struct str text, struct str file, struct mistakes *mistakes, struct arena *arena,
                   struct conf_networks *networks_r)
{
    size_t n = lines_in(text), held = networks_r->count;
    struct buf why = BUF_INIT(MISTAKE_MOST);
    struct network *list = networks_r->list;
    if (n > CONF_NETWORKS_MOST - held) {
        buf_printf(mistake_begin(mistakes, file, 1), "more than %d networks", CONF_NETWORKS_MOST);
        mistake_end(mistakes);
        return;
    }
    list = arena_resize(arena, list, held * sizeof(*list), (held + n) * sizeof(*list));
    if (!list)
        return;
    networks_r->list = list;
    for (unsigned line = 1; text.n; line++) {
        struct str word = next_line(&text);
        buf_clear(&why);
        if (word.n && networks_parse_one(word, &list[networks_r->count], &why))
            networks_r->count++;
        else if (word.n)
            line_wrong(mistakes, file, line, &why);
    }
    buf_done(&why);
}
