#!/usr/bin/env bash
# Installs Criterion, the unit tests' framework, through the system's package manager where the
# compiler does not find it.
# usage: tests/install-criterion.sh COMPILER...
set -u

have_criterion() {
    local dir status
    dir=$(mktemp -d) || return 1
    printf '#include <criterion/criterion.h>\nTest(a, b) { cr_assert(1); }\n' >"$dir/t.c"
    "$@" -o "$dir/t" "$dir/t.c" -lcriterion >/dev/null 2>&1
    status=$?
    rm -rf "$dir"
    return $status
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        echo "Criterion is missing; installing it needs root: $*" >&2
        return 1
    fi
}

have_criterion "$@" && exit 0
echo "Criterion (the unit tests' framework) is missing: installing it" >&2
if command -v apt-get >/dev/null; then
    as_root apt-get update -q && as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -q -y --no-install-recommends libcriterion-dev
elif command -v dnf >/dev/null; then
    as_root dnf install -y criterion-devel
elif command -v pacman >/dev/null; then
    as_root pacman -S --noconfirm criterion
elif command -v zypper >/dev/null; then
    as_root zypper --non-interactive install criterion-devel
elif command -v apk >/dev/null; then
    as_root apk add criterion-dev
else
    echo "no package manager known here (apt-get, dnf, pacman, zypper, apk)" >&2
fi </dev/null >&2
have_criterion "$@" && exit 0
cat >&2 <<EOF
Criterion could not be installed. Install its development package by hand (Debian and Ubuntu:
libcriterion-dev; Fedora: criterion-devel; or https://github.com/Snaipe/Criterion), then run
"make check" again. The program itself does not need it: "make" and "make chat" work without.
EOF
exit 1
