#include "conf/rows.h"

const struct setting setting_rows[SETTING_COUNT] = {
#define SECTION(name, help)
#define SECTION_END(name)
#define SETTING(its_section, its_name, its_type, its_standard, at_least, at_most, its_reload,      \
                its_help)                                                                          \
    [SETTING_##its_section##_##its_name] = {                                                       \
        .section = #its_section,                                                                   \
        .name = #its_name,                                                                         \
        .type = TYPE_##its_type,                                                                   \
        .offset = offsetof(struct conf, its_section.its_name),                                     \
        .size = sizeof(((struct conf *)NULL)->its_section.its_name),                               \
        .standard = its_standard,                                                                  \
        .least = at_least,                                                                         \
        .most = at_most,                                                                           \
        .reload = RELOAD_##its_reload,                                                             \
        .help = its_help,                                                                          \
    },
#include "conf/conf.def"
#undef SECTION
#undef SECTION_END
#undef SETTING
};

const struct section section_rows[SECTION_COUNT] = {
#define SECTION(its_name, its_help) [SECTION_##its_name] = {.name = #its_name, .help = its_help},
#define SECTION_END(name)
#define SETTING(section, name, type, standard, least, most, reload, help)
#include "conf/conf.def"
#undef SECTION
#undef SECTION_END
#undef SETTING
};

bool setting_is_list(const struct setting *setting)
{
    return setting->type == TYPE_LISTEN || setting->type == TYPE_NETWORKS;
}
