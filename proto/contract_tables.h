/*
 * What the generated tables hold besides contract.h: the limits of every field. For contract.c
 * alone.
 */
#ifndef PROTO_CONTRACT_TABLES_H
#define PROTO_CONTRACT_TABLES_H

#include "proto/contract.h"

enum contract_format {
    FORMAT_NONE,
    FORMAT_ASSET,
    FORMAT_DECIMAL,
    FORMAT_EMAIL,
    FORMAT_ID,
    FORMAT_KEY,
    FORMAT_NUMBER,
    FORMAT_PASSWORD,
    FORMAT_SYMBOL,
    FORMAT_SYMBOLS,
    FORMAT_USERNAME,
};

struct contract_limits;

/* Defaults are filled in: 256 bytes, 100 items. */
struct contract_limit {
    uint32_t size_max;  /* bytes of a string, or of each string in a list */
    uint32_t items_max; /* of a list */
    uint64_t value_max; /* of an integer; 0: none */
    bool required;
    enum contract_format format;
    const struct contract_limits *message; /* of a message field; else NULL */
};

struct contract_limits {
    const ProtobufCMessageDescriptor *type;
    const struct contract_limit *fields; /* parallel to type->fields */
};

/* Sorted by type->name. No message contains itself, so that a walk ends: the generator checks it.
 */
extern const struct contract_limits contract_limits[];
extern const size_t contract_limits_count;

/* Where in contract_methods the commands are, sorted by command. */
extern const uint16_t contract_commands[];
extern const size_t contract_command_count;

#endif
