#!/usr/bin/env bash
# The AWS deployment of Birdsong on this machine, on an emulator, without Docker or an account.
#   scripts/local.sh up|down|outputs|plan|destroy [localstack|ministack]
# `up` starts the emulator, applies infra/, starts the streamer and prints the addresses. `down` stops everything.
# `outputs` and `plan` print JSON. `destroy` destroys the resources and leaves the emulator running.
# In the environment:
#   BIRDSONG_BINARIES=DIR       a folder that has aggregator, digest, api and birdsong; otherwise cargo builds them
#   BIRDSONG_STREAMER=0         leave out the streamer and the page
#   BIRDSONG_EMULATOR_PORT, BIRDSONG_SITE_PORT, BIRDSONG_HEALTH_PORT
#                               ports; by default 4566, 8090 and 8081, or the next ones that are free
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage="usage: scripts/local.sh up|down|outputs|plan|destroy [localstack|ministack]"
action=${1:?$usage}
emulator=${2:-localstack}
run=$PWD/localstack/.run/stack-$emulator
case $emulator in
localstack) settings=env/local.tfvars ;;
ministack) settings=env/ministack.tfvars ;;
*) echo "$usage" >&2 && exit 2 ;;
esac

say() { echo "local: $*" >&2; }

# The emulator's own account, whatever the caller's environment has.
unset AWS_PROFILE AWS_SESSION_TOKEN
export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_REGION=us-east-1
export AWS_EC2_METADATA_DISABLED=true TF_IN_AUTOMATION=1 TF_DATA_DIR=$run/terraform
[[ -f ${TF_CLI_CONFIG_FILE:-} ]] || unset TF_CLI_CONFIG_FILE

# Works on a copy of infra/ with its own state: an emulator forgets everything when it stops, and infra/ itself may be
# initialized for a real account.
tf() { terraform -chdir="$run/infra" "$@"; }
endpoint=
use_endpoint() { # ADDRESS
    endpoint=$1
    export AWS_ENDPOINT_URL=$endpoint
    variables=(
        -var-file="$settings" -var aws_endpoint="$endpoint" -var site_dir="$run/site"
        -var regions_file="$PWD/regions.toml"
        -var aggregator_zip="$run/aggregator.zip" -var digest_zip="$run/digest.zip" -var api_zip="$run/api.zip"
    )
}
[[ ! -f localstack/.run/$emulator/endpoint ]] || use_endpoint "$(cat "localstack/.run/$emulator/endpoint")"

build() {
    local binaries=${BIRDSONG_BINARIES:-} name
    if [[ -z $binaries ]]; then
        say "building the functions and the streamer: some 15 minutes the first time on two cores, seconds after that"
        # The features of the whole workspace, so that the tests have built most of it.
        cargo build --locked --workspace --bins --examples --features birdsong/aws
        binaries=$(cargo metadata --format-version 1 --no-deps --locked | python3 -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])')/debug
    fi
    binaries=$(cd "$binaries" && pwd)
    say "packing the functions, building the dashboard"
    for name in aggregator digest api; do
        [[ $run/$name.zip -nt $binaries/$name ]] || python3 scripts/zip-bootstrap.py "$binaries/$name" "$run/$name.zip"
    done
    ln -sfn "$binaries/birdsong" "$run/birdsong"
    (cd frontend && { [[ node_modules/.package-lock.json -nt package-lock.json ]] || npm ci --silent --no-audit --no-fund; } &&
        npm run --silent build -- --logLevel warn --outDir "$run/site" --emptyOutDir)
}

free_port() { # FIRST: the first port from there on on which nothing listens
    local port=$1
    while (: >"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do port=$((port + 1)); done
    echo "$port"
}

stop() { # NAME WORD: the process whose id is in NAME.pid, if its command line has the word
    local pid
    pid=$(cat "$run/$1.pid" 2>/dev/null || true)
    if [[ -n $pid ]] && grep -qs "$2" "/proc/$pid/cmdline"; then
        kill -TERM "$pid"
        while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
    fi
    rm -f "$run/$1.pid"
}

stop_streamer() {
    stop site local-site
    stop streamer birdsong
}

start_site() {
    site_port=${BIRDSONG_SITE_PORT:-$(free_port 8090)}
    node scripts/local-site.mjs "$site_port" "$endpoint/$(tf output -raw site_bucket)" "$(tf output -raw api_url)" \
        </dev/null >"$run/site.log" 2>&1 &
    echo $! >"$run/site.pid"
}

start_streamer() {
    stop_streamer
    health_port=${BIRDSONG_HEALTH_PORT:-$(free_port 8081)}
    "$run/birdsong" stream --to kinesis --stream "$(tf output -raw stream)" --table "$(tf output -raw table)" \
        --data "$run/data" --source "demo:?backfill=${BIRDSONG_BACKFILL:-2h}" --health-port "$health_port" \
        </dev/null >"$run/streamer.log" 2>&1 &
    echo $! >"$run/streamer.pid"
    sleep 1
    kill -0 $! 2>/dev/null || { tail -n 20 "$run/streamer.log" >&2 && say "the streamer exited at once" && exit 1; }
}

case $action in
up)
    mkdir -p "$run"
    build
    # Both emulators may run side by side.
    [[ -f localstack/.run/$emulator/endpoint ]] || export BIRDSONG_EMULATOR_PORT=${BIRDSONG_EMULATOR_PORT:-$(free_port 4566)}
    started=$(localstack/emulator.sh start "$emulator") # on its own line, so that a failure ends the script
    use_endpoint "$started"
    # The state of a stopped emulator is void.
    if [[ ! -f $run/emulator.pid || $(cat "$run/emulator.pid") != "$(cat "localstack/.run/$emulator/pid")" ]]; then
        rm -rf "$run/terraform.tfstate" "$run/terraform.tfstate.backup" "$run/data"
        cp "localstack/.run/$emulator/pid" "$run/emulator.pid"
    fi
    say "applying infra/ (a minute or two)"
    rm -rf "$run/infra"
    mkdir "$run/infra"
    cp -r infra/*.tf infra/sources.json infra/modules infra/env "$run/infra"
    rm -f "$run/infra/backend.tf"
    printf 'terraform {\n  backend "local" {\n    path = "%s"\n  }\n}\n' "$run/terraform.tfstate" >"$run/infra/backend.tf"
    scripts/terraform-init.sh "$run/infra" -no-color -reconfigure >"$run/init.log" 2>&1 ||
        { cat "$run/init.log" >&2 && exit 1; }
    tf apply -auto-approve -no-color "${variables[@]}" >"$run/apply.log" 2>&1 || {
        tail -n 40 "$run/apply.log" >&2
        say "the emulator may have resources that are not in the state: run make local-down EMULATOR=$emulator, then try again"
        exit 1
    }
    grep -E '^Apply complete' "$run/apply.log" >&2
    if [[ ${BIRDSONG_STREAMER:-1} != 0 ]]; then
        start_streamer
        start_site
        echo "dashboard  http://localhost:$site_port/, from the emulated bucket"
    fi
    echo "API        $(tf output -raw api_url)/api/status"
    echo "stream     $(tf output -raw stream), table $(tf output -raw table), at $endpoint"
    [[ ${BIRDSONG_STREAMER:-1} == 0 ]] || echo "streamer   http://127.0.0.1:$health_port/healthz, log in ${run#"$PWD/"}/streamer.log"
    ;;
plan)
    tf plan -no-color -detailed-exitcode -out="$run/plan" "${variables[@]}" >"$run/plan.log" 2>&1 || [[ $? == 2 ]] ||
        { tail -n 40 "$run/plan.log" >&2 && exit 1; }
    tf show -json "$run/plan"
    ;;
outputs)
    tf output -json
    ;;
destroy)
    stop_streamer
    tf destroy -auto-approve -no-color "${variables[@]}" >"$run/destroy.log" 2>&1 ||
        { tail -n 40 "$run/destroy.log" >&2 && exit 1; }
    grep -E '^Destroy complete' "$run/destroy.log" >&2
    ;;
down)
    stop_streamer
    localstack/emulator.sh stop "$emulator"
    rm -rf "$run/terraform.tfstate" "$run/terraform.tfstate.backup" "$run/data" "$run/emulator.pid"
    ;;
*) echo "$usage" >&2 && exit 2 ;;
esac
