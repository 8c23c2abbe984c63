#!/usr/bin/env bash
# Runs the tests built under $BUILD, group by group, and prints each program with its counts; the
# output of a failing one is shown. Then the time of each group beside its budget. The last line is
# "N passed, N failed" (", N skipped" may follow).
# usage: tests/run.sh [GROUP...]      groups: unit checkkernels golden cli pty rules fuzz fault stress,
#                                     serve, or fingerprint alone
# BUILD         output folder of make (default: build)
# TEST_SIZE     sample (default): tests that take a number run a part of it; full: all of it
# TEST_ONLY     sized: only those whose work TEST_SIZE changes; tenth: of all groups but unit, fuzz and
#               fault every tenth program (TEST_TENTH=0 to 9: which)
# TEST_JOBS     programs at a time (default: one for each CPU)
# TEST_TIMEOUT  seconds a program may take (default: 600)
# BUILD_SECONDS what building took, for the table of times
# EMULATOR      command put before every program, e.g. "qemu-aarch64-static -L /usr/aarch64-linux-gnu"
# SANITIZER     asan, ubsan or tsan where BUILD was made with one: longer time-outs, tests that
#               limit memory leave that out
# tests/README.md says what each kind of test prints.
set -u
cd "$(dirname "$0")/.." || exit 1
export BUILD=${BUILD:-build} CC=${CC:-cc} SANITIZER=${SANITIZER:-} EMULATOR=${EMULATOR:-}
export SHARED=${SHARED:-../shared} LC_ALL=C TEST_SIZE=${TEST_SIZE:-sample}
export BISE=$PWD/$BUILD/bise
case $BUILD in /*) BISE=$BUILD/bise ;; esac
time_limit=${TEST_TIMEOUT:-600}
jobs_wanted=${TEST_JOBS:-$(getconf _NPROCESSORS_ONLN)}
unset BISE_ISA BISE_MODEL BISE_THREADS BISE_MODELS
groups=("$@")
[ ${#groups[@]} -gt 0 ] || groups=(unit checkkernels golden cli pty rules fuzz fault stress serve)

# Seconds on two idle cores; all of them with the build below three minutes.
declare -A budget=([build]=60 [unit]=25 [checkkernels]=5 [golden]=20 [cli]=35 [pty]=10 [rules]=5
    [fuzz]=5 [fault]=10 [stress]=5 [serve]=40)

work=$(mktemp -d "${TMPDIR:-/tmp}/bise-tests.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
report_pattern='ERROR: [A-Za-z]*Sanitizer|WARNING: ThreadSanitizer|runtime error:'

passed=0 failed=0 skipped=0
n_started=0 n_reported=0
declare -A name_of
turn=${TEST_TENTH:-6} n_seen=0

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

# Runs a program in a folder of its own, which then holds its log, status and seconds.
run_program() { # run_program FOLDER COMMAND...
    local folder=$1 start=$SECONDS
    shift
    # Reports of sanitizers go to files, whatever a test does with the output of what it runs.
    local options="log_path=$folder/report:allocator_may_return_null=1:print_stacktrace=1"
    export ASAN_OPTIONS="$options:detect_leaks=1${ASAN_OPTIONS:+:$ASAN_OPTIONS}"
    export UBSAN_OPTIONS="$options${UBSAN_OPTIONS:+:$UBSAN_OPTIONS}"
    export TSAN_OPTIONS="$options${TSAN_OPTIONS:+:$TSAN_OPTIONS}"
    mkdir -p "$folder/tmp"
    TMPDIR=$folder/tmp timeout -k 10 "$time_limit" "$@" </dev/null >"$folder/log" 2>&1
    echo "$? $((SECONDS - start))" >"$folder/status.part"
    rm -rf "$folder/tmp"
    mv "$folder/status.part" "$folder/status"
}

# Prints what has ended, in the order in which it was begun.
report_ended() {
    local folder name status seconds why
    while [ "$n_reported" -lt "$n_started" ] && [ -e "$work/$((n_reported + 1))/status" ]; do
        n_reported=$((n_reported + 1))
        folder=$work/$n_reported name=${name_of[$n_reported]} why=
        read -r status seconds <"$folder/status"
        read_counts "$folder/log"
        if [ "$status" -eq 124 ] || [ "$status" -eq 137 ]; then
            why="took more than $time_limit s"
        elif [ "$status" -ne 0 ] && [ "$bad" -eq 0 ]; then
            why="exit status $status"
        elif cat "$folder"/report.* "$folder/log" 2>/dev/null | grep -a -q -E "$report_pattern"; then
            why='a sanitizer reported'
        elif [ $((ok + bad + skip)) -eq 0 ]; then
            why='ran no test'
        fi
        [ -z "$why" ] || bad=$((bad + 1))
        passed=$((passed + ok)) failed=$((failed + bad)) skipped=$((skipped + skip))
        printf '%-44s %5d passed, %d failed, %d skipped  (%d s)%s\n' "$name" "$ok" "$bad" "$skip" \
            "$seconds" "${why:+: $why}"
        grep -a -E '^skipped |^\[SKIP\]' "$folder/log" | sed 's/^/    /'
        if [ "$bad" -gt 0 ]; then
            cat "$folder/log" "$folder"/report.* 2>/dev/null | grep -a -v '^ok ' | tail -n 200 |
                sed 's/^/  | /'
        fi
        rm -rf "$folder"
    done
}

wait_for_room() { # wait_for_room N: until fewer than N programs run
    while [ "$(jobs -rp | wc -l)" -ge "$1" ]; do wait -n; done
    report_ended
}

# Whether this run wants the program made from this source.
wanted() { # wanted GROUP SOURCE
    case ${TEST_ONLY:-} in
    sized) grep -q TEST_SIZE "$2" ;;
    tenth)
        case $1 in unit | fuzz | fault) return 0 ;; esac
        n_seen=$((n_seen + 1))
        [ $(((n_seen + turn) % 10)) -eq 0 ]
        ;;
    *) true ;;
    esac
}

start() { # start GROUP SOURCE NAME COMMAND...: beside the others, as soon as there is room
    local group=$1 source=$2 name=$3
    shift 3
    wanted "$group" "$source" || return 0
    wait_for_room "$jobs_at_once"
    n_started=$((n_started + 1))
    name_of[$n_started]=$name
    run_program "$work/$n_started" "$@" &
}

start_programs() { # start_programs GROUP SOURCE...: those that are built
    local group=$1 source program
    shift
    for source in "$@"; do
        program=$BUILD/${source%.c}
        # shellcheck disable=SC2086 # EMULATOR is a command with its options
        [ ! -x "$program" ] || start "$group" "$source" "${source%.c}" $EMULATOR "$program"
    done
}

start_scripts() { # start_scripts GROUP SCRIPT...
    local group=$1 script
    shift
    for script in "$@"; do
        [ ! -f "$script" ] || start "$group" "$script" "$script" bash "$script"
    done
}

start_group() { # start_group GROUP
    local source name
    case $1 in
    unit)
        for source in tests/unit/*/test_*.c tests/unit/*/*/test_*.c; do
            # shellcheck disable=SC2086
            [ ! -x "$BUILD/${source%.c}" ] ||
                start unit "$source" "${source%.c}" $EMULATOR "$BUILD/${source%.c}" --verbose
        done
        ;;
    checkkernels)
        # shellcheck disable=SC2086
        [ ! -x "$BUILD/checkkernels" ] ||
            start "$1" tests/checkkernels/main.c checkkernels $EMULATOR "$BUILD/checkkernels"
        ;;
    fingerprint) start_programs "$1" tests/golden/fingerprint.c ;; # golden's bits, in less time
    golden)
        for source in tests/golden/*.c; do
            case $EMULATOR:$source in # emulated: only what depends on the CPU
            :* | *:*/golden.c | *:*/fingerprint.c) start_programs golden "$source" ;;
            esac
        done
        [ -n "$EMULATOR" ] || start_scripts golden tests/golden/*.sh # these call $BISE by themselves
        ;;
    cli | rules | serve) start_scripts "$1" tests/"$1"/test_*.sh ;;
    fuzz)
        for source in tests/fuzz/fuzz_*.c; do
            name=${source#tests/fuzz/fuzz_} name=${name%.c}
            # shellcheck disable=SC2086
            [ ! -x "$BUILD/tests/fuzz/replay_$name" ] ||
                start fuzz "$source" "tests/fuzz/replay_$name" $EMULATOR \
                    "$BUILD/tests/fuzz/replay_$name" "tests/fuzz/corpus/$name"
        done
        ;;
    fault)
        # shellcheck disable=SC2086
        [ ! -x "$BUILD/tests/fault/fault" ] ||
            start fault tests/fault/main.c tests/fault/fault $EMULATOR "$BUILD/tests/fault/fault"
        ;;
    pty) # these mostly wait for a terminal: all at once
        jobs_at_once=$((4 * jobs_wanted))
        [ -n "$EMULATOR" ] || start_programs pty tests/pty/test_*.c
        ;;
    stress) start_programs stress tests/stress/*.c ;;
    *)
        echo "tests/run.sh: unknown group \"$1\"" >&2
        exit 2
        ;;
    esac
}

declare -A seconds_of
[ -z "${BUILD_SECONDS:-}" ] || seconds_of[build]=$BUILD_SECONDS
for group in "${groups[@]}"; do
    group_start=$SECONDS jobs_at_once=$jobs_wanted
    start_group "$group"
    wait_for_room 1
    seconds_of[$group]=$((SECONDS - group_start))
done

printf '\n%-14s %8s %8s\n' group seconds budget
total=0 total_budget=0
for group in build "${groups[@]}"; do
    [ -n "${seconds_of[$group]:-}" ] || continue
    printf '%-14s %8d %8s\n' "$group" "${seconds_of[$group]}" "${budget[$group]:--}"
    total=$((total + seconds_of[$group])) total_budget=$((total_budget + ${budget[$group]:-0}))
done
printf '%-14s %8d %8d\n\n' all "$total" "$total_budget"

if [ "$skipped" -gt 0 ]; then
    echo "$passed passed, $failed failed, $skipped skipped"
else
    echo "$passed passed, $failed failed"
fi
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
