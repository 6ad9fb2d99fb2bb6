/*
 * struct err: an error as a value with mail's meaning. The same value travels from the disk to the
 * bus, to the wire, to the log. Its rows are in base/errors.def.
 *
 *     struct err e = directory_resolve(...);
 *     if (err_is(e))
 *         return e;
 *
 * `detail` is optional text for the operator (never sent to a stranger unescaped): it points to a
 * literal or into an arena that outlives the err.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include "base/str.h"

enum err_code {
#define ERROR(name, smtp, enhanced, retry, word, text) ERR_##name,
#include "base/errors.def"
#undef ERROR
    ERR_COUNT
};

enum err_retry {
    LATER,
    NEVER
};

struct err {
    enum err_code code;
    int os; /* errno where the system said no, else 0 */
    struct str detail;
};

struct err_row {
    const char *name;
    int smtp;
    const char *enhanced;
    enum err_retry retry;
    const char *word;
    const char *text;
};

/* The row of an error; a code that came over the bus and is out of range gives the row TRY_LATER.
 */
const struct err_row *err_row(enum err_code code);

static inline bool err_is(struct err e)
{
    return e.code != ERR_NONE;
}

static inline struct err err_none(void)
{
    return (struct err){.code = ERR_NONE};
}

static inline struct err err_make(enum err_code code)
{
    return (struct err){.code = code};
}

static inline struct err err_detail(enum err_code code, struct str detail)
{
    return (struct err){.code = code, .detail = detail};
}

/* From errno: ENOSPC, EDQUOT -> DISK_FULL; EIO -> DISK_FAILED; EROFS -> STORE_READ_ONLY;
 * ENOMEM -> NO_MEMORY; ENOENT -> NOT_FOUND; EEXIST -> EXISTS; EACCES, EPERM -> NOT_ALLOWED;
 * everything else -> OS. `what` names the call or the file. */
struct err err_os(int os, struct str what);

/* As whoever asked us may hear it: what befell our own files, an errno, is no answer about their
 * message, so where its row would refuse for good it becomes OS. Other errors stay as they are. */
struct err err_told(struct err e);

#endif
