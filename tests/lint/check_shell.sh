#!/bin/sh
# Fails when shellcheck has something to say. usage: check_shell.sh ROOT
set -eu
cd "$1"
command -v shellcheck >/dev/null || { echo "shellcheck is not installed (see cmake/packages.txt)"; exit 2; }
{
    find examples softhsm-conf tests service pkcs11-provider -name '*.sh' ! -path 'tests/self/*' 2>/dev/null
    [ -f .ci/run ] && echo .ci/run
    grep -rlE '^#!.*\b(ba)?sh$' softhsm-conf examples 2>/dev/null || true
} | sort -u | xargs -r shellcheck -x -P SCRIPTDIR -e SC2317 # functions called by name are not unreachable
