#!/usr/bin/env bash
# Tests the API against its OpenAPI document: Redocly checks the document, and Schemathesis asks a running server with
# generated requests, right and wrong ones, whether it answers as described.
# The tools are pinned in scripts/checks/ and scripts/contract/, and installed into node_modules/ and .tools/.
# SEED=NUMBER makes other requests; BIRDSONG_BINARIES is the folder of the program.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

pins=scripts/contract/requirements.txt
venv=.tools/contract
checks=scripts/checks
binary=${BIRDSONG_BINARIES:-target/debug}/birdsong

install() {
    if ! cmp -s "$pins" "$venv/installed"; then
        echo "installing $pins" >&2
        "${PYTHON:-python3}" -m venv --clear "$venv"
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary :all: --require-hashes --requirement "$pins"
        cp "$pins" "$venv/installed"
    fi
    [[ $checks/node_modules/.package-lock.json -nt $checks/package-lock.json ]] ||
        npm ci --silent --no-audit --no-fund --prefix "$checks"
}

stop() {
    if [[ -n ${server:-} ]]; then
        kill "$server" 2>/dev/null || true
        wait "$server" || true
    fi
    rm -rf "$data"
}

start() { # sets url, as soon as the server has posts of the present
    "$binary" run --source demo --backfill 2h --port 0 --data "$data/data" >"$data/log" 2>&1 &
    server=$!
    local try
    for try in {1..300}; do
        url=$(grep -om1 'http://localhost:[0-9]*' "$data/log" || true)
        [[ -z $url ]] || ! curl -fsS "$url/api/status" 2>/dev/null | grep -q '"status":"connected"' || return 0
        kill -0 "$server" 2>/dev/null || break
        sleep 0.2
    done
    echo "the server did not start after $try tries:" >&2
    cat "$data/log" >&2
    exit 1
}

[[ -x $binary ]] || { echo "missing: $binary (make contract builds it)" >&2 && exit 1; }
install
"$checks/node_modules/.bin/redocly" lint --config scripts/contract/redocly.yaml functions/api/openapi.json
data=$(mktemp -d)
trap stop EXIT
start
"$venv/bin/schemathesis" --config-file scripts/contract/schemathesis.toml run --checks all --seed "${SEED:-1}" \
    --url "$url" functions/api/openapi.json
