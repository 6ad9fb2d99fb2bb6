/*
 * Why the number of a key is made of what it is and not counted: an edge's handshake may outlive
 * core, and the next core then gives the same key the same number. Where the certificate, or who
 * may show it, changed meanwhile, nobody has the old number any more, and it can never name another
 * key.
 *
 * Why ticket keys of its own for each role: a ticket says which certificate its client has shown.
 * Who has the key can write one, and so the edge for strangers could let anybody in at the users'.
 *
 * Why signatures on P-256 do not go over the lane: one costs 30 us, less than to wake a thread for
 * it and the loop again. With the others it is half a millisecond and more.
 *
 * Files are kept as they came until the sandbox has closed: they are read in it.
 */
#include "core/keys.h"

#include <openssl/crypto.h>

#include "base/must.h"
#include "base/sha256.h"
#include "base/wire.h"
#include "trust/tls_sign.h"

_Static_assert((int)CERTIFICATE_LINKS_MAX == (int)TLS_CHAIN_MAX, "chains are as long");
_Static_assert((int)CERTIFICATE_NAMES_MAX == (int)TLS_NAMES_MAX, "names are as many");
_Static_assert((int)TLS_SIGN_MAX == (int)TLS_SIGNATURE_MAX, "signatures are as long");

enum {
    DRAFT_ARENA = KEYS_MAX * 2 * (CERTIFICATE_FILE_MAX + 1024),
    SET_ARENA = 16 << 20,
    WHY_MAX = 1024,
    SECURE_HEAP = 4 << 20, /* two sets of the largest keys; locked in memory where allowed */
    SECURE_LEAST = 32,
};
#define LOOK_EVERY (24 * 3600 * NS_PER_SECOND)
#define US_A_DAY (INT64_C(86400) * 1000000)

/* A private key that edges of `roles` may name. */
struct key {
    LIST_ENTRY(key) link;
    uint32_t number;
    unsigned roles;
    unsigned char fingerprint[CERTIFICATE_FINGERPRINT];
    struct private_key *private;
    size_t holds;  /* by entries of the set, by signatures being made, by its lingering */
    int64_t until; /* mono; 0: it does not linger */
    bool known;    /* on the list: it may be named */
};

LIST_HEAD(key_list, key);

struct shown {
    struct keys_row row;
    struct certificate certificate;
    struct key *key;
};

/* In one arena, its own among it. */
struct set {
    struct arena arena;
    struct shown *entries[KEYS_MAX];
    size_t count;
};

/* Files that came. */
struct draft {
    struct arena arena;
    struct msg_certificate_files files[KEYS_MAX];
    size_t count, expected;
    bool whole, bad;
};

#define KEYS_MAGIC MAGIC('K', 'E', 'Y', 'S')

struct keys {
    uint32_t magic;
    struct core *core; /* NULL: not begun, or ended */
    struct lane signatures;
    struct draft draft;
    struct set *set;     /* NULL: none came */
    struct key_list all; /* of the set, and those that linger */
    struct timer linger, rotate, look;
    struct tls_ticket_key tickets[ROLE_COUNT][TLS_TICKET_KEYS_MAX]; /* newest first */
    size_t ticket_count;
    char why[WHY_MAX];
};

/* --- Keys ------------------------------------------------------------------------------------ */

static void key_release(struct key *key)
{
    must(key->holds > 0);
    if (--key->holds > 0)
        return;
    if (key->known)
        LIST_REMOVE(key, link);
    private_key_free(key->private);
    free(key);
}

static void key_linger(struct key *key, int64_t until)
{
    key->holds += key->until == 0;
    key->until = until;
}

static void key_stay(struct key *key)
{
    if (key->until == 0)
        return;
    key->until = 0;
    key_release(key);
}

static void key_drop(struct key *key)
{
    LIST_REMOVE(key, link);
    key->known = false;
    key_release(key);
}

static struct key *key_find(struct keys *keys, uint32_t number)
{
    struct key *key;
    LIST_FOREACH (key, &keys->all, link)
        if (key->number == number)
            return key;
    return NULL;
}

static uint32_t number_of(const struct certificate *certificate, unsigned roles)
{
    unsigned char digest[SHA256_SIZE], octet = (unsigned char)roles;
    struct sha256 sha;
    sha256_init(&sha);
    sha256_feed(&sha, str_make(certificate->fingerprint, CERTIFICATE_FINGERPRINT));
    sha256_feed(&sha, str_make(&octet, 1));
    sha256_end(&sha, digest);
    return key_get_u32(digest);
}

/* The key of this certificate for these roles: the one that is there, or a new one; takes the
 * private key. NULL: no memory. */
static struct key *key_take(struct keys *keys, const struct certificate *certificate,
                            unsigned roles, struct private_key *private)
{
    uint32_t number = number_of(certificate, roles);
    struct key *key;
    while ((key = key_find(keys, number))) {
        if (key->roles == roles &&
            memcmp(key->fingerprint, certificate->fingerprint, CERTIFICATE_FINGERPRINT) == 0)
            break;
        number++;
    }
    if (key) {
        private_key_free(private);
        key->holds++;
        return key;
    }
    key = calloc(1, sizeof(*key));
    if (!key) {
        private_key_free(private);
        return NULL;
    }
    *key = (struct key){
        .number = number, .roles = roles, .private = private, .holds = 1, .known = true};
    memcpy(key->fingerprint, certificate->fingerprint, CERTIFICATE_FINGERPRINT);
    LIST_INSERT_HEAD(&keys->all, key, link);
    return key;
}

/* --- A set of files -------------------------------------------------------------------------- */

static void draft_clear(struct draft *draft)
{
    for (size_t i = 0; i < draft->count; i++)
        str_wipe(draft->files[i].key);
    arena_done(&draft->arena);
    draft->count = draft->expected = 0;
    draft->whole = draft->bad = false;
}

static struct err draft_begin(struct draft *draft, uint32_t count)
{
    draft_clear(draft);
    if (count > KEYS_MAX)
        return err_detail(ERR_CONFIG, STR("there are more than 256 certificates"));
    draft->expected = count;
    return err_none();
}

static struct err draft_add(struct draft *draft, const struct msg_certificate_files *files)
{
    struct msg_certificate_files *kept = &draft->files[draft->count];
    if (files->chain.n > CERTIFICATE_FILE_MAX || files->key.n > CERTIFICATE_FILE_MAX)
        return err_detail(ERR_CONFIG, STR("a file of a certificate is larger than 64 KB"));
    *kept = (struct msg_certificate_files){.name = arena_str(&draft->arena, files->name),
                                           .chain = arena_str(&draft->arena, files->chain),
                                           .key = arena_str(&draft->arena, files->key)};
    draft->count++;
    return arena_over(&draft->arena) ? err_make(ERR_NO_MEMORY) : err_none();
}

static struct err draft_take(struct draft *draft, const struct msg_certificate_files *files)
{
    struct err e = err_none();
    if (files->place == 0)
        e = draft_begin(draft, files->count);
    else if (draft->bad) /* of a set that was refused already */
        return err_none();
    if (!err_is(e) && (files->count != draft->expected || files->place != draft->count ||
                       files->place >= (files->count ? files->count : 1)))
        e = err_detail(ERR_BUS_BROKEN, STR("certificates out of order"));
    if (!err_is(e) && files->count)
        e = draft_add(draft, files);
    draft->whole = !err_is(e) && draft->count == draft->expected;
    if (err_is(e)) {
        draft_clear(draft);
        draft->bad = true;
    }
    return e;
}

/* --- A set of certificates ------------------------------------------------------------------- */

static void set_free(struct set *set)
{
    if (!set)
        return;
    for (size_t i = 0; i < set->count; i++)
        if (set->entries[i]->key)
            key_release(set->entries[i]->key);
    arena_done(&set->arena);
    free(set);
}

static const struct conf_certificate *block_of(const struct conf *conf, struct str name)
{
    for (size_t i = 0; i < conf->certificate_count; i++)
        if (str_eq(conf->certificates[i].name, name))
            return &conf->certificates[i];
    return NULL;
}

/* Which edges may show it; nothing said: all. */
static unsigned roles_of(const struct conf_certificate *block)
{
    static const unsigned roles[] = {[CONF_LISTENER_SMTP] = FROM_MX,
                                     [CONF_LISTENER_SUBMISSION] = FROM_SUB,
                                     [CONF_LISTENER_POP3] = FROM_BOX,
                                     [CONF_LISTENER_HTTP] = FROM_WEB};
    unsigned all = 0;
    for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++)
        if (!block->listeners || block->listeners & 1u << i)
            all |= roles[i];
    return all;
}

static struct err names_take(struct shown *entry, const struct conf_certificate *block,
                             struct arena *arena)
{
    size_t count = block->names.count ? block->names.count : entry->certificate.name_count;
    const struct str *from = block->names.count ? block->names.list : entry->certificate.names;
    struct str *names = arena_take_array(arena, count, sizeof(*names));
    for (size_t i = 0; names && i < count; i++)
        names[i] = arena_str(arena, from[i]);
    entry->row.names = names;
    entry->row.name_count = count;
    return arena_over(arena) ? err_make(ERR_NO_MEMORY) : err_none();
}

static struct err key_read(struct keys *keys, struct shown *entry, struct str pem)
{
    struct private_key *private;
    struct err e = private_key_parse(pem, &private);
    if (err_is(e))
        return e;
    if (!private_key_fits(private, &entry->certificate)) {
        private_key_free(private);
        return err_detail(ERR_CONFIG, STR("the key does not belong to the certificate"));
    }
    entry->key = key_take(keys, &entry->certificate, entry->row.roles, private);
    return entry->key ? err_none() : err_make(ERR_NO_MEMORY);
}

static struct err entry_read(struct keys *keys, struct set *set,
                             const struct msg_certificate_files *files)
{
    const struct conf_certificate *block = block_of(keys->core->conf, files->name);
    struct shown *entry = arena_new(&set->arena, struct shown);
    if (!block)
        return err_detail(ERR_CONFIG, STR("it is not in the configuration"));
    if (!entry)
        return err_make(ERR_NO_MEMORY);
    set->entries[set->count++] = entry;
    entry->row.name = arena_str(&set->arena, files->name);
    entry->row.certificate = &entry->certificate;
    entry->row.roles = roles_of(block);
    struct err e = certificate_parse(files->chain, &set->arena, &entry->certificate);
    if (!err_is(e))
        e = names_take(entry, block, &set->arena);
    return err_is(e) ? e : key_read(keys, entry, files->key);
}

static size_t chains_octets(const struct set *set)
{
    size_t octets = 0;
    for (size_t i = 0; i < set->count; i++)
        for (size_t k = 0; k < set->entries[i]->certificate.link_count; k++)
            octets += set->entries[i]->certificate.links[k].n;
    return octets;
}

static struct err why(struct keys *keys, struct str name, struct err e)
{
    struct buf text = {.p = keys->why, .cap = sizeof(keys->why), .max = sizeof(keys->why)};
    buf_put(&text, STR("certificate "));
    buf_put_escaped(&text, name, WHY_MAX / 4);
    buf_put(&text, STR(": "));
    buf_put(&text, e.detail.n ? e.detail : str_from(err_row(e.code)->text));
    e.detail = buf_str(&text);
    return e;
}

static struct err set_read(struct keys *keys, struct set **set_r)
{
    const struct draft *draft = &keys->draft;
    struct set *set = calloc(1, sizeof(*set));
    struct err e = err_none();
    if (!set)
        return err_make(ERR_NO_MEMORY);
    arena_init(&set->arena, SET_ARENA);
    for (size_t i = 0; i < draft->count && !err_is(e); i++) {
        e = entry_read(keys, set, &draft->files[i]);
        if (err_is(e))
            e = why(keys, draft->files[i].name, e);
    }
    if (!err_is(e) && chains_octets(set) > KEYS_OCTETS_MAX)
        e = err_detail(ERR_CONFIG, STR("the certificates are larger than 2 MB together"));
    if (err_is(e))
        set_free(set);
    else
        *set_r = set;
    return e;
}

/* --- What is told ---------------------------------------------------------------------------- */

static struct err identity_tell(struct peer *peer, const struct shown *entry, bool standard)
{
    const struct certificate *certificate = &entry->certificate;
    struct msg_text_line names[TLS_NAMES_MAX];
    struct msg_chain_link chain[TLS_CHAIN_MAX];
    for (size_t i = 0; i < entry->row.name_count; i++)
        names[i].text = entry->row.names[i];
    for (size_t i = 0; i < certificate->link_count; i++)
        chain[i].der = certificate->links[i];
    const struct msg msg = {.kind = MSG_identity,
                            .identity = {.key = entry->key->number,
                                         .standard = standard,
                                         .names = names,
                                         .names_count = entry->row.name_count,
                                         .chain = chain,
                                         .chain_count = certificate->link_count}};
    return link_send(&peer->link, &msg);
}

static struct err identities_tell(const struct keys *keys, struct peer *peer)
{
    struct msg end = {.kind = MSG_identities};
    struct err e = err_none();
    for (size_t i = 0; keys->set && i < keys->set->count && !err_is(e); i++) {
        const struct shown *entry = keys->set->entries[i];
        if (entry->row.roles & 1u << peer->role)
            e = identity_tell(peer, entry, end.identities.count++ == 0);
    }
    return err_is(e) ? e : link_send(&peer->link, &end);
}

static struct err tickets_tell(const struct keys *keys, struct peer *peer)
{
    struct msg_ticket_key list[TLS_TICKET_KEYS_MAX];
    for (size_t i = 0; i < keys->ticket_count; i++) {
        const struct tls_ticket_key *key = &keys->tickets[peer->role][i];
        list[i] = (struct msg_ticket_key){.name = str_make(key->name, sizeof(key->name)),
                                          .aes = str_make(key->aes, sizeof(key->aes)),
                                          .mac = str_make(key->mac, sizeof(key->mac))};
    }
    const struct msg msg = {.kind = MSG_ticket_keys,
                            .ticket_keys = {.keys = list, .keys_count = keys->ticket_count}};
    return link_send(&peer->link, &msg);
}

/* To every edge that said hello. One that cannot be told is cut, and told when it is back. */
static void tell_all(struct keys *keys, struct err (*tell)(const struct keys *, struct peer *))
{
    struct peer *peer, *next;
    for (peer = LIST_FIRST(&keys->core->peers); peer; peer = next) {
        next = LIST_NEXT(peer, link_in_core);
        struct err e = peer->slabs ? tell(keys, peer) : err_none();
        if (err_is(e))
            peer_cut(peer, e);
    }
}

struct err keys_tell(struct keys *keys, struct peer *peer)
{
    struct err e = identities_tell(keys, peer);
    return err_is(e) ? e : tickets_tell(keys, peer);
}

/* --- The end of a certificate ---------------------------------------------------------------- */

static void entry_look(struct core *core, const struct shown *entry, int64_t now)
{
    const struct certificate *certificate = &entry->certificate;
    int64_t left = certificate->not_after - now;
    struct log_field name = log_str("name", entry->row.name);
    if (certificate->not_before > now)
        log_event(core->log, LOG_WARN, "certificate_not_valid_yet", name);
    else if (left <= 0)
        log_event(core->log, LOG_WARN, "certificate_expired", name,
                  log_u64("days", (uint64_t)(-left / US_A_DAY)));
    else if (left < core->conf->tls.warn_before / 1000)
        log_event(core->log, LOG_WARN, "certificate_ends", name,
                  log_u64("days", (uint64_t)(left / US_A_DAY)));
}

static void set_look(struct keys *keys)
{
    struct core *core = keys->core;
    for (size_t i = 0; keys->set && i < keys->set->count; i++)
        entry_look(core, keys->set->entries[i], world_wall(core->world));
}

static void look_due(struct timer *timer)
{
    struct keys *keys = timer->arg;
    must_be(keys, KEYS_MAGIC);
    timer_set(keys->core->loop, &keys->look, keys->core->loop->now + LOOK_EVERY);
    set_look(keys);
}

/* --- Putting a set to use -------------------------------------------------------------------- */

/* Those whose time is over; `all` where core ends. */
static void lingering_drop(struct keys *keys, bool all)
{
    struct key *key, *next;
    int64_t first = INT64_MAX;
    for (key = LIST_FIRST(&keys->all); key; key = next) {
        next = LIST_NEXT(key, link);
        if (key->until && (all || key->until <= keys->core->loop->now))
            key_drop(key);
        else if (key->until && key->until < first)
            first = key->until;
    }
    if (first != INT64_MAX)
        timer_set(keys->core->loop, &keys->linger, first);
}

static void linger_over(struct timer *timer)
{
    struct keys *keys = timer->arg;
    must_be(keys, KEYS_MAGIC);
    lingering_drop(keys, false);
}

/* What is in the set from now on stays, what was in the one before lingers. */
static void set_swap(struct keys *keys, struct set *set)
{
    struct set *old = keys->set;
    for (size_t i = 0; old && i < old->count; i++)
        key_linger(old->entries[i]->key, keys->core->loop->now + KEYS_LINGER);
    for (size_t i = 0; i < set->count; i++)
        key_stay(set->entries[i]->key);
    keys->set = set;
    set_free(old);
    lingering_drop(keys, false);
}

static struct err draft_use(struct keys *keys)
{
    struct set *set = NULL;
    struct err e = set_read(keys, &set);
    draft_clear(&keys->draft);
    if (err_is(e))
        return e;
    set_swap(keys, set);
    set_look(keys);
    tell_all(keys, identities_tell);
    return e;
}

struct err keys_take(struct keys *keys, const struct msg_certificate_files *files)
{
    must_be(keys, KEYS_MAGIC);
    struct err e = draft_take(&keys->draft, files);
    return err_is(e) || !keys->core || !keys->draft.whole ? e : draft_use(keys);
}

/* --- Ticket keys ----------------------------------------------------------------------------- */

static void tickets_turn(struct keys *keys)
{
    for (size_t role = 0; role < ROLE_COUNT; role++) {
        struct tls_ticket_key *first = keys->tickets[role];
        memmove(first + 1, first, (TLS_TICKET_KEYS_MAX - 1) * sizeof(*first));
        world_random(keys->core->world, first, sizeof(*first));
    }
    if (keys->ticket_count < TLS_TICKET_KEYS_MAX)
        keys->ticket_count++;
}

static void rotate_due(struct timer *timer)
{
    struct keys *keys = timer->arg;
    must_be(keys, KEYS_MAGIC);
    timer_set(keys->core->loop, &keys->rotate, keys->core->loop->now + KEYS_ROTATE);
    tickets_turn(keys);
    tell_all(keys, tickets_tell);
}

/* --- Signatures ------------------------------------------------------------------------------ */

struct signing {
    const struct private_key *key;
    struct tls_sign asked;
    unsigned char signature[TLS_SIGN_MAX];
    size_t length;
    struct err e;
};

static void sign_run(void *arg)
{
    struct signing *signing = arg;
    signing->e = tls_sign(signing->key, &signing->asked, signing->signature, &signing->length);
}

static struct key *key_named(struct keys *keys, const struct peer *peer, uint32_t number)
{
    struct key *key = keys ? key_find(keys, number) : NULL;
    return key && key->roles & 1u << peer->role ? key : NULL;
}

void serve_sign(struct request *request)
{
    struct peer *peer = request->peer;
    struct keys *keys = peer->core->keys;
    const struct msg_sign *asked = &request->msg.sign;
    struct signing signing = {
        .asked = {.scheme = asked->scheme, .randoms = asked->randoms, .what = asked->what},
        .e = err_make(ERR_TRY_LATER)};
    struct key *key = key_named(keys, peer, asked->key);
    if (!key) {
        peer_cut(peer, err_detail(ERR_BUS_BROKEN, STR("a key that this edge was not given")));
        return;
    }
    signing.key = key->private;
    if (private_key_kind(key->private) == KEY_P256) {
        sign_run(&signing);
    } else if (keys->signatures.waiting < KEYS_WAITING_MAX) {
        key->holds++;
        lane_call(&keys->signatures, sign_run, &signing);
        key_release(key);
    }
    if (signing.e.code == ERR_BUS_BROKEN) {
        peer_cut(peer, signing.e);
        return;
    }
    struct msg answer = {.kind = MSG_signature, .signature = {.error = (uint16_t)signing.e.code}};
    if (!err_is(signing.e))
        answer.signature.octets = str_make(signing.signature, signing.length);
    request_answer(request, &answer);
}

/* --- Beginning and ending -------------------------------------------------------------------- */

struct keys *keys_new(void)
{
    /* A failure leaves keys in the ordinary heap, which nobody else reads either. */
    (void)CRYPTO_secure_malloc_init(SECURE_HEAP, SECURE_LEAST);
    if (!OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CONFIG, NULL))
        return NULL;
    struct keys *keys = calloc(1, sizeof(*keys));
    if (!keys)
        return NULL;
    keys->magic = KEYS_MAGIC;
    LIST_INIT(&keys->all);
    arena_init(&keys->draft.arena, DRAFT_ARENA);
    keys->linger = (struct timer){.run = linger_over, .arg = keys};
    keys->rotate = (struct timer){.run = rotate_due, .arg = keys};
    keys->look = (struct timer){.run = look_due, .arg = keys};
    return keys;
}

struct err keys_begin(struct keys *keys, struct core *core)
{
    must_be(keys, KEYS_MAGIC);
    int failed = lane_init(&keys->signatures, core->loop, "signatures", KEYS_THREADS);
    if (failed)
        return err_os(-failed, STR("signature threads"));
    keys->core = core;
    struct err e = keys->draft.whole ? draft_use(keys) : err_none();
    if (err_is(e)) {
        keys->core = NULL;
        lane_done(&keys->signatures);
        return e;
    }
    core->keys = keys;
    tickets_turn(keys);
    timer_set(core->loop, &keys->rotate, core->loop->now + KEYS_ROTATE);
    timer_set(core->loop, &keys->look, core->loop->now + LOOK_EVERY);
    return e;
}

void keys_end(struct keys *keys)
{
    must_be(keys, KEYS_MAGIC);
    struct core *core = keys->core;
    if (!core)
        return;
    lane_done(&keys->signatures);
    lingering_drop(keys, true);
    timer_clear(core->loop, &keys->linger);
    timer_clear(core->loop, &keys->rotate);
    timer_clear(core->loop, &keys->look);
    core->keys = NULL;
    keys->core = NULL;
}

void keys_free(struct keys *keys)
{
    if (!keys)
        return;
    must_be(keys, KEYS_MAGIC);
    must(!keys->core);
    draft_clear(&keys->draft);
    set_free(keys->set);
    explicit_bzero(keys->tickets, sizeof(keys->tickets));
    keys->magic = 0;
    free(keys);
}

/* --- What operators see ---------------------------------------------------------------------- */

size_t keys_count(const struct keys *keys)
{
    return keys && keys->set ? keys->set->count : 0;
}

struct keys_row keys_row(const struct keys *keys, size_t i)
{
    must(i < keys_count(keys));
    return keys->set->entries[i]->row;
}
