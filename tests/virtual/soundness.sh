#!/bin/sh
# No time may pass while somebody works (soundness.c): alone, with every processor loaded by others,
# and in four runs side by side.
#
#     soundness.sh TOOMANY SOUNDNESS
#
# TOOMANY_HANDOFFS says how many handoffs each run has; 10000, or 100000 for the long run.
set -u
toomany=$1
soundness=$2
handoffs=${TOOMANY_HANDOFFS:-10000}
folder=$(mktemp -d)
burners=
trap 'kill $burners 2> /dev/null; rm -rf "$folder"' EXIT

run() { # NAME
  EXACT=1 "$toomany" run --time virtual -- "$soundness" "$handoffs" > "$folder/$1" 2>&1 \
    < /dev/null
  status=$?
  if [ "$status" -ne 0 ] || ! grep -q '^elapsed: 0 ns$' "$folder/$1"; then
    echo "$1: exit status $status"
    cat "$folder/$1"
    touch "$folder/failed"
  fi
}

run alone
processors=$(nproc)
while [ "$processors" -gt 0 ]; do
  (while :; do :; done) &
  burners="$burners $!"
  processors=$((processors - 1))
done
run loaded
kill $burners
burners=
for number in 1 2 3 4; do
  run "side by side, $number" &
done
wait
[ ! -e "$folder/failed" ]
