/* Records and the stream of them: nothing is lost between the writer and its readers. */
#include "harness.h"

#include "record.h"
#include "stream.h"

#include "base/clock.h"

#include <stdlib.h>

/* An order that trades with `makers` others, and what it leaves. */
static const struct engine_result *trade_with(struct engine *e, unsigned makers)
{
    for (unsigned i = 0; i < makers; i++) {
        struct request r = limit_order(e, 1, SIDE_SELL, 100, 1);
        r.client_id = client_id("x");
        r.client_id.text[0] = (char)('A' + i % 50);
        r.client_id.text[1] = (char)('A' + i / 50);
        r.client_id.size = 2;
        assert_int_equal(engine_apply(e, &r)->refusal, ACCEPTED);
    }
    return place_limit(e, 2, SIDE_BUY, 100, (int64_t)makers + 1);
}

static void assert_same_view(const struct order_view *a, const struct order_view *b)
{
    assert_int_equal(a->id, b->id);
    assert_true(id_equal(a->user, b->user));
    assert_int_equal(a->terms.price, b->terms.price);
    assert_int_equal(a->filled, b->filled);
    assert_int_equal(a->status, b->status);
    assert_int_equal(a->reason, b->reason);
    assert_string_equal(a->client_id.text, b->client_id.text);
}

static void a_record_survives_its_bytes(void **state)
{
    (void)state;
    struct engine *e = new_engine((struct engine_options){0});
    define_market(e, plain_rules("AAA-BBB"));
    const struct engine_result *result = trade_with(e, 70);
    struct buf bytes;
    struct record r = {0};
    buf_init(&bytes, 1 << 20);
    record_write(&bytes, 7, 9, COMMAND_PLACE, result);
    const uint8_t *at = (const uint8_t *)bytes.data, *end = at + bytes.size;
    assert_ok(record_read(&at, end, &r));
    assert_ptr_equal(at, end);
    assert_int_equal(r.seq, 7);
    assert_int_equal(r.outbox_seq, 9);
    assert_int_equal(r.kind, COMMAND_PLACE);
    assert_same_view(&r.result.order, &result->order);
    assert_int_equal(r.result.execution_count, 70);
    for (size_t i = 0; i < 70; i++) {
        assert_int_equal(r.result.executions[i].trade_id, result->executions[i].trade_id);
        assert_int_equal(r.result.executions[i].notional, result->executions[i].notional);
        assert_same_view(&r.result.executions[i].maker, &result->executions[i].maker);
    }
    assert_int_equal(r.result.release_count, result->release_count);
    assert_int_equal(r.result.level_count, result->level_count);
    assert_int_equal(r.result.levels[0].update_id, result->levels[0].update_id);
    record_release(&r);
    buf_release(&bytes);
    engine_free(e);
}

static void a_damaged_record_is_refused_wherever_it_is_cut(void **state)
{
    (void)state;
    struct engine *e = new_engine((struct engine_options){0});
    define_market(e, plain_rules("AAA-BBB"));
    struct buf bytes;
    struct record r = {0};
    buf_init(&bytes, 1 << 20);
    record_write(&bytes, 1, 1, COMMAND_PLACE, trade_with(e, 3));
    for (size_t size = 0; size < bytes.size; size++) {
        const uint8_t *at = (const uint8_t *)bytes.data;
        assert_err(record_read(&at, at + size, &r), ERR_CORRUPT);
    }
    record_release(&r);
    buf_release(&bytes);
    engine_free(e);
}

/* Every trade and release is in exactly one piece, in order, and releases never before their
 * trades. */
static void pieces_share_out_all_trades_and_releases(void **state)
{
    (void)state;
    static const size_t trades[] = {0, 1, PIECE_TRADES_MAX, PIECE_TRADES_MAX + 1, 1000};
    static const size_t releases[] = {0, 1, PIECE_RELEASES_MAX, PIECE_RELEASES_MAX + 1, 5000};
    for (size_t i = 0; i < 25; i++) {
        struct record r = {
            .result = {.execution_count = trades[i / 5], .release_count = releases[i % 5]}};
        size_t trade = 0, release = 0;
        uint32_t pieces = result_pieces(&r.result);
        assert_int_equal(pieces == 0, trades[i / 5] + releases[i % 5] == 0);
        for (uint32_t n = 0; n < pieces; n++) {
            struct piece p = record_piece(&r, n);
            assert_true(p.trades + p.releases > 0);
            assert_true(p.trades <= PIECE_TRADES_MAX && p.releases <= PIECE_RELEASES_MAX);
            if (p.trades) assert_int_equal(p.first_trade, trade);
            if (p.releases) assert_int_equal(p.first_release, release);
            trade += p.trades;
            release += p.releases;
            if (p.releases) assert_int_equal(trade, trades[i / 5]);
        }
        assert_int_equal(trade, trades[i / 5]);
        assert_int_equal(release, releases[i % 5]);
    }
}

/* ---- the stream ---- */

static void write_records(struct stream *s, uint64_t first, uint64_t last)
{
    uint64_t release = 1;
    for (uint64_t seq = first; seq <= last; seq++) {
        const struct engine_result result = {.releases = &release, .release_count = 1};
        stream_write(s, seq, seq + 100, COMMAND_CANCEL, &result);
        stream_seal(s);
    }
}

/* Takes and finishes one chunk, which must end at that seq; 0: there must be none. */
static void take(struct stream *s, enum stream_reader reader, uint64_t seq)
{
    const struct chunk *c = stream_take(s, reader, 0);
    assert_int_equal(c ? c->last_seq : 0, seq);
    if (c) stream_done(s, reader, c);
}

static void each_reader_gets_everything_in_order_and_it_goes_when_all_are_done(void **state)
{
    (void)state;
    struct stream s;
    stream_init(&s, 0);
    s.live = true;
    write_records(&s, 1, 3);
    assert_true(stream_size(&s) > 0);
    for (uint64_t seq = 1; seq <= 3; seq++)
        for (unsigned reader = 0; reader < READER_COUNT; reader++)
            take(&s, reader, seq);
    assert_int_equal(stream_size(&s), 0);
    for (unsigned reader = 0; reader < READER_COUNT; reader++)
        take(&s, reader, 0);
    write_records(&s, 4, 4);
    take(&s, READER_DOCUMENTS, 4);
    take(&s, READER_EVENTS, 4);
    assert_true(stream_size(&s) > 0);
    stream_release(&s);
}

static void a_replay_leaves_only_what_somebody_still_needs(void **state)
{
    (void)state;
    struct stream s;
    stream_init(&s, 0);
    stream_skip_documents(&s, 2); /* the documents have seq 1 and 2 */
    write_records(&s, 1, 4);
    stream_skip_settled(&s, 103); /* the wallet has outbox seqs 101 to 103 */
    take(&s, READER_EVENTS, 0);   /* nobody hears of a replay */
    take(&s, READER_SETTLE, 4);
    take(&s, READER_SETTLE, 0);
    take(&s, READER_DOCUMENTS, 3);
    take(&s, READER_DOCUMENTS, 4);
    assert_int_equal(stream_size(&s), 0);
    stream_release(&s);
}

static void a_snapshot_keeps_what_settlement_and_documents_need(void **state)
{
    (void)state;
    struct stream s, copy;
    struct buf bytes;
    stream_init(&s, 0);
    s.live = true;
    write_records(&s, 1, 4);
    for (uint64_t seq = 1; seq <= 2; seq++) {
        take(&s, READER_SETTLE, seq);
        take(&s, READER_DOCUMENTS, seq); /* but events are behind */
    }
    take(&s, READER_SETTLE, 3);
    buf_init(&bytes, 1 << 20);
    stream_save(&s, &bytes);
    stream_init(&copy, 0);
    assert_ok(stream_load(&copy, (const uint8_t *)bytes.data, bytes.size));
    take(&copy, READER_DOCUMENTS, 4); /* both records in one chunk */
    take(&copy, READER_DOCUMENTS, 0);
    assert_err(stream_load(&copy, (const uint8_t *)bytes.data, bytes.size - 1), ERR_CORRUPT);
    buf_release(&bytes);
    stream_release(&copy);
    stream_release(&s);
}

static void a_full_stream_says_so_until_a_reader_has_caught_up(void **state)
{
    (void)state;
    struct stream s;
    stream_init(&s, 1);
    assert_false(stream_full(&s));
    write_records(&s, 1, 1);
    assert_true(stream_full(&s));
    take(&s, READER_SETTLE, 1);
    assert_true(stream_full(&s));
    take(&s, READER_DOCUMENTS, 1);
    assert_false(stream_full(&s));
    stream_release(&s);
}

static void *take_one_for_documents(void *arg)
{
    struct stream *s = arg;
    stream_done(s, READER_DOCUMENTS, stream_take(s, READER_DOCUMENTS, -1));
    return NULL;
}

static void the_writer_is_slowed_down_until_a_reader_catches_up_or_its_time_is_over(void **state)
{
    (void)state;
    struct stream s;
    pthread_t thread;
    stream_init(&s, 1);
    stream_slow_down(&s, INT64_MAX / 2); /* nothing waits */
    stream_skip_settled(&s, 1000);
    write_records(&s, 1, 1);
    stream_slow_down(&s, 0);
    assert_true(stream_full(&s));
    assert_int_equal(pthread_create(&thread, NULL, take_one_for_documents, &s), 0);
    stream_slow_down(&s, INT64_MAX / 2);
    assert_false(stream_full(&s));
    assert_int_equal(pthread_join(thread, NULL), 0);
    stream_release(&s);
}

static void *take_for_ever(void *arg)
{
    return (void *)(uintptr_t)stream_take(arg, READER_EVENTS, -1);
}

static void a_waiting_reader_is_woken_by_a_chunk_a_call_and_the_end(void **state)
{
    (void)state;
    for (unsigned way = 0; way < 3; way++) {
        struct stream s;
        pthread_t thread;
        void *taken = NULL;
        stream_init(&s, 0);
        s.live = true;
        assert_int_equal(pthread_create(&thread, NULL, take_for_ever, &s), 0);
        if (way == 0) write_records(&s, 1, 1);
        if (way == 1) stream_wake(&s, READER_EVENTS);
        if (way == 2) stream_close(&s);
        assert_int_equal(pthread_join(thread, &taken), 0);
        assert_int_equal(taken != NULL, way == 0);
        assert_int_equal(stream_closed(&s), way == 2);
        stream_release(&s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_survives_its_bytes),
        cmocka_unit_test(a_damaged_record_is_refused_wherever_it_is_cut),
        cmocka_unit_test(pieces_share_out_all_trades_and_releases),
        cmocka_unit_test(each_reader_gets_everything_in_order_and_it_goes_when_all_are_done),
        cmocka_unit_test(a_replay_leaves_only_what_somebody_still_needs),
        cmocka_unit_test(a_snapshot_keeps_what_settlement_and_documents_need),
        cmocka_unit_test(a_full_stream_says_so_until_a_reader_has_caught_up),
        cmocka_unit_test(the_writer_is_slowed_down_until_a_reader_catches_up_or_its_time_is_over),
        cmocka_unit_test(a_waiting_reader_is_woken_by_a_chunk_a_call_and_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
