#!/usr/bin/env bash
# The same request gives the same bytes: 8 conversations, or with TEST_SIZE=full 1,000.
. tests/cli/common.sh
command -v python3 >/dev/null || {
    skipped promise "python3 is not installed"
    exit
}
export T PYTHONDONTWRITEBYTECODE=1
n=8
[ "${TEST_SIZE:-sample}" = sample ] || n=1000
python3 tests/serve/promise.py $n
