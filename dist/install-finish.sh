#!/bin/sh
# The end of `meson install`: the configuration, unless there is one, and, as root and not into a
# staging folder, the system users of the server's processes.
set -eu

etc=$1
case $etc in
/*) ;;
*) etc=$MESON_INSTALL_PREFIX/$etc ;;
esac
folder=${DESTDIR:-}$etc/veredus
if [ ! -e "$folder/veredus.conf" ]; then
    mkdir -p "$folder"
    cp "$MESON_SOURCE_ROOT/dist/veredus.conf" "$folder/veredus.conf"
fi

[ -z "${DESTDIR:-}" ] && [ "$(id -u)" -eq 0 ] || exit 0
for user in veredus-core veredus-edge veredus-courier veredus-dns; do
    getent passwd "$user" >/dev/null ||
        useradd --system --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin "$user"
done
# Who writes to terminals is in the group that they belong to (terminal.commands).
getent passwd veredus-terminal >/dev/null ||
    useradd --system --gid tty --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin veredus-terminal
