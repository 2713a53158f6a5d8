/*
 * The socket behind a civetweb connection, and the listening one. civetweb keeps them to itself, so
 * they are found among the process's descriptors by what no two connections share: the addresses of
 * both ends. Searching begins near the last one found; a few system calls, usually. Thread-safe;
 * does not block.
 */
#ifndef GATEWAY_DESCRIPTOR_H
#define GATEWAY_DESCRIPTOR_H

struct mg_request_info;

/* The descriptor stays civetweb's, and is valid as long as the request's handler runs.
 * -1: not found, which is a bug or a client that vanished. */
int descriptor_of(const struct mg_request_info *info);
/* The one that listens on the port; -1: none. It stays civetweb's. */
int descriptor_of_port(unsigned port);

#endif
