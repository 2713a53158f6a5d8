/*
 * The machine behind the replica loop: commands into the ledger, entries to the projection, answers
 * and events out. Everything here runs on the replica's thread, but for the few functions of
 * submissions.
 */
#include "wallet.h"

#include "base/clock.h"
#include "bytes.h"

#include <stdlib.h>

#define REPLAY_COMMIT_ENTRIES 65536 /* of a replay: memory comes in pieces */

/* ---- submissions ---- */

enum err submission_new(struct wallet *w, struct rpc_call *call, submission_answer *answer,
                        struct submission **ret)
{
    struct submission *s = calloc(1, sizeof *s);
    if (!s) return ERR_NO_MEMORY;
    s->wallet = w;
    s->call = call;
    s->answer = answer;
    if (!submission_add_part(s)) {
        free(s);
        return ERR_NO_MEMORY;
    }
    *ret = s;
    return OK;
}

struct part *submission_add_part(struct submission *s)
{
    if (s->part_count == WALLET_PARTS_MAX) return NULL;
    if (s->part_count == s->part_capacity) {
        size_t capacity = s->part_capacity ? 4 * s->part_capacity : 1;
        struct part *parts = reallocarray(s->parts, capacity, sizeof *parts);
        if (!parts) return NULL;
        s->parts = parts;
        s->part_capacity = capacity;
    }
    struct part *part = &s->parts[s->part_count++];
    *part = (struct part){.of = s};
    buf_init(&part->bytes, COMMAND_SIZE_MAX);
    return part;
}

void submission_free(struct submission *s)
{
    if (!s) return;
    for (size_t i = 0; i < s->part_count; i++)
        buf_release(&s->parts[i].bytes);
    free(s->parts);
    free(s->hold_results);
    free(s);
}

static void fail(struct submission *s, enum err e)
{
    enum err none = OK;
    (void)atomic_compare_exchange_strong(&s->err, &none, e);
}

void submission_end(struct submission *s)
{
    s->answer(s);
    submission_free(s);
}

bool submission_failed(struct submission *s)
{
    switch (atomic_load(&s->err)) {
    case OK:
        break;
    case ERR_EXHAUSTED:
        rpc_fail(s->call, ERR_EXHAUSTED, "the wallet has too much to do; try again in a moment");
        return true;
    case ERR_FULL:
        rpc_fail(s->call, ERR_FULL, "the wallet's disk is full; nothing was changed");
        return true;
    case ERR_IO:
        rpc_fail(s->call, ERR_IO, "the wallet's journal failed; the outcome shows after a restart");
        return true;
    default:
        rpc_fail(s->call, atomic_load(&s->err), "the wallet: %s", err_text(atomic_load(&s->err)));
        return true;
    }
    enum err e = ledger_result_err(s->result);
    if (e)
        rpc_fail_reason(s->call, e, ledger_result_word(s->result), "%s",
                        ledger_result_text(s->result));
    return e;
}

/* `parts` of it are done; whoever does the last one answers. */
static void done(struct submission *s, unsigned parts)
{
    if (atomic_fetch_sub(&s->pending, parts) == parts) submission_end(s);
}

void submission_submit(struct submission *s)
{
    size_t count = s->part_count;
    size_t submitted = 0;
    atomic_store(&s->pending, (unsigned)count + 1); /* one for us: it stays until we are through */
    for (; submitted < count; submitted++) {
        struct part *part = &s->parts[submitted];
        enum err e = part->bytes.error;
        part->command = (struct command){.entry = part->bytes.data, .entry_size = part->bytes.size};
        if (!e) e = replica_submit(s->wallet->replica, &part->command);
        if (!e) continue;
        fail(s, e);
        break;
    }
    done(s, (unsigned)(count - submitted) + 1);
}

/* ---- prepare, apply ---- */

static void prepare(void *machine, struct command **commands, size_t count)
{
    struct wallet *w = machine;
    int64_t now_ms = clock_wall_ms();
    bool full = projection_is_full(w->projection);
    for (size_t i = 0; i < count; i++) {
        struct part *part = (struct part *)commands[i];
        if (full && part->of->call)
            part->command.err = ERR_EXHAUSTED;
        else
            command_stamp(part->bytes.data, part->bytes.size, now_ms);
    }
    w->batch = commands;
    w->batch_count = count;
    w->batch_at = 0;
}

static void prefetch_ahead(struct wallet *w)
{
    size_t at = w->batch_at++ + LEDGER_PREFETCH_AHEAD;
    struct ledger_command c;
    if (at < w->batch_count && !w->batch[at]->err &&
        !command_decode(w->batch[at]->entry, w->batch[at]->entry_size, &c))
        ledger_prefetch(w->ledger, &c);
}

static void take_results(struct part *part, enum ledger_result r, const struct ledger_command *c,
                         const struct ledger_output *out)
{
    struct submission *s = part->of;
    if (!ledger_result_err(s->result)) s->result = r;
    s->first_time_ms = out->first_time_ms;
    s->settled_seq = out->settled_seq;
    s->max_order_id = out->max_order_id;
    s->voided = out->voided;
    if (c->kind == COMMAND_ORDER_HOLDS && !ledger_result_err(r))
        memcpy(s->hold_results + part->first_hold, out->hold_results, c->order_holds.count);
}

static void apply(void *machine, uint64_t seq, const void *entry, size_t size,
                  struct command *command)
{
    struct wallet *w = machine;
    struct ledger_command c;
    CHECK(!command_decode(entry, size, &c));
    if (command && !w->writing) {
        (void)pthread_rwlock_wrlock(&w->lock);
        w->writing = true;
    }
    if (command) prefetch_ahead(w);
    enum ledger_result r = ledger_apply(w->ledger, seq, &c, w->out);
    projection_stage(w->projection, &c, seq, w->out);
    if (command) {
        take_results((struct part *)command, r, &c, w->out);
        return;
    }
    ledger_touched_clear(w->ledger);
    if (projection_staged(w->projection) >= REPLAY_COMMIT_ENTRIES)
        projection_commit(w->projection, seq);
}

void wallet_machine_recovered(struct wallet *w)
{
    projection_commit(w->projection, ledger_seq(w->ledger));
}

/* ---- finish ---- */

void balance_message(const struct ledger *l, const struct ledger_balance *b,
                     struct balance_message *ret)
{
    struct ledger_asset asset = ledger_asset(l, b->asset);
    decimal_format(b->total, asset.scale, ret->total);
    decimal_format(b->total - b->held, asset.scale, ret->available);
    decimal_format(b->held, asset.scale, ret->held);
    wallet__balance__init(&ret->balance);
    ret->balance.asset = (char *)asset.name;
    ret->balance.total = ret->total;
    ret->balance.available = ret->available;
    ret->balance.held = ret->held;
}

static void publish(struct wallet *w, const struct ledger_balance *b)
{
    struct balance_message message;
    balance_message(w->ledger, b, &message);
    Wallet__BalanceEvent event = WALLET__BALANCE_EVENT__INIT;
    event.balance = &message.balance;
    uint8_t packed[256];
    CHECK(wallet__balance_event__get_packed_size(&event) <= sizeof packed);
    size_t size = wallet__balance_event__pack(&event, packed);
    char key[ID_TEXT_SIZE];
    id_format(b->owner, key);
    bus_publish(w->publisher, "wallet.user", key, "balance.updated", packed, size);
}

static void publish_touched(struct wallet *w)
{
    size_t count = ledger_touched_count(w->ledger);
    for (size_t i = 0; i < count; i++) {
        struct ledger_balance b = ledger_touched(w->ledger, i);
        if (w->publisher && !ledger_owner_is_house(b.owner)) publish(w, &b);
    }
    ledger_touched_clear(w->ledger);
}

static void finish(void *machine, struct command **commands, size_t count)
{
    struct wallet *w = machine;
    if (w->writing) {
        projection_commit(w->projection, ledger_seq(w->ledger));
        w->writing = false;
        (void)pthread_rwlock_unlock(&w->lock);
    }
    for (size_t i = 0; i < count; i++) {
        struct part *part = (struct part *)commands[i];
        if (part->command.err) fail(part->of, part->command.err);
        done(part->of, 1);
    }
    publish_touched(w);
}

/* ---- snapshots: the ledger's size and bytes, then the projection's ---- */

static enum err save(void *machine, struct buf *out)
{
    struct wallet *w = machine;
    size_t at = out->size;
    write_u64(out, 0);
    enum err e = ledger_save(w->ledger, out);
    if (e) return e;
    put_u64((uint8_t *)out->data + at, out->size - at - 8);
    projection_save(w->projection, out);
    return out->error;
}

static enum err load(void *machine, const void *data, size_t size)
{
    struct wallet *w = machine;
    struct reader r = {.at = data, .end = (const uint8_t *)data + size};
    uint64_t ledger_size = read_u64(&r);
    const uint8_t *ledger = read_bytes(&r, ledger_size);
    if (!ledger || ledger_load(w->ledger, ledger, ledger_size)) return ERR_CORRUPT;
    uint64_t marked = 0;
    uint64_t watermark = projection_committed(w->projection);
    enum err e = projection_load(w->projection, r.at, (size_t)(r.end - r.at), &marked);
    if (e) return e;
    w->history_lost = marked > watermark;
    return w->history_lost && !w->accept_lost_history ? ERR_PRECONDITION : OK;
}

const struct machine_ops wallet_machine = {
    .prepare = prepare, .apply = apply, .finish = finish, .save = save, .load = load};
