/* The first answer of a key: who gets it, what is kept, how large it may be, and what is lost. */
#include "support/unit.h"

#include "idempotency.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_SIZE ((size_t)CACHE_VALUE_MAX - SHA256_SIZE - 3 - 8) /* beside the head */

static const uint8_t one[SHA256_SIZE] = {1}, two[SHA256_SIZE] = {2};

static int start(void **state)
{
    static unsigned number;
    char url[32];
    struct cache *cache = NULL;
    (void)snprintf(url, sizeof url, "memory:idempotency-%u", number++);
    assert_ok(cache_open(&(struct cache_options){.url = url}, &cache, NULL));
    *state = cache;
    return 0;
}

static int stop(void **state)
{
    cache_close(*state);
    return 0;
}

static enum err begin(struct cache *c, const char *user, const char *key, const uint8_t *print,
                      struct idempotency *ret)
{
    int status;
    AUTO_BUF struct buf body;
    buf_init(&body, IDEMPOTENCY_ANSWER_MAX);
    return idempotency_begin(c, user, key, print, ret, &status, &body);
}

static void assert_replayed(struct cache *c, const char *key, int status, const char *text,
                            size_t size)
{
    struct idempotency i = {0};
    AUTO_BUF struct buf body;
    buf_init(&body, IDEMPOTENCY_ANSWER_MAX);
    int got = 0;
    assert_err(idempotency_begin(c, "ann", key, one, &i, &got, &body), ERR_EXISTS);
    assert_int_equal(got, status);
    assert_int_equal(body.size, size);
    assert_memory_equal(body.data, text, size);
    idempotency_end(c, &i, OK, 500, "x", 1); /* nothing was claimed: nothing changes */
}

static void a_repeat_gets_the_first_answer(void **state)
{
    struct cache *c = *state;
    struct idempotency i = {0};
    assert_ok(begin(c, "ann", "k", one, &i));
    idempotency_end(c, &i, OK, 201, "{\"a\":1}", 7);
    assert_replayed(c, "k", 201, "{\"a\":1}", 7);
    assert_replayed(c, "k", 201, "{\"a\":1}", 7);
}

static void a_key_that_still_runs_is_in_use(void **state)
{
    struct cache *c = *state;
    struct idempotency i = {0}, again = {0};
    assert_ok(begin(c, "ann", "k", one, &i));
    assert_err(begin(c, "ann", "k", one, &again), ERR_CONFLICT);
    assert_err(begin(c, "ann", "k", two, &again), ERR_PRECONDITION);
    assert_false(again.claimed);
}

static void another_request_may_not_use_the_key(void **state)
{
    struct cache *c = *state;
    struct idempotency i = {0};
    assert_ok(begin(c, "ann", "k", one, &i));
    idempotency_end(c, &i, OK, 200, "", 0);
    assert_err(begin(c, "ann", "k", two, &i), ERR_PRECONDITION);
    assert_replayed(c, "k", 200, "", 0);
}

static void a_key_is_its_callers_alone(void **state)
{
    struct cache *c = *state;
    struct idempotency i = {0};
    assert_ok(begin(c, "ann", "k", one, &i));
    assert_ok(begin(c, "bob", "k", one, &i));
    assert_ok(begin(c, "ann", "kk", one, &i));
    char longest[IDEMPOTENCY_KEY_MAX + 1];
    memset(longest, 'k', sizeof longest - 1);
    longest[sizeof longest - 1] = 0;
    assert_ok(begin(c, "0123456789abcdef0123456789abcdef", longest, one, &i));
    longest[sizeof longest - 2] = 0;
    assert_ok(begin(c, "0123456789abcdef0123456789abcdef", longest, one, &i));
}

static void what_was_decided_is_kept_and_the_rest_may_be_tried_again(void **state)
{
    struct cache *c = *state;
    for (enum err e = OK; e < ERR_COUNT; e++) {
        bool kept = e == OK || e == ERR_NOT_FOUND || e == ERR_EXISTS || e == ERR_PRECONDITION;
        struct idempotency i = {0};
        char key[16];
        (void)snprintf(key, sizeof key, "k-%d", e);
        assert_ok(begin(c, "ann", key, one, &i));
        idempotency_end(c, &i, e, err_http(e), "answer", 6);
        if (kept)
            assert_replayed(c, key, err_http(e), "answer", 6);
        else
            assert_ok(begin(c, "ann", key, one, &i));
    }
}

static void long_answers_are_kept_in_pieces(void **state)
{
    struct cache *c = *state;
    static const size_t sizes[] = {
        FIRST_SIZE,
        FIRST_SIZE + 1,
        FIRST_SIZE + CACHE_VALUE_MAX,
        FIRST_SIZE + CACHE_VALUE_MAX + 1,
        IDEMPOTENCY_ANSWER_MAX,
    };
    char *body = malloc(IDEMPOTENCY_ANSWER_MAX);
    for (size_t i = 0; i < IDEMPOTENCY_ANSWER_MAX; i++)
        body[i] = (char)('a' + i * 7 % 26);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct idempotency claim = {0};
        char key[16];
        (void)snprintf(key, sizeof key, "k-%zu", i);
        assert_ok(begin(c, "ann", key, one, &claim));
        idempotency_end(c, &claim, OK, 200, body, sizes[i]);
        assert_replayed(c, key, 200, body, sizes[i]);
    }
    free(body);
}

static void an_answer_that_is_too_long_is_never_made_again(void **state)
{
    struct cache *c = *state;
    struct idempotency i = {0};
    char *body = calloc(1, IDEMPOTENCY_ANSWER_MAX + 1);
    assert_ok(begin(c, "ann", "k", one, &i));
    idempotency_end(c, &i, OK, 200, body, IDEMPOTENCY_ANSWER_MAX + 1);
    assert_err(begin(c, "ann", "k", one, &i), ERR_CONFLICT);
    free(body);
}

static void half_an_answer_is_no_answer(void **state)
{
    struct cache *c = *state;
    struct idempotency i = {0};
    char piece[128];
    char *body = calloc(1, 3 * CACHE_VALUE_MAX);
    assert_ok(begin(c, "ann", "k", one, &i));
    idempotency_end(c, &i, OK, 200, body, 3 * CACHE_VALUE_MAX - 100);
    (void)snprintf(piece, sizeof piece, "%s:2", i.key);
    assert_ok(cache_delete(c, piece));
    assert_err(begin(c, "ann", "k", one, &i), ERR_UNAVAILABLE);
    free(body);
}

static void without_a_cache_nothing_is_promised(void **state)
{
    (void)state;
    struct cache *away = NULL;
    struct idempotency i = {0};
    const struct cache_options options = {.url = "redis://127.0.0.1:1", .timeout_ms = 200};
    assert_ok(cache_open(&options, &away, NULL));
    assert_err(begin(away, "ann", "k", one, &i), ERR_UNAVAILABLE);
    idempotency_end(away, &i, OK, 200, "", 0);
    cache_close(away);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_repeat_gets_the_first_answer, start, stop),
        cmocka_unit_test_setup_teardown(a_key_that_still_runs_is_in_use, start, stop),
        cmocka_unit_test_setup_teardown(another_request_may_not_use_the_key, start, stop),
        cmocka_unit_test_setup_teardown(a_key_is_its_callers_alone, start, stop),
        cmocka_unit_test_setup_teardown(what_was_decided_is_kept_and_the_rest_may_be_tried_again,
                                        start, stop),
        cmocka_unit_test_setup_teardown(long_answers_are_kept_in_pieces, start, stop),
        cmocka_unit_test_setup_teardown(an_answer_that_is_too_long_is_never_made_again, start,
                                        stop),
        cmocka_unit_test_setup_teardown(half_an_answer_is_no_answer, start, stop),
        cmocka_unit_test(without_a_cache_nothing_is_promised),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
