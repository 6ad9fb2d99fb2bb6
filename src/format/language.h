/*
 * The languages in which we write to people: a notice, a report. Every text that may be shown in
 * one has a row with all of them side by side (dsn_texts.def).
 */
#ifndef FORMAT_LANGUAGE_H
#define FORMAT_LANGUAGE_H

enum language {
    LANGUAGE_ENGLISH,
    LANGUAGE_CHINESE, /* simplified, as written on the mainland */
    LANGUAGES
};

#endif
