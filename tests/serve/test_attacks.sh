#!/usr/bin/env bash
# What a server on a network meets; with TEST_SIZE=full at every byte.
. tests/cli/common.sh
command -v python3 >/dev/null || {
    skipped attacks "python3 is not installed"
    exit
}
export T PYTHONDONTWRITEBYTECODE=1
n=
[ "${TEST_SIZE:-sample}" = sample ] || n=1000
python3 tests/serve/attacks.py $n
