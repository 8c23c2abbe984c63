#!/usr/bin/env python3
"""Whether two runs of bise bench tell the same: in how many rows the 95 % intervals of the share of the
run's own limit overlap, and the largest share.

usage: bise bench -m FILE --suite quick -o A.json; the same again into B.json; bench/overlap.py A.json B.json"""
import json
import sys

runs = [json.load(open(path)) for path in sys.argv[1:3]]
overlapping, rows, largest = 0, 0, 0.0
for a, b in zip(runs[0]["rows"], runs[1]["rows"]):
    for kind, limit in ("prefill", "limit_gmacs"), ("decode", "limit_gbs"):
        x, y = a[kind], b[kind]
        if not x or not x["interval"] or not x["share"]:
            continue
        # A share moves with its speed: the interval of one is that of the other, scaled.
        (low, high), (below, above) = [
            [s["share"] * t / s["tokens_per_second"] for t in s["interval"]] for s in (x, y)]
        rows += 1
        overlapping += low <= above and below <= high
        largest = max(largest, x["share"], y["share"])
        if low > above or below > high:
            print(f'{a["isa"]} {a["threads"]} {kind}: {low:.3f} to {high:.3f}, {below:.3f} to {above:.3f}')
print(f"{overlapping} of {rows} overlap; the largest share is {100 * largest:.1f} %")
