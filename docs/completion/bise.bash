# bash completion for bise. Commands and options are read from `bise --help` and `bise COMMAND --help`.
# shellcheck shell=bash

# What --help says of an option's values, where they are few.
_bise_values() {
    case $1 in
    --isa) echo "scalar sse41 avx2 avxvnni avx512 neon neon_dotprod neon_i8mm" ;;
    --kv) echo "i8 f16 f32 i4" ;;
    --mem) echo "auto huge mmap" ;;
    --chat-format) echo "v1 v3 chatml zephyr llama2 none" ;;
    --overflow) echo "drop sink stop" ;;
    --color) echo "auto always never" ;;
    --type | --head | --embed | --attention | --quantize) echo "i4 i8 bf16 f32" ;;
    --shape) echo "mistral-7b mixtral-8x7b" ;;
    --format) echo "md csv json" ;;
    esac
}

# Models: those in their home by name, .bise files, and folders on the way to them.
_bise_models() { # _bise_models PROGRAM WORD
    compgen -W "$("$1" list 2>/dev/null | awk 'NR > 1 { print $1 }')" -- "$2"
    compgen -f -X '!*.bise' -- "$2"
    compgen -d -- "$2"
}

_bise() {
    local program=${COMP_WORDS[0]} current=${COMP_WORDS[COMP_CWORD]} previous='' help values word
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        help=$("$program" --help 2>/dev/null | sed -n 's/^  \([a-z][a-z]*\) .*/\1/p')
        mapfile -t COMPREPLY < <(compgen -W "$help --help --version" -- "$current")
        return
    fi
    previous=${COMP_WORDS[COMP_CWORD - 1]}
    help=$("$program" "${COMP_WORDS[1]}" --help 2>/dev/null | sed '/^examples:/,$d')
    values=$(_bise_values "$previous")
    if [ "${COMP_WORDS[1]} $previous" = 'bench --isa' ]; then values+=' best all'; fi
    if [ -n "$values" ]; then
        mapfile -t COMPREPLY < <(compgen -W "$values" -- "$current")
    elif [[ $current == -* ]]; then
        word=$(sed -n 's/^  \(-[^ ,]*\(, -[^ ,]*\)*\).*/\1/p' <<<"$help")
        mapfile -t COMPREPLY < <(compgen -W "${word//,/} --help" -- "$current")
    elif [[ $previous == -m || $previous == --model ]] ||
        [[ $COMP_CWORD -eq 2 && ${COMP_WORDS[1]} =~ ^(chat|run|serve|moderate|calibrate|plan|inspect|set|diff|verify|tokenize|perplexity|bench|rm)$ ]]; then
        mapfile -t COMPREPLY < <(_bise_models "$program" "$current" | sort -u)
    elif [[ $previous != -* ]] || grep -q -E -- "^  (.*, )?$previous(, .*)? @?(FILE|DIR|OUT|FOLDER|STATS)" <<<"$help" ||
        ! grep -q -E -- "^  (.*, )?$previous(, [^ ]+)? [^ ]" <<<"$help"; then
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
    fi
}
complete -o filenames -o bashdefault -F _bise bise
