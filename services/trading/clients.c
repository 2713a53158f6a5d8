/* Client order ids in a hash table; the closed ones also in a list, oldest first. */
#include "clients.h"

#include <string.h>

#define SLAB_ITEMS 512

void clients_init(struct clients *c, size_t closed_max, uint64_t seed)
{
    *c = (struct clients){.closed_max = closed_max, .seed = seed};
    pool_init(&c->pool, sizeof(struct client), SLAB_ITEMS);
}

void clients_release(struct clients *c)
{
    map_release(&c->map);
    pool_release(&c->pool);
}

struct client_key {
    struct id user;
    const struct client_id *id;
};

static uint64_t fold(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t hash_of(const struct clients *c, struct id user, const struct client_id *id)
{
    uint64_t hash = fold(user.hi ^ c->seed, user.lo ^ 0x9e3779b97f4a7c15u) ^ id->size;
    for (size_t at = 0; at < id->size; at += 8) {
        uint64_t word = 0;
        size_t rest = id->size - at;
        memcpy(&word, id->text + at, rest < 8 ? rest : 8);
        hash = fold(hash ^ word, c->seed | 1) ^ hash_mix(word + hash);
    }
    return hash_mix(hash);
}

static bool is_client(const void *item, const void *key)
{
    const struct client *client = item;
    const struct client_key *k = key;
    return id_equal(client->user, k->user) && client->id.size == k->id->size &&
           memcmp(client->id.text, k->id->text, k->id->size) == 0;
}

struct client *clients_find(const struct clients *c, struct id user, const struct client_id *id)
{
    struct client_key key = {user, id};
    if (!c->map.count) return NULL;
    return map_find(&c->map, hash_of(c, user, id), is_client, &key);
}

struct client *clients_add(struct clients *c, struct id user, const struct client_id *id)
{
    struct client *client = pool_take(&c->pool);
    client->user = user;
    client->id = *id;
    map_add(&c->map, hash_of(c, user, id), client);
    return client;
}

static void forget_oldest(struct clients *c)
{
    struct client *oldest = c->oldest_closed;
    c->oldest_closed = oldest->next_closed;
    if (!c->oldest_closed) c->newest_closed = NULL;
    c->closed--;
    map_remove(&c->map, hash_of(c, oldest->user, &oldest->id), oldest);
    pool_give(&c->pool, oldest);
}

void clients_close(struct clients *c, struct client *client)
{
    client->next_closed = NULL;
    if (c->newest_closed)
        c->newest_closed->next_closed = client;
    else
        c->oldest_closed = client;
    c->newest_closed = client;
    c->closed++;
    if (c->closed > c->closed_max) forget_oldest(c);
}

void clients_clear(struct clients *c)
{
    size_t closed_max = c->closed_max;
    uint64_t seed = c->seed;
    struct map map = c->map;
    map_clear(&map);
    pool_release(&c->pool);
    clients_init(c, closed_max, seed);
    c->map = map;
}
