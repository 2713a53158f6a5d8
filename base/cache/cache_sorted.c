/* Sorted sets as two ordered arrays. An insertion moves pointers, at most CACHE_MEMBERS_MAX of
 * them. */
#include "base/cache/cache_sorted.h"

#include <stdlib.h>
#include <string.h>

static int compare_text(const struct sorted_member *m, struct cache_bytes text)
{
    size_t shorter = m->size < text.size ? m->size : text.size;
    int order = memcmp(m->text, text.data, shorter);
    return order ? order : (m->size > text.size) - (m->size < text.size);
}

static size_t position_by_text(const struct sorted *s, struct cache_bytes text)
{
    size_t low = 0, high = s->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (compare_text(s->by_text[middle], text) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static size_t position_by_score(const struct sorted *s, int64_t score, struct cache_bytes text)
{
    size_t low = 0, high = s->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        const struct sorted_member *m = s->by_score[middle];
        if (m->score < score || (m->score == score && compare_text(m, text) < 0))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void insert(struct sorted_member **array, size_t count, size_t at, struct sorted_member *m)
{
    memmove(array + at + 1, array + at, (count - at) * sizeof *array);
    array[at] = m;
}

static void cut(struct sorted_member **array, size_t count, size_t at)
{
    memmove(array + at, array + at + 1, (count - at - 1) * sizeof *array);
}

void sorted_release(struct sorted *s)
{
    for (size_t i = 0; i < s->count; i++)
        free(s->by_text[i]);
    free(s->by_text);
    free(s->by_score);
    *s = (struct sorted){0};
}

bool sorted_has(const struct sorted *s, struct cache_bytes member)
{
    size_t at = position_by_text(s, member);
    return at < s->count && compare_text(s->by_text[at], member) == 0;
}

static enum err grow(struct sorted *s)
{
    if (s->count < s->capacity) return OK;
    size_t capacity = s->capacity ? 2 * s->capacity : 4;
    struct sorted_member **by_text = realloc(s->by_text, capacity * sizeof *by_text);
    if (by_text) s->by_text = by_text;
    struct sorted_member **by_score = realloc(s->by_score, capacity * sizeof *by_score);
    if (by_score) s->by_score = by_score;
    if (!by_text || !by_score) return ERR_NO_MEMORY;
    s->capacity = capacity;
    return OK;
}

static void move(struct sorted *s, struct sorted_member *m, int64_t score)
{
    struct cache_bytes text = {m->text, m->size};
    cut(s->by_score, s->count, position_by_score(s, m->score, text));
    s->count--; /* it is not in by_score for a moment */
    m->score = score;
    insert(s->by_score, s->count, position_by_score(s, score, text), m);
    s->count++;
}

enum err sorted_put(struct sorted *s, struct cache_bytes member, int64_t score)
{
    size_t at = position_by_text(s, member);
    if (at < s->count && compare_text(s->by_text[at], member) == 0) {
        move(s, s->by_text[at], score);
        return OK;
    }
    enum err e = grow(s);
    if (e) return e;
    struct sorted_member *m = malloc(sizeof *m + member.size + 1);
    if (!m) return ERR_NO_MEMORY;
    m->score = score;
    m->size = member.size;
    memcpy(m->text, member.data, member.size);
    m->text[member.size] = 0;
    insert(s->by_score, s->count, position_by_score(s, score, member), m);
    insert(s->by_text, s->count, at, m);
    s->count++;
    s->bytes += SORTED_MEMBER_BYTES(m->size);
    return OK;
}

static void drop(struct sorted *s, size_t by_text_at, size_t by_score_at)
{
    struct sorted_member *m = s->by_text[by_text_at];
    cut(s->by_text, s->count, by_text_at);
    cut(s->by_score, s->count, by_score_at);
    s->count--;
    s->bytes -= SORTED_MEMBER_BYTES(m->size);
    free(m);
}

void sorted_remove(struct sorted *s, struct cache_bytes member)
{
    size_t at = position_by_text(s, member);
    if (at == s->count || compare_text(s->by_text[at], member) != 0) return;
    drop(s, at, position_by_score(s, s->by_text[at]->score, member));
}

void sorted_trim(struct sorted *s, int64_t min)
{
    size_t gone = sorted_from(s, min);
    if (gone == 0) return;
    size_t kept = 0;
    for (size_t i = 0; i < s->count; i++) { /* one pass, however many go */
        struct sorted_member *m = s->by_text[i];
        if (m->score >= min) {
            s->by_text[kept++] = m;
            continue;
        }
        s->bytes -= SORTED_MEMBER_BYTES(m->size);
        free(m);
    }
    memmove(s->by_score, s->by_score + gone, kept * sizeof(*s->by_score));
    s->count = kept;
}

size_t sorted_from(const struct sorted *s, int64_t min)
{
    return position_by_score(s, min, (struct cache_bytes){"", 0});
}
