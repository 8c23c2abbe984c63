#!/usr/bin/env bash
# Runs the tests built under $BUILD, group by group, and prints each program with its counts; the
# output of a failing one is shown. The last line is "N passed, N failed" (", N skipped" may follow).
# usage: tests/run.sh [GROUP...]      groups: unit checkkernels golden cli pty rules fuzz fault stress
# BUILD         output folder of make (default: build)
# TEST_TIMEOUT  seconds a program may take (default: 600)
# EMULATOR      command put before every program, e.g. "qemu-aarch64-static -L /usr/aarch64-linux-gnu"
# SANITIZER     asan, ubsan or tsan where BUILD was made with one: longer time-outs, tests that
#               limit memory leave that out
# tests/README.md says what each kind of test prints.
set -u
cd "$(dirname "$0")/.." || exit 1
export BUILD=${BUILD:-build} CC=${CC:-cc} SANITIZER=${SANITIZER:-} EMULATOR=${EMULATOR:-}
export SHARED=${SHARED:-../shared} LC_ALL=C
export BISE=$PWD/$BUILD/bise
case $BUILD in /*) BISE=$BUILD/bise ;; esac
time_limit=${TEST_TIMEOUT:-600}
unset BISE_ISA BISE_MODEL BISE_THREADS
groups=("$@")
[ ${#groups[@]} -gt 0 ] || groups=(unit checkkernels golden cli pty rules fuzz fault stress)

work=$(mktemp -d "${TMPDIR:-/tmp}/bise-tests.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
# Reports of sanitizers go to files, whatever a test does with the output of what it runs.
sanitizer_options="log_path=$work/report:allocator_may_return_null=1:print_stacktrace=1"
export ASAN_OPTIONS="$sanitizer_options:detect_leaks=1${ASAN_OPTIONS:+:$ASAN_OPTIONS}"
export UBSAN_OPTIONS="$sanitizer_options${UBSAN_OPTIONS:+:$UBSAN_OPTIONS}"
export TSAN_OPTIONS="$sanitizer_options${TSAN_OPTIONS:+:$TSAN_OPTIONS}"
report_pattern='ERROR: [A-Za-z]*Sanitizer|WARNING: ThreadSanitizer|runtime error:'

passed=0 failed=0 skipped=0

count() { # count PATTERN FILE
    grep -a -c -E "$1" "$2"
}

# Sets ok, bad and skip from what a program printed: Criterion's last line, a closing line
# "N passed, N failed[, N skipped]", or lines "ok", "not ok" and "skipped".
read_counts() { # read_counts LOG
    local line
    ok=0 bad=0 skip=0
    line=$(grep -a -o -E 'Tested: [0-9]+ \| Passing: [0-9]+ \| Failing: [0-9]+ \| Crashing: [0-9]+' "$1" | tail -n 1)
    if [ -n "$line" ]; then
        read -r _ _ _ _ ok _ _ bad _ <<<"$line"
        skip=$(count '^\[SKIP\]' "$1")
        return
    fi
    line=$(tail -n 1 "$1" | grep -a -E '^[0-9]+ passed, [0-9]+ failed(, [0-9]+ skipped)?$')
    if [ -n "$line" ]; then
        read -r ok _ bad _ skip _ <<<"${line//,/}"
        skip=${skip:-0}
        return
    fi
    ok=$(count '^ok ' "$1")
    bad=$(count '^not ok ' "$1")
    skip=$(count '^skipped ' "$1")
}

run_one() { # run_one NAME COMMAND...
    local name=$1 log=$work/log status why='' start=$SECONDS
    shift
    rm -f "$work"/report.*
    mkdir -p "$work/tmp"
    TMPDIR=$work/tmp timeout -k 10 "$time_limit" "$@" </dev/null >"$log" 2>&1
    status=$?
    rm -rf "$work/tmp"
    read_counts "$log"
    if [ "$status" -eq 124 ] || [ "$status" -eq 137 ]; then
        why="took more than $time_limit s"
    elif [ "$status" -ne 0 ] && [ "$bad" -eq 0 ]; then
        why="exit status $status"
    elif cat "$work"/report.* "$log" 2>/dev/null | grep -a -q -E "$report_pattern"; then
        why='a sanitizer reported'
    elif [ $((ok + bad + skip)) -eq 0 ]; then
        why='ran no test'
    fi
    [ -z "$why" ] || bad=$((bad + 1))
    passed=$((passed + ok)) failed=$((failed + bad)) skipped=$((skipped + skip))
    printf '%-44s %5d passed, %d failed, %d skipped  (%d s)%s\n' "$name" "$ok" "$bad" "$skip" \
        $((SECONDS - start)) "${why:+: $why}"
    grep -a -E '^skipped |^\[SKIP\]' "$log" | sed 's/^/    /'
    if [ "$bad" -gt 0 ]; then
        cat "$log" "$work"/report.* 2>/dev/null | tail -n 200 | sed 's/^/  | /'
    fi
}

# Programs that mostly wait for a terminal run side by side; their outputs are counted one by one.
run_together() { # run_together PROGRAM...
    local program kept=$work/together
    mkdir -p "$kept"
    for program in "$@"; do
        # shellcheck disable=SC2086
        [ ! -x "$program" ] || (
            TMPDIR=$kept timeout -k 10 "$time_limit" $EMULATOR "$program" </dev/null \
                >"$kept/${program##*/}.log" 2>&1
            echo "exit $?" >"$kept/${program##*/}.status"
        ) &
    done
    wait
    cat "$work"/report.* >>"$kept/${1##*/}.log" 2>/dev/null # of whichever program
    for program in "$@"; do
        [ ! -x "$program" ] || run_one "${program#"$BUILD"/}" bash -c \
            'cat "$0.log"; . "$0.status"' "$kept/${program##*/}"
    done
}

run_programs() { # run_programs PROGRAM...
    local program
    for program in "$@"; do
        # shellcheck disable=SC2086 # EMULATOR is a command with its options
        [ ! -x "$program" ] || run_one "${program#"$BUILD"/}" $EMULATOR "$program"
    done
}

run_scripts() { # run_scripts SCRIPT...
    local script
    for script in "$@"; do
        [ -f "$script" ] || continue
        run_one "$script" bash "$script"
    done
}

for group in "${groups[@]}"; do
    case $group in
    unit)
        for source in tests/unit/*/test_*.c tests/unit/*/*/test_*.c; do
            program=$BUILD/${source%.c}
            # shellcheck disable=SC2086
            [ ! -x "$program" ] || run_one "${source%.c}" $EMULATOR "$program" --verbose
        done
        ;;
    checkkernels) run_programs "$BUILD/checkkernels" ;;
    fingerprint) run_programs "$BUILD/tests/golden/fingerprint" ;; # golden's bits, in less time
    golden)
        for source in tests/golden/*.c; do
            case $EMULATOR:$source in # emulated: only what depends on the CPU
            :* | *:*/golden.c | *:*/fingerprint.c) ;;
            *) continue ;;
            esac
            run_programs "$BUILD/${source%.c}"
        done
        [ -n "$EMULATOR" ] || run_scripts tests/golden/*.sh # these call $BISE by themselves
        ;;
    cli | rules) run_scripts tests/"$group"/test_*.sh ;;
    fuzz)
        for source in tests/fuzz/fuzz_*.c; do
            name=${source#tests/fuzz/fuzz_} name=${name%.c}
            # shellcheck disable=SC2086
            [ ! -x "$BUILD/tests/fuzz/replay_$name" ] ||
                run_one "tests/fuzz/replay_$name" $EMULATOR "$BUILD/tests/fuzz/replay_$name" \
                    "tests/fuzz/corpus/$name"
        done
        ;;
    fault) run_programs "$BUILD/tests/fault/fault" ;;
    pty)
        programs=()
        for source in tests/pty/test_*.c; do programs+=("$BUILD/${source%.c}"); done
        [ -n "$EMULATOR" ] || run_together "${programs[@]}"
        ;;
    stress) for source in tests/stress/*.c; do run_programs "$BUILD/${source%.c}"; done ;;
    *)
        echo "tests/run.sh: unknown group \"$group\"" >&2
        exit 2
        ;;
    esac
done

if [ "$skipped" -gt 0 ]; then
    echo "$passed passed, $failed failed, $skipped skipped"
else
    echo "$passed passed, $failed failed"
fi
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
