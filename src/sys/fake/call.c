/*
 * The hash takes what a call was asked and what came of it, in the order it happened: if two runs
 * differ in anything a role can see or do, they differ here, and soon. Addresses never enter it.
 */
#include "sys/fake/call.h"

#include "sys/fake/inner.h"

static const char *const call_names[FAKE_CALLS] = {
    [FAKE_ANY_CALL] = "any",
    [FAKE_RANDOM] = "random",
    [FAKE_RECV] = "recv",
    [FAKE_SEND] = "send",
    [FAKE_ACCEPT] = "accept",
    [FAKE_CONNECT] = "connect",
    [FAKE_CONNECTED] = "connected",
    [FAKE_STREAM_PAIR] = "stream_pair",
    [FAKE_FINISH] = "finish",
    [FAKE_CLOSE] = "close",
    [FAKE_PACKET_RECV] = "packet_recv",
    [FAKE_PACKET_SEND] = "packet_send",
    [FAKE_SHM_CREATE] = "shm_create",
    [FAKE_SHM_MAP] = "shm_map",
    [FAKE_SHM_UNMAP] = "shm_unmap",
    [FAKE_FOLDER_OPEN] = "folder_open",
    [FAKE_FILE_OPEN] = "file_open",
    [FAKE_FILE_SIZE] = "file_size",
    [FAKE_FILE_READ] = "file_read",
    [FAKE_FILE_READ_NOWAIT] = "file_read_nowait",
    [FAKE_FILE_WRITE] = "file_write",
    [FAKE_FILE_SYNC] = "file_sync",
    [FAKE_FOLDER_SYNC] = "folder_sync",
    [FAKE_FILE_TRUNCATE] = "file_truncate",
    [FAKE_FILE_ZERO] = "file_zero",
    [FAKE_FILE_RENAME] = "file_rename",
    [FAKE_FILE_REMOVE] = "file_remove",
    [FAKE_FOLDER_LIST] = "folder_list",
    [FAKE_FILE_LOCK] = "file_lock",
    [FAKE_FOLDER_FREE] = "folder_free",
    [FAKE_LOG_LINE] = "log_line",
    [FAKE_LOOP_BEGIN] = "loop_begin",
    [FAKE_WATCH_BEGIN] = "watch_begin",
    [FAKE_LANE_BEGIN] = "lane_begin",
    [FAKE_LANE_SUBMIT] = "lane_submit",
};

const char *fake_call_name(enum fake_call_kind kind)
{
    must(kind < FAKE_CALLS);
    return call_names[kind];
}

void fake_note(struct fake_inner *w, uint64_t what, uint64_t more)
{
    w->shown.hash = fake_mix(fake_mix(w->shown.hash, what), more);
}

static bool can_fail(enum fake_call_kind kind)
{
    return kind != FAKE_RANDOM && kind != FAKE_CLOSE && kind != FAKE_LOG_LINE &&
           kind != FAKE_SHM_UNMAP && kind != FAKE_LANE_SUBMIT;
}

static bool fault_strikes(struct fake_fault *fault, const struct fake_call *call)
{
    if (fault->kind != FAKE_ANY_CALL && fault->kind != call->kind)
        return false;
    if ((fault->role && fault->role != call->role) || (fault->node && fault->node != call->node))
        return false;
    if (fault->error != FAKE_DIE && !can_fail(call->kind))
        return false;
    uint64_t use = ++fault->seen;
    uint64_t times = fault->times ? fault->times : 1;
    if (use < fault->nth || use - fault->nth >= times)
        return false;
    fault->fired++;
    return true;
}

static int verdict(struct fake_inner *w, struct fake_call *call)
{
    int error = 0;
    struct fake_hook *hook;
    TAILQ_FOREACH (hook, &w->hooks, link) {
        int said = hook->before ? hook->before(hook, call) : 0;
        if (error == 0 && (said == FAKE_DIE || can_fail(call->kind)))
            error = said;
    }
    struct fake_fault *fault;
    TAILQ_FOREACH (fault, &w->faults, link) {
        if (!fault_strikes(fault, call) || error)
            continue;
        error = fault->error;
        call->lie = fault->lie;
    }
    return error;
}

int fake_call_begin(struct fake_inner *w, struct fake_call *call)
{
    struct fake_role *role = &w->roles[w->running];
    fake_memory_charge(NULL);
    call->role = w->running;
    role->calls++;
    if (!role->dying && role->die_at && role->calls >= role->die_at)
        role->dying = true;
    int error = role->dying ? 0 : verdict(w, call);
    if (error == FAKE_DIE) {
        must(w->running > 0);
        role->dying = true;
    }
    call->unseen = role->dying;
    return call->unseen ? -EIO : error;
}

static void call_hash(struct fake_inner *w, const struct fake_call *call)
{
    uint64_t hash = w->shown.hash;
    hash = fake_mix(hash, (uint64_t)call->kind << 32 | (uint64_t)(unsigned)call->role);
    hash = fake_mix(hash, (uint64_t)(unsigned)call->handle << 32 | call->how);
    hash = fake_mix(hash, call->at);
    hash = fake_mix(hash, call->n);
    hash = fake_mix(hash, (uint64_t)call->result);
    if (call->name.n)
        hash = fake_mix_bytes(hash, call->name);
    if (call->to.n)
        hash = fake_mix_bytes(hash, call->to);
    for (int i = 0; i < call->count; i++)
        hash = fake_mix_bytes(hash, str_make(call->parts[i].iov_base, call->parts[i].iov_len));
    if (call->got.n)
        hash = fake_mix_bytes(hash, call->got);
    w->shown.hash = hash;
}

int64_t fake_call_end(struct fake_inner *w, struct fake_call *call, int64_t result)
{
    call->result = result;
    if (!call->unseen) {
        call_hash(w, call);
        struct fake_hook *hook;
        TAILQ_FOREACH (hook, &w->hooks, link)
            if (hook->after)
                hook->after(hook, call);
    }
    fake_memory_charge(w->roles[w->running].memory);
    return result;
}

void fake_hook_add(struct fake_world *fake, struct fake_hook *hook)
{
    TAILQ_INSERT_TAIL(&fake_inner_in(fake)->hooks, hook, link);
}

void fake_hook_remove(struct fake_world *fake, struct fake_hook *hook)
{
    TAILQ_REMOVE(&fake_inner_in(fake)->hooks, hook, link);
}

void fake_fault_add(struct fake_world *fake, struct fake_fault *fault)
{
    fault->seen = 0;
    fault->fired = 0;
    TAILQ_INSERT_TAIL(&fake_inner_in(fake)->faults, fault, link);
}

void fake_fault_remove(struct fake_world *fake, struct fake_fault *fault)
{
    TAILQ_REMOVE(&fake_inner_in(fake)->faults, fault, link);
}
