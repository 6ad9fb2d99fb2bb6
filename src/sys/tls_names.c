/*
 * Sorted once, searched by halves: a stranger's name costs the same few comparisons whatever it is.
 * Pairs are few, as certificates are; each gets an SSL_CTX of its own in sys/tls_server.c, made
 * ahead, so that a handshake builds nothing.
 */
#include "sys/tls_names.h"

#include "base/arena.h"

enum {
    HOST_MAX = 255,
    ARENA_MAX = 64 * 1024 * 1024, /* beyond what the limits of sys/tls.h allow */
};

struct entry {
    struct str name;
    size_t identity; /* until pairs are made */
    struct tls_pair pair;
};

struct tls_names {
    struct arena arena;
    struct entry *entries; /* sorted by name */
    size_t count;
    struct tls_pair *pairs;
    size_t pair_count;
};

static int entry_order(const void *a, const void *b)
{
    const struct entry *left = a, *right = b;
    int by_name = str_cmp(left->name, right->name);
    return by_name ? by_name : left->identity < right->identity ? -1 : 1;
}

static void pair_add(struct tls_pair *pair, size_t identity, bool ecdsa)
{
    int *place = ecdsa ? &pair->ecdsa : &pair->rsa;
    if (*place < 0)
        *place = (int)identity;
}

static bool names_copy(struct tls_names *names, const struct tls_identity *identities, size_t count)
{
    size_t all = 0;
    for (size_t i = 0; i < count; i++)
        all += identities[i].name_count;
    names->entries = arena_take_array(&names->arena, all, sizeof(struct entry));
    names->pairs = arena_take_array(&names->arena, all + 1, sizeof(struct tls_pair));
    for (size_t i = 0; i < count && !arena_over(&names->arena); i++)
        for (size_t k = 0; k < identities[i].name_count; k++)
            names->entries[names->count++] = (struct entry){
                .name = arena_str(&names->arena, identities[i].names[k]), .identity = i};
    return !arena_over(&names->arena);
}

/* Entries of one name become one, with all it has. */
static void names_merge(struct tls_names *names, const bool *ecdsa)
{
    size_t kept = 0;
    for (size_t i = 0; i < names->count; i++) {
        struct entry *entry = &names->entries[i];
        if (kept == 0 || !str_eq(names->entries[kept - 1].name, entry->name)) {
            entry->pair = (struct tls_pair){-1, -1};
            names->entries[kept++] = *entry;
        }
        pair_add(&names->entries[kept - 1].pair, entry->identity, ecdsa[entry->identity]);
    }
    names->count = kept;
}

static void pair_note(struct tls_names *names, struct tls_pair pair)
{
    for (size_t i = 0; i < names->pair_count; i++)
        if (names->pairs[i].rsa == pair.rsa && names->pairs[i].ecdsa == pair.ecdsa)
            return;
    names->pairs[names->pair_count++] = pair;
}

static const struct entry *find(const struct tls_names *names, struct str name)
{
    size_t from = 0, to = names->count;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        int order = str_cmp(names->entries[middle].name, name);
        if (order == 0)
            return &names->entries[middle];
        if (order < 0)
            from = middle + 1;
        else
            to = middle;
    }
    return NULL;
}

/* Those that say so, or the first; and of the kind of key they lack, what bears the same name. */
static struct tls_pair standard_pair(const struct tls_names *names,
                                     const struct tls_identity *identities, const bool *ecdsa,
                                     size_t count)
{
    struct tls_pair pair = {-1, -1};
    for (size_t i = 0; i < count; i++)
        if (identities[i].standard)
            pair_add(&pair, i, ecdsa[i]);
    if (pair.rsa < 0 && pair.ecdsa < 0)
        pair_add(&pair, 0, ecdsa[0]);
    const struct tls_identity *shown = &identities[pair.rsa >= 0 ? pair.rsa : pair.ecdsa];
    const struct entry *same = shown->name_count > 0 ? find(names, shown->names[0]) : NULL;
    if (same && same->pair.rsa >= 0)
        pair_add(&pair, (size_t)same->pair.rsa, false);
    if (same && same->pair.ecdsa >= 0)
        pair_add(&pair, (size_t)same->pair.ecdsa, true);
    return pair;
}

struct tls_names *tls_names_new(const struct tls_identity *identities, const bool *ecdsa,
                                size_t count)
{
    struct tls_names *names = calloc(1, sizeof(*names));
    if (!names)
        return NULL;
    arena_init(&names->arena, ARENA_MAX);
    if (!names_copy(names, identities, count)) {
        tls_names_free(names);
        return NULL;
    }
    qsort(names->entries, names->count, sizeof(struct entry), entry_order);
    names_merge(names, ecdsa);
    pair_note(names, standard_pair(names, identities, ecdsa, count));
    for (size_t i = 0; i < names->count; i++)
        pair_note(names, names->entries[i].pair);
    return names;
}

void tls_names_free(struct tls_names *names)
{
    if (!names)
        return;
    arena_done(&names->arena);
    free(names);
}

static const struct entry *find_wildcard(const struct tls_names *names, struct str host)
{
    char name[1 + HOST_MAX];
    ssize_t dot = str_index(host, '.');
    if (dot <= 0)
        return NULL;
    struct str rest = str_from_index(host, (size_t)dot);
    name[0] = '*';
    memcpy(name + 1, rest.p, rest.n);
    return find(names, str_make(name, 1 + rest.n));
}

struct tls_pair tls_names_find(const struct tls_names *names, struct str host, bool *fits_r)
{
    char lower[HOST_MAX];
    const struct entry *found = NULL;
    if (str_ends(host, STR(".")))
        host = str_head(host, host.n - 1);
    if (host.n > 0 && host.n <= sizeof(lower)) {
        for (size_t i = 0; i < host.n; i++)
            lower[i] = ascii_lower(host.p[i]);
        host = str_make(lower, host.n);
        found = find(names, host);
        if (!found)
            found = find_wildcard(names, host);
    }
    *fits_r = found;
    return found ? found->pair : names->pairs[0];
}

size_t tls_names_pairs(const struct tls_names *names, const struct tls_pair **pairs_r)
{
    *pairs_r = names->pairs;
    return names->pair_count;
}
