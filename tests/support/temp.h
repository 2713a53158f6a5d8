/* A directory of a test's own, made below TMPDIR and removed with all that is in it. */
#ifndef TESTS_TEMP_H
#define TESTS_TEMP_H

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/unit.h"

#define TEMP_PATH_SIZE 256

static inline void temp_make(char ret[static TEMP_PATH_SIZE])
{
    const char *root = getenv("TMPDIR");
    int size = snprintf(ret, TEMP_PATH_SIZE, "%s/tradepost-test-XXXXXX", root ? root : "/tmp");
    assert_true(size < TEMP_PATH_SIZE);
    assert_non_null(mkdtemp(ret));
}

static inline int temp_remove_entry(const char *path, const struct stat *status, int kind,
                                    struct FTW *at)
{
    (void)status;
    (void)kind;
    (void)at;
    return remove(path);
}

static inline void temp_remove(const char *path)
{
    (void)nftw(path, temp_remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

#endif
