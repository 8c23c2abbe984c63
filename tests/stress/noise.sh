#!/usr/bin/env bash
# The server's tests and the stress programs, their threads losing the CPU at random (noise/noise.c), again
# and again, each round by a seed of its own. Tests of how long something takes do not count here.
# usage: BUILD=build tests/stress/noise.sh [SECONDS] [SEED]      (default: 60, the time)
. tests/cli/common.sh

end=$((SECONDS + ${1:-60}))
seed=${2:-$(date +%s)}
"$CC" -std=c11 -D_GNU_SOURCE -O1 -shared -fPIC -o "$T/noise.so" tests/stress/noise/noise.c -ldl -pthread ||
    not_ok noise_is_built
programs=("$BUILD"/tests/stress/stress_*)
scripts=(tests/serve/test_api.sh tests/serve/test_attacks.sh tests/serve/test_promise.sh tests/serve/test_tools.sh)
n=0 bad=''
run() { # run NAME COMMAND...
    NOISE=$seed LD_PRELOAD=$T/noise.so timeout -k 10 600 "${@:2}" >"$T/log" 2>&1 </dev/null
    status=$?
    n=$((n + 1))
    [ $status -eq 0 ] || bad+="$1, seed $seed: exit status $status"$'\n'"$(grep -a -v '^ok ' "$T/log" | tail -n 20)"$'\n'
}
while [ $SECONDS -lt $end ]; do
    for program in "${programs[@]}"; do
        case $program in *.* | *any_instruction) continue ;; esac # objects; and what is traced
        [ $SECONDS -ge $end ] || run "${program##*/}" "$program"
    done
    for script in "${scripts[@]}"; do
        [ $SECONDS -ge $end ] || run "$script" bash "$script"
    done
    seed=$((seed + 1))
done
if [ -z "$bad" ]; then ok "$n runs with noise, up to seed $seed"; else not_ok "$n runs with noise" "$bad"; fi
finish
