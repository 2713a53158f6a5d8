/*
 * The help site (contract_pages), and what a browser sees where there is nothing. Thread-safe;
 * blocks as http_answer does.
 */
#ifndef GATEWAY_PAGES_H
#define GATEWAY_PAGES_H

#include "http.h"

/* GET /docs and below: the page, or that there is none. */
void pages_handle(struct http_exchange *x);

/* 404: a page for who accepts text/html by name, else problem JSON. */
void pages_not_found(struct http_exchange *x);

#endif
