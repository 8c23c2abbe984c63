#!/usr/bin/env bash
# Fuzzes each target for $FUZZ_SECONDS, starting from its committed corpus, as many at once as there
# are CPUs; with $FUZZ_CPU_SECONDS in rounds of that length until it has had so much of a CPU. An
# input may take $FUZZ_TIMEOUT seconds (10; more on a machine that is not free). New inputs stay
# under $BUILD; a crash is kept there and named. $FUZZ_SEED, if given, makes the same inputs each
# time (CI: a change is judged by what it changes); without, they are new ones.
# usage: tests/fuzz/run.sh NAME...      ends with "N passed, N failed"
set -u
cd "$(dirname "$0")/../.." || exit 1
build=${BUILD:-build-fuzz} seconds=${FUZZ_SECONDS:-60}
out=$build/fuzz
mkdir -p "$out"

fuzz_one() { # fuzz_one NAME: leaves NAME.log of the last round, NAME.result (status, inputs, CPU s)
    local name=$1 status executed runs=0 cpu=0 user system
    local TIMEFORMAT='%0U %0S'
    mkdir -p "$out/$name.new"
    while :; do
        { time "$build/tests/fuzz/fuzz_$name" -max_total_time="$seconds" \
            -timeout="${FUZZ_TIMEOUT:-10}" -rss_limit_mb=2048 -max_len=65536 \
            -seed="${FUZZ_SEED:-0}" -print_final_stats=1 \
            -artifact_prefix="$out/$name." "$out/$name.new" "tests/fuzz/corpus/$name" \
            >"$out/$name.log" 2>&1 </dev/null; } 2>"$out/$name.time"
        status=$?
        read -r user system <"$out/$name.time"
        cpu=$((cpu + user + system))
        executed=$(sed -n 's/^stat::number_of_executed_units: *//p' "$out/$name.log")
        runs=$((runs + ${executed:-0}))
        echo "$status $runs $cpu" >"$out/$name.result"
        [ $status = 0 ] && [ $cpu -lt "${FUZZ_CPU_SECONDS:-0}" ] || break
    done
}

cpus=$(getconf _NPROCESSORS_ONLN)
for name in "$@"; do
    while [ "$(jobs -rp | wc -l)" -ge "$cpus" ]; do wait -n; done
    fuzz_one "$name" &
done
wait

passed=0 failed=0
for name in "$@"; do
    read -r status runs cpu <"$out/$name.result"
    if [ "$status" = 0 ] && [ "$runs" -gt 0 ]; then
        echo "ok fuzz_$name: $runs inputs, $cpu s of a CPU"
        passed=$((passed + 1))
    else
        echo "not ok fuzz_$name: see $out/$name.*"
        tail -n 60 "$out/$name.log" | sed 's/^/  | /'
        failed=$((failed + 1))
    fi
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
