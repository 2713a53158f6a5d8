/* YAML that is read is dumped, and the dump is read as the same; YAML that is refused is told why.
 */
#include "support/fuzz.h"

#include "base/config.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const struct config_key schema[] = {
    {"a", CONFIG_STRING, "", 0, 0, "any text", false},
    {"b.number", CONFIG_INT, "0", INT64_MIN, INT64_MAX, "any number", false},
    {"b.c.flag", CONFIG_BOOL, "false", 0, 0, "any flag", false},
    {"list[]", CONFIG_LIST, "[{t: x}]", 0, 0, "any list", false},
    {"list[].t", CONFIG_STRING, NULL, 0, 0, "any text", false},
    {"list[].d.n", CONFIG_INT, "8", 0, 18, "small number", false},
    {.key = NULL},
};

/* The text as a file, without a disk. */
static enum err load(const char *text, size_t size, struct config **ret, struct err_detail *detail)
{
    char path[64];
    int fd = memfd_create("config", MFD_CLOEXEC);
    CHECK(fd >= 0 && write(fd, text, size) == (ssize_t)size);
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    enum err e = config_load(schema, &(struct config_sources){.file = path}, ret, detail);
    (void)close(fd);
    return e;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config *c = NULL, *again = NULL;
    struct err_detail detail = {0};
    if (load((const char *)data, size, &c, &detail)) {
        CHECK(!c && detail.text[0]);
        return 0;
    }
    AUTO_BUF struct buf first, second;
    buf_init(&first, 4 * 1024 * 1024);
    buf_init(&second, 4 * 1024 * 1024);
    CHECK(config_dump(c, &first) == OK);
    CHECK(load(first.data, first.size, &again, &detail) == OK);
    CHECK(config_dump(again, &second) == OK);
    CHECK(strcmp(first.data, second.data) == 0);
    CHECK(strcmp(config_string(c, "a"), config_string(again, "a")) == 0);
    CHECK(config_count(c, "list[]") == config_count(again, "list[]"));
    config_free(c);
    config_free(again);
    return 0;
}
