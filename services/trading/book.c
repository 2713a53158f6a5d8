/* Queues of orders at the prices of two ladders. */
#include "book.h"

static const char *const reason_words[REASON_COUNT] = {
#define REASON_WORD(name, word) [name] = (word),
    REASON_TABLE(REASON_WORD)
#undef REASON_WORD
};

const char *reason_word(enum reason r)
{
    return reason_words[r];
}

void book_init(struct book *b, struct pool *levels)
{
    *b = (struct book){0};
    ladder_init(&b->bids, false, levels);
    ladder_init(&b->asks, true, levels);
}

void book_release(struct book *b)
{
    ladder_release(&b->bids);
    ladder_release(&b->asks);
}

struct ladder *book_side(struct book *b, enum side side)
{
    return side == SIDE_BUY ? &b->bids : &b->asks;
}

bool book_add(struct book *b, struct order *o)
{
    struct ladder *ladder = book_side(b, o->terms.side);
    struct level *level = ladder_add(ladder, o->terms.price);
    int64_t quantity;
    if (__builtin_add_overflow(level->quantity, order_left(o), &quantity)) return false;

    level->quantity = quantity;
    level->orders++;
    o->level = level;
    o->newer = NULL;
    o->older = level->last;
    if (level->last)
        level->last->newer = o;
    else
        level->first = o;
    level->last = o;
    return true;
}

void book_remove(struct book *b, struct order *o)
{
    struct level *level = o->level;
    if (o->older)
        o->older->newer = o->newer;
    else
        level->first = o->newer;
    if (o->newer)
        o->newer->older = o->older;
    else
        level->last = o->older;
    level->quantity -= order_left(o);
    level->orders--;
    o->level = NULL;
    if (!level->orders) ladder_remove(book_side(b, o->terms.side), level);
}

void book_reduce(struct order *o, int64_t quantity)
{
    o->level->quantity -= quantity;
}
