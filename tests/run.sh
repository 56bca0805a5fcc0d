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

# run_step NAME COMMAND...: runs, shows and times one step; writes down how it ended, with the sums of CTest that it
# showed: "97% tests passed, 3 tests failed out of 100".
run_step() {
    local name=$1 from=$SECONDS result=passed bad all good_tests=0 bad_tests=0
    shift
    step "$name"
    "$@" 2>&1 | tee "$LOGS/step.log"
    [ "${PIPESTATUS[0]}" -eq 0 ] || result=FAILED
    while read -r bad all; do
        good_tests=$((good_tests + all - bad))
        bad_tests=$((bad_tests + bad))
    done < <(sed -n 's/.*tests passed, \([0-9]*\) tests failed out of \([0-9]*\).*/\1 \2/p' "$LOGS/step.log")
    printf '%s\t%s\t%s\t%s\t%s\n' "$result" $((SECONDS - from)) "$good_tests" "$bad_tests" "$name" >>"$LOGS/results"
    [ "$result" = passed ]
}

# build PRESET FOLDER TARGETS [OPTION...]: configures and builds; output goes to a log, its end is shown on failure.
build() {
    local log=$LOGS/build-$2.log preset=$1 folder=$ROOT/build/$2 targets=$3
    shift 3
    : >"$log"
    say "building $folder (log: build/run/$(basename "$log"))"
    # shellcheck disable=SC2086  # targets is a list
    (cd "$ROOT" && quietly "$log" cmake --preset "$preset" -B "$folder" -DTDSA_VECTORS="${TDSA_VECTORS:-}" "$@" &&
        quietly "$log" cmake --build "$folder" -j "$JOBS" --target $targets)
}

# check FOLDER CTEST-OPTION...: runs the tests of one build.
check() {
    local folder=$ROOT/build/$1
    shift
    ctest --test-dir "$folder" --output-on-failure --no-tests=error --timeout 300 -j $((JOBS + 2)) "$@" </dev/null
}

build_and_check() { # PRESET FOLDER CTEST-OPTION...
    local preset=$1 folder=$2
    shift 2
    build "$preset" "$folder" all && check "$folder" "$@"
}

release_is_clean() {
    build release release all && "$ROOT/tests/lint/check_failpoints.sh" "$ROOT/build/release" &&
        say "the release build holds no failpoint"
}

# ahead NAME COMMAND...: does something before its turn; awaited NAME shows what it said and gives its result.
ahead() {
    local name=$1 result=0
    shift
    "$@" >"$LOGS/ahead-$name.log" 2>&1 || result=$?
    echo "$result" >"$LOGS/ahead-$name.new"
    mv "$LOGS/ahead-$name.new" "$LOGS/ahead-$name"
    return "$result"
}

awaited() {
    while [ ! -e "$LOGS/ahead-$1" ] && kill -0 "$AHEAD" 2>/dev/null; do
        sleep 0.2
    done
    cat "$LOGS/ahead-$1.log"
    return "$(cat "$LOGS/ahead-$1" 2>/dev/null || echo 1)"
}

# Tests wait for each other's processes, for disks and for clocks. The processors that they leave idle meanwhile build
# for the steps that come after, and fuzz, which nothing disturbs.
work_ahead() {
    renice -n 19 -p "$BASHPID" >/dev/null
    ahead fault build fault fault "tdsa tdsa-service tdsa_pkcs11 p11_caller" -DTDSA_BUILD_TESTS=OFF
    ahead sanitize build asan sanitize \
        "tests/unit/all tests/vectors/all tests/conformance/all tdsa-config-doc tdsa-man" "-DTDSA_SANITIZE=address,undefined"
    ahead fuzz-build build fuzz fuzz tests/fuzz/all -DTDSA_BUILD_TESTS=OFF &&
        ahead fuzz check fuzz -L fuzz --timeout 1500 # whoever waits for processors is not slow
}

awaited_and_check() { # FOLDER CTEST-OPTION...
    awaited "$1" && check "$@"
}

fuzzed_ahead() {
    awaited fuzz-build && awaited fuzz
}

short_steps() {
    run_step "release build" release_is_clean
    # optimised, so that it is the code of the release, whose objects are there, and the simulator's time is short
    run_step "build of every test" build dev all all -DCMAKE_BUILD_TYPE=RelWithDebInfo -DTDSA_BUILD_CT=ON
    set -m # a process group of its own, so that it can be ended as a whole
    work_ahead </dev/null >/dev/null 2>&1 &
    AHEAD=$!
    set +m
    trap 'kill -- -"$AHEAD" 2>/dev/null' EXIT
    run_step "every test" check all -LE '^ct$'
    run_step "constant time" check all -L '^ct$'
    run_step "kills at failpoints, short" awaited_and_check fault -L fault
    run_step "address and undefined behaviour sanitizers" \
        awaited_and_check sanitize -LE 'lint|self|e2e|bench|sim|attack'
    run_step "fuzzing, short" fuzzed_ahead
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
    TDSA_SIM_COUNT=100000 check all -R '^test_sim_random$' --timeout 28800 &&
        TDSA_SIM_COUNT=1000 check all -R '^test_sim_rollback$' --timeout 28800
}

long_steps() {
    export TDSA_TEST_LONG=1
    run_step "thread sanitizer: every test" build_and_check tsan tsan -LE 'lint|self|bench'
    run_step "address sanitizer: every test" build_and_check asan asan -LE 'lint|self|bench'
    run_step "undefined behaviour sanitizer: every test" build_and_check ubsan ubsan -LE 'lint|self|bench'
    run_step "the long forms" check all -L 'sim|e2e' --timeout 14400 -j 1
    run_step "100,000 simulated lives, 1,000 restores of every disk at once" simulate_long
    run_step "kills at failpoints, 10,000 signatures" check fault -L fault --timeout 14400 -j 1
    run_step "fuzzing, long" long_fuzzing
}

mkdir -p "$LOGS"
rm -f "$LOGS"/results "$LOGS"/ahead-*
export ASAN_OPTIONS=detect_leaks=1:abort_on_error=1 UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
export TSAN_OPTIONS=halt_on_error=1
say "Tests of $ROOT with $JOBS jobs; logs are in build/run."
if [ "$INSTALL" -eq 1 ]; then
    install_packages run test || fail "packages could not be installed"
fi
if [ -z "${CMAKE_C_COMPILER_LAUNCHER:-}" ] && command -v ccache >/dev/null; then
    export CMAKE_C_COMPILER_LAUNCHER=ccache
    export CCACHE_NOHASHDIR=1 # the builds of one tree share their objects: release, every test, failpoints
    export CCACHE_DEPEND=1    # what was not compiled yet is not preprocessed first
fi
if [ -n "${TDSA_VECTORS:-}" ]; then
    say "Public vectors: $TDSA_VECTORS"
else
    say "TDSA_VECTORS is not set: tests of public vectors skip."
fi
short_steps
[ "$LONG" -eq 0 ] || long_steps

step "Result after $(((SECONDS - STARTED) / 60)) minutes and $(((SECONDS - STARTED) % 60)) seconds"
FAILED=0
PASSED_TESTS=0
FAILED_TESTS=0
while IFS=$'\t' read -r result seconds good bad name; do
    printf '%-8s %5d s  %s\n' "$result" "$seconds" "$name"
    [ "$result" = passed ] || FAILED=1
    PASSED_TESTS=$((PASSED_TESTS + good))
    FAILED_TESTS=$((FAILED_TESTS + bad))
done <"$LOGS/results"
TOTAL=$((PASSED_TESTS + FAILED_TESTS))
[ "$TOTAL" -gt 0 ] || FAILED=1
printf '\n%d%% tests passed, %d tests failed out of %d\n' \
    $((TOTAL > 0 ? 100 * PASSED_TESTS / TOTAL : 0)) "$FAILED_TESTS" "$TOTAL"
exit "$FAILED"
