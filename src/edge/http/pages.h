/*
 * What is served besides files: a function for each row of resources.c. All may yield.
 */
#ifndef EDGE_HTTP_PAGES_H
#define EDGE_HTTP_PAGES_H

#include "edge/http/session.h"

/* GET: which list is it, and a button. POST with List-Unsubscribe=One-Click: he leaves. */
void http_unsubscribe_look(struct http_session *s, const struct http_request_here *request);
void http_unsubscribe(struct http_session *s, const struct http_request_here *request);

/* Text made safe in HTML, between tags and in quotes. */
void http_text_put(struct buf *to, struct str text);

#endif
