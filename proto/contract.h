/*
 * The contract, as C tables: what proto/<files>.proto declare, written by proto/generate.py at
 * build time. Everything here is constant; thread-safe; nothing blocks.
 */
#ifndef PROTO_CONTRACT_H
#define PROTO_CONTRACT_H

#include "base/err.h"

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum caller { CALLER_GUEST, CALLER_USER, CALLER_ADMIN, CALLER_SERVICE };
enum permission { PERMISSION_NONE, PERMISSION_READ, PERMISSION_TRADE, PERMISSION_WITHDRAW };
enum delivery { DELIVERY_EVERY, DELIVERY_LATEST, DELIVERY_SHEDDABLE };
enum rate {
    RATE_DEFAULT,
    RATE_LOGIN,
    RATE_REGISTER,
    RATE_ORDERS,
    RATE_WITHDRAWALS,
    RATE_UNLIMITED
};

/* What is told with every answer of a method that will be gone, ready to send. */
struct contract_deprecation {
    const char *deprecation; /* the header Deprecation (RFC 9745): "@1769817600" */
    const char *sunset;      /* the header Sunset (RFC 8594): an HTTP date */
    const char *link;        /* the header Link: what to read, and the successor */
    const char *json;        /* the field "deprecated" of a WebSocket's answer: an object */
};

struct contract_method {
    const char *name; /* "trading.Trading/PlaceOrder" */
    const ProtobufCServiceDescriptor *service;
    unsigned index; /* in the service */
    const ProtobufCMessageDescriptor *input, *output;
    const char *verb, *path; /* NULL: not on REST; path as "/api/v1/orders/{orderId}" */
    const char *command;     /* NULL: not on the WebSocket */
    enum caller caller;
    enum permission permission;
    enum rate rate;
    bool idempotent;
    bool local;          /* of "gateway.Gateway": the gateway answers it itself, no part has it */
    int success;         /* HTTP status */
    size_t body_max;     /* bytes of the request's body; 0: as configured */
    const char *content; /* the answer's media type; NULL: output as JSON */
    const char *summary;
    const struct contract_deprecation *deprecated; /* NULL: it is not */
};

extern const struct contract_method contract_methods[]; /* sorted by name */
extern const size_t contract_method_count;

const struct contract_method *contract_method(const char *name);     /* NULL: none */
const struct contract_method *contract_command(const char *command); /* NULL: none */

/* An event that the gateway offers. */
struct contract_event {
    const char *channel; /* "prices:{symbol}", "user.orders" */
    const char *type;    /* "market.price" */
    const char *topic;   /* "trading.market" */
    const ProtobufCMessageDescriptor *payload;
    enum caller caller;
    enum delivery delivery;
    const char *summary;
};
extern const struct contract_event contract_events[];
extern const size_t contract_event_count;

/*
 * Checks a request against the limits its fields declare: sizes, required, formats, UTF-8, depth.
 * On ERR_INVALID ret_field (128 bytes) is the JSON path of the first wrong field and detail what
 * would be right. Every string without a declared limit has 256 bytes, every list 100 items.
 */
#define CONTRACT_FIELD_SIZE 128
MUST_CHECK enum err contract_check(const ProtobufCMessage *message,
                                   char ret_field[static CONTRACT_FIELD_SIZE],
                                   struct err_detail *detail);

/* The packed google.protobuf.FileDescriptorSet of all files, for reflection. */
extern const uint8_t contract_descriptors[];
extern const size_t contract_descriptors_size;

/* Generated documents, NUL-terminated. */
extern const char contract_openapi[]; /* OpenAPI 3.1, JSON */
extern const size_t contract_openapi_size;
extern const char contract_asyncapi[]; /* AsyncAPI 3.0, JSON */
extern const size_t contract_asyncapi_size;
extern const char contract_help[]; /* JSON: every command and endpoint with parameters */
extern const size_t contract_help_size;

/* A page of the help site, or what pages need: style, script. */
struct contract_page {
    const char *name; /* below /docs/; "": /docs itself */
    const char *type; /* its media type */
    size_t size;      /* bytes of the body, without its NUL */
    bool immutable;   /* the name changes with the content */
    const char *body;
};
extern const struct contract_page contract_pages[]; /* sorted by name */
extern const size_t contract_page_count;

const struct contract_page *contract_page(const char *name); /* NULL: none */

#endif
