/* Looks outward from the last find: descriptors are dense, and new ones are near each other. */
#include "descriptor.h"

#include <arpa/inet.h>
#include <civetweb.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#define GAP_MAX 4096 /* so many in a row that are not open: there are no more */

static bool is_peer(int fd, const struct in_addr *address, const struct mg_request_info *info)
{
    struct sockaddr_in peer = {0}, own = {0};
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
    if (inet_pton(AF_INET, info->remote_addr, &address) != 1) return -1;
    int from = atomic_load(&last), gap = 0;
    for (int distance = 0; gap < GAP_MAX; distance++) {
        for (int side = distance ? -1 : 1; side <= 1; side += 2) {
            int fd = from + side * distance;
            gap++;
            if (fd < 0) continue;
            if (is_peer(fd, &address, info)) {
                atomic_store(&last, fd);
                return fd;
            }
            if (errno != EBADF) gap = 0;
        }
    }
    return -1;
}

int descriptor_of_port(unsigned port)
{
    for (int fd = 0, gap = 0; gap < GAP_MAX; fd++, gap++) {
        struct sockaddr_in own = {0};
        socklen_t own_size = sizeof own, size = sizeof(int);
        int listens = 0;
        if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size)) {
            if (errno != EBADF) gap = 0;
            continue;
        }
        gap = 0;
        if (listens && getsockname(fd, (struct sockaddr *)&own, &own_size) == 0 &&
            own.sin_family == AF_INET && ntohs(own.sin_port) == port)
            return fd;
    }
    return -1;
}
