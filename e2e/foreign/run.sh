#!/usr/bin/env bash
# Holds the fake servers and the archive counts to clients of other people: X's own SDK (xdk), Mastodon.py, twarc-csv, and
# @skyware/jetstream. They are pinned in requirements.txt and ../package-lock.json, and installed on first use into .tools/ and
# ../node_modules. BIRDSONG_BINARIES is the folder of the binaries under test; `make foreign` builds them.
# Without PyPI or npm this fails. BIRDSONG_FOREIGN=skip leaves these tests out, with a warning.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

here=e2e/foreign
venv=.tools/foreign
binaries=${BIRDSONG_BINARIES:-${CARGO_TARGET_DIR:-target}/debug}
[[ $binaries == /* ]] || binaries=$PWD/$binaries
export BIRDSONG_BINARIES=$binaries PYTHONDONTWRITEBYTECODE=1
# The fakes listen on loopback.
export NO_PROXY=127.0.0.1 no_proxy=127.0.0.1

fail() { echo "foreign: $*" >&2 && exit 1; }

python() { # one of 3.11 to 3.13; pyenv's shims exist even for versions that are not chosen, hence the try
    local candidate
    for candidate in "${PYTHON:-python3}" python3.13 python3.12 python3.11; do
        "$candidate" -c 'import sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null &&
            command -v "$candidate" && return
    done
    fail "Python 3.11, 3.12 or 3.13 is missing: install it, or set PYTHON to its path."
}

pip() {
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: "$@" ||
        fail "cannot install the clients from PyPI (see above). BIRDSONG_FOREIGN=skip leaves their tests out."
}

install() {
    local python wanted
    python=$(python)
    wanted=$("$python" --version && cat "$here"/*requirements.txt)
    if [[ ! -f $venv/installed || $(<"$venv/installed") != "$wanted" ]]; then
        echo "foreign: installing the clients of $here/requirements.txt (once; a minute or two)" >&2
        "$python" -m venv --clear "$venv"
        pip --requirement "$here/build-requirements.txt"
        # twarc-csv has no wheel. It is built with the setuptools that is pinned above.
        pip --no-build-isolation --no-binary twarc-csv --requirement "$here/requirements.txt"
        echo "$wanted" >"$venv/installed"
    fi
    if ! [[ e2e/node_modules/.package-lock.json -nt e2e/package-lock.json ]]; then
        npm ci --loglevel error --no-audit --no-fund --prefix e2e ||
            fail "cannot install the clients from npm (see above). BIRDSONG_FOREIGN=skip leaves their tests out."
    fi
}

case ${BIRDSONG_FOREIGN:-run} in
run) ;;
skip) echo "WARNING: foreign: SKIPPED, because BIRDSONG_FOREIGN=skip. No client of other people was run." >&2 && exit 0 ;;
*) fail "BIRDSONG_FOREIGN is run or skip, not '$BIRDSONG_FOREIGN'." ;;
esac
command -v npm >/dev/null || fail "npm is missing: install Node.js 20 or newer."
[[ -x $binaries/birdsong && -x $binaries/birdsong-fake ]] || fail "there is no birdsong or birdsong-fake in $binaries: run \`make foreign\`, or set BIRDSONG_BINARIES."
install
failed=()
"$venv/bin/python" -m unittest discover --verbose --start-directory "$here" || failed+=(Python)
node --test --test-reporter=spec "$here/jetstream.js" || failed+=(JavaScript)
((${#failed[@]} == 0)) || fail "failed: ${failed[*]}"
