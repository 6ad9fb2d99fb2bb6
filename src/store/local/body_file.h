/*
 * Body files: bodies above ENGINE_BODY_INLINE_MAX, each in a file of its own (doc/format.md). Here
 * are their names, writing one and removing one. Pure I/O: nothing here knows the engine; what
 * waits for the disk is called on a lane by upload.c, one call at a time for one writer.
 *
 * A writer holds at most BODY_BUFFER octets of the body and 4 octets for each 16 KB written.
 */
#ifndef STORE_LOCAL_BODY_FILE_H
#define STORE_LOCAL_BODY_FILE_H

#include "store/local/format.h"
#include "sys/world.h"

enum {
    BODY_BUFFER = 256 * 1024, /* octets collected before they are written */
    BODY_NAME_MAX = 32,       /* "bodies/" or "uploads/" and 16 digits */
};

#define BODY_WRITER_MAGIC MAGIC('B', 'W', 'R', 'T')

struct body_writer {
    uint32_t magic;
    struct world *world;
    int folder; /* the store's; not owned */
    int file;   /* uploads/BLOB; -1: none now */
    blob_id blob;
    uint64_t written; /* octets on their way to the file */
    uint64_t body;    /* octets taken in all */
    struct buf buffer;
    struct buf sums; /* finished chunks' */
    bool finished;   /* it is bodies/BLOB now, and durable */
};

/* Makes uploads/BLOB (and the two folders where they are missing). Waits for the disk. After an
 * error there is nothing to close. */
struct err body_open(struct body_writer *writer, struct world *world, int store_folder,
                     blob_id blob);
/* Appends; octets are copied into the buffer, and written when it is full: may wait for the disk.
 * After an error only body_close is allowed. */
struct err body_write(struct body_writer *writer, struct str octets);
/* True if body_write of n octets would only copy: then no lane is needed. */
bool body_has_room(const struct body_writer *writer, size_t n);
/* Writes the rest, sums and foot, syncs the file, renames it to bodies/BLOB, syncs that folder.
 * Waits for the disk. */
struct err body_finish(struct body_writer *writer);
/* Closes and frees; removes the file unless `keep` (a durable record names it now). Never waits for
 * a sync. */
void body_close(struct body_writer *writer, bool keep);

/* bodies/BLOB; ERR_NOT_FOUND is no error: it is gone. */
struct err body_remove(struct world *world, int store_folder, blob_id blob);
/* Opens bodies/BLOB for reading and checks size and foot against `body`. ERR_NOT_FOUND,
 * ERR_STORE_DAMAGED. The caller closes *file_r. Reading the body and its sums is read.c's. */
struct err body_file_open(struct world *world, int store_folder, blob_id blob, uint64_t body,
                          int *file_r);
/* Removes what lies in uploads/: for opening the store. */
struct err body_uploads_clear(struct world *world, int store_folder);
/* Calls each for every file in bodies/; a file with another name than a blob's has blob 0. */
struct err body_list(struct world *world, int store_folder,
                     void (*each)(void *arg, blob_id blob, struct str name, uint64_t size),
                     void *arg);

/* "bodies/00000000000000ff" and "uploads/...". */
struct str body_name(blob_id blob, char to[BODY_NAME_MAX]);
struct str body_upload_name(blob_id blob, char to[BODY_NAME_MAX]);

#endif
