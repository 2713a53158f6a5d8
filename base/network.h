/*
 * Internet addresses and networks as text: "192.0.2.7", "2001:db8::7", "10.0.0.0/8". An IPv4
 * address written as IPv6 (::ffff:192.0.2.7) is that IPv4 address, so that nobody counts twice;
 * beyond that an IPv4 address is in no IPv6 network. Pure; thread-safe; nothing blocks.
 */
#ifndef BASE_NETWORK_H
#define BASE_NETWORK_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NETWORKS_MAX      64 /* in a list: each is looked at for each address */
#define ADDRESS_TEXT_SIZE 46 /* INET6_ADDRSTRLEN */

struct address {
    unsigned size; /* bytes: 4 or 16 */
    uint8_t bytes[16];
};

struct network {
    struct address address; /* zeros behind the prefix */
    unsigned bits;          /* of the prefix */
};

struct networks {
    size_t count;
    struct network of[NETWORKS_MAX];
};

/* false: not an address and nothing else; no port, zone or brackets. */
bool address_parse(const char *text, size_t size, struct address *ret);
/* As RFC 5952 writes it. */
void address_format(const struct address *address, char ret[static ADDRESS_TEXT_SIZE]);

/*
 * Addresses or networks in CIDR form, separated by commas, blanks around them ignored; "": none.
 * ERR_INVALID: one is neither, or has bits behind its prefix; ERR_RANGE: more than NETWORKS_MAX.
 * The detail says which and what would be right, without the name of the key.
 */
MUST_CHECK enum err networks_parse(const char *list, struct networks *ret,
                                   struct err_detail *detail);
bool networks_contain(const struct networks *networks, const struct address *address);
/* The same of text; what is no address is in no network. */
bool networks_contain_text(const struct networks *networks, const char *address);

/*
 * The client behind proxies: peer is who connected, lines are the X-Forwarded-For headers in order.
 * Each proxy appends whom it was called by, so only what stands right of the first one that is not
 * trusted can be believed. If peer is trusted, the client is the right-most address that is not; if
 * all are trusted, the left-most. Otherwise, and if an address on that way is malformed, it is
 * peer.
 */
void network_client(const struct networks *trusted, const char *peer, const char *const *lines,
                    size_t line_count, char ret[static ADDRESS_TEXT_SIZE]);

#endif
