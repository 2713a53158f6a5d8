/* Whatever loads as a ledger is balanced, and saves to the same bytes. */
#include "support/fuzz.h"

#include "ledger.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ledger *l = ledger_new(&(struct ledger_options){.seed = 1});
    if (!ledger_load(l, data, size)) {
        struct ledger_audit audit[LEDGER_ASSETS_MAX];
        CHECK(ledger_audit(l, audit));
        AUTO_BUF struct buf again = {0};
        buf_init(&again, LEDGER_SNAPSHOT_SIZE_MAX);
        CHECK(!ledger_save(l, &again));
        CHECK(again.size == size && memcmp(again.data, data, size) == 0);
    }
    ledger_free(l);
    return 0;
}
