#!/usr/bin/env bash
# Runs a cargo subcommand in the version that is pinned here: cargo-tool.sh [+TOOLCHAIN] NAME [ARGUMENT]...
# It is compiled once for all clones, into the user's cache.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

declare -A versions=([cyclonedx]=0.5.9 [deny]=0.20.2 [fuzz]=0.13.2 [machete]=0.9.2)

toolchain=()
if [[ ${1:-} == +* ]]; then
    toolchain=("$1")
    shift
fi
name=${1:?usage: cargo-tool.sh [+TOOLCHAIN] NAME [ARGUMENT]...}
version=${versions[$name]:?no version is pinned for it}

root=${XDG_CACHE_HOME:-$HOME/.cache}/birdsong/cargo-$name-$version
if [[ ! -x $root/bin/cargo-$name ]]; then
    echo "compiling cargo-$name $version into $root (once)" >&2
    # Optimization doubles the compile time and would not speed up the others. cargo-machete parses every source file:
    # 0.5 s with optimization, 14 s without.
    profile=(--debug)
    [[ $name != machete ]] || profile=()
    cargo install --quiet "${profile[@]}" "cargo-$name" --locked --version "$version" --root "$root"
fi
PATH=$root/bin:$PATH exec cargo "${toolchain[@]}" "$@"
