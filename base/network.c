/* Addresses are read and written by the C library; what is ours is the lists. */
#include "base/network.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#define BLANKS " \t"

static const uint8_t v4_in_v6[12] = {[10] = 0xff, [11] = 0xff};

bool address_parse(const char *text, size_t size, struct address *ret)
{
    char copy[ADDRESS_TEXT_SIZE];
    uint8_t bytes[16] = {0};
    if (size >= sizeof copy || memchr(text, 0, size)) return false;
    memcpy(copy, text, size);
    copy[size] = 0;
    struct address address = {.size = strchr(copy, ':') ? 16 : 4};
    if (inet_pton(address.size == 16 ? AF_INET6 : AF_INET, copy, bytes) != 1) return false;
    if (address.size == 16 && memcmp(bytes, v4_in_v6, sizeof v4_in_v6) == 0) {
        address.size = 4;
        memcpy(address.bytes, bytes + sizeof v4_in_v6, 4);
    } else {
        memcpy(address.bytes, bytes, address.size);
    }
    *ret = address;
    return true;
}

void address_format(const struct address *address, char ret[static ADDRESS_TEXT_SIZE])
{
    CHECK(inet_ntop(address->size == 16 ? AF_INET6 : AF_INET, address->bytes, ret,
                    ADDRESS_TEXT_SIZE) == ret);
}

/* ---- networks ---- */

static void clear_behind(struct address *address, unsigned bits)
{
    for (unsigned i = 0; i < address->size; i++) {
        unsigned kept = bits > 8 * i ? bits - 8 * i : 0;
        if (kept < 8) address->bytes[i] &= (uint8_t)(0xff00u >> kept);
    }
}

/* "0" to "128", without a sign or zeros in front. */
static bool read_bits(const char *text, size_t size, unsigned max, unsigned *ret)
{
    unsigned bits = 0;
    if (size == 0 || size > 3 || (text[0] == '0' && size > 1)) return false;
    for (size_t i = 0; i < size; i++) {
        if (text[i] < '0' || text[i] > '9') return false;
        bits = bits * 10 + (unsigned)(text[i] - '0');
    }
    if (bits > max) return false;
    *ret = bits;
    return true;
}

static enum err read_network(const char *text, size_t size, struct network *ret,
                             struct err_detail *detail)
{
    const char *slash = memchr(text, '/', size);
    size_t address_size = slash ? (size_t)(slash - text) : size;
    struct network n;
    int shown = (int)(size < 64 ? size : 64);
    if (!address_parse(text, address_size, &n.address))
        return err_set(detail, ERR_INVALID,
                       "\"%.*s\" is no network; right is 10.0.0.0/8 or fd00::/8", shown, text);
    n.bits = 8 * n.address.size;
    if (slash && !read_bits(slash + 1, size - address_size - 1, n.bits, &n.bits))
        return err_set(detail, ERR_INVALID, "%.*s: behind the slash is a number of bits, 0 to %u",
                       shown, text, n.bits);
    struct address given = n.address;
    clear_behind(&n.address, n.bits);
    if (memcmp(given.bytes, n.address.bytes, given.size) != 0) {
        char right[ADDRESS_TEXT_SIZE];
        address_format(&n.address, right);
        return err_set(detail, ERR_INVALID, "%.*s has bits behind its prefix; right is %s/%u",
                       shown, text, right, n.bits);
    }
    *ret = n;
    return OK;
}

/* Text without the blanks around it. */
static const char *trim(const char *text, size_t *size)
{
    size_t blanks = strspn(text, BLANKS);
    if (blanks > *size) blanks = *size;
    *size -= blanks;
    while (*size && strchr(BLANKS, text[blanks + *size - 1]))
        --*size;
    return text + blanks;
}

enum err networks_parse(const char *list, struct networks *ret, struct err_detail *detail)
{
    struct networks networks = {0};
    bool more = list[strspn(list, BLANKS)] != 0;
    while (more) {
        size_t item = strcspn(list, ","), size = item;
        const char *text = trim(list, &size);
        if (networks.count == NETWORKS_MAX)
            return err_set(detail, ERR_RANGE, "more than %d networks", NETWORKS_MAX);
        enum err e = read_network(text, size, &networks.of[networks.count++], detail);
        if (e) return e;
        more = list[item] == ',';
        list += item + more;
    }
    *ret = networks;
    return OK;
}

bool networks_contain(const struct networks *networks, const struct address *address)
{
    for (size_t i = 0; i < networks->count; i++) {
        const struct network *n = &networks->of[i];
        struct address prefix = *address;
        if (n->address.size != address->size) continue;
        clear_behind(&prefix, n->bits);
        if (memcmp(prefix.bytes, n->address.bytes, prefix.size) == 0) return true;
    }
    return false;
}

bool networks_contain_text(const struct networks *networks, const char *address)
{
    struct address parsed;
    return address_parse(address, strlen(address), &parsed) && networks_contain(networks, &parsed);
}

/* ---- the client behind proxies ---- */

/* Goes one address to the left in the text that ends at *end; *end moves before its comma. */
static bool previous(const char *line, size_t *end, struct address *ret)
{
    size_t begin = *end;
    while (begin && line[begin - 1] != ',')
        begin--;
    size_t size = *end - begin;
    const char *text = trim(line + begin, &size);
    *end = begin ? begin - 1 : 0;
    return address_parse(text, size, ret);
}

void network_client(const struct networks *trusted, const char *peer, const char *const *lines,
                    size_t line_count, char ret[static ADDRESS_TEXT_SIZE])
{
    struct address at = {0}, next;
    (void)snprintf(ret, ADDRESS_TEXT_SIZE, "%s", peer);
    if (!address_parse(peer, strlen(peer), &at)) return;
    address_format(&at, ret);
    for (size_t i = line_count; i-- && networks_contain(trusted, &at);) {
        size_t end = strlen(lines[i]);
        do {
            if (!previous(lines[i], &end, &next)) return;
            at = next;
        } while (end && networks_contain(trusted, &at));
    }
    address_format(&at, ret);
}
