# shellcheck shell=bash
# Installs Debian packages from cmake/packages.txt. To be sourced after common.sh; wants ROOT.

# packages_of KIND...: names of the packages marked with one of the kinds (run, test).
packages_of() {
    local kind
    for kind in "$@"; do
        sed -n "s/^\([a-z0-9][a-z0-9.+-]*\) *# $kind:.*/\1/p" "$ROOT/cmake/packages.txt"
    done
}

packages_missing() {
    local name
    for name in $(packages_of "$@"); do
        dpkg-query -W -f '${db:Status-Status}\n' "$name" 2>/dev/null | grep -q '^installed$' || printf '%s\n' "$name"
    done
}

# install_packages KIND...: installs what is missing; needs root or sudo only if something is.
install_packages() {
    local missing as_root=()
    if ! command -v dpkg-query >/dev/null; then
        say "This is not Debian: make sure that the packages of cmake/packages.txt, or their like, are there."
        return 0
    fi
    mapfile -t missing < <(packages_missing "$@")
    if [ ${#missing[@]} -eq 0 ]; then
        say "All packages are there."
        return 0
    fi
    say "Installing with apt-get: ${missing[*]}"
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || fail "not root and no sudo. As root: apt-get install ${missing[*]}"
        as_root=(sudo)
    fi
    mkdir -p "$ROOT/build"
    quietly "$ROOT/build/apt.log" "${as_root[@]}" apt-get update || return 1
    quietly "$ROOT/build/apt.log" "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y --no-install-recommends "${missing[@]}" </dev/null
}
