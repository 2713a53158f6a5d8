/* Looks outward from the last find: descriptors are dense, and new ones are near each other. */
#include "descriptor.h"

#include <arpa/inet.h>
#include <civetweb.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

static bool is_peer(int fd, const struct in_addr *address, const struct mg_request_info *info)
{
    struct sockaddr_in peer, own;
    socklen_t peer_size = sizeof peer, own_size = sizeof own;
    if (getpeername(fd, (struct sockaddr *)&peer, &peer_size) || peer.sin_family != AF_INET ||
        ntohs(peer.sin_port) != info->remote_port || peer.sin_addr.s_addr != address->s_addr)
        return false;
    return getsockname(fd, (struct sockaddr *)&own, &own_size) == 0 && own.sin_family == AF_INET &&
           ntohs(own.sin_port) == info->server_port;
}

int descriptor_of(const struct mg_request_info *info)
{
    static atomic_int last;
    struct in_addr address;
    struct rlimit limit;
    if (inet_pton(AF_INET, info->remote_addr, &address) != 1) return -1;
    if (getrlimit(RLIMIT_NOFILE, &limit)) return -1;
    int from = atomic_load(&last), end = limit.rlim_cur < 1 << 20 ? (int)limit.rlim_cur : 1 << 20;
    for (int distance = 0; distance < end; distance++) {
        for (int side = distance ? -1 : 1; side <= 1; side += 2) {
            int fd = from + side * distance;
            if (fd < 0 || fd >= end || !is_peer(fd, &address, info)) continue;
            atomic_store(&last, fd);
            return fd;
        }
    }
    return -1;
}
