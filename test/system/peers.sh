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

unpack()
{
    [ ! -e "$1/.whole" ] || return 0
    rm -rf "$1" "$1"_*.deb
    apt-get download -q "$1" >"$1.log" 2>&1 || {
        # A machine that never asked for the list of packages does not know any.
        [ "$(id -u)" -eq 0 ] && apt-get update -q >>"$1.log" 2>&1 && apt-get download -q "$1" >>"$1.log" 2>&1
    } || {
        tail -n 3 "$1.log" >&2
        exit 69
    }
    dpkg-deb -x "$1"_*.deb "$1"
    rm -f "$1"_*.deb
    touch "$1/.whole"
}

unpack postfix
unpack exim4-daemon-light
unpack exim4-base
unpack opensmtpd
unpack unbound # the resolver that they ask
# Log-ins at Postfix: mechanisms, where they find passwords, and what writes those.
unpack libsasl2-modules
unpack libsasl2-modules-db
unpack sasl2-bin
# MTA-STS for Postfix.
for name in postfix-mta-sts-resolver python3-aiodns python3-pycares python3-aiohttp python3-multidict python3-yarl \
    python3-async-timeout python3-attr python3-frozenlist python3-aiosignal python3-charset-normalizer python3-yaml \
    python3-idna python3-cffi-backend; do
    unpack $name
done
# Programs of a host that send mail by sendmail, or by a client of their own; a clock for cron.
for name in cron monit mdadm php8.2-cli libfaketime; do
    unpack $name
done
# What these need and a machine may not have.
unpack libc-ares2
unpack libdb5.3
unpack libevent-2.1-7
unpack libgnutls-dane0
unpack libidn12
unpack libnghttp2-14
unpack libnsl2
unpack libpcre2-8-0
unpack libprotobuf-c1
unpack libpython3.11
unpack libsasl2-2
unpack libyaml-0-2

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
library libsodium.so.23 libsodium23
library libxml2.so.2 libxml2
touch .whole
