/*
 * The directory against a model that is simple enough to be right: a table of names, each an
 * account, an alias, a list, a forward, elsewhere or nothing, and a resolver that walks the table.
 * A seed makes random changes and questions; both must agree on every answer and on every error.
 * Names are few, so that loops, twins and names in use come up all the time.
 */
#include "base/test.h"

#include "store/directory_given_test.h"
#include "sys/fake/random.h"

enum {
    HERE = 12,
    NAMES = HERE + 3, /* the last ones are elsewhere, and stay that */
    LINKS_MAX = 4,
    STEPS = 1500,
    SEEDS = 6,
};

enum model_kind {
    NOTHING,
    ACCOUNT,
    ALIAS,
    LIST,
    FORWARD,
    ELSEWHERE,
};

struct model_name {
    enum model_kind kind;
    size_t links[NAMES];
    size_t count;
    size_t owner; /* of a list */
    bool only;    /* an account that keeps none of what it forwards */
};

struct model {
    struct given *given;
    struct fake_random random;
    struct model_name names[NAMES];
};

static size_t pick(struct model *model, size_t below)
{
    return (size_t)fake_random_below(&model->random, below);
}

static struct str address(struct model *model, size_t name)
{
    char text[32];
    int n = snprintf(text, sizeof(text), "n%02zu@%s.test", name, name < HERE ? "a" : "else");
    return arena_str(&model->given->arena, str_make(text, (size_t)n));
}

/* --- What the model says --- */

/* Marks everything that can be reached from a name; the depth of the deepest path is bounded by the
 * number of names, so a simple worklist is enough. */
static void reach(const struct model *model, size_t from, bool seen[NAMES])
{
    size_t queue[NAMES], head = 0, tail = 0;
    if (seen[from])
        return;
    seen[from] = true;
    queue[tail++] = from;
    while (head < tail) {
        const struct model_name *name = &model->names[queue[head++]];
        for (size_t i = 0; i < name->count; i++)
            if (!seen[name->links[i]]) {
                seen[name->links[i]] = true;
                queue[tail++] = name->links[i];
            }
    }
}

/* May `name` lead to these? */
static enum err_code links_check(const struct model *model, size_t name, const size_t *links,
                                 size_t count)
{
    bool seen[NAMES] = {false};
    for (size_t i = 0; i < count; i++)
        if (model->names[links[i]].kind == NOTHING && links[i] != name)
            return ERR_NOT_FOUND;
    for (size_t i = 0; i < count; i++)
        reach(model, links[i], seen);
    return seen[name] ? ERR_ALIAS_LOOP : ERR_NONE;
}

static enum err_code owner_check(const struct model *model, size_t name, size_t owner)
{
    return model->names[owner].kind == ELSEWHERE ? ERR_NOT_ALLOWED
                                                 : links_check(model, name, &owner, 1);
}

static bool is_used(const struct model *model, size_t name)
{
    for (size_t i = 0; i < NAMES; i++) {
        const struct model_name *other = &model->names[i];
        if (i == name || other->kind == NOTHING)
            continue;
        if (other->kind == LIST && other->owner == name)
            return true;
        for (size_t k = 0; k < other->count; k++)
            if (other->links[k] == name)
                return true;
    }
    return false;
}

/* --- Changes, to both --- */

static void add_account(struct model *model, size_t name)
{
    enum err_code expected = model->names[name].kind == NOTHING ? ERR_NONE : ERR_EXISTS;
    assert_int_equal(account_add(model->given, address(model, name), STR("")), expected);
    if (!expected)
        model->names[name] = (struct model_name){.kind = ACCOUNT};
}

static struct str joined(struct model *model, const size_t *links, size_t count)
{
    struct buf buf = BUF_INIT(1024);
    for (size_t i = 0; i < count; i++) {
        buf_put(&buf, i ? STR(" ") : STR(""));
        buf_put(&buf, address(model, links[i]));
    }
    struct str text = buf_copy(&buf, &model->given->arena);
    buf_done(&buf);
    return text;
}

static size_t links_pick(struct model *model, size_t links[LINKS_MAX])
{
    size_t wanted = 1 + pick(model, LINKS_MAX), count = 0;
    while (wanted--) {
        size_t link = pick(model, NAMES);
        bool there = false;
        for (size_t i = 0; i < count; i++)
            there |= links[i] == link;
        if (!there)
            links[count++] = link;
    }
    return count;
}

static void put_alias(struct model *model, size_t name, bool set)
{
    struct model_name wanted = {.kind = ALIAS};
    wanted.count = links_pick(model, wanted.links);
    struct str text = joined(model, wanted.links, wanted.count);
    enum model_kind there = model->names[name].kind;
    enum err_code expected = set ? (there == ALIAS ? ERR_NONE : ERR_NOT_FOUND)
                                 : (there == NOTHING ? ERR_NONE : ERR_EXISTS);
    if (!expected)
        expected = links_check(model, name, wanted.links, wanted.count);
    enum err_code got = set ? alias_set(model->given, address(model, name), text)
                            : alias_add(model->given, address(model, name), text);
    assert_int_equal(got, expected);
    if (!expected)
        model->names[name] = wanted;
}

static void add_forward(struct model *model, size_t name)
{
    struct model_name wanted = {.kind = FORWARD, .links = {pick(model, NAMES)}, .count = 1};
    enum err_code expected = model->names[name].kind == NOTHING ? ERR_NONE : ERR_EXISTS;
    if (!expected)
        expected = links_check(model, name, wanted.links, 1);
    assert_int_equal(
        moved_add(model->given, address(model, name), address(model, wanted.links[0]), true),
        expected);
    if (!expected)
        model->names[name] = wanted;
}

static void add_list(struct model *model, size_t name)
{
    struct model_name wanted = {.kind = LIST, .owner = pick(model, NAMES)};
    enum err_code expected = model->names[name].kind == NOTHING ? ERR_NONE : ERR_EXISTS;
    if (!expected)
        expected = owner_check(model, name, wanted.owner);
    assert_int_equal(
        list_add(model->given, address(model, name), address(model, wanted.owner), true), expected);
    if (!expected)
        model->names[name] = wanted;
}

static void add_member(struct model *model, size_t name)
{
    struct model_name wanted = model->names[name];
    size_t member = pick(model, NAMES);
    enum err_code expected = wanted.kind == LIST ? ERR_NONE : ERR_NOT_FOUND;
    for (size_t i = 0; !expected && i < wanted.count; i++)
        if (wanted.links[i] == member)
            expected = ERR_EXISTS;
    if (!expected) {
        /* Members stand sorted by address. */
        size_t at = wanted.count++;
        for (; at > 0 && wanted.links[at - 1] > member; at--)
            wanted.links[at] = wanted.links[at - 1];
        wanted.links[at] = member;
        /* The owner is looked at again with every change of a list. */
        expected = owner_check(model, name, wanted.owner);
        if (!expected)
            expected = links_check(model, name, wanted.links, wanted.count);
    }
    assert_int_equal(member_add(model->given, address(model, name), address(model, member)),
                     expected);
    if (!expected)
        model->names[name] = wanted;
}

static enum err_code on_add(const struct model *model, size_t name, size_t target,
                            struct model_name *wanted)
{
    for (size_t i = 0; i < wanted->count; i++)
        if (wanted->links[i] == target)
            return ERR_EXISTS;
    if (wanted->count == DIRECTORY_FORWARDS_MAX)
        return ERR_OVER_LIMIT;
    wanted->links[wanted->count++] = target;
    return links_check(model, name, wanted->links, wanted->count);
}

static void add_on(struct model *model, size_t name)
{
    struct model_name wanted = model->names[name];
    size_t target = pick(model, NAMES);
    enum forward_keep keep = (enum forward_keep)pick(model, 3);
    enum err_code expected =
        wanted.kind == ACCOUNT ? on_add(model, name, target, &wanted) : ERR_NOT_FOUND;
    if (keep != FORWARD_KEEP_AS_IS)
        wanted.only = keep == FORWARD_KEEP_NONE;
    assert_int_equal(forward_add(model->given, address(model, name), address(model, target), keep),
                     expected);
    if (!expected)
        model->names[name] = wanted;
}

static void remove_on(struct model *model, size_t name)
{
    struct model_name wanted = model->names[name];
    size_t target = pick(model, NAMES), at = 0;
    while (at < wanted.count && wanted.links[at] != target)
        at++;
    bool there = wanted.kind == ACCOUNT && at < wanted.count;
    assert_int_equal(forward_remove(model->given, address(model, name), address(model, target)),
                     there ? ERR_NONE : ERR_NOT_FOUND);
    if (!there)
        return;
    wanted.count--;
    for (; at < wanted.count; at++)
        wanted.links[at] = wanted.links[at + 1];
    wanted.only &= wanted.count > 0;
    model->names[name] = wanted;
}

static void remove_name(struct model *model, size_t name)
{
    static const remove_call calls[] = {
        [NOTHING] = directory_account_remove, [ACCOUNT] = directory_account_remove,
        [ALIAS] = directory_alias_remove,     [LIST] = directory_list_remove,
        [FORWARD] = directory_moved_remove,
    };
    struct model_name *there = &model->names[name];
    enum err_code expected = there->kind == NOTHING ? ERR_NOT_FOUND
                             : is_used(model, name) ? ERR_IN_USE
                                                    : ERR_NONE;
    assert_int_equal(remove_by(model->given, calls[there->kind], address(model, name)), expected);
    if (!expected)
        *there = (struct model_name){.kind = NOTHING};
}

/* --- Questions, to both --- */

/* Accounts, or who is elsewhere, in the order in which they are met, breadth first. */
static struct str model_copies(struct model *model, size_t name, enum model_kind kind)
{
    size_t queue[NAMES], found[NAMES], head = 0, tail = 0, count = 0;
    bool seen[NAMES] = {false}, any = false;
    queue[tail++] = name;
    seen[name] = true;
    while (head < tail) {
        size_t at = queue[head++];
        const struct model_name *met = &model->names[at];
        bool gets = met->kind == ELSEWHERE || (met->kind == ACCOUNT && !met->only);
        any |= gets;
        if (gets && met->kind == kind)
            found[count++] = at;
        for (size_t i = 0; i < model->names[at].count; i++) {
            size_t link = model->names[at].links[i];
            if (!seen[link])
                queue[tail++] = link;
            seen[link] = true;
        }
    }
    return any ? joined(model, found, count) : STR("MAILBOX_UNKNOWN");
}

/* Two ways to one empty list are answered like a loop that ends nowhere; here there are no loops.
 */
static void ask(struct model *model, size_t name)
{
    struct str copies = copies_of(model->given, address(model, name));
    struct str outside = outside_of(model->given, address(model, name));
    if (str_eq(copies, STR("ALIAS_LOOP")))
        copies = outside = STR("MAILBOX_UNKNOWN");
    assert_str(copies, model_copies(model, name, ACCOUNT));
    assert_str(outside, model_copies(model, name, ELSEWHERE));
}

static void step(struct model *model)
{
    size_t name = pick(model, HERE);
    switch (pick(model, 15)) {
    case 0:
    case 1:
        add_account(model, name);
        break;
    case 2:
    case 3:
        put_alias(model, name, false);
        break;
    case 4:
        put_alias(model, name, true);
        break;
    case 5:
        add_forward(model, name);
        break;
    case 6:
        add_list(model, name);
        break;
    case 7:
    case 8:
        add_member(model, name);
        break;
    case 9:
    case 10:
        remove_name(model, name);
        break;
    case 11:
    case 12:
        add_on(model, name);
        break;
    case 13:
        remove_on(model, name);
        break;
    default:
        for (size_t i = 0; i < HERE; i++)
            ask(model, i);
    }
}

static void the_directory_agrees_with_the_model(void **state)
{
    struct given *given = *state;
    assert_int_equal(domain_add(given, STR("a.test")), ERR_NONE);
    struct model model = {.given = given};
    for (size_t i = HERE; i < NAMES; i++)
        model.names[i].kind = ELSEWHERE;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        fake_random_init(&model.random, seed, "directory");
        for (size_t i = 0; i < STEPS; i++) {
            arena_reset(&given->arena);
            step(&model);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DIRECTORY(the_directory_agrees_with_the_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
