#!/usr/bin/env bash
# All checks of infra/, without an account: format, types, tests with a mocked provider, tests of the function of
# CloudFront in Node.js, checkov.
# checkov is installed into .tools/ the first time; it needs CPython 3.9 or newer (PYTHON names one).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

checkov_version=3.3.30
checkov=.tools/checkov
if ! "$checkov/bin/checkov" --version 2>/dev/null | grep -qxF "$checkov_version"; then
    "${PYTHON:-python3}" -m venv --clear "$checkov"
    "$checkov/bin/python" -m pip install --quiet --disable-pip-version-check "checkov==$checkov_version"
fi

[[ -f ${TF_CLI_CONFIG_FILE:-} ]] || unset TF_CLI_CONFIG_FILE
scripts/terraform-init.sh infra -backend=false -no-color >/dev/null
terraform -chdir=infra fmt -check -diff -recursive
terraform -chdir=infra validate -no-color
terraform -chdir=infra test -no-color
node --test infra/tests/*.test.mjs
# Tests cannot check the order of an apply.
graph=$(terraform -chdir=infra graph)
[[ $graph == *'"module.streamer.aws_ecs_service.this" -> "module.aggregator.aws_lambda_event_source_mapping.this"'* ]] ||
    { echo "the streamer would be deployed before the reader of its frames" >&2 && exit 1; }
scripts/terraform-init.sh infra -backend=false -no-color -test-directory=tests/env >/dev/null
terraform -chdir=infra test -no-color -test-directory=tests/env -var-file=env/local.tfvars
"$checkov/bin/checkov" --directory infra --framework terraform --skip-download --compact --quiet
