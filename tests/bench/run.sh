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
    SIGNATURES=500 THREAD_SECONDS=3 KEYGENS=3 ROUND_TRIPS=2000 BATCHES=4 PRESIGNATURES=5000
else
    SIGNATURES=4000 THREAD_SECONDS=10 KEYGENS=15 ROUND_TRIPS=10000 BATCHES=20 PRESIGNATURES=40000
fi
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

cpu_ticks() { # PID: user and system time of a process, in clock ticks
    awk '{ sub(/.*\) /, ""); print $12 + $13 }' "/proc/$1/stat"
}

build_programs() {
    quietly "$WORK/build.log" cmake --preset release -S "$ROOT" -DTDSA_BUILD_BENCH=ON &&
        quietly "$WORK/build.log" cmake --build "$TDSA_BUILD" -j "$(nproc)"
}

# The module in one process, two daemons in theirs.
measure_module() { # CURVE
    SOFTHSM2_CONF=$(cluster_softhsm_conf "$WORK/client" 0) \
        TDSA_PKCS11_CONFIG=$WORK/client/participant0/config.yml \
        bench bench_pkcs11 "$(cluster_module)" "$CLUSTER_TOKEN" "$(cat "$WORK/client/participant0/pin")" \
        "$1" "sign.pkcs11.$1." "$SIGNATURES" "$THREAD_SECONDS" "$KEYGENS"
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

call() { # METHOD URL [JSON]
    curl -fsS --max-time 120 -o "$WORK/answer" -X "$1" ${3:+-H 'Content-Type: application/json' --data "$3"} "$2" \
        2>"$WORK/error" || fail "$1 $2: $(cat "$WORK/error")"
}

# Three daemons make a stock over the API; their CPU time comes from /proc.
measure_presign() { # CURVE API-NAME
    local url from to left=$PRESIGNATURES ticks=0 index key=bench-$1 chunk
    url=http://127.0.0.1:$(cluster_port "$WORK/servers" 0 api)
    call POST "$url/v1/keys" "{\"keyId\":\"$key\",\"curve\":\"$2\",\"derivation\":\"none\"}"
    call POST "$url/v1/keys/$key/share" '{}'
    call POST "$url/v1/keys/$key/presignatures" '{"count":256}'
    for index in 0 1 2; do
        ticks=$((ticks - $(cpu_ticks "$(cluster_pid "$WORK/servers" "$index")")))
    done
    from=$(date +%s%N)
    while [ "$left" -gt 0 ]; do
        chunk=$((left < 1000 ? left : 1000))
        call POST "$url/v1/keys/$key/presignatures" "{\"count\":$chunk}"
        left=$((left - chunk))
    done
    to=$(date +%s%N)
    for index in 0 1 2; do
        ticks=$((ticks + $(cpu_ticks "$(cluster_pid "$WORK/servers" "$index")")))
    done
    add "presign.$1.per_second" "$(awk "BEGIN { printf \"%.1f\", $PRESIGNATURES / (($to - $from) / 1e9) }")"
    add "presign.$1.cpu_us_per_participant" \
        "$(awk "BEGIN { printf \"%.2f\", $ticks * 1e6 / $(getconf CLK_TCK) / 3 / $PRESIGNATURES }")"
}

# The cheapest request that reaches a handler of ours.
measure_http() {
    bench bench_http "http://127.0.0.1:$(cluster_port "$WORK/client" 1 admin)/ping" "$ROUND_TRIPS"
}

report() {
    local name
    step "Results ($(nproc) cores, $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1))"
    for name in http.rtt_us curve.{p256,secp256k1}.mul_base_us \
        presign.{p256,secp256k1}.{cpu_us_per_participant,protocol_cpu_us_per_participant,per_second} \
        sign.{pkcs11,softhsm}.{p256,secp256k1}.{1thread.p50_us,1thread.p99_us,8threads.per_second} \
        keygen.{p256,secp256k1}.p50_ms; do
        printf '%-52s %14s\n' "$name" "$(value "$name")"
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
for curve in p256 secp256k1; do
    step "$curve: curve, module, SoftHSM"
    bench bench_engine "$curve" "$BATCHES"
    measure_module "$curve"
    measure_softhsm "$curve"
done
cluster_stop "$WORK/client"
step "Presignatures: three daemons"
cluster_make "$WORK/servers" servers 25200
cluster_start_all "$WORK/servers"
measure_presign p256 P-256
measure_presign secp256k1 secp256k1
cluster_stop "$WORK/servers"
report
