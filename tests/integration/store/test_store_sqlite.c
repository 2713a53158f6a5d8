/* The contract on SQLite, and what only a file can suffer. */
#include "contract.h"

#include <ftw.h>
#include <stdio.h>
#include <unistd.h>

static char directory[] = "/tmp/tradepost-store-XXXXXX";

static void fresh_url(char ret[static URL_MAX])
{
    static unsigned count;
    (void)snprintf(ret, URL_MAX, "sqlite:%s/%u.db", directory, count++);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)st, (void)type, (void)where;
    return remove(path);
}

int main(void)
{
    if (!mkdtemp(directory)) return 1;
    contract_fresh_url = fresh_url;
    int failed = contract_run_writes();
    (void)nftw(directory, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    return failed;
}
