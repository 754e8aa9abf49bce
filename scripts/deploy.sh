#!/usr/bin/env bash
# Deploys Birdsong to AWS from this checkout.
#   scripts/deploy.sh deploy ENV      checks the account, builds, plans, asks, applies, waits until posts arrive, prints the addresses
#   scripts/deploy.sh rollback ENV    lists the releases, asks, and runs the one before, or RELEASE=NUMBER
#   scripts/deploy.sh destroy ENV     asks, and deletes everything
# ENV names the settings, infra/env/ENV.tfvars, and the state, a Terraform workspace. In the environment:
#   IMAGE=...        image of the streamer with its tag; otherwise docker builds one
#   AUTO_APPROVE=1   do not ask
#   TF_VAR_...       any variable of infra/variables.tf that is not in the settings
#   RELEASE=NUMBER   the release that rollback runs, as it lists them
#   DEPLOY_STABLE_SECS=600   how long to wait for the streamer's task to be stable
#   DEPLOY_STATUS_SECS=600   how long to wait after that for a connected source and a new window; twice the length of a window if that is more
#   DEPLOY_POLL_SECS=10      how often to look meanwhile
# Secrets go from standard input to Secrets Manager and never to an argument, a log or the state.
set -euo pipefail
shopt -s inherit_errexit
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { echo "${action:-deploy}: $*" >&2; }
fail() { say "$*" && exit 1; }

usage="usage: scripts/deploy.sh deploy|rollback|destroy ENV, with infra/env/ENV.tfvars
  deploy     builds what is in this checkout and runs it
  rollback   runs the release before, or RELEASE=NUMBER of those that it lists; nothing is built
  destroy    deletes everything"
action=${1:-}
env=${2:-}
settings=infra/env/$env.tfvars
[[ $action =~ ^(deploy|rollback|destroy)$ && -n $env ]] || { echo "$usage" >&2 && exit 2; }
[[ -f $settings ]] || fail "there is no $settings; infra/env has: $(cd infra/env && echo *.tfvars)"

setting() { # NAME DEFAULT [FILE]: from the settings, or from the environment
    local value variable=TF_VAR_$1
    value=$(sed -nE "s/^[[:space:]]*$1[[:space:]]*=[[:space:]]*\"?([^\"#]*[^\"#[:space:]])\"?.*/\1/p" "${3:-$settings}" | tail -n 1)
    echo "${value:-${!variable:-$2}}"
}

seconds() { # NAME DEFAULT: a time-out of the environment
    local value=${!1:-$2}
    [[ $value =~ ^[1-9][0-9]{0,4}$ ]] || fail "$1=$value must be a whole number of seconds"
    echo "$value"
}

# Terraform ignores a variable that it does not know, such as one with a typing error or a former name.
while read -r name; do
    grep -qF "variable \"$name\"" infra/variables.tf ||
        fail "$name is set in $settings or as TF_VAR_$name, but is not a variable of infra/variables.tf: correct or remove it"
done < <(sed -nE 's/^[[:space:]]*([a-z0-9_]+)[[:space:]]*=.*/\1/p' "$settings" && compgen -A export TF_VAR_ | cut -c 8-)

need() { # COMMAND WHAT-TO-INSTALL
    command -v "$1" >/dev/null || fail "$1 is missing: install $2"
}

is_older() { # VERSION LEAST
    [[ $(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1) != "$2" ]]
}

tf() { terraform -chdir=infra "$@"; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# ---- prerequisites ---------------------------------------------------------------------------------

if [[ $action != rollback ]]; then
    need terraform "Terraform 1.9 or newer, https://developer.hashicorp.com/terraform/install"
    version=$(terraform version | sed -n '1s/^Terraform v//p')
    ! is_older "$version" 1.9.0 || fail "terraform is $version: install 1.9 or newer"
fi
need aws "the AWS CLI, https://aws.amazon.com/cli/"

name=$(setting name birdsong)
window_secs=$(setting window_secs 300)
stable_secs=$(seconds DEPLOY_STABLE_SECS 600)
status_secs=$(seconds DEPLOY_STATUS_SECS $((window_secs > 300 ? 2 * window_secs : 600)))
poll_secs=$(seconds DEPLOY_POLL_SECS 10)
architecture=$(setting architecture arm64)
endpoint=$(setting aws_endpoint "")
has_streamer=$(setting enable_streamer true)
AWS_REGION=$(setting aws_region us-east-1)
AWS_DEFAULT_REGION=$AWS_REGION # version 1 of the AWS CLI reads only this one
export AWS_REGION AWS_DEFAULT_REGION AWS_PAGER="" TF_IN_AUTOMATION=1
if [[ -n $endpoint ]]; then
    # An emulator has its own account, whatever the credentials.
    unset AWS_PROFILE AWS_SESSION_TOKEN
    export AWS_ENDPOINT_URL=$endpoint AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test
elif [[ -n ${AWS_ENDPOINT_URL:-} ]]; then
    fail "AWS_ENDPOINT_URL is set to $AWS_ENDPOINT_URL, but $env is on AWS: unset it"
fi

# Two deployments of one name in an account would take each other's resources. An emulator is an account of its own.
for other in infra/env/*.tfvars; do
    [[ $other != "$settings" && $(setting name birdsong "$other") == "$name" && $(setting aws_endpoint "" "$other") == "$endpoint" ]] || continue
    fail "$settings and $other have the same name, $name: write another name into one of them, or delete the one that is not used"
done

if [[ $action == rollback ]]; then
    need node "Node.js 20.19 or newer, https://nodejs.org"
fi
if [[ $action == deploy ]]; then
    need cargo "Rust, https://rustup.rs"
    need npm "Node.js 20.19 or newer, https://nodejs.org"
    need node "Node.js 20.19 or newer, https://nodejs.org"
    node_version=$(node --version)
    ! is_older "${node_version#v}" 20.19.0 || fail "node is $node_version: install Node.js 20.19 or newer"
    if [[ $has_streamer == true ]]; then
        need openssl "OpenSSL, which creates the key of author hashes"
        if [[ -z ${IMAGE:-} ]]; then
            docker buildx version >/dev/null 2>&1 || fail \
                "docker buildx is missing: install Docker with buildx, or set IMAGE=REPOSITORY:TAG, or set enable_streamer = false"
            docker info >/dev/null 2>&1 || fail "the Docker daemon does not answer: start it, or set IMAGE=REPOSITORY:TAG"
        fi
    fi
fi
account=$(aws sts get-caller-identity --query Account --output text 2>"$work/sts") ||
    fail "no valid AWS credentials (aws sts get-caller-identity: $(tr '\n' ' ' <"$work/sts")): run aws configure sso, or set AWS_PROFILE"
say "$env: account $account, region $AWS_REGION, $architecture${endpoint:+, emulated at $endpoint}"

init() {
    [[ -f infra/backend.tf || -n $endpoint ]] ||
        say "the state is a file on this machine, below infra/terraform.tfstate.d/; a bucket is safer: see infra/backend.tf.example"
    unset TF_WORKSPACE
    scripts/terraform-init.sh infra -no-color >"$work/init.log" 2>&1 || { cat "$work/init.log" >&2 && exit 1; }
    tf workspace select -or-create "$env" >"$work/init.log" 2>&1 || { cat "$work/init.log" >&2 && exit 1; }
    tf output -json >"$work/outputs.json"
    local deployed
    deployed=$(output name)
    [[ -z $deployed || $deployed == "$name" ]] || fail \
        "the state of $env is of a deployment named $deployed, not $name: an apply would replace everything. Write name = \"$deployed\" into $settings, or use another ENV for $name"
}

output() { # NAME: empty if there is no such output
    node -p 'JSON.parse(fs.readFileSync(process.argv[1], "utf8"))[process.argv[2]]?.value ?? ""' "$work/outputs.json" "$1"
}

# ---- the account -----------------------------------------------------------------------------------

quota="Service Quotas, AWS Lambda, Concurrent executions, code L-B99A9384"

# What an empty account lacks, before anything is built. Whoever deploys may be allowed less than to look: then this says so.
check_account() {
    say "1/6 the account"
    if [[ -z $(setting alarm_email "") ]]; then
        say "WARNING: there is no alarm_email. Nobody will learn that the deployment has stopped working."
        say "WARNING: write alarm_email = \"you@example.org\" into $settings, and confirm the mail that AWS sends."
    fi
    check_cdn
    check_concurrency
    [[ $has_streamer != true ]] || check_role AWSServiceRoleForECS ecs.amazonaws.com "ECS runs the streamer with it"
    check_role AWSServiceRoleForAPIGateway ops.apigateway.amazonaws.com "API Gateway needs it for its first API"
}

asked() { # FILE WHAT ARGUMENT OF aws...: whether the answer is in FILE
    local file=$1 what=$2
    shift 2
    aws "$@" >"$file" 2>"$work/refused" && return
    ! grep -qF -e NoSuchEntity "$work/refused" || return 1
    say "cannot check $what: $(tr '\n' ' ' <"$work/refused")"
    return 2
}

check_cdn() {
    asked "$work/cdn" "whether CloudFront is open to this account" cloudfront list-distributions --query DistributionList.Quantity --output text || return 0
    [[ $(cat "$work/cdn") =~ ^(0|None)$ ]] || return 0
    say "NOTE: this account has no CloudFront distribution yet. AWS verifies a new account first, and no call shows whether it has."
    say "NOTE: if this deployment fails with \"Your account must be verified\", do what it then prints. Nothing is lost by trying."
}

check_role() { # ROLE SERVICE WHY
    local role=$1 service=$2 status=0
    asked "$work/role" "the role $role" iam get-role --role-name "$role" --query Role.RoleName --output text || status=$?
    ((status == 1)) || return 0
    say "this account has no role $role yet: $3"
    confirm "Create it? It costs nothing and is AWS's own." yes
    aws iam create-service-linked-role --aws-service-name "$service" >"$work/role" 2>"$work/refused" || grep -qF "has been taken" "$work/refused" ||
        fail "the role cannot be created ($(tr '\n' ' ' <"$work/refused")): ask an administrator of the account for 'aws iam create-service-linked-role --aws-service-name $service', once"
}

check_concurrency() {
    local limit unreserved wanted=0 ours=0 part reserved value
    asked "$work/limits" "how many functions may run at once" lambda get-account-settings \
        --query '[AccountLimit.ConcurrentExecutions, AccountLimit.UnreservedConcurrentExecutions]' --output text || return 0
    read -r limit unreserved <"$work/limits"
    for part in aggregator digest api; do
        value=$(setting "${part}_reserved_concurrency" null)
        [[ $value == null ]] || wanted=$((wanted + value))
        reserved=$(aws lambda get-function-concurrency --function-name "$name-$part" \
            --query ReservedConcurrentExecutions --output text 2>/dev/null || true)
        [[ ! $reserved =~ ^[0-9]+$ ]] || ours=$((ours + reserved))
    done
    if ((wanted > 0 && unreserved + ours - wanted < 100)); then
        say "the settings reserve $wanted concurrent functions, but this account has $limit, of which $((unreserved + ours)) are not reserved by others and 100 cannot be reserved at all"
        fail "ask for at least $((limit + wanted + 100 - unreserved - ours)) ($quota), or lower aggregator_, digest_ and api_reserved_concurrency in $settings"
    elif ((wanted == 0 && limit < 100)); then
        say "WARNING: this account may run $limit functions at once, all of Birdsong's and others together: viewers can starve the aggregator."
        say "WARNING: ask for 1000 ($quota):"
        say "  aws service-quotas request-service-quota-increase --service-code lambda --quota-code L-B99A9384 --desired-value 1000"
    fi
}

explain() { # LOG: what helps against what AWS refused
    local log=$1
    if grep -qF "must be verified before you can add new CloudFront resources" "$log"; then
        say "AWS has not verified this account for CloudFront yet. Open a case (https://console.aws.amazon.com/support, Account and billing, which is free)"
        say "with the message above, and deploy again after the answer. Everything else stays as it is until then."
    fi
    if grep -qiE "service[- ]linked role" "$log"; then
        say "a service-linked role is new or missing: deploy again in a minute. If that does not help: aws iam create-service-linked-role --aws-service-name ecs.amazonaws.com"
    fi
    if grep -qF "UnreservedConcurrentExecution" "$log"; then
        say "the settings reserve more concurrent functions than this account has: ask for more ($quota), or lower them in $settings"
    fi
    if grep -qF "scheduled for deletion" "$log"; then
        say "a secret of that name was deleted and can be restored for a week: aws secretsmanager restore-secret --secret-id NAME, then"
        say "terraform -chdir=infra import -var-file=env/$env.tfvars 'module.streamer[0].aws_secretsmanager_secret.this[\"VARIABLE\"]' ARN, or wait"
    fi
}

# ---- deploy ----------------------------------------------------------------------------------------

confirm() { # QUESTION WORD
    [[ ${AUTO_APPROVE:-} != 1 ]] || return 0
    local answer=
    read -r -p "$1 Type $2 to continue: " answer || true
    [[ $answer == "$2" ]] || fail "this step changed nothing"
}

apply() { # ARGUMENT OF terraform plan...: plans, shows the changes, asks, applies
    local status=0
    tf plan -input=false -no-color -detailed-exitcode -out="$work/plan" "$@" >"$work/plan.log" 2>&1 || status=$?
    case $status in
    0) say "nothing to change" && return ;;
    2) ;;
    *) cat "$work/plan.log" >&2 && fail "terraform plan failed" ;;
    esac
    grep -E '^  # .* (will|must) be |^Plan: |^Changes to Outputs' "$work/plan.log" >&2 || true
    [[ ${AUTO_APPROVE:-} == 1 ]] || say "the whole plan is in $work/plan.log"
    confirm "Apply this to $env in account $account?" yes
    tf apply -input=false -no-color "$work/plan" 2>&1 | tee "$work/apply.log" >&2 || { explain "$work/apply.log" && fail "terraform apply failed"; }
}

apply_with() { # IMAGE ARGUMENT...
    local image=$1
    shift
    # This checkout is to run, also after a rollback from it.
    apply -var-file="env/$env.tfvars" -var=streamer_image="$image" -var=keep_rollback=false "$@"
    tf output -json >"$work/outputs.json"
}

plan_ahead() { # a plan that is not applied and does not query the account: it shows which secrets the sources need
    tf plan -input=false -no-color -refresh=false -out="$work/ahead" -var-file="env/$env.tfvars" -var=streamer_image= >"$work/ahead.log" 2>&1 ||
        { cat "$work/ahead.log" >&2 && fail "terraform plan failed"; }
    tf show -json "$work/ahead" >"$work/ahead.json"
}

new_secrets() { # targets: the secrets to create and, because Terraform requires it, both addresses of those that move
    node -e '
        const changes = JSON.parse(fs.readFileSync(process.argv[1], "utf8")).resource_changes ?? [];
        const isNew = ({ type, change }) => type === "aws_secretsmanager_secret" && change.actions.includes("create");
        const affected = changes.some(isNew) ? changes.filter((each) => isNew(each) || each.previous_address) : [];
        const addresses = affected.flatMap((each) => [each.address, each.previous_address]).filter(Boolean);
        addresses.forEach((address) => console.log("-target=" + address));
    ' "$work/ahead.json"
}

needed_secrets() { # a line for each: ENVIRONMENT-VARIABLE SECRET
    node -e '
        const { secrets } = JSON.parse(fs.readFileSync(process.argv[1], "utf8")).planned_values.outputs;
        Object.entries(secrets.value).forEach(([name, secret]) => console.log(name, secret));
    ' "$work/ahead.json"
}

check_secrets() { # each has a value, which is not read here; a missing key of author hashes is created
    local all name secret versions missing=0
    all=$(needed_secrets)
    while read -r name secret; do
        versions=$(aws secretsmanager list-secret-version-ids --secret-id "$secret" --query 'Versions[].VersionId' --output text)
        if [[ -n ${versions/None/} ]]; then
            continue
        elif [[ $name == BIRDSONG_AUTHOR_KEY ]]; then
            # Once: with another key the same authors have other hashes.
            openssl rand -hex 16 | tr -d '\n' |
                aws secretsmanager put-secret-value --secret-id "$secret" --secret-string file:///dev/stdin >/dev/null
            say "created a key of author hashes and stored it in $secret"
        else
            missing=$((missing + 1))
            say "the secret $secret has no value. Enter the value of $name after this command:"
            say "  read -rs VALUE && printf %s \"\$VALUE\" | aws secretsmanager put-secret-value --region $AWS_REGION --secret-id $secret --secret-string file:///dev/stdin"
        fi
    done <<<"$all"
    ((missing == 0)) || fail "the streamer cannot start without its secrets: store them, then deploy again"
}

# A hash of the source files of what the task runs, committed or not, without deleted ones. The page is not served by the task, and
# the task gets regions.toml from Terraform; the copies that are built in have no effect there.
image_tag() {
    git ls-files -z --cached --others --exclude-standard -- Dockerfile .dockerignore .cargo Cargo.toml Cargo.lock \
        rust-toolchain.toml functions |
        sort -z | { xargs -0 sha256sum 2>/dev/null || true; } | sha256sum | cut -c 1-16
}

push_image() { # REPOSITORY: prints the image
    local repository=$1 registry=${1%%/*} tag platform=linux/arm64
    [[ $architecture == arm64 ]] || platform=linux/amd64
    tag=$(image_tag)-$architecture
    if aws ecr describe-images --repository-name "${repository#*/}" --image-ids "imageTag=$tag" >/dev/null 2>&1; then
        say "image $tag is in the repository already"
    else
        say "building and pushing image $tag (several minutes)"
        aws ecr get-login-password | docker login --username AWS --password-stdin "$registry" >&2
        docker buildx build --platform "$platform" --provenance=false --tag "$repository:$tag" --push . >&2
        docker logout "$registry" >&2
    fi
    echo "$repository:$tag"
}

# ---- after the apply -------------------------------------------------------------------------------

service() { # TASK-DEFINITION: prints stable|failed|waiting, and why
    aws ecs describe-services --cluster "$name" --services streamer --output json >"$work/service.json"
    node scripts/deploy/service.mjs "$work/service.json" "$1"
}

await_service() { # TASK-DEFINITION
    local state why begin=$SECONDS
    while read -r state why < <(service "$1"); do
        case $state in
        stable) say "the streamer is stable: $why" && return ;;
        failed) say "the streamer did not start: $why" && return 1 ;;
        esac
        ((SECONDS - begin < stable_secs)) || { say "the streamer is not stable after $stable_secs s (DEPLOY_STABLE_SECS): $why" && return 1; }
        say "waiting for the streamer: $why ($((SECONDS - begin)) s)"
        sleep "$poll_secs"
    done
    say "the service cannot be described" && return 1
}

# The API from outside; with viewer_auth, which this machine may not pass, the function behind it. An emulator runs no task, so
# there the API only has to answer.
status() { # SINCE answer|windows: prints ok|waiting, and why
    local from=$work/status.json
    if [[ $(setting viewer_auth none) == none ]]; then
        from=$(output "$([[ -n $endpoint ]] && echo api_url || echo site_url)")/api/status
    else
        # Version 1 of the AWS CLI has no such option, and needs none.
        local invoke=(lambda invoke --function-name "$name-api:live" --payload "$(node scripts/deploy/status.mjs request)")
        aws "${invoke[@]}" --cli-binary-format raw-in-base64-out "$from" >"$work/invoked" 2>&1 || aws "${invoke[@]}" "$from" >"$work/invoked" 2>&1 ||
            { echo "waiting the function does not answer: $(tr '\n' ' ' <"$work/invoked")" && return; }
    fi
    node scripts/deploy/status.mjs "$from" "$@"
}

await_status() { # SINCE answer|windows
    local state why begin=$SECONDS
    while read -r state why < <(status "$@"); do
        [[ $state != ok ]] || { say "$why" && return; }
        ((SECONDS - begin < status_secs)) || { say "not after $status_secs s (DEPLOY_STATUS_SECS): $why" && return 1; }
        say "waiting for the status: $why ($((SECONDS - begin)) s)"
        sleep "$poll_secs"
    done
    say "the status cannot be read" && return 1
}

show_trouble() { # the last of what ECS and the streamer report
    local task stream
    say "the last events of the service:"
    aws ecs describe-services --cluster "$name" --services streamer --query 'services[0].events[:10].[createdAt,message]' --output text >&2 || true
    task=$(aws ecs list-tasks --cluster "$name" --family "$name-streamer" --desired-status STOPPED --query 'taskArns[0]' --output text || true)
    if [[ -n ${task/None/} ]]; then
        say "why the last task stopped:"
        aws ecs describe-tasks --cluster "$name" --tasks "$task" \
            --query 'tasks[0].[stoppedReason,containers[0].reason,containers[0].exitCode]' --output text >&2 || true
    fi
    stream=$(aws logs describe-log-streams --log-group-name "/ecs/$name-streamer" --order-by LastEventTime --descending --max-items 1 \
        --query 'logStreams[0].logStreamName' --output text | head -n 1 || true)
    if [[ -n ${stream/None/} ]]; then
        say "the last lines of its log:"
        aws logs get-log-events --log-group-name "/ecs/$name-streamer" --log-stream-name "$stream" --limit 20 \
            --query 'events[].[message]' --output text >&2 || true
    fi
}

await_posts() { # waits until what was deployed works
    local since definition
    since=$(date +%s)
    definition=$(output streamer_task_definition)
    if [[ -n $endpoint || -z $definition || $(setting streamer_running true) != true ]]; then
        await_status "$since" answer || fail "the API does not answer: aws logs tail /aws/lambda/$name-api"
    elif ! await_service "$definition" || ! await_status "$since" windows; then
        show_trouble
        fail "the deployment does not work. Everything is applied; make rollback ENV=$env runs the release before"
    fi
}

deploy() {
    if [[ -z $endpoint ]]; then
        check_account
    fi
    say "2/6 the functions"
    scripts/build-functions.sh "$architecture"
    say "3/6 the page"
    # With its address, links to it have a picture.
    local alias
    alias=$(sed -nE 's/^[[:space:]]*aliases[[:space:]]*=[[:space:]]*\["([^"]+)".*/\1/p' "$settings" | tail -n 1)
    export SITE_URL=${SITE_URL:-${alias:+https://$alias}}
    (cd frontend && { [[ node_modules/.package-lock.json -nt package-lock.json ]] || npm ci --no-audit --no-fund; } && npm run build) >&2
    say "4/6 the plan"
    init
    local image="" new targets
    if [[ $has_streamer == true ]]; then
        plan_ahead
        new=$(new_secrets)
        if [[ -z $(output ecr_repository) ]]; then
            say "first everything but the streamer's task, which needs an image and its secrets"
            apply_with ""
        elif [[ -n $new ]]; then
            say "first the secrets of new sources: the task that runs is replaced when they have values"
            mapfile -t targets <<<"$new"
            apply_with "" "${targets[@]}"
        fi
        check_secrets
        image=${IMAGE:-$(push_image "$(output ecr_repository)")}
    fi
    apply_with "$image"
    say "5/6 whether it works (CloudFront and the first window need some minutes)"
    await_posts
    say "6/6 done"
    [[ -n $endpoint || -n $(setting alarm_email "") ]] || say "WARNING: there is still no alarm_email in $settings: nobody will learn when this stops working"
    echo "dashboard  $(output site_url)"
    # On AWS the API answers through CloudFront only; emulators have no CloudFront that reaches it.
    echo "API        $(output "$([[ -n $endpoint ]] && echo api_url || echo site_url)")/api/status"
}

# ---- rollback --------------------------------------------------------------------------------------

field() { # current|target NAME
    node -p 'JSON.parse(fs.readFileSync(process.argv[1], "utf8"))[process.argv[2]] ?? ""' "$work/$1.json" "$2"
}

newest_version() { # FUNCTION
    aws lambda list-versions-by-function --function-name "$1" --query 'Versions[].Version' --output text | tr '\t' '\n' | grep -E '^[0-9]+$' | sort -n | tail -n 1
}

use_version() { # PART
    local version
    version=$(field target "$1")
    newest_version "$name-$1" >"$work/newest-$1"
    [[ $version != "$(field current "$1")" ]] || return 0
    aws lambda update-alias --function-name "$name-$1" --name live --function-version "$version" >/dev/null
    say "$1: version $(field current "$1") -> $version"
}

rollback() {
    local definition stable=true parameter=/$name/deployed/release
    aws ssm get-parameter-history --name "$parameter" --output json >"$work/history.json" 2>"$work/refused" ||
        fail "there is no list of releases of $name in $AWS_REGION: $(tr '\n' ' ' <"$work/refused")"
    say "the releases of $name:"
    node scripts/deploy/releases.mjs choose "$work" "${RELEASE:-}" >&2
    [[ -f $work/target.json ]] || fail "there is no other release to run${RELEASE:+ with the number $RELEASE}"
    confirm "Run release $(field target number)?" yes

    use_version api
    use_version digest
    # The streamer before the aggregator: an older aggregator would ignore the fields of newer frames that it does not know.
    definition=$(field target task_definition)
    if [[ -n $definition && $definition != "$(field current task_definition)" ]]; then
        aws ecs update-service --cluster "$name" --service streamer --task-definition "$definition" >/dev/null
        say "streamer: $(field current image) -> $(field target image)"
        [[ -n $endpoint ]] || await_service "$definition" || stable=false
    fi
    use_version aggregator

    node scripts/deploy/releases.mjs write "$work"
    aws ssm put-parameter --name "$parameter" --type String --overwrite --value "file://$work/release" >/dev/null
    say "release $(field target number) runs. terraform apply keeps it; make deploy ENV=$env runs what is in the checkout. The page stays as it is"
    [[ $stable == true ]] || { show_trouble && fail "but the streamer is not stable"; }
}

# ---- destroy ---------------------------------------------------------------------------------------

destroy() {
    [[ $(setting deletion_protection true) == false ]] || fail \
        "$env protects its windows: to delete them, set deletion_protection = false in $settings, then destroy again"
    init
    local count resource
    tf state list >"$work/resources" 2>"$work/state.log" || grep -q "No state file was found" "$work/state.log" ||
        { cat "$work/state.log" >&2 && exit 1; }
    count=$(grep -cvE '(^|\.)data\.' "$work/resources" || true)
    ((count > 0)) || { say "$env has nothing to destroy" && return; }
    say "$count resources of $env in account $account will be deleted: windows, posts in the log, dead letters, images, secrets"
    confirm "This cannot be undone." "$env"
    # The validation requires files that are not used here.
    local arguments=(-input=false -no-color -auto-approve "-var-file=env/$env.tfvars"
        -var=aggregator_zip=versions.tf -var=digest_zip=versions.tf -var=api_zip=versions.tf -var=site_dir=../frontend)
    # Remove the protection first. The targets leave everything else unchanged.
    local unprotect=()
    while read -r resource; do
        case $resource in
        *.aws_dynamodb_table.* | *.aws_s3_bucket.* | *.aws_ecr_repository.* | *.aws_secretsmanager_secret.*)
            unprotect+=("-target=$resource")
            ;;
        esac
    done <"$work/resources"
    ((${#unprotect[@]} == 0)) || tf apply "${arguments[@]}" "${unprotect[@]}" >&2
    BIRDSONG_DESTROY=$name tf destroy "${arguments[@]}" >&2
    if grep -qF .aws_ecs_task_definition. "$work/resources"; then
        # Terraform keeps them for a rollback.
        aws ecs list-task-definitions --family-prefix "$name-streamer" --query 'taskDefinitionArns[]' --output text | tr '\t' '\n' | grep '^arn:' |
            while read -r resource; do aws ecs deregister-task-definition --task-definition "$resource" >/dev/null; done || true
    fi
    tf workspace select default >/dev/null
    tf workspace delete "$env" >&2
}

"$action"
