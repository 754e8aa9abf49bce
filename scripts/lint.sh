#!/usr/bin/env bash
# Lints what is not Rust: Python (ruff), shell (shellcheck), JavaScript (eslint, and tsc for its types), spelling
# (typos), words that the project does not use (scripts/checks/words.py), links and named tests in Markdown
# (scripts/checks/links.py), the hosted workflows (zizmor), and dependencies in Cargo.toml that nothing uses
# (cargo-machete).
# With --fix, corrects findings that can be corrected automatically.
# The tools are pinned in scripts/checks/ and scripts/cargo-tool.sh, and installed into .tools/, node_modules/ and the user's
# cache when those pins change.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

fix=false
case ${1:-} in
"") ;;
--fix) fix=true ;;
*) echo "usage: lint.sh [--fix]" >&2 && exit 2 ;;
esac

checks=scripts/checks
venv=.tools/checks

install() {
    if ! cmp -s "$checks/requirements.txt" "$venv/installed"; then
        echo "installing the linters of $checks/requirements.txt" >&2
        "${PYTHON:-python3}" -m venv --clear "$venv"
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary :all: --require-hashes \
            --requirement "$checks/requirements.txt"
        cp "$checks/requirements.txt" "$venv/installed"
    fi
    # These packages bring their types.
    local folder
    for folder in "$checks" frontend e2e; do
        [[ $folder/node_modules/.package-lock.json -nt $folder/package-lock.json ]] ||
            npm ci --silent --no-audit --no-fund --prefix "$folder"
    done
    scripts/cargo-tool.sh machete --version >/dev/null
}

ruff() {
    if $fix; then
        "$venv/bin/ruff" check --quiet --fix && "$venv/bin/ruff" format --quiet
    else
        "$venv/bin/ruff" check --quiet && "$venv/bin/ruff" format --quiet --diff
    fi
}

shell() {
    local scripts
    mapfile -t scripts < <(git grep --untracked -lE '^#!.*sh$')
    "$venv/bin/shellcheck" --external-sources "${scripts[@]}"
}

eslint() {
    local options=(--config "$checks/eslint.config.js" --max-warnings 0)
    if $fix; then options+=(--fix); fi
    "$checks/node_modules/.bin/eslint" "${options[@]}" .
}

types() {
    "$checks/node_modules/.bin/tsc" --project frontend/jsconfig.json &&
        "$checks/node_modules/.bin/tsc" --project e2e/jsconfig.json
}

spelling() { "$venv/bin/typos" --format brief; }

words() { scripts/checks/words.py; }

links() { scripts/checks/links.py; }

workflows() { "$venv/bin/zizmor" --offline --quiet --persona pedantic .github; }

unused() { scripts/cargo-tool.sh machete functions fuzz; }

install
failed=()
for check in ruff shell eslint types spelling words links workflows unused; do
    begin=$EPOCHREALTIME
    if ! output=$("$check" 2>&1); then
        failed+=("$check")
        printf '%s\n' "$output"
    fi
    awk -v check="$check" -v a="$begin" -v b="$EPOCHREALTIME" 'BEGIN { printf "%-10s %.1f s\n", check, b - a }'
done
if ((${#failed[@]})); then
    echo "failed: ${failed[*]} (CONTRIBUTING.md, Checks)" >&2
    exit 1
fi
