/* A lock with a deadline. pthread_mutex_timedlock has the wall clock, which jumps. */
#include "base/store/driver.h"

#include <time.h>

void turn_init(struct turn *t)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&t->given, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&t->lock, NULL);
    t->taken = false;
}

void turn_release(struct turn *t)
{
    pthread_cond_destroy(&t->given);
    pthread_mutex_destroy(&t->lock);
}

enum err turn_take(struct turn *t, int64_t until_ms)
{
    const struct timespec until = {until_ms / 1000, until_ms % 1000 * 1000000};
    bool late = false;

    pthread_mutex_lock(&t->lock);
    while (t->taken && !late)
        late = pthread_cond_timedwait(&t->given, &t->lock, &until) != 0;
    bool mine = !t->taken;
    if (mine) t->taken = true;
    pthread_mutex_unlock(&t->lock);
    return mine ? OK : err_set(store_detail(), ERR_TIMEOUT, "others were not done in time");
}

void turn_give(struct turn *t)
{
    pthread_mutex_lock(&t->lock);
    t->taken = false;
    pthread_cond_signal(&t->given);
    pthread_mutex_unlock(&t->lock);
}
