/* A snapshot is the ledger: loaded, it goes on the same; damaged, it is refused. */
#include "ledger_fixture.h"

static void save(struct fixture *f, struct buf *out)
{
    buf_init(out, LEDGER_SNAPSHOT_SIZE_MAX);
    assert_ok(ledger_save(f->ledger, out));
}

/* The commands numbered [from, to), always the same ones. */
static void run(struct fixture *f, uint64_t from, uint64_t to)
{
    for (uint64_t n = from; n < to; n++) {
        (void)credit(f, 1000 + n, user(n % 7 + 1), n % 2 ? BTC : USDT, 100);
        (void)transfer(f, 2000 + n, user(n % 7 + 1), user(n % 5 + 1), (int64_t)(n % 50));
        (void)hold(f, 3000 + n, user(n % 7 + 1), (int64_t)(n % 9));
        if (n % 3 == 0) (void)void_hold(f, 4000 + n, 3000 + n / 2);
        if (n % 4 == 0) (void)post(f, 5000 + n, 3000 + n / 3, user(9), 1);
        (void)order_hold(f, n + 1, user(n % 7 + 1), USDT, (int64_t)(n % 11));
    }
}

static void equal_commands_make_equal_bytes_whatever_the_seed(void **state)
{
    (void)state;
    struct buf bytes[2];
    for (unsigned i = 0; i < 2; i++) {
        struct fixture f;
        fixture_open(&f, &(struct ledger_options){.seed = i * 12345678901, .transfer_ids_max = 64});
        run(&f, 0, 200);
        save(&f, &bytes[i]);
        fixture_close(&f);
    }
    assert_int_equal(bytes[0].size, bytes[1].size);
    assert_memory_equal(bytes[0].data, bytes[1].data, bytes[0].size);
    buf_release(&bytes[0]);
    buf_release(&bytes[1]);
}

static void a_loaded_ledger_goes_on_like_the_one_that_never_stopped(void **state)
{
    (void)state;
    struct fixture whole;
    fixture_open(&whole, &(struct ledger_options){.seed = 1, .transfer_ids_max = 64});
    for (uint64_t cut = 0; cut < 200; cut += 40) {
        run(&whole, cut, cut + 40);
        AUTO_BUF struct buf snapshot = {0};
        save(&whole, &snapshot);
        struct fixture loaded = {
            .ledger = ledger_new(&(struct ledger_options){.seed = cut, .transfer_ids_max = 64}),
            .out = calloc(1, sizeof *loaded.out),
            .seq = whole.seq};
        assert_ok(ledger_load(loaded.ledger, snapshot.data, snapshot.size));
        assert_int_equal(ledger_seq(loaded.ledger), whole.seq);
        AUTO_BUF struct buf again = {0};
        save(&loaded, &again);
        assert_int_equal(again.size, snapshot.size);
        assert_memory_equal(again.data, snapshot.data, snapshot.size);
        ledger_free(whole.ledger);
        free(whole.out);
        whole = loaded;
    }
    struct fixture straight;
    fixture_open(&straight, &(struct ledger_options){.seed = 9, .transfer_ids_max = 64});
    run(&straight, 0, 200);
    AUTO_BUF struct buf a = {0};
    AUTO_BUF struct buf b = {0};
    save(&straight, &a);
    save(&whole, &b);
    assert_int_equal(a.size, b.size);
    assert_memory_equal(a.data, b.data, a.size);
    fixture_close(&straight);
    fixture_close(&whole);
}

static enum err load(const void *data, size_t size)
{
    struct ledger *l = ledger_new(&(struct ledger_options){.seed = 1});
    char *exact = malloc(size ? size : 1);
    memcpy(exact, data, size);
    enum err e = ledger_load(l, exact, size);
    free(exact);
    ledger_free(l);
    return e;
}

static void a_snapshot_cut_anywhere_is_refused(void **state)
{
    struct fixture *f = *state;
    run(f, 0, 10);
    AUTO_BUF struct buf b = {0};
    save(f, &b);
    assert_ok(load(b.data, b.size));
    for (size_t size = 0; size < b.size; size++)
        assert_err(load(b.data, size), ERR_CORRUPT);
    assert_ok(buf_add_char(&b, 0));
    assert_err(load(b.data, b.size), ERR_CORRUPT);
}

/* Not every flipped bit makes an impossible ledger (the journal's hash finds those), but none
 * crashes. */
static void a_flipped_bit_never_makes_or_loses_money(void **state)
{
    struct fixture *f = *state;
    run(f, 0, 5);
    AUTO_BUF struct buf b = {0};
    save(f, &b);
    for (size_t bit = 0; bit < 8 * b.size; bit++) {
        b.data[bit / 8] = (char)(b.data[bit / 8] ^ 1 << bit % 8);
        struct ledger *l = ledger_new(&(struct ledger_options){.seed = 1});
        struct ledger_audit audit[LEDGER_ASSETS_MAX];
        if (!ledger_load(l, b.data, b.size)) assert_true(ledger_audit(l, audit));
        ledger_free(l);
        b.data[bit / 8] = (char)(b.data[bit / 8] ^ 1 << bit % 8);
    }
}

static void an_empty_ledger_has_a_snapshot_too(void **state)
{
    (void)state;
    struct ledger *l = ledger_new(&(struct ledger_options){.seed = 1});
    AUTO_BUF struct buf b = {0};
    buf_init(&b, LEDGER_SNAPSHOT_SIZE_MAX);
    assert_ok(ledger_save(l, &b));
    assert_ok(load(b.data, b.size));
    ledger_free(l);
}

static void a_snapshot_beyond_its_buffer_fails(void **state)
{
    struct fixture *f = *state;
    AUTO_BUF struct buf b = {0};
    buf_init(&b, 20);
    assert_err(ledger_save(f->ledger, &b), ERR_EXHAUSTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_commands_make_equal_bytes_whatever_the_seed),
        cmocka_unit_test(a_loaded_ledger_goes_on_like_the_one_that_never_stopped),
        ledger_test(a_snapshot_cut_anywhere_is_refused),
        ledger_test(a_flipped_bit_never_makes_or_loses_money),
        cmocka_unit_test(an_empty_ledger_has_a_snapshot_too),
        ledger_test(a_snapshot_beyond_its_buffer_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
