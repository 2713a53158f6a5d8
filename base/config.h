/*
 * Configuration: a schema in code, then YAML, then the environment, then flags; the later wins.
 *
 * Every key is declared once in a schema table with its type, default, range and a sentence; an
 * unknown key, a wrong type and an out-of-range value are refused with file and line (or the
 * variable, or the flag). In YAML nested maps are dotted keys: `wallet: {queue_max: 9}` is
 * wallet.queue_max.
 *
 * Environment: TRADEPOST_ and the key in upper case with "_" for "."
 * (TRADEPOST_WALLET_QUEUE_MAX=9); any string also as ..._FILE, whose content is the value without
 * its last newline. Every variable that begins with TRADEPOST_ must be one of these. (Kubernetes
 * makes such variables by itself for services named tradepost-..., unless the pod says
 * `enableServiceLinks: false`.)
 *
 * Lists of maps ("assets[].name") come from YAML only. A list that is given replaces the default
 * whole. A loaded config is immutable: reading it is thread-safe and never blocks.
 */
#ifndef BASE_CONFIG_H
#define BASE_CONFIG_H

#include "base/buf.h"
#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

enum config_type { CONFIG_STRING, CONFIG_INT, CONFIG_BOOL, CONFIG_LIST };

struct config_key {
    /* "wallet.queue_max", "assets[]" (a list), "assets[].scale" (in its elements) */
    const char *key;
    enum config_type type;
    /* The default as text; of a list as YAML ("[{name: EUR}]"; NULL: empty). Of a key inside of a
     * list NULL says that it must be given. */
    const char *fallback;
    int64_t min, max; /* of an int (min < max); of a string's length in bytes (max 0: 4096); of a
                         list's elements (max 0: CONFIG_LIST_MAX) */
    const char *help; /* one sentence, with the unit */
    unsigned flags;   /* CONFIG_SECRET, CONFIG_RELOAD */
};

enum {
    CONFIG_SECRET = 1, /* shown as "***" by config_dump, and in no message */
    CONFIG_RELOAD = 2, /* may change while the platform runs (SIGHUP) */
};

#define CONFIG_FILE_SIZE_MAX ((size_t)1024 * 1024)
#define CONFIG_LIST_MAX      4096 /* elements of a list */
#define CONFIG_KEYS_MAX      512

struct config;

struct config_sources {
    const char *file;             /* NULL: no file, defaults only */
    char *const *environment;     /* environ, or NULL */
    const char *const *overrides; /* "wallet.queue_max=9" from --set, NULL-terminated, or NULL */
};

/*
 * schema ends with a NULL key and must outlive the config; a schema that contradicts itself is a
 * bug (CHECK). detail says what is wrong, where, and what would be right. Reads files. ERR_INVALID:
 * not YAML, an unknown key, a wrong type, given twice; ERR_RANGE: too small, large, short, long,
 * many; ERR_NOT_FOUND, ERR_IO, ERR_EXHAUSTED (above CONFIG_FILE_SIZE_MAX): a file cannot be read;
 * ERR_NO_MEMORY.
 */
MUST_CHECK enum err config_load(const struct config_key *schema, const struct config_sources *from,
                                struct config **ret, struct err_detail *detail);
void config_free(struct config *c);

/* The key must be in the schema with that type, anything else is a bug (CHECK). Strings are
 * borrowed, never NULL. */
const char *config_string(const struct config *c, const char *key);
int64_t config_int(const struct config *c, const char *key);
bool config_bool(const struct config *c, const char *key);

/* Lists: config_count(c, "assets[]"), then config_item_string(c, "assets[].name", 0). An index that
 * is not below the count is a bug (CHECK). */
size_t config_count(const struct config *c, const char *list);
const char *config_item_string(const struct config *c, const char *key, size_t index);
int64_t config_item_int(const struct config *c, const char *key, size_t index);
bool config_item_bool(const struct config *c, const char *key, size_t index);

/*
 * What differs between two configurations of the same schema: the first key behind `after` (NULL:
 * the first of all) whose value is another, a list counting as one; NULL: there is no further one.
 */
const struct config_key *config_changed(const struct config *a, const struct config *b,
                                        const struct config_key *after);

/* The effective configuration as YAML, secrets hidden; every key with its help as a comment. But
 * for the secrets, config_load reads it back as the same. ERR_EXHAUSTED, ERR_NO_MEMORY: out's
 * error. */
MUST_CHECK enum err config_dump(const struct config *c, struct buf *out);

#endif
