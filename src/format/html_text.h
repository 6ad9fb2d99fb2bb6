/*
 * What a page of HTML says, as plain text: for the plain part of a message that is written as HTML,
 * which every reader without HTML, and every search, sees instead. Not a browser: order and words
 * are kept, paragraphs, headings, items and rows are lines, the address of a link stands behind it
 * where it says something else; images are their alternative text; scripts, styles and what stands
 * in the head are left out.
 *
 * Any octets are allowed; UTF-8 stays as it is. Linear in the input, whatever is nested or left
 * open; one pass, no recursion, no memory but the buf's: at most HTML_TEXT_GROWTH times the input.
 * Lines end in LF. Pure; nothing yields.
 */
#ifndef FORMAT_HTML_TEXT_H
#define FORMAT_HTML_TEXT_H

#include "base/buf.h"
#include "base/str.h"

enum {
    HTML_TEXT_GROWTH = 4,
    HTML_LINK_MAX = 2000, /* octets of a link's address; a longer one is left out */
};

/* Appends; where the buf is full that shows in buf_over. */
void html_text_put(struct str html, struct buf *text);

#endif
