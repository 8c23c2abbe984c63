#!/usr/bin/env bash
# bise bench: every form of output on a tiny model, what its figures promise, options it must refuse.
. tests/cli/common.sh

expect synth "$BISE" synth --shape dim=128,ffn=256,layers=2,heads=4,kv=2,vocab=256,window=64 \
    --type i4 -o "$T/tiny.bise"
bench() { "$BISE" bench -m "$T/tiny.bise" -p 8,32 -n 4 -r 2 -t 1,2 --isa scalar "$@"; }
n_isas=$("$BISE" --version -v | sed -n 's/^kernels *//p' | sed 's/[a-z0-9_]* ([^)]*)//g' | wc -w)
rows() { grep -c "^|* *scalar " "$T/out"; }

bench >"$T/out" 2>"$T/err"
same bench_md_rows 8 "$(rows)"
same bench_same_bits 1 "$(grep -c 'bit by bit' "$T/out")"
bench --format table >"$T/out" 2>"$T/err"
same bench_table_rows 8 "$(rows)"
bench -b 1,3 -d 0,70 -n 2 -r 1 -p 8 -t 1 >"$T/out" 2>"$T/err"
same bench_batch "8 1 8 3 78 1 78 3" \
    "$(sed -n '/^Decode/,$s/^| scalar *| *1 | *\([0-9]*\) | *\([0-9]*\) .*/\1 \2/p' "$T/out" | xargs)"
bench -p 8 -n 0 -r 1 -t 1 >"$T/out" 2>"$T/err"
same bench_prefill_alone "1 0" "$(rows) $(grep -c ^Decode "$T/out")"
bench -p 0 -r 1 -t 1 >"$T/out" 2>"$T/err"
same bench_decode_alone "1 0" "$(rows) $(grep -c ^Prefill "$T/out")"
bench -p 8 -t 1 -m "$T/tiny.bise" --isa all --baseline scalar >"$T/out" 2>"$T/err"
same bench_columns "" "$(awk 'length > 100' "$T/out")"
same bench_two_models 4 "$(rows)"
bench -p 8 -t 1 --isa all --baseline scalar >"$T/out" 2>"$T/err"
same bench_baseline 2 "$(grep -c '^| scalar .* |  *1 | ' "$T/out")"
bench -p 8 -t 1 -b 4 -d 0,16 -r 1 >"$T/out" 2>"$T/err"
same bench_each 2 "$(awk -F'|' '/^Decode/ { d = 1 } d && $2 ~ /scalar/ && ($6 / 4 - $7) ^ 2 < 1 { n++ } END { print n }' "$T/out")"
bench -p 0 -n 0 --kernels --slot scale >"$T/out" 2>"$T/err"
same bench_kernels "$n_isas" "$(grep -c '^| scale *| 4096 ' "$T/out")"
same bench_kernels_columns "" "$(awk 'length > 100' "$T/out")"
same bench_kernels_beside_scalar 1 "$(grep -c '^| scale .* scalar .*| *- *| *1 | ' "$T/out")"
bench -p 8 -r 1 -t 1 --kernels --slot scale --format csv >"$T/out" 2>"$T/err"
same bench_kernels_csv 10 "$(awk -F, '/^kernel,/ { k = 1 } k { print NF }' "$T/out" | sort -u)"
bench -p 8 -r 1 -t 1 --kernels --slot quantize -o "$T/kernels.json" 2>"$T/err"
bench -o csv >"$T/csv" 2>"$T/err"
same bench_csv_columns 28 "$(awk -F, '{ print NF }' "$T/csv" | sort -u)"
best=$("$BISE" --version -v | sed -n 's/^kernels *//p' | sed 's/[a-z0-9_]* ([^)]*)//g' | awk '{ print $NF }')
two=$(printf '%s\n' scalar "$best" | uniq | paste -sd,)
expect bench_file bench -o "$T/bench.json" -r 7 --isa "$two"
expect bench_file_is_json grep -q '"format": "bise-bench"' "$T/bench.json"
# A suite varies one thing at a time; what stands before a prompt is kept in a file that leaves no trace.
mkdir "$T/tmp"
TMPDIR=$T/tmp bench --suite full --slot scale -p 8,16 -d 0,16,70 -b 1,3 -n 2 -r 1 -t 2,1 >"$T/out" 2>"$T/err"
same bench_suite_rows "2 8 1 2 8 3 2 16 1 2 24 1 2 78 1 1 8 1" \
    "$(sed -n '/^Decode/,$s/^| scalar *| *\([0-9]*\) | *\([0-9]*\) | *\([0-9]*\) .*/\1 \2 \3/p' "$T/out" | xargs)"
same bench_no_trace "" "$(ls "$T/tmp")"
hashes() { bench -p "$1" -d "$2" -n 2 -r 1 -t 1 -b 1,3 --format csv 2>"$T/err" | cut -d, -f27,28; }
same bench_depth_is_read "$(hashes 78 0)" "$(hashes 8 70)"
expect_exit bench_no_temporary 3 "$T/none/bise-bench" env TMPDIR="$T/none" "$BISE" bench -m "$T/tiny.bise" -d 16 -r 1
bench -p 8 -t 1 -r 20 -o "$T/parts.json" 2>"$T/err"
bench -p 8 -t 1 --kv f32 --chunk 4 -r 1 --suite quick --format json >"$T/one.json" 2>"$T/err"

if ! command -v python3 >/dev/null 2>&1; then
    skipped bench_json "python3 is not installed"
else
    cat >"$T/check.py" <<'P'
import json, statistics, sys
many, one, parts = (json.load(open(p)) for p in sys.argv[1:])
isas = {row["isa"] for row in many["rows"]}
assert len(many["rows"]) == 4 * len(isas) and many["rounds"] == 7
for row in many["rows"] + one["rows"]:
    assert row["repeatable"]
    for speed in row["prefill"], row["decode"]:
        assert speed["share"] is None or 0 < speed["share"] <= 1
        median = statistics.median(speed["samples"])
        assert abs(speed["tokens_per_second"] - median) <= 1e-4 * median
near = lambda x, y: abs(x - y) <= 1e-3 * y
def shares(row, speed): # round by round, of the limit beside it
    unit = speed["gmacs" if "gmacs" in speed else "gbs"] / speed["tokens_per_second"]
    return [min(1, unit * x / limit) for x, limit in zip(speed["samples"], speed["limits"])]
for row in many["rows"]: # of 7 sorted samples the first and the last
    for speed in row["prefill"], row["decode"]:
        assert all(near(x, y) for x, y in zip(speed["interval"], (min(speed["samples"]), max(speed["samples"]))))
        if speed["share"] is None:
            assert row["isa"] == "scalar" and speed["limits"] is None and "gmacs" in speed
            continue
        of = shares(row, speed)
        assert abs(speed["share"] - statistics.median(of)) < 6e-4
        assert all(abs(x - y) < 6e-4 for x, y in zip(speed["share_interval"], (min(of), max(of))))
        assert all(limit <= speed["limit_gmacs" if "gmacs" in speed else "limit_gbs"] * 1.0001 for limit in speed["limits"])
assert sum(row[k]["share"] is not None for row in many["rows"] for k in ("prefill", "decode")) == 8 * len(isas) - 4
for speed in (row[k] for row in parts["rows"] for k in ("prefill", "decode")):
    # 20 rounds are nine parts; of their medians the second and the last but one
    of = sorted(statistics.median(speed["samples"][20 * i // 9:20 * (i + 1) // 9]) for i in range(9))
    assert parts["rounds"] == 20 and all(near(x, y) for x, y in zip(speed["interval"], (of[1], of[7]))), (speed["interval"], of)
assert one["rows"][0]["decode"]["interval"] is None and one["rows"][0]["decode"]["share_interval"] is None
assert one["rows"][0]["kv"] == "f32" and one["settings"]["chunk"] == 4
of = {}
for row in many["rows"]:
    of.setdefault(row["prompt"], set()).add((row["tokens"], row["logits"]))
assert all(len(hashes) == 1 for hashes in of.values()) and of[8] != of[32]
P
    cat >"$T/kernels.py" <<'P'
import json, sys
run, isas = json.load(open(sys.argv[1])), set(json.load(open(sys.argv[1]))["machine"]["isas"])
found = {}
for k in run["kernels"]:
    found.setdefault((k["kernel"], k["shape"]), {})[k["isa"]] = k
assert {name for name, _ in found} == {"quantize_q32", "quantize_q128", "quantize_block", "quantize_i4"} and run["rows"]
for of in found.values():
    assert set(of) == isas
    for isa, k in of.items():
        assert k["seconds"] > 0 and k["over_scalar"] > 0 and k["gmacs"] is None
        assert abs(k["gbs"] - k["bytes"] / k["seconds"] / 1e9) <= 2e-3 * k["gbs"]
        assert abs(k["over_scalar"] - of["scalar"]["seconds"] / k["seconds"]) <= 2e-3 * k["over_scalar"]
        assert (k["share"] is None) == (isa == "scalar") and (k["share"] or 1) <= 1
        if k["of"] != isa:
            assert k["seconds"] == of[k["of"]]["seconds"]
P
    expect bench_kernels_json python3 "$T/kernels.py" "$T/kernels.json"
    expect bench_json python3 "$T/check.py" "$T/bench.json" "$T/one.json" "$T/parts.json"
    if python3 -c 'import jsonschema' 2>/dev/null; then
        cat >"$T/schema.py" <<'P'
import json, jsonschema, sys
schema = json.load(open("docs/bench-schema.json"))
jsonschema.Draft7Validator.check_schema(schema)
for path in sys.argv[1:]:
    jsonschema.validate(json.load(open(path)), schema)
P
        expect bench_schema python3 "$T/schema.py" "$T/bench.json" "$T/one.json" "$T/kernels.json"
        sed 's/"version": 3/"version": 4/' "$T/one.json" >"$T/two.json"
        expect_exit bench_schema_tells 1 ValidationError python3 "$T/schema.py" "$T/two.json"
    else
        skipped bench_schema "python3's jsonschema is not installed"
    fi
fi
expect_exit bench_batch_list 2 'expected up to' bench -b 0
expect_exit bench_list 2 'expected up to' "$BISE" bench -m "$T/tiny.bise" -p 1,x
expect_exit bench_isa 2 'no "mmx"' "$BISE" bench -m "$T/tiny.bise" --isa mmx
expect_exit bench_isa_twice 2 'found "scalar" again' "$BISE" bench -m "$T/tiny.bise" --isa scalar,scalar
expect_exit bench_no_output 2 'expected the name of a file' bench -o ''
expect_exit bench_no_isa 2 'no ""' "$BISE" bench -m "$T/tiny.bise" --isa ''
expect_exit bench_form 2 'expected md, table, csv or json' bench --format xml
expect_exit bench_nothing 2 'nothing to measure' bench -p 0 -n 0
expect_exit bench_no_baseline 2 'baseline: expected one of' bench --baseline avx2
expect_exit bench_suite 2 'expected quick or full' bench --suite slow
expect_exit bench_kv 2 'expected auto, i8' bench --kv i5
expect_exit bench_no_slot 2 'no kernel has "zz"' bench -p 0 -n 0 --slot zz
expect_exit bench_no_file 3 'missing.bise' "$BISE" bench -m "$T/missing.bise"
expect_exit bench_no_place 3 'nowhere' bench -r 1 -o "$T/nowhere/bench.json"
# Ctrl-C, once the program listens to it: in rounds, and in kernels.
interrupted() { # interrupted NAME MESSAGE OPTION...
    local name=$1 message=$2
    shift 2
    "$BISE" bench -m "$T/tiny.bise" -o "$T/interrupted.json" "$@" >"$T/out" 2>"$T/err" &
    local pid=$!
    wait_for grep -q '^SigCgt:.*[2367abef]$' /proc/$pid/status
    kill -INT $pid
    wait $pid
    same "$name" 130 $?
    expect "${name}_says_so" grep -q "bise bench: interrupted after [0-9]* $message; there is no result" "$T/err"
    expect "${name}_leaves_nothing" test -z "$(find "$T" -name 'interrupted.json*')"
}
interrupted bench_interrupted rounds -p 1000 -n 100 -r 50 --max-seconds 600
interrupted bench_kernels_interrupted 'rows of kernels' -p 0 -n 0 --kernels
finish
