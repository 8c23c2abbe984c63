#!/usr/bin/env bash
# What the documents for developers name is there: functions, files, make's goals.
. tests/cli/common.sh

for document in docs/architecture.md CONTRIBUTING.md; do
    missing=
    while read -r word; do
        case $word in
        */*.[ch] | */*.sh | */*.txt | */*.md) [ -e "$word" ] || missing+=" $word" ;;
        *_*) grep -r -q -w -e "$word" kernels src quant tools || missing+=" $word" ;;
        'make '*) grep -q -E "^([a-z-]+ )*${word#make }( [a-z-]+)*:" Makefile mk/*.mk || missing+=" $word" ;;
        esac
    done < <(grep -o -E '`[A-Za-z_./ -]+`' "$document" | tr -d '`' | grep -v -E 'NAME|ROOM|SLOT|PATH|_X' | sort -u)
    if [ -z "$missing" ]; then ok "$document"; else not_ok "$document" "not there:$missing"; fi
    n=$(grep -c -E '`[a-z_]+_[a-z_]+`' "$document")
    if [ "$n" -ge 2 ]; then ok "$document names functions"; else not_ok "$document names functions" "$n"; fi
done
finish
