# Sourced by ./quickstart and ./check: packages_need WORD... makes sure that the Debian packages marked with one of
# the words in dist/packages are installed. As root it installs what is missing; otherwise it prints the one command
# that does, and ends the script.

packages_missing()
{
    for word in "$@"; do
        sed -n "s/^$word  *\([^ #]*\).*/\1/p" dist/packages
    done | while read -r package; do
        dpkg-query -W -f '${Status}\n' "$package" 2>/dev/null | grep -q '^install ok installed$' || echo "$package"
    done
}

packages_need()
{
    missing=$(packages_missing "$@" | tr '\n' ' ')
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" -ne 0 ]; then
        echo "Some Debian packages are missing. As root, run:" >&2
        echo "  apt-get install --no-install-recommends $missing" >&2
        exit 69
    fi
    echo "Installing Debian packages: $missing"
    # A package may know a service; nothing is started by us.
    DEBIAN_FRONTEND=noninteractive
    export DEBIAN_FRONTEND
    # shellcheck disable=SC2086
    if ! { apt-get update -q && apt-get install -q -y --no-install-recommends $missing; } >build.apt.log 2>&1; then
        tail -n 5 build.apt.log >&2
        echo "apt-get could not install them; see $(pwd)/build.apt.log" >&2
        exit 69
    fi
    rm -f build.apt.log
}
