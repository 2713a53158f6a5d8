/* UTF-8, checked byte by byte: the table of RFC 3629 section 4. */
#include "base/utf8.h"

static bool is_tail(unsigned char byte)
{
    return (byte & 0xC0) == 0x80;
}

size_t utf8_next(const char *text, size_t size)
{
    const unsigned char *c = (const unsigned char *)text;
    if (!size) return 0;
    if (c[0] < 0x80) return 1;
    if (c[0] < 0xC2 || size < 2) return 0; /* a lone tail, or overlong */
    if (c[0] < 0xE0) return is_tail(c[1]) ? 2 : 0;
    if (size < 3 || !is_tail(c[2])) return 0;
    if (c[0] < 0xF0) {
        unsigned char low = c[0] == 0xE0 ? 0xA0 : 0x80;
        unsigned char high = c[0] == 0xED ? 0x9F : 0xBF; /* surrogates are above */
        return c[1] >= low && c[1] <= high ? 3 : 0;
    }
    if (c[0] > 0xF4 || size < 4 || !is_tail(c[3])) return 0;
    unsigned char low = c[0] == 0xF0 ? 0x90 : 0x80;
    unsigned char high = c[0] == 0xF4 ? 0x8F : 0xBF;
    return c[1] >= low && c[1] <= high ? 4 : 0;
}

bool utf8_valid(const char *text, size_t size)
{
    for (size_t at = 0; at < size;) {
        size_t length = utf8_next(text + at, size - at);
        if (!length) return false;
        at += length;
    }
    return true;
}
