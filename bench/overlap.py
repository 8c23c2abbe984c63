#!/usr/bin/env python3
"""Whether two runs of bise bench tell the same: in how many rows the 95 % intervals of the shares
overlap, and the largest share.

usage: bise bench -m FILE --suite quick -o A.json; the same again into B.json; bench/overlap.py A.json B.json"""
import json
import sys

runs = [json.load(open(path)) for path in sys.argv[1:3]]
overlapping, rows, largest = 0, 0, 0.0
for a, b in zip(runs[0]["rows"], runs[1]["rows"]):
    for kind in "prefill", "decode":
        x, y = a[kind], b[kind]
        if not x or not x["share_interval"] or not y["share_interval"]:
            continue
        (low, high), (below, above) = x["share_interval"], y["share_interval"]
        overlap = low <= above and below <= high
        rows += 1
        overlapping += overlap
        largest = max(largest, x["share"], y["share"])
        print(f'{a["isa"]:9} {a["threads"]} {kind:7} {100 * low:5.1f} to {100 * high:5.1f} %, '
              f'{100 * below:5.1f} to {100 * above:5.1f} %{"" if overlap else "  apart"}')
print(f"{overlapping} of {rows} overlap; the largest share is {100 * largest:.1f} %")
