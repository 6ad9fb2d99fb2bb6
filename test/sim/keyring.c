/*
 * Lives with four times instead of states: what is under way, or was lost with core, is neither one
 * nor the other, and each rule takes it as it suits the server.
 */
#include "keyring.h"

#include "base/must.h"

bool life_may(const struct key_life *life, uint64_t since, uint64_t until)
{
    return life->may_from <= until && life->may_until > since;
}

bool life_must(const struct key_life *life, uint64_t since, uint64_t until)
{
    return life->is_from <= since && life->is_until > until;
}

static struct key_life life_begun(uint64_t step)
{
    return (struct key_life){
        .may_from = step, .is_from = NEVER_STEP, .is_until = NEVER_STEP, .may_until = NEVER_STEP};
}

struct key *keyring_add(struct keyring *keyring, int user, bool app, struct str secret,
                        uint64_t step)
{
    if (keyring->key_count == KEYRING_MOST)
        return NULL;
    struct key *key = &keyring->keys[keyring->key_count++];
    must(secret.n < sizeof(key->secret));
    *key = (struct key){.user = user, .app = app, .services = KEY_ALL, .life = life_begun(step)};
    memcpy(key->secret, secret.p, secret.n);
    return key;
}

const struct key *keyring_find(const struct keyring *keyring, int user, struct str secret)
{
    for (size_t i = keyring->key_count; i > 0; i--)
        if (keyring->keys[i - 1].user == user &&
            str_eq(str_from(keyring->keys[i - 1].secret), secret))
            return &keyring->keys[i - 1];
    return NULL;
}

struct key *keyring_newest(struct keyring *keyring, int user, bool app)
{
    for (size_t i = keyring->key_count; i > 0; i--) {
        struct key *key = &keyring->keys[i - 1];
        if (key->user == user && key->app == app && key->life.may_until == NEVER_STEP)
            return key;
    }
    return NULL;
}

const struct key *keyring_older(const struct keyring *keyring, int user, uint64_t which)
{
    const struct key *found = NULL;
    for (size_t i = 0; i < keyring->key_count; i++) {
        const struct key *key = &keyring->keys[i];
        if (key->user != user || key->life.is_until == NEVER_STEP)
            continue;
        found = key;
        if (which-- == 0)
            break;
    }
    return found;
}

static bool is_since(uint64_t step, uint64_t since)
{
    return step != NEVER_STEP && step >= since;
}

bool keyring_changed(const struct keyring *keyring, int user, uint64_t since)
{
    for (size_t i = 0; i < keyring->key_count; i++) {
        const struct key *key = &keyring->keys[i];
        const struct key_life *life = &key->life;
        bool is_open = life->is_from == NEVER_STEP ||
                       (life->is_until != NEVER_STEP && life->may_until == NEVER_STEP);
        if (key->user == user &&
            (is_open || is_since(life->is_from, since) || is_since(life->may_until, since)))
            return true;
    }
    return false;
}

struct known_ban *keyring_ban(struct keyring *keyring, uint32_t network, unsigned bits,
                              uint64_t step)
{
    if (keyring->ban_count == KEYRING_BANS)
        return NULL;
    struct known_ban *ban = &keyring->bans[keyring->ban_count++];
    *ban = (struct known_ban){.network = network, .bits = bits, .life = life_begun(step)};
    return ban;
}

bool ban_covers(const struct known_ban *ban, uint32_t address)
{
    return address >> (32 - ban->bits) == ban->network >> (32 - ban->bits);
}
