#!/usr/bin/env bash
# Checks the metrics of a running binary, and the files of contrib/, with Prometheus's own promtool (Debian: package
# prometheus). Not a part of `make test`.
#
#   scripts/metrics-check.sh [BINARY]      target/debug/birdsong by default
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

binary=${1:-${CARGO_TARGET_DIR:-target}/debug/birdsong}
command -v promtool >/dev/null || { echo "promtool is missing; on Debian: apt install prometheus" >&2 && exit 2; }
[[ -x $binary ]] || { echo "there is no $binary; build it with: cargo build --package birdsong" >&2 && exit 2; }

work=$(mktemp -d)
pid=
cleanup() {
    if [[ $pid ]]; then kill "$pid" 2>/dev/null && wait "$pid" || true; fi
    rm -rf "$work"
}
trap cleanup EXIT

promtool check config contrib/prometheus.yml

# The queries of the dashboard, as rules, with values for Grafana's variables.
python3 - contrib/grafana/birdsong.json >"$work/queries.json" <<'END'
import json, re, sys

with open(sys.argv[1], encoding="utf-8") as file:
    dashboard = json.load(file)
targets = [target for panel in dashboard["panels"] for target in panel.get("targets", [])]
targets += [entry for entry in dashboard["annotations"]["list"] if "expr" in entry]
queries = [re.sub(r"\$\w+", ".*", target["expr"].replace("$__rate_interval", "1m")) for target in targets]
rules = [{"record": f"query:{number}", "expr": query} for number, query in enumerate(queries)]
json.dump({"groups": [{"name": "dashboard", "rules": rules}]}, sys.stdout)
END
promtool check rules "$work/queries.json"

check() { # NAME METRIC ARGUMENT...: runs birdsong until it has the metric
    local name=$1 metric=$2 port
    shift 2
    "$binary" "$@" --metrics-port 0 --data "$work/$name" 2>"$work/$name.log" &
    pid=$!
    for _ in {1..300}; do
        port=$(sed -n 's|.*metrics at http://127.0.0.1:\([0-9]*\)/metrics.*|\1|p' "$work/$name.log")
        if [[ $port ]] && curl --fail --silent --output "$work/$name.txt" "http://127.0.0.1:$port/metrics" &&
            grep -q "^$metric" "$work/$name.txt"; then
            echo "birdsong $name: $(grep -c '^# TYPE' "$work/$name.txt") metrics"
            promtool check metrics <"$work/$name.txt"
            kill "$pid" && wait "$pid"
            pid=
            return
        fi
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.1
    done
    echo "birdsong $name has no $metric:" >&2
    cat "$work/$name.log" >&2
    exit 1
}

check run birdsong_digest_last_success run --port 0 --source "demo:?backfill=10m"
check stream birdsong_source_lag stream --source demo
