#!/usr/bin/env bash
# Breaks the code on purpose, one expression at a time, and runs the tests of its crate; usage: mutants.sh [OPTION]..., with
# options of `cargo mutants`. Prints a table by file and what survived (docs/mutants.md). What a run found is in
# target/mutants-report/mutants.out/.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# An input that failed with one mutant must not be tried with the next one.
export PROPTEST_DISABLE_FAILURE_PERSISTENCE=true
report=target/mutants-report
mkdir -p "$report"
code=0
# A mutant may loop forever; tests that pass end within this time.
scripts/cargo-tool.sh mutants --output "$report" --no-shuffle --minimum-test-timeout 60 "$@" || code=$?
scripts/mutants_table.py "$report/mutants.out" || exit
exit "$code"
