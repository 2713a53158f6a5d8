/* Judge everything, then change everything: nothing of the second half can fail. */
#include "reload.h"

enum err reload_log_level(const struct config *c, enum log_level *ret, struct err_detail *detail)
{
    const char *text = config_string(c, "log.level");
    if (!log_level_parse(text, ret)) return OK;
    return err_set(detail, ERR_INVALID, "log.level: must be debug, info, warn or error, not \"%s\"",
                   text);
}

static enum err list_changed(const struct config *current, const struct config *next,
                             struct buf *ret, struct err_detail *detail)
{
    for (const struct config_key *k = NULL; (k = config_changed(current, next, k));) {
        if (!(k->flags & CONFIG_RELOAD))
            return err_set(detail, ERR_PRECONDITION,
                           "%s: cannot change while running; restart, or take it back", k->key);
        (void)buf_add_format(ret, "%s%s", ret->size ? "," : "", k->key);
    }
    return ret->error;
}

static enum err change_parts(const struct running *r, const struct config *next,
                             struct err_detail *detail)
{
    void *change[PARTS_MAX] = {0};
    enum err e = OK;
    size_t judged = 0;
    for (; judged < r->count; judged++) {
        const struct part_ops *ops = r->ops[judged];
        if (!ops->reload_prepare) continue;
        e = ops->reload_prepare(r->part[judged], next, &change[judged], detail);
        if (e) break;
    }
    for (size_t i = 0; i < judged; i++)
        if (r->ops[i]->reload_prepare) r->ops[i]->reload_finish(r->part[i], change[i], !e);
    return e;
}

enum err reload(const struct running *r, const struct config *current, const struct config *next,
                struct buf *ret_changed, struct err_detail *detail)
{
    enum log_level level = LOG_INFO;
    enum err e = list_changed(current, next, ret_changed, detail);
    if (!e) e = reload_log_level(next, &level, detail);
    if (!e) e = change_parts(r, next, detail);
    if (!e) log_set_level(level);
    return e;
}
