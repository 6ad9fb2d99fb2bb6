/*
 * By which command a mail transaction began (RFC 821 3.4): where the message is to go. Numbers
 * travel on the bus.
 */
#ifndef FORMAT_MAIL_COMMAND_H
#define FORMAT_MAIL_COMMAND_H

#include "base/str.h"

enum mail_command {
    MAIL_MAIL, /* into the mailbox */
    MAIL_SEND, /* onto the terminal */
    MAIL_SOML, /* onto the terminal, else into the mailbox */
    MAIL_SAML, /* into the mailbox, and onto the terminal */
    MAIL_COMMANDS
};

static inline struct str mail_command_word(enum mail_command command)
{
    static const struct str words[MAIL_COMMANDS] = {STR_INIT("MAIL"), STR_INIT("SEND"),
                                                    STR_INIT("SOML"), STR_INIT("SAML")};
    return words[command];
}

#endif
