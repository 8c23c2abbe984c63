#!/usr/bin/env bash
# Endpoints and fields of the server, each by what it must do.
. tests/cli/common.sh
command -v python3 >/dev/null || {
    skipped api "python3 is not installed"
    exit
}
export T PYTHONDONTWRITEBYTECODE=1
python3 tests/serve/api.py models/demo.bise
