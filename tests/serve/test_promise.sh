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
"$BISE" quantize models/demo.bise -o "$T/demo.bise" --type i8 --chat-format v1 2>"$T/.err" || not_ok made_a_model
BISE_MODEL=$T/demo.bise python3 tests/serve/promise.py $n
