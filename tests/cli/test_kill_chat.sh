#!/usr/bin/env bash
# bise chat killed at random: a sample of tests/kill/chat.sh. TEST_SIZE=full: more of it.
[ "${TEST_SIZE:-}" = full ] && kills=200 || kills=8
exec bash tests/kill/chat.sh "$kills"
