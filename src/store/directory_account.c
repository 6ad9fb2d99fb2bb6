/*
 * An account and its INBOX are made in one commit. Removing one is two steps: a commit takes away
 * the account, its names and the headers of its mailboxes, so that from then on nothing is
 * delivered or read, and leaves a note for each mailbox; the messages go afterwards, in slices, and
 * the note with the last of them. A crash between two slices leaves the note, and directory_sweep
 * goes on.
 */
#include "base/must.h"
#include "store/directory_edit.h"
#include "store/directory_record.h"
#include "trust/password.h"

enum {
    SWEEP_SLICE = 1000,
    SWEEP_MEMORY = 8 * 1024 * 1024,
};

static const struct partition DIRECTORY_PARTITION = {.kind = PARTITION_DIRECTORY};

/* --- Adding and setting --- */

static struct err account_check(const struct account *account)
{
    struct err e = full_name_check(account->name);
    if (!err_is(e) && account->password.n && !password_hash_is_known(account->password))
        e = err_detail(ERR_USAGE, STR("the password is no hash of a known form"));
    if (!err_is(e) && account->quota > INT64_MAX && account->quota != QUOTA_NONE)
        e = err_detail(ERR_USAGE, STR("the quota is too large"));
    must(account->services_off <= SERVICES_ALL && account->language < ACCOUNT_LANGUAGES);
    return e;
}

static struct err inbox_stage(struct draft *draft, struct account *account)
{
    struct mailbox inbox = {
        .account = account->id, .created = account->created, .name = STR("INBOX")};
    struct str counter, next, key = mailbox_counter_key();
    struct err e = draft_get(draft, key, &counter);
    if (e.code == ERR_NOT_FOUND)
        counter = str_null();
    else if (err_is(e))
        return e;
    draft_need(draft, key, counter);
    e = mailbox_counter_next(counter, account->created, draft->arena, &inbox, &next);
    if (err_is(e))
        return e;
    draft_put(draft, key, next);
    draft_put_in(draft, mailbox_account_partition(account->id),
                 mailbox_name_key(inbox.name, draft->arena),
                 mailbox_name_value(&inbox, draft->arena));
    draft_put_in(draft, mailbox_partition(inbox.id), mailbox_header_key(),
                 mailbox_header_value(&inbox, draft->arena));
    account->inbox = inbox.id;
    return err_none();
}

struct err account_stage(struct draft *draft, const struct addr *addr, struct account *account)
{
    struct str name;
    if (addr->local.n == 0)
        return err_detail(ERR_USAGE, STR("an account has a local part"));
    struct err e = account_check(account);
    if (!err_is(e))
        e = name_check_new(draft, addr, &name);
    if (!err_is(e))
        e = draft_number(draft, STR("#account"), &account->id);
    if (err_is(e))
        return e;
    account->created = world_wall(draft->directory->world);
    account->address = address_of(draft, addr);
    account->forward_count = 0;
    account->forwards_only = false;
    account->credential_version = 1;
    e = inbox_stage(draft, account);
    if (!err_is(e) && account->kept)
        e = password_stage(draft, account->id, account->kept);
    if (err_is(e))
        return e;
    draft_put(draft, account_key(account->id, draft->arena), name);
    if (account->name.n)
        draft_put(draft, key_full_name(account->name, account->id, draft->arena), name);
    const struct name record = {.kind = NAME_ACCOUNT, .account = *account};
    return name_stage(draft, name, &record);
}

static void full_name_restage(struct draft *draft, const struct found *found, struct account *to,
                              struct str full_name)
{
    if (to->name.n)
        draft_remove(draft, key_full_name(to->name, to->id, draft->arena));
    to->name = full_name;
    if (to->name.n)
        draft_put(draft, key_full_name(to->name, to->id, draft->arena), found->name);
}

/* The bits of services_off that these fields change. */
static uint8_t services_of(unsigned fields)
{
    return (uint8_t)((fields & FIELD_SMTP ? SERVICE_SMTP : 0) |
                     (fields & FIELD_POP3 ? SERVICE_POP3 : 0) |
                     (fields & FIELD_IMAP ? SERVICE_IMAP : 0));
}

/* Switches that stand as they are asked for end nobody's session. */
static bool switches_restage(struct account *to, const struct account *account, unsigned fields)
{
    uint8_t changed = services_of(fields);
    uint8_t off = (uint8_t)((to->services_off & ~changed) | (account->services_off & changed));
    bool disabled = fields & FIELD_DISABLED ? account->disabled : to->disabled;
    bool differ = off != to->services_off || disabled != to->disabled;
    to->services_off = off;
    to->disabled = disabled;
    return differ;
}

struct err account_restage(struct draft *draft, const struct found *found,
                           const struct account *account, unsigned fields,
                           const struct credentials *credentials)
{
    struct name record = found->record;
    struct account *to = &record.account;
    struct err e = account_check(account);
    if (!err_is(e) && credentials)
        e = credentials_stage(draft, to->id, credentials);
    else if (!err_is(e) && fields & FIELD_PASSWORD)
        e = password_stage(draft, to->id, account->kept);
    if (err_is(e))
        return e;
    if (fields & FIELD_NAME)
        full_name_restage(draft, found, to, account->name);
    if (fields & FIELD_PASSWORD)
        to->password = account->password;
    if (fields & FIELD_QUOTA)
        to->quota = account->quota;
    if (fields & FIELD_LANGUAGE)
        to->language = account->language;
    if (switches_restage(to, account, fields) || fields & FIELD_PASSWORD || credentials)
        to->credential_version++;
    return name_restage(draft, found->name, &record);
}

struct account_change {
    const struct addr *addr;
    struct account *account;
    const struct account *values;
    unsigned fields;
};

static struct err add(struct draft *draft, void *arg)
{
    struct account_change *change = arg;
    return account_stage(draft, change->addr, change->account);
}

struct err directory_account_add(struct directory *directory, const struct addr *addr,
                                 struct account *account, struct arena *arena)
{
    struct account_change change = {.addr = addr, .account = account};
    struct err e = directory_change(directory, arena, add, &change);
    account->address = str_null(); /* it was the draft's */
    return e;
}

static struct err set(struct draft *draft, void *arg)
{
    struct account_change *change = arg;
    struct found found;
    struct err e = name_get_kind(draft, change->addr, NAME_ACCOUNT, &found);
    return err_is(e) ? e : account_restage(draft, &found, change->values, change->fields, NULL);
}

struct err directory_account_set(struct directory *directory, const struct addr *addr,
                                 const struct account *account, unsigned fields,
                                 struct arena *arena)
{
    struct account_change change = {.addr = addr, .values = account, .fields = fields};
    return directory_change(directory, arena, set, &change);
}

struct err directory_account_show(struct directory *directory, const struct addr *addr,
                                  struct arena *arena, struct account *account_r)
{
    struct draft draft;
    struct found found;
    draft_read(&draft, directory, arena);
    struct err e = name_get_kind(&draft, addr, NAME_ACCOUNT, &found);
    if (!err_is(e))
        *account_r = found.record.account;
    return e;
}

/* --- Removing --- */

static struct err mailboxes_unstage(struct draft *draft, uint64_t account)
{
    struct mailbox *mailboxes;
    size_t count;
    struct str counter;
    struct err e = draft_get(draft, mailbox_counter_key(), &counter);
    if (err_is(e))
        return e;
    /* No mailbox was made since the list below was read. */
    draft_need(draft, mailbox_counter_key(), counter);
    e = mailbox_list(draft->directory->engine, account, draft->arena, &mailboxes, &count);
    for (size_t i = 0; !err_is(e) && i < count; i++) {
        draft_remove_in(draft, mailbox_account_partition(account),
                        mailbox_name_key(mailboxes[i].name, draft->arena));
        draft_remove_in(draft, mailbox_partition(mailboxes[i].id), mailbox_header_key());
        draft_put(draft, key_number_pair('g', account, mailboxes[i].id, draft->arena), STR(""));
    }
    /* Mailbox 0 stands for what is left in the account's own partition: its usage. */
    draft_put(draft, key_number_pair('g', account, 0, draft->arena), STR(""));
    return e;
}

static struct err remove_account(struct draft *draft, void *arg)
{
    struct account_change *change = arg;
    struct found found;
    struct err e = name_get_kind(draft, change->addr, NAME_ACCOUNT, &found);
    if (!err_is(e))
        e = name_unstage(draft, &found);
    if (err_is(e))
        return e;
    const struct account *account = &found.record.account;
    draft_remove(draft, account_key(account->id, draft->arena));
    if (account->name.n)
        draft_remove(draft, key_full_name(account->name, account->id, draft->arena));
    e = credentials_unstage(draft, account->id);
    if (!err_is(e))
        e = grants_unstage(draft, account->id);
    return err_is(e) ? e : mailboxes_unstage(draft, account->id);
}

struct err directory_account_remove(struct directory *directory, const struct addr *addr,
                                    struct arena *arena)
{
    struct account_change change = {.addr = addr};
    struct err e = directory_change(directory, arena, remove_account, &change);
    return err_is(e) ? e : directory_sweep(directory);
}

/* --- Sweeping --- */

static struct err entries_remove(struct engine *engine, struct partition partition,
                                 const struct entry *entries, size_t count, struct arena *arena)
{
    struct op_list ops = op_list_take(arena, count);
    for (size_t i = 0; i < count; i++)
        op_list_add(&ops, OP_REMOVE, partition, entries[i].key, str_null());
    if (ops.over)
        return err_make(ERR_OVER_LIMIT);
    struct commit commit = {.ops = ops.ops, .op_count = ops.count};
    return engine_commit_wait(engine, &commit);
}

static struct err partition_sweep(struct engine *engine, struct partition partition)
{
    struct arena slice;
    struct entry *entries;
    size_t count = 0;
    struct err e;
    arena_init(&slice, SWEEP_MEMORY);
    do {
        arena_reset(&slice);
        e = engine_scan(engine, partition, STR(""), str_null(), SWEEP_SLICE, &slice, &entries,
                        &count);
        if (!err_is(e) && count)
            e = entries_remove(engine, partition, entries, count, &slice);
    } while (!err_is(e) && count);
    arena_done(&slice);
    return e;
}

static struct err note_sweep(struct directory *directory, const struct entry *note,
                             struct arena *arena)
{
    if (note->key.n != 1 + 2 * sizeof(uint64_t))
        return err_detail(ERR_STORE_DAMAGED, STR("a note of a removed account is malformed"));
    uint64_t account = key_number_at(note->key, 1);
    uint64_t mailbox = key_number_at(note->key, 1 + sizeof(uint64_t));
    struct err e = partition_sweep(directory->engine, mailbox ? mailbox_partition(mailbox)
                                                              : mailbox_account_partition(account));
    return err_is(e) ? e : entries_remove(directory->engine, DIRECTORY_PARTITION, note, 1, arena);
}

struct err directory_sweep(struct directory *directory)
{
    struct arena arena;
    struct entry *notes;
    size_t count = 0;
    struct err e;
    arena_init(&arena, SWEEP_MEMORY);
    do {
        arena_reset(&arena);
        e = engine_scan(directory->engine, DIRECTORY_PARTITION, STR("g"), STR("h"), SWEEP_SLICE,
                        &arena, &notes, &count);
        for (size_t i = 0; !err_is(e) && i < count; i++)
            e = note_sweep(directory, &notes[i], &arena);
    } while (!err_is(e) && count);
    arena_done(&arena);
    return e;
}
