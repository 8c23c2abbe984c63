#!/usr/bin/env bash
# make lint: formatting, static analysis of the C files and the scripts, rules of the source. A tool
# that is not installed is skipped by name. Ends with "N passed, N failed[, N skipped]".
set -u
cd "$(dirname "$0")/.." || exit 1
log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT
passed=0 failed=0 skipped=0
includes_text=${CPPFLAGS:--I.}
read -r -a includes <<<"${includes_text//\\/}" # without the backslashes that were for the shell

check() { # check NAME TOOL COMMAND...
    local name=$1 tool=$2
    shift 2
    if ! command -v "$tool" >/dev/null; then
        echo "skipped $name: $tool is not installed"
        skipped=$((skipped + 1))
    elif "$@" >"$log" 2>&1; then
        echo "ok $name"
        passed=$((passed + 1))
    else
        echo "not ok $name"
        sed 's/^/  | /' "$log" | head -n 200
        failed=$((failed + 1))
    fi
}

clang_tidy() {
    local cpus
    cpus=$(getconf _NPROCESSORS_ONLN)
    git ls-files 'quant/*.c' 'kernels/*.c' 'src/*.c' 'tools/*.c' |
        grep -v -E '^kernels/(neon|avx512|avxvnni)' |
        xargs -P "$cpus" -n 4 sh -c 'clang-tidy --quiet "$@" -- \
            -std=c11 '"${includes[*]@Q}"' -mavx2 -mfma -mf16c 2>/dev/null' tidy
}

cpp_check() {
    git ls-files 'quant/*.c' 'src/*.c' 'tools/*.c' 'tests/fault/*.c' 'tests/fuzz/*.c' |
        xargs cppcheck --quiet --std=c11 --enable=warning,performance,portability \
            --suppress=missingIncludeSystem --suppress=normalCheckLevelMaxBranches \
            --suppress=uninitvar --suppress=legacyUninitvar --suppress=pointerSize \
            --suppress=arrayIndexOutOfBoundsCond --suppress=memleak:quant/source/pickle.c \
            --inline-suppr --error-exitcode=1 "${includes[@]}"
}

mapfile -t c_files < <(git ls-files '*.c' '*.h')
mapfile -t scripts < <(git ls-files '*.sh' .ci/run)
check formatting clang-format clang-format --dry-run -Werror "${c_files[@]}"
check scripts shellcheck shellcheck -x "${scripts[@]}"
check cppcheck cppcheck cpp_check
check clang_tidy clang-tidy clang_tidy
check source_rules bash bash tests/rules/test_source.sh

if [ "$skipped" -gt 0 ]; then
    echo "$passed passed, $failed failed, $skipped skipped"
else
    echo "$passed passed, $failed failed"
fi
[ "$failed" -eq 0 ]
