#!/usr/bin/env bash
# How fast one machine answers viewers: 30 days of the demo's posts, six regions, 16 connections on the same machine. It
# prints answers a second, times and bytes of each answer, plain, compressed and for callers that have it (304), and the
# memory of the server before and after.
set -euo pipefail
cd "$(dirname "$0")/.."
target="${CARGO_TARGET_DIR:-target}/release"
cargo build --release --locked --quiet --package birdsong --bins --example look
dir="$(mktemp -d)"
"$target/birdsong" run --source 'demo:?backfill=30d' --data "$dir" --port 0 --metrics-port off 2> "$dir/said" &
server=$!
trap 'kill "$server" 2> /dev/null; wait "$server" 2> /dev/null || true; rm -rf "$dir"' EXIT
until address="$(grep --only-matching --extended-regexp 'localhost:[0-9]+' "$dir/said" | head -1)" && [ -n "$address" ]; do sleep 0.2; done
address="127.0.0.1:${address#localhost:}"
ask() { curl --silent --show-error "http://$address$1"; }
echo "filling 30 days …" >&2
until ask /api/overview | grep --quiet '"status":"connected"'; do sleep 1; done
# Until all hours are rolled up.
sleep 20
region="$(ask /api/regions | sed --regexp-extended 's/.*"regions":\[\{"id":"([^"]*)".*/\1/')"
end="$(date --utc +%Y-%m-%dT%H:00:00Z)"
from() { date --utc --date "$end - $1" +%Y-%m-%dT%H:00:00Z; }
windows() { echo "/api/windows?region=$region&from=$(from "$1")&to=$end&step=$2$3"; }
paths=(
  /api/overview /api/status
  "$(windows '24 hours' 15m '')" "$(windows '24 hours' 15m '&fields=posts,networks&total_fields=posts')"
  "$(windows '7 days' 1h '')" "$(windows '30 days' 1d '')" "$(windows '400 days' 1d '')"
)
memory() { echo "memory of the server: $(($(awk '/VmRSS/ { print $2 }' "/proc/$server/status") / 1024)) MiB"; }
memory
for options in "" "--encoding gzip" "--again"; do
  echo "${options:-plain}"
  # shellcheck disable=SC2086 # several words
  "$target/examples/look" $options "$address" "${paths[@]}"
done
memory
