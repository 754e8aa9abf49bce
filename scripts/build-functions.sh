#!/usr/bin/env bash
# Builds the Lambda functions where infra/ looks for them: target/lambda/{aggregator,digest,api}/bootstrap.zip.
#   scripts/build-functions.sh [arm64|x86_64]
# cargo-lambda links for Amazon Linux 2023, whose glibc is older than that of most machines. If it is missing, its PyPI
# package, which includes the linker (zig), is installed into .tools/.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

cargo_lambda_version=1.9.2
limit_bytes=8000000

say() { echo "build-functions: $*" >&2; }
fail() { say "$*" && exit 1; }

case ${1:-arm64} in
arm64) flag=--arm64 target=aarch64-unknown-linux-gnu ;;
x86_64) flag=--x86-64 target=x86_64-unknown-linux-gnu ;;
*) echo "usage: scripts/build-functions.sh [arm64|x86_64]" >&2 && exit 2 ;;
esac

command -v cargo >/dev/null || fail "cargo is missing: install Rust from https://rustup.rs"
if ! cargo lambda --version >/dev/null 2>&1; then
    tools=$PWD/.tools/cargo-lambda
    PATH=$tools/bin:$PATH
    if ! cargo lambda --version 2>/dev/null | grep -qF " $cargo_lambda_version "; then
        say "installing cargo-lambda $cargo_lambda_version into .tools/ (once)"
        "${PYTHON:-python3}" -m venv --clear "$tools" ||
            fail "cargo-lambda is missing, and so is Python 3 with venv to install it: see https://www.cargo-lambda.info"
        "$tools/bin/python" -m pip install --quiet --disable-pip-version-check "cargo-lambda==$cargo_lambda_version"
    fi
fi
if command -v rustup >/dev/null && ! rustup target list --installed | grep -qxF "$target"; then
    say "adding the standard library of $target"
    rustup target add "$target" || fail "the standard library of $target is missing: rustup target add $target"
fi

say "building for $target (a few minutes the first time)"
cargo lambda build --release --locked --package birdsong-aws "$flag" --output-format zip --lambda-dir "$PWD/target/lambda" >&2
for name in aggregator digest api; do
    zip=target/lambda/$name/bootstrap.zip
    bytes=$(wc -c <"$zip")
    say "$zip has $bytes bytes"
    ((bytes < limit_bytes)) || fail "$zip is larger than $limit_bytes bytes, which makes cold starts slow: check what was linked in"
done
