#!/usr/bin/env bash
# Tests this folder: the process executor, then each emulator from start to stop. usage: test.sh [localstack] [ministack]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
export BIRDSONG_EMULATOR_PORT=${BIRDSONG_EMULATOR_PORT:-4577}

fail() { echo "FAILED: $*" >&2 && exit 1; }

seconds() { # COMMAND...: how long it takes
    local begin=$EPOCHREALTIME
    "$@" >/dev/null
    awk -v a="$begin" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f s", b - a }'
}

nothing_left() { # NAME
    [[ -z $(ss -Hltn "sport = :$BIRDSONG_EMULATOR_PORT") ]] || fail "something listens on $BIRDSONG_EMULATOR_PORT after stop"
    ! grep -lzxF "BIRDSONG_EMULATOR=$PWD/.run/$1" /proc/[0-9]*/environ 2>/dev/null || fail "processes run after stop"
    ! ./emulator.sh status "$1" >/dev/null || fail "status says running after stop"
}

emulator() { # NAME
    local endpoint=http://127.0.0.1:$BIRDSONG_EMULATOR_PORT python=.run/$1/venv/bin/python
    echo "$1"
    ! ./emulator.sh status "$1" >/dev/null || fail "$1 runs: stop it first (./emulator.sh stop $1)"
    trap './emulator.sh stop '"$1" EXIT

    ./emulator.sh start "$1" >/dev/null # the first one may install
    ./emulator.sh stop "$1"
    echo "  start: $(seconds ./emulator.sh start "$1")"
    [[ $(./emulator.sh start "$1" 2>/dev/null) == "$endpoint" ]] || fail "the second start does not print the endpoint"
    "$python" smoke.py "$endpoint"
    ./emulator.sh status "$1" >/dev/null || fail "not on loopback alone, with its helpers running"

    echo "  after a kill of the emulator alone"
    kill -KILL "$(cat ".run/$1/pid")"
    ./emulator.sh start "$1" >/dev/null
    "$python" smoke.py "$endpoint" >/dev/null || fail "no clean start after a kill"

    echo "  stop: $(seconds ./emulator.sh stop "$1")"
    nothing_left "$1"

    echo $$ >".run/$1/pid"
    ! ./emulator.sh status "$1" >/dev/null || fail "the pid of a stranger counts as running"
    ./emulator.sh stop "$1"
    trap - EXIT
}

[[ $# -gt 0 ]] || set -- localstack ministack
for name in "$@"; do emulator "$name"; done

echo "process executor"
(cd process-executor && PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=. "../.run/$1/venv/bin/python" -m unittest discover tests)
