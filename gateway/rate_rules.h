/*
 * Which limit counts a call, and for whom: configuration to rules; a caller and a class to a key
 * and a limit. Counts nothing itself. Pure; thread-safe; nothing blocks.
 *
 * Classes are the contract's rates, and new Idempotency-Keys. Guests are counted by their address
 * (IPv6: by its /64, which is what one household gets), everybody else by user; logging in and
 * registering always by address. An API key with a tier that raises a class is counted apart from
 * its user's sessions: a busy bot does not lock its owner out.
 */
#ifndef GATEWAY_RATE_RULES_H
#define GATEWAY_RATE_RULES_H

#include "base/cache/cache.h"
#include "base/config.h"
#include "base/network.h"
#include "proto/contract.h"

#define LIMITS_TIERS_MAX 32
#define LIMITS_TIER_MAX  15 /* bytes of its name */
#define LIMITS_KEY_SIZE  128

enum limits_class { LIMITS_IDEMPOTENCY_KEYS = RATE_UNLIMITED, LIMITS_CLASSES };

struct limits_tier {
    char name[LIMITS_TIER_MAX + 1];
    int64_t orders, calls; /* in the windows of orders and of everything else; 0: not raised */
};

struct limits_rules {
    struct cache_rule of[LIMITS_CLASSES]; /* by enum rate */
    struct networks exempt;
    size_t tier_count;
    struct limits_tier tiers[LIMITS_TIERS_MAX];
};

struct limits_caller {
    const char *peer;    /* the client's address */
    const char *user_id; /* "" for a guest */
    const char *tier;    /* of its API key; "": none */
};

/* "20/1m": 1 to CACHE_LIMIT_MAX in 1 s to 24 h. ERR_INVALID: detail says what would be right. */
MUST_CHECK enum err limits_rule_parse(const char *text, struct cache_rule *ret,
                                      struct err_detail *detail);

/* Of gateway.rate_..., gateway.rate_exempt and gateway.tiers. ERR_INVALID, ERR_RANGE: detail names
 * the key and says what would be right. */
MUST_CHECK enum err limits_rules_read(const struct config *config, struct limits_rules *ret,
                                      struct err_detail *detail);

/* The rule of a class with that tier ("" or an unknown one: none). */
struct cache_rule limits_for(const struct limits_rules *rules, const char *tier, unsigned class);

/* The key and the rule that count this caller. false: it is not limited. */
bool limits_choose(const struct limits_rules *rules, const struct limits_caller *caller,
                   unsigned class, char ret_key[static LIMITS_KEY_SIZE], struct cache_rule *ret);

/* How many orders a request of this method's is: those of a batch, else 1. */
int64_t limits_cost(const struct contract_method *method, const ProtobufCMessage *request);
/* Only the request tells the cost. */
bool limits_by_items(const struct contract_method *method);

#endif
