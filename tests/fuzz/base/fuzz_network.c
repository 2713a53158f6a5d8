/*
 * Addresses, lists of networks, and X-Forwarded-For. What is read is written so that it is read as
 * the same again; a network has its own prefix; and a client is the peer, or somebody whom no
 * trusted proxy calls trusted, or the first of trusted ones only.
 */
#include "support/fuzz.h"

#include "base/network.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINES_MAX 8
#define TEXT_MAX  2000

static void check_address(const struct address *address)
{
    char text[ADDRESS_TEXT_SIZE], again[ADDRESS_TEXT_SIZE];
    struct address same;
    address_format(address, text);
    CHECK(address_parse(text, strlen(text), &same));
    CHECK(same.size == address->size && memcmp(same.bytes, address->bytes, same.size) == 0);
    address_format(&same, again);
    CHECK(strcmp(text, again) == 0);
}

static void check_networks(const struct networks *networks)
{
    CHECK(networks->count <= NETWORKS_MAX);
    for (size_t i = 0; i < networks->count; i++) {
        const struct network *n = &networks->of[i];
        char text[ADDRESS_TEXT_SIZE], list[ADDRESS_TEXT_SIZE + 8];
        struct networks again;
        check_address(&n->address);
        CHECK(n->bits <= 8 * n->address.size && networks_contain(networks, &n->address));
        address_format(&n->address, text);
        (void)snprintf(list, sizeof list, "%s/%u", text, n->bits);
        CHECK(networks_parse(list, &again, NULL) == OK && again.count == 1);
        CHECK(again.of[0].bits == n->bits);
    }
}

static void check_client(const struct networks *trusted, const char *peer, const char *const *lines,
                         size_t count)
{
    char client[ADDRESS_TEXT_SIZE], left[ADDRESS_TEXT_SIZE] = "";
    network_client(trusted, peer, lines, count, client);
    if (!networks_contain_text(trusted, peer)) {
        struct address address;
        if (address_parse(peer, strlen(peer), &address)) address_format(&address, left);
        CHECK(left[0] ? strcmp(client, left) == 0 : strncmp(client, peer, sizeof client - 1) == 0);
        return;
    }
    struct address address, first;
    CHECK(address_parse(client, strlen(client), &address));
    if (!networks_contain(trusted, &address)) return;
    /* A trusted one: the peer, for want of better, or the very first. */
    CHECK(address_parse(peer, strlen(peer), &first));
    address_format(&first, left);
    if (strcmp(client, left) == 0) return;
    CHECK(count);
    const char *at = lines[0] + strspn(lines[0], ", \t");
    size_t size = strcspn(at, ", \t");
    CHECK(address_parse(at, size, &first));
    address_format(&first, left);
    CHECK(strcmp(client, left) == 0);
}

/* A list of networks, a peer, and lines of X-Forwarded-For, each ended by a NUL. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > TEXT_MAX) return 0;
    char *text = calloc(1, size + 3);
    const char *lines[LINES_MAX + 2];
    size_t count = 0;
    CHECK(text);
    memcpy(text, data, size);
    for (size_t at = 0; at <= size && count < LINES_MAX + 2; at += strlen(text + at) + 1)
        lines[count++] = text + at;
    struct networks networks;
    struct address address;
    if (address_parse(lines[0], strlen(lines[0]), &address)) check_address(&address);
    if (count >= 2 && networks_parse(lines[0], &networks, NULL) == OK) {
        check_networks(&networks);
        check_client(&networks, lines[1], lines + 2, count - 2);
    }
    free(text);
    return 0;
}
