/*
 * What waits is held with its account (core/sending.h).
 *
 * Why each entry is marked, though the account's record alone decides: what is held must not
 * expire, must stand so in lists, and has an hour when it is released, and none of that may cost a
 * look at the account wherever entries are looked at. So the account's record is the truth, durable
 * in one commit; marks follow it, on walks that may end anywhere: a core that begins compares both
 * and has the rest done, and no entry is given to a courier without a look at the account itself.
 */
#include "core/core.h"
#include "core/queue_change.h"

enum {
    FOLLOW_PAGE = 500, /* entries read at once */
    FOLLOW_ARENA = 64 << 20,
    SCRATCH = 64 * 1024,
};

/* An account whose entries are to be walked over. */
struct queue_account {
    TAILQ_ENTRY(queue_account) link;
    uint64_t account;
    bool again; /* from the beginning: it was held or released since the walk began */
};

/* --- A walk --- */

struct following {
    const struct queue_hand *hand;
    struct queue_wish wish;
    struct queue_name names[QUEUE_CHANGES_MAX];
    size_t count;
    struct queue_changed *changed;
};

static bool is_held(const struct queue_entry *entry)
{
    return entry->holds & QUEUE_HELD_WITH_ACCOUNT;
}

static struct err batch_change(struct following *following)
{
    size_t count = following->count;
    following->count = 0;
    return count ? queue_change(following->hand, &following->wish, following->names, count,
                                following->changed)
                 : err_none();
}

static struct err page_follow(struct following *following, const struct queue_page *page)
{
    const struct sender *sender = following->wish.account;
    struct err e = err_none();
    for (size_t i = 0; i < page->count && !err_is(e); i++) {
        const struct queue_entry *entry = &page->entries[i];
        if (entry->account != sender->account || is_held(entry) == (sender->sending.held != 0))
            continue;
        following->names[following->count++] =
            (struct queue_name){.message = entry->message, .number = entry->number};
        if (following->count == QUEUE_CHANGES_MAX)
            e = batch_change(following);
    }
    return e;
}

static struct err walk(struct following *following)
{
    const struct queue_hand *hand = following->hand;
    struct queue_page page = {.more = true};
    struct err e = err_none();
    struct arena arena;
    arena_init(&arena, FOLLOW_ARENA);
    while (page.more && !err_is(e) && !(hand->queue && hand->queue->closing)) {
        arena_reset(&arena);
        e = queue_scan(hand->engine, page.last_message, page.last_number, FOLLOW_PAGE, &arena,
                       &page);
        if (!err_is(e))
            e = page_follow(following, &page);
        fiber_sleep_until(hand->loop, hand->loop->now); /* others have their turn */
    }
    arena_done(&arena);
    return err_is(e) ? e : batch_change(following);
}

struct err queue_follow(const struct queue_hand *hand, struct senders *senders, uint64_t account,
                        struct queue_changed *changed)
{
    struct sender *sender;
    struct err e = senders_take(senders, account, &sender);
    if (err_is(e))
        return e;
    struct following following = {
        .hand = hand, .wish = {.kind = WISH_FOLLOW, .account = sender}, .changed = changed};
    if (hand->queue)
        queue_fiber_begin(hand->queue);
    e = walk(&following);
    if (hand->queue)
        queue_fiber_end(hand->queue);
    senders_give(senders, sender);
    return e;
}

/* --- In the queue's own time --- */

static void accounts_run(void *arg)
{
    struct queue *queue = arg;
    struct core *core = queue->core;
    const struct queue_hand hand = {.queue = queue, .engine = core->engine, .loop = core->loop};
    struct queue_account *one;
    struct err e = err_none();
    while (!queue->closing && !err_is(e) && (one = TAILQ_FIRST(&queue->accounts))) {
        struct queue_changed changed = {.changed = 0};
        one->again = false;
        e = queue_follow(&hand, &core->senders, one->account, &changed);
        if (err_is(e) || one->again)
            continue;
        TAILQ_REMOVE(&queue->accounts, one, link);
        free(one);
    }
    if (err_is(e)) /* the sweep begins it again */
        log_err(core->log, "not_held_with_account", e);
    queue->follows = false;
    queue_fiber_end(queue);
}

void queue_accounts_go_on(struct queue *queue)
{
    if (queue->follows || queue->closing || TAILQ_EMPTY(&queue->accounts))
        return;
    queue->follows = true;
    queue_fiber_begin(queue);
    queue->follow_start = (struct fiber_start){.run = accounts_run, .arg = queue};
    fiber_run(queue->core->fibers, &queue->follow_start);
}

static struct queue_account *account_find(struct queue *queue, uint64_t account)
{
    struct queue_account *one;
    TAILQ_FOREACH (one, &queue->accounts, link)
        if (one->account == account)
            return one;
    return NULL;
}

void queue_account_changed(struct queue *queue, uint64_t account)
{
    struct queue_account *one = account_find(queue, account);
    if (!one) {
        one = calloc(1, sizeof(*one));
        if (!one) {
            log_err(queue->core->log, "not_held_with_account", err_make(ERR_NO_MEMORY));
            return;
        }
        one->account = account;
        TAILQ_INSERT_TAIL(&queue->accounts, one, link);
    }
    one->again = true;
    queue_accounts_go_on(queue);
}

void queue_accounts_free(struct queue *queue)
{
    struct queue_account *one;
    while ((one = TAILQ_FIRST(&queue->accounts))) {
        TAILQ_REMOVE(&queue->accounts, one, link);
        free(one);
    }
}

/* --- Looks at the account itself --- */

struct err queue_hold_read(struct queue *queue, const struct queue_entry *entry, bool *held_r)
{
    struct senders *senders = &queue->core->senders;
    struct sender *sender;
    *held_r = false;
    if (!entry->account)
        return err_none();
    struct err e = senders_take(senders, entry->account, &sender);
    if (err_is(e))
        return e;
    *held_r = sender->sending.held != 0;
    senders_give(senders, sender);
    return e;
}

static bool is_gone(struct core *core, uint64_t id)
{
    struct account account;
    struct arena scratch;
    arena_init(&scratch, SCRATCH);
    struct err e = directory_account_by_id(&core->directory, id, &scratch, &account);
    arena_done(&scratch);
    return err_is(e);
}

/* An account that was removed while it was on hold released nothing. */
void queue_account_compare(struct queue *queue, const struct queue_entry *entry)
{
    if (!entry->account || account_find(queue, entry->account))
        return;
    bool held;
    struct err e = queue_hold_read(queue, entry, &held);
    bool differs = held != is_held(entry) && (held || !is_gone(queue->core, entry->account));
    if (err_is(e) || differs) /* what cannot be read is tried again until it can */
        queue_account_changed(queue, entry->account);
}
