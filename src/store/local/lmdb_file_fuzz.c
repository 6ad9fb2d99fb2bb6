/* A file that claims to be LMDB's: read to its end or refused, never followed out of it. */
#include <stdio.h>

#include "base/must.h"
#include "store/local/lmdb_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    FILE *file = tmpfile();
    if (!file)
        return 0;
    must(fwrite(data, 1, size, file) == size && fflush(file) == 0);
    struct err roots = lmdb_file_check(fileno(file), LMDB_FILE_ROOTS);
    struct err all = lmdb_file_check(fileno(file), LMDB_FILE_ALL);
    /* What is wrong with the roots is wrong with the whole. */
    must(!err_is(roots) || err_is(all));
    fclose(file);
    return 0;
}
