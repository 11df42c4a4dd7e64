#!/bin/sh
# A program that computes or looks at a clock until time moves comes to its end, and it is said that
# time crept.
#
#     crept.sh TOOMANY PROGRAM
set -u
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$2" > "$folder/real" 2>&1 < /dev/null
"$1" run --time virtual --summary -- "$2" > "$folder/virtual" 2> "$folder/errors" < /dev/null
status=$?
cat "$folder/errors"
[ "$status" -eq 0 ] && grep -q crept "$folder/errors" && diff -u "$folder/real" "$folder/virtual"
