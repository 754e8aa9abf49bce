"""Uses a running emulator as Birdsong does: a function, a stream, a table. Usage: smoke.py ENDPOINT"""

import base64
import io
import json
import sys
import zipfile

import botocore.exceptions
import botocore.session

BOOTSTRAP = """#!/bin/bash
api=http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation
while event=$(curl -sS -D /dev/fd/3 "$api/next" 3> head); do
    id=$(sed -n 's/^lambda-runtime-aws-request-id: *//Ip' head | tr -d '\\r')
    echo "at work"
    case $event in
    '"fail"') curl -sS -o reply -d '{"errorType":"Asked","errorMessage":"to fail"}' "$api/$id/error" ;;
    *) curl -sS -o reply -d "{\\"event\\":$event,\\"endpoint\\":\\"$AWS_ENDPOINT_URL\\"}" "$api/$id/response" ;;
    esac
done
"""


def check(what: str, got, wanted) -> None:
    if got != wanted:
        sys.exit(f"{what}: got {got!r}, not {wanted!r}")
    print(f"  {what}: well")


def function_zip() -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        entry = zipfile.ZipInfo("bootstrap")
        entry.external_attr = 0o755 << 16
        archive.writestr(entry, BOOTSTRAP)
    return data.getvalue()


def use_function(lambda_, endpoint: str) -> None:
    lambda_.create_function(
        FunctionName="smoke",
        Runtime="provided.al2023",
        Handler="bootstrap",
        Role="arn:aws:iam::000000000000:role/smoke",
        Code={"ZipFile": function_zip()},
        Timeout=10,
    )
    lambda_.get_waiter("function_active_v2").wait(FunctionName="smoke")
    for number in range(2):
        answer = lambda_.invoke(FunctionName="smoke", Payload=json.dumps(number), LogType="Tail")
        wanted = {"event": number, "endpoint": endpoint}
        check(f"invocation {number + 1}", json.loads(answer["Payload"].read()), wanted)
        check("its output", "at work" in base64.b64decode(answer["LogResult"]).decode(), True)
    answer = lambda_.invoke(FunctionName="smoke", Payload='"fail"')
    check("an error of the function", answer.get("FunctionError"), "Unhandled")
    check("its type", json.loads(answer["Payload"].read())["errorType"], "Asked")


def use_stream(kinesis) -> None:
    kinesis.create_stream(StreamName="smoke", ShardCount=1)
    kinesis.get_waiter("stream_exists").wait(StreamName="smoke", WaiterConfig={"Delay": 1})
    put = kinesis.put_record(StreamName="smoke", PartitionKey="region#0", Data=b"\x00frame\xff")
    shard = put["ShardId"]
    iterator = kinesis.get_shard_iterator(StreamName="smoke", ShardId=shard, ShardIteratorType="TRIM_HORIZON")
    records = kinesis.get_records(ShardIterator=iterator["ShardIterator"])["Records"]
    got = [(record["SequenceNumber"], record["Data"]) for record in records]
    check("records of the stream", got, [(put["SequenceNumber"], b"\x00frame\xff")])


def use_table(dynamodb) -> None:
    dynamodb.create_table(
        TableName="smoke",
        KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    dynamodb.get_waiter("table_exists").wait(TableName="smoke", WaiterConfig={"Delay": 1})
    item = {"k": {"S": "window"}, "fence": {"N": "7"}}
    dynamodb.put_item(TableName="smoke", Item=item)
    check("item of the table", dynamodb.get_item(TableName="smoke", Key={"k": item["k"]}).get("Item"), item)
    try:
        dynamodb.put_item(TableName="smoke", Item=item, ConditionExpression="attribute_not_exists(k)")
        outcome = "stored"
    except botocore.exceptions.ClientError as error:
        outcome = error.response["Error"]["Code"]
    check("a conditional put", outcome, "ConditionalCheckFailedException")


def main() -> None:
    endpoint = sys.argv[1]

    def client(service: str):
        return botocore.session.Session().create_client(
            service, "us-east-1", endpoint_url=endpoint, aws_access_key_id="test", aws_secret_access_key="test"
        )

    use_function(client("lambda"), endpoint)
    use_stream(client("kinesis"))
    use_table(client("dynamodb"))


if __name__ == "__main__":
    main()
