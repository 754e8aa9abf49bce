#!/usr/bin/env bash
# Tests runbook.sh without an account: aws is a fake, which records its calls and keeps the state of the account as files.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
log=$root/log account=$root/account
passed=0
name=

fresh_account() { # one shard; a table with point-in-time recovery and protection; nothing was given up
    rm -rf "${root:?}"/*
    mkdir -p "$account/tables" "$account/backups" "$account/objects" "$root/fakes" "$root/common"
    : >"$log"
    echo 1 >"$account/shards"
    echo Enabled >"$account/mapping"
    echo True >"$account/tables/birdsong-windows"
    local tool
    for tool in bash cat find grep mkdir mktemp node rm sleep touch wc xargs; do ln -s "$(command -v $tool)" "$root/common/$tool"; done
    cat >"$root/fakes/aws" <<'FAKE'
echo "aws $*" >>"$LOG"
cd "$ACCOUNT" || exit 1
value() { local all=" $* "; [[ $all =~ \ $option\ ([^\ ]+) ]] && echo "${BASH_REMATCH[1]}"; }
option() { option=$1; shift; value "$@"; }
[[ ! -f fails || "$*" != *"$(cat fails)"* ]] || { echo "An error occurred (LimitExceededException)" >&2; exit 254; }
table=$(option --table-name "$@")
case "$*" in
"sts get-caller-identity"*) echo 1234 ;;
*"StreamDescriptionSummary.StreamARN") echo arn:stream ;;
*"StreamDescriptionSummary.OpenShardCount") cat shards ;;
*"StreamDescriptionSummary.StreamStatus")
    # It takes a moment.
    [[ -f updating ]] && rm updating && echo UPDATING || echo ACTIVE ;;
"kinesis update-shard-count"*)
    next=$(option --target-shard-count "$@") now=$(cat shards)
    ((next <= 2 * now && 2 * next >= now)) || { echo "LimitExceededException: $next of $now" >&2; exit 254; }
    touch updating
    echo "$next" >shards ;;
"kinesis update-stream-mode"*) touch updating ;;
"kinesis put-record "*) data=$(option --data "$@") text=$(cat "${data#fileb://}")
    [[ $text != slow* ]] || sleep 0.3
    echo "$(option --partition-key "$@") $text" >>records
    wc -l <records ;;
"lambda list-event-source-mappings --event-source-arn arn:stream"*) [[ -f no_mapping ]] && echo None || echo uuid-1 ;;
"lambda get-event-source-mapping"*) cat mapping ;;
"lambda update-event-source-mapping"*--no-enabled) echo Disabled >mapping ;;
"lambda update-event-source-mapping"*--enabled) echo Enabled >mapping ;;
"dynamodb describe-table"*Table.TableStatus)
    [[ -f tables/$table ]] || { echo "An error occurred (ResourceNotFoundException)" >&2; exit 254; }
    echo ACTIVE ;;
"dynamodb describe-table"*Table.DeletionProtectionEnabled) cat "tables/$table" ;;
"dynamodb describe-continuous-backups"*) [[ -f no_pitr ]] && echo DISABLED || echo ENABLED ;;
"dynamodb restore-table-to-point-in-time"*) echo False >"tables/$(option --target-table-name "$@")" ;;
"dynamodb list-backups"*) [[ -f backups/$table ]] && echo "arn:backup" || echo None ;;
"dynamodb create-backup"*) touch "backups/$table" && echo arn:backup ;;
"dynamodb describe-backup"*) echo AVAILABLE ;;
"dynamodb update-table"*--no-deletion-protection-enabled) echo False >"tables/$table" ;;
"dynamodb delete-table"*) [[ $(cat "tables/$table") == False ]] || { echo "ValidationException: protected" >&2; exit 254; }
    rm "tables/$table" ;;
"dynamodb restore-table-from-backup"*) target=$(option --target-table-name "$@")
    [[ ! -f tables/$target ]] || { echo TableAlreadyExistsException >&2; exit 254; }
    echo False >"tables/$target" ;;
"s3api list-objects-v2"*) found=$(find objects -type f)
    if [[ $found ]]; then while read -r object; do echo "aws/lambda/${object#objects/}"; done <<<"$found"; else echo None; fi ;;
"s3api get-object"*) key=$(option --key "$@")
    all="$*"
    cat "objects/${key#aws/lambda/}" >"${all##* }" ;;
"s3 mv"*) [[ "$*" =~ aws/lambda/([^\ ]+)\ s3://birdsong-quarantine-1234/replayed/(.+) ]] && [[ ${BASH_REMATCH[1]} == "${BASH_REMATCH[2]}" ]] &&
    rm "objects/${BASH_REMATCH[1]}" ;;
esac
FAKE
    # With an absolute path, because PATH has no env.
    { echo "#!$BASH" && cat "$root/fakes/aws"; } >"$root/fakes/aws.new" && mv "$root/fakes/aws.new" "$root/fakes/aws"
    chmod +x "$root/fakes/aws"
}

run() { # ANSWERS [NAME=VALUE...] -- ARGUMENT...: status, output and errors
    local answers=$1 variables=()
    shift
    while [[ $1 != -- ]]; do variables+=("$1") && shift; done
    shift
    status=0
    : >"$log"
    printf '%s' "$answers" | env -i HOME="$root" PATH="$root/fakes:$root/common" TMPDIR="$root" LOG="$log" ACCOUNT="$account" \
        POLL_SECS=0 WAIT_SECS=5 "${variables[@]}" "$BASH" scripts/runbook.sh "$@" >"$root/out" 2>"$root/err" || status=$?
}

test_that() {
    name=$*
    fresh_account
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

shows() { grep -qF -- "$1" "$root/err" || broken "it should have shown: $1"; }

called() { # PATTERN...: in this order, with anything between
    local pattern line=0 found
    for pattern in "$@"; do
        found=$(tail -n "+$((line + 1))" "$log" | grep -nE -m 1 -- "$pattern" | cut -d : -f 1) || broken "not called, or too early: $pattern"
        line=$((line + found))
    done
}

not_called() { # PATTERN...
    local pattern
    for pattern in "$@"; do ! grep -qE -- "$pattern" "$log" || broken "called: $pattern"; done
}

changes=' (update|put|delete|create|restore)-| mv '

# ---- usage -----------------------------------------------------------------------------------------

test_that "it explains itself"
run "" -- --help
succeeds
for command in pause resume restore-table replay-failures skip-record shards stream-mode; do
    grep -q "^  $command" "$root/out" || broken "no help about $command"
done
for wrong in "" "dance" "shards" "shards 0" "shards two" "stream-mode fast" "skip-record" "restore-table yesterday" "shards 2 3" "--name Bad! shards 2" "--name" "--fast shards 2"; do
    # shellcheck disable=SC2086 # words
    run "birdsong" -- $wrong
    [[ $status == 2 ]] || { [[ $wrong == --name\ * ]] || broken "'$wrong' is accepted"; }
    not_called "$changes"
done

test_that "nothing changes unless the name is typed"
echo '{"payload": "{\"Records\": []}"}' >"$account/objects/x"
for command in pause resume "restore-table latest" replay-failures "skip-record on" "skip-record off" "shards 2" "stream-mode on-demand"; do
    for answers in "" $'yes\n' $'other\n'; do
        # shellcheck disable=SC2086 # words
        run "$answers" -- $command
        fails_with "nothing was changed"
        not_called "$changes"
    done
done

# ---- shards ----------------------------------------------------------------------------------------

test_that "shards go up and down in steps that Kinesis allows"
run $'birdsong\n' -- shards 5
succeeds
called 'update-shard-count --stream-name birdsong-posts --target-shard-count 2 ' 'target-shard-count 4 ' 'target-shard-count 5 '
[[ $(grep -c update-shard-count "$log") == 3 ]] || broken "other steps"
shows "shard_count = 5"
run "" AUTO_APPROVE=1 -- shards 1
succeeds
called 'target-shard-count 3 ' 'target-shard-count 2 ' 'target-shard-count 1 '
run "" -- shards 1
succeeds
not_called "$changes"

test_that "another deployment is another stream"
run $'paris\n' -- --name paris shards 2
succeeds
called 'update-shard-count --stream-name paris-posts '

test_that "a change that Kinesis refuses is shown"
echo update-shard-count >"$account/fails"
run "" AUTO_APPROVE=1 -- shards 2
fails_with "LimitExceededException"

test_that "the mode of the stream changes"
run "" AUTO_APPROVE=1 -- stream-mode on-demand
succeeds
called 'update-stream-mode --stream-arn arn:stream --stream-mode-details StreamMode=ON_DEMAND'
shows 'stream_mode = "ON_DEMAND"'
run "" AUTO_APPROVE=1 -- stream-mode provisioned
succeeds
shows 'stream_mode = "PROVISIONED" into infra/env/*.tfvars, with shard_count = 1'

# ---- pause -----------------------------------------------------------------------------------------

test_that "a pause stops aggregator and digest, and resume starts them"
run "" AUTO_APPROVE=1 -- pause
succeeds
called 'update-event-source-mapping --uuid uuid-1 --no-enabled' 'put-function-concurrency --function-name birdsong-digest --reserved-concurrent-executions 0'
[[ $(cat "$account/mapping") == Disabled ]] || broken "the mapping is enabled"
run "" AUTO_APPROVE=1 -- resume
succeeds
called 'delete-function-concurrency --function-name birdsong-digest' 'update-event-source-mapping --uuid uuid-1 --enabled'
touch "$account/no_mapping"
run "" AUTO_APPROVE=1 -- pause
fails_with "has no event source mapping"

test_that "a record is skipped only while that is on"
run "" AUTO_APPROVE=1 -- skip-record on
succeeds
called 'update-event-source-mapping --uuid uuid-1 --maximum-retry-attempts 3'
run "" AUTO_APPROVE=1 -- skip-record off
succeeds
called 'update-event-source-mapping --uuid uuid-1 --maximum-retry-attempts -1'

# ---- replay ----------------------------------------------------------------------------------------

record() { printf '{"kinesis": {"partitionKey": "%s", "data": "%s"}}' "$1" "$(printf %s "$2" | base64)"; }
batch() { # RECORD...: as Lambda writes it, with the event as text
    local records
    records=$(IFS=, && echo "$*")
    node -p 'JSON.stringify({ requestContext: { condition: "RetryAttemptsExhausted" }, payload: process.argv[1] })' "{\"Records\": [$records]}"
}

test_that "given-up batches are appended again, under their lanes, and moved away"
run "" -- replay-failures
succeeds
shows "no batch was given up"
mkdir -p "$account/objects/uuid/shard"
batch "$(record montreal#x#0 one)" "$(record _stream#x#x two)" >"$account/objects/uuid/shard/a"
batch "$(record montreal#x#0 three)" >"$account/objects/uuid/shard/b"
run $'birdsong\n' -- replay-failures
succeeds
[[ $(sort "$account/records") == "$(printf '%s\n' '_stream#x#x two' 'montreal#x#0 one' 'montreal#x#0 three')" ]] || broken "other records: $(cat "$account/records")"
called 'put-record --stream-name birdsong-posts' 's3 mv'
[[ -z $(find "$account/objects" -type f) ]] || broken "objects are left"
shows "3 records of 2 batches"

test_that "records of a lane keep their order, and lanes do not wait for each other"
mkdir -p "$account/objects/uuid/shard"
batch "$(record montreal#x#0 slow-1)" "$(record montreal#x#0 2)" "$(record paris#x#0 3)" "$(record montreal#x#0 4)" >"$account/objects/uuid/shard/c"
run $'birdsong\n' -- replay-failures
succeeds
[[ $(cat "$account/records") == "$(printf '%s\n' 'paris#x#0 3' 'montreal#x#0 slow-1' 'montreal#x#0 2' 'montreal#x#0 4')" ]] || broken "another order: $(cat "$account/records")"
called '--sequence-number-for-ordering 2'
shows "4 records of 1 batches"

test_that "a batch that cannot be appended stays"
batch "$(record montreal#x#0 one)" >"$account/objects/a"
echo "kinesis put-record" >"$account/fails"
run "" AUTO_APPROVE=1 -- replay-failures
fails_with "could not be appended"
not_called ' mv '
rm "$account/fails"
run "" AUTO_APPROVE=1 -- replay-failures
succeeds

test_that "an object that is no batch is named"
echo "no JSON" >"$account/objects/odd"
run "" AUTO_APPROVE=1 -- replay-failures
fails_with "aws/lambda/odd is not the record of a failed batch"
not_called 'put-record' ' mv '

# ---- restore ---------------------------------------------------------------------------------------

test_that "the table is restored under its own name"
run $'birdsong\n' -- restore-table 2026-11-27T08:00:00Z
succeeds
called '--no-enabled' 'put-function-concurrency' \
    'restore-table-to-point-in-time --source-table-name birdsong-windows --target-table-name birdsong-windows-restored --restore-date-time 2026-11-27T08:00:00Z' \
    'create-backup --table-name birdsong-windows-restored' 'update-table --table-name birdsong-windows --no-deletion-protection-enabled' \
    'delete-table --table-name birdsong-windows' 'restore-table-from-backup --target-table-name birdsong-windows --backup-arn arn:backup' \
    'update-time-to-live --table-name birdsong-windows .*AttributeName=ttl' 'update-continuous-backups --table-name birdsong-windows' \
    'delete-function-concurrency' 'update-event-source-mapping --uuid uuid-1 --enabled'
not_called 'delete-table --table-name birdsong-windows-restored'
shows "birdsong reprocess --from 2026-11-27T08:00:00Z --stream birdsong-posts --table birdsong-windows"

test_that "the latest state is restored"
run "" AUTO_APPROVE=1 -- restore-table latest
succeeds
called 'restore-table-to-point-in-time .*--use-latest-restorable-time'

test_that "the table is not deleted before its backup exists"
echo create-backup >"$account/fails"
run "" AUTO_APPROVE=1 -- restore-table latest
fails_with "LimitExceededException"
not_called 'delete-table'
name="started again, it continues"
rm "$account/fails"
run "" AUTO_APPROVE=1 -- restore-table latest
succeeds
not_called 'restore-table-to-point-in-time'
called 'create-backup' 'delete-table' 'restore-table-from-backup' '--enabled'

test_that "it continues after the table is deleted"
echo restore-table-from-backup >"$account/fails"
run "" AUTO_APPROVE=1 -- restore-table latest
fails_with "LimitExceededException"
[[ ! -f $account/tables/birdsong-windows ]] || broken "the table is there"
rm "$account/fails"
run "" AUTO_APPROVE=1 -- restore-table latest
succeeds
not_called 'restore-table-to-point-in-time' 'create-backup' 'delete-table'

test_that "without point-in-time recovery nothing is deleted"
touch "$account/no_pitr"
run "" AUTO_APPROVE=1 -- restore-table latest
fails_with "has no point-in-time recovery"
not_called "$changes"

test_that "a table that is gone has a system backup"
rm "$account/tables/birdsong-windows"
run "" AUTO_APPROVE=1 -- restore-table latest
fails_with "system backup"
not_called "$changes"

echo "runbook.sh: $passed checks"
