#!/usr/bin/env bash
# The installed tree, as a user has it: outside the sources and the build.
#
#   run.sh tree BUILD PREFIX              installs BUILD into PREFIX
#   run.sh scenarios PREFIX               the installed scenarios find the installed programs
#   run.sh link PREFIX LANGUAGE COMPILER  a program in LANGUAGE (c or c++) links and runs
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

case $1 in
tree)
  rm -rf "$3"
  cmake --install "$2" --prefix "$3"
  # Moved, because a user may unpack it anywhere.
  mv "$3" "$3.moved"
  mv "$3.moved" "$3"
  ;;
scenarios)
  "$2/bin/toomany" --version
  cd /
  "$2/bin/toomany" check --jobs 4 "$2/share/toomany/scenarios/c"
  # What only a checkout has must not be installed.
  [ -z "$(find "$2" -name .venv -o -name node_modules -o -name __pycache__)" ]
  ;;
link)
  prefix=$2
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  library=$(dirname "$(find "$prefix" -name toomany-client.pc)")
  export PKG_CONFIG_PATH=$library
  read -ra flags <<<"$(pkg-config --cflags --libs toomany-client)"
  "$4" -x "$3" "$here/use.c" -x none -Wall -Wextra -Werror -o "$work/use" "${flags[@]}"
  LD_LIBRARY_PATH=$(dirname "$library")
  export LD_LIBRARY_PATH
  "$prefix/bin/toomany" check "$prefix/share/toomany/scenarios/r3-fixed-recovers.json" -- \
    "$work/use"
  ;;
*)
  echo "run.sh: found \"$1\", wanted tree, scenarios or link" >&2
  exit 2
  ;;
esac
