/*
 * The memory of one call's request: handed out piece by piece, taken back all at once. The first
 * block is the owner's, so that an ordinary call allocates nothing. Private to base/rpc. Not
 * thread-safe.
 */
#ifndef BASE_RPC_ARENA_H
#define BASE_RPC_ARENA_H

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>
#include <stdint.h>

#define ARENA_FIRST_SIZE 2048
/* A message may decode to more than its bytes: two bytes can stand for an empty submessage. */
#define ARENA_SIZE_MAX (16 * 1024 * 1024)

struct arena {
    size_t used; /* of first */
    size_t extra_size;
    struct arena_extra *extras;
    _Alignas(max_align_t) uint8_t first[ARENA_FIRST_SIZE];
};

void arena_init(struct arena *a);
void *arena_alloc(struct arena *a, size_t size); /* NULL: no memory, or above ARENA_SIZE_MAX */
void arena_clear(struct arena *a);               /* everything it gave out is gone */

/* For protobuf_c_message_unpack; what it frees comes back with arena_clear only. */
ProtobufCAllocator arena_allocator(struct arena *a);

#endif
