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

struct err store_open(struct loop *loop, const struct conf *conf, bool create,
                      struct resent *resent, struct engine **engine_r)
{
    struct world *world = loop->world;
    struct local_settings settings;
    struct index *index;
    int folder;
    struct err e = folders_make(world, create, &folder);
    if (err_is(e))
        return e;
    settings_from(conf, &settings);
    e = index_lmdb_open(str_from(index_path), 0, &index);
    if (!err_is(e)) {
        e = local_open(loop, folder, index, &settings, create, resent ? resent_replayed : NULL,
                       resent, engine_r);
    }
    /* The engine keeps using the folder while it is open; it goes with the process. */
    if (err_is(e))
        world->ops->close(world, folder);
    return e;
}
