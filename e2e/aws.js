// Calls to an emulator, which reads who asks and for what but verifies no signature.

export class Emulator {
  constructor(endpoint) {
    this.endpoint = endpoint;
  }

  headers(service) {
    const credential = `test/20260101/us-east-1/${service}/aws4_request`;
    return {
      Authorization: `AWS4-HMAC-SHA256 Credential=${credential}, SignedHeaders=host;x-amz-date, Signature=0`,
      'X-Amz-Date': '20260101T000000Z',
    };
  }

  /** A JSON call, such as `json('kinesis', 'Kinesis_20131202.PutRecord', {...})`. */
  async json(service, target, body) {
    const answer = await fetch(this.endpoint, {
      method: 'POST',
      headers: {
        ...this.headers(service),
        'X-Amz-Target': target,
        'Content-Type': service === 'dynamodb' ? 'application/x-amz-json-1.0' : 'application/x-amz-json-1.1',
      },
      body: JSON.stringify(body),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${target}: ${answer.status} ${text}`);
    return text ? JSON.parse(text) : {};
  }

  kinesis(action, body) {
    return this.json('kinesis', `Kinesis_20131202.${action}`, body);
  }

  dynamodb(action, body) {
    return this.json('dynamodb', `DynamoDB_20120810.${action}`, body);
  }

  /** Invokes a function and gives its answer; a failed one is an error. */
  async invoke(name, event) {
    const url = `${this.endpoint}/2015-03-31/functions/${name}/invocations`;
    const answer = await fetch(url, { method: 'POST', headers: this.headers('lambda'), body: JSON.stringify(event) });
    const text = await answer.text();
    if (!answer.ok || answer.headers.get('x-amz-function-error')) throw new Error(`invoke ${name}: ${text}`);
    return JSON.parse(text);
  }

  /** The environment variables of a function. */
  async configuration(name) {
    const url = `${this.endpoint}/2015-03-31/functions/${name}/configuration`;
    const answer = await fetch(url, { headers: this.headers('lambda') });
    return (await answer.json()).Environment?.Variables ?? {};
  }

  /** Sets the environment variables of a function, in a new version that its callers get by the alias `live`. */
  async configure(name, variables) {
    const call = async (method, path, body) => {
      const url = `${this.endpoint}/2015-03-31/functions/${name}/${path}`;
      const answer = await fetch(url, { method, headers: this.headers('lambda'), body: JSON.stringify(body) });
      const text = await answer.text();
      if (!answer.ok) throw new Error(`configure ${name}: ${answer.status} ${text}`);
      return JSON.parse(text);
    };
    await call('PUT', 'configuration', { Environment: { Variables: variables } });
    const { Version } = await call('POST', 'versions', {});
    await call('PUT', 'aliases/live', { FunctionVersion: Version });
  }

  /** Keys in a bucket. */
  async keys(bucket) {
    const answer = await fetch(`${this.endpoint}/${bucket}?list-type=2`, { headers: this.headers('s3') });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`list ${bucket}: ${answer.status} ${text}`);
    return [...text.matchAll(/<Key>([^<]*)<\/Key>/g)].map((match) => match[1]);
  }

  /** Makes a bucket, or deletes one that is empty. */
  async bucket(method, name) {
    const answer = await fetch(`${this.endpoint}/${name}`, { method, headers: this.headers('s3') });
    if (!answer.ok) throw new Error(`${method} ${name}: ${answer.status} ${await answer.text()}`);
  }

  /** Writes an object. */
  async put(bucket, key, body) {
    const answer = await fetch(`${this.endpoint}/${bucket}/${key}`, { method: 'PUT', headers: this.headers('s3'), body });
    if (!answer.ok) throw new Error(`put ${key}: ${answer.status} ${await answer.text()}`);
  }

  /** Deletes an object. */
  async remove(bucket, key) {
    const answer = await fetch(`${this.endpoint}/${bucket}/${encodeURI(key)}`, { method: 'DELETE', headers: this.headers('s3') });
    if (!answer.ok) throw new Error(`delete ${key}: ${answer.status} ${await answer.text()}`);
  }

  /** States of all event source mappings. */
  async mappings() {
    const answer = await fetch(`${this.endpoint}/2015-03-31/event-source-mappings/`, { headers: this.headers('lambda') });
    return (await answer.json()).EventSourceMappings.map((each) => each.State);
  }

  async buckets() {
    const answer = await fetch(this.endpoint, { headers: this.headers('s3') });
    return [...(await answer.text()).matchAll(/<Name>([^<]*)<\/Name>/g)].map((match) => match[1]);
  }

  async functions() {
    const answer = await fetch(`${this.endpoint}/2015-03-31/functions/`, { headers: this.headers('lambda') });
    return (await answer.json()).Functions.map((each) => each.FunctionName);
  }

  /** All records of a stream with one shard or more, as an event source mapping would hand them over. */
  async records(stream) {
    const { Shards } = await this.kinesis('ListShards', { StreamName: stream });
    const records = [];
    for (const { ShardId } of Shards) {
      const at = { StreamName: stream, ShardId, ShardIteratorType: 'TRIM_HORIZON' };
      let iterator = (await this.kinesis('GetShardIterator', at)).ShardIterator;
      for (let empty = 0; iterator && empty < 3;) {
        const page = await this.kinesis('GetRecords', { ShardIterator: iterator, Limit: 1000 });
        empty = page.Records.length ? 0 : empty + 1;
        iterator = page.NextShardIterator;
        for (const record of page.Records) records.push({ shard: ShardId, ...record });
      }
    }
    return records;
  }
}

/** The event of a batch, as Lambda gets it from Kinesis. */
export function kinesisEvent(records, streamArn) {
  return {
    Records: records.map((record) => ({
      kinesis: {
        kinesisSchemaVersion: '1.0',
        partitionKey: record.PartitionKey,
        sequenceNumber: record.SequenceNumber,
        data: record.Data,
        approximateArrivalTimestamp: record.ApproximateArrivalTimestamp,
      },
      eventSource: 'aws:kinesis',
      eventVersion: '1.0',
      eventID: `${record.shard}:${record.SequenceNumber}`,
      eventName: 'aws:kinesis:record',
      invokeIdentityArn: 'arn:aws:iam::000000000000:role/aggregator',
      awsRegion: 'us-east-1',
      eventSourceARN: streamArn,
    })),
  };
}
