#!/usr/bin/env bash
# bise report: figures of the page are those of the file, pages are read again, and files that would
# do harm do none.
. tests/cli/common.sh

expect synth "$BISE" synth --shape dim=128,ffn=256,layers=2,heads=4,kv=2,vocab=256,window=64 \
    --type i4 -o "$T/tiny.bise"
expect bench "$BISE" bench -m "$T/tiny.bise" -p 8 -n 4 -r 7 -t 1 -d 0,16 -b 1,2 \
    --kernels --slot quantize_b -o "$T/a.json"
expect report_html "$BISE" report "$T/a.json" -o "$T/a.html"
expect report_md "$BISE" report "$T/a.json" -o "$T/a.md"
expect report_svg "$BISE" report "$T/a.json" -o "$T/a.svg"
expect report_again "$BISE" report "$T/a.html" -o "$T/b.html"
same_files report_again_is_the_same "$T/a.html" "$T/b.html"
expect report_two "$BISE" report "$T/a.html" "$T/a.json" -o "$T/two.html"
same report_two_runs "2 2" "$(grep -c '<h2>Run' "$T/two.html") $(grep -o '"format":"bise-bench"' "$T/two.html" | grep -c .)"
same report_equal 0 "$(grep -c 'NOT EQUAL' "$T/two.html")"
sed 's/"tokens": "./"tokens": "x/' "$T/a.json" >"$T/other.json"
"$BISE" report "$T/a.json" "$T/other.json" -o "$T/differ.md"
differing=$(grep -c 'NOT EQUAL' "$T/differ.md")
same report_not_equal "$(grep -c '"tokens": ' "$T/a.json")" "$differing"
expect report_fixed "$BISE" report docs/example-bench.json -o "$T/example.html"
same_files report_example "$T/example.html" docs/example-report.html
expect report_fixed_picture "$BISE" report docs/example-bench.json -o "$T/example.svg"
same_files report_picture "$T/example.svg" docs/bench.svg

expect_exit report_no_json 3 'expected a file of bise bench' "$BISE" report docs/bench-schema.json -o "$T/x.html"
head -c 500 "$T/a.json" >"$T/cut.json"
expect_exit report_cut_json 3 'cut.json' "$BISE" report "$T/cut.json" -o "$T/x.html"
head -c $(($(wc -c <"$T/a.html") - 60)) "$T/a.html" >"$T/cut.html"
expect_exit report_cut_page 3 'ends inside a run' "$BISE" report "$T/cut.html" -o "$T/x.html"
expect_exit report_no_file 3 'missing' "$BISE" report "$T/missing.json" -o "$T/x.html"
expect_exit report_no_ending 2 'ends in .html' "$BISE" report "$T/a.json" -o "$T/x.pdf"
expect_exit report_nothing 2 'found none' "$BISE" report -o "$T/x.html"
sed 's/"rows": \[/"rows": 3, "old": [/' "$T/a.json" >"$T/no_rows.json"
expect_exit report_no_rows 3 '"rows": expected 0 to 256 objects' "$BISE" report "$T/no_rows.json" -o "$T/x.html"
sed 's/{"model": 0/{"model": 7/' "$T/a.json" >"$T/no_model.json"
expect_exit report_no_model 3 'not listed' "$BISE" report "$T/no_model.json" -o "$T/x.html"
expect report_left_nothing test ! -e "$T/x.html"

if ! command -v python3 >/dev/null 2>&1; then
    skipped report_figures "python3 is not installed"
    finish
    exit
fi
cat >"$T/hostile.py" <<'P'
import json, sys
j = json.load(open(sys.argv[1]))
bad = "</script><script>alert(1)</script>\" onload='x' <svg> | \u202e\u0007" + "y" * 10000
j["machine"].update(cpu=bad, kernel=bad, cores=1e300, memory_bytes=-5, governor=7)
j["models"][0].update(name=bad, decode_bytes=1e-300, prefill_macs=1e308)
for row in j["rows"]:
    row.update(isa="<b>|" + bad, tokens=bad, threads=-1e9, clock_mhz=[1e308] * 500000, depth={}, sequences=0)
    row["decode"].update(tokens_per_second=1e17, interval=[1, 2, 3], limit_gbs=1e-9)
json.dump(j, open(sys.argv[2], "w"), ensure_ascii=False)
P
expect hostile_is_made python3 "$T/hostile.py" "$T/a.json" "$T/hostile.json"
expect_exit hostile_is_too_long 3 'no file of bise bench' "$BISE" report "$T/hostile.json" -o "$T/x.html"
sed -i 's/500000/1000/' "$T/hostile.py"
expect hostile_is_made_shorter python3 "$T/hostile.py" "$T/a.json" "$T/hostile.json"
for form in html md svg; do
    expect "hostile_$form" "$BISE" report "$T/hostile.json" -o "$T/hostile.$form"
done
cat >"$T/check.py" <<'P'
import html.parser, json, re, sys, xml.dom.minidom
page, data, hostile = open(sys.argv[1]).read(), json.load(open(sys.argv[2])), open(sys.argv[3]).read()

class Reader(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.rows, self.cell, self.runs, self.in_run = [], [], False, [], False
        self.feed(text)
    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        assert not any(k.startswith("on") or k in ("href", "src") for k, _ in attrs), attrs
        if tag == "script":
            assert dict(attrs)["type"] == "application/json"
            self.in_run = True
        if tag == "tr":
            self.rows.append([])
        if tag == "td":
            self.rows[-1].append("")
            self.cell = True
    def handle_endtag(self, tag):
        self.cell = self.cell and tag != "td"
        self.in_run = self.in_run and tag != "script"
    def handle_data(self, text):
        if self.in_run:
            self.runs.append(text)
        elif self.cell:
            self.rows[-1][-1] += text

r = Reader(page)
assert json.loads("".join(r.runs)) == data
tables = {"prefill": [], "decode": []}
for row in (row for row in r.rows if len(row) in (12, 13)):
    tables["decode" if len(row) == 13 else "prefill"].append(row)
for name, table in tables.items():
    seen, expected = set(), []
    for row in data["rows"]:
        key = (row["isa"], row["threads"], row["depth"], row["prompt"], row["sequences"] if name == "decode" else 0)
        if key not in seen:
            seen.add(key)
            expected.append(row)
    assert len(table) == len(expected) > 0
    for shown, row in zip(table, expected):
        speed = row[name]
        decode = name == "decode"
        assert shown[0] == row["isa"] and [int(x) for x in shown[1:5]] == [
            row["model"], row["threads"], row["depth"] + (row["prompt"] if decode else 0),
            row["sequences"] if decode else row["prompt"]]
        rate = speed["tokens_per_second"]
        assert float(shown[5]) == float("%.6g" % rate)
        if decode:
            assert float(shown.pop(6)) == float("%.6g" % (rate / row["sequences"]))
        low, high = speed["interval"]
        assert abs(float(shown[6]) - 50 * (high - low) / rate) < 0.06
        assert shown[7] == "%.4g %s" % (speed["gbs" if decode else "gmacs"], "GB/s" if decode else "GMAC/s")
        share = [speed["share"]] + (speed["share_interval"] or [])
        if share[0] is None:
            assert shown[9] == "-"
        elif share[1] == share[2]:
            assert shown[9] == "%.0f %%" % (100 * share[0])
        else:
            assert shown[9] == "%.0f %% (%.0f to %.0f)" % tuple(100 * x for x in share)
        base = next(b for b in data["rows"] if b["depth"] == row["depth"] and b["isa"] == data["settings"]["baseline"])
        assert abs(float(shown[10]) - rate / base[name]["tokens_per_second"]) <= 6e-3 * float(shown[10])
        assert ("~" in shown[11]) == speed["noisy"]
kernels = [row for row in r.rows if row[:1] and row[0].startswith("quantize_block")]
assert kernels == [["quantize_block, 128 (us, GB/s)"] + [
    "%.4g, %.3g" % (k["seconds"] * 1e6, k["gbs"]) if k["of"] == k["isa"] else "= " + k["of"] for k in data["kernels"]]]
heat = re.search(r"<svg[^>]*><title>Kernels.*?</svg>", page, re.S).group(0)
assert heat.count("<rect") == len(data["machine"]["isas"]) == len(data["kernels"])
for k in data["kernels"]:
    assert ">%s%.3gx<" % ("" if k["share"] is None else "%.0f %%, " % (100 * k["share"]), k["over_scalar"]) in heat
labels = [m.group(1) for m in re.finditer(r"at once, after \d+: ([\d.e+]+)</text>", page)]
assert labels == ["%.6g" % row["decode"]["tokens_per_second"] for row in data["rows"]]
def decode_ratios(md):
    lines = md[md.index("### Decode"):md.index("### Memory")].splitlines()[4:]
    return [float(line.split("|")[12]) for line in lines if line]
rates = [row["decode"]["tokens_per_second"] for row in data["rows"]]
expected = [rates[0], rates[0], rates[2], rates[2]]  # the baseline has no row after 16
assert [row["depth"] for row in data["rows"]] == [0, 0, 16, 16]
for shown, rate, base in zip(decode_ratios(open(sys.argv[5]).read()), rates, expected, strict=True):
    assert abs(shown - rate / base) <= 6e-3 * shown, (shown, rate, base)
assert not re.search(r", 0x\b", open(sys.argv[5]).read())  # what scalar was not measured for
example = json.load(open("docs/example-bench.json"))  # more kernels than one picture has
heat = "".join(re.findall(r"<svg[^>]*><title>Kernels.*?</svg>", open("docs/example-report.html").read(), re.S))
shown = re.findall(r'<text x="4" y="[\d.]+">([a-z]\w*, [^<]*)</text>', heat)
assert shown == list(dict.fromkeys(k["kernel"] + ", " + k["shape"] for k in example["kernels"])) and len(shown) > 25
texts = re.findall(r">((?:\d+ %)?(?:, )?(?:[\d.e+]+x)?)</text>", heat)
assert [t for t in texts if t] == [
    ", ".join((["%.0f %%" % (100 * k["share"])] if k["share"] else []) + (["%.3gx" % k["over_scalar"]] if k["over_scalar"] else []))
    for k in example["kernels"] if k["share"] or k["over_scalar"]]
marked = open(sys.argv[4]).read()
ringed = [float(x) for x in re.findall(r"<title>throttled: ([\d.]+) at 3<", marked)]
assert ringed == [2203, 63] and marked.count('class="mark"') == 4 and "~ noisy" in marked
cells = ["t4.bise", "i4", "4.25", "5.1", "5.6", "0.1", "5.5", "0.013", "0.002", "97.5 %"]
assert any(row[:1] == cells[:1] and row[4:10] == cells[4:] for row in Reader(marked).rows), cells
for svg in re.findall(r"<svg.*?</svg>", page + hostile + marked, re.S):
    root = xml.dom.minidom.parseString(svg).documentElement
    assert root.getAttribute("role") == "img" and root.getElementsByTagName("title") and root.getElementsByTagName("desc")
    assert "nan" not in svg.lower() and "inf" not in svg.replace("information", "")
r = Reader(hostile)
assert r.tags.count("script") == 1 and "b" not in r.tags and "alert" not in "".join(t for t in r.tags)
assert "\u202e" not in re.sub(r"<script.*?</script>", "", hostile, flags=re.S) and len(hostile) < 1 << 20
P
# A machine that tells its clock, was throttled in one row's third round, and a file that was evaluated.
cat >"$T/marked.py" <<'P'
import json, sys
j = json.load(open(sys.argv[1]))
for row in j["rows"]:
    row.update(clock_mhz=[3000] * 7, celsius=[50] * 7)
row = j["rows"][1]
row["clock_mhz"][2], row["celsius"][2], row["throttled"][2] = 2203, 63, True
row["decode"]["noisy"] = True
j["models"][0].update(name="t4.bise", evaluation={
    "text": "book.txt, 3 windows of 512", "perplexity_before": [5.5, 0.1], "perplexity": [5.6, 0.1],
    "kl": [0.013, 0.002], "same_top_percent": 97.5})
json.dump(j, open(sys.argv[2], "w"))
P
expect marked_is_made python3 "$T/marked.py" "$T/a.json" "$T/marked.json"
expect report_marked "$BISE" report "$T/marked.json" -o "$T/marked.html"
python3 -c 'import json, sys
j = json.load(open(sys.argv[1]))
for row in j["rows"][:2]: row["isa"] = "slow"
for k in j["kernels"]: k["over_scalar"] = None
j["settings"]["baseline"] = "slow"
json.dump(j, open(sys.argv[2], "w"))' "$T/a.json" "$T/no_base.json"
expect report_no_base "$BISE" report "$T/no_base.json" -o "$T/no_base.md"
expect report_figures python3 "$T/check.py" "$T/a.html" "$T/a.json" "$T/hostile.html" "$T/marked.html" "$T/no_base.md"
# Three machines.
for i in 1 2 3; do cp docs/example-bench.json "$T/$i.json"; done
expect report_three "$BISE" report "$T/1.json" "$T/2.json" "$T/3.json" -o "$T/three.html"
if [ "$(wc -c <"$T/three.html")" -lt 400000 ]; then ok report_size; else not_ok report_size "$(wc -c <"$T/three.html") bytes"; fi
finish
