/*
 * queue top. By destination it is the schedule that is asked, in slices; by anything else the
 * entries are walked and counted, in a tree, since senders choose what they are called.
 */
#include <bsd/sys/tree.h>

#include "base/must.h"
#include "core/admin_queue.h"
#include "core/core.h"
#include "core/route.h"

enum {
    TOP_ROWS = 20, /* where --limit does not say otherwise */
    TOP_ROWS_MAX = 1000,
    GROUPS_MAX = 100000, /* that are counted apart; the rest is one */
    NAME_MAX_OCTETS = ROUTE_DESTINATION_MAX + 1,
    SLICE = 500, /* destinations looked at in one turn */
};

/* --- By destination, of a server that is up --- */

struct row {
    char name[NAME_MAX_OCTETS];
    size_t name_length;
    size_t entries, due, under_way;
    uint32_t window;
    int64_t quiet; /* nanoseconds from now; 0: it is not */
    uint16_t trouble;
    bool paused;
    uint64_t sent, failed;
};

struct top {
    struct admin_call *call;
    struct row *rows; /* the most entries first */
    size_t count, most;
};

static void row_fill(const struct schedule *schedule, const struct destination *destination,
                     struct row *row)
{
    bool quiet = destination->troubles > 0 && destination->quiet_until > schedule->mono;
    *row = (struct row){
        .name_length = destination->name_length,
        .entries = destination->entries,
        .due = destination->due,
        .under_way = destination->under_way,
        .window = destination->troubles ? 1 : destination->window,
        .quiet = quiet ? destination->quiet_until - schedule->mono : 0,
        .trouble = destination->trouble,
        .paused = destination->paused,
        .sent = destination->sent,
        .failed = destination->failed,
    };
    must(row->name_length <= sizeof(row->name));
    memcpy(row->name, destination->name, row->name_length);
}

static void row_add(struct top *top, const struct schedule *schedule,
                    const struct destination *destination)
{
    size_t at = top->count;
    if (destination->entries == 0 && !destination->paused)
        return;
    if (at == top->most && destination->entries <= top->rows[at - 1].entries)
        return;
    at -= at == top->most;
    for (; at > 0 && top->rows[at - 1].entries < destination->entries; at--)
        top->rows[at] = top->rows[at - 1];
    row_fill(schedule, destination, &top->rows[at]);
    top->count += top->count < top->most;
}

static void destinations_look(struct top *top)
{
    struct admin *admin = top->call->admin;
    struct schedule *schedule = &admin->core->queue->schedule;
    struct destination *destination = schedule_next_destination(schedule, NULL);
    char name[NAME_MAX_OCTETS];
    for (size_t seen = 1; destination && !admin->gone; seen++) {
        row_add(top, schedule, destination);
        if (seen % SLICE) {
            destination = schedule_next_destination(schedule, destination);
            continue;
        }
        size_t n = destination->name_length;
        memcpy(name, destination->name, n);
        fiber_sleep_until(admin->loop, admin->loop->now); /* it may be gone then */
        destination = schedule_destination_behind(schedule, str_make(name, n));
    }
}

static void row_tell(struct admin_list *list, const struct row *row, int64_t now)
{
    static const char *const troubles[JOB_TROUBLES] = {"",    "dns",   "connect", "greeting",
                                                       "tls", "login", "busy"};
    json_t *object = json_object();
    json_put_text(object, "destination", str_make(row->name, row->name_length));
    json_put_number(object, "entries", row->entries);
    json_put_number(object, "due", row->due);
    json_put_number(object, "under_way", row->under_way);
    json_put_number(object, "window", row->window);
    json_put_flag(object, "paused", row->paused);
    if (row->quiet)
        json_put_time(object, "quiet_until", now + row->quiet / 1000);
    json_put_text(object, "trouble",
                  str_from(row->trouble < JOB_TROUBLES ? troubles[row->trouble] : ""));
    json_put_number(object, "sent", row->sent);
    json_put_number(object, "failed", row->failed);
    admin_list_item(list, object);
}

static int destinations_tell(struct admin_call *call, size_t most)
{
    struct admin *admin = call->admin;
    struct top top = {.call = call, .most = most};
    top.rows = arena_take_array(admin->arena, most, sizeof(struct row));
    if (!top.rows)
        return admin_fail(call, err_make(ERR_NO_MEMORY));
    destinations_look(&top);
    struct admin_list list = admin_list_open(call);
    for (size_t i = 0; i < top.count; i++)
        row_tell(&list, &top.rows[i], world_wall(admin->loop->world));
    return admin_list_close(&list, err_none());
}

/* --- By anything else --- */

struct group {
    RB_ENTRY(group) link;
    struct str name;
    uint64_t entries, recipients, octets;
    int64_t oldest;
};

RB_HEAD(groups, group);

static int group_order(const struct group *a, const struct group *b)
{
    if (a->name.n != b->name.n)
        return a->name.n < b->name.n ? -1 : 1;
    return a->name.n ? memcmp(a->name.p, b->name.p, a->name.n) : 0;
}

/* Not RB_GENERATE_STATIC: its __unused is a word only BSD's libc knows. */
RB_GENERATE_INTERNAL(groups, group, link, group_order, __attribute__((unused)) static)

enum top_by {
    BY_DESTINATION,
    BY_SENDER,
    BY_ACCOUNT,
    BY_DOMAIN,
    BY_REASON,
    BY_COUNT
};

struct counting {
    struct admin_call *call;
    enum top_by by;
    struct groups groups;
    struct group others;
    size_t count;
    bool failed;
};

static struct str name_by(const struct counting *counting, const struct queue_entry *entry,
                          const struct queue_view *view, struct route_destination *room)
{
    enum top_by by = counting->by;
    if (by == BY_DESTINATION) {
        route_destination(counting->call->admin->conf, entry, room);
        return room->name;
    }
    if (by == BY_SENDER)
        return entry->sender.n ? entry->sender : STR("<>");
    if (by == BY_ACCOUNT)
        return str_make((const char *)&entry->account, sizeof(entry->account));
    if (by == BY_REASON)
        return str_from(view->reason);
    return entry->domain;
}

static struct group *group_take(struct counting *counting, struct str name)
{
    struct arena *arena = counting->call->admin->arena;
    struct group like = {.name = name}, *group = RB_FIND(groups, &counting->groups, &like);
    if (group)
        return group;
    if (counting->count == GROUPS_MAX)
        return &counting->others;
    group = arena_new(arena, struct group);
    struct str kept = arena_str(arena, name);
    if (!group || !kept.p)
        return NULL;
    group->name = kept;
    group->oldest = INT64_MAX;
    RB_INSERT(groups, &counting->groups, group);
    counting->count++;
    return group;
}

static bool count_each(void *arg, const struct queue_entry *entry, const struct queue_view *view)
{
    struct counting *counting = arg;
    struct route_destination room;
    struct group *group = group_take(counting, name_by(counting, entry, view, &room));
    counting->failed |= !group;
    if (!group)
        return false;
    group->entries++;
    group->recipients += entry->recipient_count;
    group->octets += entry->size;
    if (entry->accepted < group->oldest)
        group->oldest = entry->accepted;
    return true;
}

static int most_first(const void *a, const void *b)
{
    const struct group *one = *(struct group *const *)a, *two = *(struct group *const *)b;
    return one->entries < two->entries   ? 1
           : one->entries > two->entries ? -1
                                         : group_order(one, two);
}

/* May yield. */
static struct str shown(struct counting *counting, const struct group *group)
{
    struct admin *admin = counting->call->admin;
    struct account account;
    uint64_t id;
    if (counting->by != BY_ACCOUNT || group == &counting->others)
        return group->name;
    memcpy(&id, group->name.p, sizeof(id));
    if (!id)
        return STR("(nobody here)");
    return err_is(directory_account_by_id(admin->directory, id, admin->arena, &account))
               ? STR("(an account that was removed)")
               : account.address;
}

static void group_tell(struct counting *counting, struct admin_list *list,
                       const struct group *group)
{
    static const char *const words[BY_COUNT] = {"destination", "sender", "account", "domain",
                                                "reason"};
    json_t *object = json_object();
    json_put_text(object, words[counting->by], shown(counting, group));
    json_put_number(object, "entries", group->entries);
    json_put_number(object, "recipients", group->recipients);
    json_put_number(object, "size", group->octets);
    json_put_time(object, "oldest", group->oldest);
    admin_list_item(list, object);
}

static int groups_tell(struct counting *counting, size_t most)
{
    struct admin_call *call = counting->call;
    struct group **all =
        arena_take_array(call->admin->arena, counting->count + 1, sizeof(struct group *));
    struct group *group;
    size_t count = 0;
    if (!all)
        return admin_fail(call, err_make(ERR_NO_MEMORY));
    RB_FOREACH (group, groups, &counting->groups)
        all[count++] = group;
    if (counting->others.entries)
        all[count++] = &counting->others;
    qsort(all, count, sizeof(*all), most_first);
    struct admin_list list = admin_list_open(call);
    for (size_t i = 0; i < count && i < most; i++)
        group_tell(counting, &list, all[i]);
    return admin_list_close(&list, err_none());
}

static int counted_tell(struct admin_call *call, enum top_by by, size_t most)
{
    struct queue_wanted all = {.state = -1, .limit = UINT64_MAX};
    struct counting counting = {
        .call = call,
        .by = by,
        .others = {.name = STR("(others)"), .oldest = INT64_MAX},
    };
    RB_INIT(&counting.groups);
    struct err e = queue_walk(call, &all, count_each, &counting);
    if (!err_is(e) && counting.failed)
        e = err_make(ERR_NO_MEMORY);
    return err_is(e) ? admin_fail(call, e) : groups_tell(&counting, most);
}

int admin_queue_top(struct admin_call *call)
{
    static const char *const words[BY_COUNT] = {"destination", "sender", "account", "domain",
                                                "reason"};
    struct str by = admin_value(call, "--by"), limit = admin_value(call, "--limit");
    uint64_t most = TOP_ROWS;
    int which = by.p ? BY_COUNT : BY_DESTINATION;
    for (int i = 0; i < BY_COUNT && by.p; i++)
        if (str_eq(by, str_from(words[i])))
            which = i;
    if (which == BY_COUNT)
        return admin_refuse(call, ADMIN_USAGE,
                            "expected destination, sender, account, domain or reason, not", by);
    if (limit.p && (!str_to_u64(limit, &most) || most == 0 || most > TOP_ROWS_MAX))
        return admin_refuse(call, ADMIN_USAGE, "expected a number from 1 to 1000, not", limit);
    return which == BY_DESTINATION && call->admin->core
               ? destinations_tell(call, (size_t)most)
               : counted_tell(call, (enum top_by)which, (size_t)most);
}
