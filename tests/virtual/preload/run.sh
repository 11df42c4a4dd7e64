#!/bin/sh
# `toomany run` by way of a check, which can choose the carrier: runs a program by preloading. What
# the program prints goes to stdout, what was said of the time to stderr.
#
#     run.sh TOOMANY COMMAND [ARGUMENT...]
set -u
toomany=$1
shift
here=$(dirname "$0")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
PROGRAM_OUTPUT=$folder/output
export PROGRAM_OUTPUT
"$toomany" check --carrier preload --time virtual --verbose "$here/nobody_calls.json" -- \
  sh -c '"$@" > "$PROGRAM_OUTPUT" 2>&1; echo "exit status $?" >> "$PROGRAM_OUTPUT"' sh "$@" \
  > "$folder/report" 2>&1 < /dev/null
cat "$folder/output"
cat "$folder/report" >&2
