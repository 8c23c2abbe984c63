#!/usr/bin/env bash
# bise run and chat --lookup: the same tokens as without it, whatever else is asked for. Drafts of one
# length each, with TEST_SIZE=full of three.
. tests/cli/common.sh

M=models/demo.bise
unset BISE_MODEL BISE_ISA
printf 'Once upon a time there was a king. The king had a cat. Once upon a time there was a' >"$T/prompt"

lengths=(5 14 1) at_once=(3 7 1)
n_drafts=0 n_runs=0 turn=0
some() { # some VALUE...: all, or in a sample the next one in turn
    if [ "${TEST_SIZE:-}" = full ]; then echo "$@"; else shift $((turn % $#)) && echo "$1"; fi
}
same() { # same NAME OPTIONS...: with drafts as without
    local name=$1
    shift
    "$BISE" run -m $M -f "$T/prompt" --ignore-eos "$@" >"$T/plain" 2>"$T/err" || not_ok "$name" "failed"
    turn=$((turn + 1))
    for n in $(some "${lengths[@]}"); do
        "$BISE" run -m $M -f "$T/prompt" --ignore-eos "$@" --lookup "$n" >"$T/out" 2>"$T/err"
        n_runs=$((n_runs + 1)) n_drafts=$((n_drafts + $(grep -c '^lookup: ' "$T/err")))
        same_files "$name, drafts of $n" "$T/plain" "$T/out"
    done
}
same "greedy" --temp 0 -n 200
same "sampled" --temp 0.5 -s 3 -n 150
same "sampled hot" --temp 1 --top-k 0 --top-p 1 --min-p 0 -s 4 -n 150
same "through the window, over and over" --temp 0 -n 700
same "a window of 16" --temp 0 --window 16 -n 100
same "a context of 250, filled" --temp 0 --window 0 -c 250 -n 300
same "penalties" --temp 0.7 -s 5 --repeat-penalty 1.2 --presence-penalty 0.3 -n 100
same "a stop string" --temp 0 --stop "happy" -n 200
same "a chunk of 1" --temp 0 --chunk 1 -n 40
same "a chunk of 3" --temp 0 --chunk 3 -n 60
same "a grammar" --temp 1 -s 6 -n 200 --grammar 'root ::= (" the king" | " the cat" | " a time"){20,40} "."'
same "f32 cache, one thread" --temp 0 --kv f32 -t 1 -n 60
same "scalar code" --temp 0 --isa scalar -n 40
expect "there were drafts" test $n_drafts -ge $((n_runs / 2))

printf 'Tell me a story.\nTell me a story.\n/regen\n/undo\nAgain, please.\n' >"$T/talk"
"$BISE" chat -m $M -q --temp 0.3 -s 2 -n 80 <"$T/talk" >"$T/plain" 2>/dev/null
"$BISE" chat -m $M -q --temp 0.3 -s 2 -n 80 --lookup 10 <"$T/talk" >"$T/out" 2>/dev/null
same_files "a chat" "$T/plain" "$T/out"
for overflow in sink drop; do
    for lookup in 0 9; do
        "$BISE" chat -m $M -q --temp 0.2 -s 2 -n 60 --window 0 -c 96 --overflow $overflow --lookup $lookup \
            <"$T/talk" >"$T/$lookup" 2>/dev/null
    done
    same_files "a chat in a full context: --overflow $overflow" "$T/0" "$T/9"
done
expect_exit "drafts too long" 2 "--lookup: expected 0 to 14" "$BISE" run -m $M -p a --lookup 15

# Many lines at once: drafts change neither what comes out nor its order.
for i in 1 2 3 4 5 6 7; do
    printf '{"prompt": "%s", "n_predict": %d, "seed": %d, "temp": %s}\n' "$(cat "$T/prompt")" $((30 * i)) $i 0.$((i % 3))
done >"$T/lines"
lines() { # lines OPTION...: results without their timings
    "$BISE" run -m $M --jsonl "$T/lines" --ignore-eos "$@" 2>"$T/err" | sed 's/"timings": {[^}]*}//'
}
n_line_drafts=0
for options in "" "--window 0 -c 150" "--stop king" "--chunk 3"; do
    # shellcheck disable=SC2086 # options
    lines $options >"$T/plain"
    turn=$((turn + 1))
    for b in $(some "${at_once[@]}"); do
        # shellcheck disable=SC2086 # options
        lines $options -b $b --lookup 5 >"$T/out"
        same_files "lines, $b at once, with drafts${options:+, }$options" "$T/plain" "$T/out"
        n_line_drafts=$((n_line_drafts + (b > 1 ? $(grep -c '^lookup: ' "$T/err") : 0)))
    done
done
expect "some were made beside others" test $n_line_drafts -gt 0
finish
