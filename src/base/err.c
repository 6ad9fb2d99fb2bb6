#include "base/err.h"

#include <errno.h>

static const struct err_row rows[ERR_COUNT] = {
#define ERROR(name, smtp, enhanced, retry, word, text)                                             \
    [ERR_##name] = {#name, smtp, enhanced, retry, #word, text},
#include "base/errors.def"
#undef ERROR
};

const struct err_row *err_row(enum err_code code)
{
    return (unsigned)code < ERR_COUNT ? &rows[code] : &rows[ERR_TRY_LATER];
}

static enum err_code code_of(int os)
{
    switch (os) {
    case ENOSPC:
    case EDQUOT:
        return ERR_DISK_FULL;
    case EIO:
        return ERR_DISK_FAILED;
    case EROFS:
        return ERR_STORE_READ_ONLY;
    case ENOMEM:
        return ERR_NO_MEMORY;
    case ENOENT:
        return ERR_NOT_FOUND;
    case EEXIST:
        return ERR_EXISTS;
    case EACCES:
    case EPERM:
        return ERR_NOT_ALLOWED;
    default:
        return ERR_OS;
    }
}

struct err err_os(int os, struct str what)
{
    return (struct err){.code = code_of(os), .os = os, .detail = what};
}

struct err err_told(struct err e)
{
    if (e.os && err_row(e.code)->retry == NEVER)
        e.code = ERR_OS;
    return e;
}
