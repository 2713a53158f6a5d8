/* The sorted set against a plain list that does the same slowly. */
#include "support/unit.h"

#include "base/cache/cache_sorted.h"

#include <stdio.h>
#include <string.h>

#define NAMES 40

static struct cache_bytes text(const char *t)
{
    return (struct cache_bytes){t, strlen(t)};
}

static void check_against(const struct sorted *s, const int64_t scores[NAMES], const bool in[NAMES])
{
    size_t count = 0;
    for (int i = 0; i < NAMES; i++)
        count += in[i];
    assert_int_equal(s->count, count);
    for (size_t i = 0; i < s->count; i++) {
        int name;
        assert_int_equal(sscanf(s->by_score[i]->text, "member-%d", &name), 1);
        assert_true(in[name]);
        assert_int_equal(s->by_score[i]->score, scores[name]);
        if (i == 0) continue;
        const struct sorted_member *a = s->by_score[i - 1], *b = s->by_score[i];
        assert_true(a->score < b->score || (a->score == b->score && strcmp(a->text, b->text) < 0));
        assert_true(strcmp(s->by_text[i - 1]->text, s->by_text[i]->text) < 0);
    }
}

static void any_sequence_of_changes_keeps_both_orders(void **state)
{
    (void)state;
    struct sorted s = {0};
    int64_t scores[NAMES] = {0};
    bool in[NAMES] = {false};
    uint64_t random = 42;
    for (int step = 0; step < 5000; step++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        int name = (int)(random >> 33) % NAMES;
        int64_t score = (int64_t)(random >> 40) % 11 - 5;
        char member[32];
        (void)snprintf(member, sizeof member, "member-%d", name);
        unsigned what = (unsigned)(random >> 20) % 16;
        if (what < 10) {
            assert_ok(sorted_put(&s, text(member), score));
            in[name] = true;
            scores[name] = score;
        } else if (what < 15) {
            sorted_remove(&s, text(member));
            in[name] = false;
        } else {
            sorted_trim(&s, score);
            for (int i = 0; i < NAMES; i++)
                in[i] = in[i] && scores[i] >= score;
        }
        assert_int_equal(sorted_has(&s, text(member)), in[name]);
        check_against(&s, scores, in);
    }
    sorted_trim(&s, INT64_MAX);
    assert_int_equal(s.count, 0);
    assert_int_equal(s.bytes, 0);
    sorted_release(&s);
}

static void from_finds_the_first_of_equal_scores(void **state)
{
    (void)state;
    struct sorted s = {0};
    assert_ok(sorted_put(&s, text("b"), 1));
    assert_ok(sorted_put(&s, text(""), 1));
    assert_ok(sorted_put(&s, text("a"), 3));
    assert_int_equal(sorted_from(&s, 0), 0);
    assert_int_equal(sorted_from(&s, 1), 0);
    assert_int_equal(sorted_from(&s, 2), 2);
    assert_int_equal(sorted_from(&s, 4), 3);
    sorted_release(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_sequence_of_changes_keeps_both_orders),
        cmocka_unit_test(from_finds_the_first_of_equal_scores),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
