#include "store/queue.h"

#include "store/store_rig_test.h"

struct desk {
    struct store_rig rig; /* first */
    struct arena arena;
};

static struct queue_recipient recipients[QUEUE_RECIPIENTS_MAX];

static struct queue_entry entry_of(uint64_t message, uint32_t number, blob_id blob)
{
    recipients[0] = (struct queue_recipient){
        .address = STR("carol@far.test"), .given = STR("c@here.test"), .asked = STR("\1\2")};
    recipients[1] = (struct queue_recipient){.address = STR("dave@far.test"),
                                             .last = {.code = 452,
                                                      .status = STR("4.2.2"),
                                                      .host = STR("mx"),
                                                      .text = STR("full"),
                                                      .when = 77}};
    return (struct queue_entry){
        .message = message,
        .number = number,
        .blob = blob,
        .accepted = 1,
        .next = 2,
        .expires = 3,
        .warn = 4,
        .wait = QUEUE_DEFERRED,
        .holds = QUEUE_HELD_BY_OPERATOR,
        .flags = QUEUE_UTF8,
        .priority = -9,
        .body_type = 1,
        .tries = 5,
        .account = 6,
        .size = 7,
        .job = 8,
        .sender = STR("alice@here.test"),
        .domain = STR("far.test"),
        .route = STR("relay"),
        .fields = STR("X-A: b\r\n"),
        .asked = STR("\3"),
        .why = STR("looked at"),
        .last = {.code = 421,
                 .status = STR("4.3.2"),
                 .host = STR("mx2"),
                 .text = STR("busy"),
                 .when = 9},
        .recipients = recipients,
        .recipient_count = 2,
    };
}

static void assert_words(const struct queue_words *found, const struct queue_words *wanted)
{
    assert_int_equal(found->code, wanted->code);
    assert_int_equal(found->when, wanted->when);
    assert_str(found->status, wanted->status);
    assert_str(found->host, wanted->host);
    assert_str(found->text, wanted->text);
}

static void assert_entry(const struct queue_entry *found, const struct queue_entry *wanted)
{
    assert_int_equal(found->message, wanted->message);
    assert_int_equal(found->number, wanted->number);
    assert_int_equal(found->blob, wanted->blob);
    assert_int_equal(found->accepted, wanted->accepted);
    assert_int_equal(found->next, wanted->next);
    assert_int_equal(found->expires, wanted->expires);
    assert_int_equal(found->warn, wanted->warn);
    assert_int_equal(found->wait, wanted->wait);
    assert_int_equal(found->holds, wanted->holds);
    assert_int_equal(found->flags, wanted->flags);
    assert_int_equal(found->priority, wanted->priority);
    assert_int_equal(found->body_type, wanted->body_type);
    assert_int_equal(found->tries, wanted->tries);
    assert_int_equal(found->account, wanted->account);
    assert_int_equal(found->size, wanted->size);
    assert_int_equal(found->job, wanted->job);
    assert_str(found->sender, wanted->sender);
    assert_str(found->domain, wanted->domain);
    assert_str(found->route, wanted->route);
    assert_str(found->fields, wanted->fields);
    assert_str(found->asked, wanted->asked);
    assert_str(found->why, wanted->why);
    assert_words(&found->last, &wanted->last);
    assert_int_equal(found->recipient_count, wanted->recipient_count);
    for (size_t i = 0; i < wanted->recipient_count; i++) {
        assert_str(found->recipients[i].address, wanted->recipients[i].address);
        assert_str(found->recipients[i].given, wanted->recipients[i].given);
        assert_str(found->recipients[i].asked, wanted->recipients[i].asked);
        assert_words(&found->recipients[i].last, &wanted->recipients[i].last);
    }
}

/* --- On the engine --- */

static int desk_open(void **state)
{
    struct desk *desk = calloc(1, sizeof(*desk));
    assert_non_null(desk);
    store_rig_take_body(&desk->rig, state);
    store_rig_open(&desk->rig);
    arena_init(&desk->arena, 64 << 20);
    *state = desk;
    return 0;
}

static int desk_close(void **state)
{
    struct desk *desk = *state;
    store_rig_close(&desk->rig);
    arena_done(&desk->arena);
    free(desk);
    return 0;
}

static struct err commit(struct desk *desk, struct op_list *ops, struct blob_put *blob)
{
    struct commit commit = {
        .ops = ops->ops, .op_count = ops->count, .blobs = blob, .blob_count = blob ? 1 : 0};
    assert_false(ops->over);
    return engine_commit_wait(desk->rig.engine, &commit);
}

static blob_id put(struct desk *desk, uint64_t message, uint32_t count)
{
    blob_id blob = engine_blob_new(desk->rig.engine);
    const struct iovec body = {.iov_base = (void *)(uintptr_t) "text\r\n", .iov_len = 6};
    struct blob_put blob_put = {.blob = blob, .head = STR("head"), .body = &body, .body_parts = 1};
    struct op_list ops = op_list_take(&desk->arena, count);
    for (uint32_t i = 0; i < count; i++) {
        const struct queue_entry entry = entry_of(message, i, blob);
        assert_false(err_is(queue_put_ops(&entry, &desk->arena, &ops)));
    }
    assert_false(err_is(commit(desk, &ops, &blob_put)));
    return blob;
}

static void an_entry_comes_back_as_it_was(void **state)
{
    struct desk *desk = *state;
    blob_id blob = put(desk, 10, 2);
    const struct queue_entry wanted = entry_of(10, 1, blob);
    struct queue_entry found;
    assert_false(err_is(queue_read(desk->rig.engine, 10, 1, &desk->arena, &found)));
    assert_entry(&found, &wanted);
    assert_int_equal(queue_read(desk->rig.engine, 10, 2, &desk->arena, &found).code, ERR_NOT_FOUND);
}

static void the_body_goes_with_the_last_entry(void **state)
{
    struct desk *desk = *state;
    blob_id blob = put(desk, 10, 2);
    uint64_t head, body;
    for (uint32_t i = 0; i < 2; i++) {
        const struct queue_entry entry = entry_of(10, i, blob);
        assert_false(err_is(engine_blob_size(desk->rig.engine, blob, &head, &body)));
        struct op_list ops = op_list_take(&desk->arena, QUEUE_CHANGE_OPS);
        queue_remove_ops(&entry, &desk->arena, &ops);
        assert_false(err_is(commit(desk, &ops, NULL)));
    }
    assert_int_equal(engine_blob_size(desk->rig.engine, blob, &head, &body).code, ERR_NOT_FOUND);
}

static void what_was_removed_is_not_changed(void **state)
{
    struct desk *desk = *state;
    struct queue_entry entry = entry_of(10, 0, put(desk, 10, 1));
    struct op_list ops = op_list_take(&desk->arena, QUEUE_CHANGE_OPS);
    entry.tries = 9;
    assert_false(err_is(queue_change_ops(&entry, &desk->arena, &ops)));
    assert_false(err_is(commit(desk, &ops, NULL)));
    struct queue_entry found;
    assert_false(err_is(queue_read(desk->rig.engine, 10, 0, &desk->arena, &found)));
    assert_int_equal(found.tries, 9);
    ops.count = 0;
    queue_remove_ops(&entry, &desk->arena, &ops);
    assert_false(err_is(commit(desk, &ops, NULL)));
    ops.count = 0;
    assert_false(err_is(queue_change_ops(&entry, &desk->arena, &ops)));
    assert_int_equal(commit(desk, &ops, NULL).code, ERR_CONFLICT);
    ops.count = 0;
    queue_remove_ops(&entry, &desk->arena, &ops);
    assert_int_equal(commit(desk, &ops, NULL).code, ERR_CONFLICT);
}

static void pages_have_all_of_them_once(void **state)
{
    struct desk *desk = *state;
    for (uint64_t message = 1; message <= 5; message++)
        put(desk, message, 3);
    struct queue_page page = {.more = true};
    size_t seen = 0;
    while (page.more) {
        struct err e = queue_scan(desk->rig.engine, page.last_message, page.last_number, 4,
                                  &desk->arena, &page);
        assert_false(err_is(e));
        for (size_t i = 0; i < page.count; i++, seen++) {
            assert_int_equal(page.entries[i].message, 1 + seen / 3);
            assert_int_equal(page.entries[i].number, seen % 3);
        }
    }
    assert_int_equal(seen, 15);
    assert_int_equal(page.damaged, 0);
}

static void a_pause_stays_until_it_is_ended(void **state)
{
    struct desk *desk = *state;
    const struct queue_pause all = {.domain = STR(""), .why = STR("moving"), .since = 5};
    const struct queue_pause one = {
        .domain = STR("far.test"), .why = STR("they asked"), .since = 6};
    struct op_list ops = op_list_take(&desk->arena, 4);
    queue_pause_ops(&all, &desk->arena, &ops);
    queue_pause_ops(&one, &desk->arena, &ops);
    assert_false(err_is(commit(desk, &ops, NULL)));
    struct queue_pause *pauses;
    size_t count;
    assert_false(err_is(queue_pauses(desk->rig.engine, &desk->arena, &pauses, &count)));
    assert_int_equal(count, 2);
    assert_int_equal(pauses[0].domain.n, 0);
    assert_str(pauses[1].domain, one.domain);
    assert_str(pauses[1].why, one.why);
    assert_int_equal(pauses[1].since, 6);
    ops.count = 0;
    queue_resume_ops(STR("far.test"), &desk->arena, &ops);
    assert_false(err_is(commit(desk, &ops, NULL)));
    assert_false(err_is(queue_pauses(desk->rig.engine, &desk->arena, &pauses, &count)));
    assert_int_equal(count, 1);
    ops.count = 0;
    queue_resume_ops(STR("far.test"), &desk->arena, &ops);
    assert_int_equal(commit(desk, &ops, NULL).code, ERR_CONFLICT);
}

/* --- The record --- */

static void a_record_that_is_cut_or_longer_is_damaged(void **state)
{
    (void)state;
    struct arena arena;
    struct buf record = BUF_INIT(QUEUE_RECORD_MAX);
    arena_init(&arena, 1 << 20);
    const struct queue_entry entry = entry_of(1, 2, 3);
    queue_entry_encode(&entry, &record);
    for (size_t n = 0; n < record.n; n++) {
        struct queue_entry found = {.message = 1};
        struct err e = queue_entry_decode(str_head(buf_str(&record), n), &arena, &found);
        assert_int_equal(e.code, ERR_STORE_DAMAGED);
    }
    buf_putc(&record, '\0');
    struct queue_entry found = {.message = 1};
    assert_int_equal(queue_entry_decode(buf_str(&record), &arena, &found).code, ERR_STORE_DAMAGED);
    buf_done(&record);
    arena_done(&arena);
}

/* As it was written while flags were one octet, and before jobs were in it. */
static void records_of_earlier_forms_are_read(void **state)
{
    enum {
        FLAGS_AT = 1 + 4 * 8 + 2,
        JOB_AT = FLAGS_AT + 2 + 1 + 1 + 1 + 1 + 1,
        JOB = 8,
    };
    struct arena arena;
    struct queue_entry entry = entry_of(1, 2, 3);
    struct queue_entry found = {.message = 1, .number = 2, .blob = 3};
    struct buf record = BUF_INIT(QUEUE_RECORD_MAX);
    (void)state;
    arena_init(&arena, 1 << 20);
    queue_entry_encode(&entry, &record);
    memmove(record.p + JOB_AT, record.p + JOB_AT + JOB, record.n - JOB_AT - JOB);
    record.n -= JOB;
    record.p[0] = 2;
    entry.job = 0;
    assert_false(err_is(queue_entry_decode(buf_str(&record), &arena, &found)));
    assert_entry(&found, &entry);
    memmove(record.p + FLAGS_AT + 1, record.p + FLAGS_AT + 2, record.n - FLAGS_AT - 2);
    record.n--;
    record.p[0] = 1;
    assert_false(err_is(queue_entry_decode(buf_str(&record), &arena, &found)));
    assert_entry(&found, &entry);
    record.p[0] = 4;
    assert_int_equal(queue_entry_decode(buf_str(&record), &arena, &found).code, ERR_STORE_DAMAGED);
    buf_done(&record);
    arena_done(&arena);
}

static void an_entry_too_long_for_its_record_is_told(void **state)
{
    (void)state;
    struct arena arena;
    static char address[700];
    arena_init(&arena, 4 << 20);
    struct queue_entry entry = entry_of(1, 2, 3);
    memset(address, 'a', sizeof(address));
    for (size_t i = 0; i < QUEUE_RECIPIENTS_MAX; i++)
        recipients[i] = (struct queue_recipient){.address = str_make(address, sizeof(address))};
    struct op_list ops = op_list_take(&arena, 4);
    entry.recipient_count = QUEUE_RECIPIENTS_MAX;
    assert_int_equal(queue_put_ops(&entry, &arena, &ops).code, ERR_OVER_LIMIT);
    entry.recipient_count = QUEUE_RECIPIENTS_MAX / 2;
    assert_false(err_is(queue_put_ops(&entry, &arena, &ops)));
    assert_int_equal(ops.count, 1);
    arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_FIBER(an_entry_comes_back_as_it_was, desk_open, desk_close),
        ON_FIBER(the_body_goes_with_the_last_entry, desk_open, desk_close),
        ON_FIBER(what_was_removed_is_not_changed, desk_open, desk_close),
        ON_FIBER(pages_have_all_of_them_once, desk_open, desk_close),
        ON_FIBER(a_pause_stays_until_it_is_ended, desk_open, desk_close),
        cmocka_unit_test(a_record_that_is_cut_or_longer_is_damaged),
        cmocka_unit_test(records_of_earlier_forms_are_read),
        cmocka_unit_test(an_entry_too_long_for_its_record_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
