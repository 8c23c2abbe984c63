#!/usr/bin/env bash
# Grammars and schemas that are made to be slow are answered or refused, and the server goes on.
. tests/cli/common.sh
command -v python3 >/dev/null || {
    skipped sources "python3 is not installed"
    exit
}
export T PYTHONDONTWRITEBYTECODE=1
python3 tests/serve/sources.py | grep -v '^#'
exit "${PIPESTATUS[0]}"
