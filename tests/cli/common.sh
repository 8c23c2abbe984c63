# shellcheck shell=bash
# Sourced by the scripts in tests/cli, tests/rules and tests/golden. See tests/README.md.
set -u
BUILD=${BUILD:-build}
BISE=${BISE:-$PWD/$BUILD/bise}
CC=${CC:-cc}
SHARED=${SHARED:-../shared}
SANITIZER=${SANITIZER:-}
export BUILD BISE CC SHARED SANITIZER LC_ALL=C
T=$(mktemp -d "${TMPDIR:-/tmp}/bise-test.XXXXXX") || exit 1
trap 'rm -rf "$T"' EXIT
n_bad=0

# A program of another architecture runs by a wrapper.
if [ -n "${EMULATOR:-}" ]; then
    printf '#!/bin/sh\nexec %s %s "$@"\n' "$EMULATOR" "$BISE" >"$T/bise"
    chmod +x "$T/bise"
    BISE=$T/bise
fi

ok() { echo "ok $1"; }
skipped() { echo "skipped $1: $2"; }
not_ok() {
    echo "not ok $1${2:+: $2}"
    n_bad=$((n_bad + 1))
}

same() { # same NAME EXPECTED FOUND
    if [ "$2" = "$3" ]; then ok "$1"; else not_ok "$1" "expected \"$2\", found \"$3\""; fi
}

same_files() { # same_files NAME FILE FILE: of the same bytes, and not empty
    if [ ! -s "$2" ]; then
        not_ok "$1" "$2 is empty"
    else
        expect "$1" cmp "$2" "$3"
    fi
}

differ() { # differ NAME FILE FILE: neither is empty
    if [ ! -s "$2" ] || [ ! -s "$3" ]; then
        not_ok "$1" "$2 or $3 is empty"
    elif cmp -s "$2" "$3"; then
        not_ok "$1"
    else
        ok "$1"
    fi
}

# wait_for COMMAND...: until it succeeds, 20 seconds at most
wait_for() {
    for _ in $(seq 400); do
        "$@" && return 0
        sleep 0.05
    done
    return 1
}

# expect NAME COMMAND...
expect() {
    local name=$1 status
    shift
    "$@" >"$T/.out" 2>"$T/.err"
    status=$?
    if [ $status -eq 0 ]; then
        ok "$name"
    else
        not_ok "$name" "exit status $status: $*"
        tail -n 30 "$T/.out" "$T/.err"
    fi
}

# expect_exit NAME CODE TEXT COMMAND...: the exit status, and a text that stderr must hold.
expect_exit() {
    local name=$1 code=$2 text=$3 status
    shift 3
    "$@" >"$T/.out" 2>"$T/.err"
    status=$?
    if [ $status -ne "$code" ]; then
        not_ok "$name" "expected exit status $code, found $status: $*"
        tail -n 30 "$T/.err"
    elif ! grep -q -F -- "$text" "$T/.err"; then
        not_ok "$name" "expected \"$text\" on stderr, found:"
        tail -n 30 "$T/.err"
    else
        ok "$name"
    fi
}

finish() { [ "$n_bad" -eq 0 ]; }
