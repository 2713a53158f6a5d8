/* P-256 keys by OpenSSL: made, loaded from a directory, turned into JWKs and back. */
#include "base/token_key.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/crypt.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COORDINATE_SIZE 32 /* bytes of a P-256 coordinate */
#define PEM_SIZE_MAX    4096

AUTO_DEFINE(EVP_PKEY, EVP_PKEY_free)
AUTO_DEFINE(BIO, BIO_free_all)
AUTO_DEFINE(BIGNUM, BN_free)
#define AUTO_PKEY AUTO(auto_EVP_PKEY_free)
#define AUTO_BIO  AUTO(auto_BIO_free_all)
#define AUTO_BN   AUTO(auto_BN_free)

void token_key_release(struct token_key *key)
{
    if (key->private_pem) OPENSSL_cleanse(key->private_pem, strlen(key->private_pem));
    free(key->private_pem);
    free(key->public_pem);
    *key = (struct token_key){0};
}

static char *bio_text(BIO *bio)
{
    char *data = NULL;
    long size = BIO_get_mem_data(bio, &data);
    return size > 0 ? strndup(data, (size_t)size) : NULL;
}

static char *public_pem(EVP_PKEY *pkey)
{
    AUTO_BIO BIO *bio = BIO_new(BIO_s_mem());
    return bio && PEM_write_bio_PUBKEY(bio, pkey) ? bio_text(bio) : NULL;
}

static bool coordinate(EVP_PKEY *pkey, const char *name, char *ret)
{
    AUTO_BN BIGNUM *number = NULL;
    uint8_t bytes[COORDINATE_SIZE];
    if (!EVP_PKEY_get_bn_param(pkey, name, &number) ||
        BN_bn2binpad(number, bytes, sizeof bytes) != (int)sizeof bytes)
        return false;
    base64url_encode(bytes, sizeof bytes, ret);
    return true;
}

/* The key's name: its JWK thumbprint (RFC 7638). */
static void thumbprint(struct token_jwk *jwk)
{
    char json[256];
    uint8_t hash[SHA256_SIZE];
    int size =
        snprintf(json, sizeof json, "{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"%s\",\"y\":\"%s\"}",
                 jwk->x, jwk->y);
    crypt_sha256(json, (size_t)size, hash);
    base64url_encode(hash, sizeof hash, jwk->kid);
}

static enum err fill(EVP_PKEY *pkey, struct token_key *ret)
{
    char group[32] = "";
    if (!EVP_PKEY_get_group_name(pkey, group, sizeof group, NULL) ||
        strcmp(group, "prime256v1") != 0 ||
        !coordinate(pkey, OSSL_PKEY_PARAM_EC_PUB_X, ret->jwk.x) ||
        !coordinate(pkey, OSSL_PKEY_PARAM_EC_PUB_Y, ret->jwk.y))
        return ERR_INVALID;
    thumbprint(&ret->jwk);
    ret->public_pem = public_pem(pkey);
    return ret->public_pem ? OK : ERR_NO_MEMORY;
}

/* The uncompressed point 04 || x || y as an EVP key; NULL if it is not on the curve. */
static EVP_PKEY *pkey_from_point(uint8_t *point, size_t size)
{
    char group[] = "prime256v1";
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, size),
        OSSL_PARAM_construct_end(),
    };
    EVP_PKEY *pkey = NULL;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    if (context && EVP_PKEY_fromdata_init(context) == 1)
        (void)EVP_PKEY_fromdata(context, &pkey, EVP_PKEY_PUBLIC_KEY, parameters);
    EVP_PKEY_CTX_free(context);
    return pkey;
}

enum err token_key_from_jwk(const struct token_jwk *jwk, struct token_key *ret)
{
    uint8_t point[1 + 2 * COORDINATE_SIZE] = {4};
    size_t x_size = COORDINATE_SIZE, y_size = COORDINATE_SIZE;
    if (base64url_decode(jwk->x, point + 1, &x_size) ||
        base64url_decode(jwk->y, point + 1 + COORDINATE_SIZE, &y_size) ||
        x_size != COORDINATE_SIZE || y_size != COORDINATE_SIZE)
        return ERR_INVALID;
    AUTO_PKEY EVP_PKEY *pkey = pkey_from_point(point, sizeof point);
    if (!pkey) return ERR_INVALID;

    struct token_key key = {0};
    enum err e = fill(pkey, &key);
    if (e) return e;
    *ret = key;
    return OK;
}

/* ---- the directory of private keys ---- */

static enum err write_file(const char *path, const char *text, struct err_detail *detail)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_set(detail, err_from_errno(errno), "cannot create the key file %s", path);
    size_t size = strlen(text);
    bool written = write(fd, text, size) == (ssize_t)size && fsync(fd) == 0;
    int failure = errno;
    (void)close(fd);
    if (written) return OK;
    (void)unlink(path);
    return err_set(detail, err_from_errno(failure), "cannot write the key file %s", path);
}

static enum err make_key(const char *directory, struct err_detail *detail)
{
    AUTO_PKEY EVP_PKEY *pkey = EVP_EC_gen("P-256");
    AUTO_BIO BIO *bio = BIO_new(BIO_s_mem());
    if (!pkey || !bio || !PEM_write_bio_PrivateKey(bio, pkey, NULL, NULL, 0, NULL, NULL))
        return ERR_NO_MEMORY;
    AUTO_FREE char *pem = bio_text(bio);
    char path[1024];
    if (!pem) return ERR_NO_MEMORY;
    if (snprintf(path, sizeof path, "%s/%020lld.pem", directory, (long long)clock_wall_ms()) >=
        (int)sizeof path)
        return err_set(detail, ERR_INVALID, "the path of the key directory is too long");
    return write_file(path, pem, detail);
}

static enum err load_file(const char *path, struct token_key *ret, struct err_detail *detail)
{
    AUTO_BIO BIO *file = BIO_new_file(path, "r");
    if (!file) return err_set(detail, ERR_IO, "cannot read the key file %s", path);
    AUTO_PKEY EVP_PKEY *pkey = PEM_read_bio_PrivateKey(file, NULL, NULL, NULL);
    AUTO_BIO BIO *bio = BIO_new(BIO_s_mem());
    struct token_key key = {0};
    if (!pkey || !bio || fill(pkey, &key) ||
        !PEM_write_bio_PrivateKey(bio, pkey, NULL, NULL, 0, NULL, NULL) ||
        !(key.private_pem = bio_text(bio))) {
        token_key_release(&key);
        return err_set(detail, ERR_INVALID, "%s is not a P-256 private key in PEM", path);
    }
    *ret = key;
    return OK;
}

static int is_pem(const struct dirent *entry)
{
    size_t size = strlen(entry->d_name);
    return size > 4 && strcmp(entry->d_name + size - 4, ".pem") == 0;
}

static enum err load_all(const char *directory, struct token_keys *keys, struct err_detail *detail)
{
    struct dirent **entries = NULL;
    int count = scandir(directory, &entries, is_pem, alphasort);
    if (count < 0)
        return err_set(detail, err_from_errno(errno), "cannot read the key directory %s",
                       directory);

    enum err e = OK;
    if (count > TOKEN_KEYS_MAX)
        e = err_set(detail, ERR_INVALID, "%s holds %d keys, at most %d are allowed", directory,
                    count, TOKEN_KEYS_MAX);
    for (int i = 0; i < count && !e; i++) {
        char path[1024];
        (void)snprintf(path, sizeof path, "%s/%s", directory, entries[i]->d_name);
        e = load_file(path, &keys->keys[keys->count], detail);
        if (!e) keys->count++;
    }
    for (int i = 0; i < count; i++)
        free(entries[i]);
    free(entries);
    return e;
}

enum err token_keys_load(const char *directory, struct token_keys **ret, struct err_detail *detail)
{
    AUTO(auto_token_keys_free) struct token_keys *keys = calloc(1, sizeof *keys);
    if (!keys) return ERR_NO_MEMORY;
    if (mkdir(directory, 0700) && errno != EEXIST)
        return err_set(detail, err_from_errno(errno), "cannot create the key directory %s",
                       directory);

    enum err e = load_all(directory, keys, detail);
    if (!e && keys->count == 0) {
        e = make_key(directory, detail);
        if (!e) e = load_all(directory, keys, detail);
    }
    if (e) return e;
    *ret = TAKE(keys);
    return OK;
}
