#!/bin/bash
# What it costs on this machine: three processes (two daemons and a program that loads the module),
# every burn durable, beside the raw HTTP round trip, the bare curve operation and SoftHSM, measured
# in the same run by the same program.
#
# usage: tests/bench/run.sh [--quick] [--json FILE]
# Names and units are those of tests/bench/README.md. Exit code 0: everything was measured.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
TDSA_BUILD=$ROOT/build/release
# shellcheck source=../../examples/lib/common.sh
. "$ROOT/examples/lib/common.sh"
# shellcheck source=../../examples/lib/cluster.sh
. "$ROOT/examples/lib/cluster.sh"

QUICK=0
JSON=
while [ $# -gt 0 ]; do
    case $1 in
    --quick) QUICK=1 ;;
    --json)
        [ $# -ge 2 ] || fail "--json needs a file"
        JSON=$2
        shift
        ;;
    *) fail "unknown option $1 (tests/bench/run.sh [--quick] [--json FILE])" ;;
    esac
    shift
done

if [ "$QUICK" -eq 1 ]; then
    SIGNATURES=500 THREAD_SECONDS=3 KEYGENS=3 ROUND_TRIPS=2000 ENGINE_MS=100 DAEMONS=quick
else
    SIGNATURES=4000 THREAD_SECONDS=8 KEYGENS=15 ROUND_TRIPS=10000 ENGINE_MS=400 DAEMONS=full
fi
# What bench_engine measures: name, n, t, presignatures of a batch.
SUBJECTS=("p256 3 1 1000" "secp256k1 3 1 1000" "p384 3 1 100" "p521 3 1 50" "ed25519 3 1 100" "bip340 3 1 500"
    "p256 5 2 500" "secp256k1 5 2 500" "p256 7 3 300" "secp256k1 7 3 300" "p256 9 4 200")
WORK=$(mktemp -d "${TMPDIR:-/tmp}/tdsa-bench.XXXXXX")
RESULTS=$WORK/results

clean_up() {
    local code=$?
    trap - EXIT INT TERM
    [ ! -d "$WORK/client" ] || cluster_stop "$WORK/client"
    [ ! -d "$WORK/servers" ] || cluster_stop "$WORK/servers"
    if [ "$code" -eq 0 ]; then
        rm -rf "$WORK"
    else
        say "Logs are kept in $WORK" >&2
    fi
    exit "$code"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

bench() { # PROGRAM ARGUMENT...: adds its lines to the results
    local program=$1
    shift
    "$TDSA_BUILD/tests/bench/$program" "$@" 2>"$WORK/error" | tee -a "$RESULTS" >"$WORK/last" ||
        fail "$program $1: $(cat "$WORK/error")"
}

value() { # NAME
    sed -n "s/^$1 //p" "$RESULTS" | tail -n 1
}

add() { # NAME VALUE
    printf '%s %s\n' "$1" "$2" >>"$RESULTS"
}

build_programs() {
    quietly "$WORK/build.log" cmake --preset release -S "$ROOT" -DTDSA_BUILD_BENCH=ON &&
        quietly "$WORK/build.log" cmake --build "$TDSA_BUILD" -j "$(nproc)"
}

# The module in one process, two daemons in theirs.
measure_module() { # CURVE
    local commits
    commits=$(daemon_commits)
    SOFTHSM2_CONF=$(cluster_softhsm_conf "$WORK/client" 0) \
        TDSA_PKCS11_CONFIG=$WORK/client/participant0/config.yml \
        bench bench_pkcs11 "$(cluster_module)" "$CLUSTER_TOKEN" "$(cat "$WORK/client/participant0/pin")" \
        "$1" "sign.pkcs11.$1." "$SIGNATURES" "$THREAD_SECONDS" "$KEYGENS"
    add "sign.pkcs11.$1.commits_per_signature" \
        "$(awk "BEGIN { printf \"%.3f\", ($(daemon_commits) - $commits) / 2 / $(value "sign.pkcs11.$1.signatures") }")"
    add "keygen.$1.p50_ms" "$(value "sign.pkcs11.$1.keygen.p50_ms")"
}

measure_softhsm() { # CURVE
    SOFTHSM2_CONF=$WORK/softhsm/softhsm2.conf \
        bench bench_pkcs11 "$(softhsm_module)" bench 1234 \
        "$1" "sign.softhsm.$1." "$SIGNATURES" "$((THREAD_SECONDS / 2 + 1))" "$KEYGENS"
}

make_softhsm() {
    mkdir -p "$WORK/softhsm/tokens"
    printf 'directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n' \
        "$WORK/softhsm/tokens" >"$WORK/softhsm/softhsm2.conf"
    SOFTHSM2_CONF=$WORK/softhsm/softhsm2.conf quietly "$WORK/softhsm.log" \
        softhsm2-util --init-token --free --label bench --pin 1234 --so-pin 1234
}

# Database commits of both daemons until now.
daemon_commits() {
    local index total=0
    for index in 1 2; do
        total=$((total + $(curl -fsS "http://127.0.0.1:$(cluster_port "$WORK/client" "$index" admin)/metrics" |
            python3 -c 'import json,sys; print(json.load(sys.stdin)["counters"]["com.sepior.tdsa.db.commits"]["count"])')))
    done
    printf '%s' "$total"
}

ratio() { # NAME A B: adds A/B, of two measured values
    add "$1" "$(awk "BEGIN { printf \"%.3f\", $(value "$2") / $(value "$3") }")"
}

# The cheapest request that reaches a handler of ours.
measure_http() {
    bench bench_http "http://127.0.0.1:$(cluster_port "$WORK/client" 1 admin)/ping" "$ROUND_TRIPS"
}

report() {
    local name value
    step "Results ($(nproc) cores, $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1))"
    sort -u "$RESULTS" | while read -r name value; do
        printf '%-60s %14s\n' "$name" "$value"
    done
    if [ -n "$JSON" ]; then
        awk 'BEGIN { printf "{" } { v[$1] = $2; if (!($1 in seen)) { order[++n] = $1; seen[$1] = 1 } }
             END { for (i = 1; i <= n; i++) printf("%s\n  \"%s\": %s", (i > 1 ? "," : ""), order[i], v[order[i]])
                   print "\n}" }' "$RESULTS" >"$JSON"
        say "" "JSON: $JSON"
    fi
}

step "Building (release)"
build_programs
: >"$RESULTS"
step "Two daemons and the module's configuration"
cluster_make "$WORK/client" client 25100
cluster_start_all "$WORK/client"
make_softhsm
step "HTTP round trip"
measure_http
for subject in "${SUBJECTS[@]}"; do
    step "Mathematics alone: $subject"
    # shellcheck disable=SC2086 # one word each
    bench bench_engine $subject "$ENGINE_MS"
done
for curve in p256 secp256k1; do
    step "$curve: module, SoftHSM"
    measure_module "$curve"
    measure_softhsm "$curve"
    ratio "sign.pkcs11.$curve.1thread.p50_by_http_rtt" "sign.pkcs11.$curve.1thread.p50_us" http.rtt_us
done
cluster_stop "$WORK/client"
step "Key generation, presignatures, memory: three daemons"
cluster_make "$WORK/servers" servers 25200
cluster_start_all "$WORK/servers"
python3 "$ROOT/tests/bench/bench_daemons.py" "$WORK/servers" "$DAEMONS" >>"$RESULTS"
cluster_stop "$WORK/servers"
for curve in p256 secp256k1 p384 p521 ed25519 bip340; do
    ratio "presign.$curve.daemon_ratio_to_mul_base" "presign.$curve.cpu_us_per_participant" "curve.$curve.mul_base_bare_us"
done
# What the reference machine would do, whose multiplication on P-256 takes 5.0 us (docs/performance.md).
add presign.p256.per_second_at_5us "$(awk "BEGIN { printf \"%.0f\", $(value presign.p256.two_clients.per_second) * $(value curve.p256.mul_base_bare_us) / 5.0 }")"
report
