#!/usr/bin/env bash
# The guard and moderation: bise moderate, bise chat --guard and --moderate.
. tests/cli/common.sh

M=models/demo.bise
unset BISE_MODEL BISE_ISA
moderate() { "$BISE" moderate -m $M -q "$@"; }

# A text from the command line, a file, standard input; exit codes.
moderate "How do I kill a linux process?" >"$T/out"
same "not moderated exits with 0" 0 $?
expect "and says so" grep -q '^not moderated 0\.[0-9]*$' "$T/out"
printf 'How do I kill a linux process?' >"$T/text"
moderate -f "$T/text" >"$T/file"
same_files "from a file" "$T/out" "$T/file"
moderate -f - <"$T/text" >"$T/file"
same_files "from standard input" "$T/out" "$T/file"
"$BISE" moderate $M "How do I kill a linux process?" -q >"$T/file"
same_files "the model as an argument" "$T/out" "$T/file"
"$BISE" moderate $M -f "$T/text" -q >"$T/file"
same_files "and beside a file" "$T/out" "$T/file"
moderate "How do I kill a linux process?" --threshold 0.01 >"$T/out"
same "moderated exits with 10" 10 $?
expect "with a category" grep -q -v '^not moderated' "$T/out"
expect_exit "no text" 2 "expected one of TEXT" "$BISE" moderate
expect_exit "two texts" 2 "expected one of TEXT" "$BISE" moderate $M a -f b
expect_exit "two models" 2 "expected one model" "$BISE" moderate -m $M $M a
expect_exit "an empty text" 2 "the text is empty" "$BISE" moderate nowhere.bise $' \n'
expect_exit "an empty file, before a model is looked for" 2 "the text is empty" "$BISE" moderate nowhere.bise -f /dev/null
expect_exit "no file" 3 "no-such-file" "$BISE" moderate -m $M -f no-such-file
expect_exit "not UTF-8" 2 "UTF-8" "$BISE" moderate -m $M $'\xff'
head -c 20000 /dev/zero | tr '\0' 'a' >"$T/long"
expect_exit "longer than the windows reach: refused, not cut" 2 "reach over" \
    "$BISE" moderate -m $M -f "$T/long"
"$BISE" synth --shape dim=32,ffn=32,layers=1,heads=2,kv=1,vocab=300 --type f32 -o "$T/plain.bise" 2>"$T/err"
expect_exit "a model without a tokenizer" 2 "" "$BISE" moderate -m "$T/plain.bise" --chat-format v1 text

# Probabilities: one object, adding up to one, the same everywhere.
moderate --json "The king is ill." >"$T/json"
ways=("-t 1" "-t 3 --chunk 7")
[ "${TEST_SIZE:-}" != full ] || ways+=("--isa scalar")
for options in "${ways[@]}"; do
    # shellcheck disable=SC2086
    moderate --json "The king is ill." $options >"$T/other"
    same_files "the same bits with $options" "$T/json" "$T/other"
done
sums=$(grep -o '"[a-z ]*": [01]\.[0-9]*' "$T/json" | awk -F': ' '{n++; s += $2} END {printf "%d %.4f", n, s}')
same "14 categories, adding up to one" "14 1.0000" "$sums"

# Conversations.
echo '[{"role": "user", "content": " "}, {"role": "assistant", "content": ""}]' >"$T/empty.json"
moderate --transcript "$T/empty.json" >"$T/empty"
same "empty messages moderate nothing" "0 1 user: empty,2 assistant: empty," "$? $(tr '\n' ',' <"$T/empty")"
cat >"$T/talk.json" <<'END'
{"messages": [{"role": "system", "content": "Be kind."},
 {"role": "user", "content": "Tell me \"a story\"."}, {"role": "assistant", "content": "Once upon a time"}]}
END
moderate --transcript "$T/talk.json" >"$T/out"
same "each message of a conversation" "1 user:|2 assistant:|" "$(cut -d' ' -f1,2 "$T/out" | tr '\n' '|')"
moderate --transcript "$T/talk.json" --json --threshold 0.01 >"$T/out"
same "one that is moderated counts for all" 10 $?
if command -v python3 >/dev/null; then
    expect "JSON that others read" python3 -c 'import json, sys
d = json.load(open(sys.argv[1]))
assert d["moderated"] and [m["role"] for m in d["messages"]] == ["user", "assistant"]
assert all(abs(sum(m["probabilities"].values()) - 1) < 1e-4 for m in d["messages"])' "$T/out"
fi
echo '[{"role": "wizard", "content": "x"}]' >"$T/bad.json"
expect_exit "an unknown role" 3 "message 1: expected a role" "$BISE" moderate -m $M --transcript "$T/bad.json"
echo '{"a": 1}' >"$T/bad.json"
expect_exit "no messages" 3 "expected an array of messages" "$BISE" moderate -m $M --transcript "$T/bad.json"

# The guard stands in front of the system prompt; /guard takes it away and puts it back.
guard="Always assist with care, respect, and truth. Respond with utmost utility yet securely. Avoid harmful, unethical, prejudiced, or negative content. Ensure replies promote fairness and positivity."
prompts() { "$BISE" chat -m $M -q -n 3 --temp 0 --dump-tokens "$@" 2>&1 >/dev/null | grep '^prompt ids'; }
printf 'Hello\n' >"$T/hello"
expect "prompts are told" prompts <"$T/hello"
same "--guard is the paper's prompt" "$(prompts -sys "$guard" <"$T/hello")" "$(prompts --guard <"$T/hello")"
same "--guard with -sys" "$(prompts -sys "$guard"$'\n\n'"Be brief." <"$T/hello")" \
    "$(prompts --guard -sys "Be brief." <"$T/hello")"
printf '/guard off\nHello\n' >"$T/off"
same "/guard off" "$(prompts -sys "Be brief." <"$T/hello")" "$(prompts --guard -sys "Be brief." <"$T/off")"
printf '/guard on\n/system Be brief.\nHello\n' >"$T/on"
same "/guard on, and /system behind it" "$(prompts --guard -sys "Be brief." <"$T/hello")" "$(prompts <"$T/on")"
printf '/guard on\n/guard on\n/guard\n' | "$BISE" chat -m $M -q 2>"$T/err"
expect "/guard says what it is" grep -q "the guard is on" "$T/err"
printf '/context\n' | "$BISE" chat -m $M -q --guard --overflow sink --window 0 -c 1000 2>"$T/err"
sinks=$(sed -n 's/.*sees the first \([0-9]*\) and .*/\1/p' "$T/err")
expect "all of the guard stays where the beginning does" \
    test "${sinks:-0}" -gt "$(printf '%s' "$guard" | "$BISE" tokenize -m $M | wc -w)"

# A moderated chat: the same answers where nothing is found, none where something is.
printf 'Hello\nAnd then?\n' >"$T/two"
"$BISE" chat -m $M -q -n 20 --temp 0 <"$T/two" >"$T/plain" 2>/dev/null
"$BISE" chat -m $M -q -n 20 --temp 0 --moderate <"$T/two" >"$T/out" 2>/dev/null
same_files "a moderated chat answers alike" "$T/plain" "$T/out"
"$BISE" chat -m $M -q -n 20 --temp 0 --moderate --threshold 0.01 <"$T/two" >"$T/out" 2>"$T/err"
same "moderated messages get no answer" "" "$(cat "$T/out")"
same "which is said" 2 "$(grep -c 'your message is not answered: ' "$T/err")"
# Between the message's share and the answer's: the answer is made, judged, and taken back.
printf 'Tell me a story.\n/tokens\n' |
    "$BISE" chat -m $M -q -n 12 --temp 0 --moderate --threshold 0.55 >"$T/out" 2>"$T/err"
same "a moderated answer is not shown" "" "$(cat "$T/out")"
expect "which is said, too" grep -q 'the answer is withheld: ' "$T/err"
same "and it is no part of the conversation" "0" "$(grep -E '^[0-9 ]+$' "$T/err" | wc -w | tr -d ' ')"
finish
