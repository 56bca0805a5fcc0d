# shellcheck shell=bash
# Output, waiting and ports for the scripts of this project. To be sourced.

say() {
    printf '%s\n' "$*"
}

step() {
    printf '\n== %s\n' "$*"
}

fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# need PROGRAM...: fails with a clear text when one is not there.
need() {
    local program
    for program in "$@"; do
        command -v "$program" >/dev/null || fail "$program is not installed; cmake/packages.txt says in which package it is"
    done
}

# quietly LOG COMMAND...: runs the command with its output in LOG; shows the end of LOG when it fails.
quietly() {
    local log=$1
    shift
    if ! "$@" >>"$log" 2>&1; then
        printf 'error: this failed: %s\n' "$*" >&2
        printf '  end of %s:\n' "$log" >&2
        tail -n 25 "$log" | sed 's/^/    /' >&2
        return 1
    fi
}

# port_is_free PORT: true when nobody listens on it on loopback.
port_is_free() {
    ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# free_ports FIRST COUNT: prints COUNT ports from FIRST upwards on which nobody listens.
free_ports() {
    local port=$1 left=$2
    while [ "$left" -gt 0 ] && [ "$port" -lt 65000 ]; do
        if port_is_free "$port"; then
            printf '%s\n' "$port"
            left=$((left - 1))
        fi
        port=$((port + 1))
    done
    [ "$left" -eq 0 ]
}

# wait_until SECONDS COMMAND...: true as soon as the command succeeds.
wait_until() {
    local limit=$((SECONDS + $1))
    shift
    while ! "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$limit" ] || return 1
        sleep 0.05
    done
}
