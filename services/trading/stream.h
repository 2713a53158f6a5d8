/*
 * The stream of records from the shard's one writer to its three readers: settlement, events,
 * documents. It is the outbox: what a reader has not finished stays, also through a snapshot
 * (settlement and documents; events are told anew to nobody). Bounded: at STREAM_SIZE_MAX
 * stream_full says so and new orders are refused until readers have caught up; before that the
 * writer is slowed down, so that who waits for answers sends less.
 *
 * The writer's functions are for one thread; the readers' are thread-safe and may block as they
 * say.
 */
#ifndef TRADING_STREAM_H
#define TRADING_STREAM_H

#include "base/buf.h"
#include "base/err.h"
#include "base/metrics.h"
#include "engine.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STREAM_SIZE_MAX   (128u * 1024 * 1024) /* a few seconds of trading at full speed */
#define STREAM_CHUNK_SIZE (64u * 1024)         /* a chunk is sealed beyond */
#define STREAM_OPEN_MAX                                                                            \
    (64u * 1024 * 1024) /* a chunk and the largest record: 10,000 fills are 4 MB */

enum stream_reader { READER_SETTLE, READER_EVENTS, READER_DOCUMENTS, READER_COUNT };

/* Some records, unchanging once sealed. */
struct chunk {
    struct chunk *next;
    uint64_t last_seq; /* of the journal */
    uint64_t last_outbox_seq;
    unsigned readers; /* bits of those that have not finished it */
    size_t size;
    uint8_t *data;
};

struct stream {
    pthread_mutex_t mutex;
    pthread_cond_t changed[READER_COUNT], drained;
    bool slowed; /* the writer waits for drained */
    struct chunk *first, *last;
    struct chunk *next[READER_COUNT]; /* that the reader takes next; NULL: none yet */
    size_t size, size_max;
    struct gauge *gauge; /* of size; NULL: none */
    bool closed, woken[READER_COUNT];

    /* The writer's: */
    struct buf open;
    uint64_t open_seq, open_outbox_seq;
    uint64_t settled_seq, documents_seq; /* in a replay: readers need nothing up to here */
    bool live;                           /* events are wanted */
};

void stream_init(struct stream *s, size_t size_max /* 0: STREAM_SIZE_MAX */);
void stream_release(struct stream *s);

/* ---- writer ---- */
void stream_write(struct stream *s, uint64_t seq, uint64_t outbox_seq, uint8_t kind,
                  const struct engine_result *result);
bool stream_is_long(const struct stream *s); /* it should be sealed before more is written */
void stream_seal(struct stream *s);          /* what was written can be taken */
/* While nothing is live: the wallet has settled, or the documents have, everything up to here. */
void stream_skip_settled(struct stream *s, uint64_t outbox_seq);
void stream_skip_documents(struct stream *s, uint64_t seq);
bool stream_full(struct stream *s);
/* Settlement can have all pieces after this one; outbox_seq, the last one's, if it needs none. */
uint64_t stream_kept_seq(struct stream *s, uint64_t outbox_seq);
/* While three quarters of the most wait: blocks, but not beyond deadline_ms (monotonic). */
void stream_slow_down(struct stream *s, int64_t deadline_ms);
/* The chunks that settlement or documents still need, for a snapshot, and back into a fresh stream.
 */
void stream_save(struct stream *s, struct buf *out);
MUST_CHECK enum err stream_load(struct stream *s, const uint8_t *data, size_t size);

/* ---- readers ---- */
/*
 * The reader's next chunk, borrowed until stream_done; chunks are taken and done in order. Waits
 * until deadline_ms (monotonic; -1: for ever). NULL: deadline, or closed.
 */
const struct chunk *stream_take(struct stream *s, enum stream_reader reader, int64_t deadline_ms);
void stream_done(struct stream *s, enum stream_reader reader, const struct chunk *chunk);
void stream_wake(struct stream *s,
                 enum stream_reader reader); /* its take, now or the next, returns */
bool stream_closed(struct stream *s);
void stream_close(struct stream *s); /* takers return; what was not taken stays */
size_t stream_size(struct stream *s);

#endif
