/*
 * An SMTP client hears one answer for all recipients, and both of its errors are worse than a
 * mailbox a little too full: refused, those with room get nothing; left out, one loses mail that
 * was acknowledged. The overshoot is one message: the next RCPT is refused.
 */
#include "core/room.h"

static bool is_lmtp(const struct transaction *transaction)
{
    return transmission_is_lmtp(transaction->transmission);
}

/* The recipient as a whole: as at RCPT, one copy without room refuses it, lists' copies do not. */
static enum err_code recipient_room(const struct accepted_recipient *recipient, uint64_t size)
{
    enum err_code code = ERR_NONE;
    for (size_t i = 0; i < recipient->copy_count && code != ERR_QUOTA_FULL; i++) {
        struct copy *copy = &recipient->copies[i];
        enum err_code room = copy_room(copy, size);
        copy->over_quota = room != ERR_NONE;
        if (copy->over_quota && !copy->disabled && !copy->list.p)
            code = room;
    }
    return code;
}

struct err room_judge(const struct transaction *transaction, uint64_t size,
                      struct msg_outcome *outcomes, size_t count)
{
    size_t refused = 0;
    enum err_code whole = ERR_QUOTA_FULL;
    for (size_t i = 0; i < count; i++) {
        enum err_code code = recipient_room(&transaction->recipients[outcomes[i].token - 1], size);
        outcomes[i].error = (uint16_t)code;
        refused += code != ERR_NONE;
        if (code == ERR_QUOTA_FULL_LATER)
            whole = code; /* Trying again helps somebody. */
    }
    if (refused == count)
        return err_make(whole);
    for (size_t i = 0; i < count && !is_lmtp(transaction); i++)
        outcomes[i].error = ERR_NONE;
    return err_none();
}
