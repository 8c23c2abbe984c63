#!/usr/bin/env bash
# What is said where something is wrong, and when: before a model is loaded, with the next step.
. tests/cli/common.sh
export HOME=$T/home XDG_DATA_HOME=$T/data BISE_MODELS=$T/models
mkdir -p "$HOME" "$BISE_MODELS"

# Words that are near another.
expect_exit "a command" 2 'unknown command "chatt"; do you mean chat?' "$BISE" chatt
expect_exit "help itself" 2 'unknown command "hlp"; do you mean help?' "$BISE" hlp
expect_exit "and of a command" 2 'unknown option --hlp; do you mean --help?' "$BISE" chat --hlp
expect_exit "an option" 2 'bise run: unknown option --tempp; do you mean --temp?' "$BISE" run --tempp 1
expect_exit "nothing is near" 2 'unknown option --zzzzzz (see bise run --help)' "$BISE" run --zzzzzz
expect_exit "help of none" 2 'unknown command "rum"; do you mean run?' "$BISE" help rum
expect_exit "a message without -p" 2 'unexpected argument "Hello"; a text is given by -p' "$BISE" chat a "Hello"
expect_exit "a command takes fewer" 2 'unexpected argument "b"' "$BISE" verify a b
if grep -q "is given by -p" "$T/.err"; then not_ok "it has no -p"; else ok "it has no -p"; fi
"$BISE" help run >"$T/help" 2>&1
"$BISE" run --help >"$T/run" 2>&1
same_files "help of a command" "$T/help" "$T/run"
"$BISE" --version -v >"$T/version"
for word in commit compiler kernels 'huge pages' threads; do
    expect "version tells of $word" grep -q "^$word" "$T/version"
done
expect_exit "version takes no more" 2 '--version takes -v' "$BISE" --version --all

# Numbers and instruction sets say what there is.
expect_exit "a number too large" 2 '-n: expected -1 to 1000000000000000, found 9999999999999999999999' \
    "$BISE" run -p a -n 9999999999999999999999
expect_exit "a number too small" 2 '-t: expected 1 to 1024, found 0' "$BISE" run -p a -t 0
expect_exit "no instruction set" 2 'unknown instruction set "scaler"; do you mean scalar?' \
    "$BISE" run -p a --isa scaler
other=neon
[[ $($CC -dumpmachine) != aarch64* ]] || other=avx2
expect_exit "one of other CPUs" 2 "$other: not in this build; here there are scalar" \
    "$BISE" run -p a --isa $other

# What a model's path is, and what to do.
tiny() { "$BISE" synth --shape dim=64,ffn=96,layers=1,heads=2,kv=1,vocab=160,window=0 "$@" 2>/dev/null; }
tiny -o "$T/tiny.bise" || not_ok synth
tiny --checkpoint "$T/checkpoint" || not_ok checkpoint
printf 'GGUF....' >"$T/x.gguf"
printf 'BISES\r\n\x1a........' >"$T/diary"
: >"$T/model.safetensors"
mkdir "$T/empty"
expect_exit "a folder with a checkpoint" 3 "bise quantize $T/checkpoint -o checkpoint" \
    "$BISE" run -p a -m "$T/checkpoint"
expect_exit "a folder without" 3 "a folder without a model in it" "$BISE" run -p a -m "$T/empty"
expect_exit "a GGUF file" 3 "bise quantize $T/x.gguf -o x" "$BISE" chat "$T/x.gguf"
expect_exit "weights of a checkpoint" 3 "bise quantize $T -o" "$BISE" plan "$T/model.safetensors"
expect_exit "a session" 3 "is a session of bise chat" "$BISE" verify "$T/diary"
expect_exit "a name near another" 3 "do you mean $T/tiny.bise?" "$BISE" verify "$T/tinny.bise"
expect_exit "no such model" 3 "bise list shows" "$BISE" run -p a -m mistral
expect_exit "two models" 2 "expected one model, found -m $T/tiny.bise and $T/tiny.bise" \
    "$BISE" inspect -m "$T/tiny.bise" "$T/tiny.bise"
for command in inspect verify plan; do
    "$BISE" $command "$T/tiny.bise" 2>&1 | tr -d 0-9 >"$T/a"
    "$BISE" $command -m "$T/tiny.bise" 2>&1 | tr -d 0-9 >"$T/b"
    same_files "$command: by -m or alone" "$T/a" "$T/b"
done

# A name stands for the file of that name in the models' home, behind one in this folder.
cp models/demo.bise "$BISE_MODELS/demo.bise"
expect "a name" "$BISE" run demo -p a -n 1 -q
cp "$T/tiny.bise" "$T/demo"
expect_exit "a file here comes first" 2 "no tokenizer" sh -c "cd '$T' && '$BISE' run demo -p a"

# Refused before weights are read: nothing is said of loading, no statistics follow.
early() { # early NAME CODE TEXT COMMAND...
    local name=$1
    expect_exit "$@"
    if grep -q -E 'memory:|tokens/s|seed' "$T/.err"; then not_ok "$name: early" "$(cat "$T/.err")"; else ok "$name: early"; fi
}
chat() { "$BISE" chat "$@" </dev/null; }
early "no tokenizer" 2 "no tokenizer" chat -m "$T/tiny.bise" --chat-format v1
early "no chat format" 2 "expected v1, v3" chat --chat-format v9
early "no file" 3 "$T/none" chat -f "$T/none"
early "no file of run" 3 "$T/none" "$BISE" run -f "$T/none"
early "no lines" 3 "$T/none" "$BISE" run --jsonl "$T/none"
early "an empty prompt" 2 "the prompt is empty" "$BISE" run -p ''
early "an empty message" 2 "the message is empty" chat -p ''
early "a schema with a fault" 2 "json schema" chat -p a --json-schema '{'
early "a stop string too many" 2 "--stop" chat -p a --stop ''
early "a bias without a sign" 2 "--logit-bias" "$BISE" run -p a --logit-bias 5
early "a session that cannot be" 3 "$T/nowhere/s" chat --session "$T/nowhere/s"
early "logits that cannot be" 3 "$T/nowhere/l" "$BISE" perplexity -f README.md --logits "$T/nowhere/l"
"$BISE" synth --shape dim=32,ffn=32,layers=1,heads=2,kv=1,vocab=300 --type i8 -o "$T/i8.bise" 2>/dev/null
early "no text to calibrate on" 3 "$T/none" "$BISE" calibrate "$T/i8.bise" -f "$T/none" -o "$T/stats"
early "four bits" 3 "expected a model in f32, bf16 or i8" "$BISE" calibrate models/demo.bise -f README.md -o "$T/stats"
early "statistics that cannot be" 3 "$T/nowhere/s" "$BISE" calibrate "$T/i8.bise" -f README.md -o "$T/nowhere/s"
early "a session of another kind" 3 "$T/x.gguf" chat --session "$T/x.gguf"
for i in $(seq 400); do echo "Once upon a time there was a king. $i"; done >"$T/long"
early "longer than the context" 2 "the whole context holds 256" chat -f "$T/long" --window 0 -c 256
early "a prompt longer than it" 2 "the context holds 256" "$BISE" run -f "$T/long" --window 0 -c 256
expect_exit "a context beyond training" 0 "more than the 256 tokens the model was trained on" \
    "$BISE" run -p a -n 1 --window 0 -c 512

# One question, one answer, and nothing else.
chat -p 'Tell me a story.' --temp 0 -n 12 --chat-format v1 >"$T/a" 2>"$T/err"
echo 'Tell me a story.' | "$BISE" chat -q --temp 0 -n 12 --chat-format v1 >"$T/b" 2>/dev/null
same_files "one question" "$T/a" "$T/b"
same "nothing else is said" "" "$(grep -v '^(stopped after' "$T/err")"
printf 'Tell me' >"$T/one"
printf 'a story.' >"$T/two"
printf 'Tell me\n\na story.\n\nNow.' >"$T/all"
chat -f "$T/one" -f "$T/two" -p 'Now.' --temp 0 -n 12 >"$T/a" 2>/dev/null
"$BISE" chat -f - --temp 0 -n 12 <"$T/all" >"$T/b" 2>/dev/null
same_files "files in front of it" "$T/a" "$T/b"
cat "$T/one" "$T/.none" 2>/dev/null | "$BISE" chat -p 'a story.' --temp 0 -n 12 >"$T/a" 2>/dev/null
chat -f "$T/one" -p 'a story.' --temp 0 -n 12 >"$T/b" 2>/dev/null
same_files "a pipe in front of a question" "$T/a" "$T/b"
"$BISE" chat -p 'a story.' --temp 0 -n 12 <"$T/one" >"$T/a" 2>/dev/null
same_files "or a file on standard input" "$T/a" "$T/b"
printf '' | "$BISE" chat -p 'Tell me' --temp 0 -n 12 >"$T/a" 2>/dev/null
chat -f "$T/one" --temp 0 -n 12 >"$T/b" 2>/dev/null
same_files "an empty pipe is nothing" "$T/a" "$T/b"
"$BISE" chat -f "$T/one" -p 'a story.' --temp 0 -n 12 <"$T/two" >"$T/a" 2>/dev/null
chat -f "$T/one" -p 'a story.' --temp 0 -n 12 >"$T/b" 2>/dev/null
same_files "beside -f it is not read" "$T/a" "$T/b"
printf 'a\377' >"$T/latin"
expect_exit "no text in it" 2 "standard input: expected text in UTF-8" "$BISE" chat -p a <"$T/latin"
expect_exit "not with lines of JSON" 2 "expected one of --jsonl" chat -p a --jsonl
if [ -w /dev/full ]; then
    for command in "chat -p a" "run -p a -q" "run -p a -q --json" "inspect models/demo.bise" help --version; do
        # shellcheck disable=SC2086
        "$BISE" $command >/dev/full 2>"$T/err" </dev/null
        same "a full disk: $command" 4 $?
    done
fi
finish
