/*
 * The in-process driver: two tables behind one mutex, which is held for a look-up and a copy. Every
 * call also drops a few of what has expired, so that no thread is needed and no call pays for all.
 */
#include "base/cache/cache_memory.h"

#include "base/cache/cache_table.h"
#include "base/clock.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MAX_BYTES    64 /* of "memory:name" */
#define SWEEP_PER_CALL    4
#define RESERVED_PART     8  /* one of so many of the room */
#define COUNTER_TEXT_SIZE 24 /* of an int64 and the NUL */

struct memory {
    pthread_mutex_t lock;
    struct table windows, others; /* a key is in one of them */
    size_t bytes;                 /* of the others */
    int64_t now_ms;               /* when the call that holds the lock began */
    struct cache_memory_limits limits;

    struct memory *next; /* in `shared`; all below under shared_lock */
    unsigned users;
    char name[NAME_MAX_BYTES + 1];
};

/* ---- entries, under the lock ---- */

static void forget(struct memory *m, struct entry *e)
{
    bool window = e->kind == ENTRY_WINDOW;
    if (!window) m->bytes -= e->bytes;
    table_remove(window ? &m->windows : &m->others, e);
}

/* Drops at most count expired entries; says whether there was one. */
static bool sweep(struct memory *m, const struct table *t, unsigned count)
{
    bool any = false;
    for (; count > 0; count--) {
        struct entry *e = table_soonest(t);
        if (!e || e->expires_ms > m->now_ms) break;
        forget(m, e);
        any = true;
    }
    return any;
}

static struct memory *enter(void *driver)
{
    struct memory *m = driver;
    CHECK(pthread_mutex_lock(&m->lock) == 0);
    m->now_ms = m->limits.clock();
    (void)sweep(m, &m->windows, SWEEP_PER_CALL);
    (void)sweep(m, &m->others, SWEEP_PER_CALL);
    return m;
}

static enum err leave(struct memory *m, enum err e)
{
    CHECK(pthread_mutex_unlock(&m->lock) == 0);
    return e;
}

static struct entry *find(struct memory *m, struct cache_bytes key)
{
    struct entry *e = table_find(&m->others, key);
    if (!e) e = table_find(&m->windows, key);
    if (!e || e->expires_ms > m->now_ms) return e;
    forget(m, e);
    return NULL;
}

/* The entry if it is of that kind. ERR_NOT_FOUND, ERR_INVALID: another kind. */
static enum err find_kind(struct memory *m, struct cache_bytes key, enum entry_kind kind,
                          struct entry **ret)
{
    struct entry *e = find(m, key);
    if (!e) return ERR_NOT_FOUND;
    if (e->kind != kind) return ERR_INVALID;
    *ret = e;
    return OK;
}

/* What new entries need. */
struct need {
    size_t keys, bytes;
    bool reserved; /* may take the last eighth */
};

/* What has expired makes room; nothing else does. */
static enum err make_room(struct memory *m, struct need need)
{
    size_t keys_max = m->limits.keys_max, bytes_max = m->limits.bytes_max;
    if (!need.reserved) {
        keys_max -= keys_max / RESERVED_PART;
        bytes_max -= bytes_max / RESERVED_PART;
    }
    while (m->others.count + need.keys > keys_max || m->bytes + need.bytes > bytes_max)
        if (!sweep(m, &m->others, 1)) return ERR_EXHAUSTED;
    return OK;
}

static void account(struct memory *m, struct entry *e, size_t value_bytes)
{
    m->bytes -= e->bytes;
    e->bytes = sizeof *e + e->key_size + value_bytes;
    m->bytes += e->bytes;
}

/* A new, empty entry, with room for it and its value made. */
static enum err create(struct memory *m, const struct cache_put *put, size_t value_bytes,
                       struct entry **ret)
{
    const struct need need = {1, sizeof(struct entry) + put->key.size + value_bytes, put->reserved};
    enum err error = make_room(m, need);
    if (!error) error = table_insert(&m->others, put->key, m->now_ms + put->expire_ms, ret);
    if (!error) account(m, *ret, 0);
    return error;
}

/* A new window. When there are too many the one that would expire soonest goes: it has counted
 * least, or of the shortest. */
static enum err create_window(struct memory *m, struct cache_bytes key, int64_t expires_ms,
                              struct entry **ret)
{
    while (m->windows.count >= m->limits.windows_max)
        forget(m, table_soonest(&m->windows));
    enum err error = table_insert(&m->windows, key, expires_ms, ret);
    if (!error) (*ret)->kind = ENTRY_WINDOW;
    return error;
}

/* Makes own_data the entry's value. */
static void set_text(struct memory *m, struct entry *e, char *own_data, size_t size)
{
    entry_clear(e);
    e->text.data = own_data;
    e->text.size = size;
    account(m, e, size);
}

/* ---- strings ---- */

static enum err put_locked(struct memory *m, const struct cache_put *put)
{
    struct entry *e = find(m, put->key);
    if (e && put->only_if_absent) return ERR_EXISTS;
    AUTO_FREE char *data = malloc(put->value.size + 1);
    if (!data) return ERR_NO_MEMORY;
    if (put->value.size) memcpy(data, put->value.data, put->value.size);

    enum err error = OK;
    if (e && e->kind == ENTRY_WINDOW) {
        forget(m, e);
        e = NULL;
    }
    if (e) {
        size_t before = e->bytes, after = sizeof *e + e->key_size + put->value.size;
        if (after > before) /* e has not expired */
            error = make_room(m, (struct need){0, after - before, put->reserved});
        if (!error) table_expire(&m->others, e, m->now_ms + put->expire_ms);
    } else {
        error = create(m, put, put->value.size, &e);
    }
    if (error) return error;
    set_text(m, e, TAKE(data), put->value.size);
    return OK;
}

static enum err memory_put(void *driver, const struct cache_put *put)
{
    struct memory *m = enter(driver);
    return leave(m, put_locked(m, put));
}

static enum err memory_get(void *driver, struct cache_bytes key, struct buf *ret)
{
    struct memory *m = enter(driver);
    struct entry *e;
    enum err error = find_kind(m, key, ENTRY_TEXT, &e);
    if (error) return leave(m, error);
    buf_clear(ret);
    return leave(m, buf_add(ret, e->text.data, e->text.size));
}

static enum err memory_remove(void *driver, struct cache_bytes key)
{
    struct memory *m = enter(driver);
    struct entry *e = find(m, key);
    if (e) forget(m, e);
    return leave(m, OK);
}

static enum err memory_delete_if(void *driver, struct cache_bytes key, struct cache_bytes value)
{
    struct memory *m = enter(driver);
    struct entry *e;
    enum err error = find_kind(m, key, ENTRY_TEXT, &e);
    if (error) return leave(m, error == ERR_NOT_FOUND ? ERR_CONFLICT : error);
    if (e->text.size != value.size) return leave(m, ERR_CONFLICT);
    if (value.size && memcmp(e->text.data, value.data, value.size) != 0)
        return leave(m, ERR_CONFLICT);
    forget(m, e);
    return leave(m, OK);
}

/* ---- counters ---- */

/* The text must be a number exactly as it would be written. */
static enum err parse_counter(const struct entry *e, int64_t *ret)
{
    char text[COUNTER_TEXT_SIZE], again[COUNTER_TEXT_SIZE];
    if (e->text.size >= sizeof text) return ERR_INVALID;
    memcpy(text, e->text.data, e->text.size);
    text[e->text.size] = 0;
    errno = 0;
    long long value = strtoll(text, NULL, 10);
    (void)snprintf(again, sizeof again, "%lld", value);
    if (errno || strlen(again) != e->text.size || strcmp(text, again) != 0) return ERR_INVALID;
    *ret = value;
    return OK;
}

static enum err increment_locked(struct memory *m, struct cache_bytes key, int64_t by,
                                 int64_t expire_ms, int64_t *ret)
{
    struct entry *e = NULL;
    int64_t value = 0;
    enum err error = find_kind(m, key, ENTRY_TEXT, &e);
    if (error && error != ERR_NOT_FOUND) return error;
    if (e) {
        error = parse_counter(e, &value);
        if (error) return error;
    }
    if (__builtin_add_overflow(value, by, &value)) return ERR_INVALID;

    AUTO_FREE char *text = malloc(COUNTER_TEXT_SIZE);
    if (!text) return ERR_NO_MEMORY;
    int size = snprintf(text, COUNTER_TEXT_SIZE, "%lld", (long long)value);
    const struct cache_put put = {.key = key, .expire_ms = expire_ms};
    error = e ? OK : create(m, &put, COUNTER_TEXT_SIZE, &e);
    if (error) return error;
    set_text(m, e, TAKE(text), (size_t)size);
    *ret = value;
    return OK;
}

static enum err memory_increment(void *driver, struct cache_bytes key, int64_t by,
                                 int64_t expire_ms, int64_t *ret)
{
    struct memory *m = enter(driver);
    return leave(m, increment_locked(m, key, by, expire_ms, ret));
}

/* ---- windows ---- */

/* The counts at this moment, after the hits if they fit. */
static struct cache_counts count_hits(const struct memory *m, const struct entry *e,
                                      const struct cache_ask *ask)
{
    int64_t number = m->now_ms / ask->rule.window_ms;
    struct cache_counts counts = {.elapsed_ms = m->now_ms % ask->rule.window_ms};
    if (e && e->window.number == number) {
        counts.last = e->window.last;
        counts.current = e->window.current;
    } else if (e && e->window.number == number - 1) {
        counts.last = e->window.current;
    }
    counts.allowed = cache_window_fits(&counts, &ask->rule, ask->need);
    if (counts.allowed) counts.current += ask->hits;
    return counts;
}

static enum err hit_locked(struct memory *m, struct cache_bytes key, const struct cache_ask *ask,
                           struct cache_counts *ret)
{
    struct entry *e = NULL;
    int64_t expires_ms = m->now_ms + 2 * ask->rule.window_ms;
    enum err error = find_kind(m, key, ENTRY_WINDOW, &e);
    if (error && error != ERR_NOT_FOUND) return error;
    struct cache_counts counts = count_hits(m, e, ask);
    if (counts.allowed && ask->hits) {
        error = e ? OK : create_window(m, key, expires_ms, &e);
        if (error) return error;
        e->window.number = m->now_ms / ask->rule.window_ms;
        e->window.last = counts.last;
        e->window.current = counts.current;
        table_expire(&m->windows, e, expires_ms);
    }
    *ret = counts;
    return OK;
}

static enum err memory_hit(void *driver, struct cache_bytes key, const struct cache_ask *ask,
                           struct cache_counts *ret)
{
    struct memory *m = enter(driver);
    return leave(m, hit_locked(m, key, ask, ret));
}

/* ---- sorted sets ---- */

/* After its members changed: an empty set is no set. */
static void settle(struct memory *m, struct entry *e)
{
    if (e->sorted.count == 0)
        forget(m, e);
    else
        account(m, e, e->sorted.bytes);
}

static enum err sorted_add_locked(struct memory *m, const struct cache_put *put, int64_t score)
{
    struct entry *e = NULL;
    size_t bytes = SORTED_MEMBER_BYTES(put->value.size);
    enum err error = find_kind(m, put->key, ENTRY_SORTED, &e);
    if (error == ERR_NOT_FOUND) {
        error = create(m, put, bytes, &e);
        if (error) return error;
        e->kind = ENTRY_SORTED;
        e->sorted = (struct sorted){0};
    } else if (!error) {
        bool known = sorted_has(&e->sorted, put->value);
        if (!known && e->sorted.count >= CACHE_MEMBERS_MAX) return ERR_EXHAUSTED;
        if (!known)
            error = make_room(m, (struct need){.bytes = bytes}); /* e has not expired: it stays */
    }
    if (error) return error;
    error = sorted_put(&e->sorted, put->value, score);
    table_expire(&m->others, e, m->now_ms + put->expire_ms);
    settle(m, e);
    return error;
}

static enum err memory_sorted_add(void *driver, struct cache_bytes key, struct cache_bytes member,
                                  int64_t score, int64_t expire_ms)
{
    struct memory *m = enter(driver);
    const struct cache_put put = {.key = key, .value = member, .expire_ms = expire_ms};
    return leave(m, sorted_add_locked(m, &put, score));
}

static enum err memory_sorted_remove(void *driver, struct cache_bytes key,
                                     struct cache_bytes member)
{
    struct memory *m = enter(driver);
    struct entry *e;
    enum err error = find_kind(m, key, ENTRY_SORTED, &e);
    if (error) return leave(m, error == ERR_NOT_FOUND ? OK : error);
    sorted_remove(&e->sorted, member);
    settle(m, e);
    return leave(m, OK);
}

static enum err memory_sorted_trim(void *driver, struct cache_bytes key, int64_t min)
{
    struct memory *m = enter(driver);
    struct entry *e;
    enum err error = find_kind(m, key, ENTRY_SORTED, &e);
    if (error) return leave(m, error == ERR_NOT_FOUND ? OK : error);
    sorted_trim(&e->sorted, min);
    settle(m, e);
    return leave(m, OK);
}

static enum err memory_sorted_count(void *driver, struct cache_bytes key, int64_t *ret)
{
    struct memory *m = enter(driver);
    struct entry *e = NULL;
    enum err error = find_kind(m, key, ENTRY_SORTED, &e);
    if (error && error != ERR_NOT_FOUND) return leave(m, error);
    *ret = e ? (int64_t)e->sorted.count : 0;
    return leave(m, OK);
}

static enum err copy_range(const struct sorted *s, const struct cache_range *range,
                           struct cache_member **ret, size_t *ret_count)
{
    size_t first = sorted_from(s, range->min), count = 0;
    while (count < range->limit && first + count < s->count &&
           s->by_score[first + count]->score <= range->max)
        count++;
    struct cache_member *members = count ? calloc(count, sizeof *members) : NULL;
    if (count && !members) return ERR_NO_MEMORY;
    for (size_t i = 0; i < count; i++) {
        members[i].score = s->by_score[first + i]->score;
        members[i].member = strdup(s->by_score[first + i]->text);
        if (members[i].member) continue;
        cache_members_free(members, i);
        return ERR_NO_MEMORY;
    }
    *ret = members;
    *ret_count = count;
    return OK;
}

static enum err memory_sorted_range(void *driver, struct cache_bytes key,
                                    const struct cache_range *range, struct cache_member **ret,
                                    size_t *ret_count)
{
    static const struct sorted empty;
    struct memory *m = enter(driver);
    struct entry *e = NULL;
    enum err error = find_kind(m, key, ENTRY_SORTED, &e);
    if (error && error != ERR_NOT_FOUND) return leave(m, error);
    return leave(m, copy_range(e ? &e->sorted : &empty, range, ret, ret_count));
}

/* ---- life ---- */

static pthread_mutex_t shared_lock = PTHREAD_MUTEX_INITIALIZER;
static struct memory *shared; /* every open cache with a name, "" included */

enum err cache_memory_new(const struct cache_memory_limits *limits, void **ret)
{
    struct memory *m = calloc(1, sizeof *m);
    if (!m) return ERR_NO_MEMORY;
    CHECK(pthread_mutex_init(&m->lock, NULL) == 0);
    table_init(&m->windows);
    table_init(&m->others);
    m->limits = *limits;
    m->users = 1;
    *ret = m;
    return OK;
}

static enum err share(const char *name, struct memory **ret)
{
    for (struct memory *m = shared; m; m = m->next) {
        if (strcmp(m->name, name) != 0) continue;
        m->users++;
        *ret = m;
        return OK;
    }
    const struct cache_memory_limits limits = {CACHE_KEYS_MAX, CACHE_BYTES_MAX, CACHE_WINDOWS_MAX,
                                               clock_mono_ms};
    void *driver;
    enum err e = cache_memory_new(&limits, &driver);
    if (e) return e;
    struct memory *m = driver;
    (void)snprintf(m->name, sizeof m->name, "%s", name);
    m->next = shared;
    shared = m;
    *ret = m;
    return OK;
}

static enum err memory_open(const struct cache_options *options, void **ret,
                            struct err_detail *detail)
{
    const char *name = options->url + strlen(cache_memory_ops.scheme);
    if (strlen(name) > NAME_MAX_BYTES)
        return err_set(detail, ERR_INVALID, "the name in memory:name has at most %d bytes",
                       NAME_MAX_BYTES);
    struct memory *m = NULL;
    CHECK(pthread_mutex_lock(&shared_lock) == 0);
    enum err e = share(name, &m);
    CHECK(pthread_mutex_unlock(&shared_lock) == 0);
    if (!e) *ret = m;
    return e;
}

static void memory_close(void *driver)
{
    struct memory *m = driver;
    CHECK(pthread_mutex_lock(&shared_lock) == 0);
    bool last = --m->users == 0;
    for (struct memory **link = &shared; last && *link; link = &(*link)->next) {
        if (*link != m) continue;
        *link = m->next;
        break;
    }
    CHECK(pthread_mutex_unlock(&shared_lock) == 0);
    if (!last) return;
    table_release(&m->windows);
    table_release(&m->others);
    CHECK(pthread_mutex_destroy(&m->lock) == 0);
    free(m);
}

static enum err memory_ping(void *driver)
{
    (void)driver;
    return OK;
}

const struct cache_ops cache_memory_ops = {
    .scheme = "memory:",
    .open = memory_open,
    .close = memory_close,
    .ping = memory_ping,
    .put = memory_put,
    .get = memory_get,
    .remove = memory_remove,
    .delete_if = memory_delete_if,
    .increment = memory_increment,
    .hit = memory_hit,
    .sorted_add = memory_sorted_add,
    .sorted_remove = memory_sorted_remove,
    .sorted_range = memory_sorted_range,
    .sorted_count = memory_sorted_count,
    .sorted_trim = memory_sorted_trim,
};
