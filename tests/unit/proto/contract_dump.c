/* Prints the contract's C tables as JSON: what the gateway would route, and nothing else. */
#include "base/buf.h"
#include "base/json.h"
#include "proto/contract.h"
#include "proto/contract_tables.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define OUT_MAX (1 << 20)

static void add_text(struct buf *out, const char *key, const char *text)
{
    (void)buf_add_format(out, "\"%s\":", key);
    if (text)
        (void)json_add_string(out, text, strlen(text));
    else
        (void)buf_add_text(out, "null");
    (void)buf_add_char(out, ',');
}

static void add_method(struct buf *out, const struct contract_method *m)
{
    static const char *const callers[] = {"GUEST", "USER", "ADMIN", "SERVICE"};
    static const char *const permissions[] = {"NONE", "READ", "TRADE", "WITHDRAW"};
    static const char *const rates[] = {"DEFAULT", "LOGIN",       "REGISTER",
                                        "ORDERS",  "WITHDRAWALS", "UNLIMITED"};
    (void)buf_add_char(out, '{');
    add_text(out, "name", m->name);
    add_text(out, "service", m->service->name);
    add_text(out, "method", m->service->methods[m->index].name);
    add_text(out, "input", m->input->name);
    add_text(out, "output", m->output->name);
    add_text(out, "verb", m->verb);
    add_text(out, "path", m->path);
    add_text(out, "command", m->command);
    add_text(out, "content", m->content);
    add_text(out, "caller", callers[m->caller]);
    add_text(out, "permission", permissions[m->permission]);
    add_text(out, "rate", rates[m->rate]);
    add_text(out, "summary", m->summary);
    add_text(out, "deprecated", m->deprecated ? m->deprecated->json : NULL);
    (void)buf_add_format(out, "\"idempotent\":%s,\"body_max\":%zu,\"success\":%d}",
                         m->idempotent ? "true" : "false", m->body_max, m->success);
}

static void add_event(struct buf *out, const struct contract_event *e)
{
    static const char *const callers[] = {"GUEST", "USER", "ADMIN", "SERVICE"};
    (void)buf_add_char(out, '{');
    add_text(out, "channel", e->channel);
    add_text(out, "type", e->type);
    add_text(out, "topic", e->topic);
    add_text(out, "payload", e->payload->name);
    add_text(out, "summary", e->summary);
    (void)buf_add_format(out, "\"caller\":\"%s\"}", callers[e->caller]);
}

static void add_limits(struct buf *out, const struct contract_limits *limits)
{
    (void)buf_add_format(out, "\"%s\":{", limits->type->name);
    for (unsigned i = 0; i < limits->type->n_fields; i++) {
        const struct contract_limit *l = &limits->fields[i];
        (void)buf_add_format(out,
                             "%s\"%s\":{\"size\":%" PRIu32 ",\"items\":%" PRIu32
                             ",\"value\":%" PRIu64
                             ",\"required\":%s,\"format\":%d,\"message\":\"%s\"}",
                             i ? "," : "", limits->type->fields[i].name, l->size_max, l->items_max,
                             l->value_max, l->required ? "true" : "false", (int)l->format,
                             l->message ? l->message->type->name : "");
    }
    (void)buf_add_char(out, '}');
}

int main(void)
{
    AUTO_BUF struct buf out;
    buf_init(&out, OUT_MAX);
    (void)buf_add_text(&out, "{\"methods\":[");
    for (size_t i = 0; i < contract_method_count; i++) {
        if (i) (void)buf_add_char(&out, ',');
        add_method(&out, &contract_methods[i]);
    }
    (void)buf_add_text(&out, "],\"events\":[");
    for (size_t i = 0; i < contract_event_count; i++) {
        if (i) (void)buf_add_char(&out, ',');
        add_event(&out, &contract_events[i]);
    }
    (void)buf_add_text(&out, "],\"limits\":{");
    for (size_t i = 0; i < contract_limits_count; i++) {
        if (i) (void)buf_add_char(&out, ',');
        add_limits(&out, &contract_limits[i]);
    }
    (void)buf_add_text(&out, "}}\n");
    CHECK(!out.error);
    return fwrite(out.data, 1, out.size, stdout) == out.size ? 0 : 1;
}
