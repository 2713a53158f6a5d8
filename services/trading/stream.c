/* A list of sealed chunks under one mutex; the first is freed when no reader needs it any more. */
#include "stream.h"

#include "codec.h"
#include "record.h"

#include <stdlib.h>
#include <time.h>

#define BIT(reader) (1u << (reader))
#define SAVED       (BIT(READER_SETTLE) | BIT(READER_DOCUMENTS))

void stream_init(struct stream *s, size_t size_max)
{
    *s = (struct stream){.size_max = size_max ? size_max : STREAM_SIZE_MAX};
    pthread_condattr_t attributes;
    CHECK(pthread_condattr_init(&attributes) == 0);
    CHECK(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
    CHECK(pthread_mutex_init(&s->mutex, NULL) == 0);
    for (unsigned i = 0; i < READER_COUNT; i++)
        CHECK(pthread_cond_init(&s->changed[i], &attributes) == 0);
    CHECK(pthread_cond_init(&s->drained, &attributes) == 0);
    (void)pthread_condattr_destroy(&attributes);
    buf_init(&s->open, STREAM_OPEN_MAX);
}

static void chunk_free(struct chunk *c)
{
    free(c->data);
    free(c);
}

void stream_release(struct stream *s)
{
    while (s->first) {
        struct chunk *next = s->first->next;
        chunk_free(s->first);
        s->first = next;
    }
    buf_release(&s->open);
    for (unsigned i = 0; i < READER_COUNT; i++)
        (void)pthread_cond_destroy(&s->changed[i]);
    (void)pthread_cond_destroy(&s->drained);
    (void)pthread_mutex_destroy(&s->mutex);
}

static bool nearly_full(const struct stream *s)
{
    return s->size > s->size_max / 4 * 3;
}

/* Holding the mutex: frees from the front what nobody needs. */
static void drop_finished(struct stream *s)
{
    while (s->first && !s->first->readers) {
        struct chunk *c = s->first;
        for (unsigned i = 0; i < READER_COUNT; i++)
            if (s->next[i] == c) s->next[i] = c->next;
        s->first = c->next;
        if (!s->first) s->last = NULL;
        s->size -= c->size;
        chunk_free(c);
    }
    if (s->gauge) gauge_set(s->gauge, (int64_t)s->size);
    if (s->slowed && !nearly_full(s)) (void)pthread_cond_signal(&s->drained);
}

/* Holding the mutex. */
static void append(struct stream *s, struct chunk *c)
{
    if (s->last)
        s->last->next = c;
    else
        s->first = c;
    s->last = c;
    s->size += c->size;
    for (unsigned i = 0; i < READER_COUNT; i++) {
        if (!s->next[i]) s->next[i] = c;
        if (c->readers & BIT(i)) (void)pthread_cond_signal(&s->changed[i]);
    }
    drop_finished(s);
}

static unsigned wanted_by(const struct stream *s, const struct chunk *c)
{
    unsigned readers = 0;
    if (c->last_outbox_seq > s->settled_seq) readers |= BIT(READER_SETTLE);
    if (c->last_seq > s->documents_seq) readers |= BIT(READER_DOCUMENTS);
    if (s->live) readers |= BIT(READER_EVENTS);
    return readers;
}

void stream_seal(struct stream *s)
{
    if (!s->open.size) return;
    struct chunk *c = calloc(1, sizeof *c);
    CHECK(c);
    c->size = s->open.size;
    c->data = (uint8_t *)buf_take(&s->open);
    c->last_seq = s->open_seq;
    c->last_outbox_seq = s->open_outbox_seq;
    c->readers = wanted_by(s, c);
    (void)pthread_mutex_lock(&s->mutex);
    append(s, c);
    (void)pthread_mutex_unlock(&s->mutex);
}

void stream_write(struct stream *s, uint64_t seq, uint64_t outbox_seq, uint8_t kind,
                  const struct engine_result *result)
{
    record_write(&s->open, seq, outbox_seq, kind, result);
    CHECK(!s->open.error); /* out of memory: what is durable cannot be forgotten */
    s->open_seq = seq;
    s->open_outbox_seq = outbox_seq;
}

bool stream_is_long(const struct stream *s)
{
    return s->open.size >= STREAM_CHUNK_SIZE;
}

/* Takes the reader's bit off the chunks up to a position. */
static void skip(struct stream *s, enum stream_reader reader, uint64_t seq)
{
    (void)pthread_mutex_lock(&s->mutex);
    for (struct chunk *c = s->first; c; c = c->next) {
        uint64_t last = reader == READER_SETTLE ? c->last_outbox_seq : c->last_seq;
        if (last <= seq) c->readers &= ~BIT(reader);
    }
    drop_finished(s);
    (void)pthread_mutex_unlock(&s->mutex);
}

void stream_skip_settled(struct stream *s, uint64_t outbox_seq)
{
    s->settled_seq = outbox_seq;
    skip(s, READER_SETTLE, outbox_seq);
}

void stream_skip_documents(struct stream *s, uint64_t seq)
{
    s->documents_seq = seq;
    skip(s, READER_DOCUMENTS, seq);
}

size_t stream_size(struct stream *s)
{
    (void)pthread_mutex_lock(&s->mutex);
    size_t size = s->size;
    (void)pthread_mutex_unlock(&s->mutex);
    return size;
}

bool stream_full(struct stream *s)
{
    return stream_size(s) >= s->size_max;
}

uint64_t stream_kept_seq(struct stream *s, uint64_t outbox_seq)
{
    (void)pthread_mutex_lock(&s->mutex);
    const struct chunk *c = s->first;
    while (c && !(c->readers & BIT(READER_SETTLE)))
        c = c->next;
    if (c) {
        struct record first = {0};
        const uint8_t *at = c->data;
        enum err e = record_read(&at, c->data + c->size, &first);
        CHECK(e == OK); /* this process wrote or checked it */
        outbox_seq = first.outbox_seq - first.pieces;
        record_release(&first);
    }
    (void)pthread_mutex_unlock(&s->mutex);
    return outbox_seq;
}

void stream_slow_down(struct stream *s, int64_t deadline_ms)
{
    struct timespec until = {.tv_sec = deadline_ms / 1000, .tv_nsec = deadline_ms % 1000 * 1000000};
    (void)pthread_mutex_lock(&s->mutex);
    s->slowed = true;
    for (int result = 0; nearly_full(s) && !s->closed && result == 0;)
        result = pthread_cond_timedwait(&s->drained, &s->mutex, &until);
    s->slowed = false;
    (void)pthread_mutex_unlock(&s->mutex);
}

/* ---- snapshots: the bare records, one after the other ---- */

void stream_save(struct stream *s, struct buf *out)
{
    (void)pthread_mutex_lock(&s->mutex);
    for (const struct chunk *c = s->first; c; c = c->next)
        if (c->readers & SAVED) (void)buf_add(out, c->data, c->size);
    (void)pthread_mutex_unlock(&s->mutex);
}

enum err stream_load(struct stream *s, const uint8_t *data, size_t size)
{
    struct record record = {0};
    enum err e = OK;
    for (const uint8_t *at = data, *end = data + size; at < end && !e;) {
        const uint8_t *start = at;
        e = record_read(&at, end, &record);
        if (e) break;
        (void)buf_add(&s->open, start, (size_t)(at - start));
        CHECK(!s->open.error);
        s->open_seq = record.seq;
        s->open_outbox_seq = record.outbox_seq;
        if (stream_is_long(s)) stream_seal(s);
    }
    stream_seal(s);
    record_release(&record);
    return e;
}

/* ---- readers ---- */

/* Holding the mutex: the next chunk that the reader needs. */
static struct chunk *next_wanted(struct stream *s, enum stream_reader reader)
{
    while (s->next[reader] && !(s->next[reader]->readers & BIT(reader)))
        s->next[reader] = s->next[reader]->next;
    return s->next[reader];
}

const struct chunk *stream_take(struct stream *s, enum stream_reader reader, int64_t deadline_ms)
{
    struct timespec until = {.tv_sec = deadline_ms / 1000, .tv_nsec = deadline_ms % 1000 * 1000000};
    int result = 0;
    (void)pthread_mutex_lock(&s->mutex);
    while (!s->closed && !s->woken[reader] && !next_wanted(s, reader) && result == 0)
        result = deadline_ms < 0 ? pthread_cond_wait(&s->changed[reader], &s->mutex)
                                 : pthread_cond_timedwait(&s->changed[reader], &s->mutex, &until);
    struct chunk *c = s->closed ? NULL : next_wanted(s, reader);
    if (c) s->next[reader] = c->next;
    s->woken[reader] = false;
    (void)pthread_mutex_unlock(&s->mutex);
    return c;
}

void stream_wake(struct stream *s, enum stream_reader reader)
{
    (void)pthread_mutex_lock(&s->mutex);
    s->woken[reader] = true;
    (void)pthread_cond_signal(&s->changed[reader]);
    (void)pthread_mutex_unlock(&s->mutex);
}

bool stream_closed(struct stream *s)
{
    (void)pthread_mutex_lock(&s->mutex);
    bool closed = s->closed;
    (void)pthread_mutex_unlock(&s->mutex);
    return closed;
}

void stream_done(struct stream *s, enum stream_reader reader, const struct chunk *chunk)
{
    (void)pthread_mutex_lock(&s->mutex);
    ((struct chunk *)(uintptr_t)chunk)->readers &= ~BIT(reader);
    drop_finished(s);
    (void)pthread_mutex_unlock(&s->mutex);
}

void stream_close(struct stream *s)
{
    (void)pthread_mutex_lock(&s->mutex);
    s->closed = true;
    for (unsigned i = 0; i < READER_COUNT; i++)
        (void)pthread_cond_broadcast(&s->changed[i]);
    (void)pthread_cond_broadcast(&s->drained);
    (void)pthread_mutex_unlock(&s->mutex);
}
