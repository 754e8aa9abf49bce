#!/usr/bin/env bash
# Installs tools that the tests need and that are missing: cargo-nextest, and, as root on Debian, Chromium, Java and ss.
# Elsewhere it lists what to install. `tools.sh rust` installs cargo-nextest only.
set -euo pipefail

cargo nextest --version >/dev/null 2>&1 || cargo install cargo-nextest --locked --version 0.9.143
[[ ${1:-} != rust ]] || exit 0

packages=()
command -v chromium >/dev/null || command -v google-chrome >/dev/null || [[ -n ${CHROMIUM:-} ]] || packages+=(chromium)
command -v java >/dev/null || packages+=(default-jre-headless)
command -v ss >/dev/null || packages+=(iproute2)
if ((${#packages[@]})); then
    if command -v apt-get >/dev/null && [[ $(id -u) == 0 ]]; then
        echo "installing ${packages[*]}" >&2
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${packages[@]}" >/dev/null
    else
        echo "missing: ${packages[*]} (Debian's names). Install them, or set CHROMIUM to the path of a Chrome." >&2
        exit 1
    fi
fi
command -v terraform >/dev/null ||
    { echo "missing: terraform 1.11 or newer, see https://developer.hashicorp.com/terraform/install" >&2 && exit 1; }
