#!/usr/bin/env bash
# The reader printed in docs/format.md reads files, and finds in the example what the page says.
. tests/cli/common.sh

if ! command -v python3 >/dev/null; then
    skipped format_doc "no python3"
    finish
    exit
fi
# shellcheck disable=SC2016 # no expansion is meant
sed -n '/^```python$/,/^```$/p' docs/format.md | sed '1d;$d' >"$T/reader.py"
expect example env PYTHONPATH="$T" python3 - tests/data/format/example.bise <<'END'
import sys
from reader import read, weight
tensors = read(sys.argv[1])
assert len(tensors) == 11
limits = {0: 0, 1: 0, 2: 0.003, 3: 0.05}
seen = set()
for name, tensor in tensors.items():
    kind, is_vector, rows, cols = tensor[:4]
    seen.add(kind)
    for r in range(rows):
        for k in range(cols):
            w = weight(tensor, r, k)
            x = (1, 1.125, 0.875, 1.25)[k] if is_vector else ((7 * r + 3 * k) % 11 - 5) / 8
            assert abs(w - x) <= limits[kind], (name, r, k, w, x)
assert seen == {0, 1, 2, 3}
assert abs(weight(tensors["layers.0.attention.wq"], 1, 2) + 0.34615) < 1e-5
assert abs(weight(tensors["tok_embeddings"], 1, 2) - -0.375) < 0.003
END
# Several panels and tiles, rows and columns that fill neither.
for type in i4 i8 bf16 f32; do
    expect "synth_$type" "$BISE" synth --shape dim=300,ffn=140,layers=1,heads=2,kv=1,vocab=50 \
        --type $type -o "$T/$type.bise"
    expect "read_$type" env PYTHONPATH="$T" python3 - "$T/$type.bise" <<'END'
import math, sys
from reader import read, weight
tensors = read(sys.argv[1])
for name in ("layers.0.feed_forward.w1", "layers.0.feed_forward.w2"):
    rows, cols = tensors[name][2:4]
    w = [weight(tensors[name], r, k) for r in range(rows) for k in range(cols)]
    std = math.sqrt(sum(x * x for x in w) / len(w) * cols)
    assert 0.9 < std < 1.1, (name, std)
END
done
finish
