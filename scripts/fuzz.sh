#!/usr/bin/env bash
# Runs each fuzz target; usage: fuzz.sh SECONDS [TARGET]... With FUZZ_RUNS=N, each runs N inputs, however long that takes. A failing
# input is left in fuzz/artifacts/TARGET/, and new inputs in fuzz/corpus/TARGET/. A run starts with the inputs that were kept in
# fuzz/kept/TARGET.tar.gz. With MERGE=1, those that reach something of their own are kept there.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

seconds_each=${1:?usage: fuzz.sh SECONDS [TARGET]...}
shift
# With a nightly compiler, the address sanitizer watches the C code that we link. SANITIZER=none leaves it out, which is several times
# faster; the compiler at hand can do that as well, and finds the same coverage.
sanitizer=${SANITIZER:-}
if [[ -z $sanitizer ]]; then
    sanitizer=none
    if rustup toolchain list 2>/dev/null | grep -q ^nightly; then sanitizer=address; fi
fi
fuzz=(scripts/cargo-tool.sh)
[[ $sanitizer == none ]] || fuzz+=(+nightly)
fuzz+=(fuzz)
targets=("$@")
if ((${#targets[@]} == 0)); then
    listed=$("${fuzz[@]}" list)
    mapfile -t targets <<<"$listed"
fi

limit=(-max_total_time="$seconds_each")
[[ -z ${FUZZ_RUNS:-} ]] || limit=(-runs="$FUZZ_RUNS")

"${fuzz[@]}" build --sanitizer "$sanitizer"
failed=()
for target in "${targets[@]}"; do
    echo "$target: ${limit[*]}"
    # The inputs of the tests are seeds. New inputs go to the first folder.
    corpus=fuzz/corpus/$target
    kept=fuzz/kept/$target.tar.gz
    mkdir -p "$corpus"
    [[ ! -f $kept ]] || tar -xzf "$kept" --skip-old-files -C fuzz/corpus
    seeds=()
    case $target in
    read_line) seeds=(functions/sources/src/archive/golden) ;;
    read_message) seeds=(functions/sources/src/bluesky/golden functions/sources/src/mastodon/golden) ;;
    esac
    run=("${fuzz[@]}" run --sanitizer "$sanitizer" "$target")
    "${run[@]}" "$corpus" "${seeds[@]}" -- "${limit[@]}" -rss_limit_mb=1024 \
        -verbosity=0 -print_funcs=0 -print_final_stats=1 || failed+=("$target")
    if [[ -n ${MERGE:-} ]]; then
        all=$(mktemp -d)
        mv "$corpus" "$all/corpus"
        mkdir -p "$corpus"
        "${run[@]}" "$corpus" "$all/corpus" -- -merge=1 -verbosity=0
        rm -r "$all"
        mkdir -p fuzz/kept
        # The same inputs give the same archive.
        tar --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 -C fuzz/corpus -cf - "$target" | gzip -9n >"$kept"
    fi
done
if ((${#failed[@]})); then
    echo "failed: ${failed[*]}" >&2
    exit 1
fi
