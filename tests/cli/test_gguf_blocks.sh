#!/usr/bin/env bash
# Rows of every block type of GGUF against numpy.
# usage: test_gguf_blocks.sh [ROWS]
. tests/cli/common.sh
python=python3
"$python" -c 'import numpy' 2>/dev/null || python=/usr/bin/python3 # Debian's python3-numpy
if ! "$python" -c 'import numpy' 2>/dev/null; then
    skipped gguf_blocks "no numpy"
    finish
    exit
fi
"$python" tests/compare/gguf_blocks.py "$BISE" "${1:-16}" >"$T/lines" 2>"$T/err"
same "types" 12 "$(grep -c "bit-equal with numpy" "$T/lines")"
while read -r type rows _; do
    expect "$type" grep -q -E "^$type +$rows rows of 512: $rows bit-equal with numpy(, $rows bit-equal with gguf)?\$" "$T/lines"
done < <(cat "$T/lines")
finish
