/* Whatever decodes encodes to the same bytes, and applied to a ledger leaves it balanced. */
#include "support/fuzz.h"

#include "accounts.h"
#include "ledger.h"

#include <stdlib.h>
#include <string.h>

static struct ledger *fresh(struct ledger_output *out)
{
    struct ledger *l = ledger_new(&(struct ledger_options){.seed = 1, .accounts_max = 64});
    struct ledger_command c = {.kind = COMMAND_ASSET, .asset = {.name = "USDT", .scale = 8}};
    (void)ledger_apply(l, 1, &c, out);
    c = (struct ledger_command){
        .kind = COMMAND_TRANSFER,
        .transfer = {.leg_count = 1,
                     .legs = {{.from = LEDGER_ISSUED, .to = {1, 1}, .amount = 100}}}};
    (void)ledger_apply(l, 2, &c, out);
    return l;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ledger_command c;
    if (command_decode(data, size, &c)) return 0;
    AUTO_BUF struct buf again = {0};
    buf_init(&again, COMMAND_SIZE_MAX);
    command_encode(&c, &again);
    CHECK(!again.error && again.size == size && memcmp(again.data, data, size) == 0);

    AUTO_FREE struct ledger_output *out = calloc(1, sizeof *out);
    struct ledger *l = fresh(out);
    (void)ledger_apply(l, 3, &c, out);
    (void)ledger_apply(l, 4, &c, out);
    struct ledger_audit audit[LEDGER_ASSETS_MAX];
    CHECK(ledger_audit(l, audit));
    ledger_free(l);
    return 0;
}
