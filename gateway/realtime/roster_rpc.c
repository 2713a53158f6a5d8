/* Pages of the roster over RPC, and its changes on the bus. */
#include "roster_rpc.h"

#include "gateway.pb-c.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIST_DEFAULT     50
#define LIST_MAX         200
#define PRESENT_MAX      1000
#define PRESENCE_SIZE    256 /* bytes of a packed event: two names and a number */
#define NUMBER_TEXT_SIZE 24

struct roster_rpc {
    char name[ROSTER_NAME_MAX + 1], topic[BUS_TOPIC_MAX + 1];
    struct roster *roster;
    struct rpc_server *server;
    struct bus_publisher *publisher;
};

/* ---- operators ---- */

/* A connection as a message, with what that borrows. */
struct item {
    Gateway__Connection message;
    Google__Protobuf__Timestamp connected_at, heard_at;
    char id[NUMBER_TEXT_SIZE];
};

static void to_time(int64_t time_ms, Google__Protobuf__Timestamp *ret)
{
    google__protobuf__timestamp__init(ret);
    ret->seconds = time_ms / 1000;
    ret->nanos = (int32_t)(time_ms % 1000) * 1000000;
}

static Gateway__Connection *to_message(const struct roster_entry *entry, struct item *ret)
{
    gateway__connection__init(&ret->message);
    (void)snprintf(ret->id, sizeof ret->id, "%" PRIu64, entry->id);
    to_time(entry->since_ms, &ret->connected_at);
    to_time(entry->heard_ms, &ret->heard_at);
    ret->message.connection_id = ret->id;
    ret->message.kind = (char *)entry->kind;
    ret->message.listener = (char *)entry->listener;
    ret->message.user_id = (char *)entry->user_id;
    ret->message.address = (char *)entry->address;
    ret->message.connected_at = &ret->connected_at;
    ret->message.heard_at = &ret->heard_at;
    ret->message.channels = (uint32_t)entry->channels;
    ret->message.queued_bytes = entry->queued_bytes;
    ret->message.sent_bytes = entry->sent;
    return &ret->message;
}

struct page {
    struct roster_entry entries[LIST_MAX];
    struct item items[LIST_MAX];
    Gateway__Connection *pointers[LIST_MAX];
};

static void rpc_list(Gateway__Connections_Service *self,
                     const Gateway__ListConnectionsRequest *request,
                     Gateway__ListConnectionsResponse_Closure reply, void *call)
{
    struct roster_rpc *r = rpc_call_context(call);
    Gateway__ListConnectionsResponse response = GATEWAY__LIST_CONNECTIONS_RESPONSE__INIT;
    char next[NUMBER_TEXT_SIZE];
    bool more = false;
    (void)self;
    AUTO_FREE struct page *page = malloc(sizeof *page);
    if (!page) return rpc_fail(call, ERR_NO_MEMORY, "out of memory");
    uint64_t after = strtoull(request->cursor, NULL, 10); /* the contract: a number, or nothing */
    size_t limit = request->limit ? request->limit : LIST_DEFAULT;
    response.n_items = roster_page(r->roster, after, limit, page->entries, &more);
    for (size_t i = 0; i < response.n_items; i++)
        page->pointers[i] = to_message(&page->entries[i], &page->items[i]);
    response.items = page->pointers;
    if (more) {
        (void)snprintf(next, sizeof next, "%" PRIu64, page->entries[response.n_items - 1].id);
        response.next_cursor = next;
    }
    reply(&response, call);
}

/* ---- presence ---- */

static void rpc_list_present(Gateway__Connections_Service *self,
                             const Gateway__ListPresentRequest *request,
                             Gateway__ListPresentResponse_Closure reply, void *call)
{
    struct roster_rpc *r = rpc_call_context(call);
    Gateway__ListPresentResponse response = GATEWAY__LIST_PRESENT_RESPONSE__INIT;
    char *pointers[PRESENT_MAX];
    bool more = false;
    (void)self;
    AUTO_FREE struct roster_user *users = malloc(PRESENT_MAX * sizeof *users);
    if (!users) return rpc_fail(call, ERR_NO_MEMORY, "out of memory");
    size_t limit = request->limit ? request->limit : PRESENT_MAX;
    enum err e =
        roster_users(r->roster, request->cursor, limit, users, &response.n_user_ids, &more);
    if (e) return rpc_fail(call, e, "out of memory");
    for (size_t i = 0; i < response.n_user_ids; i++)
        pointers[i] = users[i].user_id;
    response.gateway = r->name;
    response.user_ids = pointers;
    if (more) response.next_cursor = pointers[response.n_user_ids - 1];
    reply(&response, call);
}

static void publish(void *arg, const char *user_id, bool connected)
{
    struct roster_rpc *r = arg;
    Gateway__Presence presence = GATEWAY__PRESENCE__INIT;
    uint8_t packed[PRESENCE_SIZE];
    presence.user_id = (char *)user_id;
    presence.gateway = r->name;
    presence.connections = connected;
    CHECK(gateway__presence__get_packed_size(&presence) <= sizeof packed);
    size_t size = gateway__presence__pack(&presence, packed);
    bus_publish(r->publisher, r->topic, user_id,
                connected ? "presence.connected" : "presence.disconnected", packed, size);
}

/* ---- life ---- */

static enum err start(struct roster_rpc *r, const struct part_env *env,
                      const struct roster_options *limits, struct err_detail *detail)
{
    static Gateway__Connections_Service service = GATEWAY__CONNECTIONS__INIT(rpc_);
    const char *const topics[] = {r->topic, NULL};
    struct roster_options options = *limits;
    options.presence = publish;
    options.arg = r;
    enum err e = roster_new(&options, &r->roster);
    if (!e) e = part_server(env, "gateway", &r->server, detail);
    if (!e) e = part_publisher(env, "gateway", topics, r->server, &r->publisher, detail);
    if (!e) e = rpc_server_add(r->server, &service.base, r);
    if (!e) e = rpc_server_start(r->server, detail);
    return e;
}

enum err roster_rpc_new(const struct part_env *env, const char *name,
                        const struct roster_options *options, struct roster_rpc **ret,
                        struct err_detail *detail)
{
    CHECK(strlen(name) <= ROSTER_NAME_MAX);
    struct roster_rpc *r = calloc(1, sizeof *r);
    if (!r) return ERR_NO_MEMORY;
    (void)snprintf(r->name, sizeof r->name, "%s", name);
    (void)snprintf(r->topic, sizeof r->topic, "%s.presence", name);
    enum err e = start(r, env, options, detail);
    if (e) {
        roster_rpc_free(r);
        return e;
    }
    *ret = r;
    return OK;
}

struct roster *roster_rpc_roster(struct roster_rpc *r)
{
    return r->roster;
}

void roster_rpc_free(struct roster_rpc *r)
{
    if (!r) return;
    rpc_server_free(r->server);
    bus_publisher_free(r->publisher);
    roster_free(r->roster);
    free(r);
}
