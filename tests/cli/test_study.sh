#!/usr/bin/env bash
# bise study: what it finds is so, and faults planted in the cache and in attention are found.
. tests/cli/common.sh
demo=models/demo.bise
text='The old king looked at the troll, and the troll looked at the old king.'

## The cache

for kv in i8 f16 f32 i4; do
    for window in 1 4 17; do
        expect "the cache holds what is promised: $kv, window $window" \
            "$BISE" study cache -m $demo -p "$text" --window $window --kv $kv -t 2
    done
done
"$BISE" study cache -m $demo -p "$text" >"$T/table" 2>&1
same "all is checked" 5 "$(grep -c '^holds  ' "$T/table")"
same "slot 0 is taken again by position 32, which sees 29 to 32" \
    "32 0 0 29..32" "$(awk '$1 == 32 { print $1, $3, $4, $5 }' "$T/table")"
same "what lies where behind it" "@ooooooooooooooo ooooooooooooo###" \
    "$(awk '$1 == 32 { print $(NF - 1), $NF }' "$T/table")"
if command -v python3 >/dev/null; then
    "$BISE" study cache -m $demo -p "$text" --json --svg "$T/cache.svg" >"$T/json"
    expect "JSON and SVG say the same" python3 - "$T/json" "$T/cache.svg" <<'END'
import json, sys, xml.dom.minidom
found = json.load(open(sys.argv[1]))
ring, window = found["ring"], found["window"]
assert all(c["holds"] for c in found["checks"]) and len(found["checks"]) == 5
for i, step in enumerate(found["steps"]):
    assert step["position"] == i and step["slot"] == i % ring
    assert step["replaces"] == (i - ring if i >= ring else None)
    assert step["sees"] == min(i + 1, window) and step["sees_from"] == max(0, i - window + 1)
svg = xml.dom.minidom.parse(sys.argv[2])
kinds = [r.getAttribute("class") for r in svg.getElementsByTagName("rect")]
assert kinds.count("w") == len(found["steps"])
assert kinds.count("s") == sum(s["sees"] - 1 for s in found["steps"])
END
else
    skipped "JSON and SVG say the same" "no python3"
fi

# planted NAME SOURCE FROM TO PROMISE: a program with this change in it finds that the promise is broken.
planted() {
    local name=$1 source=$2
    sed "s/$3/$4/" "$source" >"$T/planted.c"
    cmp -s "$source" "$T/planted.c" && not_ok "$name" "\"$3\" is not in $source"
    if ! $CC -I. -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -O1 -std=c11 -ffp-contract=off -pthread -c \
        -o "$T/planted.o" "$T/planted.c" 2>"$T/log" || ! $CC -pthread -o "$T/planted" \
        "$BUILD/tools/main.o" "$T/planted.o" "$BUILD/libtools.a" "$BUILD/libquant.a" \
        "$BUILD/libbise.a" -lm 2>>"$T/log"; then
        not_ok "$name" "$(tail -n 5 "$T/log")"
        return
    fi
    "$T/planted" study cache -m $demo -p "$text" >"$T/found" 2>&1
    same "$name: exit code" 1 $?
    expect "$name: what is broken" grep -q "^NOT SO  $5" "$T/found"
}
if [ -n "$SANITIZER" ] || [ -n "${EMULATOR:-}" ] || [ ! -f "$BUILD/libtools.a" ]; then
    skipped "planted faults" "built otherwise"
else
    planted "a window one too wide" src/engine/attention.c 'pos - window + 1 : 0' 'pos - window : 0' \
        'a token sees exactly'
    planted "a window one too narrow" src/engine/attention.c 'pos - window + 1 : 0' \
        'pos - window + 2 : 0' 'a token sees exactly'
    planted "another slot" src/engine/kv.c 'const size_t slot = (size_t)(pos % kv->ring);' \
        'const size_t slot = (size_t)((pos + (pos > 20)) % kv->ring);' 'position i is written'
fi

## Windows

for i in {1..60}; do echo "The old king looked at troll number $i, and $i children sang."; done >"$T/text"
expect "windows" "$BISE" study window -m $demo -f "$T/text" --windows 16,64,0 --tokens 500
if command -v python3 >/dev/null; then
    "$BISE" study window -m $demo -f "$T/text" --windows 16,64 --tokens 500 --json >"$T/json"
    # The first 15 tokens see all there is by either window.
    expect "windows as JSON" python3 - "$T/json" <<'END'
import json, sys
found = json.load(open(sys.argv[1]))
assert found["tokens"] == 500 and [w["window"] for w in found["windows"]] == [16, 64]
assert found["windows"][0]["cache_bytes"] < found["windows"][1]["cache_bytes"]
rows = found["loss_by_position"]
assert rows[0]["nats"][0] == rows[0]["nats"][1] and sum(r["n"] for r in rows) == 499
assert rows[-1]["nats"][0] != rows[-1]["nats"][1]
END
    # The whole text by a window that covers it: the perplexity that bise perplexity finds.
    "$BISE" study window -m $demo -f "$T/text" --windows 0 --tokens 257 --json >"$T/json"
    "$BISE" perplexity -m $demo --text "$T/text" --sequences 256 --tokens 256 --window 0 --json >"$T/ppl"
    expect "the same perplexity" python3 -c "
import json
a, b = (json.load(open('$T/' + f)) for f in ('json', 'ppl'))
assert abs(a['windows'][0]['perplexity'] - b['perplexity']) < 1e-4 * b['perplexity'], (a, b)"
else
    skipped "windows as JSON" "no python3"
fi

## Grouped queries

shape=dim=256,ffn=256,layers=2,heads=8,kv=8,vocab=64
expect "gqa" "$BISE" study gqa --shape $shape -n 2
if command -v python3 >/dev/null; then
    TMPDIR=$T "$BISE" study gqa --shape $shape -n 2 --json >"$T/json"
    expect "an eighth of the KV heads, an eighth of the cache" python3 - "$T/json" <<'END'
import json, sys
kinds = json.load(open(sys.argv[1]))["kinds"]
assert [k["kv_heads"] for k in kinds] == [8, 2, 1], kinds
# 2 layers, keys and values of 32 bytes and a scale of 4, for each KV head
assert all(k["token_bytes"] == 2 * 2 * 36 * k["kv_heads"] for k in kinds)
assert kinds[0]["token_bytes"] == 4 * kinds[1]["token_bytes"]
assert 4.0 <= kinds[1]["longest_context"] / kinds[0]["longest_context"] < 4.1
assert all(k["read"] > 0 and all(w["tokens_per_second"] > 0 for w in k["write"] + k["together"]) for k in kinds)
END
    [ -z "$(find "$T" -name 'bise-study*')" ] && ok "no model is left" || not_ok "no model is left"
else
    skipped "an eighth of the KV heads, an eighth of the cache" "no python3"
fi

## Chunks, and a text without end

"$BISE" study chunk -m $demo -f "$T/text" --tokens 300 >"$T/table"
same "chunks: exit code" 0 $?
same "chunks: the same bits" 1 "$(grep -c '^holds ' "$T/table")"
same "chunks: those that the text fills" "16 32 64 128 256" \
    "$(awk '$1 ~ /^[0-9]+$/ && NF == 8 { print $1 }' "$T/table" | xargs)"
"$BISE" study long -m $demo -f "$T/text" --tokens 2000 --json >"$T/json"
if command -v python3 >/dev/null; then
    expect "a text without end" python3 - "$T/json" <<'END'
import json, sys
found = json.load(open(sys.argv[1]))
points = found["points"]
assert [p["position"] for p in points] == [100 * (i + 1) for i in range(20)]
assert found["window"] == 128 and found["ring"] < 2000
END
else
    skipped "a text without end" "no python3"
fi
expect_exit "a text without end needs a window" 2 "has no window: expected --window N" \
    "$BISE" study long -m $demo -f "$T/text" --window 0

## One object each, by a schema, and shown by bise report

"$BISE" study cache -m $demo -p "$text" --json >"$T/cache.json"
"$BISE" study gqa --shape $shape -n 1 --budget 2 --json >"$T/gqa.json"
"$BISE" study window -m $demo -f "$T/text" --windows 16,0 --tokens 300 --json >"$T/window.json"
"$BISE" study chunk -m $demo -f "$T/text" --tokens 100 --json >"$T/chunk.json"
"$BISE" study long -m $demo -f "$T/text" --tokens 400 --json >"$T/long.json"
studies=("$T"/{gqa,window,cache,chunk,long}.json)
expect "a page of all" "$BISE" report "${studies[@]}" -o "$T/all.html"
expect "their tables" "$BISE" report "${studies[@]}" -o "$T/all.md"
expect "the page again" "$BISE" report "$T/all.html" -o "$T/again.html"
same_files "the page again is the same" "$T/all.html" "$T/again.html"
expect "the cache's picture" "$BISE" report "$T/cache.json" -o "$T/again.svg"
"$BISE" study cache -m $demo -p "$text" --svg "$T/cache.svg" >/dev/null
same_files "the cache's picture is the same" "$T/cache.svg" "$T/again.svg"
expect_exit "no picture of others" 3 "no picture of it" "$BISE" report "$T/long.json" -o "$T/x.svg"
sed 's/"version": 1/"version": 9/' "$T/long.json" >"$T/nine.json"
expect_exit "another version" 3 "bise study --json, version 1" "$BISE" report "$T/nine.json" -o "$T/x.html"
if python3 -c 'import jsonschema' 2>/dev/null; then
    expect "by the schema" python3 - "${studies[@]}" <<'END'
import json, jsonschema, sys
schema = json.load(open("docs/study-schema.json"))
jsonschema.Draft7Validator.check_schema(schema)
for path in sys.argv[1:]:
    found = json.load(open(path))
    jsonschema.validate(found, schema)
    del found["study"]
    try:
        jsonschema.validate(found, schema)
        sys.exit(path + ": the schema lets everything pass")
    except jsonschema.ValidationError:
        pass
END
else
    skipped "by the schema" "python3's jsonschema is not installed"
fi
if command -v python3 >/dev/null; then
    # Every figure of the tables, and the number of points of the plots.
    expect "figures of the page" python3 - "$T/all.html" "${studies[@]}" <<'END'
import html.parser, json, re, sys, xml.dom.minidom
page, studies = open(sys.argv[1]).read(), {}
for path in sys.argv[2:]:
    studies.setdefault(json.load(open(path))["study"], json.load(open(path)))
shown = re.sub(r"<script.*?</script>", "", page, flags=re.S)
rows = [[html.unescape(c) for c in re.findall(r"<td>(.*?)</td>", row)] for row in re.findall(r"<tr>(<td>.*?)</tr>", shown)]
g = lambda x: "%.6g" % x
mib = lambda x: "%.2f" % (x / 2 ** 20)
gqa = studies["gqa"]["kinds"]
for k in gqa:
    least = k["token_bytes"]
    assert [str(k["kv_heads"]), str(least), "%.2fx" % (gqa[0]["token_bytes"] / least), "%.3f" % (least * 8192 / 2 ** 30),
            "%.3f" % (least * 32768 / 2 ** 30), str(k["longest_context"]), str(k["conversations"])] in rows
    assert [str(k["kv_heads"]), g(k["read"])] + [g(w["tokens_per_second"]) for w in k["write"] + k["together"]] in rows
assert "longest in 2 GiB" in shown and studies["gqa"]["budget_bytes"] == 2 << 30
for w in studies["window"]["windows"]:
    assert [str(w["window"] or "none"), g(w["perplexity"])] in [row[:2] for row in rows]
for member in "loss_by_position", "recall_by_distance":
    for row in studies["window"][member]:
        cells = ["%.3f +- %.3f" % x for x in zip(row["nats"], row["error"])]
        assert any(r[0] == "%d .. %d" % (row["from"], row["to"]) and [c.rstrip(" *~") for c in r[1:-1]] == cells for r in rows), row
for c in studies["chunk"]["chunks"]:
    assert [str(c["chunk"]), g(c["tokens_per_second"]), mib(c["cache_bytes"]), mib(c["scratch_bytes"]), c["logits"]] in rows
for p in studies["long"]["points"]:
    assert [str(p["position"]), mib(p["resident_bytes"]), g(p["read_tokens_per_second"]), g(p["write_tokens_per_second"])] in rows
svgs = [xml.dom.minidom.parseString(s) for s in re.findall(r"<svg.*?</svg>", shown, re.S)]
title = lambda s: s.getElementsByTagName("title")[0].firstChild.data
found = {title(s): s for s in svgs}
assert len(found) == len(svgs) == 12, sorted(found)
dots = lambda name: len([c for c in found[name].getElementsByTagName("circle") if c.getAttribute("r") == "3"])
assert dots("Writing by depth") == 3 * len(gqa) and dots("Writing side by side") == 5 * len(gqa)
assert dots("Memory over the text") == 20 and dots("Speed over the text") == 40
assert dots("Recall by distance") == 2 * len(studies["window"]["recall_by_distance"])
assert "nan" not in shown.lower() and "href" not in shown
END
else
    skipped "figures of the page" "no python3"
fi

## Ctrl-C, once the program listens to it: all of them have minutes to go

interrupted() { # interrupted EXPERIMENT OPTION...
    "$BISE" study "$@" --isa scalar -t 1 --json >"$T/out" 2>"$T/err" &
    local pid=$!
    wait_for grep -q '^SigCgt:.*[2367abef]$' /proc/$pid/status
    kill -INT $pid
    wait $pid
    same "$1: stopped" 130 $?
    same "$1: nothing is printed" 0 "$(wc -c <"$T/out")"
}
for _ in {1..9}; do cat "$T/text"; done >"$T/longer"
interrupted gqa --shape dim=512,ffn=2048,layers=4,heads=8,vocab=64 -n 4000
interrupted window -m $demo -f "$T/longer" --tokens 10000 --windows 16,32,64,128
interrupted cache -m $demo -p "$text" --window 256
interrupted chunk -m $demo -f "$T/longer" --tokens 9000
interrupted long -m $demo -f "$T/longer" --tokens 1000000
[ -z "$(find "$T" -name 'bise-study*')" ] && ok "gqa: no model is left" || not_ok "gqa: no model is left"

## What is refused

expect_exit "no experiment" 2 "expected one of gqa, window, cache, chunk, long" "$BISE" study
expect_exit "no such experiment" 2 'expected one of gqa, window, cache, chunk, long, found "x"' "$BISE" study x
expect_exit "no text" 2 "expected either -p TEXT or -f FILE" "$BISE" study cache -m $demo
expect_exit "a window too wide" 2 "--window: expected 1 to 256" "$BISE" study cache -m $demo -p a --window 257
expect_exit "windows in words" 2 "--windows: expected up to" "$BISE" study window -m $demo -f "$T/text" --windows 16,x
expect_exit "a short text" 3 "at least 64 tokens" "$BISE" study window -m $demo -p a
expect_exit "no place for the drawing" 3 "$T/none/x.svg" \
    "$BISE" study cache -m $demo -p a -n 2 --svg "$T/none/x.svg"
finish
