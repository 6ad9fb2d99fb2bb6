/*
 * jansson reads what strangers wrote, and it recurses, two thousand deep at most, on stacks of ours
 * that hold a tenth of that; and an object of two octets takes three hundred of memory. So depth
 * and values are counted first, in one pass that knows strings and brackets and nothing else. What
 * it lets through may still be no JSON.
 */
#include "base/buf.h"
#include "format/encodings.h"
#include "trust/token_inside.h"

static bool is_bearable(struct str text, size_t values)
{
    size_t depth = 0, count = 1;
    bool quoted = false;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (c == '"')
            quoted = !quoted;
        else if (quoted)
            i += c == '\\';
        else if (c == '{' || c == '[')
            depth++, count++;
        else if (c == '}' || c == ']')
            depth -= depth > 0;
        else if (c == ',')
            count++;
        if (depth > TOKEN_JSON_DEPTH || count > values)
            return false;
    }
    return true;
}

json_t *token_json_parse(struct str text, size_t values)
{
    if (!is_bearable(text, values))
        return NULL;
    json_error_t error;
    json_t *json = json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES, &error);
    if (json && !json_is_object(json)) {
        json_decref(json);
        return NULL;
    }
    return json;
}

struct str token_octets(struct str text, struct arena *arena)
{
    struct buf buf = buf_in(arena, text.n + 3); /* as base64url_parse takes it */
    return base64url_parse(text, &buf) ? buf_built(&buf) : str_null();
}

struct str token_member(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    return json_is_string(value) ? str_make(json_string_value(value), json_string_length(value))
                                 : str_null();
}
