/* Text that is read as an amount is written and read again as the same amount, at every scale. */
#include "support/fuzz.h"

#include "base/decimal.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[64];
    if (size < 1 || size >= sizeof text) return 0;
    unsigned scale = data[0] % (DECIMAL_SCALE_MAX + 1);
    memcpy(text, data + 1, size - 1);
    text[size - 1] = 0;

    int64_t amount, again;
    if (decimal_parse(text, scale, &amount)) return 0;
    char canonical[DECIMAL_TEXT_SIZE];
    decimal_format(amount, scale, canonical);
    CHECK(decimal_parse(canonical, scale, &again) == OK && again == amount);
    return 0;
}
