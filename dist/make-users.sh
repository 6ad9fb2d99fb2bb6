#!/bin/sh
# Makes the system users of the server's processes, where they are missing. Run by meson install.
set -eu
[ -z "${DESTDIR:-}" ] || exit 0
[ "$(id -u)" -eq 0 ] || exit 0
for user in veredus-core veredus-edge; do
    getent passwd "$user" >/dev/null ||
        useradd --system --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin "$user"
done
