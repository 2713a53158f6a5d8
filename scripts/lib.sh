# Shared by the scripts: where we are, what Debian packages are needed, how to say things.
# Sourced, never run. shellcheck shell=bash

set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# What the build and the platform need, then what only the tests and benchmarks need.
packages_build=(
    build-essential cmake ninja-build pkg-config ccache ca-certificates
    libprotobuf-c-dev protobuf-c-compiler protobuf-compiler libprotobuf-dev python3 python3-protobuf
    libnng-dev libcivetweb-dev libmongoc-dev libhiredis-dev libyaml-dev libssl-dev libsqlite3-dev
    libjansson-dev libjwt-dev libcrypt-dev curl jq openssl
)
packages_test=(
    libcmocka-dev nng-utils redis-server clang clang-format clang-tidy libclang-rt-14-dev
    python3-pytest python3-requests python3-websockets python3-websocket python3-jwt python3-cryptography procps psmisc
    nghttp2-client wrk chromium
)
packages_bench=(libgrpc++-dev protobuf-compiler-grpc wrk)

say() { printf '\033[1m%s\033[0m\n' "== $*" >&2; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }
pause() { read -rt 0.1 <> <(:) || :; } # waits a tenth of a second

# Installs the Debian packages of the list that are missing.
need_packages() {
    local missing=() package
    for package in "$@"; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
    done
    [ ${#missing[@]} -eq 0 ] && return 0
    command -v apt-get >/dev/null || die "this needs Debian 12 (apt-get is missing); install: ${missing[*]}"
    local sudo=()
    [ "$(id -u)" -eq 0 ] || sudo=(sudo)
    say "installing ${missing[*]}"
    "${sudo[@]}" apt-get update -qq
    DEBIAN_FRONTEND=noninteractive "${sudo[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2
}

# Debian's nginx starts a server of its own on port 80: not here, and not at the next boot.
need_nginx() {
    [ ! -x /usr/sbin/nginx ] && ! command -v nginx >/dev/null || return 0
    local sudo=() policy=/usr/sbin/policy-rc.d
    [ "$(id -u)" -eq 0 ] || sudo=(sudo)
    if [ ! -e $policy ]; then
        trap "${sudo[*]} rm -f $policy" EXIT
        printf '#!/bin/sh\nexit 101\n' | "${sudo[@]}" install -m 755 /dev/stdin $policy
        need_packages nginx
        "${sudo[@]}" rm -f $policy
        trap - EXIT
    fi
    need_packages nginx
    ! command -v systemctl >/dev/null || "${sudo[@]}" systemctl disable --quiet nginx || :
}

# What the tests run from npm: installed once, and again when the list changes (tests/node).
need_node_modules() {
    command -v npm >/dev/null || need_packages nodejs npm # the machine may have Node.js from elsewhere
    [ "$root/tests/node/node_modules/.package-lock.json" -nt "$root/tests/node/package-lock.json" ] && return 0
    say "installing npm packages into tests/node"
    npm ci --silent --prefix "$root/tests/node" >&2
    touch "$root/tests/node/node_modules/.package-lock.json"
}

# The JavaScript client's compiler, and what its tests need.
need_js_client() {
    command -v npm >/dev/null || need_packages nodejs npm
    [ "$root/clients/js/node_modules/.package-lock.json" -nt "$root/clients/js/package-lock.json" ] && return 0
    say "installing npm packages into clients/js"
    npm ci --silent --prefix "$root/clients/js" >&2
    touch "$root/clients/js/node_modules/.package-lock.json"
}

# Configures (once) and builds a preset: build_preset release [cmake options ...] [-- targets ...]
build_preset() {
    local preset=$1 options=() targets=()
    shift
    while [ $# -gt 0 ] && [ "$1" != -- ]; do options+=("$1"); shift; done
    [ $# -gt 0 ] && shift && targets=("$@")
    say "building ($preset)"
    (cd "$root" && cmake --preset "$preset" "${options[@]}" >"$root/build/$preset.configure.log" 2>&1) ||
        { cat "$root/build/$preset.configure.log" >&2; die "cmake could not configure the preset $preset"; }
    cmake --build "$root/build/$preset" ${targets[@]:+--target "${targets[@]}"} >&2
}

mkdir -p "$root/build"

# Debian's python3, which has Debian's modules: another one may stand first in PATH.
find_python() { PATH=/usr/bin:$PATH command -v python3; }
