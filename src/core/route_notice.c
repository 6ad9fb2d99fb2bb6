/*
 * Why the store remembers it and not the governor: a server that is started again and again would
 * else tell it each time, and that is when its operator has other things to read.
 */
#include "core/route_notice.h"

#include "base/must.h"
#include "base/wire.h"
#include "core/delivery.h"
#include "core/queue.h"

enum {
    ARENA = 512 * 1024,
    TEXT_MAX = 16 * 1024,
    SUBJECT_MAX = 512,
    KEY_MAX = CONF_NAME_MOST + 3,
};

#define HOUR (3600 * US_PER_SECOND)
#define DAY (24 * HOUR)

struct telling {
    struct fiber_start start;
    struct core *core;
    struct arena arena;
    struct route_notice notice;
    struct str key, before; /* of when it was told last; before.p NULL: never */
};

/* --- Words ----------------------------------------------------------------------------------- */

/* Of the limits, in the order of their kinds. */
static const struct {
    const char *setting, *english, *chinese;
} limits[] = {
    {"messages_per_hour", "messages an hour", "每小时邮件数"},
    {"messages_per_day", "messages a day", "每天邮件数"},
    {"recipients_per_hour", "recipients an hour", "每小时收件人数"},
    {"recipients_per_day", "recipients a day", "每天收件人数"},
};

static void near_english(struct buf *to, const struct route_notice *notice)
{
    buf_printf(
        to,
        "Four fifths of a limit of route %.*s are used:\r\n\r\n"
        "  %s: %llu of %llu (%s)\r\n\r\n"
        "What comes now is spread evenly over the time that is left. When the limit is\r\n"
        "reached, mail waits for its turn: nothing is refused or returned for it, unless\r\n"
        "it waits longer than sending.expire.\r\n\r\n"
        "`veredus route show %.*s` shows what is used and until when mail waits,\r\n"
        "`veredus queue top --by sender` whose mail it is. The sending of a mailbox that\r\n"
        "somebody else uses is stopped by `veredus account hold`. A limit that the provider\r\n"
        "has raised is set in the route's block.\r\n",
        STR_FMT(notice->route), limits[notice->kind].english, (unsigned long long)notice->used,
        (unsigned long long)notice->limit, limits[notice->kind].setting, STR_FMT(notice->route));
}

static void near_chinese(struct buf *to, const struct route_notice *notice)
{
    buf_printf(
        to,
        "路由 %.*s 的一项限额已用去五分之四：\r\n\r\n"
        "  %s：%llu / %llu（%s）\r\n\r\n"
        "接下来的邮件会在剩余时间内均匀发出。达到限额后，邮件排队等待，不会因此被拒绝或退回，\r\n"
        "除非等待超过 sending.expire。\r\n\r\n"
        "`veredus route show %.*s` 显示用量以及邮件要等到何时，\r\n"
        "`veredus queue top --by sender` 显示是谁的邮件。邮箱若被他人使用，\r\n"
        "用 `veredus account hold` 停止其发送。服务商已提高的限额，请写入该路由的配置块。\r\n",
        STR_FMT(notice->route), limits[notice->kind].chinese, (unsigned long long)notice->used,
        (unsigned long long)notice->limit, limits[notice->kind].setting, STR_FMT(notice->route));
}

static void log_in_english(struct buf *to, const struct route_notice *notice)
{
    buf_printf(to,
               "Mail that goes by route %.*s waits, because its log-in as\r\n\r\n  %.*s\r\n\r\n"
               "is refused:\r\n\r\n  %.*s\r\n\r\n"
               "It is tried again and again, less and less often; what waits longer than\r\n"
               "sending.expire goes back to its sender.\r\n\r\n"
               "Put the password, or the refresh token, that the provider takes into the file\r\n"
               "that the route's block names, and reload the configuration. What waits goes at\r\n"
               "its next try, or at once by `veredus queue retry`; `veredus route show %.*s`\r\n"
               "tells whether all is there to log in with.\r\n",
               STR_FMT(notice->route), STR_FMT(notice->user), STR_FMT(notice->said),
               STR_FMT(notice->route));
}

static void log_in_chinese(struct buf *to, const struct route_notice *notice)
{
    buf_printf(
        to,
        "经路由 %.*s 发送的邮件在等待，因为它的登录用户\r\n\r\n  %.*s\r\n\r\n"
        "被拒绝：\r\n\r\n  %.*s\r\n\r\n"
        "服务器会继续重试，间隔越来越长；等待超过 sending.expire 的邮件会退回给发件人。\r\n\r\n"
        "请把服务商接受的密码或刷新令牌写入该路由配置块指定的文件，并重新加载配置。\r\n"
        "等待的邮件会在下次重试时发出，或用 `veredus queue retry` 立即发出；\r\n"
        "`veredus route show %.*s` 显示登录所需是否齐备。\r\n",
        STR_FMT(notice->route), STR_FMT(notice->user), STR_FMT(notice->said),
        STR_FMT(notice->route));
}

static void subject_put(struct buf *to, const struct route_notice *notice, bool chinese)
{
    struct str route = notice->route;
    if (notice->kind == ROUTE_NOTICE_LOG_IN && chinese)
        buf_printf(to, "路由 %.*s 登录被拒绝，邮件在等待", STR_FMT(route));
    else if (notice->kind == ROUTE_NOTICE_LOG_IN)
        buf_printf(to, "Route %.*s: its log-in is refused, mail waits", STR_FMT(route));
    else if (chinese)
        buf_printf(to, "路由 %.*s 接近限额：%s", STR_FMT(route), limits[notice->kind].chinese);
    else
        buf_printf(to, "Route %.*s nears its limit: %s", STR_FMT(route),
                   limits[notice->kind].english);
}

static void text_put(struct buf *to, const struct route_notice *notice, bool chinese)
{
    bool log_in = notice->kind == ROUTE_NOTICE_LOG_IN;
    if (chinese)
        (log_in ? log_in_chinese : near_chinese)(to, notice);
    else
        (log_in ? log_in_english : near_english)(to, notice);
}

static struct str message_make(struct telling *telling, struct delivery *delivery,
                               const struct copy *to)
{
    bool chinese = to->language == LANGUAGE_CHINESE;
    struct buf subject = buf_in(&telling->arena, SUBJECT_MAX);
    subject_put(&subject, &telling->notice, chinese);
    struct str line = buf_built(&subject);
    struct buf text = buf_in(&telling->arena, TEXT_MAX);
    delivery_notice_begin(delivery, to->address, line, &text);
    text_put(&text, &telling->notice, chinese);
    return line.p ? buf_built(&text) : str_null();
}

/* --- Whether --------------------------------------------------------------------------------- */

static int64_t window_of(enum route_notice_kind kind)
{
    bool hour = kind == ROUTE_NOTICE_MESSAGES_HOUR || kind == ROUTE_NOTICE_RECIPIENTS_HOUR;
    return hour ? HOUR : DAY;
}

/* A clock that was set back tells it once more. */
static bool was_told(const struct telling *telling, int64_t now)
{
    struct wire_in in = wire_in(telling->before);
    int64_t then = (int64_t)wire_get_u64(&in);
    return telling->before.p && wire_end(&in) && now >= then &&
           now - then < window_of(telling->notice.kind);
}

static struct err before_read(struct telling *telling)
{
    struct entry entry;
    struct buf key = buf_in(&telling->arena, KEY_MAX);
    buf_putc(&key, 'n');
    buf_put(&key, telling->notice.route);
    buf_putc(&key, '\0');
    buf_putc(&key, (char)('0' + telling->notice.kind));
    telling->key = buf_built(&key);
    if (!telling->key.p)
        return err_make(ERR_NO_MEMORY);
    struct err e = engine_get(telling->core->engine, (struct partition){PARTITION_QUEUE, 0},
                              telling->key, &telling->arena, &entry);
    telling->before = err_is(e) ? str_null() : entry.value;
    return e.code == ERR_NOT_FOUND ? err_none() : e;
}

/* Of two who would tell it one does. */
static bool told_ops(struct telling *telling, struct delivery *delivery)
{
    const struct partition queue = {PARTITION_QUEUE, 0};
    struct buf value = buf_in(&telling->arena, sizeof(uint64_t));
    wire_put_u64(&value, (uint64_t)delivery->now);
    struct str now = buf_built(&value);
    if (!now.p || !op_list_more(&delivery->ops, &telling->arena, 2))
        return false;
    op_list_add(&delivery->ops, telling->before.p ? OP_NEED_VALUE : OP_NEED_ABSENT, queue,
                telling->key, telling->before);
    op_list_add(&delivery->ops, OP_PUT, queue, telling->key, now);
    return true;
}

static struct err put(struct telling *telling, struct delivery *delivery)
{
    struct addr to = {.local = STR("postmaster"), .kind = ADDR_LOCAL_ONLY};
    struct addr nobody = {.kind = ADDR_NULL};
    struct copy *copies;
    size_t count;
    struct err e = delivery_notice_copies(delivery, &to, &copies, &count);
    if (err_is(e) || count == 0)
        return e; /* nobody is there to be told; the log has it */
    delivery_take_copies(delivery, copies, count, false);
    struct str message = message_make(telling, delivery, &copies[0]);
    if (!message.p || !told_ops(telling, delivery))
        return err_make(ERR_NO_MEMORY);
    e = delivery_text_put(delivery, message, delivery->copies, delivery->copy_count);
    return err_is(e) ? e : delivery_commit(delivery, &nobody, &to, 1, str_null());
}

static struct err tell(struct telling *telling)
{
    struct delivery delivery;
    struct err e = before_read(telling);
    if (err_is(e) || was_told(telling, world_wall(telling->core->world)))
        return e;
    e = delivery_init(&delivery, telling->core, &telling->arena, core_message_id(telling->core),
                      DELIVERY_OWNERS_MAX, 1);
    return err_is(e) ? e : put(telling, &delivery);
}

static void run(void *arg)
{
    struct telling *telling = arg;
    struct core *core = telling->core;
    struct err e = tell(telling);
    if (err_is(e) && e.code != ERR_CONFLICT)
        log_err(core->log, "route_notice_not_kept", e);
    arena_done(&telling->arena);
    free(telling);
    queue_fiber_end(core->queue);
}

void route_notice(struct core *core, const struct route_notice *notice)
{
    struct telling *telling = calloc(1, sizeof(*telling));
    if (!telling || core->queue->closing) {
        free(telling);
        return;
    }
    telling->core = core;
    telling->notice = *notice;
    arena_init_from(&telling->arena, ARENA, &core->spares);
    telling->notice.route = arena_str(&telling->arena, notice->route);
    telling->notice.user = arena_str(&telling->arena, notice->user);
    telling->notice.said = arena_str(&telling->arena, notice->said);
    telling->start = (struct fiber_start){.run = run, .arg = telling};
    queue_fiber_begin(core->queue);
    fiber_run(core->fibers, &telling->start);
}
