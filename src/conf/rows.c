#include "conf/rows.h"

#define NEEDED NULL

#define SETTING_ROW(its_section, its_name, its_type, its_standard, at_least, at_most, its_reload,  \
                    its_help, its_struct, its_member)                                              \
    [SETTING_##its_section##_##its_name] = {                                                       \
        .section = #its_section,                                                                   \
        .name = #its_name,                                                                         \
        .type = TYPE_##its_type,                                                                   \
        .offset = offsetof(its_struct, its_member),                                                \
        .size = sizeof(((its_struct *)NULL)->its_member),                                          \
        .standard = its_standard,                                                                  \
        .least = at_least,                                                                         \
        .most = at_most,                                                                           \
        .reload = RELOAD_##its_reload,                                                             \
        .help = its_help,                                                                          \
    },

const struct setting setting_rows[SETTING_COUNT] = {
#define SETTING(section, name, type, standard, least, most, reload, help)                          \
    SETTING_ROW(section, name, type, standard, least, most, reload, help, struct conf, section.name)
#define BLOCK_SETTING(kind, name, type, standard, least, most, help)                               \
    SETTING_ROW(kind, name, type, standard, least, most, NOW, help, struct conf_##kind, name)
#include "conf/conf.def"
};

const struct section section_rows[SECTION_COUNT] = {
#define SECTION(its_name, its_help)                                                                \
    [SECTION_##its_name] = {.name = #its_name,                                                     \
                            .help = its_help,                                                      \
                            .settings = &setting_rows[SETTING_BEGIN_##its_name],                   \
                            .count = SETTING_END_##its_name - SETTING_BEGIN_##its_name},
#define BLOCK(kind, its_title, at_most, its_help)                                                  \
    [SECTION_##kind] = {.name = #kind,                                                             \
                        .help = its_help,                                                          \
                        .settings = setting_rows + SETTING_BEGIN_##kind,                           \
                        .count = SETTING_END_##kind - SETTING_BEGIN_##kind,                        \
                        .title = TITLE_##its_title,                                                \
                        .most = at_most,                                                           \
                        .size = sizeof(struct conf_##kind),                                        \
                        .list = offsetof(struct conf, kind##s),                                    \
                        .counter = offsetof(struct conf, kind##_count)},
#include "conf/conf.def"
};

/* Every block's struct begins as struct conf_titled. */
#define BLOCK(kind, title, most, help)                                                             \
    _Static_assert(offsetof(struct conf_##kind, name) == offsetof(struct conf_titled, name) &&     \
                       offsetof(struct conf_##kind, line) == offsetof(struct conf_titled, line),   \
                   #kind);
#include "conf/conf.def"

size_t section_instances(const struct section *section, const struct conf *conf)
{
    size_t count = 1;
    if (section->title != TITLE_NONE)
        memcpy(&count, (const char *)conf + section->counter, sizeof(count));
    return count;
}

static char *block_of(const struct section *section, const struct conf *conf, size_t instance)
{
    char *list;
    memcpy(&list, (const char *)conf + section->list, sizeof(list));
    return list ? list + instance * section->size : NULL;
}

const void *section_base(const struct section *section, const struct conf *conf, size_t instance)
{
    return section->title == TITLE_NONE ? (const char *)conf : block_of(section, conf, instance);
}

void *section_place(const struct section *section, struct conf *conf, size_t instance)
{
    return section->title == TITLE_NONE ? (char *)conf : block_of(section, conf, instance);
}

struct str section_title(const struct section *section, const struct conf *conf, size_t instance)
{
    const struct conf_titled *titled = section_base(section, conf, instance);
    return section->title == TITLE_NONE ? str_null() : titled->name;
}

void conf_each(struct conf *conf, enum setting_type type,
               void (*visit)(void *arg, const struct value_at *at), void *arg)
{
    for (size_t i = 0; i < SECTION_COUNT; i++) {
        const struct section *section = &section_rows[i];
        size_t settings = section->count * section_instances(section, conf);
        for (size_t j = 0; j < settings; j++) {
            size_t instance = j / section->count;
            const struct setting *setting = &section->settings[j % section->count];
            char *base = section_place(section, conf, instance);
            struct value_at at = {.section = section,
                                  .instance = instance,
                                  .title = section_title(section, conf, instance),
                                  .setting = setting,
                                  .value = base + setting->offset};
            if (setting->type == type)
                visit(arg, &at);
        }
    }
}
