#!/usr/bin/env bash
# bise bench: every form of output on a tiny model, and options it must refuse.
. tests/cli/common.sh

expect synth "$BISE" synth --shape dim=128,ffn=256,layers=2,heads=4,kv=2,vocab=256,window=64 \
    --type i4 -o "$T/tiny.bise"
bench() { "$BISE" bench -m "$T/tiny.bise" -p 8,32 -n 4 -r 2 -t 1,2 --isa scalar "$@"; }

expect bench_md bench
rows=$(bench 2>/dev/null | grep -c '^| scalar |')
if [ "$rows" -eq 4 ]; then ok bench_rows; else not_ok bench_rows "4 rows expected, $rows found"; fi
expect bench_csv bench -o csv
columns=$(bench -o csv 2>/dev/null | awk -F, '{ print NF }' | sort -u)
if [ "$columns" = 17 ]; then ok bench_csv_columns; else not_ok bench_csv_columns "$columns"; fi
expect bench_json bench -o json
if command -v python3 >/dev/null 2>&1; then
    if bench -o json 2>/dev/null |
        python3 -c 'import json, sys; assert len(json.load(sys.stdin)["rows"]) == 4'; then
        ok bench_json_parses
    else
        not_ok bench_json_parses
    fi
else
    skipped bench_json_parses "python3 is not installed"
fi
expect bench_depth bench -d 70
bench -b 1,3 -n 2 -r 1 >"$T/out" 2>&1
same bench_batch "1 0 3 0 1 4096 3 4096 1 0 3 0 1 4096 3 4096" "$(sed -n 's/^| \([0-9]*\) | \([0-9]*\) | [0-9].*/\1 \2/p' "$T/out" | xargs)"
expect_exit bench_batch_list 2 'expected up to' bench -b 0
expect_exit bench_list 2 'expected up to' "$BISE" bench -m "$T/tiny.bise" -p 1,x
expect_exit bench_isa 2 'no "mmx"' "$BISE" bench -m "$T/tiny.bise" --isa mmx
expect_exit bench_no_isa 2 'no ""' "$BISE" bench -m "$T/tiny.bise" --isa ''
expect_exit bench_form 2 'expected md, csv or json' bench -o xml
expect_exit bench_file 3 'missing.bise' "$BISE" bench -m "$T/missing.bise"
finish
