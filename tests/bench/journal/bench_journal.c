/*
 * What the journal costs: entries and syncs per second for batches of 1 to 4096, then how fast all
 * of it is replayed. bench_journal DIRECTORY (on the disk that is meant; it is left empty).
 */
#include "base/clock.h"
#include "base/journal/journal.h"

#include <stdio.h>
#include <string.h>

#define ENTRY_SIZE 128
#define SECONDS    2
#define BATCH_MAX  4096

static enum err count_entry(void *arg, uint64_t seq, const void *data, size_t size)
{
    (void)seq;
    (void)data;
    *(uint64_t *)arg += size;
    return OK;
}

/* Of one batch size; 0: of none. */
static void print(const char *name, size_t batch, double value, const char *unit)
{
    char of[24] = "";
    if (batch) (void)snprintf(of, sizeof of, ".%zu", batch);
    (void)printf("{\"name\":\"journal.%s%s\",\"value\":%.1f,\"unit\":\"%s\"}\n", name, of, value,
                 unit);
}

static struct journal *open_journal(const char *directory)
{
    uint64_t bytes = 0;
    struct err_detail detail;
    struct journal *j;
    const struct journal_options options = {.directory = directory, .name = "bench"};
    const struct journal_reader reader = {.arg = &bytes, .entry = count_entry};
    int64_t begin = clock_mono_us();
    if (journal_open(&options, &reader, &j, &detail) != OK) {
        (void)fprintf(stderr, "%s\n", detail.text);
        exit(1);
    }
    double seconds = (double)(clock_mono_us() - begin) / 1e6;
    if (journal_last_seq(j)) {
        print("open", 0, (double)journal_last_seq(j) / seconds, "entries/s");
        print("open", 0, (double)bytes / 1e6 / seconds, "MB/s");
    }
    return j;
}

static void append(struct journal *j, size_t batch)
{
    static char text[ENTRY_SIZE] = "an entry";
    static struct iovec entries[BATCH_MAX];
    for (size_t i = 0; i < batch; i++)
        entries[i] = (struct iovec){text, sizeof text};
    int64_t begin = clock_mono_us(), now = begin;
    uint64_t batches = 0;
    for (; now - begin < SECONDS * 1000000; now = clock_mono_us(), batches++)
        if (journal_append(j, entries, batch, NULL) != OK) exit(1);
    double seconds = (double)(now - begin) / 1e6;
    print("append", batch, (double)(batches * batch) / seconds, "entries/s");
    print("sync", batch, seconds * 1e6 / (double)batches, "us");
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        (void)fprintf(stderr, "usage: bench_journal DIRECTORY\n");
        return 2;
    }
    struct journal *j = open_journal(argv[1]);
    for (size_t batch = 1; batch <= BATCH_MAX; batch *= 8)
        append(j, batch);
    journal_close(j);
    journal_close(open_journal(argv[1]));
    return 0;
}
