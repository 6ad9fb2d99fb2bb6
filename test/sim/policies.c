#include "policies.h"

#include "core/sts.h"
#include "format/mta_sts.h"

#define MAX_AGE "2592000" /* 30 days: longer than any run, and than its clocks jump */
#define LIFE 2592000

#define POLICY(mx) "version: STSv1\nmode: enforce\nmx: " mx "\nmax_age: " MAX_AGE "\n"

static const struct policy_row {
    const char *domain, *policy;
    const char *record; /* its TXT record; NULL: it is gone */
} rows[] = {
    {"sts.test", POLICY("mx2.sts.test"), "v=STSv1; id=2;"},
    {"strict.test", POLICY("*.strict.test"), NULL},
};

enum {
    ROWS = sizeof(rows) / sizeof(rows[0]),
    NAME_MOST = 100,
};

void policies_publish(struct fake_zones *zones)
{
    for (size_t i = 0; i < ROWS; i++) {
        char name[NAME_MOST];
        snprintf(name, sizeof(name), "_mta-sts.%s", rows[i].domain);
        if (rows[i].record)
            fake_zones_txt(zones, name, rows[i].record);
    }
}

void policies_move_in(struct core *core, void *arg)
{
    struct err *result = arg;
    *result = err_none();
    for (size_t i = 0; !err_is(*result) && i < ROWS; i++) {
        struct sts_kept kept = {.domain = str_from(rows[i].domain),
                                .id = STR("1"),
                                .policy = str_from(rows[i].policy),
                                .mode = MTA_STS_ENFORCE,
                                .fetched = sts_now(core),
                                .until = sts_now(core) + LIFE,
                                .used = sts_today(core)};
        *result = sts_room(core);
        if (!err_is(*result))
            *result = sts_kept_write(core->engine, &kept);
    }
}
