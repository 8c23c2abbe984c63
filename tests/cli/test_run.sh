#!/usr/bin/env bash
# bise run with the demo model: what is printed, limits, faults, signals.
. tests/cli/common.sh
M=models/demo.bise
if [ ! -f $M ]; then
    skipped run "$M is not there"
    exit 0
fi
run() { "$BISE" run -m $M "$@"; }

# The same text whatever threads, instruction set and way of giving the prompt.
run -p "Once upon a time" -n 40 --temp 0 -q >"$T/text" 2>"$T/err"
expect "greedy text" grep -q '[a-z]' "$T/text"
same "quiet" "" "$(cat "$T/err")"
printf 'Once upon a time' >"$T/prompt"
printf 'Once upon a time' | "$BISE" tokenize -m $M >"$T/ids"
same_text() { # same_text NAME OPTION...
    local name=$1
    shift
    run -n 40 --temp 0 -q "$@" >"$T/again" 2>"$T/err"
    same_files "$name" "$T/text" "$T/again"
}
same_text "from a file" -f "$T/prompt"
same_text "from standard input" -f - <"$T/prompt"
same_text "as ids" --ids "1 $(cat "$T/ids")"
same_text "one thread" -p "Once upon a time" -t 1
same_text "scalar" -p "Once upon a time" --isa scalar
same_text "mapped" -p "Once upon a time" --mem mmap
BISE_ISA=scalar run -p "Once upon a time" -n 1 2>"$T/err" >"$T/out"
expect "BISE_ISA" grep -q scalar "$T/err"
BISE_MODEL=$M "$BISE" run -p "Once upon a time" -n 40 --temp 0 -q >"$T/again"
same_files "BISE_MODEL" "$T/text" "$T/again"

# Sampling: a seed repeats, and is said where it was chosen.
run -p "The king" -n 30 -s 7 -q >"$T/a"
run -p "The king" -n 30 -s 7 -q -t 1 --isa scalar >"$T/b"
run -p "The king" -n 30 -s 8 -q >"$T/c"
same_files "a seed gives the same text" "$T/a" "$T/b"
differ "another seed" "$T/a" "$T/c"
run -p "The king" -n 30 >"$T/d" 2>"$T/err"
seed=$(sed -n 's/^seed //p' "$T/err")
run -p "The king" -n 30 -q -s "${seed:-0}" >"$T/e"
same_files "the seed said gives the same text" "$T/d" "$T/e"

# Control tokens in a prompt.
same_text "--special without any" -p "Once upon a time" --special
same_text "BOS in the prompt stands there once" -p "<s>Once upon a time" --special
same_text "a blank behind it is the prefix" -p "<s> Once upon a time" --special
run -p "<s>Once upon a time" -n 1 >"$T/out" 2>"$T/err"
expect "a hint" grep -q "note: the prompt has names of control tokens in it.*--special" "$T/err"
run -p "Once [upon] a <time>" -n 1 >"$T/out" 2>"$T/err"
same "no hint" "0" "$(grep -c -e --special "$T/err")"
echo '{"prompt": "<s>Once upon a time"}' | run --jsonl - --special -n 40 --temp 0 -q >"$T/lines"
expect "--jsonl too" grep -q -F "\"prompt_tokens\": $(($(wc -w <"$T/ids") + 1))" "$T/lines"

# Bias and stop strings.
first=$(cut -c 1-12 "$T/text" | head -n 1)
run -p "Once upon a time" -n 40 --temp 0 -q --stop "nowhere" --stop "${first:7:5}" >"$T/out"
same "a stop string cuts before it" "${first:0:7}" "$(cat "$T/out")"
id=$(printf 'Once upon a time%s' "${first:0:1}" | "$BISE" tokenize -m $M | awk '{print $NF}')
run -p "Once upon a time" -n 1 --temp 0 -q --logit-bias 266-1 --logit-bias "$id-inf" >"$T/out"
if [ "$(head -c 1 "$T/out")" = "$(head -c 1 "$T/text")" ]; then
    not_ok "a bias keeps a token away" "$(cat "$T/out")"
else
    ok "a bias keeps a token away"
fi
run -p "a" -n 3 --temp 0 -q --logit-bias 266+1000 >"$T/out"
same "a bias forces a token" "$(printf '266 266 266' | "$BISE" tokenize -m $M --decode)" \
    "$(sed 's/^ //' "$T/out")"
expect_exit "a bias without a sign" 2 'found "15"' run -p a --logit-bias 15
expect_exit "a bias beyond the vocabulary" 2 "below 4096" run -p a --logit-bias 4096+1
expect_exit "a bias of infinity" 2 "15" run -p a --logit-bias 15+inf
expect_exit "an empty stop string" 2 "--stop" run -p a --stop ""

# Grammars.
number='root ::= " " [1-9] [0-9]{0,2} " " ("kings" | "sons") "."'
for seed in 1 2 3 4 5; do
    run -p "There were" -n 30 --temp 1.5 -s $seed -q --grammar "$number" >"$T/out"
    expect "a grammar is followed, seed $seed" grep -q -E '^ [1-9][0-9]{0,2} (kings|sons)\.$' "$T/out"
done
echo "$number" >"$T/number.gbnf"
run -p "There were" --temp 1.5 -s 5 -q --grammar-file "$T/number.gbnf" -t 1 --isa scalar >"$T/again"
same_files "from a file, in scalar code: the same" "$T/out" "$T/again"
expect_exit "a grammar with a fault" 2 "grammar, line 1: expected" run -p a --grammar 'root ::= ('
expect_exit "two grammars" 2 "expected one of" run -p a --grammar a --grammar-file b
expect_exit "no grammar file" 3 "no-such-file" run -p a --grammar-file no-such-file

# JSON schemas.
schema='{"properties":{"n":{"type":"integer","minimum":1,"maximum":20},"w":{"enum":["king","queen"]}},"required":["n","w"],"additionalProperties":false}'
printf '%s' "$schema" >"$T/schema.json"
for seed in 1 2 3; do
    run -p "There were" --temp 1 -s $seed -q --json-schema "$schema" | tr -d '\n' >"$T/out"
    expect "a schema is followed, seed $seed" grep -q -E \
        '^\{ *"n": ?([1-9]|1[0-9]|20), *"w": ?"(king|queen)" *\}$' "$T/out"
    run -p "There were" --temp 1 -s $seed -q --json-schema "@$T/schema.json" -t 1 --isa scalar |
        tr -d '\n' >"$T/again"
    same_files "from a file, in scalar code: the same, seed $seed" "$T/out" "$T/again"
done
run -p "There were" -n 2 --json-schema "$schema" >/dev/null 2>"$T/err"
expect "one that is cut is told" grep -q "note: stopped after 2 tokens (-n N for more)" "$T/err"
expect_exit "a keyword that is not supported" 2 \
    'json schema: #/properties/a: "unevaluatedItems" is not supported' \
    run -p a --json-schema '{"properties":{"a":{"unevaluatedItems":false}}}'
noted='{"const":"a","x-order":1,"example":"b"}'
run -p a -q --json-schema "$noted" >"$T/out" 2>"$T/err"
expect "keywords that are not applied are named" grep -q "not applied: x-order, example" "$T/err"
expect "and the schema is followed" grep -q '^"a"$' "$T/out"
expect_exit "unless strictness is asked for" 2 "are not applied: x-order, example" \
    run -p a --strict-schema --json-schema "$noted"
expect_exit "a schema that is no JSON" 2 "json schema: byte 1" run -p a --json-schema '{'
expect_exit "a schema and a grammar" 2 "expected one of" run -p a --json-schema '{}' --grammar a
expect_exit "no schema file" 3 "no-such-file" run -p a --json-schema @no-such-file
if command -v python3 >/dev/null && [ -x "$BUILD/tests/golden/constrained" ] && [ -z "${EMULATOR:-}" ]; then
    "$BUILD/tests/golden/constrained" --print >"$T/samples"
    samples=$([ "${TEST_SIZE:-}" = full ] && echo 1000 || echo 200)
    same "Python reads $samples of $samples constrained samples" "$samples" "$(python3 -c '
import json, sys
n = 0
for line in open(sys.argv[1], encoding="utf-8", newline="\n"):
    json.loads(line)
    n += 1
print(n)' "$T/samples")"
else
    skipped "constrained samples by another reader" "python3 or the program is missing"
fi

# Statistics, and how it ends.
run -p "The king" -n 10 --temp 0 --ignore-eos >"$T/out" 2>"$T/err"
for word in "load" "prefill 3 tokens" "decode 10 tokens" "tokens/s" "resident" "thread"; do
    expect "statistics: $word" grep -q "$word" "$T/err"
done
expect_exit "the context ends it" 0 "the context is full" run -p "The king" --window 0 -c 12 \
    -n 100 --ignore-eos
rm "$T/out" # waited for: the program that gets the signal has then begun
"$BISE" run -m $M -p "The king" -n -1 --ignore-eos >"$T/out" 2>"$T/err" &
pid=$!
wait_for test -s "$T/out"
kill -INT $pid
wait $pid
same "Ctrl-C exits with 130" 130 $?
expect "Ctrl-C: the statistics come" grep -q resident "$T/err"
timeout 60 "$BISE" run -m $M -p "The king" -n -1 --ignore-eos 2>"$T/err" | head -c 5 >/dev/null
status=${PIPESTATUS[0]}
same "a closed pipe ends it" 1 "$status"
if grep -q "^bise:" "$T/err"; then not_ok "quietly" "$(cat "$T/err")"; else ok "quietly"; fi
if [ -w /dev/full ]; then
    run -p "The king" -n 5 >/dev/full 2>"$T/err"
    same "a full disk is an error" 4 $?
    expect "and is said" grep -q "writing" "$T/err"
fi

# Faults of use.
expect_exit "no prompt" 2 "expected one of" run
expect_exit "two prompts" 2 "expected one of" run -p a --ids 1
expect_exit "an empty prompt" 2 "empty" run -p ""
expect_exit "an empty file" 2 "empty" run -f /dev/null
expect_exit "no ids" 2 "empty" run --ids " "
expect_exit "an id beyond the vocabulary" 2 'from 0 to 4095, found "4096"' run --ids "1 4096"
expect_exit "a negative id" 2 'found "-1"' run --ids "-1"
expect_exit "no number" 2 'found "2x"' run --ids "1 2x"
expect_exit "invalid UTF-8" 2 "0xff at offset 3" run -p "$(printf 'abc\xff')"
expect_exit "a prompt longer than the context" 2 "2 too many" run --window 0 -c 3 --ids "1 5 6 7 8"
expect_exit "no such file" 3 "no-such-file" run -f no-such-file
expect_exit "no such model" 3 "no-such.bise" "$BISE" run -m no-such.bise -p a
expect_exit "an unknown instruction set" 2 "altivec" run -p a --isa altivec
expect_exit "an unknown cache type" 2 "--kv: expected auto, i8, f16, f32 or i4" run -p a --kv i5
expect_exit "an unknown way of memory" 2 "--mem" run -p a --mem swap
expect_exit "too hot" 2 "--temp" run -p a --temp -1
threads=$([ "${TEST_SIZE:-}" = full ] && echo 700 || echo $(($(nproc --all) + 1)))
expect_exit "more threads than CPUs" 0 "warning: -t $threads" run -p a -n 1 -t "$threads"
finish
