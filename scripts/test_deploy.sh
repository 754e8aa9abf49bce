#!/usr/bin/env bash
# Tests deploy.sh and build-functions.sh without an account: terraform, aws, docker, cargo and npm are fakes, which record
# their calls and keep the state of the account as files.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
passed=0
name=

# ---- a checkout, and a PATH with only the fakes and common tools -----------------------------------

checkout() { # a fresh account and a fresh checkout
    rm -rf "${root:?}"/*
    mkdir -p "$root"/{fakes,common,account} "$root"/tree/{scripts/deploy,infra/env,frontend/node_modules,functions}
    account=$root/account log=$root/log tree=$root/tree
    : >"$log"
    cp scripts/deploy.sh scripts/build-functions.sh scripts/terraform-init.sh "$tree/scripts/"
    cp scripts/deploy/*.mjs "$tree/scripts/deploy/"
    cp infra/env/*.tfvars "$tree/infra/env/"
    cp infra/variables.tf "$tree/infra/"
    touch "$tree/frontend/package-lock.json" "$tree/Dockerfile"
    touch -d '+1 minute' "$tree/frontend/node_modules/.package-lock.json"
    echo "fn main() {}" >"$tree/functions/main.rs"
    git -C "$tree" init --quiet
    local tool
    for tool in bash cat cmp cp cut date dirname env find git grep head mkdir mktemp node openssl paste rm sed sha256sum sleep sort tail tee touch tr wc xargs; do
        ln -s "$(command -v $tool)" "$root/common/$tool"
    done

    fake terraform <<'FAKE'
cd "$ACCOUNT"
case "$*" in
version) echo "Terraform v${TERRAFORM_VERSION:-1.11.4}" ;;
*" output -json") cat "$ACCOUNT/outputs.json" 2>/dev/null || echo '{}' ;;
*" show -json "*) node -e '
    const file = (name) => (fs.existsSync(name) ? fs.readFileSync(name, "utf8").trim().split("\n") : []);
    const needed = [["BIRDSONG_AUTHOR_KEY", "birdsong/author-key"], ...file("needed").map((line) => line.split(" "))];
    const changes = needed.filter(([, secret]) => !secret.startsWith("arn:")).map(([name]) => {
      const address = `module.streamer[0].aws_secretsmanager_secret.this["${name}"]`;
      return { type: "aws_secretsmanager_secret", address, change: { actions: [file("made").includes(name) ? "no-op" : "create"] } };
    });
    const moved = file("moved").map((address) => ({ type: "aws_other", address, previous_address: `${address}_before`, change: { actions: ["no-op"] } }));
    const outputs = { secrets: { value: Object.fromEntries(needed) } };
    console.log(JSON.stringify({ planned_values: { outputs }, resource_changes: [{ type: "aws_vpc", address: "vpc", change: { actions: ["create"] } }, ...changes, ...moved] }));
    ' ;;
*" state list")
    [ -f "$ACCOUNT/applied" ] || { echo "No state file was found!" >&2 && exit 1; }
    printf '%s\n' data.aws_caller_identity.current module.stream.aws_kinesis_stream.this \
        module.store.aws_dynamodb_table.this 'module.streamer[0].aws_ecr_repository.this' 'module.streamer[0].aws_ecs_task_definition.this[0]' ;;
*" plan "*)
    [ ! -f "$ACCOUNT/plan_fails" ] || { echo "Error: no such thing" && exit 1; }
    case "$*" in *" -refresh=false "*) exit 0 ;; esac
    echo "  # module.store.aws_dynamodb_table.this will be created"
    echo "      + attribute of no interest"
    echo "Plan: 1 to add, 0 to change, 0 to destroy."
    all=$*
    echo "${all##*-var-file}" >"$ACCOUNT/plan"
    ! cmp -s "$ACCOUNT/plan" "$ACCOUNT/applied_variables" || exit 0
    exit 2 ;;
*" destroy "*) echo "guard: ${BIRDSONG_DESTROY:-}" >>"$LOG" ;;
*" apply -input=false -no-color "*/plan)
    touch "$ACCOUNT/applied"
    cp "$ACCOUNT/plan" "$ACCOUNT/applied_variables"
    { echo BIRDSONG_AUTHOR_KEY && cut -d ' ' -f 1 "$ACCOUNT/needed" 2>/dev/null; } >"$ACCOUNT/made"
    # Terraform leaves the outputs as they were.
    ! grep -q -e -target= "$ACCOUNT/plan" || exit 0
    [ ! -f "$ACCOUNT/apply_fails" ] || { cat "$ACCOUNT/apply_fails" && exit 1; }
    image=$(sed -n 's/.*-var=streamer_image=\([^ ]*\).*/\1/p' "$ACCOUNT/plan")
    cat >"$ACCOUNT/outputs.json" <<JSON
{"name": {"value": "birdsong"}, "ecr_repository": {"value": "1234.dkr.ecr.us-east-1.amazonaws.com/birdsong-streamer"},
 "streamer_task_definition": {"value": "${image:+arn:task:2}"},
 "site_url": {"value": "$(cat "$ACCOUNT/site" 2>/dev/null || echo https://d1.cloudfront.net)"}, "api_url": {"value": "$(cat "$ACCOUNT/site" 2>/dev/null || echo https://abc.example/live)"}}
JSON
    ;;
esac
FAKE
    fake aws <<'FAKE'
case "$*" in
"sts get-caller-identity"*) [ ! -f "$ACCOUNT/no_credentials" ] || { echo "Unable to locate credentials" >&2 && exit 253; }
    echo 1234 ;;
*list-secret-version-ids*) [ ! -f "$ACCOUNT/no_secrets" ] || { echo "AccessDenied" >&2 && exit 254; }
    secret=$(echo "$*" | sed -E 's/.*--secret-id ([^ ]*).*/\1/' | tr / -)
    [ ! -f "$ACCOUNT/secret-$secret" ] && echo None || echo 6f7d ;;
*put-secret-value*) cat >"$ACCOUNT/secret-birdsong-author-key" ;;
"ecr describe-images"*) all=$*
    grep -qsF ":${all##*imageTag=} " "$ACCOUNT/images" ;;
"ecr get-login-password") echo registry-password ;;
"cloudfront list-distributions"*) cat "$ACCOUNT/distributions" 2>/dev/null || echo 1 ;;
"lambda get-account-settings"*) cat "$ACCOUNT/limits" 2>/dev/null || printf '1000\t1000\n' ;;
"lambda get-function-concurrency"*) cat "$ACCOUNT/reserved" 2>/dev/null || echo None ;;
"iam get-role --role-name "*) set -- $4
    [ -f "$ACCOUNT/no_roles" ] || exit 0
    case $(cat "$ACCOUNT/no_roles") in *denied*) echo "An error occurred (AccessDenied)" >&2 ;; *) echo "An error occurred (NoSuchEntity)" >&2 ;; esac
    exit 254 ;;
"iam create-service-linked-role"*) [ "$(cat "$ACCOUNT/no_roles")" != forbidden ] || { echo "AccessDenied" >&2 && exit 254; } ;;
"ecs describe-services"*--query*) echo "2026-11-27 (service streamer) was unable to place a task" ;;
"ecs describe-services"*)
    # Each look takes the next line of the file, and the last one stays.
    line=$(head -n 1 "$ACCOUNT/service" 2>/dev/null || echo 'arn:task:2 COMPLETED 1')
    [ "$(wc -l <"$ACCOUNT/service" 2>/dev/null || echo 1)" -lt 2 ] || sed -i 1d "$ACCOUNT/service"
    set -- $line
    echo "{\"services\": [{\"deployments\": [{\"status\": \"PRIMARY\", \"taskDefinition\": \"$1\", \"rolloutState\": \"$2\", \"rolloutStateReason\": \"tasks failed to start\", \"runningCount\": $3, \"desiredCount\": 1}]}]}" ;;
"ecs list-tasks"*) echo arn:task/stopped ;;
"ecs describe-tasks"*) echo "Essential container in task exited	None	1" ;;
"ecs list-task-definitions"*) printf 'arn:task:1\tarn:task:2\n' ;;
"logs describe-log-streams"*) echo streamer/1 ;;
"logs get-log-events"*) echo '{"level":"ERROR","message":"the token of X is wrong"}' ;;
"lambda invoke"*) [ -f "$ACCOUNT/site" ] || exit 254
    node -e 'fetch(process.argv[1]).then(async (a) => fs.writeFileSync(process.argv[2], JSON.stringify({ statusCode: a.status, body: await a.text() })))' \
        "$(cat "$ACCOUNT/site")/api/status" "${@: -1}" ;;
"lambda list-versions-by-function"*) printf '$LATEST\t9\t10\t8\n' ;;
"lambda update-alias"* | "ecs update-service"* | "ecs deregister-task-definition"*) ;;
"ssm get-parameter-history"*) [ -f "$ACCOUNT/history" ] || { echo ParameterNotFound >&2 && exit 254; }
    cat "$ACCOUNT/history" ;;
"ssm put-parameter"*) all=$*
    cp "${all##*file://}" "$ACCOUNT/released" ;;
esac
FAKE
    fake docker <<'FAKE'
case "$*" in
"buildx version") [ ! -f "$ACCOUNT/no_buildx" ] ;;
info) ;;
login*) [ "$(cat)" = registry-password ] ;;
"buildx build"*) [ ! -f "$ACCOUNT/build_fails" ] || exit 1
    echo "$*" >>"$ACCOUNT/images" ;;
esac
FAKE
    fake cargo <<'FAKE'
case "$*" in
"lambda --version") echo "cargo-lambda 1.9.2 (x)" ;;
"lambda build"*)
    mkdir -p target/lambda/{aggregator,digest,api}
    for name in aggregator api; do head -c 1000 /dev/zero >"target/lambda/$name/bootstrap.zip"; done
    head -c "${ZIP_BYTES:-1000}" /dev/zero >target/lambda/digest/bootstrap.zip ;;
esac
FAKE
    fake rustup <<'FAKE'
case "$*" in
"target list --installed") echo x86_64-unknown-linux-gnu ;;
esac
FAKE
    fake npm </dev/null
    reports '{ status: "connected" }' 0
}

# The dashboard of the account: its status is that of a source, and of a window that ended AGE seconds ago.
site=$(mktemp)
# shellcheck disable=SC2016 # the templates are JavaScript's
node -e '
    const file = process.argv[1];
    const server = require("node:http").createServer((request, response) => {
        const { source, age } = JSON.parse(fs.readFileSync(`${file}.json`, "utf8"));
        const at = (secs) => new Date(Date.now() - (age + secs) * 1000).toISOString();
        if (request.url !== "/api/status") response.statusCode = 404;
        response.end(JSON.stringify({
            sources: source ? [{ source: "bluesky", ...source }] : [], newest_post: at(0), window_secs: 300, ledger: { to: at(0) },
        }));
    });
    server.listen(0, "127.0.0.1", () => fs.writeFileSync(file, `http://127.0.0.1:${server.address().port}`));
' "$site" &
server=$!
trap 'kill $server; rm -rf "$root" "$site" "$site.json"' EXIT
until [[ -s $site ]]; do sleep 0.1; done

reports() { # SOURCE AGE: a JavaScript object or null, and seconds
    node -p "JSON.stringify({ source: $1, age: $2 })" >"$site.json"
    cp "$site" "$account/site"
}

fake() { # COMMAND, its body on standard input
    {
        echo "#!$BASH"
        echo "echo \"$1 \$*\" >>\"\$LOG\""
        cat
    } >"$root/fakes/$1"
    chmod +x "$root/fakes/$1"
}

run() { # ANSWERS [NAME=VALUE...] deploy|rollback|destroy ENV: status, output and errors
    local answers=$1
    shift
    status=0
    : >"$log"
    printf '%s' "$answers" | env -i HOME="$root" PATH="$root/fakes:$root/common" TMPDIR="$root" LOG="$log" ACCOUNT="$account" \
        TF_PLUGIN_DIR="$root" DEPLOY_POLL_SECS=1 "${@:1:$#-2}" "$BASH" "$tree/scripts/deploy.sh" "${@: -2}" >"$root/out" 2>"$root/err" || status=$?
}

# ---- checks ----------------------------------------------------------------------------------------

test_that() {
    name=$*
    checkout
}

broken() {
    echo "FAILED: $name: $*" >&2
    echo "--- called" >&2 && cat "$log" >&2
    echo "--- output" >&2 && cat "$root/out" "$root/err" >&2
    exit 1
}

succeeds() {
    [[ $status == 0 ]] || broken "it ended with $status"
    passed=$((passed + 1))
}

fails_with() { # TEXT
    [[ $status != 0 ]] || broken "it should have failed"
    grep -qF -- "$1" "$root/err" || broken "it should have shown: $1"
    passed=$((passed + 1))
}

called() { # PATTERN...: in this order, with anything between
    local pattern line=0 found
    for pattern in "$@"; do
        found=$(tail -n "+$((line + 1))" "$log" | grep -nE -m 1 -- "$pattern" | cut -d : -f 1) || broken "not called, or too early: $pattern"
        line=$((line + found))
    done
}

not_called() { # PATTERN...
    local pattern
    for pattern in "$@"; do
        ! grep -qE -- "$pattern" "$log" || broken "called: $pattern"
    done
}

applied='terraform .* apply '

# ---- missing tools are reported before anything is built -------------------------------------------

test_that "each missing tool is named"
for tool in terraform aws npm; do
    mv "$root/fakes/$tool" "$root/"
    run "" deploy prod
    fails_with "$tool is missing: install"
    not_called 'lambda build' "$applied"
    mv "$root/$tool" "$root/fakes/"
done
rm "$root/common/node"
run "" deploy prod
fails_with "node is missing: install Node.js 20.19"

test_that "an old terraform is rejected"
run "" TERRAFORM_VERSION=1.8.5 deploy prod
fails_with "terraform is 1.8.5: install 1.9 or newer"
run "" TERRAFORM_VERSION=1.10.0 deploy nowhere
fails_with "there is no infra/env/nowhere.tfvars; infra/env has: local.tfvars"
run "" deploy ""
fails_with "rollback   runs the release before, or RELEASE=NUMBER of those that it lists"

test_that "without docker an image must be set"
touch "$account/no_buildx"
run "" deploy prod
fails_with "or set IMAGE="
not_called 'lambda build'
run "" AUTO_APPROVE=1 IMAGE=ghcr.example/birdsong:1 deploy prod
succeeds
not_called '^docker'

test_that "invalid credentials are reported with the error of aws"
touch "$account/no_credentials"
run "" deploy prod
fails_with "Unable to locate credentials"
not_called 'lambda build'

test_that "an emulator's address is not used for AWS"
run "" AWS_ENDPOINT_URL=http://127.0.0.1:4566 deploy prod
fails_with "AWS_ENDPOINT_URL is set"

test_that "a variable that does not exist is named"
run "" TF_VAR_post_source=x deploy prod
fails_with "post_source is set in infra/env/prod.tfvars or as TF_VAR_post_source, but is not a variable"
not_called 'lambda build' "$applied"
echo 'x_budget = "5/day"' >>"$tree/infra/env/prod.tfvars"
run "" AUTO_APPROVE=1 deploy prod
fails_with "x_budget is set"
printf '%s\n' 'architecture = "arm64"' 'secrets = {' '  MASTODON_TOKEN = "none"' '}' >"$tree/infra/env/prod.tfvars"
run "" AUTO_APPROVE=1 TF_VAR_sources=mastodon:social.example deploy prod
succeeds

# ---- deploy ----------------------------------------------------------------------------------------

test_that "the first time takes two steps, with the secrets in between"
run "" AUTO_APPROVE=1 deploy prod
succeeds
called 'rustup target add aarch64-unknown-linux-gnu' 'cargo lambda build --release --locked --package birdsong-aws --arm64 --output-format zip' \
    'npm run build' 'terraform -chdir=infra init' 'terraform -chdir=infra workspace select -or-create prod' \
    'terraform -chdir=infra plan .*-var-file=env/prod.tfvars -var=streamer_image= -var=keep_rollback=false$' "$applied" \
    'aws secretsmanager put-secret-value --secret-id birdsong/author-key --secret-string file:///dev/stdin' \
    'docker login --username AWS --password-stdin 1234.dkr' \
    'docker buildx build --platform linux/arm64 .*--tag 1234.dkr.ecr.us-east-1.amazonaws.com/birdsong-streamer:[0-9a-f]{16}-arm64 --push' \
    'docker logout' 'plan .*-var=streamer_image=1234.dkr.*-arm64 -var=keep_rollback=false$' "$applied"
key=$(cat "$account/secret-birdsong-author-key")
[[ $key =~ ^[0-9a-f]{32}$ ]] || broken "the key is no 32 hex digits: $key"
! grep -qF "$key" "$log" "$root/out" "$root/err" || broken "the key was shown"
grep -qxF "dashboard  $(cat "$site")" "$root/out" || broken "no address"
grep -qxF "API        $(cat "$site")/api/status" "$root/out" || broken "no address of the API that CloudFront serves"
grep -qF "# module.store.aws_dynamodb_table.this will be created" "$root/err" || broken "no summary"
! grep -qF "of no interest" "$root/err" || broken "the summary is the whole plan"

name="the second time changes nothing"
run "" deploy prod
succeeds
not_called "$applied" 'put-secret-value' 'buildx build' 'docker login'
[[ $(cat "$account/secret-birdsong-author-key") == "$key" ]] || broken "another key"

name="a changed page or other regions make no other image"
mkdir -p "$tree/frontend/src"
echo "page()" >"$tree/frontend/src/main.js"
echo '[[region]]' >"$tree/regions.toml"
run "" deploy prod
succeeds
not_called 'docker buildx build' "$applied"

name="changed source files make another image"
echo "fn main() { changed() }" >"$tree/functions/main.rs"
run $'yes\n' deploy prod
succeeds
called 'docker buildx build' 'plan .*-var=streamer_image=1234' "$applied"
[[ $(grep -cE "$applied" "$log") == 1 ]] || broken "more than one step"

test_that "nothing is applied without a yes"
for answers in "" $'no\n' $'y\n'; do
    run "$answers" deploy prod
    fails_with "this step changed nothing"
    not_called "$applied" 'put-secret-value' 'buildx build'
done
run $'yes\nno\n' deploy prod
fails_with "this step changed nothing"
[[ $(grep -cE "$applied" "$log") == 1 ]] || broken "the second step was applied, too"

test_that "a failed plan or image ends it"
touch "$account/plan_fails"
run "" AUTO_APPROVE=1 deploy prod
fails_with "Error: no such thing"
not_called "$applied"
rm "$account/plan_fails"
touch "$account/build_fails"
run "" AUTO_APPROVE=1 deploy prod
[[ $status != 0 ]] || broken "it should have failed"
[[ $(grep -cE "$applied" "$log") == 1 ]] || broken "applied without an image"

test_that "a key is not replaced when its secret cannot be read"
run "" AUTO_APPROVE=1 deploy prod
key=$(cat "$account/secret-birdsong-author-key")
touch "$account/no_secrets"
run "" AUTO_APPROVE=1 deploy prod
fails_with "AccessDenied"
not_called 'put-secret-value' "$applied"

test_that "a missing token is reported, and not made up"
echo X_BEARER_TOKEN birdsong/x-bearer-token >"$account/needed"
run "" AUTO_APPROVE=1 deploy prod
fails_with "the secret birdsong/x-bearer-token has no value"
not_called 'buildx build'
touch "$account/secret-birdsong-x-bearer-token"
run "" AUTO_APPROVE=1 deploy prod
succeeds
[[ $(grep -c "put-secret-value" "$log") == 0 ]] || broken "a second key"

test_that "a source that is added later does not stop the running task before its token is stored"
run "" AUTO_APPROVE=1 deploy prod
succeeds
printf '%s\n' 'A_TOKEN birdsong/a-token' 'X_BEARER_TOKEN birdsong/x-bearer-token' >"$account/needed"
run "" AUTO_APPROVE=1 deploy prod
fails_with "the secret birdsong/a-token has no value"
fails_with "the secret birdsong/x-bearer-token has no value"
called 'plan .*-refresh=false' \
    'plan .*-var=streamer_image= -var=keep_rollback=false -target=module.streamer\[0\].aws_secretsmanager_secret.this\["A_TOKEN"\] -target=module.streamer\[0\].aws_secretsmanager_secret.this\["X_BEARER_TOKEN"\]$' "$applied"
[[ $(grep -cE "$applied" "$log") == 1 ]] || broken "more than the secrets"
touch "$account/secret-birdsong-x-bearer-token"
run "" AUTO_APPROVE=1 deploy prod
fails_with "the secret birdsong/a-token has no value"
! grep -qF birdsong/x-bearer-token "$root/err" || broken "X's token has a value"
not_called "$applied"
touch "$account/secret-birdsong-a-token"
run "" AUTO_APPROVE=1 deploy prod
succeeds
not_called 'put-secret-value' 'target='

test_that "a source that needs no secret gets none"
run "" AUTO_APPROVE=1 deploy prod
succeeds
run "" AUTO_APPROVE=1 TF_VAR_sources=mastodon:social.example TF_VAR_secrets='{ MASTODON_TOKEN = "none" }' deploy prod
succeeds
not_called 'target='

test_that "secrets that move to another address go with new ones"
run "" AUTO_APPROVE=1 deploy prod
echo 'module.streamer[0].moved' >"$account/moved"
run "" AUTO_APPROVE=1 deploy prod
not_called 'target='
echo 'X_BEARER_TOKEN birdsong/x-bearer-token' >"$account/needed"
run "" AUTO_APPROVE=1 deploy prod
called 'plan .*-var=streamer_image= -var=keep_rollback=false -target=module.streamer\[0\].aws_secretsmanager_secret.this\["X_BEARER_TOKEN"\] -target=module.streamer\[0\].moved -target=module.streamer\[0\].moved_before$' "$applied"

test_that "an existing secret is not created, and must have a value"
run "" AUTO_APPROVE=1 deploy prod
succeeds
echo 'A_TOKEN arn:aws:mine' >"$account/needed"
run "" AUTO_APPROVE=1 deploy prod
fails_with "the secret arn:aws:mine has no value"
not_called 'target=' "$applied"
touch "$account/secret-arn:aws:mine"
run "" AUTO_APPROVE=1 deploy prod
succeeds

test_that "without a streamer there is no image"
echo 'enable_streamer = false # none' >>"$tree/infra/env/prod.tfvars"
run "" AUTO_APPROVE=1 deploy prod
succeeds
not_called '^docker' 'put-secret-value'
[[ $(grep -cE "$applied" "$log") == 1 ]] || broken "more than one step"

test_that "an emulator is called with its own account"
fake aws <<'FAKE'
echo "$AWS_ENDPOINT_URL $AWS_ACCESS_KEY_ID ${AWS_PROFILE:-none}" >>"$LOG"
echo 0000
FAKE
run "" AUTO_APPROVE=1 IMAGE=birdsong:1 AWS_PROFILE=mine deploy ministack
succeeds
called 'http://127.0.0.1:4599 test none' 'lambda build .*--x86-64'
grep -qxF "API        $(cat "$site")/api/status" "$root/out" || broken "no address of the emulator's API"

test_that "functions that are too large are rejected"
run "" ZIP_BYTES=8000000 AUTO_APPROVE=1 deploy prod
fails_with "target/lambda/digest/bootstrap.zip is larger than 8000000 bytes"
not_called "$applied"

# ---- the account -----------------------------------------------------------------------------------

test_that "two settings of one name are refused"
cp "$tree/infra/env/prod.tfvars" "$tree/infra/env/staging.tfvars"
run "" AUTO_APPROVE=1 deploy prod
fails_with "infra/env/prod.tfvars and infra/env/staging.tfvars have the same name, birdsong"
not_called 'lambda build' "$applied"
echo 'name = "birdsong-staging"' >>"$tree/infra/env/staging.tfvars"
run "" AUTO_APPROVE=1 deploy prod
succeeds

test_that "a state of another name is refused"
run "" AUTO_APPROVE=1 deploy prod
succeeds
echo 'name = "sparrow"' >>"$tree/infra/env/prod.tfvars"
run "" AUTO_APPROVE=1 deploy prod
fails_with 'the state of prod is of a deployment named birdsong, not sparrow'
not_called "$applied" ' plan '

test_that "an empty account is checked before anything is built"
echo 0 >"$account/distributions"
printf '10\t10\n' >"$account/limits"
echo missing >"$account/no_roles"
run $'no\n' deploy prod
fails_with "this account has no CloudFront distribution yet"
fails_with "--service-code lambda --quota-code L-B99A9384 --desired-value 1000"
fails_with "WARNING: there is no alarm_email"
fails_with "no role AWSServiceRoleForECS yet"
fails_with "this step changed nothing"
not_called 'create-service-linked-role' 'lambda build' "$applied"

name="missing roles are created when that is wanted"
run $'yes\nyes\nno\n' deploy prod
called 'iam create-service-linked-role --aws-service-name ecs.amazonaws.com' 'iam create-service-linked-role --aws-service-name ops.apigateway.amazonaws.com' 'lambda build'
echo forbidden >"$account/no_roles"
run "" AUTO_APPROVE=1 deploy prod
fails_with "ask an administrator of the account for 'aws iam create-service-linked-role --aws-service-name ecs.amazonaws.com'"
echo denied >"$account/no_roles"
run "" AUTO_APPROVE=1 TF_VAR_alarm_email=you@example.org deploy prod
succeeds
grep -qF "cannot check the role AWSServiceRoleForECS: An error occurred (AccessDenied)" "$root/err" || broken "what cannot be checked is not shown"
! grep -qF alarm_email "$root/err" || broken "there is an address for alarms"

test_that "reservations must fit into the account"
printf '%s\n' 'aggregator_reserved_concurrency = 2' 'api_reserved_concurrency = 10' >>"$tree/infra/env/prod.tfvars"
printf '100\t100\n' >"$account/limits"
run "" AUTO_APPROVE=1 deploy prod
fails_with "ask for at least 112 (Service Quotas, AWS Lambda, Concurrent executions, code L-B99A9384)"
not_called 'lambda build' "$applied"
printf '112\t112\n' >"$account/limits"
run "" AUTO_APPROVE=1 deploy prod
succeeds

name="what the functions have reserved already counts once"
printf '112\t100\n' >"$account/limits"
echo 4 >"$account/reserved"
run "" AUTO_APPROVE=1 deploy prod
succeeds

test_that "an emulator is no account to check"
run "" AUTO_APPROVE=1 IMAGE=birdsong:1 deploy ministack
succeeds
not_called 'get-account-settings' 'get-role' 'list-distributions' 'describe-services'

test_that "an account that is not verified is explained"
echo "Error: 403: Your account must be verified before you can add new CloudFront resources." >"$account/apply_fails"
run "" AUTO_APPROVE=1 deploy prod
fails_with "Open a case (https://console.aws.amazon.com/support"
fails_with "terraform apply failed"

# ---- whether it works ------------------------------------------------------------------------------

test_that "the deployment waits for the task, a source and a window"
printf '%s\n' 'arn:task:2 IN_PROGRESS 0' 'arn:task:2 COMPLETED 1' >"$account/service"
run "" AUTO_APPROVE=1 deploy prod
succeeds
grep -qE "waiting for the streamer: 0 of 1 tasks run, 0 start, 0 failed \([0-9]+ s\)" "$root/err" || broken "no progress"
grep -qF "connected: bluesky; a new window is served" "$root/err" || broken "no source and window"

test_that "a rollback by ECS fails the deployment"
printf '%s\n' 'arn:task:2 IN_PROGRESS 0' 'arn:task:1 IN_PROGRESS 1' >"$account/service"
run "" AUTO_APPROVE=1 deploy prod
fails_with "ECS went back to arn:task:1"
fails_with "was unable to place a task"
fails_with "Essential container in task exited"
fails_with "the token of X is wrong"
fails_with "make rollback ENV=prod runs the release before"
echo 'arn:task:2 FAILED 0' >"$account/service"
run "" AUTO_APPROVE=1 deploy prod
fails_with "the streamer did not start: tasks failed to start"

test_that "a task that never gets stable fails the deployment"
echo 'arn:task:2 IN_PROGRESS 0' >"$account/service"
run "" AUTO_APPROVE=1 DEPLOY_STABLE_SECS=1 deploy prod
fails_with "the streamer is not stable after 1 s (DEPLOY_STABLE_SECS): 0 of 1 tasks run"
run "" DEPLOY_STABLE_SECS=soon deploy prod
fails_with "DEPLOY_STABLE_SECS=soon must be a whole number of seconds"

test_that "without a connected source or a new window it fails"
reports '{ status: "waiting", reason: "the token is wrong" }' 0
run "" AUTO_APPROVE=1 DEPLOY_STATUS_SECS=1 deploy prod
fails_with "not after 1 s (DEPLOY_STATUS_SECS): no source is connected; bluesky is waiting (the token is wrong)"
reports '{ status: "connected" }' 900
run "" AUTO_APPROVE=1 DEPLOY_STATUS_SECS=1 deploy prod
fails_with "no post or window is newer than the start; the newest window ends"
reports null 0
run "" AUTO_APPROVE=1 DEPLOY_STATUS_SECS=1 deploy prod
fails_with "no source is connected"

test_that "behind a password the function itself is asked"
run "" AUTO_APPROVE=1 TF_VAR_viewer_auth=basic deploy prod
succeeds
called 'aws lambda invoke --function-name birdsong-api:live'

test_that "a streamer that is stopped is not waited for"
run "" AUTO_APPROVE=1 TF_VAR_streamer_running=false deploy prod
succeeds
not_called 'describe-services'
grep -qF "the API answers" "$root/err" || broken "the API was not asked"

# ---- rollback --------------------------------------------------------------------------------------

# shellcheck disable=SC2016 # the templates are JavaScript's
release() { # NUMBER AGGREGATOR API DIGEST IMAGE [MORE]
    echo "{\"Version\": $1, \"LastModifiedDate\": \"2026-11-2$1T10:00:00Z\", \"Value\": \"$(node -p 'JSON.stringify(JSON.stringify({
        ...JSON.parse(process.argv[1] || "{}"), aggregator: process.argv[2], api: process.argv[3], digest: process.argv[4], image: process.argv[5],
        task_definition: process.argv[5] && `arn:task:${process.argv[5]}`, secrets: ["BIRDSONG_AUTHOR_KEY"] })).slice(1, -1)' "${6:-}" "$2" "$3" "$4" "$5")\"}"
}

releases() { # RELEASE...
    printf '{"Parameters": [%s]}' "$(paste -sd , <(printf '%s\n' "$@"))" >"$account/history"
}

test_that "a rollback runs what ran before, the streamer before the aggregator"
releases "$(release 1 7 7 7 a)" "$(release 2 9 8 9 b)" "$(release 3 10 8 9 c)" "$(release 4 10 8 9 c)"
echo 'arn:task:b COMPLETED 1' >"$account/service"
run $'no\n' rollback prod
fails_with "this step changed nothing"
fails_with "next    2  2026-11-22T10:00:00Z  aggregator 9, api 8, digest 9, b"
fails_with "runs    3  2026-11-23T10:00:00Z  aggregator 10, api 8, digest 9, c"
not_called 'update-alias' 'update-service' 'put-parameter'
run $'yes\n' rollback prod
succeeds
called 'ecs update-service --cluster birdsong --service streamer --task-definition arn:task:b$' 'ecs describe-services' \
    'lambda update-alias --function-name birdsong-aggregator --name live --function-version 9$' 'ssm put-parameter --name /birdsong/deployed/release'
not_called 'terraform' 'birdsong-api --name' 'birdsong-digest --name'
[[ $(node -p 'const r = JSON.parse(fs.readFileSync(process.argv[1])); [r.aggregator, r.image, r.held.aggregator, r.held.api, r.restores, r.secrets].join()' "$account/released") == 9,b,10,10,2,BIRDSONG_AUTHOR_KEY ]] ||
    broken "the release is not remembered: $(cat "$account/released")"

name="a second rollback goes back further, also after an apply"
releases "$(release 1 7 7 7 a)" "$(release 2 9 8 9 b)" "$(release 3 10 8 9 c)" "$(release 4 9 8 9 b '{"restores": 2}')" "$(release 5 9 8 9 b)"
echo 'arn:task:a COMPLETED 1' >"$account/service"
run "" AUTO_APPROVE=1 rollback prod
succeeds
called 'update-alias --function-name birdsong-api --name live --function-version 7$' 'update-alias --function-name birdsong-digest .*-version 7$' \
    'update-service .*-task-definition arn:task:a$' 'update-alias --function-name birdsong-aggregator .*-version 7$'

name="a release can be chosen"
echo 'arn:task:c COMPLETED 1' >"$account/service"
run "" AUTO_APPROVE=1 RELEASE=3 rollback prod
succeeds
called 'update-service .*-task-definition arn:task:c$' 'update-alias .*-version 10$'
run "" AUTO_APPROVE=1 RELEASE=77 rollback prod
fails_with "there is no other release to run with the number 77"

name="after another deployment, a rollback does not run what was rolled back"
releases "$(release 1 7 7 7 a)" "$(release 2 9 8 9 b)" "$(release 3 7 7 7 a '{"restores": 1}')" "$(release 4 10 8 9 c)"
echo 'arn:task:a COMPLETED 1' >"$account/service"
run "" AUTO_APPROVE=1 rollback prod
succeeds
called 'update-service .*-task-definition arn:task:a$'

name="a streamer that does not start is shown, and the functions are rolled back"
echo 'arn:task:a FAILED 0' >"$account/service"
run "" AUTO_APPROVE=1 rollback prod
fails_with "but the streamer is not stable"
called 'update-alias --function-name birdsong-aggregator .*-version 7$' 'put-parameter'

test_that "there may be nothing to go back to"
run "" AUTO_APPROVE=1 rollback prod
fails_with "there is no list of releases of birdsong in us-east-1: ParameterNotFound"
releases "$(release 1 7 7 7 a)" "$(release 2 7 7 7 a)"
run "" AUTO_APPROVE=1 rollback prod
fails_with "there is no other release to run"
not_called 'update-alias' 'update-service' 'put-parameter'

# ---- destroy ---------------------------------------------------------------------------------------

test_that "protected windows are not destroyed"
run "" AUTO_APPROVE=1 deploy prod
run $'prod\n' AUTO_APPROVE=1 destroy prod
fails_with "set deletion_protection = false in infra/env/prod.tfvars"
not_called "$applied" 'terraform .* destroy'

name="the name has to be typed"
echo 'deletion_protection = false' >>"$tree/infra/env/prod.tfvars"
for answers in "" $'yes\n'; do
    run "$answers" destroy prod
    fails_with "this step changed nothing"
    not_called "$applied" 'terraform .* destroy'
done
run $'prod\n' destroy prod
succeeds
called 'apply .*-target=module.store.aws_dynamodb_table.this -target=module.streamer\[0\].aws_ecr_repository.this$' \
    'terraform -chdir=infra destroy .*-auto-approve -var-file=env/prod.tfvars .*-var=digest_zip=versions.tf' 'guard: birdsong' \
    'ecs deregister-task-definition --task-definition arn:task:1$' 'ecs deregister-task-definition --task-definition arn:task:2$' 'workspace delete prod'
not_called '-target=module\.stream\.' 'lambda build' '^docker'

test_that "there may be nothing to destroy"
echo 'deletion_protection = false' >>"$tree/infra/env/prod.tfvars"
run "" AUTO_APPROVE=1 destroy prod
succeeds
not_called 'terraform .* destroy' "$applied"

echo "$passed passed, 0 failed"
