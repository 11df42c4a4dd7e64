#!/bin/sh
# Runs a program in real and in virtual time: it must print the same lines and end in the same way.
# In virtual time, EXACT is set, and it says of every time that is not exact what it was instead.
# In real time a loaded machine is late, so that a wait ends in another way than it does otherwise:
# that run, not the one in virtual time, is repeated until it shows what the kernel does in time.
#
#     compare.sh TOOMANY PROGRAM [ARGUMENT...]
set -u
toomany=$1
shift
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
attempts=10

unset EXACT TOOMANY_CLOCK_LOG
EXACT=1 "$toomany" run --time virtual --summary -- "$@" \
  > "$folder/virtual" 2> "$folder/errors" < /dev/null
echo "exit status $?" >> "$folder/virtual"
if grep 'instead of' "$folder/virtual" || grep -e 'in real time from' -e 'crept' "$folder/errors"; then
  exit 1
fi

while [ "$attempts" -gt 0 ]; do
  "$@" > "$folder/real" 2>&1 < /dev/null
  echo "exit status $?" >> "$folder/real"
  if diff -u "$folder/real" "$folder/virtual" > "$folder/difference"; then
    exit 0
  fi
  attempts=$((attempts - 1))
done
cat "$folder/difference" "$folder/errors"
exit 1
