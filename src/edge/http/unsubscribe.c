/*
 * The page behind the link of a newsletter (RFC 8058). Whoever opens it, and scanners open every
 * link, sees a button and changes nothing; the button, and mail providers for their users, send
 * what List-Unsubscribe-Post says. No cookie, script or picture: there is nothing to know of who
 * comes but the token in the path.
 */
#include "edge/http/pages.h"

enum {
    PAGE_MAX = 8 << 10,
    PATH_PREFIX = sizeof "/unsubscribe/" - 1,
};

static const struct {
    const char *tag, *title, *question, *button, *done;
} words[LANGUAGES] = {
    [LANGUAGE_ENGLISH] = {"en", "Unsubscribe", "Do you want to get no more messages of",
                          "Unsubscribe", "You will get no more messages of"},
    [LANGUAGE_CHINESE] = {"zh-CN", "退订", "您不想再收到以下邮件列表的邮件吗？", "退订",
                          "您不会再收到以下邮件列表的邮件："},
};

/* Somebody's text in a page (catalogue W02): nothing of it is markup, and none of its characters
 * turns the line around. */
void http_text_put(struct buf *to, struct str text)
{
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        if (c == '&' || c == '<' || c == '>' || c == '"' || c == '\'')
            buf_printf(to, "&#%u;", c);
        else if (c >= ' ' && c != 0x7f)
            buf_putc(to, (char)c);
    }
}

/* "News <news@example.test>" */
static void list_put(struct buf *to, const struct msg_unsubscribed *answer)
{
    struct buf text = BUF_INIT(PAGE_MAX);
    if (answer->name.n > 0)
        buf_printf(&text, "%.*s ", STR_FMT(answer->name));
    buf_printf(&text, "<%.*s>", STR_FMT(answer->list));
    http_text_put(to, buf_str(&text));
    buf_done(&text);
}

static void page_put(struct buf *to, enum language language, bool asks,
                     const struct msg_unsubscribed *answer)
{
    buf_printf(to,
               "<!DOCTYPE html>\n<html lang=\"%s\"><head><meta charset=\"utf-8\">"
               "<meta name=\"viewport\" content=\"width=device-width\"><title>%s</title></head>\n"
               "<body><h1>%s</h1><p>%s<br><bdi>",
               words[language].tag, words[language].title, words[language].title,
               asks ? words[language].question : words[language].done);
    list_put(to, answer);
    buf_put(to, STR("</bdi></p>\n"));
    if (asks)
        buf_printf(to,
                   "<form method=\"post\"><input type=\"hidden\" name=\"List-Unsubscribe\" "
                   "value=\"One-Click\"><button type=\"submit\">%s</button></form>\n",
                   words[language].button);
    buf_put(to, STR("</body></html>\n"));
}

static unsigned status_of(struct err e, const struct msg_unsubscribed *answer)
{
    if (err_is(e))
        return 503;
    return answer->error == ERR_NONE ? 200 : answer->error == ERR_NOT_FOUND ? 404 : 503;
}

/* May yield. */
static void page(struct http_session *s, const struct http_request_here *request, bool leaves)
{
    enum language language = http_language(request->asked.language, s->base.conf->server.language);
    struct arena *arena = edge_scratch_take(s->base.edge);
    struct http_answer answer = {.status = 503};
    struct buf text = BUF_INIT(PAGE_MAX);
    struct msg told = {.kind = MSG_unsubscribed};
    struct msg question = {
        .kind = MSG_unsubscribe,
        .unsubscribe = {.token = str_from_index(request->asked.path, PATH_PREFIX),
                        .leaves = leaves,
                        .client = edge_session_client(&s->base)}};
    if (arena) {
        struct err e = edge_ask(s->base.edge, &question, arena, &told);
        answer.status = status_of(e, &told.unsubscribed);
    }
    if (answer.status == 200) {
        page_put(&text, language, !leaves, &told.unsubscribed);
        answer.type = STR("text/html; charset=utf-8");
        answer.body = buf_str(&text);
        answer.language = words[language].tag;
    }
    http_answer(s, &request->asked, &answer);
    buf_done(&text);
    if (arena)
        edge_scratch_give(s->base.edge, arena);
}

void http_unsubscribe_look(struct http_session *s, const struct http_request_here *request)
{
    page(s, request, false);
}

void http_unsubscribe(struct http_session *s, const struct http_request_here *request)
{
    const struct http_answer unclear = {.status = 400};
    if (http_form_says(request->asked.type, request->body, STR("List-Unsubscribe"),
                       STR("One-Click")))
        page(s, request, true);
    else
        http_answer(s, &request->asked, &unclear);
}
