#!/usr/bin/env bash
# Starts and stops AWS emulators on this machine, without Docker. Everything is installed into .run/ on first use.
set -euo pipefail

usage="usage: emulator.sh start|stop|status|logs [localstack|ministack]"
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
action=${1:?$usage}
name=${2:-localstack}
case $name in localstack | ministack) ;; *) echo "$usage" >&2 && exit 2 ;; esac

port=${BIRDSONG_EMULATOR_PORT:-4566}
seconds_to_start=120
run=$here/.run/$name
venv=$run/venv
filesystem=$run/filesystem # LocalStack's root folder, empty at each start but for a link to its packages
packages=$run/packages

kinesis_mock=0.5.2
dynamodb_local=2.9.30 # of the npm package that carries DynamoDB Local 1.25.1

# Each process of the emulator, its helpers and functions too, carries this in its environment: that is how `stop` finds
# those that the emulator put into sessions of their own, or left behind when it was killed.
marker=BIRDSONG_EMULATOR=$run

say() { echo "$*" >&2; }
fail() { say "$*" && exit 1; }

need() { command -v "$1" >/dev/null || fail "$1 is missing: install $2."; }

members() { grep -lzxF -- "$marker" /proc/[0-9]*/environ 2>/dev/null | cut -d/ -f3 || true; }

leader() { # the pid of the emulator, if it runs
    [[ -f $run/pid ]] && members | grep -xF "$(cat "$run/pid")"
}

listeners() { # address:port of every socket that the emulator and its helpers listen on
    local ids
    ids=$(members | paste -sd '|')
    [[ -z $ids ]] || ss -Hltunp | grep -E "pid=($ids)," | awk '{ print $5 }' || true
}

sockets_in_use() { ss -Hltun | awk '{ print $5 }'; }

python() { # newest first; pyenv's shims exist even for versions that are not chosen, hence the try
    local candidate
    for candidate in python3.13 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.13*/bin/python \
        python3.11 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.11*/bin/python; do
        "$candidate" -c 'import venv' 2>/dev/null && command -v "$candidate" && return
    done
    fail "Python 3.13 is missing: install it (3.11 works too, with an older LocalStack)."
}

is_new() { # TEXT FILE...: whether what is installed was made from something else
    local text=$1
    shift
    wanted=$({ echo "$run $text"; declare -f "install_$name"; cat "$@"; } | sha256sum)
    [[ ! -f $run/installed || $(cat "$run/installed") != "$wanted" ]]
}

mark_installed() { echo "$wanted" >"$run/installed"; }

new_venv() {
    say "$name: installing into ${run/#"$PWD/"/} (once; a minute or two)"
    rm -rf "$run"
    mkdir -p "$run"
    "$1" -m venv "$venv"
}

install_localstack() {
    need node "Node.js 18 or newer"
    need npm "npm"
    need java "a Java runtime, 17 or newer"
    local python constraints=$here/constraints.txt version=2026.3.0
    python=$(python)
    if [[ $("$python" -c 'import sys; print(sys.version_info[1])') == 11 ]]; then
        constraints=$here/constraints-python3.11.txt version=4.9.2
    fi
    is_new "$python $kinesis_mock $dynamodb_local" "$constraints" "$here"/process-executor/{pyproject.toml,process_executor/*.py} || return 0

    new_venv "$python"
    "$venv/bin/pip" install -qq -c "$constraints" "localstack-core[runtime]==$version" setuptools
    # From a copy: setuptools writes into the folder that it builds.
    cp -r "$here/process-executor" "$run/build"
    "$venv/bin/pip" install -qq --no-build-isolation --no-deps "$run/build"

    npm install --silent --no-audit --no-fund --prefix "$packages/kinesis-local/$kinesis_mock" "kinesis-local@$kinesis_mock"
    (cd "$run/build" && npm pack --silent "amplify-dynamodb-simulator@$dynamodb_local" && tar xzf ./*.tgz package/emulator) >/dev/null
    mkdir -p "$packages/dynamodb-local" "$packages/java/21/bin"
    mv "$run/build/package/emulator" "$packages/dynamodb-local/2"
    printf '#!/bin/sh\nexec "%s" "%s" "$@"\n' "$venv/bin/python" "$here/dynamodb_local.py" >"$packages/java/21/bin/java"
    chmod +x "$packages/java/21/bin/java"
    rm -rf "$run/build"
    mark_installed
}

install_ministack() {
    local python
    python=$(python)
    is_new "$python" "$here/constraints-ministack.txt" || return 0

    new_venv "$python"
    "$venv/bin/pip" install -qq -r "$here/constraints-ministack.txt"
    mark_installed
}

# The command of an emulator is a list of variables, then the program. Nothing else of the caller's environment gets in:
# a profile or a credential of somebody's real account has no business there.

localstack_command() {
    local java_home
    java_home=$(dirname "$(dirname "$(readlink -f "$(command -v java)")")")
    command=(
        OVERRIDE_IN_DOCKER=0 "FILESYSTEM_ROOT=$filesystem"
        "GATEWAY_LISTEN=127.0.0.1:$port" "LOCALSTACK_HOST=127.0.0.1:$port"
        GATEWAY_SERVER=hypercorn # the default server listens on every interface
        DNS_ADDRESS=0
        DISABLE_EVENTS=1 SKIP_SSL_CERT_DOWNLOAD=1 # nothing is sent or fetched
        SQS_ENDPOINT_STRATEGY=path
        LAMBDA_RUNTIME_EXECUTOR=process
        DYNAMODB_IN_MEMORY=1 "BIRDSONG_JAVA_HOME=$java_home"
        "KINESIS_MOCK_VERSION=$kinesis_mock" KINESIS_PERSISTENCE=0 "NODE_OPTIONS=--require=\"$here/loopback.cjs\""
        "LS_LOG=${LS_LOG:-info}"
        "$venv/bin/python" -m localstack.runtime.main
    )
    health=/_localstack/health
}

ministack_command() {
    command=(
        BIND_HOST=127.0.0.1 "GATEWAY_PORT=$port" "AWS_ENDPOINT_URL=http://127.0.0.1:$port"
        "$venv/bin/python" -m ministack
    )
    health=/_ministack/health
}

give_up() {
    say "$1 The end of $run/log:"
    tail -n 20 "$run/log" >&2
    kill_all
    exit 1
}

start() {
    need curl curl
    need ss iproute2
    local endpoint
    if leader >/dev/null; then
        endpoint=$(cat "$run/endpoint")
        say "$name runs already."
        echo "$endpoint"
        return
    fi
    "install_$name"
    kill_all # what a crash may have left behind
    if [[ -n $(ss -Hltn "sport = :$port") ]]; then
        fail "Port $port is in use: stop what listens there, or set BIRDSONG_EMULATOR_PORT to a free port."
    fi
    # Nothing is kept from one start to the next.
    rm -rf "$filesystem" "$run/tmp"
    mkdir -p "$filesystem/var/lib/localstack" "$run/tmp"
    ln -s "$packages" "$filesystem/var/lib/localstack/lib"

    endpoint=http://127.0.0.1:$port
    echo "$endpoint" >"$run/endpoint"
    local command health begin=$SECONDS
    "${name}_command"
    (
        cd "$run/tmp"
        exec setsid env -i "$marker" "PATH=$PATH" "HOME=$run/tmp" "TMPDIR=$run/tmp" LANG=C.UTF-8 \
            AWS_EC2_METADATA_DISABLED=true "${command[@]}" </dev/null >"$run/log" 2>&1 9>&-
    ) &
    echo $! >"$run/pid"
    until curl -sf --noproxy '*' -m 2 -o "$run/tmp/health" "$endpoint$health"; do
        sleep 0.2
        kill -0 "$(cat "$run/pid")" 2>/dev/null || give_up "$name ended while it started."
        ((SECONDS - begin < seconds_to_start)) || give_up "$name does not answer after $seconds_to_start seconds."
        progress "$name: starting, $((SECONDS - begin)) s"
    done
    progress "$name: started in $((SECONDS - begin)) s"
    [[ ! -t 2 ]] || say
    local open
    open=$(beyond_loopback)
    [[ -z $open ]] || give_up "$name listened beyond this machine, on $open, and was stopped."
    echo "$endpoint"
}

progress() { # one line that is written over, on a terminal alone
    [[ ! -t 2 ]] || printf '\r%s' "$1" >&2
}

beyond_loopback() { listeners | grep -vE '^(127\.|\[::1\]|\[::ffff:127\.)' | paste -sd ' ' || true; }

kill_all() { # without asking: there is nothing to save
    local attempt main sockets
    sockets=$(listeners)
    # The emulator first: it would start helpers again that end before it.
    main=$(leader || true)
    [[ -z $main ]] || kill -KILL "$main" 2>/dev/null || true
    for ((attempt = 0; attempt < 100; attempt++)); do
        members | xargs -r kill -KILL 2>/dev/null || true
        # A dying process loses its environment before its sockets, so wait for those too.
        [[ -n $(members) ]] || { [[ -n $sockets ]] && sockets_in_use | grep -xF "$sockets" >/dev/null; } || return 0
        sleep 0.05
    done
    fail "$name: does not end: processes $(members | paste -sd ' '), sockets $(paste -sd ' ' <<<"$sockets")"
}

stop() {
    kill_all
    rm -f "$run/pid"
}

status() {
    leader >/dev/null || { echo "$name is stopped" && exit 3; }
    local open
    open=$(beyond_loopback)
    [[ -z $open ]] || fail "$name listens beyond this machine, on $open."
    echo "$name runs at $(cat "$run/endpoint"), process $(cat "$run/pid"), listening on $(listeners | sort -u | paste -sd ' ')"
}

if [[ $action == start || $action == stop ]]; then
    # One at a time: two first starts would install over each other.
    mkdir -p "$here/.run"
    exec 9>"$here/.run/$name.lock"
    flock 9
fi
case $action in
start | stop | status) "$action" ;;
logs) tail -n 200 "$run/log" ;;
*) say "$usage" && exit 2 ;;
esac
