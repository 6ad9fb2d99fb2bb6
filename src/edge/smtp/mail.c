/*
 * The pool is a stack: the transaction that begins next uses the memory that is still in the cache.
 */
#include "edge/smtp/mail.h"

enum {
    ENVELOPE_BLOCK = 4096,
    FIRST_RECIPIENTS = 4
};

static void mail_close(struct smtp_mail *mail)
{
    arena_done(&mail->arena);
    smtp_body_close(&mail->body);
    free(mail);
}

static struct smtp_mail *mail_open(struct smtp_shared *shared)
{
    struct smtp_mail *mail = calloc(1, sizeof *mail);
    if (!mail)
        return NULL;
    arena_init(&mail->arena, SMTP_ENVELOPE_MAX);
    mail->arena.block_size = ENVELOPE_BLOCK;
    smtp_body_open(&mail->body, &shared->parking);
    return mail;
}

struct smtp_mail *smtp_mail_take(struct smtp_shared *shared)
{
    struct smtp_mail *mail = SLIST_FIRST(&shared->mails);
    if (!mail)
        return mail_open(shared);
    SLIST_REMOVE_HEAD(&shared->mails, link);
    shared->mails_kept--;
    return mail;
}

/* Keeps the memory that is worth keeping, and nothing of what was in it. */
static void mail_clear(struct smtp_mail *mail)
{
    arena_reset(&mail->arena);
    mail->core_since = mail->message = mail->size = 0;
    mail->reverse_path = mail->asked = str_null();
    mail->utf8 = mail->any_refused = mail->unnamed = mail->stale = false;
    mail->body_type = SMTP_7BIT;
    mail->command = MAIL_MAIL;
    mail->head = NULL;
    mail->recipients = NULL;
    mail->recipient_count = mail->recipient_room = mail->domain_count = 0;
    mail->expected = NULL;
    mail->expected_count = mail->expected_next = 0;
}

void smtp_mail_give(struct smtp_shared *shared, struct smtp_mail **mail)
{
    struct smtp_mail *given = *mail;
    *mail = NULL;
    smtp_body_end(&given->body);
    if (shared->mails_kept == SMTP_MAILS_KEPT) {
        mail_close(given);
        return;
    }
    mail_clear(given);
    SLIST_INSERT_HEAD(&shared->mails, given, link);
    shared->mails_kept++;
}

void smtp_mails_close(struct smtp_shared *shared)
{
    while (!SLIST_EMPTY(&shared->mails)) {
        struct smtp_mail *mail = SLIST_FIRST(&shared->mails);
        SLIST_REMOVE_HEAD(&shared->mails, link);
        mail_close(mail);
    }
    shared->mails_kept = 0;
}

static bool recipients_grow(struct smtp_mail *mail)
{
    size_t room = mail->recipient_room ? 2 * mail->recipient_room : FIRST_RECIPIENTS;
    struct smtp_recipient *grown = arena_take_array(&mail->arena, room, sizeof *grown);
    if (!grown)
        return false;
    if (mail->recipient_count > 0)
        memcpy(grown, mail->recipients, mail->recipient_count * sizeof *grown);
    mail->recipients = grown;
    mail->recipient_room = room;
    return true;
}

static struct str domain_of(struct str address)
{
    ssize_t at = str_last_index(address, '@');
    return at < 0 ? str_null() : str_from_index(address, (size_t)at + 1);
}

bool smtp_mail_new_domain(const struct smtp_mail *mail, struct str address)
{
    struct str domain = domain_of(address);
    /* Most share the domain of the one before. */
    for (size_t i = mail->recipient_count; i > 0; i--) {
        if (str_eq(domain_of(mail->recipients[i - 1].address), domain))
            return false;
    }
    return true;
}

bool smtp_mail_add(struct smtp_mail *mail, struct str address, struct str asked, uint32_t token)
{
    if (mail->recipient_count == mail->recipient_room && !recipients_grow(mail))
        return false;
    if (smtp_mail_new_domain(mail, address))
        mail->domain_count++;
    mail->recipients[mail->recipient_count++] =
        (struct smtp_recipient){.address = address, .asked = asked, .token = token};
    return true;
}
