#!/usr/bin/env bash
# The commands of docs/experiments.md and docs/bench-format.md as they stand there, on small models and
# short texts. (What they find is tested in test_study.sh, test_bench.sh and test_report.sh.)
. tests/cli/common.sh
[ "${TEST_SIZE:-}" = full ] || {
    skipped experiments "a part of make check-all (TEST_SIZE=full)"
    exit
}

mkdir "$T/bin" "$T/models"
ln -s "$BISE" "$T/bin/bise"
cp models/demo.bise "$T/models/"
expect synth "$BISE" synth --shape dim=128,ffn=256,layers=2,heads=4,kv=2,vocab=256,window=64 \
    --type i4 -o "$T/mistral.bise"
for i in {1..40}; do echo "The old king looked at troll number $i, and $i children sang."; done >"$T/heldout.txt"

commands=$(cat docs/experiments.md docs/bench-format.md | sed -n 's/^    \(bise .*\)/\1/p')
same "experiments there are" "cache chunk gqa long window" \
    "$(sed -n 's/^bise study \([a-z]*\) .*/\1/p' <<<"$commands" | sort -u | xargs)"
n=$(grep -c '^bise bench\|^bise report' <<<"$commands")
if [ "$n" -ge 4 ]; then ok "found $n of bench and report"; else not_ok "found $n of bench and report"; fi
smaller() { # smaller COMMAND: as little as it can be asked for
    local run=$1
    run=${run/--tokens 16384/--tokens 400}
    [ "$(uname -m)" = x86_64 ] || run=${run/ --baseline avx2/}
    case $run in
    *' study gqa '*) run+=' -n 1 --shape dim=128,ffn=128,layers=1,heads=4,vocab=64' ;;
    *' study chunk '* | *' study long '*) run+=' --tokens 400' ;;
    *'--kernels'*) run+=' --slot scale' ;;
    *' bench '*) run+=' -r 1 -p 8 -n 1' ;;
    esac
    echo "$run"
}
while read -r command; do
    run=$(smaller "$command")
    case $command in 'bise report '*) # of what bench has written before
        cp "$T/bench.json" "$T/laptop.json"
        cp "$T/bench.json" "$T/board.json"
        ;;
    esac
    if (cd "$T" && PATH=$T/bin:$PATH bash -c "$run") </dev/null >"$T/out" 2>"$T/err"; then
        ok "$command"
    else
        not_ok "$command" "$(tail -n 5 "$T/err")"
    fi
done <<<"$commands"
finish
