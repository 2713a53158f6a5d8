/* The contract on SQLite, and what only a file can suffer. */
#include "contract.h"
#include "server.h"

#include <stdio.h>
#include <unistd.h>

static char directory[] = "/tmp/tradepost-store-XXXXXX";

static void fresh_url(char ret[static URL_MAX])
{
    static unsigned count;
    (void)snprintf(ret, URL_MAX, "sqlite:%s/%u.db", directory, count++);
}

int main(void)
{
    if (!mkdtemp(directory)) return 1;
    contract_fresh_url = fresh_url;
    int failed = contract_run_writes();
    failed += contract_run_reads();
    failed += contract_run_races();
    failed += contract_run_open();
    directory_remove(directory);
    return failed;
}
