/*
 * A walk in key order with a page for each level, so no recursion and little memory. A separator in
 * a branch page is remembered as the least the next leaf key may be; together with the rule that
 * leaf keys rise, every key is where a search would look for it.
 *
 * The layout is that of struct MDB_page, MDB_node, MDB_db and MDB_meta on little endian machines
 * with 8-octet words; elsewhere the first check fails and fsck rebuilds the index from the log.
 */
#include "store/local/lmdb_file.h"

#include <errno.h>

#include "base/crc.h"
#include "base/must.h"
#include "base/wire.h"
#include "sys/world.h"

enum {
    PAGE_HEADER = 16,
    PAGE_LEAST = 512,
    PAGE_MOST = 64 * 1024,
    META_MAGIC_AT = PAGE_HEADER,
    META_DATABASES_AT = META_MAGIC_AT + 24,
    DATABASE_SIZE = 48,
    META_LAST_PAGE_AT = META_DATABASES_AT + 2 * DATABASE_SIZE,
    META_SIZE = META_LAST_PAGE_AT + 16,
    NODE_HEADER = 8,
    PAGE_NUMBER_SIZE = 8,
    DEPTH_MOST = 32,
    KEY_MOST = 511,
    SUBTREES_MOST = 4,
    VALUE_MOST = 64 * 1024 * 1024, /* of a free list */
};

enum page_flag {
    PAGE_BRANCH = 1,
    PAGE_LEAF = 2,
    PAGE_OVERFLOW = 4,
    PAGE_META = 8,
};

enum {
    TREE_INTEGER_KEYS = 8 /* the one flag in use, of the tree of free pages */
};

enum node_flag {
    NODE_BIG = 1, /* the value lies in overflow pages */
    NODE_TREE = 2 /* the value is the root of a database */
};

#define META_MAGIC UINT32_C(0xBEEFC0DE)
#define META_VERSION 1
#define NO_PAGE UINT64_MAX

struct tree {
    enum tree_kind {
        TREE_FREE, /* 8-octet transaction numbers -> lists of free pages */
        TREE_MAIN, /* names -> trees */
        TREE_OURS,
    } kind;
    uint32_t page_size; /* md_pad: page size in the first tree */
    uint16_t flags;
    uint16_t depth;
    uint64_t branch_pages, leaf_pages, overflow_pages, entries, root;
};

struct level {
    unsigned char *page;
    unsigned keys, at;
};

struct node {
    unsigned flags;
    struct str key;
    uint64_t size;  /* of the value */
    uint64_t child; /* of a branch */
    struct str value;
};

struct walk {
    int file;
    uint32_t page_size;
    uint64_t pages;      /* of the file, as far as it is in use */
    unsigned char *used; /* a bit for each page */
    const char *wrong;   /* a literal; NULL: nothing so far */
    int os;
    struct tree subtrees[SUBTREES_MOST];
    size_t subtree_count;
    struct level levels[DEPTH_MOST];
    struct buf value; /* of overflow pages */
    /* Of the tree under way. */
    struct tree seen;
    char last[KEY_MOST], least[KEY_MOST];
    size_t last_n, least_n;
    bool has_last, has_least;
};

void lmdb_value_crc(char to[LMDB_VALUE_CRC_SIZE], struct str key, struct str value)
{
    uint32_t crc = crc32c(crc32c(0, key), value);
    for (unsigned i = 0; i < LMDB_VALUE_CRC_SIZE; i++)
        to[i] = (char)(crc >> (8 * i));
}

bool lmdb_value_open(struct str key, struct str stored, struct str *value_r)
{
    if (stored.n < LMDB_VALUE_CRC_SIZE)
        return false;
    struct str value = str_head(stored, stored.n - LMDB_VALUE_CRC_SIZE);
    char crc[LMDB_VALUE_CRC_SIZE];
    lmdb_value_crc(crc, key, value);
    *value_r = value;
    return memcmp(crc, value.p + value.n, LMDB_VALUE_CRC_SIZE) == 0;
}

static bool wrong(struct walk *walk, const char *what)
{
    if (!walk->wrong)
        walk->wrong = what;
    return false;
}

static uint16_t get_u16(const unsigned char *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static uint64_t get_u64(const unsigned char *p)
{
    uint64_t v = 0;
    for (unsigned i = 8; i > 0; i--)
        v = v << 8 | p[i - 1];
    return v;
}

static bool read_exact(struct walk *walk, void *to, size_t n, uint64_t at)
{
    ssize_t got = world_real()->ops->file_read(world_real(), walk->file, to, n, at);
    if (got < 0)
        walk->os = (int)-got;
    return (got >= 0 && (size_t)got == n) || wrong(walk, "the index ends too early");
}

/* Each page is used once. */
static bool page_claim(struct walk *walk, uint64_t number, uint64_t count)
{
    if (number < 2 || number >= walk->pages || count > walk->pages - number)
        return wrong(walk, "a page number in the index leads out of it");
    for (uint64_t page = number; page < number + count; page++) {
        unsigned char bit = (unsigned char)(1U << (page % 8));
        if (walk->used[page / 8] & bit)
            return wrong(walk, "a page of the index is used twice");
        walk->used[page / 8] |= bit;
    }
    return true;
}

static bool page_read(struct walk *walk, uint64_t number, unsigned char *page)
{
    return page_claim(walk, number, 1) &&
           read_exact(walk, page, walk->page_size, number * walk->page_size) &&
           (get_u64(page) == number || wrong(walk, "a page of the index has another's number"));
}

static unsigned page_flags(const unsigned char *page)
{
    return get_u16(page + 10);
}

/* --- Nodes ----------------------------------------------------------------------------------- */

/* A value in overflow pages: header with their number, then the octets. */
static bool big_value_read(struct walk *walk, uint64_t number, struct node *node)
{
    unsigned char header[PAGE_HEADER];
    if (node->size > VALUE_MOST)
        return wrong(walk, "a value in the index is too long");
    uint64_t pages = (PAGE_HEADER + node->size + walk->page_size - 1) / walk->page_size;
    if (!page_claim(walk, number, pages) ||
        !read_exact(walk, header, sizeof header, number * walk->page_size))
        return false;
    uint32_t said = get_u16(header + 12) | (uint32_t)get_u16(header + 14) << 16;
    if (get_u64(header) != number || page_flags(header) != PAGE_OVERFLOW || said != pages)
        return wrong(walk, "a long value in the index is damaged");
    walk->seen.overflow_pages += pages;
    buf_clear(&walk->value);
    char *room = buf_room(&walk->value, node->size);
    if (!room) {
        walk->os = ENOMEM;
        return wrong(walk, "no memory to check the index");
    }
    if (!read_exact(walk, room, node->size, number * walk->page_size + PAGE_HEADER))
        return false;
    node->value = str_make(room, node->size);
    return true;
}

/* Where the node lies in its page, within bounds. */
static bool node_bounds(struct walk *walk, const struct level *level, bool leaf,
                        struct node *node_r)
{
    const unsigned char *page = level->page;
    size_t at = get_u16(page + PAGE_HEADER + 2 * level->at);
    if (at < get_u16(page + 14) || at + NODE_HEADER > walk->page_size)
        return wrong(walk, "an entry of the index lies outside its page");
    const unsigned char *p = page + at;
    size_t room = walk->page_size - at - NODE_HEADER;
    uint64_t low = get_u16(p) | (uint64_t)get_u16(p + 2) << 16;
    unsigned flags = get_u16(p + 4);
    size_t key_n = get_u16(p + 6);
    *node_r = (struct node){.flags = leaf ? flags : 0, .key = str_make(p + NODE_HEADER, key_n)};
    node_r->size = low;
    node_r->child = low | (uint64_t)flags << 32;
    size_t stored = !leaf ? 0 : node_r->flags & NODE_BIG ? PAGE_NUMBER_SIZE : low;
    if (key_n > KEY_MOST || key_n > room || stored > room - key_n)
        return wrong(walk, "an entry of the index lies outside its page");
    if (leaf && (flags & ~(unsigned)(NODE_BIG | NODE_TREE)))
        return wrong(walk, "an entry of the index has unknown flags");
    node_r->value = str_make(p + NODE_HEADER + key_n, stored);
    return true;
}

static int key_order(const struct walk *walk, struct str a, struct str b)
{
    if (walk->seen.kind != TREE_FREE || a.n != PAGE_NUMBER_SIZE || b.n != PAGE_NUMBER_SIZE)
        return str_cmp(a, b);
    uint64_t x = get_u64((const unsigned char *)a.p);
    uint64_t y = get_u64((const unsigned char *)b.p);
    return (x > y) - (x < y);
}

static bool order_check(struct walk *walk, struct str key)
{
    if (walk->has_last && key_order(walk, str_make(walk->last, walk->last_n), key) >= 0)
        return wrong(walk, "keys of the index are out of order");
    if (walk->has_least && key_order(walk, str_make(walk->least, walk->least_n), key) > 0)
        return wrong(walk, "keys of the index are out of order");
    return true;
}

static struct tree tree_decode(const unsigned char *p, enum tree_kind kind)
{
    return (struct tree){.kind = kind,
                         .page_size = get_u16(p) | (uint32_t)get_u16(p + 2) << 16,
                         .flags = get_u16(p + 4),
                         .depth = get_u16(p + 6),
                         .branch_pages = get_u64(p + 8),
                         .leaf_pages = get_u64(p + 16),
                         .overflow_pages = get_u64(p + 24),
                         .entries = get_u64(p + 32),
                         .root = get_u64(p + 40)};
}

/* A list of free pages: how many, then their numbers. */
static bool free_list_check(struct walk *walk, struct str list)
{
    const unsigned char *p = (const unsigned char *)list.p;
    if (list.n < PAGE_NUMBER_SIZE || get_u64(p) > list.n / PAGE_NUMBER_SIZE - 1)
        return wrong(walk, "a list of free pages in the index is damaged");
    uint64_t count = get_u64(p);
    for (uint64_t i = 1; i <= count; i++)
        if (!page_claim(walk, get_u64(p + i * PAGE_NUMBER_SIZE), 1))
            return false;
    return true;
}

static bool value_check(struct walk *walk, const struct node *node)
{
    struct str value;
    bool is_tree = (node->flags & NODE_TREE) != 0;
    if (is_tree != (walk->seen.kind == TREE_MAIN))
        return wrong(walk, "the index holds what is not ours");
    switch (walk->seen.kind) {
    case TREE_FREE:
        return free_list_check(walk, node->value);
    case TREE_MAIN:
        if (node->value.n != DATABASE_SIZE || walk->subtree_count == SUBTREES_MOST)
            return wrong(walk, "the index holds what is not ours");
        walk->subtrees[walk->subtree_count++] =
            tree_decode((const unsigned char *)node->value.p, TREE_OURS);
        return true;
    case TREE_OURS:
        return lmdb_value_open(node->key, node->value, &value) ||
               wrong(walk, "a value in the index fails its checksum");
    }
    return false;
}

static bool leaf_node(struct walk *walk, const struct level *level)
{
    struct node node;
    if (!node_bounds(walk, level, true, &node) || !order_check(walk, node.key))
        return false;
    memcpy(walk->last, node.key.p, node.key.n);
    walk->last_n = node.key.n;
    walk->has_last = true;
    walk->has_least = false;
    walk->seen.entries++;
    if (node.flags & NODE_BIG &&
        !big_value_read(walk, get_u64((const unsigned char *)node.value.p), &node))
        return false;
    return value_check(walk, &node);
}

/* --- Trees ----------------------------------------------------------------------------------- */

static bool level_open(struct walk *walk, struct level *level, uint64_t number, bool leaf)
{
    if (!level->page && !(level->page = malloc(walk->page_size))) {
        walk->os = ENOMEM;
        return wrong(walk, "no memory to check the index");
    }
    if (!page_read(walk, number, level->page))
        return false;
    unsigned lower = get_u16(level->page + 12);
    unsigned upper = get_u16(level->page + 14);
    if (page_flags(level->page) != (leaf ? PAGE_LEAF : PAGE_BRANCH) || lower < PAGE_HEADER ||
        lower % 2 != 0 || lower > upper || upper > walk->page_size)
        return wrong(walk, "a page of the index is damaged");
    level->at = 0;
    level->keys = (lower - PAGE_HEADER) / 2;
    if (level->keys == 0)
        return wrong(walk, "a page of the index is empty");
    *(leaf ? &walk->seen.leaf_pages : &walk->seen.branch_pages) += 1;
    return true;
}

/* Opens the next child of a branch page. Its first key is not looked at, as LMDB does not. */
static bool branch_descend(struct walk *walk, struct level *level, bool leaf)
{
    struct node node;
    if (!node_bounds(walk, level, false, &node))
        return false;
    if (level->at > 0) {
        if (!order_check(walk, node.key))
            return false;
        memcpy(walk->least, node.key.p, node.key.n);
        walk->least_n = node.key.n;
        walk->has_least = true;
    }
    level->at++;
    return level_open(walk, level + 1, node.child, leaf);
}

static bool tree_counts_check(struct walk *walk, const struct tree *tree)
{
    const struct tree *seen = &walk->seen;
    bool same = tree->entries == seen->entries && tree->leaf_pages == seen->leaf_pages &&
                tree->branch_pages == seen->branch_pages &&
                tree->overflow_pages == seen->overflow_pages;
    return same || wrong(walk, "the index has lost pages or entries");
}

static bool tree_check(struct walk *walk, const struct tree *tree)
{
    walk->seen = (struct tree){.kind = tree->kind};
    walk->has_last = walk->has_least = false;
    if (tree->flags != (tree->kind == TREE_FREE ? TREE_INTEGER_KEYS : 0))
        return wrong(walk, "a root of the index is damaged");
    if (tree->root == NO_PAGE)
        return (tree->depth == 0 || wrong(walk, "a root of the index is missing")) &&
               tree_counts_check(walk, tree);
    if (tree->depth == 0 || tree->depth > DEPTH_MOST)
        return wrong(walk, "a root of the index is damaged");
    size_t top = 0;
    size_t bottom = tree->depth - 1U;
    if (!level_open(walk, &walk->levels[0], tree->root, bottom == 0))
        return false;
    for (;;) {
        struct level *level = &walk->levels[top];
        if (level->at == level->keys && top == 0)
            return tree_counts_check(walk, tree);
        if (level->at == level->keys) {
            top--;
        } else if (top == bottom) {
            if (!leaf_node(walk, level))
                return false;
            level->at++;
        } else if (branch_descend(walk, level, ++top == bottom)) {
            continue;
        } else {
            return false;
        }
    }
}

/* --- The two meta pages ---------------------------------------------------------------------- */

struct meta {
    uint64_t number;
    uint64_t last_page;
    struct tree trees[2];
};

static bool meta_read(struct walk *walk, uint64_t at, struct meta *meta_r)
{
    unsigned char p[META_SIZE];
    if (!read_exact(walk, p, sizeof p, at))
        return false;
    uint64_t magic = get_u64(p + META_MAGIC_AT);
    if (page_flags(p) != PAGE_META || magic != (META_MAGIC | (uint64_t)META_VERSION << 32))
        return wrong(walk, "the index is no LMDB file");
    meta_r->trees[0] = tree_decode(p + META_DATABASES_AT, TREE_FREE);
    meta_r->trees[1] = tree_decode(p + META_DATABASES_AT + DATABASE_SIZE, TREE_MAIN);
    meta_r->last_page = get_u64(p + META_LAST_PAGE_AT);
    meta_r->number = get_u64(p + META_LAST_PAGE_AT + 8);
    return true;
}

/* The newer of the two, as LMDB chooses. */
static bool metas_read(struct walk *walk, struct meta *meta_r)
{
    struct meta other;
    if (!meta_read(walk, 0, meta_r))
        return false;
    uint32_t size = meta_r->trees[0].page_size;
    if (size < PAGE_LEAST || size > PAGE_MOST || (size & (size - 1)) != 0)
        return wrong(walk, "the index has an impossible page size");
    if (!meta_read(walk, size, &other))
        return false;
    if (other.trees[0].page_size != size)
        return wrong(walk, "the index has two page sizes");
    if (other.number > meta_r->number)
        *meta_r = other;
    walk->page_size = size;
    return true;
}

static bool pages_begin(struct walk *walk, const struct meta *meta)
{
    int64_t size = world_real()->ops->file_size(world_real(), walk->file);
    if (size < 0)
        walk->os = (int)-size;
    uint64_t most = size < 0 ? 0 : (uint64_t)size / walk->page_size;
    if (meta->last_page >= most)
        return wrong(walk, "the index ends too early");
    walk->pages = meta->last_page + 1;
    walk->used = calloc(walk->pages / 8 + 1, 1);
    if (!walk->used)
        walk->os = ENOMEM;
    return walk->used || wrong(walk, "no memory to check the index");
}

static bool trees_check(struct walk *walk, enum lmdb_file_part part)
{
    struct meta meta;
    if (!metas_read(walk, &meta) || !pages_begin(walk, &meta) ||
        !tree_check(walk, &meta.trees[0]) || !tree_check(walk, &meta.trees[1]))
        return false;
    for (size_t i = 0; part == LMDB_FILE_ALL && i < walk->subtree_count; i++)
        if (!tree_check(walk, &walk->subtrees[i]))
            return false;
    return true;
}

struct err lmdb_file_check(int file, enum lmdb_file_part part)
{
    struct walk *walk = calloc(1, sizeof *walk);
    if (!walk)
        return err_make(ERR_NO_MEMORY);
    walk->file = file;
    buf_init(&walk->value, VALUE_MOST);
    struct err e = err_none();
    if (!trees_check(walk, part))
        e = err_detail(ERR_STORE_DAMAGED, str_from(walk->wrong));
    if (walk->os)
        e = err_os(walk->os, str_from(walk->wrong));
    for (size_t i = 0; i < DEPTH_MOST; i++)
        free(walk->levels[i].page);
    buf_done(&walk->value);
    free(walk->used);
    free(walk);
    return e;
}
