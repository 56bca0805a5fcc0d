#!/bin/bash
# Installs what is missing, builds, and runs the tests. Ends with one line per step and the sum of
# all tests; exit code 0 only if every step passed.
#
# usage: tests/run.sh [--long] [--no-install]
#   short (default): under 20 minutes on two cores
#   --long: adds the sanitizers for everything (the short form spares them the simulator and the attacks), long
#           fuzzing, 100,000 simulated lives, long kill campaigns and 10,000 signatures; hours
#   --no-install: packages are there already
#
# TDSA_VECTORS may name a folder with public test vectors. JOBS sets the number of parallel jobs of a build;
# tests, which wait for each other's processes a good deal, run two more at a time.
set -uo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=../examples/lib/common.sh
. "$ROOT/examples/lib/common.sh"
# shellcheck source=../examples/lib/packages.sh
. "$ROOT/examples/lib/packages.sh"

LONG=0
INSTALL=1
for argument in "$@"; do
    case $argument in
    --long) LONG=1 ;;
    --no-install) INSTALL=0 ;;
    *) fail "unknown option $argument (tests/run.sh [--long] [--no-install])" ;;
    esac
done

JOBS=${JOBS:-$(nproc)}
LOGS=$ROOT/build/run
STARTED=$SECONDS
NAMES=()
RESULTS=()
TIMES=()
FAILED=0
PASSED_TESTS=0
FAILED_TESTS=0

# run_step NAME COMMAND...: runs, shows and times one step; remembers how it ended.
run_step() {
    local name=$1 from=$SECONDS result=passed
    shift
    step "$name"
    "$@" 2>&1 | tee "$LOGS/step.log"
    if [ "${PIPESTATUS[0]}" -ne 0 ]; then
        result=FAILED
        FAILED=1
    fi
    count_tests "$LOGS/step.log"
    NAMES+=("$name")
    RESULTS+=("$result")
    TIMES+=($((SECONDS - from)))
    [ "$result" = passed ]
}

# Adds up ctest's own sums: "97% tests passed, 3 tests failed out of 100".
count_tests() {
    local bad all
    while read -r bad all; do
        PASSED_TESTS=$((PASSED_TESTS + all - bad))
        FAILED_TESTS=$((FAILED_TESTS + bad))
    done < <(sed -n 's/.*tests passed, \([0-9]*\) tests failed out of \([0-9]*\).*/\1 \2/p' "$1")
}

# build PRESET FOLDER [OPTION...]: configures and builds; output goes to a log, its end is shown on failure.
build() {
    local preset=$1 folder=$ROOT/build/$2
    shift 2
    : >"$LOGS/build-$preset.log"
    say "building $folder (log: build/run/build-$preset.log)"
    (cd "$ROOT" && quietly "$LOGS/build-$preset.log" cmake --preset "$preset" -B "$folder" \
        -DTDSA_VECTORS="${TDSA_VECTORS:-}" "$@" &&
        quietly "$LOGS/build-$preset.log" cmake --build "$folder" -j "$JOBS")
}

# check FOLDER CTEST-OPTION...: runs the tests of one build.
check() {
    local folder=$ROOT/build/$1
    shift
    ctest --test-dir "$folder" --output-on-failure --no-tests=error --timeout 300 -j $((JOBS + 2)) "$@" </dev/null
}

build_and_check() { # PRESET FOLDER "CMAKE OPTIONS" CTEST-OPTION...
    local preset=$1 folder=$2 options=$3
    shift 3
    # shellcheck disable=SC2086  # options is a list
    build "$preset" "$folder" $options && check "$folder" "$@"
}

release_is_clean() {
    build release release && "$ROOT/tests/lint/check_failpoints.sh" "$ROOT/build/release" &&
        say "the release build holds no failpoint"
}

short_steps() {
    run_step "release build" release_is_clean
    # optimised, so that it is the code of the release, whose objects are there, and the simulator's time is short
    run_step "every test" build_and_check dev all "-DCMAKE_BUILD_TYPE=RelWithDebInfo"
    run_step "address and undefined behaviour sanitizers" \
        build_and_check asan sanitize "-DTDSA_SANITIZE=address,undefined" -LE 'lint|self|e2e|bench|sim|attack'
    run_step "constant time" build_and_check ct ct "-DTDSA_BUILD_TESTS=OFF" -L ct
    run_step "fuzzing, short" build_and_check fuzz fuzz "-DTDSA_BUILD_TESTS=OFF" -L fuzz
    run_step "kills at failpoints, short" build_and_check fault fault "-DTDSA_BUILD_TESTS=OFF" -L fault
}

long_fuzzing() {
    local target minutes=${FUZZ_MINUTES:-10} work seeds
    for target in $(find "$ROOT/build/fuzz/tests/fuzz" -type f -name 'fuzz_*' -perm -u+x | sort); do
        work=${target}_corpus
        seeds=$ROOT/tests/fuzz/corpus/$(basename "$target")
        mkdir -p "$work" "$seeds"
        say "$(basename "$target"): $minutes minutes"
        "$target" -max_total_time=$((minutes * 60)) -print_final_stats=1 "$work" "$seeds" \
            >"$LOGS/$(basename "$target").log" 2>&1 ||
            { tail -n 30 "$LOGS/$(basename "$target").log"; return 1; }
    done
}

simulate_long() {
    TDSA_SIM_COUNT=100000 check all -R '^test_sim_random$' --timeout 28800
}

long_steps() {
    export TDSA_TEST_LONG=1
    run_step "thread sanitizer: every test" build_and_check tsan tsan "" -LE 'lint|self|bench'
    run_step "address sanitizer: every test" build_and_check asan asan "" -LE 'lint|self|bench'
    run_step "undefined behaviour sanitizer: every test" build_and_check ubsan ubsan "" -LE 'lint|self|bench'
    run_step "the long forms" check all -L 'sim|e2e' --timeout 14400 -j 1
    run_step "100,000 simulated lives" simulate_long
    run_step "kills at failpoints, 10,000 signatures" check fault -L fault --timeout 14400 -j 1
    run_step "fuzzing, long" long_fuzzing
}

mkdir -p "$LOGS"
export ASAN_OPTIONS=detect_leaks=1:abort_on_error=1 UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
export TSAN_OPTIONS=halt_on_error=1
say "Tests of $ROOT with $JOBS jobs; logs are in build/run."
if [ "$INSTALL" -eq 1 ]; then
    install_packages run test || fail "packages could not be installed"
fi
if [ -z "${CMAKE_C_COMPILER_LAUNCHER:-}" ] && command -v ccache >/dev/null; then
    export CMAKE_C_COMPILER_LAUNCHER=ccache
    export CCACHE_NOHASHDIR=1 # the builds of one tree share their objects: release, every test, constant time, failpoints
fi
if [ -n "${TDSA_VECTORS:-}" ]; then
    say "Public vectors: $TDSA_VECTORS"
else
    say "TDSA_VECTORS is not set: tests of public vectors skip."
fi
short_steps
[ "$LONG" -eq 0 ] || long_steps

step "Result after $(((SECONDS - STARTED) / 60)) minutes and $(((SECONDS - STARTED) % 60)) seconds"
for i in "${!NAMES[@]}"; do
    printf '%-8s %5d s  %s\n' "${RESULTS[$i]}" "${TIMES[$i]}" "${NAMES[$i]}"
done
TOTAL=$((PASSED_TESTS + FAILED_TESTS))
[ "$TOTAL" -gt 0 ] || FAILED=1
printf '\n%d%% tests passed, %d tests failed out of %d\n' \
    $((TOTAL > 0 ? 100 * PASSED_TESTS / TOTAL : 0)) "$FAILED_TESTS" "$TOTAL"
exit "$FAILED"
