/*
 * Inside of config: the schema's keys with their values, shared by the sources that fill it (YAML,
 * environment, flags) and the dump. Only base/config*.c include it.
 */
#ifndef BASE_CONFIG_MODEL_H
#define BASE_CONFIG_MODEL_H

#include "base/config.h"

#define CONFIG_STRING_MAX 4096 /* of a string whose key names no maximum */
#define CONFIG_NAME_MAX   128  /* of a key, with its NUL */

struct config_value {
    char *text;     /* owned; strings only */
    int64_t number; /* ints, and bools as 0 or 1 */
};

struct setting {
    const struct config_key *key;
    struct setting *list;       /* in whose elements it is; NULL: in none */
    struct config_value value;  /* of a key outside of lists */
    struct config_value *items; /* of a key inside of a list: one for each element */
    size_t count;               /* of a list: its elements */
};

struct config {
    size_t settings_count;
    struct setting **by_name;  /* sorted by key */
    struct setting settings[]; /* as in the schema */
};

/* Where a value comes from, for messages: a file and its line, or a variable or flag and line 0. */
struct config_place {
    const char *name;
    size_t line;
};

/* The setting of that key, of any type, inside of lists too; NULL: none. */
struct setting *config_find(const struct config *c, const char *key);

/* Checks text against the key and replaces what value holds. ERR_INVALID, ERR_RANGE, ERR_NO_MEMORY.
 */
MUST_CHECK enum err config_set(const struct config_key *key, const char *text,
                               const struct config_place *place, struct config_value *value,
                               struct err_detail *detail);

/* "file:line: key: ..." into detail; returns e. */
enum err config_refuse(struct err_detail *detail, enum err e, const struct config_place *place,
                       const char *key, const char *format, ...) PRINTF_LIKE(5, 6);

/* ERR_INVALID, with the key that was probably meant. name is as written, a key or a variable's
 * rest. */
enum err config_refuse_unknown(const struct config *c, const struct config_place *place,
                               const char *name, struct err_detail *detail);

/* Empties a list, and one more element of unset values. */
void config_list_clear(struct config *c, struct setting *list);
MUST_CHECK enum err config_list_grow(struct config *c, struct setting *list);

/*
 * The whole file. ERR_NOT_FOUND; what err_from_errno says; ERR_INVALID: contains NUL;
 * ERR_EXHAUSTED: does not fit into out.
 */
MUST_CHECK enum err config_read_file(const char *path, struct buf *out, struct err_detail *detail);

/* The sources. Each sets what it names and leaves the rest. */
MUST_CHECK enum err config_yaml_file(struct config *c, const char *path, struct err_detail *detail);
MUST_CHECK enum err config_yaml_list(struct config *c, struct setting *list, const char *text,
                                     struct err_detail *detail);
MUST_CHECK enum err config_environment(struct config *c, char *const *environment,
                                       struct err_detail *detail);
MUST_CHECK enum err config_overrides(struct config *c, const char *const *overrides,
                                     struct err_detail *detail);

#endif
