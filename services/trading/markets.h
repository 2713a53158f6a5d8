/*
 * At the start, in the background: reconciles the holds with the wallet, then defines the
 * configured markets as logged commands, their assets' scales learned from the wallet. After that a
 * replay needs neither. Until it is done the shard is not ready; it tries for ever and says what is
 * missing.
 */
#ifndef TRADING_MARKETS_H
#define TRADING_MARKETS_H

#include "base/config.h"
#include "base/journal/replica.h"
#include "machine.h"

#define MARKETS_RETRY_MS     50 /* after a failure; doubles */
#define MARKETS_RETRY_MAX_MS 2000

struct markets;

struct markets_options {
    const struct config *config; /* all borrowed */
    struct machine *machine;
    struct replica *replica;
    struct rpc_client *wallet;
    struct funds_position journal; /* as recovered */
};

/* Also starts the settlement, as soon as the wallet says what it has. */
MUST_CHECK enum err markets_start(const struct markets_options *options, struct markets **ret);
/* Accepts NULL. Blocks at most as long as a call to the wallet. */
void markets_stop(struct markets *m);

/* OK when everything is defined. ERR_UNAVAILABLE: not yet, detail says what is missing. */
MUST_CHECK enum err markets_ready(struct markets *m, struct err_detail *detail);

#endif
