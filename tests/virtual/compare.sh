#!/bin/sh
# Runs a program in real and in virtual time: it must print the same lines and end in the same way.
# In virtual time, EXACT is set, and it says of every time that is not exact what it was instead.
#
#     compare.sh TOOMANY PROGRAM [ARGUMENT...]
set -u
toomany=$1
shift
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# What the shell or a CI system passes on, such as ignored signals or EXACT, must not differ.
unset EXACT TOOMANY_CLOCK_LOG
"$@" > "$folder/real" 2>&1 < /dev/null
echo "exit status $?" >> "$folder/real"
EXACT=1 "$toomany" run --time virtual --summary -- "$@" \
  > "$folder/virtual" 2> "$folder/errors" < /dev/null
echo "exit status $?" >> "$folder/virtual"

if ! diff -u "$folder/real" "$folder/virtual"; then
  cat "$folder/errors"
  exit 1
fi
if grep 'instead of' "$folder/virtual"; then
  exit 1
fi
if grep -e 'in real time from' -e 'crept' "$folder/errors"; then
  exit 1
fi
