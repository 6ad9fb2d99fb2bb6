#!/bin/sh
# peers.sh FOLDER: programs of other mail servers that the tests use, unpacked under FOLDER and never installed: their
# packages would become this machine's mail server. Nothing of them is started but what a test starts by its path.
set -eu
[ $# -eq 1 ] || {
    echo "usage: peers.sh FOLDER" >&2
    exit 64
}
mkdir -p "$1"
cd "$1"

# By one call of apt-get for all, which takes longer to begin than to load.
unpack()
{
    missing=
    for name in "$@"; do
        [ -e "$name/.whole" ] || missing="$missing $name"
    done
    [ -n "$missing" ] || return 0
    for name in $missing; do
        rm -rf "$name" "$name"_*.deb
    done
    # shellcheck disable=SC2086 # words
    apt-get download -q $missing >apt.log 2>&1 || {
        # A machine that never asked for the list of packages does not know any.
        [ "$(id -u)" -eq 0 ] && apt-get update -q >>apt.log 2>&1 && apt-get download -q $missing >>apt.log 2>&1
    } || {
        tail -n 3 apt.log >&2
        exit 69
    }
    for name in $missing; do
        dpkg-deb -x "$name"_*.deb "$name"
        rm -f "$name"_*.deb
        touch "$name/.whole"
    done
}

unpack postfix exim4-daemon-light exim4-base opensmtpd unbound # the resolver that they ask
# Log-ins at Postfix: mechanisms, where they find passwords, and what writes those.
unpack libsasl2-modules libsasl2-modules-db sasl2-bin
# MTA-STS for Postfix.
unpack postfix-mta-sts-resolver python3-aiodns python3-pycares python3-aiohttp python3-multidict python3-yarl \
    python3-async-timeout python3-attr python3-frozenlist python3-aiosignal python3-charset-normalizer python3-yaml \
    python3-idna python3-cffi-backend
# Programs of a host that send mail by sendmail, or by a client of their own; a clock for cron.
unpack cron monit mdadm php8.2-cli libfaketime
# Laravel's mail, which Cachet's is.
unpack php-dflydev-dot-access-data php-doctrine-deprecations php-doctrine-inflector php-doctrine-lexer \
    php-email-validator php-graham-campbell-result-type php-illuminate-collections php-illuminate-container \
    php-illuminate-contracts php-illuminate-macroable php-illuminate-mail php-illuminate-support \
    php-league-commonmark php-league-config php-nesbot-carbon php-nette-schema php-nette-utils php-phpoption \
    php-psr-container php-psr-event-dispatcher php-psr-log php-psr-simple-cache php-swiftmailer \
    php-symfony-css-selector php-symfony-deprecation-contracts php-symfony-polyfill-ctype \
    php-symfony-polyfill-php80 php-symfony-translation-contracts php-symfony-translation \
    php-tijsverkoyen-css-to-inline-styles php-vlucas-phpdotenv php-voku-portable-ascii php8.2-mbstring
# What these need and a machine may not have.
unpack libc-ares2 libdb5.3 libevent-2.1-7 libgnutls-dane0 libidn12 libnghttp2-14 libnsl2 libpcre2-8-0 libprotobuf-c1 \
    libpython3.11 libsasl2-2 libyaml-0-2

# A library that is not copied beside every program where the machine has it.
library()
{
    ls /usr/lib/*-linux-gnu/"$1" >/dev/null 2>&1 || unpack "$2"
}

library libargon2.so.1 libargon2-1 # PHP's
library libbsd.so.0 libbsd0
library libedit.so.2 libedit2
library libicuuc.so.72 libicu72
library libmagic.so.1 libmagic1
library libonig.so.5 libonig5
library libsodium.so.23 libsodium23
library libxml2.so.2 libxml2
touch .whole
