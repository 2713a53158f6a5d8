/* From google.protobuf.FileDescriptorProto to what protobuf-c's generator would have written. */
#include "base/rpc/dynamic.h"

#include "base/json_type.h"

#include "google/protobuf/descriptor.pb-c.h"

#include <stdlib.h>
#include <string.h>

typedef Google__Protobuf__FileDescriptorProto file_proto;
typedef Google__Protobuf__DescriptorProto message_proto;
typedef Google__Protobuf__EnumDescriptorProto enum_proto;
typedef Google__Protobuf__FieldDescriptorProto field_proto;

#define FILES_MAX     64
#define NAME_MAX_SIZE 256

/* A type, first declared by name, then filled in: messages may refer to each other. */
struct type {
    char *name; /* "trading.Order" */
    ProtobufCMessageDescriptor message;
    ProtobufCEnumDescriptor enumeration;
    const message_proto *message_source; /* NULL: an enum */
    const enum_proto *enum_source;
};

struct dynamic_pool {
    file_proto *files[FILES_MAX];
    size_t file_count, filled; /* types below `filled` are complete */
    struct type *types[DYNAMIC_MESSAGES_MAX];
    size_t type_count;
};

enum err dynamic_pool_new(struct dynamic_pool **ret)
{
    *ret = calloc(1, sizeof **ret);
    return *ret ? OK : ERR_NO_MEMORY;
}

static void free_type(struct type *t)
{
    free((void *)t->message.fields);
    free((void *)t->message.fields_sorted_by_name);
    free((void *)t->message.field_ranges);
    free((void *)t->enumeration.values);
    free((void *)t->enumeration.values_by_name);
    free((void *)t->enumeration.value_ranges);
    free(t->name);
    free(t);
}

void dynamic_pool_free(struct dynamic_pool *p)
{
    if (!p) return;
    for (size_t i = 0; i < p->type_count; i++)
        free_type(p->types[i]);
    for (size_t i = 0; i < p->file_count; i++)
        google__protobuf__file_descriptor_proto__free_unpacked(p->files[i], NULL);
    free(p);
}

static struct type *find_type(const struct dynamic_pool *p, const char *name)
{
    if (*name == '.') name++; /* fully qualified, as protoc writes references */
    for (size_t i = 0; i < p->type_count; i++)
        if (strcmp(p->types[i]->name, name) == 0) return p->types[i];
    return NULL;
}

/* ---- declaring: every name of a file ---- */

static enum err declare(struct dynamic_pool *p, const char *scope, const char *name,
                        const message_proto *message, const enum_proto *enumeration)
{
    if (p->type_count == DYNAMIC_MESSAGES_MAX) return ERR_EXHAUSTED;
    if (!name || strlen(scope) + strlen(name) + 2 > NAME_MAX_SIZE) return ERR_INVALID;
    struct type *t = calloc(1, sizeof *t);
    size_t scope_size = strlen(scope);
    char *full = malloc(NAME_MAX_SIZE);
    if (!t || !full) {
        free(t);
        free(full);
        return ERR_NO_MEMORY;
    }
    memcpy(full, scope, scope_size);
    if (scope_size) full[scope_size++] = '.';
    memcpy(full + scope_size, name, strlen(name) + 1);
    t->name = full;
    t->message_source = message;
    t->enum_source = enumeration;
    p->types[p->type_count++] = t;
    return OK;
}

static enum err declare_file(struct dynamic_pool *p, const file_proto *file)
{
    const char *package = file->package ? file->package : "";
    enum err e = OK;
    for (size_t i = 0; i < file->n_enum_type && !e; i++)
        e = declare(p, package, file->enum_type[i]->name, NULL, file->enum_type[i]);
    for (size_t i = 0; i < file->n_message_type && !e; i++)
        e = declare(p, package, file->message_type[i]->name, file->message_type[i], NULL);

    /* What is nested in a message is declared when the walk comes to it: types grow while it goes.
     */
    for (size_t at = p->filled; at < p->type_count && !e; at++) {
        const message_proto *m = p->types[at]->message_source;
        for (size_t i = 0; m && i < m->n_enum_type && !e; i++)
            e = declare(p, p->types[at]->name, m->enum_type[i]->name, NULL, m->enum_type[i]);
        for (size_t i = 0; m && i < m->n_nested_type && !e; i++)
            e = declare(p, p->types[at]->name, m->nested_type[i]->name, m->nested_type[i], NULL);
    }
    return e;
}

/* ---- filling in: enums ---- */

static int by_value(const void *a, const void *b)
{
    const ProtobufCEnumValue *x = a, *y = b;
    return x->value < y->value ? -1 : x->value > y->value;
}

static int by_enum_name(const void *a, const void *b)
{
    return strcmp(((const ProtobufCEnumValueIndex *)a)->name,
                  ((const ProtobufCEnumValueIndex *)b)->name);
}

/* Runs of consecutive numbers: start, and the index of their first; one more row ends the table. */
static ProtobufCIntRange *make_ranges(size_t count, int (*number)(const void *, size_t),
                                      const void *of, unsigned *ret_count)
{
    ProtobufCIntRange *ranges = calloc(count + 1, sizeof *ranges);
    unsigned n = 0;
    for (size_t i = 0; ranges && i < count; i++)
        if (i == 0 || number(of, i) != number(of, i - 1) + 1)
            ranges[n++] = (ProtobufCIntRange){number(of, i), (unsigned)i};
    if (ranges) ranges[n] = (ProtobufCIntRange){0, (unsigned)count};
    *ret_count = n;
    return ranges;
}

static int enum_number(const void *values, size_t i)
{
    return ((const ProtobufCEnumValue *)values)[i].value;
}

static enum err fill_enum(struct type *t, struct err_detail *detail)
{
    const enum_proto *source = t->enum_source;
    size_t n = source->n_value;
    for (size_t i = 0; i < n; i++)
        if (!source->value[i]->name)
            return err_set(detail, ERR_INVALID, "a value of %s has no name", t->name);
    ProtobufCEnumValue *values = calloc(n + 1, sizeof *values);
    ProtobufCEnumValueIndex *names = calloc(n + 1, sizeof *names);
    ProtobufCEnumDescriptor *d = &t->enumeration;
    d->values = values; /* owned by the type from here on */
    d->values_by_name = names;
    if (!values || !names) return ERR_NO_MEMORY;
    for (size_t i = 0; i < n; i++)
        values[i] = (ProtobufCEnumValue){source->value[i]->name, source->value[i]->name,
                                         source->value[i]->number};
    qsort(values, n, sizeof *values, by_value);
    for (size_t i = 0; i < n; i++)
        names[i] = (ProtobufCEnumValueIndex){values[i].name, (unsigned)i};
    qsort(names, n, sizeof *names, by_enum_name);

    d->value_ranges = make_ranges(n, enum_number, values, &d->n_value_ranges);
    d->magic = PROTOBUF_C__ENUM_DESCRIPTOR_MAGIC;
    d->name = d->short_name = d->c_name = t->name;
    d->package_name = "";
    d->n_values = d->n_value_names = (unsigned)n;
    return d->value_ranges ? OK : ERR_NO_MEMORY;
}

/* ---- filling in: messages ---- */

#define WIRE(name) GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_##name

static const struct {
    ProtobufCType type;
    size_t size;
} kinds[] = {
    [WIRE(DOUBLE)] = {PROTOBUF_C_TYPE_DOUBLE, sizeof(double)},
    [WIRE(FLOAT)] = {PROTOBUF_C_TYPE_FLOAT, sizeof(float)},
    [WIRE(INT64)] = {PROTOBUF_C_TYPE_INT64, sizeof(int64_t)},
    [WIRE(UINT64)] = {PROTOBUF_C_TYPE_UINT64, sizeof(uint64_t)},
    [WIRE(INT32)] = {PROTOBUF_C_TYPE_INT32, sizeof(int32_t)},
    [WIRE(FIXED64)] = {PROTOBUF_C_TYPE_FIXED64, sizeof(uint64_t)},
    [WIRE(FIXED32)] = {PROTOBUF_C_TYPE_FIXED32, sizeof(uint32_t)},
    [WIRE(BOOL)] = {PROTOBUF_C_TYPE_BOOL, sizeof(protobuf_c_boolean)},
    [WIRE(STRING)] = {PROTOBUF_C_TYPE_STRING, sizeof(char *)},
    [WIRE(MESSAGE)] = {PROTOBUF_C_TYPE_MESSAGE, sizeof(void *)},
    [WIRE(BYTES)] = {PROTOBUF_C_TYPE_BYTES, sizeof(ProtobufCBinaryData)},
    [WIRE(UINT32)] = {PROTOBUF_C_TYPE_UINT32, sizeof(uint32_t)},
    [WIRE(ENUM)] = {PROTOBUF_C_TYPE_ENUM, sizeof(int)},
    [WIRE(SFIXED32)] = {PROTOBUF_C_TYPE_SFIXED32, sizeof(int32_t)},
    [WIRE(SFIXED64)] = {PROTOBUF_C_TYPE_SFIXED64, sizeof(int64_t)},
    [WIRE(SINT32)] = {PROTOBUF_C_TYPE_SINT32, sizeof(int32_t)},
    [WIRE(SINT64)] = {PROTOBUF_C_TYPE_SINT64, sizeof(int64_t)},
};

/* Room for a member, aligned to its size (8 at most, as all of them are). */
static unsigned place(size_t *size, size_t member)
{
    size_t align = member < 8 ? member : 8;
    *size = (*size + align - 1) / align * align;
    unsigned offset = (unsigned)*size;
    *size += member;
    return offset;
}

static enum err fill_reference(const struct dynamic_pool *p, const field_proto *source,
                               ProtobufCFieldDescriptor *field, struct err_detail *detail)
{
    if (field->type != PROTOBUF_C_TYPE_MESSAGE && field->type != PROTOBUF_C_TYPE_ENUM) return OK;
    const struct type *t = source->type_name ? find_type(p, source->type_name) : NULL;
    bool is_message = field->type == PROTOBUF_C_TYPE_MESSAGE;
    if (!t || is_message != (t->message_source != NULL))
        return err_set(detail, ERR_INVALID, "the type %s of the field %s is missing",
                       source->type_name ? source->type_name : "?", source->name);
    field->descriptor = is_message ? (const void *)&t->message : (const void *)&t->enumeration;
    return OK;
}

static enum err fill_field(const struct dynamic_pool *p, const field_proto *source, size_t *size,
                           ProtobufCFieldDescriptor *ret, struct err_detail *detail)
{
    size_t kind = (size_t)source->type;
    if (!source->name || kind >= sizeof kinds / sizeof kinds[0] || kinds[kind].size == 0)
        return err_set(detail, ERR_INVALID, "the field %s has a type that is not supported",
                       source->name ? source->name : "?");
    *ret = (ProtobufCFieldDescriptor){.name = source->name, .id = (uint32_t)source->number};
    ret->type = kinds[kind].type;
    if (source->label == GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__LABEL__LABEL_REPEATED) {
        ret->label = PROTOBUF_C_LABEL_REPEATED;
        ret->quantifier_offset = place(size, sizeof(size_t));
        ret->offset = place(size, sizeof(void *));
    } else {
        ret->label = PROTOBUF_C_LABEL_NONE;
        ret->offset = place(size, kinds[kind].size);
    }
    return fill_reference(p, source, ret, detail);
}

static int by_number(const void *a, const void *b)
{
    const field_proto *x = *(field_proto *const *)a, *y = *(field_proto *const *)b;
    return x->number < y->number ? -1 : x->number > y->number;
}

static int field_number(const void *fields, size_t i)
{
    return (int)((const ProtobufCFieldDescriptor *)fields)[i].id;
}

static int by_field_name(const void *a, const void *b, void *fields)
{
    const ProtobufCFieldDescriptor *f = fields;
    return strcmp(f[*(const unsigned *)a].name, f[*(const unsigned *)b].name);
}

/* base/json reads and writes these two fields of every message of that name. */
static bool is_timestamp(const ProtobufCMessageDescriptor *d)
{
    return d->n_fields == 2 && d->fields[0].id == 1 && d->fields[1].id == 2 &&
           d->fields[0].type == PROTOBUF_C_TYPE_INT64 &&
           d->fields[1].type == PROTOBUF_C_TYPE_INT32 &&
           d->fields[0].label == PROTOBUF_C_LABEL_NONE &&
           d->fields[1].label == PROTOBUF_C_LABEL_NONE;
}

static enum err fill_message(const struct dynamic_pool *p, struct type *t,
                             struct err_detail *detail)
{
    const message_proto *source = t->message_source;
    size_t n = source->n_field, size = sizeof(ProtobufCMessage);
    if (n > DYNAMIC_FIELDS_MAX) return ERR_EXHAUSTED;
    ProtobufCFieldDescriptor *fields = calloc(n + 1, sizeof *fields);
    unsigned *names = calloc(n + 1, sizeof *names);
    ProtobufCMessageDescriptor *d = &t->message;
    d->fields = fields; /* owned by the type from here on */
    d->fields_sorted_by_name = names;
    if (!fields || !names) return ERR_NO_MEMORY;

    if (n) qsort(source->field, n, sizeof *source->field, by_number);
    for (size_t i = 0; i < n; i++) {
        enum err e = fill_field(p, source->field[i], &size, &fields[i], detail);
        if (e) return e;
        names[i] = (unsigned)i;
    }
    qsort_r(names, n, sizeof *names, by_field_name, fields);
    d->field_ranges = make_ranges(n, field_number, fields, &d->n_field_ranges);
    for (size_t i = 1; i < n; i++)
        if (fields[i].id == fields[i - 1].id)
            return err_set(detail, ERR_INVALID, "%s has two fields %u", t->name, fields[i].id);
    (void)place(&size, 8); /* a size that is a multiple of the alignment, never zero fields wide */
    d->magic = PROTOBUF_C__MESSAGE_DESCRIPTOR_MAGIC;
    d->name = d->short_name = d->c_name = t->name;
    d->package_name = "";
    d->sizeof_message = size;
    d->n_fields = (unsigned)n;
    if (!d->field_ranges) return ERR_NO_MEMORY;
    return json_is_timestamp(d) && !is_timestamp(d)
               ? err_set(detail, ERR_INVALID, "%s is not what it should be", t->name)
               : OK;
}

/* Messages and enums are checked as they are declared. */
static bool has_names(const file_proto *file)
{
    if (!file->name) return false;
    for (size_t s = 0; s < file->n_service; s++) {
        const Google__Protobuf__ServiceDescriptorProto *service = file->service[s];
        if (!service->name) return false;
        for (size_t m = 0; m < service->n_method; m++)
            if (!service->method[m]->name || !service->method[m]->input_type ||
                !service->method[m]->output_type)
                return false;
    }
    return true;
}

static enum err add_file(struct dynamic_pool *p, const ProtobufCBinaryData *packed,
                         struct err_detail *detail)
{
    if (p->file_count == FILES_MAX) return ERR_EXHAUSTED;
    file_proto *file =
        google__protobuf__file_descriptor_proto__unpack(NULL, packed->len, packed->data);
    if (!file || !has_names(file)) {
        google__protobuf__file_descriptor_proto__free_unpacked(file, NULL);
        return err_set(detail, ERR_INVALID, "not a file descriptor");
    }
    for (size_t i = 0; i < p->file_count; i++) {
        if (strcmp(p->files[i]->name, file->name) != 0) continue;
        google__protobuf__file_descriptor_proto__free_unpacked(file, NULL);
        return OK; /* it is here already */
    }
    p->files[p->file_count++] = file;

    enum err e = declare_file(p, file);
    for (; p->filled < p->type_count && !e; p->filled++) {
        struct type *t = p->types[p->filled];
        e = t->message_source ? fill_message(p, t, detail) : fill_enum(t, detail);
    }
    return e;
}

enum err dynamic_pool_add(struct dynamic_pool *p, const ProtobufCBinaryData *files, size_t count,
                          struct err_detail *detail)
{
    enum err e = OK;
    for (size_t i = 0; i < count && !e; i++)
        e = add_file(p, &files[i], detail);
    return e;
}

/* ---- asking ---- */

const ProtobufCMessageDescriptor *dynamic_pool_message(const struct dynamic_pool *p,
                                                       const char *name)
{
    const struct type *t = find_type(p, name);
    return t && t->message_source ? &t->message : NULL;
}

static bool is_service(const file_proto *file, const Google__Protobuf__ServiceDescriptorProto *s,
                       const char *name, size_t size)
{
    size_t package = file->package ? strlen(file->package) : 0, own = strlen(s->name);
    if (package)
        return size == package + 1 + own && memcmp(name, file->package, package) == 0 &&
               name[package] == '.' && memcmp(name + package + 1, s->name, own) == 0;
    return size == own && memcmp(name, s->name, own) == 0;
}

enum err dynamic_pool_method(const struct dynamic_pool *p, const char *method,
                             const ProtobufCMessageDescriptor **ret_input,
                             const ProtobufCMessageDescriptor **ret_output)
{
    const char *slash = strchr(method, '/');
    if (!slash) return ERR_NOT_FOUND;
    for (size_t f = 0; f < p->file_count; f++) {
        for (size_t s = 0; s < p->files[f]->n_service; s++) {
            const Google__Protobuf__ServiceDescriptorProto *service = p->files[f]->service[s];
            if (!is_service(p->files[f], service, method, (size_t)(slash - method))) continue;
            for (size_t m = 0; m < service->n_method; m++) {
                if (strcmp(service->method[m]->name, slash + 1) != 0) continue;
                *ret_input = dynamic_pool_message(p, service->method[m]->input_type);
                *ret_output = dynamic_pool_message(p, service->method[m]->output_type);
                return *ret_input && *ret_output ? OK : ERR_NOT_FOUND;
            }
        }
    }
    return ERR_NOT_FOUND;
}
