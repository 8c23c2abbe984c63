#!/usr/bin/env bash
# bise run for programs: --json, --logprobs, --jsonl; a seed that is said, and holds everywhere.
. tests/cli/common.sh

M=models/demo.bise
unset BISE_MODEL BISE_ISA
run() { "$BISE" run -m $M -q "$@"; }
untimed() { sed 's/"timings": {[^}]*}/"timings": {}/' "$@"; }

# The seed of a run without -s is said; with it the same text comes on every instruction set.
"$BISE" run -m $M -p "The king" -n 30 --temp 1 >"$T/text" 2>"$T/err"
seed=$(sed -n 's/^seed //p' "$T/err")
expect "a seed is said" test -n "$seed"
for options in "" "-t 1" "-t 3" "--isa scalar" "--isa avx2" "--isa avx512" "--isa neon" "--lookup 6" "--chunk 2"; do
    # shellcheck disable=SC2086
    if run -p "The king" -n 30 --temp 1 -s "$seed" $options >"$T/again" 2>"$T/err"; then
        same_files "the same text with -s and ${options:-nothing else}" "$T/text" "$T/again"
    else
        expect "this CPU lacks it: $options" grep -q "instruction set" "$T/err"
    fi
done

# One object.
run -p "The king" -n 12 --temp 0.8 -s 3 >"$T/text"
run -p "The king" -n 12 --temp 0.8 -s 3 --json --logprobs 3 >"$T/json"
same "one line" 1 "$(wc -l <"$T/json" | tr -d ' ')"
printf 'The king' | run -f - -n 12 --temp 0.8 -s 3 --json --logprobs 3 --isa scalar >"$T/other"
same "the same object from standard input in scalar code" "$(untimed "$T/json")" "$(untimed "$T/other")"
run -p "The king" -n 100 --temp 0 --stop " a" --json >"$T/stopped"
expect "a stop string as the reason" grep -q '"finish_reason": "stop"' "$T/stopped"
run -p "The king" -n 100 --temp 0 --window 0 -c 12 --ignore-eos --json >"$T/full" 2>"$T/err"
expect "a full context as the reason" grep -q '"finish_reason": "context"' "$T/full"
run -p "The king" -n 100 --temp 0 --grammar 'root ::= " sat."' --json >"$T/ended"
expect "the model's end as the reason" grep -q '"finish_reason": "end"' "$T/ended"
if command -v python3 >/dev/null; then
    expect "an object that others read" python3 -c '
import json, math, sys
d = json.load(open(sys.argv[1]))
text = open(sys.argv[2]).read()
assert d["text"] == text.removesuffix("\n"), (d["text"], text)
assert len(d["ids"]) == 12 and d["finish_reason"] == "length" and d["seed"] == 3
assert d["prompt_tokens"] == 3 and d["timings"]["answer_s"] > 0
assert [t["id"] for t in d["logprobs"]] == d["ids"]
assert "".join(t["token"] for t in d["logprobs"]) == d["text"]
for t in d["logprobs"]:
    top = [x["logprob"] for x in t["top"]]
    assert len(top) == 3 and top == sorted(top, reverse=True) and t["logprob"] <= top[0]
    assert sum(map(math.exp, top)) <= 1.00001' "$T/json" "$T/text"
else
    skipped "an object that others read" "no python3"
fi
expect_exit "--logprobs alone" 2 "goes with --json" "$BISE" run -p a --logprobs 2
expect_exit "too many logprobs" 2 "expected 0 to 20" "$BISE" run -p a --json --logprobs 21
expect_exit "an empty prompt" 2 "the prompt is empty" "$BISE" run -m $M -p "" --json

# Many prompts: faults stay on their lines, options are the line's own.
cat >"$T/lines" <<'END'
{"prompt": "The king", "n_predict": 8, "seed": 7, "temp": 0.9}

{"prompt": 3}
no JSON
{"prompt": "A \"dragon\"\n", "stop": [".", "!"], "temp": 0}
{"ids": [1, 300, 400], "top_k": 1, "n_predict": 4}
{"ids": [5000]}
{"prompt": "a", "colour": 1}
{"prompt": "a", "temp": -1}
{"prompt": "a", "n_predict": 1.5}
{"prompt": ""}
{"prompt": "The king", "n_predict": 8, "seed": 7, "temp": 0.9}
END
run --jsonl "$T/lines" -s 2 -n 20 >"$T/out" 2>"$T/err"
same "faulty lines make the exit code 1" 1 $?
same "every line has its answer" "1 3 4 5 6 7 8 9 10 11 12 " \
    "$(sed 's/^{"line": \([0-9]*\),.*/\1/' "$T/out" | tr '\n' ' ')"
same "seven of them faults" 7 "$(grep -c '"error"' "$T/out")"
expect "which are named" grep -q '"line": 8, "error": "colour is not an option' "$T/out"
same "an earlier line changes nothing" "$(grep '"line": 1,' "$T/out" | untimed | cut -d, -f2-)" \
    "$(grep '"line": 12,' "$T/out" | untimed | cut -d, -f2-)"
run -p "The king" -n 8 -s 7 --temp 0.9 --json >"$T/alone"
same "and a line is as if run alone" "$(untimed "$T/alone")" \
    "$(grep '"line": 1,' "$T/out" | untimed | sed 's/"line": 1, //')"
grep -v -E '3}|no JSON|5000|colour|-1|1\.5|""' "$T/lines" | run --jsonl - -s 2 >"$T/out"
same "good lines from standard input exit with 0" 0 $?
# Lines at once: the same, in the same order, but for the timings. Faulty ones are among them.
for i in $(seq 1 20); do
    echo "{\"prompt\": \"The king had $i\", \"n_predict\": $((i * 7 % 30 + 8)), \"seed\": $i, \"temp\": 0.9}"
    [ $((i % 7)) -ne 0 ] || echo '{"prompt": 3}'
done >"$T/many"
without_timings() { sed 's/"timings": {[^}]*}//'; }
for n in 1 2 7 32; do
    "$BISE" run -m $M -q --jsonl "$T/many" -b $n --repeat-penalty 1.2 --logprobs 2 | without_timings >"$T/many-$n"
done
same_files "two lines at once" "$T/many-1" "$T/many-2"
same_files "seven lines at once" "$T/many-1" "$T/many-7"
same_files "more at once than there are" "$T/many-1" "$T/many-32"
"$BISE" run -m $M -q --jsonl "$T/many" -b 3 --json-schema '{"type": "boolean"}' | without_timings >"$T/many-3"
"$BISE" run -m $M -q --jsonl "$T/many" --json-schema '{"type": "boolean"}' | without_timings >"$T/many-1"
same_files "and with a grammar" "$T/many-1" "$T/many-3"
same "each line has its own" 20 "$(grep -c -E '"text": " ?(true|false)"' "$T/many-3")"
expect_exit "-b without lines" 2 "goes with --jsonl" "$BISE" run -m $M -p a -b 2
expect_exit "no such file" 3 "no-such-file" "$BISE" run -m $M --jsonl no-such-file
expect_exit "a prompt and lines" 2 "expected one of" "$BISE" run -m $M -p a --jsonl b
yes '{"prompt": "The king", "n_predict": 3, "seed": 1}' | timeout 60 "$BISE" run -m $M -q --jsonl - 2>"$T/err" |
    head -n 3 >"$T/out"
same "a closed pipe ends it" "1 3" "${PIPESTATUS[1]} $(wc -l <"$T/out" | tr -d ' ')"
"$BISE" run -m $M -p "The king" -n -1 --ignore-eos --json >"$T/out" 2>"$T/err" &
pid=$!
wait_for grep -q "^$M: " "$T/err"
kill -INT $pid
wait $pid
same "Ctrl-C exits with 130" 130 $?
expect "and the object tells of it" grep -q '"finish_reason": "interrupted"' "$T/out"
finish
