/*
 * A disk that fails when it is told to, in the place of base/journal/disk.c: add faulty_disk.c to
 * the sources of a test. Without a fault it is the real disk. Not thread-safe to configure while it
 * is used.
 */
#ifndef TESTS_FAULTY_DISK_H
#define TESTS_FAULTY_DISK_H

#include <stdbool.h>
#include <stdint.h>

enum disk_call {
    DISK_OPEN = 1,
    DISK_WRITE = 2,
    DISK_SYNC = 4, /* of data, of files, of directories */
    DISK_TRUNCATE = 8,
    DISK_RENAME = 16,
    DISK_UNLINK = 32,
    DISK_ALL = 63,
};

struct disk_fault {
    unsigned calls; /* of enum disk_call: which are counted */
    unsigned nth;   /* this one of them fails, counted from 1; 0: none */
    int number;     /* with this errno */
    bool torn;      /* a write that fails has written its first half */
    bool lies;      /* a write that fails says that it has not: its last byte is another */
    bool dead;      /* everything fails from then on: the process is as good as dead */
};

void disk_fault_set(struct disk_fault fault); /* starts counting anew */
unsigned disk_fault_count(void);              /* calls counted since */

/*
 * A power failure: what was not synced is there or not, each sector by chance; so are renames whose
 * directory was not synced. Between start and cut everything is remembered, so keep it short. All
 * files must be closed when the power is cut.
 */
void disk_power_start(void);
void disk_power_cut(uint64_t seed);

#endif
