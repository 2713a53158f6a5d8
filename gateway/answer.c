/* Answers: text, then frames. */
#include "answer.h"

#include "base/json.h"

#include <string.h>

static void begin(struct buf *out, const char *msg_id, const char *notice)
{
    (void)buf_add_text(out, "{\"msgId\":");
    if (msg_id[0])
        (void)json_add_string(out, msg_id, strlen(msg_id));
    else
        (void)buf_add_text(out, "null");
    if (notice) (void)buf_add_format(out, ",\"deprecated\":%s", notice);
}

static void add_text(struct buf *out, const char *name, const char *text)
{
    (void)buf_add_format(out, "\"%s\":", name);
    (void)json_add_string(out, text, strlen(text));
}

void answer_result(struct buf *out, const char *msg_id, const char *notice, const char *json,
                   size_t size)
{
    begin(out, msg_id, notice);
    (void)buf_add_text(out, ",\"ok\":true,\"result\":");
    (void)buf_add(out, json, size);
    (void)buf_add_char(out, '}');
}

void answer_error(struct buf *out, const char *msg_id, const char *notice,
                  const struct rpc_status *status)
{
    /* What a failure on our side says may name its insides: the log tells the rest. */
    bool ours = err_http(status->err) >= 500 && status->err != ERR_UNIMPLEMENTED;
    begin(out, msg_id, notice);
    (void)buf_add_text(out, ",\"ok\":false,\"error\":{");
    add_text(out, "code", status->reason[0] ? status->reason : err_word(status->err));
    (void)buf_add_char(out, ',');
    add_text(out, "message", ours || !status->message[0] ? err_text(status->err) : status->message);
    (void)buf_add_format(out, ",\"temporary\":%s", err_retryable(status->err) ? "true" : "false");
    for (size_t i = 0; i < status->error_count; i++) {
        (void)buf_add_text(out, i ? ",{" : ",\"errors\":[{");
        add_text(out, "field", status->errors[i].field);
        (void)buf_add_char(out, ',');
        add_text(out, "reason", status->errors[i].reason);
        (void)buf_add_char(out, '}');
    }
    (void)buf_add_text(out, status->error_count ? "]}}" : "}}");
}

void answer_limited(struct buf *out, const char *msg_id, const char *message, int64_t retry_ms)
{
    begin(out, msg_id, NULL);
    (void)buf_add_text(out, ",\"ok\":false,\"error\":{\"code\":\"rate_limited\",");
    add_text(out, "message", message);
    (void)buf_add_format(out, ",\"temporary\":true,\"retryAfterMs\":%lld}}", (long long)retry_ms);
}

static void send(struct hub_connection *c, const struct buf *text)
{
    struct frame *f = text->error ? NULL : frame_new(text->data, text->size, NULL);
    if (f)
        hub_send(c, f, HUB_KEEP);
    else
        hub_close(c, HUB_CLOSE_INTERNAL); /* a client must not wait for an answer that is lost */
    frame_release(f);
}

/* How much of the text the next part takes: not more than the size, and whole characters. */
static size_t part_size(const struct buf *text, size_t from)
{
    size_t left = text->size - from, size = ANSWER_PART_SIZE;
    if (left <= size) return left;
    while ((text->data[from + size] & 0xC0) == 0x80)
        size--;
    return size;
}

static unsigned count_parts(const struct buf *text)
{
    unsigned count = 0;
    for (size_t at = 0; at < text->size; at += part_size(text, at))
        count++;
    return count;
}

void answer_send(struct hub_connection *c, const char *msg_id, const struct buf *text)
{
    if (text->size <= ANSWER_WHOLE_MAX || text->error) return send(c, text);
    unsigned parts = count_parts(text), part = 1;
    AUTO_BUF struct buf out;
    buf_init(&out, 2 * ANSWER_WHOLE_MAX);
    for (size_t at = 0; at < text->size;) {
        size_t size = part_size(text, at);
        buf_clear(&out);
        begin(&out, msg_id, NULL);
        (void)buf_add_format(&out, ",\"part\":%u,\"parts\":%u,\"data\":", part++, parts);
        (void)json_add_string(&out, text->data + at, size);
        (void)buf_add_char(&out, '}');
        send(c, &out);
        at += size;
    }
}
