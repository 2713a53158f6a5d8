/*
 * The wallet from inside: the journaled ledger, who may touch it when, and how a request gets in
 * and its answer out.
 *
 * One thread, the replica's, changes the ledger; the lock keeps it out while others read. What can
 * be read is durable: commands are applied after their batch is on the disk, and the lock is held
 * from the first of a batch until its last, so that a reader who has an answer sees everything in
 * that answer.
 */
#ifndef WALLET_WALLET_H
#define WALLET_WALLET_H

#include "base/bus/bus.h"
#include "base/decimal.h"
#include "base/journal/replica.h"
#include "base/metrics.h"
#include "base/part.h"
#include "base/rpc/server.h"
#include "base/store/store.h"
#include "jobs.h"
#include "ledger.h"
#include "projection.h"
#include "wallet.pb-c.h"

#include <pthread.h>
#include <stdatomic.h>

#define WALLET_TITLE_MAX 64  /* bytes of an asset's name for people */
#define WALLET_PARTS_MAX 256 /* journal entries of one request: a message of 4 MiB has fewer */

_Static_assert(COMMAND_SIZE_MAX == JOURNAL_ENTRY_SIZE_MAX, "a command is a journal entry");

struct wallet {
    struct ledger *ledger;
    pthread_rwlock_t lock; /* of the ledger: written by the replica's thread only */
    bool writing;          /* that thread holds it; its own */
    struct ledger_output *out;
    struct command **batch; /* being applied, to prefetch ahead; the replica's thread */
    size_t batch_count, batch_at;
    bool
        history_lost; /* found while loading: the documents lack what the snapshot says they have */
    bool accept_lost_history;
    uint32_t transfer_ids_max;

    char titles[LEDGER_ASSETS_MAX][WALLET_TITLE_MAX + 1]; /* constant once started */

    struct replica *replica;
    struct projection *projection;
    struct jobs *jobs;
    struct store *store;
    struct rpc_server *server;
    struct bus_publisher *publisher;

    pthread_t auditor;
    bool auditing;
    pthread_mutex_t audit_lock;
    pthread_cond_t audit_wake; /* on the monotonic clock */
    bool stopping;
    int64_t audit_every_ms;
    struct gauge *balanced, *accounts;
};

/*
 * A request on its way: one journal entry, or several in order when it is too large for one. Made
 * and submitted by a handler, filled in by the machine, answered and freed once, when all its parts
 * are done.
 */
struct submission;
typedef void submission_answer(struct submission *s);

struct part {
    struct command command; /* first: the replica gives it back */
    struct submission *of;
    struct buf bytes;
    size_t first_hold; /* of its results in hold_results */
};

struct submission {
    struct wallet *wallet;
    struct rpc_call *call;     /* NULL: the wallet's own */
    submission_answer *answer; /* replies; need not free */
    void (*reply)(void);       /* the call's closure, cast back by answer */
    const char *transfer_id;   /* of a transfer: the request's, and its only leg */
    struct transfer_leg leg;
    void *arg;

    atomic_uint pending;       /* parts not done, and the submitter while it submits */
    _Atomic enum err err;      /* the first failure of a part; else OK: */
    enum ledger_result result; /* the first that is no success */
    int64_t first_time_ms;
    uint64_t settled_seq, max_order_id, voided;
    uint8_t *hold_results; /* room for every hold of the request, or NULL */

    size_t part_count, part_capacity;
    struct part *parts; /* stays where it is once submitted */
};

/* ERR_NO_MEMORY. Its first part is there and empty. */
MUST_CHECK enum err submission_new(struct wallet *w, struct rpc_call *call,
                                   submission_answer *answer, struct submission **ret);
/* Another part; earlier ones may move. NULL: there are WALLET_PARTS_MAX, or no memory. */
struct part *submission_add_part(struct submission *s);
void submission_free(struct submission *s); /* accepts NULL; one that was never submitted */
/* Fails the call as the submission has failed; false: it has not. */
bool submission_failed(struct submission *s);
/* Answered without being submitted. */
void submission_end(struct submission *own_s);
/* Its answer comes, now or later, on this or the replica's thread; whatever fails is answered too.
 */
void submission_submit(struct submission *own_s);

extern const struct machine_ops wallet_machine;
/* Pending documents of a replay, to be called once between replica_start and serving. */
void wallet_machine_recovered(struct wallet *w);

extern Wallet__Wallet_Service wallet_rpc_service; /* wallet_rpc.c */

/* wallet_rpc_orders.c: what trading calls. */
void wallet_rpc_hold_funds(Wallet__Wallet_Service *self, const Wallet__HoldRequest *req,
                           Wallet__HoldResponse_Closure reply, void *closure_data);
void wallet_rpc_settle(Wallet__Wallet_Service *self, const Wallet__SettleRequest *req,
                       Wallet__SettleResponse_Closure reply, void *closure_data);
void wallet_rpc_reconcile(Wallet__Wallet_Service *self, const Wallet__ReconcileRequest *req,
                          Wallet__ReconcileResponse_Closure reply, void *closure_data);

/* wallet_rpc_reads.c: what only reads. */
void wallet_rpc_list_assets(Wallet__Wallet_Service *self, const Wallet__ListAssetsRequest *req,
                            Wallet__ListAssetsResponse_Closure reply, void *closure_data);
void wallet_rpc_list_balances(Wallet__Wallet_Service *self, const Wallet__ListBalancesRequest *req,
                              Wallet__ListBalancesResponse_Closure reply, void *closure_data);
void wallet_rpc_statement(Wallet__Wallet_Service *self, const Wallet__StatementRequest *req,
                          Wallet__StatementResponse_Closure reply, void *closure_data);
void wallet_rpc_audit(Wallet__Wallet_Service *self, const Wallet__AuditRequest *req,
                      Wallet__AuditResponse_Closure reply, void *closure_data);

/* The user who calls. false: the call has been failed, it is a service's own. */
bool wallet_caller(struct rpc_call *call, struct id *ret);

/* A balance as clients see it; it points into itself and to the ledger's name of the asset. */
struct balance_message {
    Wallet__Balance balance;
    char total[DECIMAL_TEXT_SIZE], available[DECIMAL_TEXT_SIZE], held[DECIMAL_TEXT_SIZE];
};
void balance_message(const struct ledger *l, const struct ledger_balance *b,
                     struct balance_message *ret);

#endif
