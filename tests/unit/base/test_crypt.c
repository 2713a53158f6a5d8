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

/* https://www.rfc-editor.org/rfc/rfc8032#section-7.1, tests 1 to 3 */
static void ed25519_is_the_standards(void **state)
{
    (void)state;
    static const struct {
        const char *key, *message, *signature;
    } vectors[] = {
        {"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
         "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701"
         "cf9"
         "b46bd25bf5f0595bbe24655141438e7a100b"},
        {"3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
         "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d"
         "0f1"
         "1d8c387b2eaeb4302aeeb00d291612bb0c00"},
        {"fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
         "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f7609"
         "84d"
         "c6594a7c15e9716ed28dc027beceea1ec40a"},
    };
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        uint8_t key[ED25519_KEY_SIZE], message[2], signature[ED25519_SIGNATURE_SIZE];
        size_t size = strlen(vectors[i].message) / 2;
        assert_ok(hex_decode(vectors[i].key, key, sizeof key));
        assert_ok(hex_decode(vectors[i].message, message, size));
        assert_ok(hex_decode(vectors[i].signature, signature, sizeof signature));
        assert_true(crypt_ed25519_verify(key, message, size, signature));
        for (size_t bit = 0; bit < 8 * sizeof signature; bit++) {
            signature[bit / 8] ^= (uint8_t)(1u << bit % 8);
            assert_false(crypt_ed25519_verify(key, message, size, signature));
            signature[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        memset(key, 0xff, sizeof key); /* no point of the curve */
        assert_false(crypt_ed25519_verify(key, message, size, signature));
    }
}

static void what_was_sealed_opens_for_its_own_key_and_context_only(void **state)
{
    (void)state;
    enum { SIZES = 70 };
    uint8_t key[CRYPT_SEAL_KEY_SIZE] = {7}, data[SIZES], sealed[SIZES + CRYPT_SEAL_SIZE],
            again[SIZES + CRYPT_SEAL_SIZE];
    crypt_random(data, sizeof data);
    for (size_t size = 0; size <= SIZES; size++) {
        crypt_seal(key, "ann", data, size, sealed);
        assert_ok(crypt_open(key, "ann", sealed, size + CRYPT_SEAL_SIZE, again));
        assert_memory_equal(again, data, size);
        assert_err(crypt_open(key, "bob", sealed, size + CRYPT_SEAL_SIZE, again), ERR_CORRUPT);
        assert_err(crypt_open(key, "ann", sealed, size + CRYPT_SEAL_SIZE - 1, again), ERR_CORRUPT);
        key[0] ^= 1;
        assert_err(crypt_open(key, "ann", sealed, size + CRYPT_SEAL_SIZE, again), ERR_CORRUPT);
        key[0] ^= 1;
    }
    for (size_t bit = 0; bit < 8 * sizeof sealed; bit++) {
        sealed[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_err(crypt_open(key, "ann", sealed, sizeof sealed, again), ERR_CORRUPT);
        sealed[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    crypt_seal(key, "ann", data, SIZES, again);
    assert_memory_not_equal(again, sealed, sizeof sealed); /* the same is never sealed alike */
    for (size_t size = 0; size < CRYPT_SEAL_SIZE; size++)
        assert_err(crypt_open(key, "ann", sealed, size, again), ERR_CORRUPT);
}

/* RFC 4648, section 10 */
static void base64_has_one_spelling(void **state)
{
    (void)state;
    static const struct {
        const char *text, *bytes; /* NULL: no spelling of so many bytes */
        size_t size;
    } cases[] = {
        {"", "", 0},
        {"Zg==", "f", 1},
        {"Zm8=", "fo", 2},
        {"Zm9v", "foo", 3},
        {"Zm9vYg==", "foob", 4},
        {"Zm9vYmE=", "fooba", 5},
        {"+/+/", "\xfb\xff\xbf", 3},
        {"Zh==", NULL, 1},
        {"Zg=", NULL, 1},
        {"Zg", NULL, 1},
        {"Zg===", NULL, 1},
        {"Zm9=", NULL, 2},
        {"-_-_", NULL, 3},
        {" Zm9", NULL, 3},
        {"Zm9\n", NULL, 3},
        {"Zm9v", NULL, 2},
        {"Zg==", NULL, 2},
        {"Zm9v", NULL, 4},
        {"Z=9v", NULL, 3},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t bytes[8];
        enum err e = base64_decode(cases[i].text, bytes, cases[i].size);
        if (e != (cases[i].bytes ? OK : ERR_INVALID)) fail_msg("%s", cases[i].text);
        if (!e) assert_memory_equal(bytes, cases[i].bytes, cases[i].size);
    }
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
        cmocka_unit_test(ed25519_is_the_standards),
        cmocka_unit_test(what_was_sealed_opens_for_its_own_key_and_context_only),
        cmocka_unit_test(base64_has_one_spelling),
        cmocka_unit_test(equality_looks_at_every_byte),
        cmocka_unit_test(random_bytes_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
