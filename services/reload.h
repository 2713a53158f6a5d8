/*
 * Reload: a running platform takes a new configuration whole, or keeps the one it has. A key that
 * is not CONFIG_RELOAD, or a part that refuses, refuses all.
 */
#ifndef SERVICES_RELOAD_H
#define SERVICES_RELOAD_H

#include "base/config.h"
#include "base/log.h"
#include "base/part.h"

/* What runs. */
struct running {
    const struct part_ops *ops[PARTS_MAX];
    void *part[PARTS_MAX];
    size_t count;
};

/*
 * From current to next, two configurations of the same schema: every part judges next, then every
 * part changes. ret_changed: the keys that did, separated by commas; worth nothing on failure.
 * ERR_FAILED_PRECONDITION: a changed key needs a restart; ERR_INVALID and what a part says: next is
 * no good; ERR_NO_MEMORY. detail says what is wrong. Then nothing has changed. next is not kept.
 * One thread calls it; does not block.
 */
MUST_CHECK enum err reload(const struct running *r, const struct config *current,
                           const struct config *next, struct buf *ret_changed,
                           struct err_detail *detail);

/* log.level of a configuration. ERR_INVALID: it is none. */
MUST_CHECK enum err reload_log_level(const struct config *c, enum log_level *ret,
                                     struct err_detail *detail);

#endif
