#!/usr/bin/env bash
# Calls of tools: 20 that are required, or with TEST_SIZE=full 1,000.
. tests/cli/common.sh
command -v python3 >/dev/null || {
    skipped tools "python3 is not installed"
    exit
}
export T PYTHONDONTWRITEBYTECODE=1
n=20
[ "${TEST_SIZE:-sample}" = sample ] || n=1000
python3 tests/serve/v3_demo.py "$T/v3.bise"
python3 tests/serve/tools.py "$T/v3.bise" $n
