#!/bin/sh
# Fails when a build holds a failpoint, defined or called. usage: check_failpoints.sh BUILD_DIR
# Tests may hold none either: they link the same libraries. Object files are in the archives and programs.
set -u
bad=0
seen=0
for top in mpc keystore service pkcs11-provider; do
    [ -d "$1/$top" ] || continue
    for file in $(find "$1/$top" -type f \( -name '*.a' -o -name '*.so*' -o -perm -u+x \) \
                       ! -name '*.cmake' | sort); do
        symbols=$(nm "$file" 2>/dev/null) || continue
        seen=$((seen + 1))
        case $symbols in
        *tdsa_failpoint_hit*)
            echo "$file: holds tdsa_failpoint_hit"
            bad=1
            ;;
        esac
        if grep -q TDSA_FAILPOINT_KILL "$file"; then
            echo "$file: knows TDSA_FAILPOINT_KILL"
            bad=1
        fi
    done
done
[ "$seen" -gt 0 ] || { echo "nothing built under $1"; exit 2; }
exit $bad
