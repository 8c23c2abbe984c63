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
    # "`function` (`file.c`": it is defined there.
    elsewhere=
    while read -r function file; do
        grep -q -w -e "$function" "$file" || elsewhere+=" $function:$file"
    done < <(tr '\n' ' ' <"$document" | grep -o -E '`[a-z_0-9]+`('"'s"')? (\(|in )`[a-z_/0-9]+\.[ch]`' |
        sed -E 's/`([a-z_0-9]+)`[^`]*`([^`]*)`/\1 \2/')
    same "$document: functions stand where it says" "" "$elsewhere"
    n=$(grep -c -E '`[a-z_]+_[a-z_]+`' "$document")
    if [ "$n" -ge 2 ]; then ok "$document names functions"; else not_ok "$document names functions" "$n"; fi
done
finish
