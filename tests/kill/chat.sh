#!/usr/bin/env bash
# Kills bise chat again and again, at times drawn anew: every message whose answer had begun, and every
# answer that was over, is there at the next start, and nothing is left beside the session.
# usage: BUILD=build tests/kill/chat.sh [KILLS] [SEED]      (default: 100, the time)
. tests/cli/common.sh

kills=${1:-100}
seed=${2:-$(date +%s)}
RANDOM=$seed
M=models/demo.bise
mkdir "$T/out"
S=$T/out/talk
bad='' n_saved=0 n_begun=0

# messages: how many the session has; one without an answer gets it.
messages() {
    "$BISE" chat -m $M --session "$S" --temp 0 -n 3 -t 1 </dev/null >/dev/null 2>"$T/looked"
    sed -n 's/.*going on after \([0-9]*\) message.*/\1/p' "$T/looked"
}

printf 'Hello\n' | "$BISE" chat -m $M -q --session "$S" --temp 0 -n 3 -t 1 >/dev/null 2>&1
before=$(messages)
for ((n = 1; n <= kills; n++)); do
    # Begins anew before it becomes long, which reading would take longer for.
    if [ "$before" -gt 60 ]; then
        rm -f "$S"
        before=0
    fi
    lines=$((1 + RANDOM % 4))
    for ((i = 0; i < lines; i++)); do echo "Tell me $i"; done >"$T/lines"
    # /save in the middle: the file is written as a whole
    [ $((RANDOM % 3)) -gt 0 ] || echo /save >>"$T/lines"
    : >"$T/answers" # it may be killed before it opens it
    (exec "$BISE" chat -m $M -q --session "$S" --temp 0 -n $((2 + RANDOM % 20)) -t 1 \
        <"$T/lines" >"$T/answers" 2>"$T/err") &
    pid=$!
    sleep "0.$(printf '%03d' $((RANDOM % 90)))"
    kill -KILL $pid 2>/dev/null
    wait $pid 2>/dev/null
    # Answers that are over, and one that has begun, as far as they were seen.
    over=$(wc -l <"$T/answers") begun=0
    [ -z "$(tail -c 1 "$T/answers")" ] || begun=1
    [ "$over" -eq 0 ] && [ $begun -eq 0 ] || n_begun=$((n_begun + 1))
    least=$((before + 2 * over + begun))
    # The last one that is over may have been killed between its line's end and the disk.
    [ "$over" -eq 0 ] || [ $begun -eq 1 ] || least=$((least - 1))
    after=$(messages)
    after=${after:-0}
    [ "$after" -ge "$least" ] && [ "$after" -le $((before + 2 * lines)) ] ||
        bad+="kill $n: $before messages before, at least $least expected, $after found"$'\n'
    ! grep -q '^bise chat:' "$T/looked" || bad+="kill $n: $(cat "$T/looked")"$'\n'
    left=$(cd "$T/out" && find . -type f ! -name talk -exec echo {} +)
    [ -z "$left" ] || bad+="kill $n: left $left"$'\n'
    before=$(messages)
    before=${before:-0}
    [ ! -e "$S" ] || n_saved=$((n_saved + 1))
done
if [ -z "$bad" ]; then ok "$kills kills"; else not_ok "$kills kills, seed $seed" "$bad"; fi
if [ $n_begun -gt $((kills / 10)) ]; then ok "$n_begun of them in or behind an answer"; else not_ok "$n_begun of them in or behind an answer"; fi
finish
