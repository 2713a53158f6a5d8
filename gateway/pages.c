/* Pages out of the contract's table. */
#include "pages.h"

#include "media.h"

#include "proto/contract.h"

#include <string.h>

#define ROOT      "/docs"
#define NOT_FOUND "not-found" /* the page; gen/site.py has the same name */

/* Own style, script, icon and answers, nothing inline, nothing from elsewhere. */
static const char csp[] = "default-src 'none'; script-src 'self'; style-src 'self'; "
                          "img-src 'self'; connect-src 'self'; base-uri 'none'; "
                          "form-action 'none'; frame-ancestors 'none'";

static void answer(struct http_exchange *x, int status, const struct contract_page *page)
{
    http_set_csp(x, csp);
    if (page->immutable) http_set_cache(x, "public, max-age=31536000, immutable");
    http_answer(x, status, page->type, page->body, page->size);
}

void pages_handle(struct http_exchange *x)
{
    const char *name = http_path(x) + strlen(ROOT);
    if (*name == '/') name++;
    const struct contract_page *page = contract_page(name);
    if (page && strcmp(name, NOT_FOUND) != 0)
        answer(x, 200, page);
    else
        pages_not_found(x);
}

void pages_not_found(struct http_exchange *x)
{
    const struct contract_page *page = contract_page(NOT_FOUND);
    if (page && media_names(http_header(x, "Accept"), "text/html"))
        answer(x, 404, page);
    else
        http_problem_text(x, ERR_NOT_FOUND, "there is nothing here; see /docs");
}
