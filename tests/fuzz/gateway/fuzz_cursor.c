/* A cursor that is accepted is written the same; a channel that is accepted keeps its name, and its
 * hub name leads back to it. */
#include "support/fuzz.h"

#include "cursor.h"

#include <stdlib.h>
#include <string.h>

#define ANN "019a3b5c7d8e7f0192a3b4c5d6e7f809"

static void check_cursor(const char *text)
{
    struct cursor c;
    char again[CURSOR_TEXT_SIZE];
    if (cursor_parse(text, &c)) return;
    CHECK(c.count > 0 && c.count <= FEED_TOPICS_MAX);
    cursor_format(&c, again);
    CHECK(strcmp(again, text) == 0);
}

static void check_channel(const char *text)
{
    struct feed_channel c, again;
    char name[HUB_CHANNEL_MAX + 1];
    if (feed_channel(text, ANN, &c, NULL)) return;
    CHECK(strcmp(c.name, text) == 0);
    CHECK(c.topic < feed_topic_count() && feed_topic(c.topic));
    memcpy(name, c.hub, sizeof name);
    name[strcspn(name, "/")] = 0;
    CHECK(feed_channel(name, ANN, &again, NULL) == OK && strcmp(again.hub, c.hub) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    CHECK(text);
    if (size) memcpy(text, data, size);
    text[size] = 0;
    check_cursor(text);
    check_channel(text);
    free(text);
    return 0;
}
