#include "plan.h"

#include <stddef.h>

#include "sys/fake/random.h"

const struct plan_row plan_rows[PLAN_ROWS] = {
    {"letters", offsetof(struct sim_plan, letters)},
    {"readings", offsetof(struct sim_plan, readings)},
    {"changes", offsetof(struct sim_plan, changes)},
    {"operations", offsetof(struct sim_plan, operations)},
    {"strangers", offsetof(struct sim_plan, strangers)},
    {"mails", offsetof(struct sim_plan, mails)},
    {"logins", offsetof(struct sim_plan, logins)},
    {"guesses", offsetof(struct sim_plan, guesses)},
    {"keys", offsetof(struct sim_plan, keys)},
    {"crowds", offsetof(struct sim_plan, crowds)},
    {"troubles", offsetof(struct sim_plan, troubles)},
    {"kills", offsetof(struct sim_plan, kills)},
    {"power", offsetof(struct sim_plan, power)},
    {"disk", offsetof(struct sim_plan, disk)},
    {"drops", offsetof(struct sim_plan, drops)},
    {"tiny", offsetof(struct sim_plan, tiny)},
    {"edges_live", offsetof(struct sim_plan, edges_live)},
    {"spared", offsetof(struct sim_plan, spared)},
};

struct sim_plan plan_make(uint64_t seed)
{
    struct fake_random random;
    fake_random_init(&random, seed, "plan of a run");
    uint64_t kind = fake_random_below(&random, 8);
    bool tiny = fake_random_below(&random, 8) == 0;
    /* How much is guessed: not at all, here and there, a storm. */
    static const uint32_t storms[] = {0, 4, 30};
    uint32_t guesses = storms[fake_random_below(&random, 3)];
    return (struct sim_plan){
        .tiny = tiny,
        .letters = tiny ? 12 : 60,
        .readings = tiny ? 3 : 10,
        .changes = (uint32_t)fake_random_below(&random, 12),
        .strangers = tiny ? 1 : 6,
        .mails = (uint32_t)fake_random_below(&random, tiny ? 4 : 40),
        .logins = tiny ? 2 : 8,
        .guesses = tiny ? guesses / 8 : guesses,
        .keys = (uint32_t)fake_random_below(&random, 20),
        .crowds = (uint32_t)fake_random_below(&random, tiny ? 2 : 6),
        .troubles = (uint32_t)fake_random_below(&random, PLAN_TROUBLES_MOST),
        .drops = kind != 0,
        .kills = kind >= 3,
        .edges_live = kind == 3 || kind == 5,
        .disk = kind == 2 || kind >= 5,
        .power = kind == 4 || kind >= 6,
        .operations = (uint32_t)fake_random_below(&random, 24),
    };
}

uint32_t plan_get(const struct sim_plan *plan, size_t row)
{
    uint32_t value;
    memcpy(&value, (const char *)plan + plan_rows[row].place, sizeof(value));
    return value;
}

void plan_set(struct sim_plan *plan, size_t row, uint32_t value)
{
    memcpy((char *)plan + plan_rows[row].place, &value, sizeof(value));
}

static bool number_parse(struct sim_plan *plan, struct str text)
{
    uint64_t value;
    struct str name = str_cut(&text, '=');
    if (!str_to_u64(text, &value) || value > UINT32_MAX)
        return false;
    for (size_t row = 0; row < PLAN_ROWS; row++) {
        if (!str_eq(name, str_from(plan_rows[row].name)))
            continue;
        plan_set(plan, row, (uint32_t)value);
        return true;
    }
    return false;
}

bool plan_parse(struct sim_plan *plan, struct str text)
{
    bool fine = true;
    while (fine && text.n)
        fine = number_parse(plan, str_cut(&text, ','));
    return fine && plan->troubles <= PLAN_TROUBLES_MOST;
}

void plan_print(const struct sim_plan *plan, struct buf *to)
{
    for (size_t row = 0; row < PLAN_ROWS; row++)
        buf_printf(to, "%s%s=%u", row ? "," : "", plan_rows[row].name, plan_get(plan, row));
}
