#!/usr/bin/env bash
# Runs each fuzz target for a while; usage: fuzz.sh SECONDS [TARGET]... A failing input is left in fuzz/artifacts/TARGET/,
# and the corpus in fuzz/corpus/TARGET/.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

seconds_each=${1:?usage: fuzz.sh SECONDS [TARGET]...}
shift
fuzz=(scripts/cargo-tool.sh +nightly fuzz)
targets=("$@")
if ((${#targets[@]} == 0)); then
    listed=$("${fuzz[@]}" list)
    mapfile -t targets <<<"$listed"
fi

"${fuzz[@]}" build
failed=()
for target in "${targets[@]}"; do
    echo "$target: $seconds_each s"
    # The inputs of the tests are seeds. New inputs go to the first folder.
    corpus=fuzz/corpus/$target
    mkdir -p "$corpus"
    seeds=()
    [[ $target != read_line ]] || seeds=(functions/sources/src/archive/golden)
    "${fuzz[@]}" run "$target" "$corpus" "${seeds[@]}" -- -max_total_time="$seconds_each" -rss_limit_mb=1024 \
        -verbosity=0 -print_funcs=0 -print_final_stats=1 || failed+=("$target")
done
if ((${#failed[@]})); then
    echo "failed: ${failed[*]}" >&2
    exit 1
fi
