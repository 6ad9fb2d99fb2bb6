#include "core/store_open.h"

#include <errno.h>

#include "store/local/local.h"
#include "sys/process.h"

/* Below the working folder, which is the data folder, also where a new root hides its path. */
static const char store_path[] = "store";
static const char index_path[] = "store/index";

static void settings_from(const struct conf *conf, struct local_settings *settings_r)
{
    local_settings_default(settings_r);
    settings_r->prefill = conf->store.prefill;
    settings_r->least_free = conf->store.least_free;
}

static struct err folders_make(struct world *world, bool create, int *store_r)
{
    int here;
    struct err e = process_open_folder(STR("."), &here);
    if (err_is(e))
        return e;
    int store = world->ops->folder_open(world, here, str_from(store_path), create);
    int index =
        store < 0 ? store : world->ops->folder_open(world, here, str_from(index_path), create);
    world->ops->close(world, here);
    if (index >= 0)
        world->ops->close(world, index);
    else if (store >= 0)
        world->ops->close(world, store);
    *store_r = store;
    return index < 0 ? err_os(-index, STR("store folder")) : err_none();
}

/*
 * A damaged index is made anew from the log, which has everything in it. Only under the store's
 * lock: what another process is writing may look damaged from here.
 */
static struct err index_remove(struct world *world, int folder)
{
    int lock =
        world->ops->file_open(world, folder, STR("lock"), FILE_READ | FILE_WRITE | FILE_CREATE);
    if (lock < 0)
        return err_os(-lock, STR("lock"));
    int failed = world->ops->file_lock(world, lock);
    if (!failed)
        failed = world->ops->file_remove(world, folder, STR("index/data.mdb"));
    if (!failed || failed == -ENOENT)
        failed = world->ops->file_remove(world, folder, STR("index/lock.mdb"));
    world->ops->close(world, lock);
    if (failed == -EWOULDBLOCK)
        return err_make(ERR_STORE_LOCKED);
    return failed && failed != -ENOENT ? err_os(-failed, STR("index")) : err_none();
}

/* A page that is wrong inside can make LMDB end the process when it is met; the roots alone do not
 * tell. */
static struct err index_look(enum store_look look, struct index **index_r)
{
    struct err e = index_lmdb_open(str_from(index_path), 0, index_r);
    if (err_is(e) || look == STORE_LOOK_ROOTS)
        return e;
    e = (*index_r)->ops->check(*index_r);
    if (err_is(e))
        (*index_r)->ops->close(*index_r);
    return e;
}

struct opening {
    struct loop *loop;
    const struct local_settings *settings;
    int folder;
    bool create;
    enum store_look look;
    struct resent *resent;
};

static struct err engine_open(const struct opening *opening, struct engine **engine_r)
{
    struct index *index;
    struct err e = index_look(opening->look, &index);
    if (err_is(e))
        return e;
    return local_open(opening->loop, opening->folder, index, opening->settings, opening->create,
                      opening->resent ? resent_replayed : NULL, opening->resent, engine_r);
}

struct err store_open(struct loop *loop, const struct conf *conf, bool create, enum store_look look,
                      struct resent *resent, struct engine **engine_r, bool *rebuilt_r)
{
    struct local_settings settings;
    struct opening opening = {
        .loop = loop, .settings = &settings, .create = create, .look = look, .resent = resent};
    struct err e = folders_make(loop->world, create, &opening.folder);
    if (err_is(e))
        return e;
    settings_from(conf, &settings);
    e = engine_open(&opening, engine_r);
    *rebuilt_r = e.code == ERR_STORE_DAMAGED;
    if (*rebuilt_r)
        e = index_remove(loop->world, opening.folder);
    if (*rebuilt_r && !err_is(e))
        e = engine_open(&opening, engine_r);
    /* The engine keeps using the folder while it is open; it goes with the process. */
    if (err_is(e))
        loop->world->ops->close(loop->world, opening.folder);
    return e;
}
