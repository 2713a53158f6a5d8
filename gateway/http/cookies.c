/* The refresh token on REST: in a cookie that no script can read, never in the body. */
#include "cookies.h"

#include "base/json.h"

#include <stdio.h>
#include <string.h>

#define FIELD       "refresh_token"
#define COOKIE_SIZE 512
#define MAX_AGE_S   (30 * 24 * 3600)

/* The field's place in the message; NULL: it has none. */
static char **token_field(ProtobufCMessage *message)
{
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field_by_name(message->descriptor, FIELD);
    if (!field || field->type != PROTOBUF_C_TYPE_STRING) return NULL;
    return (char **)((char *)message + field->offset);
}

enum err cookies_read(const struct http_exchange *x, ProtobufCMessage *request)
{
    char cookie[COOKIE_SIZE];
    char **token = token_field(request);
    if (!token || (*token && **token)) return OK;
    if (http_cookie(x, REFRESH_COOKIE, cookie, sizeof cookie)) return OK; /* the part will refuse */
    if (!http_origin_allowed(x)) return ERR_DENIED;
    return json_set_text(request, "refreshToken", cookie, NULL);
}

static void set_cookie(struct http_exchange *x, const char *value, int max_age_s, bool secure)
{
    char header[COOKIE_SIZE];
    (void)snprintf(header, sizeof header,
                   REFRESH_COOKIE "=%s; Path=/api/v1/auth; Max-Age=%d; HttpOnly; SameSite=Strict%s",
                   value, max_age_s, secure ? "; Secure" : "");
    http_add_header(x, "Set-Cookie", header);
}

void cookies_fail(struct http_exchange *x, const struct contract_method *method,
                  ProtobufCMessage *request, enum err e, bool secure)
{
    if (method->rate == RATE_LOGIN) return; /* it was the password */
    if (e == ERR_UNAUTHENTICATED && token_field(request)) set_cookie(x, "", 0, secure);
}

void cookies_write(struct http_exchange *x, const struct contract_method *method,
                   ProtobufCMessage *reply, bool secure)
{
    char **token = token_field(reply);
    if (token && *token && **token) {
        set_cookie(x, *token, MAX_AGE_S, secure);
        (*token)[0] = 0;
    }
    if (method->command && strcmp(method->command, "auth.logout") == 0)
        set_cookie(x, "", 0, secure);
}
