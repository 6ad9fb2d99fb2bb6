/*
 * Calls that have no place in this tree: unbounded copies, parsers that cannot report an error,
 * and functions with hidden shared state. Any use is a compile error under gcc (clang takes the
 * attribute on first declarations only); src/base/str.h includes this file, so every file does.
 */
#ifndef BASE_BANNED_H
#define BASE_BANNED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#if defined(__GNUC__) && !defined(__clang__)

#define BANNED(declaration, instead)                                                               \
    extern declaration __attribute__((error("banned: use " instead)))

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wredundant-decls"
BANNED(char *strcpy(char *restrict, const char *restrict), "struct str and buf_put");
BANNED(char *strcat(char *restrict, const char *restrict), "struct str and buf_put");
BANNED(char *strncpy(char *restrict, const char *restrict, size_t), "struct str and buf_put");
BANNED(char *strncat(char *restrict, const char *restrict, size_t), "struct str and buf_put");
BANNED(char *strtok(char *restrict, const char *restrict), "str_cut");
BANNED(int sprintf(char *restrict, const char *restrict, ...), "buf_printf");
BANNED(int vsprintf(char *restrict, const char *restrict, va_list), "buf_vprintf");
BANNED(int atoi(const char *), "str_to_u64");
BANNED(long atol(const char *), "str_to_u64");
BANNED(long long atoll(const char *), "str_to_u64");
BANNED(struct tm *localtime(const time_t *), "date_print");
BANNED(struct tm *gmtime(const time_t *), "date_print");
BANNED(char *ctime(const time_t *), "date_print");
BANNED(char *asctime(const struct tm *), "date_print");
BANNED(int system(const char *), "nothing: no role runs programs");
BANNED(FILE *popen(const char *, const char *), "nothing: no role runs programs");
BANNED(int rand(void), "world_random");
BANNED(long random(void), "world_random");
#pragma GCC diagnostic pop

#undef BANNED

#endif

#endif
