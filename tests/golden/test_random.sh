#!/usr/bin/env bash
# Fresh random checkpoints against the slow reference: every logit of an f32 file within 2e-4.
# SEED=N repeats a run.
. tests/cli/common.sh

ref=$SHARED/ref
python=
for p in /usr/bin/python3 python3; do
    "$p" -c 'import numpy' 2>/dev/null && python=$p && break
done
if [ -z "$python" ]; then
    skipped random "no python3 with numpy"
    exit 0
elif [ ! -f "$ref/reference.py" ]; then
    skipped random "no $ref"
    exit 0
fi
export PYTHONDONTWRITEBYTECODE=1

cat >"$T/compare.py" <<'P'
"""compare.py FOLDER IDS LOGITS: largest difference from the reference; fails from 2e-4 on."""
import sys
import numpy as np
from reference import forward
from checkpoint import read_folder
cfg, W = read_folder(sys.argv[1])
ids = np.array(open(sys.argv[2]).read().split(), int)
want = forward(cfg, W, ids)
got = np.fromfile(sys.argv[3], np.float32).reshape(want.shape)
worst = np.abs(want - got).max()
print("worst difference %.2e" % worst)
sys.exit(not worst < 2e-4)
P

seed=${SEED:-$(date +%s)}
echo "# seed $seed"
check() { # check NAME KEY=VALUE...
    local name=$1 folder=$T/$1 vocab=256
    shift
    "$python" "$ref/random_checkpoint.py" "$folder" vocab=$vocab seed="$seed" "$@" >"$T/.log" 2>&1 &&
        "$BISE" quantize "$folder" -o "$T/$name.bise" --type f32 >>"$T/.log" 2>&1
    for i in $(seq 1 50); do echo $(((i * i * 31 + i * seed) % vocab)); done >"$T/ids.txt"
    "$BISE" perplexity -m "$T/$name.bise" --ids "$T/ids.txt" --logits "$T/$name.f32" --chunk 17 \
        >>"$T/.log" 2>&1
    if PYTHONPATH=$ref "$python" "$T/compare.py" "$folder" "$T/ids.txt" "$T/$name.f32" >"$T/.out" 2>&1; then
        ok "random $name ($(cat "$T/.out"))"
    else
        not_ok "random $name" "$(tail -n 3 "$T/.log" "$T/.out")"
    fi
    rm -rf "$folder" "$T/$name.bise" "$T/$name.f32"
    seed=$((seed + 1))
}

check window dim=192 ffn=320 heads=6 kv=2 layers=3 window=20
check mixture dim=128 ffn=96 heads=4 kv=4 experts=6 top_k=2 theta=1e6
check head_dim dim=80 ffn=200 heads=3 kv=1 head_dim=48 shards=3
check consolidated dim=128 ffn=256 heads=2 kv=2 layout=consolidated window=9
finish
