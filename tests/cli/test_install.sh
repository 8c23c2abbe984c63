#!/usr/bin/env bash
# make install into an empty folder: what is there, which symbols the libraries show, and docs/example.c
# built against them.
. tests/cli/common.sh

if [ -n "$SANITIZER" ]; then
    skipped install "built with a sanitizer"
    finish
    exit
fi
root=$T/root
prefix=/opt/bise
installed=$root$prefix
expect install make install DESTDIR="$root" PREFIX=$prefix BUILD="$BUILD" CC="$CC"
for file in bin/bise include/bise.h lib/libbise.a lib/libbise.so lib/libbise.so.0.2 \
    lib/pkgconfig/bise.pc share/man/man1/bise.1 share/man/man1/bise-chat.1 \
    share/man/man1/bise-synth.1 share/bash-completion/completions/bise \
    share/zsh/site-functions/_bise share/bise/demo.bise; do
    expect "installed_$file" test -s "$installed/$file"
done
expect installed_program_runs "$installed/bin/bise" --version

exported() { # exported NAME NM-OPTIONS LIBRARY: only bise_* is to be seen
    local name=$1 symbols
    shift
    symbols=$(nm --defined-only --extern-only "$@" | awk 'NF == 3 { print $3 }')
    if [ "$(grep -c '^bise_' <<<"$symbols")" -lt 10 ]; then
        not_ok "$name" "bise_* is missing: $symbols"
    elif grep -v -q '^bise_' <<<"$symbols"; then
        not_ok "$name" "also shows $(grep -v '^bise_' <<<"$symbols" | xargs)"
    else
        ok "$name"
    fi
}
exported static_symbols "$installed/lib/libbise.a"
exported shared_symbols -D "$installed/lib/libbise.so.0.2"

# Nothing of the quantizer, whether it can be seen from outside or not.
defined() { nm --defined-only "$@" 2>/dev/null | awk 'NF == 3 { print $3 }' | sort -u; }
defined --extern-only "$BUILD/libquant.a" >"$T/quantizer"
for library in libbise.a libbise.so.0.2; do
    defined "$installed/lib/$library" >"$T/symbols"
    found=$(comm -12 "$T/symbols" "$T/quantizer" | xargs)
    if ! grep -q -x writer_open "$T/quantizer" || ! grep -q -x pool_run "$T/symbols"; then
        not_ok "nothing of the quantizer in $library" "its symbols are not to be seen"
    elif [ -n "$found" ]; then
        not_ok "nothing of the quantizer in $library" "found $found"
    else
        ok "nothing of the quantizer in $library"
    fi
done
soname=$(objdump -p "$installed/lib/libbise.so" | awk '$1 == "SONAME" { print $2 }')
if [ "$soname" = libbise.so.0.2 ]; then ok soname; else not_ok soname "$soname"; fi

# The example, by pkg-config where there is one, else with the same words by hand.
flags=(-I"$installed/include" -L"$installed/lib" -lbise)
if command -v pkg-config >/dev/null; then
    words=$(PKG_CONFIG_SYSROOT_DIR=$root PKG_CONFIG_PATH=$installed/lib/pkgconfig \
        pkg-config --cflags --libs bise)
    read -r -a flags <<<"$words"
    if [[ $words == *"-I$installed/include"*-lbise* ]]; then
        ok pkg_config
    else
        not_ok pkg_config "$words"
    fi
else
    skipped pkg_config "not installed"
fi
expect example_shared "$CC" -std=c11 -Wall -Wextra -Wpedantic -Werror -o "$T/shared" \
    docs/example.c "${flags[@]}"
expect example_static "$CC" -std=c11 -Wall -Wextra -Wpedantic -Werror -I"$installed/include" \
    -o "$T/static" docs/example.c "$installed/lib/libbise.a" -lm -pthread
text='The old king looked at'
if LD_LIBRARY_PATH=$installed/lib "$T/shared" models/demo.bise "$text" >"$T/out.shared" 2>"$T/err" &&
    [ "$(wc -w <"$T/out.shared")" -gt 10 ]; then
    ok example_runs
else
    not_ok example_runs "$(cat "$T/out.shared" "$T/err")"
fi
"$T/static" models/demo.bise "$text" >"$T/out.static" 2>&1
same_files example_static_prints_the_same "$T/out.shared" "$T/out.static"
expect_exit example_says_what_is_wrong 1 "$T/none.bise" "$T/static" "$T/none.bise" "$text"

# The installed program finds the installed model, from anywhere and without an environment.
if (cd / && env -i "$installed/bin/bise" run -p "$text" -n 32 --temp 0 --ignore-eos) \
    >"$T/out.program" 2>"$T/err" && [ "$(wc -w <"$T/out.program")" -gt 10 ]; then
    ok installed_model_is_found
else
    not_ok installed_model_is_found "$(cat "$T/err")"
fi

# The header is C++ too.
if command -v c++ >/dev/null; then
    printf '#include <bise.h>\nint main() { return bise_strerror(BISE_OK) == nullptr; }\n' >"$T/t.cc"
    expect header_in_cxx c++ -std=c++11 -Wall -Wextra -Wpedantic -Werror -I"$installed/include" \
        -o "$T/cxx" "$T/t.cc" "$installed/lib/libbise.a" -lm -pthread
    expect cxx_program_runs "$T/cxx"
else
    skipped header_in_cxx "no C++ compiler"
fi

expect uninstall make uninstall DESTDIR="$root" PREFIX=$prefix BUILD="$BUILD" CC="$CC"
left=$(find "$root" -type f -o -type l)
if [ -z "$left" ]; then ok uninstall_leaves_nothing; else not_ok uninstall_leaves_nothing "$left"; fi
finish
