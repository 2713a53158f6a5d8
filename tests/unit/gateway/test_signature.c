/* Signed requests. The vectors are docs/api-keys.md's; OpenSSL's command line and Python's
 * cryptography made the same. */
#include "support/unit.h"

#include "signature.h"

#include <stdio.h>
#include <string.h>

#define SECRET     "2b7e151628aed2a6abf7158809cf4f3c762e7160f38b4da56a784d9045190cfe"
#define PUBLIC_KEY "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
#define KEY_ID     "019a3b5c7d8e7f0192a3b4c5d6e7f80a"
#define NOW        "1769903999123"
#define NOW_MS     INT64_C(1769903999123)
#define BODY                                                                                       \
    "{\"symbol\":\"BTC-USDT\",\"side\":\"BUY\",\"type\":\"LIMIT\",\"quantity\":\"0.5\","           \
    "\"price\":\"60000\"}"
#define COUNT(table) (sizeof(table) / sizeof(table)[0])

static const struct vector {
    struct signed_request request;
    const char *text, *hmac, *ed25519;
} vectors[] = {
    {{.method = "POST",
      .path = "/api/v1/orders",
      .query = "",
      .key_id = KEY_ID,
      .timestamp = NOW,
      .body = BODY,
      .body_size = sizeof BODY - 1},
     "POST\n/api/v1/orders\n\n" KEY_ID "\n" NOW
     "\n5000\n62aa9d728cb0ac2f34f42d23e954b2c13474cd1341d0e6ae9f1d3e89e49a8f68",
     "acedffd0de5128a6d92c650d9ec50df70c11685b56409a0054aaa030698eff41",
     "MW4VYBkT+TVr9vwQ1fOuNh0Jczwi3VF2qfUjdf2llSU3hKVfCpNT5QDSdJtEh9FEor0A3DSTEdxlTavfMhHNAg=="},
    {{.method = "GET",
      .path = "/api/v1/orders",
      .query = "symbol=BTC-USDT&limit=10",
      .key_id = KEY_ID,
      .timestamp = NOW,
      .window = "20000",
      .body = ""},
     "GET\n/api/v1/orders\nsymbol=BTC-USDT&limit=10\n" KEY_ID "\n" NOW
     "\n20000\ne3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
     "1debc2038ea23a1ea69baf652a01f6b518576dbbb926f4436a14eb3684e2002d",
     "mS8QpdXYOAfgjybe//PMcWDaOVUc+M7pJOo5hSj0gTsSk2EqODWmZnvSSp0akOhEigqIBRNZKjYhVr4HGaL2AA=="},
    {{.method = SIGNATURE_WS_METHOD,
      .path = SIGNATURE_WS_PATH,
      .query = "",
      .key_id = KEY_ID,
      .timestamp = NOW,
      .body = ""},
     "AUTHENTICATE\n/ws\n\n" KEY_ID "\n" NOW
     "\n5000\ne3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
     "79cb89879e9157024445c53c8663d441a676e142318db9f43a0df39fa8fdab59",
     "v95cXAIZOknbVqtaOmHd0sNbPGKm2N0hpDPnHnUidrYu2S86jdcbON+c6eyCkCuVWrToUBNTdMFkWW+nGJ+yBQ=="},
};

static struct signature_key hmac_key(void)
{
    struct signature_key key = {.form = SIGNATURE_HMAC, .size = sizeof SECRET - 1};
    memcpy(key.bytes, SECRET, key.size);
    return key;
}

static struct signature_key ed25519_key(void)
{
    struct signature_key key = {.form = SIGNATURE_ED25519, .size = ED25519_KEY_SIZE};
    assert_ok(base64_decode(PUBLIC_KEY, key.bytes, key.size));
    return key;
}

/* As a gateway judges it, time apart. */
static bool passes(const struct signed_request *r, const struct signature_key *key)
{
    AUTO_BUF struct buf text;
    struct rpc_status status;
    buf_init(&text, SIGNATURE_TEXT_MAX);
    if (signature_check(r, &status)) return false;
    assert_ok(signature_text(r, &text));
    return signature_matches(r, &text, key);
}

static void the_vectors_are_what_others_made_of_them(void **state)
{
    (void)state;
    const struct signature_key hmac = hmac_key(), ed25519 = ed25519_key();
    for (size_t i = 0; i < COUNT(vectors); i++) {
        AUTO_BUF struct buf text;
        struct signed_request r = vectors[i].request;
        buf_init(&text, SIGNATURE_TEXT_MAX);
        assert_ok(signature_text(&r, &text));
        assert_string_equal(text.data, vectors[i].text);
        r.signature = vectors[i].hmac;
        assert_true(passes(&r, &hmac));
        assert_false(passes(&r, &ed25519));
        r.signature = vectors[i].ed25519;
        assert_true(passes(&r, &ed25519));
        assert_false(passes(&r, &hmac));
        r.signature = vectors[(i + 1) % COUNT(vectors)].hmac;
        assert_false(passes(&r, &hmac));
    }
}

/* A MAC whose secret is the public key, which is no secret. */
static void a_public_key_is_no_secret(void **state)
{
    (void)state;
    AUTO_BUF struct buf text;
    const struct signature_key key = ed25519_key();
    struct signed_request r = vectors[0].request;
    uint8_t mac[SHA256_SIZE];
    char hex[2 * SHA256_SIZE + 1];
    buf_init(&text, SIGNATURE_TEXT_MAX);
    assert_ok(signature_text(&r, &text));
    crypt_hmac_sha256(key.bytes, key.size, text.data, text.size, mac);
    hex_encode(mac, sizeof mac, hex);
    r.signature = hex;
    assert_false(passes(&r, &key));
}

static void what_is_missing_or_malformed_is_named(void **state)
{
    (void)state;
    static const char nine[] = "9999999999999999";
    static const struct {
        const char *field, *key_id, *timestamp, *window, *signature;
    } table[] = {
        {NULL, KEY_ID, NOW, NULL, NULL},
        {NULL, KEY_ID, "1", "1", NULL},
        {NULL, KEY_ID, NOW, "60000", NULL},
        {NULL, KEY_ID, nine + 1, NULL, NULL},
        {"X-API-KEY", "", NOW, NULL, NULL},
        {"X-API-KEY", "019A3B5C7D8E7F0192A3B4C5D6E7F80A", NOW, NULL, NULL},
        {"X-API-KEY", KEY_ID "0", NOW, NULL, NULL},
        {"X-API-KEY", "019a3b5c7d8e7f0192a3b4c5d6e7f80", NOW, NULL, NULL},
        {"X-API-TIMESTAMP", KEY_ID, NULL, NULL, NULL},
        {"X-API-TIMESTAMP", KEY_ID, "", NULL, NULL},
        {"X-API-TIMESTAMP", KEY_ID, nine, NULL, NULL},
        {"X-API-TIMESTAMP", KEY_ID, "-1", NULL, NULL},
        {"X-API-TIMESTAMP", KEY_ID, "+1", NULL, NULL},
        {"X-API-TIMESTAMP", KEY_ID, "0" NOW, NULL, NULL},
        {"X-API-TIMESTAMP", KEY_ID, " " NOW, NULL, NULL},
        {"X-API-TIMESTAMP", KEY_ID, NOW ".5", NULL, NULL},
        {"X-API-RECV-WINDOW", KEY_ID, NOW, "60001", NULL},
        {"X-API-RECV-WINDOW", KEY_ID, NOW, "0", NULL},
        {"X-API-RECV-WINDOW", KEY_ID, NOW, "", NULL},
        {"X-API-RECV-WINDOW", KEY_ID, NOW, "99999999999999999999", NULL},
        {"X-API-RECV-WINDOW", KEY_ID, NOW, "5s", NULL},
        {"X-API-SIGNATURE", KEY_ID, NOW, NULL, ""},
        {"X-API-SIGNATURE", KEY_ID, NOW, NULL, "acedffd0"},
        {"X-API-SIGNATURE", KEY_ID, NOW, NULL,
         "ACEDFFD0DE5128A6D92C650D9EC50DF70C11685B56409A0054AAA030698EFF41"},
        {"X-API-SIGNATURE", KEY_ID, NOW, NULL,
         "MW4VYBkT+TVr9vwQ1fOuNh0Jczwi3VF2qfUjdf2llSU3hKVfCpNT5QDSdJtEh9FEor0A3DSTEdxlTavfMhHNAh="
         "="},
        {"X-API-SIGNATURE", KEY_ID, NOW, NULL,
         "MW4VYBkT-TVr9vwQ1fOuNh0Jczwi3VF2qfUjdf2llSU3hKVfCpNT5QDSdJtEh9FEor0A3DSTEdxlTavfMhHNAg="
         "="},
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        struct rpc_status status = {0};
        struct signed_request r = vectors[0].request;
        r.key_id = table[i].key_id;
        r.timestamp = table[i].timestamp;
        r.window = table[i].window;
        r.signature = table[i].signature ? table[i].signature : vectors[0].hmac;
        enum err e = signature_check(&r, &status);
        assert_err(e, table[i].field ? ERR_INVALID : OK);
        if (e) assert_string_equal(status.errors[0].field, table[i].field);
    }
    struct rpc_status status = {0};
    assert_err(signature_check(&vectors[0].request, &status), ERR_INVALID); /* not signed */
    assert_string_equal(status.errors[0].field, "X-API-SIGNATURE");
}

static void a_request_is_good_within_its_window_and_not_a_millisecond_longer(void **state)
{
    (void)state;
    static const struct {
        const char *window;
        int64_t after_ms;
        enum err e;
    } table[] = {
        {NULL, 0, OK},
        {NULL, 5000, OK},
        {NULL, 5001, ERR_RANGE},
        {NULL, -1000, OK},
        {NULL, -1001, ERR_RANGE},
        {"1", 1, OK},
        {"1", 2, ERR_RANGE},
        {"1", -1000, OK},
        {"60000", 60000, OK},
        {"60000", 60001, ERR_RANGE},
        {"60000", -1001, ERR_RANGE},
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        int64_t until_ms = 0;
        struct signed_request r = vectors[0].request;
        r.window = table[i].window;
        assert_err(signature_time(&r, NOW_MS + table[i].after_ms, &until_ms), table[i].e);
        assert_int_equal(until_ms, NOW_MS + (r.window ? strtol(r.window, NULL, 10) : 5000));
    }
}

/* Every part that is signed, with one bit changed, and the signature itself. */
static void no_bit_can_be_changed(void **state)
{
    (void)state;
    enum { METHOD, PATH, QUERY, KEY, TIME, WINDOW, BODY_PART, SIGNATURE, PARTS };
    const struct signature_key keys[] = {hmac_key(), ed25519_key()};
    unsigned changed = 0;
    for (size_t form = 0; form < COUNT(keys); form++)
        for (size_t v = 0; v < 2; v++) {
            const struct vector *vector = &vectors[v];
            for (int part = 0; part < PARTS; part++) {
                struct signed_request r = vector->request;
                r.window = r.window ? r.window : "5000"; /* what was signed when it is absent */
                r.signature = form ? vector->ed25519 : vector->hmac;
                assert_true(passes(&r, &keys[form]));
                const char **const texts[] = {&r.method,
                                              &r.path,
                                              &r.query,
                                              &r.key_id,
                                              &r.timestamp,
                                              &r.window,
                                              (const char **)&r.body,
                                              &r.signature};
                char copy[256];
                size_t size = strlen(*texts[part]);
                memcpy(copy, *texts[part], size + 1);
                *texts[part] = copy;
                for (size_t bit = 0; bit < 8 * size; bit++) {
                    copy[bit / 8] = (char)(copy[bit / 8] ^ 1 << bit % 8);
                    if (passes(&r, &keys[form]))
                        fail_msg("form %zu, vector %zu, part %d, bit %zu", form, v, part, bit);
                    copy[bit / 8] = (char)(copy[bit / 8] ^ 1 << bit % 8);
                    changed++;
                }
            }
        }
    assert_true(changed > 5000);
}

/* What stands in one line cannot be moved into the next. */
static void parts_do_not_run_together(void **state)
{
    (void)state;
    const struct signature_key key = hmac_key();
    struct signed_request r = vectors[1].request;
    r.signature = vectors[1].hmac;
    assert_true(passes(&r, &key));
    r.path = "/api/v1/orderssymbol=BTC-USDT&limit=10";
    r.query = "";
    assert_false(passes(&r, &key));
    r = vectors[1].request;
    r.signature = vectors[1].hmac;
    r.path = "/api/v1/orders?symbol=BTC-USDT&limit=10";
    r.query = "";
    assert_false(passes(&r, &key));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_vectors_are_what_others_made_of_them),
        cmocka_unit_test(a_public_key_is_no_secret),
        cmocka_unit_test(what_is_missing_or_malformed_is_named),
        cmocka_unit_test(a_request_is_good_within_its_window_and_not_a_millisecond_longer),
        cmocka_unit_test(no_bit_can_be_changed),
        cmocka_unit_test(parts_do_not_run_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
