/* One lock, one list in the order of arrival, two tallies. */
#include "roster.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/network.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct roster {
    pthread_mutex_t lock;
    struct roster_options options;
    struct member *oldest, *newest;
    uint64_t last_id;
    struct tally addresses, users;
};

enum err roster_new(const struct roster_options *options, struct roster **ret)
{
    struct roster *r = calloc(1, sizeof *r);
    if (!r) return ERR_NO_MEMORY;
    r->options = *options;
    if (!r->options.address_max) r->options.address_max = ROSTER_ADDRESS_MAX;
    if (!r->options.user_max) r->options.user_max = ROSTER_USER_MAX;
    (void)pthread_mutex_init(&r->lock, NULL);
    if (tally_init(&r->addresses) || tally_init(&r->users)) {
        roster_free(r);
        return ERR_NO_MEMORY;
    }
    *ret = r;
    return OK;
}

void roster_free(struct roster *r)
{
    if (!r) return;
    CHECK(!r->oldest);
    tally_release(&r->addresses);
    tally_release(&r->users);
    (void)pthread_mutex_destroy(&r->lock);
    free(r);
}

/* ---- members ---- */

static struct gauge *gauge_of(const struct member *m)
{
    char labels[64];
    (void)snprintf(labels, sizeof labels, "kind=\"%s\"", m->kind);
    return metrics_gauge("tradepost_gateway_connections", "Clients that stay connected.", labels);
}

/* Whose share it is: the address's; of IPv6 its /64's, which is what one household gets. */
static const char *share_of(const struct member *m, char ret[static TALLY_NAME_MAX + 1])
{
    struct address address;
    if (!address_parse(m->address, strlen(m->address), &address)) return m->address;
    if (address.size == 16) memset(address.bytes + 8, 0, 8);
    address_format(&address, ret);
    return ret;
}

static void append(struct roster *r, struct member *m)
{
    m->id = ++r->last_id;
    m->older = r->newest;
    m->newer = NULL;
    *(r->newest ? &r->newest->newer : &r->oldest) = m;
    r->newest = m;
}

void roster_set_limits(struct roster *r, size_t address_max, size_t user_max)
{
    (void)pthread_mutex_lock(&r->lock);
    r->options.address_max = address_max ? address_max : ROSTER_ADDRESS_MAX;
    r->options.user_max = user_max ? user_max : ROSTER_USER_MAX;
    (void)pthread_mutex_unlock(&r->lock);
}

enum err roster_enter(struct roster *r, struct member *m)
{
    char share[TALLY_NAME_MAX + 1];
    size_t count = 0;
    m->since_ms = clock_wall_ms();
    m->since_us = clock_mono_us();
    atomic_init(&m->heard_ms, m->since_ms);
    (void)pthread_mutex_lock(&r->lock);
    enum err e = tally_add(&r->addresses, share_of(m, share), r->options.address_max, &count);
    if (!e) append(r, m);
    (void)pthread_mutex_unlock(&r->lock);
    if (e) return e;
    m->roster = r;
    gauge_add(gauge_of(m), 1);
    return OK;
}

enum err roster_name(struct member *m, const char *user_id)
{
    struct roster *r = m->roster;
    size_t count = 0;
    enum err e = OK;
    (void)pthread_mutex_lock(&r->lock);
    if (!m->user_id[0]) {
        e = tally_add(&r->users, user_id, r->options.user_max, &count);
        if (!e) (void)snprintf(m->user_id, sizeof m->user_id, "%s", user_id);
        if (count == 1 && r->options.presence) r->options.presence(r->options.arg, user_id, true);
    }
    (void)pthread_mutex_unlock(&r->lock);
    return e;
}

static void log_end(const struct member *m, int code)
{
    char trace_id[33], labels[64];
    trace_id_format(m->trace, trace_id);
    LOG_LINE(LOG_INFO, "gateway", "disconnected", LOG_TEXT("trace_id", trace_id),
             LOG_TEXT("kind", m->kind), LOG_TEXT("listener", m->listener),
             LOG_TEXT("peer", m->address), LOG_TEXT("user", m->user_id), LOG_INT("code", code),
             LOG_INT("sent_bytes", (int64_t)atomic_load(&m->sent)),
             LOG_INT("duration_us", clock_mono_us() - m->since_us));
    (void)snprintf(labels, sizeof labels, "kind=\"%s\",code=\"%d\"", m->kind, code);
    counter_add(metrics_counter("tradepost_gateway_connections_closed_total",
                                "Connections that ended, by our verdict; 0: the client went.",
                                labels),
                1);
}

void roster_leave(struct member *m, int code)
{
    struct roster *r = m->roster;
    char share[TALLY_NAME_MAX + 1];
    if (!r) return;
    (void)pthread_mutex_lock(&r->lock);
    *(m->newer ? &m->newer->older : &r->newest) = m->older;
    *(m->older ? &m->older->newer : &r->oldest) = m->newer;
    (void)tally_remove(&r->addresses, share_of(m, share));
    if (m->user_id[0] && tally_remove(&r->users, m->user_id) == 0 && r->options.presence)
        r->options.presence(r->options.arg, m->user_id, false);
    (void)pthread_mutex_unlock(&r->lock);
    m->roster = NULL;
    gauge_add(gauge_of(m), -1);
    log_end(m, code);
}

/* ---- operators ---- */

static struct roster_entry look(const struct member *m)
{
    struct roster_entry entry = {.id = m->id,
                                 .kind = m->kind,
                                 .listener = m->listener,
                                 .since_ms = m->since_ms,
                                 .heard_ms = atomic_load(&m->heard_ms),
                                 .sent = atomic_load(&m->sent)};
    memcpy(entry.address, m->address, sizeof entry.address);
    memcpy(entry.user_id, m->user_id, sizeof entry.user_id);
    hub_look(m->hub, &entry.channels, &entry.queued_bytes);
    return entry;
}

size_t roster_page(struct roster *r, uint64_t after, size_t count, struct roster_entry *ret,
                   bool *ret_more)
{
    size_t found = 0;
    (void)pthread_mutex_lock(&r->lock);
    const struct member *m = r->oldest;
    while (m && m->id <= after)
        m = m->newer;
    for (; m && found < count; m = m->newer)
        ret[found++] = look(m);
    *ret_more = m != NULL;
    (void)pthread_mutex_unlock(&r->lock);
    return found;
}

struct users_above {
    const char *after;
    struct roster_user *users; /* room for all */
    size_t count;
};

static void collect(void *arg, const char *user_id)
{
    struct users_above *u = arg;
    if (strcmp(user_id, u->after) > 0)
        (void)snprintf(u->users[u->count++].user_id, sizeof u->users->user_id, "%s", user_id);
}

static int compare_users(const void *a, const void *b)
{
    return strcmp(((const struct roster_user *)a)->user_id,
                  ((const struct roster_user *)b)->user_id);
}

enum err roster_users(struct roster *r, const char *after, size_t count, struct roster_user *ret,
                      size_t *ret_count, bool *ret_more)
{
    struct users_above u = {.after = after};
    (void)pthread_mutex_lock(&r->lock);
    u.users = calloc(r->users.names + 1, sizeof *u.users);
    if (u.users) tally_each(&r->users, collect, &u);
    (void)pthread_mutex_unlock(&r->lock);
    if (!u.users) return ERR_NO_MEMORY;
    qsort(u.users, u.count, sizeof *u.users, compare_users);
    *ret_more = u.count > count;
    *ret_count = *ret_more ? count : u.count;
    memcpy(ret, u.users, *ret_count * sizeof *ret);
    free(u.users);
    return OK;
}
