/* alias, list and moved: add|set|show|list|remove */
#include "core/admin_command.h"

static struct str first_word(const struct admin_call *call)
{
    return call->words[0];
}

/* --- Names of a kind --- */

struct naming {
    struct admin_list list;
    enum name_kind kind;
    json_t *(*object_of)(struct admin_call *, const struct name *);
};

static struct err name_item(void *arg, const struct name *name)
{
    struct naming *naming = arg;
    if (name->kind == naming->kind)
        admin_list_item(&naming->list, naming->object_of(naming->list.call, name));
    return err_none();
}

int admin_names(struct admin_call *call, enum name_kind kind,
                json_t *(*object_of)(struct admin_call *, const struct name *))
{
    struct admin *admin = call->admin;
    struct str domain = str_null();
    struct domain record;
    int code = call->count ? admin_domain_name(call, call->words[0], &domain) : ADMIN_OK;
    if (!code && domain.p)
        code = admin_fail(call,
                          directory_domain_show(admin->directory, domain, admin->arena, &record));
    if (code)
        return code;
    struct naming naming = {admin_list_open(call), kind, object_of};
    struct err e = directory_names(admin->directory, domain, name_item, &naming);
    return admin_list_close(&naming.list, e);
}

json_t *admin_addresses(const struct admin_call *call, const struct str *addresses, size_t count)
{
    json_t *array = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(array, admin_address(call, addresses[i]));
    return array;
}

/* Runs a call that takes an address and nothing else. */
static int remove_by(struct admin_call *call, const char *what,
                     struct err (*remove)(struct directory *, const struct addr *, struct arena *))
{
    struct admin *admin = call->admin;
    struct addr addr;
    int code = admin_addr(call, first_word(call), &addr);
    if (!code)
        code = admin_fail(call, remove(admin->directory, &addr, admin->arena));
    return code ? code : admin_done(call, "removed", what, admin_stored(call, &addr));
}

/* --- Aliases --- */

static json_t *alias_object(const struct admin_call *call, const struct alias *alias)
{
    json_t *object = json_object();
    admin_put_name(call, object, "alias", alias->address);
    json_put(object, "to", admin_addresses(call, alias->targets, alias->target_count));
    return object;
}

static int alias_put(struct admin_call *call, const char *done,
                     struct err (*put)(struct directory *, const struct addr *, const struct addr *,
                                       size_t, struct arena *))
{
    struct admin *admin = call->admin;
    struct addr addr;
    struct addr *targets = arena_take_array(admin->arena, call->count, sizeof(*targets));
    if (!targets)
        return admin_fail(call, err_make(ERR_NO_MEMORY));
    int code = admin_addr(call, first_word(call), &addr);
    for (size_t i = 1; !code && i < call->count; i++)
        code = admin_addr(call, call->words[i], &targets[i - 1]);
    if (!code)
        code =
            admin_fail(call, put(admin->directory, &addr, targets, call->count - 1, admin->arena));
    return code ? code : admin_done(call, done, "alias", admin_stored(call, &addr));
}

int admin_alias_add(struct admin_call *call)
{
    return alias_put(call, "added", directory_alias_add);
}

int admin_alias_set(struct admin_call *call)
{
    return alias_put(call, "changed", directory_alias_set);
}

int admin_alias_show(struct admin_call *call)
{
    struct admin *admin = call->admin;
    struct addr addr;
    struct alias alias;
    int code = admin_addr(call, first_word(call), &addr);
    if (!code)
        code =
            admin_fail(call, directory_alias_show(admin->directory, &addr, admin->arena, &alias));
    if (code)
        return code;
    json_t *object = alias_object(call, &alias);
    json_put_time(object, "created", alias.created);
    return admin_show(call, object);
}

static json_t *alias_of(struct admin_call *call, const struct name *name)
{
    return alias_object(call, &name->alias);
}

int admin_alias_list(struct admin_call *call)
{
    return admin_names(call, NAME_ALIAS, alias_of);
}

int admin_alias_remove(struct admin_call *call)
{
    return remove_by(call, "alias", directory_alias_remove);
}

/* --- Lists --- */

static json_t *list_object(const struct admin_call *call, const struct mailing_list *list)
{
    json_t *object = json_object();
    admin_put_name(call, object, "list", list->address);
    json_put_text(object, "name", list->name);
    json_put(object, "owner", admin_address(call, list->owner));
    json_put_flag(object, "expandable", list->expandable);
    return object;
}

/* --member and --drop, in the order they were given. */
static int members_take(struct admin_call *call, struct member_change **changes_r, size_t *count_r)
{
    struct member_change *changes =
        arena_take_array(call->admin->arena, call->given_count, sizeof(*changes));
    int code = ADMIN_OK;
    size_t count = 0;
    if (!changes)
        return admin_fail(call, err_make(ERR_NO_MEMORY));
    for (size_t i = 0; !code && i < call->given_count; i++) {
        const struct admin_given *given = &call->given[i];
        bool drop = str_eq(given->name, STR("--drop"));
        bool again = str_eq(given->name, STR("--resubscribe"));
        bool leaves = str_eq(given->name, STR("--unsubscribe"));
        if (!drop && !again && !leaves && !str_eq(given->name, STR("--member")))
            continue;
        changes[count] =
            (struct member_change){.drop = drop, .again = again, .unsubscribes = leaves};
        code = admin_addr(call, given->value, &changes[count++].member);
    }
    *changes_r = changes;
    *count_r = count;
    return code;
}

int admin_list_add(struct admin_call *call)
{
    struct admin *admin = call->admin;
    struct addr addr, owner;
    struct mailing_list list = {.name = STR(""), .expandable = admin_has(call, "--expandable")};
    if (!admin_has(call, "--owner"))
        return admin_refuse(call, ADMIN_USAGE, "a list needs an --owner", str_null());
    if (admin_has(call, "--name"))
        list.name = admin_value(call, "--name");
    struct member_change *members;
    size_t count;
    int code = admin_addr(call, first_word(call), &addr);
    if (!code)
        code = admin_addr(call, admin_value(call, "--owner"), &owner);
    if (!code)
        code = members_take(call, &members, &count);
    if (!code)
        code = admin_fail(call, directory_list_add(admin->directory, &addr, &list, &owner, members,
                                                   count, admin->arena));
    return code ? code : admin_done(call, "added", "list", admin_stored(call, &addr));
}

static int list_fields_take(struct admin_call *call, struct mailing_list *list, struct addr *owner,
                            unsigned *fields)
{
    struct str expandable = admin_value(call, "--expandable");
    if (expandable.p && !str_eq(expandable, STR("yes")) && !str_eq(expandable, STR("no")))
        return admin_refuse(call, ADMIN_USAGE, "expected yes or no, not", expandable);
    list->expandable = str_eq(expandable, STR("yes"));
    list->name = admin_value(call, "--name");
    *fields |= expandable.p ? FIELD_EXPANDABLE : 0;
    *fields |= list->name.p ? FIELD_NAME : 0;
    if (!admin_has(call, "--owner"))
        return ADMIN_OK;
    *fields |= FIELD_OWNER;
    return admin_addr(call, admin_value(call, "--owner"), owner);
}

int admin_list_set(struct admin_call *call)
{
    struct admin *admin = call->admin;
    struct addr addr, owner;
    struct mailing_list list = {0};
    struct member_change *members;
    size_t count;
    unsigned fields = 0;
    int code = admin_addr(call, first_word(call), &addr);
    if (!code)
        code = list_fields_take(call, &list, &owner, &fields);
    if (!code)
        code = members_take(call, &members, &count);
    if (!code && call->given_count == 0)
        return admin_refuse(call, ADMIN_USAGE, "say what to change", str_null());
    if (!code)
        code = admin_fail(call, directory_list_set(admin->directory, &addr, &list, &owner, fields,
                                                   members, count, admin->arena));
    return code ? code : admin_done(call, "changed", "list", admin_stored(call, &addr));
}

static json_t *leavers_list(const struct admin_call *call, const struct unsubscribed *leavers,
                            size_t count)
{
    json_t *array = json_array();
    for (size_t i = 0; i < count; i++) {
        struct buf text = buf_in(call->admin->arena, ADMIN_LINE_MAX);
        directory_unsubscribed_print(&leavers[i], &text);
        json_array_append_new(array, json_text(buf_built(&text)));
    }
    return array;
}

int admin_list_show(struct admin_call *call)
{
    struct admin *admin = call->admin;
    struct addr addr;
    struct mailing_list list;
    struct str *members;
    struct unsubscribed *leavers;
    size_t count, left;
    int code = admin_addr(call, first_word(call), &addr);
    if (!code)
        code = admin_fail(call, directory_list_show(admin->directory, &addr, admin->arena, &list));
    if (!code)
        code = admin_fail(
            call, directory_members(admin->directory, &list, admin->arena, &members, &count));
    if (!code)
        code = admin_fail(
            call, directory_unsubscribed(admin->directory, &list, admin->arena, &leavers, &left));
    if (code)
        return code;
    json_t *object = list_object(call, &list);
    json_put_time(object, "created", list.created);
    json_put(object, "members", admin_addresses(call, members, count));
    json_put(object, "unsubscribed", leavers_list(call, leavers, left));
    return admin_show(call, object);
}

static json_t *list_of(struct admin_call *call, const struct name *name)
{
    return list_object(call, &name->list);
}

int admin_list_list(struct admin_call *call)
{
    return admin_names(call, NAME_LIST, list_of);
}

int admin_list_remove(struct admin_call *call)
{
    return remove_by(call, "list", directory_list_remove);
}

/* --- Moved users --- */

static json_t *moved_object(const struct admin_call *call, const struct moved *moved)
{
    json_t *object = json_object();
    admin_put_name(call, object, "moved", moved->address);
    json_put(object, moved->forward ? "forward" : "refer", admin_address(call, moved->to));
    return object;
}

static int moved_put(struct admin_call *call, const char *done,
                     struct err (*put)(struct directory *, const struct addr *, const struct addr *,
                                       bool, struct arena *))
{
    struct admin *admin = call->admin;
    struct addr addr, to;
    bool forward = admin_has(call, "--forward");
    if (forward == admin_has(call, "--refer"))
        return admin_refuse(call, ADMIN_USAGE, "one of --forward and --refer is needed",
                            str_null());
    int code = admin_addr(call, first_word(call), &addr);
    if (!code)
        code = admin_addr(call, admin_value(call, forward ? "--forward" : "--refer"), &to);
    if (!code)
        code = admin_fail(call, put(admin->directory, &addr, &to, forward, admin->arena));
    return code ? code : admin_done(call, done, "moved", admin_stored(call, &addr));
}

int admin_moved_add(struct admin_call *call)
{
    return moved_put(call, "added", directory_moved_add);
}

int admin_moved_set(struct admin_call *call)
{
    return moved_put(call, "changed", directory_moved_set);
}

int admin_moved_show(struct admin_call *call)
{
    struct admin *admin = call->admin;
    struct addr addr;
    struct moved moved;
    int code = admin_addr(call, first_word(call), &addr);
    if (!code)
        code =
            admin_fail(call, directory_moved_show(admin->directory, &addr, admin->arena, &moved));
    if (code)
        return code;
    json_t *object = moved_object(call, &moved);
    json_put_time(object, "created", moved.created);
    return admin_show(call, object);
}

static json_t *moved_of(struct admin_call *call, const struct name *name)
{
    return moved_object(call, &name->moved);
}

int admin_moved_list(struct admin_call *call)
{
    return admin_names(call, NAME_MOVED, moved_of);
}

int admin_moved_remove(struct admin_call *call)
{
    return remove_by(call, "moved", directory_moved_remove);
}
