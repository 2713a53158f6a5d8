/* Cryptography against the vectors of the standards, and checksums by both ways. */
#include "support/unit.h"

#include "base/crc32c.h"
#include "base/crypt.h"

#include <stdlib.h>
#include <string.h>

static void assert_hex(const uint8_t *data, size_t size, const char *expected)
{
    char hex[2 * 64 + 1];
    assert_true(size <= 64);
    hex_encode(data, size, hex);
    assert_string_equal(hex, expected);
}

/* FIPS 180-4's examples (NIST CSRC, "SHA256.pdf"). */
static void sha256_is_the_standards(void **state)
{
    (void)state;
    static const struct {
        const char *text, *digest;
    } cases[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t digest[SHA256_SIZE];
        crypt_sha256(cases[i].text, strlen(cases[i].text), digest);
        assert_hex(digest, sizeof digest, cases[i].digest);
    }
}

/* RFC 4231, test cases 1 to 4, 6 and 7. A key or text is a string, or one byte repeated. */
static const struct {
    const char *key;
    char key_byte;
    size_t key_size;
    const char *text;
    char text_byte;
    size_t text_size;
    const char *mac;
} hmac_cases[] = {
    {NULL, 0x0b, 20, "Hi There", 0, 8,
     "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
    {"Jefe", 0, 4, "what do ya want for nothing?", 0, 28,
     "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
    {NULL, (char)0xaa, 20, NULL, (char)0xdd, 50,
     "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
    {"\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17"
     "\x18\x19",
     0, 25, NULL, (char)0xcd, 50,
     "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"},
    {NULL, (char)0xaa, 131, "Test Using Larger Than Block-Size Key - Hash Key First", 0, 54,
     "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
    {NULL, (char)0xaa, 131,
     "This is a test using a larger than block-size key and a larger than block-size data. The key "
     "needs to be hashed before being used by the HMAC algorithm.",
     0, 152, "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"},
};

static void hmac_is_the_standards(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof hmac_cases / sizeof hmac_cases[0]; i++) {
        char key[256], text[256];
        uint8_t mac[SHA256_SIZE];
        memset(key, hmac_cases[i].key_byte, sizeof key);
        memset(text, hmac_cases[i].text_byte, sizeof text);
        crypt_hmac_sha256(hmac_cases[i].key ? hmac_cases[i].key : key, hmac_cases[i].key_size,
                          hmac_cases[i].text ? hmac_cases[i].text : text, hmac_cases[i].text_size,
                          mac);
        assert_hex(mac, sizeof mac, hmac_cases[i].mac);
    }
}

static void hmac_takes_an_empty_key_and_an_empty_text(void **state)
{
    (void)state;
    uint8_t mac[SHA256_SIZE];
    crypt_hmac_sha256(NULL, 0, NULL, 0, mac);
    assert_hex(mac, sizeof mac, "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

static void crc32c_is_the_standards_by_both_ways(void **state)
{
    (void)state;
    /* RFC 3720, section B.4; the last one is the check value of every CRC catalogue. */
    uint8_t zeros[32] = {0}, ones[32], up[32], down[32];
    memset(ones, 0xff, sizeof ones);
    for (uint8_t i = 0; i < 32; i++) {
        up[i] = i;
        down[i] = (uint8_t)(31 - i);
    }
    static const uint8_t read_command[48] = {
        0x01, 0xc0, 0, 0,    0, 0, 0, 0,    0,    0, 0, 0, 0, 0, 0, 0, 0x14, 0, 0, 0, 0, 0, 0x04, 0,
        0,    0,    0, 0x14, 0, 0, 0, 0x18, 0x28, 0, 0, 0, 0, 0, 0, 0, 0x02, 0, 0, 0, 0, 0, 0,    0,
    };
    const struct {
        const void *data;
        size_t size;
        uint32_t crc;
    } cases[] = {
        {"", 0, 0},
        {zeros, 32, 0x8a9136aa},
        {ones, 32, 0x62a8ab43},
        {up, 32, 0x46dd794e},
        {down, 32, 0x113fdb5c},
        {read_command, 48, 0xd9963a56},
        {"123456789", 9, 0xe3069283},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(crypt_crc32c(0, cases[i].data, cases[i].size), cases[i].crc);
        assert_int_equal(crc32c_tables(0, cases[i].data, cases[i].size), cases[i].crc);
    }
}

static void both_ways_to_a_crc_agree_and_join(void **state)
{
    (void)state;
    uint8_t data[600];
    crypt_random(data, sizeof data);
    for (size_t start = 0; start < 9; start++) {
        for (size_t size = 0; size + start <= sizeof data; size += 1 + size / 16) {
            uint32_t crc = crc32c_tables(0, data + start, size);
            assert_int_equal(crypt_crc32c(0, data + start, size), crc);
            if (crc32c_has_hardware())
                assert_int_equal(crc32c_hardware(0, data + start, size), crc);
            uint32_t half = crypt_crc32c(0, data + start, size / 3);
            assert_int_equal(crypt_crc32c(half, data + start + size / 3, size - size / 3), crc);
            half = crc32c_tables(0, data + start, size / 3);
            assert_int_equal(crc32c_tables(half, data + start + size / 3, size - size / 3), crc);
        }
    }
}

static void base64url_is_the_standards(void **state)
{
    (void)state;
    /* RFC 4648 section 10 without the padding, and the two letters that differ. */
    static const struct {
        const char *data, *text;
    } cases[] = {
        {"", ""},           {"f", "Zg"},          {"fo", "Zm8"},          {"foo", "Zm9v"},
        {"foob", "Zm9vYg"}, {"fooba", "Zm9vYmE"}, {"foobar", "Zm9vYmFy"}, {"\xfb\xff\xfe", "-__-"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t size = strlen(cases[i].data);
        char *text = malloc(BASE64URL_SIZE(size)), data[8];
        assert_non_null(text);
        base64url_encode(cases[i].data, size, text);
        assert_string_equal(text, cases[i].text);
        assert_int_equal(strlen(text) + 1, BASE64URL_SIZE(size));
        size_t decoded = sizeof data;
        assert_ok(base64url_decode(text, data, &decoded));
        assert_int_equal(decoded, size);
        assert_memory_equal(data, cases[i].data, size);
        free(text);
    }
}

static void what_is_no_base64url_is_refused(void **state)
{
    (void)state;
    static const char *const refused[] = {
        "Z",    "Zm9vY", "Zg==",       "Zm8=", "Zm9v\n", " Zm9v",  "Zm+v",
        "Zm/v", "Zm9v.", "Z\xc3\xa9v", "Zh",   "Zm9",    "Zm9vYh", /* bits that belong to no byte */
    };
    uint8_t data[8];
    memset(data, 77, sizeof data);
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        size_t size = sizeof data;
        if (base64url_decode(refused[i], data, &size) != ERR_INVALID) fail_msg("%s", refused[i]);
        assert_int_equal(size, sizeof data);
        assert_int_equal(data[0], 77);
    }
    size_t size = 2;
    assert_err(base64url_decode("Zm9v", data, &size), ERR_INVALID); /* three bytes */
    size = 3;
    assert_ok(base64url_decode("Zm9v", data, &size));
}

static void random_bytes_survive_base64url_and_hex(void **state)
{
    (void)state;
    uint8_t data[100], again[100];
    char text[201];
    for (size_t size = 0; size <= sizeof data; size++) {
        crypt_random(data, size);
        size_t decoded = sizeof again;
        base64url_encode(data, size, text);
        assert_ok(base64url_decode(text, again, &decoded));
        assert_int_equal(decoded, size);
        assert_true(crypt_equal(data, again, size));
        hex_encode(data, size, text);
        memset(again, 0, sizeof again);
        assert_ok(hex_decode(text, again, size));
        assert_true(crypt_equal(data, again, size));
    }
}

static void what_is_no_hex_is_refused(void **state)
{
    (void)state;
    uint8_t data[2] = {77, 77};
    static const char *const refused[] = {"", "0", "012", "01234", "012g", "0x12", " 123", "01-2"};
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        assert_err(hex_decode(refused[i], data, 2), ERR_INVALID);
    assert_int_equal(data[0], 77);
    assert_ok(hex_decode("aBcD", data, 2));
    assert_int_equal(data[0], 0xab);
    assert_int_equal(data[1], 0xcd);
}

static void equality_looks_at_every_byte(void **state)
{
    (void)state;
    uint8_t a[32] = {0}, b[32] = {0};
    assert_true(crypt_equal(a, b, sizeof a));
    assert_true(crypt_equal(a, b, 0));
    for (size_t i = 0; i < sizeof a; i++) {
        b[i] = 1;
        assert_false(crypt_equal(a, b, sizeof a));
        assert_true(crypt_equal(a, b, i));
        b[i] = 0;
    }
}

static void random_bytes_differ(void **state)
{
    (void)state;
    uint8_t a[32], b[32];
    crypt_random(a, sizeof a);
    crypt_random(b, sizeof b);
    assert_false(crypt_equal(a, b, sizeof a));
    crypt_random(NULL, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sha256_is_the_standards),
        cmocka_unit_test(hmac_is_the_standards),
        cmocka_unit_test(hmac_takes_an_empty_key_and_an_empty_text),
        cmocka_unit_test(crc32c_is_the_standards_by_both_ways),
        cmocka_unit_test(both_ways_to_a_crc_agree_and_join),
        cmocka_unit_test(base64url_is_the_standards),
        cmocka_unit_test(what_is_no_base64url_is_refused),
        cmocka_unit_test(random_bytes_survive_base64url_and_hex),
        cmocka_unit_test(what_is_no_hex_is_refused),
        cmocka_unit_test(equality_looks_at_every_byte),
        cmocka_unit_test(random_bytes_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
