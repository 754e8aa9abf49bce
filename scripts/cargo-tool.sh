#!/usr/bin/env bash
# Runs a cargo subcommand of the version that is pinned here: cargo-tool.sh [+TOOLCHAIN] NAME [ARGUMENT]...
# The first time it is compiled into .tools/cargo, which takes a minute or a few.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

declare -A versions=([deny]=0.20.2 [fuzz]=0.13.2 [machete]=0.9.2)

toolchain=()
if [[ ${1:-} == +* ]]; then
    toolchain=("$1")
    shift
fi
name=${1:?usage: cargo-tool.sh [+TOOLCHAIN] NAME [ARGUMENT]...}
version=${versions[$name]:?no version is pinned for it}

if ! grep -qxF "$version" ".tools/cargo/$name" 2>/dev/null; then
    echo "compiling cargo-$name $version into .tools/cargo (once)" >&2
    cargo install --quiet "cargo-$name" --locked --version "$version" --root .tools/cargo --force
    echo "$version" >".tools/cargo/$name"
fi
PATH=$PWD/.tools/cargo/bin:$PATH exec cargo "${toolchain[@]}" "$@"
