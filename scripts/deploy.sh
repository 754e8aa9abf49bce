#!/usr/bin/env bash
# Deploys Birdsong to AWS from this checkout.
#   scripts/deploy.sh deploy ENV     builds, plans, asks, applies, prints the addresses
#   scripts/deploy.sh destroy ENV    asks, and deletes everything
# ENV names the settings, infra/env/ENV.tfvars, and the state, a Terraform workspace. In the environment:
#   IMAGE=...        image of the streamer with its tag; otherwise docker builds one
#   AUTO_APPROVE=1   do not ask
#   TF_VAR_...       any variable of infra/variables.tf that is not in the settings
# Secrets go from standard input to Secrets Manager and never to an argument, a log or the state.
set -euo pipefail
shopt -s inherit_errexit
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { echo "${action:-deploy}: $*" >&2; }
fail() { say "$*" && exit 1; }

usage="usage: scripts/deploy.sh deploy|destroy ENV, with infra/env/ENV.tfvars"
action=${1:-}
env=${2:-}
settings=infra/env/$env.tfvars
[[ $action =~ ^(deploy|destroy)$ && -n $env ]] || { echo "$usage" >&2 && exit 2; }
[[ -f $settings ]] || fail "there is no $settings; infra/env has: $(cd infra/env && echo *.tfvars)"

setting() { # NAME DEFAULT: from the settings, or from the environment
    local value variable=TF_VAR_$1
    value=$(sed -nE "s/^[[:space:]]*$1[[:space:]]*=[[:space:]]*\"?([^\"#]*[^\"#[:space:]])\"?.*/\1/p" "$settings" | tail -n 1)
    echo "${value:-${!variable:-$2}}"
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

need terraform "Terraform 1.9 or newer, https://developer.hashicorp.com/terraform/install"
version=$(terraform version | sed -n '1s/^Terraform v//p')
! is_older "$version" 1.9.0 || fail "terraform is $version: install 1.9 or newer"
need aws "the AWS CLI, https://aws.amazon.com/cli/"

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
    tf apply -input=false -no-color "$work/plan" >&2
}

apply_with() { # IMAGE ARGUMENT...
    local image=$1
    shift
    apply -var-file="env/$env.tfvars" -var=streamer_image="$image" "$@"
    tf output -json >"$work/outputs.json"
}

output() { # NAME: empty if there is no such output
    node -p 'JSON.parse(fs.readFileSync(process.argv[1], "utf8"))[process.argv[2]]?.value ?? ""' "$work/outputs.json" "$1"
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

image_tag() { # a hash of the source files, committed or not, without deleted ones
    git ls-files -z --cached --others --exclude-standard -- Dockerfile .dockerignore .cargo Cargo.toml Cargo.lock \
        rust-toolchain.toml functions frontend regions.toml |
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

deploy() {
    say "1/4 the functions"
    scripts/build-functions.sh "$architecture"
    say "2/4 the page"
    (cd frontend && { [[ node_modules/.package-lock.json -nt package-lock.json ]] || npm ci --no-audit --no-fund; } && npm run build) >&2
    say "3/4 the plan"
    init
    local image="" new targets
    tf output -json >"$work/outputs.json"
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
    say "4/4 done"
    echo "dashboard  $(output site_url)"
    # On AWS the API answers through CloudFront only; emulators have no CloudFront that reaches it.
    echo "API        $(output "$([[ -n $endpoint ]] && echo api_url || echo site_url)")/api/status"
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
    tf destroy "${arguments[@]}" >&2
    tf workspace select default >/dev/null
    tf workspace delete "$env" >&2
}

"$action"
