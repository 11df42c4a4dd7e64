# shellcheck shell=bash
# What the scripts share: finding and installing what is missing, building, steps with logs.
# To be sourced by bash, from the top folder of the sources, with script_name set.

: "${script_name:?}"

say() {
  printf '%s: %s\n' "$script_name" "$1"
}

fail() { # MESSAGE [STATUS]
  printf '%s: %s\n' "$script_name" "$1" >&2
  exit "${2:-3}"
}

jobs_count=$(nproc 2>/dev/null || echo 2)

# --- what is needed ---------------------------------------------------------------------------

# One row a need: the group, how to see that it is there, and the package that has it on Debian
# and Ubuntu, Fedora, Arch. The groups: `build` (to build toomany and run the demo with the C
# programs), `python` (the demo with the official SDK), `test` (script/test with no argument),
# and one for each part of script/test that needs more.
needs='
build     command:cc                        gcc                   gcc                     gcc
build     header:stdio.h                    libc6-dev             glibc-devel             glibc
build     command:make                      make                  make                    make
build     command:cmake                     cmake                 cmake                   cmake
build     command:pkg-config                pkg-config            pkgconf-pkg-config      pkgconf
build     library:libmicrohttpd             libmicrohttpd-dev     libmicrohttpd-devel     libmicrohttpd
build     library:gnutls                    libgnutls28-dev       gnutls-devel            gnutls
build     library:libcurl                   libcurl4-openssl-dev  libcurl-devel           curl
build     library:libcjson                  libcjson-dev          cjson-devel             cjson
build     header:unistr.h                   libunistring-dev      libunistring-devel      libunistring
build     header:uthash.h                   uthash-dev            uthash-devel            uthash
python    command:python3                   python3               python3                 python
python    python:venv                       python3-venv          python3                 python
python    file:/etc/ssl/certs/ca-certificates.crt  ca-certificates  ca-certificates       ca-certificates
test      library:cmocka                    libcmocka-dev         libcmocka-devel         cmocka
test      command:c++                       g++                   gcc-c++                 gcc
test      command:git                       git                   git                     git
test      command:curl                      curl                  curl                    curl
test      command:gnuplot                   gnuplot-nox           gnuplot-minimal         gnuplot
test      command:node                      nodejs                nodejs                  nodejs
test      command:npm                       npm                   nodejs-npm              npm
test      command:valgrind                  valgrind              valgrind                valgrind
test      command:strace                    strace                strace                  strace
gcc       command:gcc                       gcc                   gcc                     gcc
clang     command:clang                     clang                 clang                   clang
asan      sanitizer:cc:address,undefined    gcc                   libasan,libubsan        gcc
tsan      sanitizer:cc:thread               gcc                   libtsan                 gcc
tsan      command:setarch                   util-linux            util-linux              util-linux
fuzz      command:clang                     clang                 clang                   clang
fuzz      sanitizer:clang:fuzzer-no-link,address  libclang-rt-dev  compiler-rt            compiler-rt
coverage  command:gcc                       gcc                   gcc                     gcc
coverage  command:lcov                      lcov                  lcov                    lcov
lint      command:clang                     clang                 clang                   clang
lint      command:clang-format              clang-format          clang-tools-extra       clang
lint      command:clang-tidy                clang-tidy            clang-tools-extra       clang
lint      command:cppcheck                  cppcheck              cppcheck                cppcheck
lint      command:shellcheck                shellcheck            ShellCheck              shellcheck
'

is_there() { # PROBE
  local what=${1#*:}
  case $1 in
  command:*) command -v "$what" >/dev/null ;;
  file:*) [[ -e $what ]] ;;
  header:*) printf '#include <%s>\n' "$what" | cc -E - >/dev/null 2>&1 ;;
  library:*) pkg-config --exists "$what" 2>/dev/null ;;
  python:venv) python3 -c 'import ensurepip, venv' 2>/dev/null ;;
  sanitizer:*)
    printf 'int main(void) { return 0; }\n' |
      "${what%%:*}" -fsanitize="${what#*:}" -x c - -o /dev/null 2>/dev/null
    ;;
  esac
}

# Sets missing_probes, and missing_packages by the names of `column` (3 Debian, 4 Fedora, 5 Arch).
find_missing() { # COLUMN GROUP...
  local column=$1 group probe names package
  shift
  missing_probes=() missing_packages=()
  while read -r group probe names; do
    [[ -n $group && " $* " == *" $group "* ]] || continue
    is_there "$probe" && continue
    missing_probes+=("$probe")
    read -ra names <<<"$names"
    for package in ${names[column - 3]//,/ }; do
      [[ " ${missing_packages[*]-} " == *" $package "* ]] || missing_packages+=("$package")
    done
  done <<<"$needs"
  [[ ${#missing_probes[@]} -eq 0 ]]
}

# The distribution and those it is like, from os-release.
system_ids() {
  [[ -r /etc/os-release ]] && (. /etc/os-release && echo "${ID-} ${ID_LIKE-}")
}

apt_get() {
  local -a command=(env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 "$@")
  if [[ $EUID -eq 0 ]]; then
    "${command[@]}"
  else
    sudo "${sudo_options[@]}" "${command[@]}"
  fi
}

# As root, or by sudo: without a password where that is allowed, and asking where somebody can
# answer.
install_by_apt() {
  local by='' log package
  local -a known=()
  sudo_options=(-n)
  if [[ $EUID -ne 0 ]]; then
    by=' by sudo'
    command -v sudo >/dev/null ||
      fail "missing: ${missing_packages[*]}; there is no sudo here, so as root: apt-get install ${missing_packages[*]}"
    if ! sudo -n true 2>/dev/null; then
      [[ -t 0 ]] ||
        fail "missing: ${missing_packages[*]}; sudo asks for a password here, so first: sudo apt-get install ${missing_packages[*]}"
      sudo_options=()
    fi
  fi
  log=$(mktemp)
  say "installing by apt-get$by: ${missing_packages[*]}"
  apt_get update >"$log" 2>&1 </dev/null || true
  # A release that has no such package has its contents in one of the others, or is seen to lack it.
  for package in "${missing_packages[@]}"; do
    ! apt-cache show "$package" >/dev/null 2>&1 || known+=("$package")
  done
  if ! apt_get install -y --no-install-recommends "${known[@]}" >>"$log" 2>&1 </dev/null; then
    tail -n 20 "$log" >&2
    say "apt-get failed; its last lines are above, all of them in $log" >&2
    return 1
  fi
  rm -f "$log"
}

# The presets need CMake 3.21; older systems have an older one.
require_cmake() {
  local version
  version=$(cmake --version | sed -n '1s/[^0-9]*//p')
  [[ $(printf '3.21\n%s\n' "$version" | sort -V | head -n 1) == 3.21 ]] ||
    fail "CMake 3.21 or newer is needed, here is $version (\`pip install cmake\` has a newer one)"
}

# Sees to it that all needs of the groups are met. Status 1 when they are not, after saying which
# and what would help.
install_missing() { # GROUP...
  install_what_is_missing "$@" || return
  require_cmake
}

install_what_is_missing() { # GROUP...
  local ids
  [[ $(uname -s) == Linux ]] ||
    fail "toomany needs Linux (epoll, pidfd, /proc), this is $(uname -s); a Linux container or virtual machine will do"
  ids=" $(system_ids) "
  case $ids in
  *' debian '* | *' ubuntu '*)
    find_missing 3 "$@" && return
    install_by_apt || return 1
    find_missing 3 "$@" && return
    say "still missing after the installation: ${missing_probes[*]}" >&2
    ;;
  *' fedora '* | *' rhel '*)
    find_missing 4 "$@" && return
    say "missing: ${missing_probes[*]}; install with: sudo dnf install ${missing_packages[*]}" >&2
    ;;
  *' arch '*)
    find_missing 5 "$@" && return
    say "missing: ${missing_probes[*]}; install with: sudo pacman -S --needed ${missing_packages[*]}" >&2
    ;;
  *)
    find_missing 3 "$@" && return
    say "missing: ${missing_probes[*]}; install what holds them (Debian's names: ${missing_packages[*]})" >&2
    ;;
  esac
  return 1
}

# --- steps ------------------------------------------------------------------------------------

log_folder=build/log
failed_logs=()

# Runs a command with its output in a log; one line says what came of it, and where it failed the
# end of the log is shown.
step() { # NAME COMMAND...
  local name=$1 log status=0 start=$SECONDS
  shift
  log=$log_folder/${name//[^A-Za-z0-9]/-}.log
  mkdir -p "$log_folder"
  printf '%-44s' "$name"
  "$@" >"$log" 2>&1 </dev/null || status=$?
  if [[ $status -eq 0 ]]; then
    printf 'ok      %4d s\n' $((SECONDS - start))
    return
  fi
  printf 'FAILED  %4d s\n' $((SECONDS - start))
  # Without make's progress, among which the errors would be lost.
  { grep -vE '^\[ *[0-9]+%\] ' "$log" || true; } | tail -n 60 | sed 's/^/    | /'
  printf '    the whole log: %s\n' "$log"
  failed_logs+=("$log")
  return 1
}

# --- building ---------------------------------------------------------------------------------

folder_of() { # PRESET
  if [[ $1 == release ]]; then echo build; else echo "build-$1"; fi
}

configure_and_build() { # PRESET [CMAKE-OPTION]... [-- TARGET...]
  local preset=$1 options=() targets=()
  shift
  while [[ $# -gt 0 && $1 != -- ]]; do
    options+=("$1")
    shift
  done
  [[ $# -eq 0 ]] || targets=(--target "${@:2}")
  # A folder that was moved or copied with its build is of no use to CMake.
  local cache
  cache=$(folder_of "$preset")/CMakeCache.txt
  if [[ -f $cache ]] && ! grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$PWD" "$cache"; then
    rm -f "$cache"
  fi
  cmake --preset "$preset" "${options[@]}" &&
    cmake --build "$(folder_of "$preset")" --parallel "$jobs_count" "${targets[@]}"
}
