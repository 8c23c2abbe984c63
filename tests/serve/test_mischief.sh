#!/usr/bin/env bash
# Clients that mean no good, at random: for a second or two, or with TEST_SIZE=full some minutes.
. tests/cli/common.sh
command -v python3 >/dev/null || {
    skipped mischief "python3 is not installed"
    exit
}
export T PYTHONDONTWRITEBYTECODE=1
n=2
[ "${TEST_SIZE:-sample}" = sample ] || n=60
python3 tests/serve/mischief.py $n 1 && python3 tests/serve/mischief.py $n 2 --moderate
