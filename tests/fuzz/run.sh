#!/usr/bin/env bash
# Fuzzes each target for $FUZZ_SECONDS, starting from its committed corpus, as many at once as there
# are CPUs. New inputs stay under $BUILD; a crash is kept there and named. $FUZZ_SEED, if given, makes
# the same inputs each time (CI: a change is judged by what it changes); without, they are new ones.
# usage: tests/fuzz/run.sh NAME...      ends with "N passed, N failed"
set -u
cd "$(dirname "$0")/../.." || exit 1
build=${BUILD:-build-fuzz} seconds=${FUZZ_SECONDS:-60}
out=$build/fuzz
mkdir -p "$out"

fuzz_one() { # fuzz_one NAME
    local name=$1
    mkdir -p "$out/$name.new"
    "$build/tests/fuzz/fuzz_$name" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
        -max_len=65536 -seed="${FUZZ_SEED:-0}" -print_final_stats=1 -artifact_prefix="$out/$name." \
        "$out/$name.new" "tests/fuzz/corpus/$name" >"$out/$name.log" 2>&1 </dev/null
    echo $? >"$out/$name.status"
}

cpus=$(getconf _NPROCESSORS_ONLN)
for name in "$@"; do
    while [ "$(jobs -rp | wc -l)" -ge "$cpus" ]; do wait -n; done
    fuzz_one "$name" &
done
wait

passed=0 failed=0
for name in "$@"; do
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$out/$name.log")
    if [ "$(cat "$out/$name.status")" = 0 ] && [ -n "$runs" ]; then
        echo "ok fuzz_$name: $runs inputs in $seconds s"
        passed=$((passed + 1))
    else
        echo "not ok fuzz_$name: see $out/$name.*"
        tail -n 60 "$out/$name.log" | sed 's/^/  | /'
        failed=$((failed + 1))
    fi
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
