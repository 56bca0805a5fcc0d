#!/bin/sh
# Fails when clang-format would change a file. usage: check_format.sh ROOT
set -eu
cd "$1"
tool=$(command -v clang-format-14 || command -v clang-format || true)
[ -n "$tool" ] || { echo "clang-format is not installed (see cmake/packages.txt)"; exit 2; }
style=$1/.clang-format
[ -f "$style" ] || style=$(dirname "$0")/../../.clang-format
find . -path ./build -prune -o -path ./tests/self -prune -o \( -name '*.c' -o -name '*.h' \) -print0 |
    xargs -0 -r "$tool" --style=file:"$style" --dry-run -Werror
