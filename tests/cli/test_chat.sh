#!/usr/bin/env bash
# bise chat with the demo model, one message per line.
. tests/cli/common.sh
M=models/demo.bise
if [ ! -f $M ]; then
    skipped chat "$M is not there"
    exit 0
fi
# chat LINES OPTION...: answers to $T/out, the rest to $T/err
chat() {
    local lines=$1
    shift
    printf '%b' "$lines" | "$BISE" chat -m $M --temp 0 "$@" >"$T/out" 2>"$T/err"
}
prompt_ids() { sed -n 's/^prompt ids: //p' "$T/err" | sed -n "$1p"; }
answer_ids() { sed -n 's/^answer ids: //p' "$T/err" | sed -n "$1p"; }
enc() { printf '%b' "$1" | "$BISE" tokenize -m $M; }

chat 'Hello\nI want to book a flight.\n' --dump-tokens
same "the end of input leaves with 0" 0 $?
same "one line for each answer" 2 "$(wc -l <"$T/out")"
expect "no space begins an answer" grep -q '^[^ ]' "$T/out"
expect "the greeting says the format" grep -q "format v1" "$T/err"
expect "and the window" grep -q "sliding window of 128" "$T/err"
same "V1, first turn" "1 $(enc '[INST] Hello [/INST]')" "$(prompt_ids 1)"
same "V1, second turn: the answer's ids are kept" \
    "1 $(enc '[INST] Hello [/INST]') $(answer_ids 1) $(enc '[INST] I want to book a flight. [/INST]')" \
    "$(prompt_ids 2)"
same "an answer ends with EOS" 2 "$(answer_ids 1 | sed 's/.* //')"
cp "$T/out" "$T/first"

chat 'Hello\nI want to book a flight.\n' -t 1 --isa scalar
same_files "the same on one thread in scalar code" "$T/first" "$T/out"
chat 'Hello\n' -sys 'Be kind.' --dump-tokens
same "the system prompt" "1 $(enc '[INST] Be kind.\n\nHello [/INST]')" "$(prompt_ids 1)"
chat 'Hello\n' --chat-format llama2 -sys 'Be kind.' --dump-tokens
same "Llama-2" "1 $(enc '[INST] <<SYS>>\nBe kind.\n<</SYS>>\n\nHello [/INST]')" "$(prompt_ids 1)"
chat 'Hello\n' --chat-format zephyr --dump-tokens -n 5
same "Zephyr" "1 $(enc '<|user|>\nHello') 2 $(enc '\n<|assistant|>\n')" "$(prompt_ids 1)"
chat 'Once upon\n' --chat-format none --dump-tokens -n 5
same "none" "1 $(enc 'Once upon')" "$(prompt_ids 1)"
same "an answer as long as -n" 5 "$(answer_ids 1 | wc -w)"
expect "completion mode is announced" grep -q "base model" "$T/err"
expect "and its length is said" grep -q "stopped after 5" "$T/err"

# A grammar for every answer, drawn at temperature 1.
printf 'How are you?\n/clear\n%.0s' $(seq 200) |
    "$BISE" chat -m $M -q --temp 1 -s 1 --grammar 'root ::= "{\"mood\": \"" [a-z]{1,8} "\", \"n\": " [0-9] "}"' \
        >"$T/out" 2>"$T/err"
same "200 of 200 answers follow it" 200 \
    "$(grep -c -E '^\{"mood": "[a-z]{1,8}", "n": [0-9]\}$' "$T/out")"

# Commands.
chat 'Hello\n/undo\nHello\n/regen\n/tokens\n/quit\nnever answered\n'
same "/quit leaves with 0" 0 $?
same "/undo and /regen give the same answer again" "1" "$(sort -u "$T/out" | wc -l)"
same "three answers" "3" "$(wc -l <"$T/out")"
chat 'Hello\n/clear\n/system Be kind.\nHello\n' --dump-tokens
same "/clear and /system" "1 $(enc '[INST] Be kind.\n\nHello [/INST]')" "$(prompt_ids 2)"
chat '/help\n/context\n/stats\n/undo\n/regen\n'
same "commands alone need no answer" "0" "$(wc -c <"$T/out")"
for text in "/regen" "tokens" "resident" "nothing to take back" "no answer yet"; do
    expect "commands say: $text" grep -q -- "$text" "$T/err"
done
chat '//etc\n' --dump-tokens -n 3
same "// begins a message with a slash" "1 $(enc '[INST] /etc [/INST]')" "$(prompt_ids 1)"
chat '\n\nHello\r\n' --dump-tokens -n 3
same "empty lines and carriage returns" "1 $(enc '[INST] Hello [/INST]')" "$(prompt_ids 1)"
printf 'Hello' | "$BISE" chat -m $M --temp 0 -n 3 >"$T/out" 2>"$T/err"
same "a last line without its end" 1 "$(wc -l <"$T/out")"

# refused LINE TEXT: what is said of a command, behind which a script does not go on
refused() {
    chat "$1\nnever\n"
    same "$1 ends a script" "1 0" "$? $(wc -c <"$T/out" | tr -d ' ')"
    expect "$1: $2" grep -q -- "$2" "$T/err"
}
refused /frobnicate "no command /frobnicate;"
refused "/sett temp" "do you mean /set?"
refused /quti "do you mean /quit?"
refused "/undo all" "/undo takes no argument"
refused "/guard maybe" "expected /guard on or /guard off"
refused "/system \xff" "0xff at offset 0"
refused "/set temp x" "expected"
refused "/read no-such-file" "no-such-file"
refused "/model $T/no.bise" "no.bise"
refused /save "/save FILE makes one"
refused "/save $T/none/x" "none/x"
refused /load "needs the name"
refused "/load $T/none" "no such session"
chat '/set temp 1\n/set seed=7\n/set\nHello\n/stats\n'
expect "/set shows what it has set" grep -q "^  temp  *1 " "$T/err"
expect "/set knows all settings" test "$(grep -c '^  [a-z-]* *[-0-9.]* ' "$T/err")" -ge 13
expect "/stats tells of the window" grep -q "tokens in the window of 128" "$T/err"
chat 'Hello\n/undo\n/stats\n'
if grep -q Ctrl-C "$T/err"; then not_ok "a pipe has no keys"; else ok "a pipe has no keys"; fi
expect "but not of what was taken back" grep -q "context: 0 tokens" "$T/err"
chat '/set temp 1\n/set seed=7\n/set\nHello\n/stats\n'
expect "/stats tells of speed" grep -q -E "prefill .* tokens/s; decode .* tokens/s" "$T/err"
cp "$T/out" "$T/set"
printf 'Hello\n' | "$BISE" chat -m $M -q --temp 1 -s 7 >"$T/out" 2>"$T/err"
same_files "/set is as good as options" "$T/set" "$T/out"
printf 'Hello\nAnd you?\n' | "$BISE" chat -m $M -q --temp 1 -s 7 --repeat-penalty 1.5 >"$T/set" 2>"$T/err"
printf 'Hello\n/set temp 1\nAnd you?\n' |
    "$BISE" chat -m $M -q --temp 1 -s 7 --repeat-penalty 1.5 >"$T/out" 2>"$T/err"
expect "random numbers and penalties go on behind /set" cmp "$T/set" "$T/out"
chat '/set n-predict 3\nHello\n' --dump-tokens
same "/set n-predict" 3 "$(answer_ids 1 | wc -w)"
printf 'one\ntwo' >"$T/text"
chat "/read $T/text\nthree\n/read $T/text\n\n" --dump-tokens -n 3
same "/read goes before the message" "1 $(enc '[INST] one\ntwo\n\nthree [/INST]')" "$(prompt_ids 1)"
expect "or alone" grep -q -- "$(enc '[INST] one\ntwo [/INST]')\$" <(prompt_ids 2)
chat "/read $T/text\n/read\nthree\n" --dump-tokens -n 3
same "/read alone forgets it" "1 $(enc '[INST] three [/INST]')" "$(prompt_ids 1)"
printf 'a\xff' >"$T/bad"
chat "/read $T/bad\nnever\n"
expect "a file that is no text" grep -q "0xff at offset 1" "$T/err"
printf '/multi\none\n/two\n"""\n' | "$BISE" chat -m $M -q -n 3 --dump-tokens >"$T/out" 2>"$T/err"
same "/multi" "1 $(enc '[INST] one\n/two [/INST]')" "$(prompt_ids 1)"

# Another model in the middle: the messages stay, as text in its own format.
"$BISE" quantize models/demo.bise -o "$T/other.bise" --type i8 --chat-format zephyr -q \
    >/dev/null 2>&1 || cp $M "$T/other.bise"
chat "Hello\n/model $T/other.bise v1\n/tokens\nAnd you?\n" --dump-tokens
same "/model keeps the conversation" "1 $(enc '[INST] Hello [/INST]') $(answer_ids 1)" \
    "$(sed -n 's/^1 /1 /p' "$T/err" | sed -n 1p)"
same "and goes on" 2 "$(wc -l <"$T/out")"
chat "/set n-predict 3\n/model $T/other.bise v1\nHello\n" --dump-tokens
same "and with what was set" 3 "$(answer_ids 1 | wc -w)"

printf 'Hello\n/model %s v1\n' "$T/other.bise" |
    "$BISE" chat -m $M -q --temp 0 -n 3 --session "$T/diary" >"$T/out" 2>"$T/err"
expect "a session stays with its model" grep -q "saved and closed" "$T/err"
printf '/tokens\n' | "$BISE" chat -m $M -q --session "$T/diary" >"$T/out" 2>"$T/err"
expect "and goes on there" grep -q -- "^1 $(enc '[INST] Hello [/INST]')" "$T/err"

# For programs: an object in, an object out.
printf '%s\n' '{"content": "Hello"}' '' '{"role": "system", "content": "Be kind."}' '{"content": 1}' \
    'x' '{"role": "tool", "content": ""}' '{"role": "user", "content": "a\nb\u00e9"}' |
    "$BISE" chat -m $M -q --temp 0 -n 3 --jsonl --dump-tokens >"$T/out" 2>"$T/err"
same "--jsonl ends with 1 where a line had no answer" 1 $?
same "a line for each" 6 "$(wc -l <"$T/out")"
same "three are faults" 3 "$(grep -c '^{"error": "..*"}$' "$T/out")"
same "an answer" 1 "$(sed -n 1p "$T/out" |
    grep -c '^{"role": "assistant", "content": "..*", "finish": "length", "tokens": 3, "prompt_tokens": [0-9]*}$')"
same "a system prompt" '{"role": "system", "ok": true}' "$(sed -n 2p "$T/out")"
expect "escapes" grep -q -- "$(enc 'a\nbé [/INST]' | cut -d' ' -f2-)\$" <(prompt_ids 2)

# The context of a model without a window.
long="Tell me a long story of a king and his three sons who went out into the world."
chat "$long\n" --window 0 -c 16
same "a message that does not fit" 2 $?
expect "is refused, nothing cut" grep -q "nothing was cut" "$T/err"
same "without an answer" 0 "$(wc -c <"$T/out")"
chat "Hello\n$long\n" --window 0 -c 16
expect "an answer ends where the context does" grep -q "the context of 16 tokens is full" "$T/err"
# The sliding window goes on: 40 turns are far more than its 128 tokens.
lines=$(for i in $(seq 40); do printf 'Tell me about number %d.\\n' "$i"; done)
chat "$lines"
same "40 turns" 40 "$(wc -l <"$T/out")"

# Signals and pipes.
mkfifo "$T/in"
rm -f "$T/out" "$T/err" # what is waited for is to be of this run
"$BISE" chat -m $M --chat-format none -n -1 --logit-bias 2-inf <"$T/in" >"$T/out" 2>"$T/err" &
pid=$!
exec 9>"$T/in"
printf 'Once upon a time\n' >&9
wait_for test -s "$T/out"
kill -INT $pid
expect "Ctrl-C stops the answer" wait_for grep -q '^(stopped' "$T/err"
printf '/tokens\n/quit\n' >&9
wait $pid
same "and the chat goes on" 0 $?
exec 9>&-
rm -f "$T/out" "$T/err"
"$BISE" chat -m $M -q <"$T/in" >"$T/out" 2>"$T/err" &
pid=$!
exec 9>"$T/in"
printf '/context\n' >&9
wait_for test -s "$T/err"
kill -INT $pid
wait $pid
same "Ctrl-C at the prompt leaves with 130" 130 $?
exec 9>&-
yes Hello | timeout 60 "$BISE" chat -m $M -q -s 1 2>"$T/err" | head -c 5 >/dev/null
same "a closed pipe ends it" 1 "${PIPESTATUS[1]}"
same "quietly" "" "$(cat "$T/err")"

# Faults.
expect_exit "an unknown format" 2 'found "v9"' "$BISE" chat -m $M --chat-format v9 </dev/null
expect_exit "V3 without its pieces" 3 "[INST]" "$BISE" chat -m $M --chat-format v3 </dev/null
expect_exit "no such model" 3 "no-such.bise" "$BISE" chat -m no-such.bise </dev/null
printf 'a\xff\n' >"$T/bad"
expect_exit "invalid UTF-8" 2 "0xff at offset 1" "$BISE" chat -m $M <"$T/bad"
"$BISE" synth --shape dim=64,ffn=64,layers=1,heads=2,kv=1,vocab=64 -o "$T/none.bise" 2>/dev/null
expect_exit "a model without a tokenizer" 2 "tokenizer" \
    "$BISE" chat -m "$T/none.bise" --chat-format v1 </dev/null
finish
