/*
 * Why no destination is stored: the entry says who sent it to whom, and the configuration the rest.
 * A block that went, or a new one, holds for what waits as for what comes.
 */
#include "core/route.h"

#include "base/must.h"
#include "core/route_notice.h"
#include "core/secrets.h"
#include "core/tokens.h"

/* --- Destinations ---------------------------------------------------------------------------- */

static void destination_put(struct route_destination *to, const struct conf_route *block,
                            bool is_mx, struct str otherwise)
{
    struct buf name = {.p = to->room, .cap = sizeof to->room, .max = sizeof to->room};
    if (block) {
        buf_putc(&name, '@');
        buf_put(&name, block->name);
        buf_put(&name, is_mx ? STR("/") : STR(""));
    }
    if (!block || is_mx)
        buf_put(&name, str_head(otherwise, sizeof to->room - name.n));
    to->name = buf_str(&name);
}

static struct str operator_block(const struct queue_entry *entry)
{
    return str_starts(entry->route, STR("@")) ? str_from_index(entry->route, 1) : str_null();
}

/* An operator's choice: whatever the blocks say. */
static bool is_by_mx(const struct queue_entry *entry)
{
    return str_eq(entry->route, STR("mx"));
}

static const struct conf_route *block_of(const struct conf *conf, const struct queue_entry *entry,
                                         size_t recipient, struct str account, bool *unsure_r)
{
    const struct route_question question = {.recipient = entry->recipients[recipient].address,
                                            .sender = entry->sender,
                                            .account = account,
                                            .account_unknown = entry->account && !account.p};
    return conf_route_find(conf, &question, unsure_r);
}

/* A block that refuses has a destination like any other's: there the entry is found out. */
static void block_put(struct route_destination *to, const struct conf_route *block,
                      struct str domain)
{
    struct conf_way way = {.via = {.count = 0}};
    if (block)
        conf_route_way(block, &way);
    destination_put(to, block, way.via.count == 0, domain);
    to->connections = (uint32_t)way.connections;
    to->collected = block && block->collect.count > 0;
}

void route_destination(const struct conf *conf, const struct queue_entry *entry,
                       struct route_destination *to)
{
    struct str named = operator_block(entry);
    bool unsure;
    to->connections = 0;
    to->collected = false;
    if (entry->flags & QUEUE_HERE)
        destination_put(to, NULL, false, ROUTE_HERE);
    else if (named.p)
        block_put(to, conf_route_named(conf, named), entry->domain);
    else if (is_by_mx(entry))
        block_put(to, NULL, entry->domain);
    else if (entry->route.n)
        destination_put(to, NULL, false, entry->route);
    else
        block_put(to, block_of(conf, entry, 0, str_null(), &unsure), entry->domain);
}

/* --- Choosing -------------------------------------------------------------------------------- */

/* May yield. Empty: nobody's, or an account that is gone. */
static struct str account_of(struct core *core, const struct queue_entry *entry,
                             struct arena *arena)
{
    struct account account;
    if (!entry->account || !conf_routes_ask_accounts(core->conf))
        return STR("");
    struct err e = directory_account_by_id(&core->directory, entry->account, arena, &account);
    return err_is(e) ? STR("") : account.address;
}

static void all_go(const struct queue_entry *entry, struct route_choice *choice)
{
    choice->count = entry->recipient_count;
    for (size_t i = 0; i < entry->recipient_count; i++)
        choice->goes[i] = true;
}

static void by_blocks(const struct conf *conf, const struct queue_entry *entry, struct str account,
                      struct route_choice *choice)
{
    bool unsure;
    choice->block = block_of(conf, entry, 0, account, &unsure);
    for (size_t i = 0; i < entry->recipient_count; i++) {
        choice->goes[i] = block_of(conf, entry, i, account, &unsure) == choice->block;
        choice->count += choice->goes[i];
    }
}

void route_choose(struct core *core, const struct queue_entry *entry, struct arena *arena,
                  struct route_choice *choice_r)
{
    struct str account = account_of(core, entry, arena);
    struct str named = operator_block(entry);
    *choice_r = (struct route_choice){.block = NULL};
    if (entry->route.n) {
        all_go(entry, choice_r);
        if (named.p)
            choice_r->block = conf_route_named(core->conf, named);
        else if (!is_by_mx(entry))
            choice_r->fixed = entry->route;
        choice_r->lost = named.p && !choice_r->block;
    } else {
        by_blocks(core->conf, entry, account, choice_r);
    }
    if (choice_r->block)
        conf_route_way(choice_r->block, &choice_r->way);
    choice_r->denied = choice_r->block && choice_r->block->deny.n > 0;
    if (choice_r->fixed.n)
        destination_put(&choice_r->destination, NULL, false, choice_r->fixed);
    else
        block_put(&choice_r->destination, choice_r->block, entry->domain);
}

/* --- Telling --------------------------------------------------------------------------------- */

/* Empty: none, or not for these hosts. */
static struct str secret_of(const struct core *core, const struct conf_route *block, struct str via)
{
    struct token_found found;
    if (block->oauth_file.n == 0)
        return secrets_find(core->secrets, block->name, via);
    (void)tokens_find(core, block->name, via, &found);
    return found.token;
}

bool route_tell(const struct core *core, const struct route_choice *choice, struct arena *arena,
                struct msg_job *job)
{
    const struct conf_route *block = choice->block;
    job->route = choice->fixed;
    if (!block)
        return true;
    job->route = arena_str(arena, choice->destination.name);
    job->via = conf_way_via(&choice->way, arena);
    job->shuffle = block->shuffle;
    job->lmtp = block->protocol == CONF_PROTOCOL_LMTP;
    job->tls = (uint8_t)choice->way.tls;
    job->tls_names = conf_texts_join(&block->tls_names, arena);
    job->source = conf_texts_join(&block->source, arena);
    job->helo = block->helo;
    job->mechanisms = choice->way.mechanisms;
    job->user = block->user;
    job->token = block->token_file.n > 0 || block->oauth_file.n > 0;
    if (block->user.n > 0)
        job->password = secret_of(core, block, job->via);
    return job->via.p && job->tls_names.p && job->source.p && job->route.p;
}

uint32_t route_token_turn(const struct core *core, const struct route_choice *choice,
                          const struct msg_job *job)
{
    struct token_found found;
    (void)tokens_find(core, choice->block->name, job->via, &found);
    return found.turn;
}

/* What an operator is to do about a block without a token. */
static struct str token_missing(const struct conf_route *block, const struct token_found *found,
                                struct arena *arena)
{
    struct buf text = buf_in(arena, QUEUE_WORDS_MAX);
    if (found->refused)
        buf_printf(&text,
                   "the refresh token of route %.*s is good no more: %.*s. Log in at the provider "
                   "anew, and put the new refresh token into its oauth_file",
                   STR_FMT(block->name), STR_FMT(found->why));
    else
        buf_printf(&text, "no access token for route %.*s: %.*s", STR_FMT(block->name),
                   STR_FMT(found->why));
    struct str built = buf_built(&text);
    return built.p ? built : STR("no access token for its route");
}

bool route_has_secret(const struct core *core, const struct route_choice *choice,
                      struct arena *arena)
{
    const struct conf_route *block = choice->block;
    return !block || block->user.n == 0 ||
           secret_of(core, block, conf_way_via(&choice->way, arena)).n > 0;
}

bool route_is_ready(const struct core *core, const struct route_choice *choice, struct arena *arena,
                    struct str *why_r)
{
    const struct conf_route *block = choice->block;
    struct token_found found;
    if (route_has_secret(core, choice, arena))
        return true;
    struct str via = conf_way_via(&choice->way, arena);
    bool there = block->oauth_file.n > 0 && tokens_find(core, block->name, via, &found);
    if (there && found.why.n == 0)
        return true; /* route_prepare asks for it */
    *why_r = there ? token_missing(block, &found, arena)
                   : STR("the file with the secret of its route could not be read");
    return false;
}

bool route_wants_new_grant(const struct core *core, const struct route_choice *choice,
                           struct arena *arena)
{
    const struct conf_route *block = choice->block;
    struct token_found found;
    return block && block->oauth_file.n > 0 &&
           tokens_find(core, block->name, conf_way_via(&choice->way, arena), &found) &&
           found.refused;
}

void route_prepare(struct core *core, const struct route_choice *choice, struct arena *arena)
{
    const struct conf_route *block = choice->block;
    if (!block || block->oauth_file.n == 0)
        return;
    struct str name = arena_str(arena, block->name); /* the configuration may go meanwhile */
    tokens_renew(core, name, conf_way_via(&choice->way, arena));
}

void route_log_in_refused(struct core *core, struct str name, struct str said)
{
    const struct conf_route *block = conf_route_named(core->conf, name);
    if (!block || block->user.n == 0)
        return;
    const struct route_notice notice = {
        .kind = ROUTE_NOTICE_LOG_IN, .route = name, .user = block->user, .said = said};
    route_notice(core, &notice);
}

/* --- Refusing -------------------------------------------------------------------------------- */

struct str route_denies(const struct conf *conf, struct str sender, struct str account,
                        struct str recipient)
{
    const struct route_question question = {
        .recipient = recipient, .sender = sender, .account = account};
    bool unsure;
    const struct conf_route *block = conf_route_find(conf, &question, &unsure);
    return block ? block->deny : STR("");
}
