#!/usr/bin/env bash
# The clients that people use, from npm (BISE_NPM, or $BUILD/npm: tests/serve/install-npm.sh fills it).
. tests/cli/common.sh
export T PYTHONDONTWRITEBYTECODE=1 BISE_NPM=${BISE_NPM:-$BUILD/npm}
if ! command -v node >/dev/null || ! command -v python3 >/dev/null || [ ! -d "$BISE_NPM/node_modules/openai" ]; then
    skipped clients "node, python3 or the npm package openai is not installed"
    exit
fi
# start NAME OPTION...: a server whose port is then in $port
start() {
    local name=$1
    shift
    "$BISE" serve --port 0 -q "$@" 2>"$T/$name.log" &
    pids+=($!)
    wait_for grep -q '^address' "$T/$name.log" || not_ok "starts_$name" "$(cat "$T/$name.log")"
    port=$(sed -n 's|^address .*:\([0-9]*\)/$|\1|p' "$T/$name.log")
}
pids=()
python3 tests/serve/v3_demo.py "$T/v3.bise"
start demo
demo=$port
start v3 -m "$T/v3.bise"
node tests/serve/clients.mjs "$demo" "$port" || n_bad=1

# curl, as the manual shows it.
if command -v curl >/dev/null; then
    curl -sS -H 'Content-Type: application/json' "http://127.0.0.1:$demo/v1/chat/completions" \
        -d '{"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 5, "seed": 1}' >"$T/answer"
    expect curl grep -q '"object":"chat.completion"' "$T/answer"
    curl -sSN -H 'Content-Type: application/json' "http://127.0.0.1:$demo/v1/chat/completions" \
        -d '{"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 5, "stream": true}' >"$T/answer"
    same curl_stream 'data: [DONE]' "$(grep . "$T/answer" | tail -n 1)"
else
    skipped curl "curl is not installed"
fi
kill "${pids[@]}"
wait "${pids[@]}"
same exit_status 0 $?
finish
