/* Reload: all parts change or none does, whoever refuses. */
#include "support/unit.h"

#include "services/reload.h"

#include <string.h>

static const struct config_key schema[] = {
    {"log.level", CONFIG_STRING, "info", 4, 5, "least level", CONFIG_RELOAD},
    {"one.limit", CONFIG_INT, "1", 0, 100, "a limit", CONFIG_RELOAD},
    {"two.limit", CONFIG_INT, "1", 0, 100, "a limit", CONFIG_RELOAD},
    {"two.port", CONFIG_INT, "1", 0, 65535, "a port", 0},
    {.key = NULL},
};

/* A part with a limit: it refuses the number 13. */
struct toy {
    const char *key;
    int64_t limit;
    int64_t prepared; /* changes that are made and not finished */
    unsigned asked;
};

static enum err prepare(void *part, const struct config *next, void **ret,
                        struct err_detail *detail)
{
    struct toy *toy = part;
    toy->asked++;
    int64_t limit = config_int(next, toy->key);
    if (limit == 13) return err_set(detail, ERR_INVALID, "%s: must not be 13", toy->key);
    int64_t *change = malloc(sizeof *change);
    assert_non_null(change);
    *change = limit;
    *ret = change;
    toy->prepared++;
    return OK;
}

static void finish(void *part, void *change, bool accept)
{
    struct toy *toy = part;
    if (accept) toy->limit = *(int64_t *)change;
    toy->prepared--;
    free(change);
}

static const struct part_ops part_with = {
    .name = "toy", .reload_prepare = prepare, .reload_finish = finish};
static const struct part_ops part_without = {.name = "rock"};

static struct config *configured(const char *const *overrides)
{
    struct config *c = NULL;
    struct err_detail detail = {""};
    enum err e = config_load(schema, &(struct config_sources){.overrides = overrides}, &c, &detail);
    if (e) fail_msg("%s", detail.text);
    return c;
}

static void all_parts_change_or_none_does(void **state)
{
    (void)state;
    static const struct {
        const char *changes[4];
        enum err e;
        const char *says; /* what changed, or why not */
        int64_t one, two;
        bool warns; /* afterwards log.level is warn */
    } cases[] = {
        {{NULL}, OK, "", 1, 1, false},
        {{"one.limit=5"}, OK, "one.limit", 5, 1, false},
        {{"one.limit=5", "two.limit=7", "log.level=warn"},
         OK,
         "log.level,one.limit,two.limit",
         5,
         7,
         true},
        {{"one.limit=13", "log.level=warn"}, ERR_INVALID, "one.limit: must not be 13", 1, 1, false},
        {{"one.limit=5", "two.limit=13"}, ERR_INVALID, "two.limit: must not be 13", 1, 1, false},
        {{"one.limit=5", "two.port=2"}, ERR_PRECONDITION, "two.port: cannot change", 1, 1, false},
        {{"one.limit=5", "log.level=loud"}, ERR_INVALID, "log.level: must be debug", 1, 1, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct toy one = {"one.limit", 1, 0, 0}, two = {"two.limit", 1, 0, 0};
        const struct running r = {{&part_with, &part_without, &part_with}, {&one, NULL, &two}, 3};
        struct config *current = configured((const char *const[]){NULL});
        struct config *next = configured(cases[i].changes);
        struct err_detail detail = {""};
        AUTO_BUF struct buf changed;
        buf_init(&changed, 1024);
        log_set_level(LOG_INFO);

        assert_err(reload(&r, current, next, &changed, &detail), cases[i].e);
        const char *said = cases[i].e ? detail.text : changed.data;
        if (!strstr(said, cases[i].says)) fail_msg("case %zu: %s", i, said);
        assert_int_equal(one.limit, cases[i].one);
        assert_int_equal(two.limit, cases[i].two);
        assert_int_equal(one.prepared + two.prepared, 0);
        assert_int_equal(log_enabled(LOG_INFO), !cases[i].warns);
        config_free(current);
        config_free(next);
    }
}

static void parts_are_not_asked_about_a_key_that_cannot_change(void **state)
{
    (void)state;
    struct toy one = {"one.limit", 1, 0, 0};
    const struct running r = {{&part_with}, {&one}, 1};
    struct config *current = configured((const char *const[]){NULL});
    struct config *next = configured((const char *const[]){"two.port=2", NULL});
    AUTO_BUF struct buf changed;
    buf_init(&changed, 1024);
    assert_err(reload(&r, current, next, &changed, NULL), ERR_PRECONDITION);
    assert_int_equal(one.asked, 0);
    config_free(current);
    config_free(next);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_parts_change_or_none_does),
        cmocka_unit_test(parts_are_not_asked_about_a_key_that_cannot_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
