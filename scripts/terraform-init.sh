#!/usr/bin/env bash
# Runs terraform init, also on a machine without access to the Terraform registry: providers then come from a local mirror.
#   scripts/terraform-init.sh [DIR [ARGUMENT OF terraform init]...]      DIR is infra by default
# TF_PLUGIN_DIR names the folder that holds registry.terraform.io/. Without it, the usual places are searched.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

dir=${1:-infra}
shift || true
mirror=${TF_PLUGIN_DIR:-}
if [ -z "$mirror" ]; then
    found=$(find "$HOME/.terraform.d/plugins" /usr/share /usr/local/share /opt -maxdepth 3 \
        -type d -name registry.terraform.io -print -quit 2>/dev/null || true)
    [ -z "$found" ] || mirror=$(dirname "$found")
fi

# If the file is missing, Terraform warns at every call.
[ -f "${TF_CLI_CONFIG_FILE:-}" ] || unset TF_CLI_CONFIG_FILE

args=(-input=false)
if [ -n "$mirror" ]; then
    echo "providers come from $mirror"
    args+=(-plugin-dir="$mirror")
fi
exec terraform -chdir="$dir" init "${args[@]}" "$@"
