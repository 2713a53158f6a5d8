/* The parts behind the gateway, as the contract's packages. */
#include "calls.h"

#include <stdlib.h>
#include <string.h>

#define PART_NAME_MAX 32
#define OWN           "gateway"

struct calls {
    size_t count;
    struct rpc_client *own; /* the gateway's: a method of its own that is called like any other */
    struct {
        char name[PART_NAME_MAX];
        struct rpc_client *client;
    } parts[PARTS_MAX];
};

struct rpc_client *calls_client(const struct calls *c, const char *name)
{
    size_t size = strcspn(name, ".");
    if (size == strlen(OWN) && strncmp(name, OWN, size) == 0) return c->own;
    for (size_t i = 0; i < c->count; i++)
        if (strlen(c->parts[i].name) == size && strncmp(c->parts[i].name, name, size) == 0)
            return c->parts[i].client;
    return NULL;
}

static enum err add_part(struct calls *c, const struct part_env *env, const char *method,
                         struct err_detail *detail)
{
    size_t size = strcspn(method, ".");
    if (size == strlen(OWN) && strncmp(method, OWN, size) == 0)
        return part_client(env, OWN, OWN, &c->own, detail);
    CHECK(c->count < PARTS_MAX && size < PART_NAME_MAX);
    memcpy(c->parts[c->count].name, method, size);
    enum err e = part_client(env, OWN, c->parts[c->count].name, &c->parts[c->count].client, detail);
    if (!e) c->count++;
    return e;
}

enum err calls_new(const struct part_env *env, struct calls **ret, struct err_detail *detail)
{
    struct calls *c = calloc(1, sizeof *c);
    if (!c) return ERR_NO_MEMORY;
    enum err e = OK;
    for (size_t i = 0; i < contract_method_count && !e; i++) {
        const struct contract_method *m = &contract_methods[i];
        if ((m->path || m->command) && !m->local && !calls_client(c, m->name))
            e = add_part(c, env, m->name, detail);
    }
    if (e) {
        calls_free(c);
        return e;
    }
    *ret = c;
    return OK;
}

void calls_free(struct calls *c)
{
    if (!c) return;
    for (size_t i = 0; i < c->count; i++)
        rpc_client_free(c->parts[i].client);
    rpc_client_free(c->own);
    free(c);
}

size_t calls_count(const struct calls *c)
{
    return c->count;
}

const char *calls_part(const struct calls *c, size_t index, struct rpc_client **ret)
{
    CHECK(index < c->count);
    *ret = c->parts[index].client;
    return c->parts[index].name;
}

bool calls_only_reads(const struct contract_method *method)
{
    return method->verb && strcmp(method->verb, "GET") == 0;
}

static enum err is_allowed(enum caller caller, enum permission permission,
                           const struct principal *principal)
{
    if (caller == CALLER_GUEST) return OK;
    if (caller == CALLER_SERVICE) return ERR_NOT_FOUND;
    if (principal->role == ROLE_GUEST) return ERR_UNAUTHENTICATED;
    if (caller == CALLER_ADMIN && principal->role != ROLE_ADMIN) return ERR_DENIED;
    return principal->permissions >> permission & 1 ? OK : ERR_DENIED;
}

enum err calls_allowed(const struct contract_method *method, const struct principal *principal)
{
    return is_allowed(method->caller, method->permission, principal);
}

enum err calls_channel_allowed(enum caller caller, const struct principal *principal)
{
    return is_allowed(caller, PERMISSION_READ, principal);
}

const char *calls_denied_text(const struct principal *principal)
{
    return principal->key_id[0] ? "this key has not the permission that this needs"
                                : "this is for administrators";
}
