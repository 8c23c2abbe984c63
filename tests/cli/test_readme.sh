#!/usr/bin/env bash
# The commands of README and docs, as they stand there, on a small random checkpoint in place of the
# download. (bise pull and bise serve have tests of their own.)
. tests/cli/common.sh

readme=$PWD/README.md example=$PWD/docs/example.c root=$PWD
export HOME=$T/home BISE_MODELS=$T/models
mkdir -p "$HOME" "$BISE_MODELS"
mkdir "$T/bin" "$T/docs"
ln -s "$BISE" "$T/bin/bise"
cp "$example" "$T/docs/"
checkpoint=$T/Mistral-7B-Instruct-v0.3
small=dim=64,ffn=96,layers=2,heads=4,kv=2,vocab=4096
expect checkpoint "$BISE" synth --shape "$small" --checkpoint "$checkpoint"
cp tests/data/demo/tokenizer.model "$checkpoint/"
echo '{"chat_template": "{% for message in messages %}[INST] {{ message.content }} [/INST]{% endfor %}"}' \
    >"$checkpoint/tokenizer_config.json"
printf 'The old king looked at the troll.\n%.0s' {1..90} | tee "$T/book.txt" >"$T/wiki.test.raw"
echo 'Once upon a time there was' >"$T/prompt.txt"

cp "$T/book.txt" "$T/heldout.txt"
cp docs/example-bench.json "$T/laptop.json"
cp docs/example-bench.json "$T/board.json"

# The lines of code that begin with bise, or feed it; the files that others need are made by the first.
mapfile -t pages < <(printf '%s\n' docs/*.md | grep -v -E 'experiments|bench-format') # test_experiments.sh
commands=$(cat docs/quantizing.md "$readme" "${pages[@]}" |
    sed -n -E 's/^ {4,7}((bise|echo|cat) .*)/\1/p' | awk '!seen[$0]++')
n=$(grep -c . <<<"$commands")
if [ "$n" -ge 40 ]; then ok "found $n commands"; else not_ok "found $n commands"; fi
while read -r command; do
    # A model of the full size is for those who ask for it.
    run=${command/--shape mistral-7b /--shape $small }
    run=${run/--shape mistral-7b,/--shape $small,}
    run=${run/-m mistral-7b-v0.1.bise/-m mistral.bise}
    case $command in # a sample of what takes minutes
    'bise bench '*) run+=' -p 4 -n 2 -d 0 -b 1 -r 1 --isa scalar --baseline scalar' ;;
    'bise study window '* | 'bise study long '* | 'bise study chunk '*) run+=' --tokens 512' ;;
    'bise study gqa '*) run+=' -c 256' ;;
    esac
    case $command in 'bise pull '* | 'bise serve '*)
        ok "$command: elsewhere"
        [ ! -e "$T/mistral.bise" ] || cp "$T/mistral.bise" "$BISE_MODELS/mistral-7b-instruct-v0.3.bise"
        continue
        ;;
    esac
    if (cd "$T" && PATH=$T/bin:$PATH bash -c "$run") </dev/null >"$T/out" 2>"$T/err"; then
        ok "$command"
    else
        not_ok "$command" "$(tail -n 5 "$T/err")"
    fi
done <<<"$commands"

# Commands within a line: they are there, and so are their options. (decisions.md tells what was.)
mapfile -t documents < <(printf '%s\n' docs/*.md | grep -v decisions)
while read -r command; do
    read -r _ name rest <<<"$command"
    unknown=
    if ! "$BISE" "$name" --help >"$T/help" 2>&1; then unknown=" $name"; fi
    for word in $rest; do
        case $word in
        '&&') break ;;
        -[a-z-]*) grep -q -E -- "^  (.*, )?$word(,| |\$)" "$T/help" || unknown+=" $word" ;;
        esac
    done
    if [ -z "$unknown" ]; then ok "$command"; else not_ok "$command" "unknown:$unknown"; fi
done < <(grep -o -h '`bise [a-z][^`]*`' "$readme" "${documents[@]}" | tr -d '`' | grep -v '^bise help ' | sort -u)

# make goals and files that README and docs name; the picture is of a chat as it goes now.
while read -r goal; do
    if grep -q -E "^([a-z-]+ )*$goal( [a-z-]+)*:" Makefile mk/*.mk; then ok "make $goal"; else not_ok "make $goal"; fi
done < <(grep -o -h -E '`make [a-z-]+' "$readme" docs/*.md | cut -d' ' -f2 | sort -u)
for document in README.md CONTRIBUTING.md docs/*.md; do
    while read -r file; do
        path=$(dirname "$document")/${file%%#*}
        if [ -e "$root/$path" ]; then ok "$document: $file"; else not_ok "$document: $file"; fi
    done < <(grep -o '](\([a-z.][A-Za-z0-9_./-]*\))' "$document" | tr -d '()]' | sort -u)
done
bash docs/chat-svg.sh >"$T/chat.svg"
same_files "the picture" docs/chat.svg "$T/chat.svg"
finish
