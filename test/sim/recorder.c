/*
 * A commit's record is known by its first octets (doc/format.md): one part of a write, `VREC`, and
 * behind the header the tag that core gave it: token, message id, key (core/resent.h). A commit of
 * which some recipients were refused has no tag (core/accept.c): it is known by the message id in
 * its trace's keys.
 */
#include "recorder.h"

#include "base/hash.h"
#include "base/must.h"
#include "base/wire.h"
#include "core/resent.h"
#include "format/message_id.h"
#include "store/local/format.h"

enum {
    TAG_AT = RECORD_HEADER_SIZE + 4, /* behind its length */
    MESSAGE_AT = TAG_AT + TRY_TOKEN_SIZE,
    RECORD_LEAST = TAG_AT + TRY_TAG_SIZE,
    NAMELESS_MOST = 8192, /* octets that are kept of one */
    REPLIES_MOST = 8192,  /* octets of replies sent at once; what is longer is a message's text */
};

struct recorded {
    UT_hash_handle hh;
    uint64_t message;
    uint64_t node; /* the file it was written to */
    bool synced;
};

/* A record without a tag: its first octets. */
struct nameless {
    TAILQ_ENTRY(nameless) link;
    uint64_t node;
    size_t n;
    char octets[];
};

/* --- The log -------------------------------------------------------------------------------------
 */

static bool is_commit_of_core(struct str record, uint64_t *message_r)
{
    if (record.n < RECORD_LEAST || !str_starts(record, STR("VREC")))
        return false;
    struct wire_in in = wire_in(str_from_index(record, RECORD_HEADER_SIZE));
    if (wire_get_u32(&in) != TRY_TAG_SIZE)
        return false;
    *message_r = key_get_u64((const unsigned char *)record.p + MESSAGE_AT);
    return true;
}

static struct recorded *find(struct recorder *recorder, uint64_t message)
{
    struct recorded *recorded;
    HASH_FIND(hh, recorder->records, &message, sizeof(message), recorded);
    return recorded;
}

static void keep_nameless(struct recorder *recorder, const struct fake_call *call,
                          struct str record)
{
    if (!str_starts(record, STR("VREC")))
        return;
    struct str octets = str_head(record, NAMELESS_MOST);
    struct nameless *nameless = malloc(sizeof(*nameless) + octets.n);
    must(nameless);
    *nameless = (struct nameless){.node = call->node, .n = octets.n};
    memcpy(nameless->octets, octets.p, octets.n);
    TAILQ_INSERT_HEAD(&recorder->nameless, nameless, link);
}

static const struct nameless *nameless_of(const struct nameless_list *list, uint64_t message)
{
    const struct nameless *nameless;
    unsigned char key[8];
    key_put_u64(key, message);
    TAILQ_FOREACH (nameless, list, link)
        if (str_find(str_make(nameless->octets, nameless->n),
                     str_make((const char *)key, sizeof(key))) >= 0)
            return nameless;
    return NULL;
}

static void written(struct recorder *recorder, const struct fake_call *call)
{
    for (int i = 0; i < call->count; i++) {
        uint64_t message;
        struct str record = str_make(call->parts[i].iov_base, call->parts[i].iov_len);
        if (!is_commit_of_core(record, &message)) {
            keep_nameless(recorder, call, record);
            continue;
        }
        struct recorded *recorded = find(recorder, message);
        if (recorded && recorded->synced)
            continue; /* a copy that compaction moves */
        if (!recorded) {
            recorded = calloc(1, sizeof(*recorded));
            must(recorded);
            recorded->message = message;
            HASH_ADD(hh, recorder->records, message, sizeof(message), recorded);
        }
        recorded->node = call->node;
    }
}

static void synced(struct recorder *recorder, const struct fake_call *call)
{
    struct recorded *recorded, *next;
    HASH_ITER (hh, recorder->records, recorded, next) {
        if (recorded->node == call->node)
            recorded->synced = true;
    }
    struct nameless *nameless = TAILQ_FIRST(&recorder->nameless), *older;
    for (; nameless; nameless = older) {
        older = TAILQ_NEXT(nameless, link);
        if (nameless->node != call->node)
            continue;
        TAILQ_REMOVE(&recorder->nameless, nameless, link);
        TAILQ_INSERT_HEAD(&recorder->nameless_synced, nameless, link);
    }
}

/* --- The replies ---------------------------------------------------------------------------------
 */

static void promised(struct recorder *recorder, struct str text)
{
    uint64_t message;
    struct str id = str_head(text, MESSAGE_ID_TEXT);
    if (!message_id_parse(id, &message))
        return; /* cut by the network: it was looked at when it was said whole */
    struct recorded *recorded = find(recorder, message);
    recorder->replies++;
    if (recorded ? recorded->synced : nameless_of(&recorder->nameless_synced, message) != NULL)
        return;
    if (!recorded && !nameless_of(&recorder->nameless, message))
        recorder->wrong(recorder->arg, "a reply promises what was never written:", id);
    else
        recorder->wrong(recorder->arg, "a reply leaves before the sync of its record:", id);
}

static void said(struct recorder *recorder, const struct fake_call *call)
{
    static const struct str words = STR_INIT("Accepted id ");
    for (int i = 0; i < call->count; i++) {
        struct str rest = str_make(call->parts[i].iov_base, call->parts[i].iov_len);
        ssize_t at;
        if (rest.n > REPLIES_MOST)
            continue;
        while ((at = str_find(rest, words)) >= 0) {
            rest = str_from_index(rest, (size_t)at + words.n);
            promised(recorder, rest);
        }
    }
}

/* --- Calls ---------------------------------------------------------------------------------------
 */

/* A reply is looked at before it leaves. */
static int before(struct fake_hook *hook, const struct fake_call *call)
{
    if (call->kind == FAKE_SEND)
        said(hook->arg, call);
    return 0;
}

static void after(struct fake_hook *hook, const struct fake_call *call)
{
    if (call->result < 0)
        return;
    if (call->kind == FAKE_FILE_WRITE)
        written(hook->arg, call);
    else if (call->kind == FAKE_FILE_SYNC)
        synced(hook->arg, call);
}

void recorder_open(struct recorder *recorder, struct fake_world *fake,
                   void (*wrong)(void *arg, const char *what, struct str detail), void *arg)
{
    *recorder = (struct recorder){.wrong = wrong, .arg = arg};
    TAILQ_INIT(&recorder->nameless);
    TAILQ_INIT(&recorder->nameless_synced);
    recorder->hook = (struct fake_hook){.before = before, .after = after, .arg = recorder};
    fake_hook_add(fake, &recorder->hook);
}

void recorder_close(struct recorder *recorder, struct fake_world *fake)
{
    struct recorded *recorded, *next;
    fake_hook_remove(fake, &recorder->hook);
    HASH_ITER (hh, recorder->records, recorded, next) {
        HASH_DEL(recorder->records, recorded);
        free(recorded);
    }
    struct nameless *nameless;
    TAILQ_CONCAT(&recorder->nameless, &recorder->nameless_synced, link);
    while ((nameless = TAILQ_FIRST(&recorder->nameless))) {
        TAILQ_REMOVE(&recorder->nameless, nameless, link);
        free(nameless);
    }
}
