#!/bin/sh
# Fails when a header does not compile alone. usage: check_headers.sh ROOT [COMPILER]
set -u
cd "$1" || exit 2
cc=${2:-cc}
bad=0
list=$(find mpc keystore service pkcs11-provider -name '*.h' 2>/dev/null | sort)
[ -n "$list" ] || { echo "no header found under $1"; exit 2; }
pkgs=$(pkg-config --cflags p11-kit-1 libpq libmariadb 2>/dev/null || true)
for header in $list; do
    # shellcheck disable=SC2086  # $pkgs is a list of options
    printf '#include "%s"\nextern int unused;\n' "$PWD/$header" |
        "$cc" -std=gnu11 -Wall -Wextra -Werror -fsyntax-only -Impc -I. -Iservice $pkgs -x c - ||
        { echo "$header: does not compile alone"; bad=1; }
done
exit $bad
