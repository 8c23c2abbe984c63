#!/usr/bin/env bash
# The manual, its page for every command, --help's examples and the shells' completion: each knows
# every command and every option that --help knows.
. tests/cli/common.sh

sed -e 's/\\f[A-Z]//g' -e 's/\\//g' docs/bise.1 >"$T/page"
commands=$("$BISE" --help | sed -n 's/^  \([a-z]*\) .*/\1/p')
options() { # of a command's help, each spelling a word
    sed '/^examples:/,$d' | sed -n 's/^  \(-.*\)/\1/p' | sed 's/   .*//' |
        grep -o -E '(^|[ ,])--?[a-z][a-z-]*' | tr -d ' ,'
}
described() { # in a page, likewise
    grep -E '^\.B -' "$1" | sed 's/^\.B //' | grep -o -E '(^|, )--?[a-z][a-z-]*' | tr -d ' ,'
}
missing_options() { described "$1" | grep -v -x -F -f - "$T/options"; }
for command in $commands; do
    "$BISE" "$command" --help >"$T/help"
    options <"$T/help" >"$T/options"
    expect "man_$command" grep -q -E "^\.B bise $command " "$T/page"
    missing=$(missing_options "$T/page")
    if [ -z "$missing" ]; then ok "man_options_$command"; else not_ok "man_options_$command" "$missing"; fi
    # The command's own page.
    awk -v command="$command" -f mk/man_page.awk docs/bise.1 >"$T/bise-$command.1" ||
        not_ok "page_$command" "no entry of that name"
    sed -e 's/\\f[A-Z]//g' -e 's/\\//g' "$T/bise-$command.1" >"$T/one"
    is=$("$BISE" --help | sed -n "s/^  $command  *//p")
    same "page_name_$command" "bise-$command - $is" "$(sed -n '/^\.SH NAME/{n;p;}' "$T/one")"
    missing=$(missing_options "$T/one")
    if [ -z "$missing" ]; then ok "page_options_$command"; else not_ok "page_options_$command" "$missing"; fi
    unknown=$(described <(sed '/^\.SH EXIT/,$d' "$T/one" | sed -n '/^\.SH OPTIONS/,$p') |
        grep -v -x -F -f "$T/options")
    if [ -z "$unknown" ]; then ok "page_no_other_options_$command"; else not_ok "page_no_other_options_$command" "$unknown"; fi
    # Examples: some, the same in page and help, with options that exist.
    sed -e '1,/^examples:/d' -e 's/^  //' "$T/help" >"$T/examples"
    expect "examples_$command" test -s "$T/examples"
    sed -n '/^\.SH EXAMPLES/,/^\.SH EXIT/p' "$T/one" | grep -v '^\.' >"$T/in_page"
    same_files "examples_in_page_$command" "$T/examples" "$T/in_page"
    unknown=$(grep -o "bise $command .*" "$T/examples" | grep -o -E -- ' --?[a-z][a-z-]*' | sort -u |
        grep -v -x -F -f <(sed 's/^/ /' "$T/options"))
    if [ -z "$unknown" ]; then ok "examples_options_$command"; else not_ok "examples_options_$command" "$unknown"; fi
done

pages=(docs/bise.1 "$T"/bise-*.1)
if command -v mandoc >/dev/null; then
    expect man_renders mandoc -T lint -W warning "${pages[@]}"
elif command -v groff >/dev/null; then
    for page in "${pages[@]}"; do
        warnings=$(groff -man -Tutf8 -ww "$page" 2>&1 >"$T/rendered")
        if [ -z "$warnings" ] && grep -q "User commands" "$T/rendered"; then
            ok "renders_${page##*/}"
        else
            not_ok "renders_${page##*/}" "$warnings"
        fi
    done
else
    skipped man_renders "neither mandoc nor groff is installed"
fi

# bash: what is completed where.
# shellcheck source=docs/completion/bise.bash
. docs/completion/bise.bash
completed() { # completed WORD... : what bash would offer for the last one
    COMP_WORDS=("$BISE" "$@")
    COMP_CWORD=$#
    _bise
    printf '%s\n' "${COMPREPLY[@]}"
}
expect "completes_commands" diff <(printf '%s\n' "$commands" --help --version | sort) <(completed "" | sort)
expect "completes_a_beginning" diff <(printf 'perplexity\nplan\npull\n') <(completed p | sort)
for command in $commands; do
    expect "completes_options_$command" diff <({ "$BISE" "$command" --help | options; echo --help; } | sort -u) \
        <(completed "$command" - | sort -u)
done
expect "completes_values" diff <(printf 'f16\nf32\n') <(completed run --kv f | sort)
values() { # values FILE COMMAND : OPTION VALUE... of a shell's completion
    sed -n "s/^ *\(-.*\)) $2 \(.*\) ;;\$/\1 \2/p" "$1" | tr -d '" '
}
expect "completes_the_same_values" diff <(values docs/completion/bise.bash echo) \
    <(values docs/completion/_bise compadd)
expect "completes_ways_to_overflow" diff <(printf 'drop\nsink\nstop\n') <(completed chat --overflow "")
touch "$T/model.bise" "$T/model.txt"
mkdir "$T/home" && cp models/demo.bise "$T/home/toy.bise"
expect "completes_files" diff <(echo "$T/model.bise") <(completed run -m "$T/mod")
expect "completes_files_of_texts" diff <(printf '%s\n' "$T"/model.*) <(completed quantize --eval "$T/mod" | sort)
expect "completes_files_without_an_option" diff <(echo "$T/model.bise") <(completed verify "$T/mod")
expect "completes_names_of_models" diff <(echo toy) <(BISE_MODELS=$T/home completed chat toy)
for command in $commands; do # whatever takes a model as its argument offers models
    case $("$BISE" "$command" --help | head -n 1) in
    *'[MODEL]'* | *' MODEL '* | *' NAME [-f]'* | *' A B'*)
        expect "completes_models_of_$command" diff <(echo toy) <(BISE_MODELS=$T/home completed "$command" toy) ;;
    esac
done
expect "completes_best_and_all" diff <(echo best) <(completed bench --isa be)
expect "completes_shapes" diff <(echo mixtral-8x7b) <(completed synth --shape mix)
expect "completes_nothing_for_a_number" test -z "$(completed run -n "$T/mod")"
if command -v zsh >/dev/null; then
    expect zsh_reads_its_completion zsh -n docs/completion/_bise
else
    skipped zsh_reads_its_completion "zsh is not installed"
fi
finish
