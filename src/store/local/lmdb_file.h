/*
 * The pages of an LMDB file (0.9.x, 64 bit, as lmdb.h's library writes them), read without LMDB: it
 * trusts what it maps, and a flipped bit in a page may lead it out of the file. Here nothing is
 * trusted: page numbers, types, bounds, order of keys, depth and counts, free pages against used
 * ones, and the checksum behind each value of ours.
 *
 * Nobody may write to the file meanwhile. Memory: a page for each level, a bit for each page.
 */
#ifndef STORE_LOCAL_LMDB_FILE_H
#define STORE_LOCAL_LMDB_FILE_H

#include "base/err.h"

enum lmdb_file_part {
    LMDB_FILE_ROOTS, /* the tree of databases and the free pages: quick, before LMDB may open it */
    LMDB_FILE_ALL,
};

/* ERR_STORE_DAMAGED, with what is wrong as detail (a literal). `file` is a descriptor: LMDB's.
 * Waits for the disk. */
struct err lmdb_file_check(int file, enum lmdb_file_part part);

/* The checksum that follows each value: CRC32C over key and value, little endian. */
enum {
    LMDB_VALUE_CRC_SIZE = 4
};
void lmdb_value_crc(char to[LMDB_VALUE_CRC_SIZE], struct str key, struct str value);
/* The value without its checksum; false: it does not match. */
bool lmdb_value_open(struct str key, struct str stored, struct str *value_r);

#endif
