/* What the documents show as examples, the code accepts: a client may copy any of them. */
#include "support/unit.h"

#include <jansson.h>
#include <string.h>

#include "base/json.h"
#include "proto/contract.h"

static json_t *parse(const char *text)
{
    json_error_t error;
    json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    if (!root) fail_msg("line %d: %s", error.line, error.text);
    return root;
}

static ProtobufCMessage *read_example(const json_t *example, const ProtobufCMessageDescriptor *type)
{
    char *text = json_dumps(example, 0);
    assert_non_null(text);
    ProtobufCMessage *message = NULL;
    struct err_detail detail = {""};
    if (json_read(text, strlen(text), type, &message, &detail))
        fail_msg("%s is no %s: %s", text, type->name, detail.text);
    free(text);
    return message;
}

static void every_example_of_the_help_is_a_good_request(void **state)
{
    (void)state;
    json_t *help = parse(contract_help);
    size_t i, examples = 0;
    const json_t *operation;
    json_array_foreach(json_object_get(help, "operations"), i, operation)
    {
        const char *name = json_string_value(json_object_get(operation, "method"));
        const struct contract_method *method = contract_method(name);
        assert_non_null(method);
        ProtobufCMessage *request =
            read_example(json_object_get(operation, "example"), method->input);
        struct err_detail detail = {""};
        char field[CONTRACT_FIELD_SIZE] = "";
        if (contract_check(request, field, &detail))
            fail_msg("%s: %s %s", name, field, detail.text);
        protobuf_c_message_free_unpacked(request, NULL);
        examples++;
    }
    assert_true(examples > 20);
    json_decref(help);
}

static const struct contract_method *method_at(const char *verb, const char *path)
{
    for (size_t i = 0; i < contract_method_count; i++) {
        const struct contract_method *m = &contract_methods[i];
        if (m->verb && !strcasecmp(m->verb, verb) && !strcmp(m->path, path)) return m;
    }
    fail_msg("%s %s is in the document alone", verb, path);
    return NULL;
}

/* The one success in `responses` that has JSON with an example. */
static const json_t *success_example(json_t *responses)
{
    const char *status;
    const json_t *response;
    json_object_foreach(responses, status, response)
    {
        if (*status != '2') continue;
        const json_t *content = json_object_get(response, "content");
        return json_object_get(json_object_get(content, "application/json"), "example");
    }
    fail_msg("no success");
    return NULL;
}

static void every_example_of_an_answer_is_one(void **state)
{
    (void)state;
    json_t *document = parse(contract_openapi);
    const char *path, *verb;
    json_t *item, *operation;
    size_t examples = 0;
    json_object_foreach(json_object_get(document, "paths"), path, item)
    {
        json_object_foreach(item, verb, operation)
        {
            const struct contract_method *method = method_at(verb, path);
            const json_t *example = success_example(json_object_get(operation, "responses"));
            if (method->content) continue;
            assert_non_null(example);
            ProtobufCMessage *answer = read_example(example, method->output);
            AUTO_BUF struct buf out;
            buf_init(&out, 65536);
            assert_ok(json_write(answer, &out));
            json_t *written = parse(out.data);
            assert_true(json_equal(written, example)); /* the canonical form, with every field */
            json_decref(written);
            protobuf_c_message_free_unpacked(answer, NULL);
            examples++;
        }
    }
    assert_true(examples > 20);
    json_decref(document);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_example_of_the_help_is_a_good_request),
        cmocka_unit_test(every_example_of_an_answer_is_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
