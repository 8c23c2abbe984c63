#!/usr/bin/env bash
# Endpoints and fields of the server, each by what it must do.
. tests/cli/common.sh
command -v python3 >/dev/null || {
    skipped api "python3 is not installed"
    exit
}
export T PYTHONDONTWRITEBYTECODE=1
"$BISE" quantize models/demo.bise -o "$T/demo.bise" --type i8 --chat-format v1 2>"$T/.err" || not_ok made_a_model
python3 tests/serve/api.py "$T/demo.bise"
