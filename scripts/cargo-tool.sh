#!/usr/bin/env bash
# Runs a cargo subcommand in the version that is pinned here: cargo-tool.sh [+TOOLCHAIN] NAME [ARGUMENT]...
# It is compiled once for all clones, into the user's cache.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

declare -A versions=([cyclonedx]=0.5.9 [deny]=0.20.2 [fuzz]=0.13.2 [machete]=0.9.2 [mutants]=27.1.0)

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
    # To optimize takes longer than it saves, except for cargo-machete, which reads all source files: in 14 s without, in 1 s with
    # the first level, which compiles in two thirds of the time of the last.
    profile=(--debug)
    [[ $name != machete ]] || profile=(--config profile.release.opt-level=1)
    cargo install --quiet "${profile[@]}" "cargo-$name" --locked --version "$version" --root "$root"
fi
PATH=$root/bin:$PATH exec cargo "${toolchain[@]}" "$@"
