#!/usr/bin/env bash
# A file that cannot be opened or made ends every command with 3, which names it.
. tests/cli/common.sh
none=$T/nowhere/none
"$BISE" synth --shape dim=64,ffn=96,layers=1,heads=2,kv=1,vocab=160 -o "$T/tiny.bise" 2>/dev/null ||
    not_ok "synth"
echo "1 2 3 4" >"$T/ids"

for command in chat "run -p a" plan bench tokenize "perplexity --ids $T/ids"; do
    # shellcheck disable=SC2086 # words
    expect_exit "${command%% *}: no model" 3 "$none" "$BISE" $command -m "$none" </dev/null
done
for command in inspect verify "quantize -o $T/x.bise" "run -f" "perplexity -m $T/tiny.bise --ids" \
    "perplexity --text" "perplexity --kl"; do
    # shellcheck disable=SC2086
    expect_exit "${command%% *}: no input (${command##* })" 3 "$none" "$BISE" $command "$none"
    # shellcheck disable=SC2086
    expect_exit "${command%% *}: a folder (${command##* })" 3 "$T" "$BISE" $command "$T"
done
for command in "quantize tests/data/golden/gqa-swa -o" "synth --shape dim=64,ffn=96,layers=1,heads=2 -o" \
    "synth --shape dim=64,ffn=96,layers=1,heads=2 --checkpoint" \
    "perplexity -m $T/tiny.bise --ids $T/ids --logits" \
    "perplexity -m $T/tiny.bise --ids $T/ids --kl-base"; do
    # shellcheck disable=SC2086
    expect_exit "${command%% *}: no place for the output (${command##* })" 3 "$none" \
        "$BISE" $command "$none"
done
finish
