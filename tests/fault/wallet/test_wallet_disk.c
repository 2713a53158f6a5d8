/*
 * The journal's disk fails under a running wallet, at every call in turn: what was answered with
 * success is there, what was refused is not, money sums to zero, and the wallet says what has
 * happened to it.
 */
#include "integration/wallet/wallet_fixture.h"
#include "support/faulty_disk.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { CALLS = 6 };

static void restart(struct wallet_fixture *f)
{
    disk_fault_set((struct disk_fault){0});
    wallet_fixture_stop(f);
    if (wallet_fixture_start(f)) fail_msg("no start: %s", f->detail.text);
}

static void assert_total(struct wallet_fixture *f, uint64_t user, unsigned total)
{
    char text[32];
    (void)snprintf(text, sizeof text, "%u.00000000", total);
    fixture_assert_balance(f, user, "USDT", text, text, "0.00000000");
}

/* Told "full", nothing has happened, and the same request succeeds when there is room again. */
static void a_full_disk_refuses_and_nothing_is_changed(void **state)
{
    struct wallet_fixture *f = *state;
    assert_ok(fixture_credit(f, "start", 1, "USDT", "1"));
    for (unsigned n = 1; n <= CALLS; n++) {
        char id[16];
        (void)snprintf(id, sizeof id, "c%u", n);
        disk_fault_set(
            (struct disk_fault){.calls = DISK_WRITE, .nth = 1, .number = ENOSPC, .torn = n % 2});
        enum err e = fixture_credit(f, id, 1, "USDT", "1"); /* the client tries again by itself */
        disk_fault_set((struct disk_fault){0});
        if (e) assert_err(e, ERR_EXHAUSTED);
        assert_total(f, 1, n + (e == OK));
        assert_ok(fixture_credit(f, id, 1, "USDT", "1"));
        assert_total(f, 1, n + 1);
        fixture_assert_balanced(f);
    }
    restart(f);
    assert_total(f, 1, CALLS + 1);
}

/* After a failed sync only a new start knows; until then everything is refused, and it is not
 * ready. */
static void a_failed_sync_stops_the_ledger_until_a_restart(void **state)
{
    struct wallet_fixture *f = *state;
    assert_ok(fixture_credit(f, "start", 1, "USDT", "1"));
    disk_fault_set((struct disk_fault){.calls = DISK_SYNC, .nth = 1, .number = EIO});
    assert_err(fixture_credit(f, "lost", 1, "USDT", "1"), ERR_UNAVAILABLE);
    disk_fault_set((struct disk_fault){0});
    assert_err(fixture_credit(f, "later", 1, "USDT", "1"), ERR_UNAVAILABLE);
    struct err_detail detail;
    assert_err(wallet_part.ready(f->wallet, &detail), ERR_IO);
    assert_total(f, 1, 1); /* what is durable can still be read */
    restart(f);
    assert_ok(wallet_part.ready(f->wallet, &detail));
    assert_ok(
        fixture_credit(f, "lost", 1, "USDT", "1")); /* done once, whether it was there or not */
    assert_total(f, 1, 2);
    fixture_assert_balanced(f);
}

static void a_snapshot_that_cannot_be_written_costs_nothing(void **state)
{
    struct wallet_fixture *f = *state;
    assert_ok(fixture_credit(f, "a", 1, "USDT", "1"));
    for (unsigned n = 1; n <= CALLS; n++) {
        char id[16];
        (void)snprintf(id, sizeof id, "c%u", n);
        assert_ok(fixture_credit(f, id, 1, "USDT", "1"));
        /* The stop makes a snapshot: each of its calls fails in turn. */
        disk_fault_set((struct disk_fault){
            .calls = DISK_OPEN | DISK_WRITE | DISK_SYNC | DISK_RENAME, .nth = n, .number = EIO});
        wallet_fixture_stop(f);
        disk_fault_set((struct disk_fault){0});
        if (wallet_fixture_start(f)) fail_msg("no start: %s", f->detail.text);
        assert_total(f, 1, n + 1);
        fixture_assert_balanced(f);
    }
    char *history = fixture_history(f, 1);
    size_t lines = 0;
    for (const char *at = history; (at = strchr(at, '\n')); at++)
        lines++;
    assert_int_equal(lines, CALLS + 1);
    free(history);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        wallet_test(a_full_disk_refuses_and_nothing_is_changed),
        wallet_test(a_failed_sync_stops_the_ledger_until_a_restart),
        wallet_test(a_snapshot_that_cannot_be_written_costs_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
