#!/usr/bin/env bash
# Procedures of docs/runbook.md that are more than a command or two. --help lists them.
set -euo pipefail
shopt -s inherit_errexit

usage() {
    cat <<'USAGE'
usage: scripts/runbook.sh [--name NAME] COMMAND

Each command shows what it is going to do and asks before it changes anything. AUTO_APPROVE=1 asks nothing.

  pause                      stop aggregator and digest; the log keeps what arrives
  resume                     start them again
  restore-table TIME         restore the table from point-in-time recovery into its own name. TIME is RFC 3339, such as
                             2026-11-27T08:00:00Z, or "latest". Started again after a failure, it continues
  replay-failures            append the records of batches that were given up to the log again, and move the objects from
                             aws/lambda/ to replayed/ in the quarantine bucket
  skip-record on|off         on: let the record that stops the aggregator go to the quarantine bucket, after 3 retries;
                             off: give up nothing again
  shards N                   set the number of shards, in as many steps as Kinesis requires
  stream-mode MODE           on-demand or provisioned

NAME is the variable `name` of infra/ (birdsong by default). The AWS CLI has the account and region: AWS_PROFILE, AWS_REGION.
AWS_ENDPOINT_URL is the address of an emulator. WAIT_SECS (1800) is the longest wait for AWS in each step, and POLL_SECS (5) the
time between two looks.
USAGE
}

say() { echo "runbook: $*" >&2; }
fail() { say "$*" && exit 1; }
wrong() { say "$*" && usage >&2 && exit 2; }

name=birdsong
while [[ ${1:-} == --* ]]; do
    case $1 in
    --help) usage && exit 0 ;;
    --name)
        (($# > 1)) || wrong "--name needs a value"
        name=$2
        shift 2
        ;;
    *) wrong "$1 is unknown" ;;
    esac
done
command=${1:-}
argument=${2:-}
[[ -n $command ]] || wrong "a command is missing"
[[ $name =~ ^[a-z][a-z0-9-]{0,18}[a-z0-9]$ ]] || wrong "--name must be the variable name of infra/"
(($# <= 2)) || wrong "too many arguments"

for tool in aws node; do
    command -v "$tool" >/dev/null || fail "$tool is missing: install the AWS CLI, https://aws.amazon.com/cli/, and Node.js 20"
done
export AWS_PAGER="" AWS_DEFAULT_OUTPUT=text
# Version 1 of the AWS CLI reads the second one only.
[[ -z ${AWS_REGION:-} ]] || export AWS_DEFAULT_REGION=$AWS_REGION
stream=$name-posts table=$name-windows restored=$name-windows-restored digest=$name-digest
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

confirm() { # WHAT: asks for the name of the deployment
    say "$*"
    [[ ${AUTO_APPROVE:-} != 1 ]] || return 0
    local answer=
    read -r -p "Type $name to continue: " answer || true
    [[ $answer == "$name" ]] || fail "nothing was changed"
}

wait_until() { # WHAT EXPECTED COMMAND...: until its output is that
    local what=$1 expected=$2 last="" end=$((SECONDS + ${WAIT_SECS:-1800}))
    shift 2
    say "waiting: $what"
    while last=$("$@" 2>&1) || true; [[ $last != "$expected" ]]; do
        ((SECONDS < end)) || fail "$what took longer than ${WAIT_SECS:-1800} s; the last answer was: $last"
        sleep "${POLL_SECS:-5}"
    done
}

account() { aws sts get-caller-identity --query Account; }

# ---- aggregator and digest -------------------------------------------------------------------------

# By stream, because a mapping may be on an alias of the function.
mapping() {
    local arn uuid
    arn=$(aws kinesis describe-stream-summary --stream-name "$stream" --query StreamDescriptionSummary.StreamARN)
    uuid=$(aws lambda list-event-source-mappings --event-source-arn "$arn" --query 'EventSourceMappings[0].UUID')
    [[ -n $uuid && $uuid != None ]] || fail "$stream has no event source mapping: deploy first"
    echo "$uuid"
}

mapping_state() { aws lambda get-event-source-mapping --uuid "$1" --query State; }

pause_all() {
    local uuid
    uuid=$(mapping)
    aws lambda update-event-source-mapping --uuid "$uuid" --no-enabled >/dev/null
    aws lambda put-function-concurrency --function-name "$digest" --reserved-concurrent-executions 0 >/dev/null
    wait_until "the aggregator is paused" Disabled mapping_state "$uuid"
}

resume_all() {
    local uuid
    uuid=$(mapping)
    # Terraform sets the concurrency again that the settings reserve.
    aws lambda delete-function-concurrency --function-name "$digest" >/dev/null
    aws lambda update-event-source-mapping --uuid "$uuid" --enabled >/dev/null
    wait_until "the aggregator runs" Enabled mapping_state "$uuid"
}

pause() {
    confirm "Aggregator and digest of $name will stop. No new window is shown until 'resume'; the log keeps all records meanwhile."
    pause_all
    say "paused"
}

resume() {
    confirm "Aggregator and digest of $name will start again. They continue where they stopped."
    resume_all
    say "running; if the settings have digest_reserved_concurrency, make deploy sets it again"
}

skip-record() {
    local retries
    case $argument in
    on) retries=3 ;;
    off) retries=-1 ;;
    *) wrong "skip-record needs on or off" ;;
    esac
    if [[ $argument == on ]]; then
        confirm "Batches of $name that fail four times will go to the quarantine bucket, bisected down to the record that fails. Do this only while the table works."
    else
        confirm "Failed batches of $name will be retried without a limit again."
    fi
    aws lambda update-event-source-mapping --uuid "$(mapping)" --maximum-retry-attempts "$retries" >/dev/null
    if [[ $argument == on ]]; then
        say "now wait until windows are written again, then: scripts/runbook.sh --name $name skip-record off"
    else
        say "nothing is given up any more; see replay-failures for what was"
    fi
}

# ---- the table -------------------------------------------------------------------------------------

table_status() { # empty if there is none
    aws dynamodb describe-table --table-name "$1" --query Table.TableStatus 2>"$work/table" ||
        grep -q ResourceNotFoundException "$work/table" || { cat "$work/table" >&2 && exit 1; }
}

backup_of_restored() { # ARN of its newest backup; empty if there is none
    local arn
    arn=$(aws dynamodb list-backups --table-name "$restored" --backup-type USER \
        --query "reverse(sort_by(BackupSummaries, &BackupCreationDateTime))[0].BackupArn")
    [[ $arn == None ]] || echo "$arn"
}

backup_status() { aws dynamodb describe-backup --backup-arn "$1" --query BackupDescription.BackupDetails.BackupStatus; }

# DynamoDB restores into a new table only, and renames none. So: restore beside the table, back that up, delete the table, and restore
# the backup under its name. Each step looks whether it was done before.
restore-table() {
    [[ $argument == latest || $argument =~ ^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(Z|[+-][0-9:]{5})$ ]] ||
        wrong "restore-table needs a time such as 2026-11-27T08:00:00Z, or latest"
    local status backup protected when
    status=$(table_status "$table")
    if [[ -z $(table_status "$restored") ]]; then
        [[ -n $status ]] || fail "there is neither $table nor $restored. A deleted table has a system backup for 35 days: aws dynamodb list-backups --backup-type SYSTEM"
        [[ $(aws dynamodb describe-continuous-backups --table-name "$table" \
            --query ContinuousBackupsDescription.PointInTimeRecoveryDescription.PointInTimeRecoveryStatus) == ENABLED ]] ||
            fail "$table has no point-in-time recovery (pitr): windows of the last days can be made again with birdsong reprocess"
        confirm "$table will be replaced by its state of $argument. Aggregator and digest stop meanwhile; the log keeps all records. The present state is in a system backup for 35 days."
        pause_all
        when=(--use-latest-restorable-time)
        [[ $argument == latest ]] || when=(--restore-date-time "$argument")
        aws dynamodb restore-table-to-point-in-time --source-table-name "$table" --target-table-name "$restored" "${when[@]}" >/dev/null
    else
        confirm "$restored exists from an earlier start, of which the time counts: $table will be replaced by it."
        pause_all
    fi
    wait_until "$restored is restored" ACTIVE table_status "$restored"

    backup=$(backup_of_restored)
    if [[ -z $backup ]]; then
        backup=$(aws dynamodb create-backup --table-name "$restored" --backup-name "$restored" --query BackupDetails.BackupArn)
    fi
    wait_until "the backup of $restored is complete" AVAILABLE backup_status "$backup"

    status=$(table_status "$table")
    if [[ -n $status ]]; then
        protected=$(aws dynamodb describe-table --table-name "$table" --query Table.DeletionProtectionEnabled)
        [[ $protected != True ]] || aws dynamodb update-table --table-name "$table" --no-deletion-protection-enabled >/dev/null
        wait_until "$table can be deleted" ACTIVE table_status "$table"
        aws dynamodb delete-table --table-name "$table" >/dev/null
        wait_until "$table is deleted" "" table_status "$table"
    fi
    aws dynamodb restore-table-from-backup --target-table-name "$table" --backup-arn "$backup" >/dev/null
    wait_until "$table is restored" ACTIVE table_status "$table"
    # A restored table has none of these.
    aws dynamodb update-time-to-live --table-name "$table" --time-to-live-specification Enabled=true,AttributeName=ttl >/dev/null
    aws dynamodb update-continuous-backups --table-name "$table" \
        --point-in-time-recovery-specification PointInTimeRecoveryEnabled=true >/dev/null
    resume_all
    say "done. What is left:"
    say "1. make deploy ENV=…: deletion protection, caps and tags of the table"
    say "2. birdsong reprocess --from ${argument/latest/TIME-OF-THE-LOSS} --stream $stream --table $table: the windows since then, from the log"
    say "3. look at the page; then: aws dynamodb delete-table --table-name $restored; aws dynamodb delete-backup --backup-arn $backup"
}

# ---- the log ---------------------------------------------------------------------------------------

put_again() { # FOLDER with a folder for each lane: its key, and N.data. Eight lanes at a time, each in its order: windows depend on it
    # shellcheck disable=SC2016 # the inner bash expands it
    printf '%s\0' "$1"/*/ |
        stream=$stream xargs -0 -P 8 -n 1 bash -c '
            behind=()
            for file in "$0"*.data; do
                number=$(aws kinesis put-record --stream-name "$stream" --partition-key "$(cat "$0key")" \
                    --data "fileb://$file" "${behind[@]}" --query SequenceNumber) || exit 1
                behind=(--sequence-number-for-ordering "$number")
            done'
}

replay-failures() {
    [[ -z $argument ]] || wrong "replay-failures needs no argument"
    local bucket objects key count=0
    bucket=$name-quarantine-$(account)
    aws s3api list-objects-v2 --bucket "$bucket" --prefix aws/lambda/ --query 'Contents[].[Key]' >"$work/keys"
    mapfile -t objects < <(grep -vxF None "$work/keys" || true)
    ((${#objects[@]} > 0)) || { say "no batch was given up: s3://$bucket/aws/lambda/ is empty" && return; }
    confirm "The records of ${#objects[@]} given-up batches in s3://$bucket/aws/lambda/ will be appended to $stream. First repair what made them fail, or they fail again. Records that were folded already change nothing."
    for key in "${objects[@]}"; do
        rm -rf "$work/records" && mkdir "$work/records"
        aws s3api get-object --bucket "$bucket" --key "$key" "$work/object" >/dev/null
        # The record of the failed invocation; `payload` is the event, as text.
        # shellcheck disable=SC2016 # JavaScript's own templates
        node -e '
            const { payload } = JSON.parse(fs.readFileSync(process.argv[1], "utf8"));
            const { Records } = typeof payload === "string" ? JSON.parse(payload) : payload;
            const lanes = [...new Set(Records.map(({ kinesis }) => kinesis.partitionKey))];
            Records.forEach(({ kinesis }, n) => {
                const lane = `${process.argv[2]}/${lanes.indexOf(kinesis.partitionKey)}`;
                fs.mkdirSync(lane, { recursive: true });
                fs.writeFileSync(`${lane}/key`, kinesis.partitionKey);
                fs.writeFileSync(`${lane}/${String(n).padStart(5, "0")}.data`, Buffer.from(kinesis.data, "base64"));
            });
        ' "$work/object" "$work/records" || fail "$key is not the record of a failed batch; move it away, then start again"
        put_again "$work/records" || fail "some records of $key could not be appended; start again: those that were change nothing"
        aws s3 mv --quiet "s3://$bucket/$key" "s3://$bucket/replayed/${key#aws/lambda/}" >/dev/null
        count=$((count + $(find "$work/records" -name '*.data' | wc -l)))
    done
    say "$count records of ${#objects[@]} batches were appended; the objects are in replayed/"
}

open_shards() { aws kinesis describe-stream-summary --stream-name "$stream" --query StreamDescriptionSummary.OpenShardCount; }
stream_status() { aws kinesis describe-stream-summary --stream-name "$stream" --query StreamDescriptionSummary.StreamStatus; }

shards() {
    [[ $argument =~ ^[1-9][0-9]{0,3}$ ]] || wrong "shards needs a number"
    local current next
    current=$(open_shards)
    [[ $current != "$argument" ]] || { say "$stream has $current shards already" && return; }
    confirm "$stream has $current shards and will have $argument. Each costs about 25 US dollars a month with a week of retention. Kinesis allows ten changes a day."
    while ((current != argument)); do
        # One step at most doubles or halves the number.
        next=$argument
        ((next <= 2 * current)) || next=$((2 * current))
        ((next >= (current + 1) / 2)) || next=$(((current + 1) / 2))
        aws kinesis update-shard-count --stream-name "$stream" --target-shard-count "$next" --scaling-type UNIFORM_SCALING >/dev/null
        # The status may still be that of before the change.
        wait_until "$stream has $next shards" "$next" open_shards
        wait_until "$stream is active" ACTIVE stream_status
        current=$next
    done
    say "write shard_count = $argument into infra/env/*.tfvars, or the next make deploy returns to the old number"
}

stream-mode() {
    local mode arn
    case $argument in
    on-demand) mode=ON_DEMAND ;;
    provisioned) mode=PROVISIONED ;;
    *) wrong "stream-mode needs on-demand or provisioned" ;;
    esac
    confirm "$stream will be $argument. Its records stay. Kinesis allows two changes in 24 hours."
    arn=$(aws kinesis describe-stream-summary --stream-name "$stream" --query StreamDescriptionSummary.StreamARN)
    aws kinesis update-stream-mode --stream-arn "$arn" --stream-mode-details "StreamMode=$mode" >/dev/null
    wait_until "$stream is $argument" ACTIVE stream_status
    say "write stream_mode = \"$mode\" into infra/env/*.tfvars$([[ $mode == ON_DEMAND ]] || echo ", with shard_count = $(open_shards)")"
}

case $command in
pause | resume | restore-table | replay-failures | skip-record | shards | stream-mode) "$command" ;;
help) usage ;;
*) wrong "$command is no command" ;;
esac
