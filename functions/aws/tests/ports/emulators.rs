//! Kinesis and DynamoDB in this process, on free ports of the loopback interface.

use std::net::SocketAddr;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::types::{AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType::S};
use aws_sdk_kinesis::config::{BehaviorVersion, Credentials, Region, SharedHttpClient};
use aws_sdk_kinesis::types::StreamStatus;
use birdsong_aws::{DynamoStore, KinesisLog};
use ferrokinesis::store::StoreOptions;
use tokio::net::TcpListener;

/// Stream and table of every test.
pub(crate) const NAME: &str = "birdsong";

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Options that do not slow a test down.
pub(crate) fn options() -> StoreOptions {
    StoreOptions {
        create_stream_ms: 0,
        update_stream_ms: 0,
        shard_limit: 1000,
        retention_check_interval_secs: 60,
        ..StoreOptions::default()
    }
}

/// A separate Kinesis.
pub(crate) async fn kinesis(options: StoreOptions) -> SocketAddr {
    let (listener, address) = listen().await;
    let (app, _) = ferrokinesis::create_app(options);
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    address
}

/// A separate DynamoDB.
pub(crate) async fn dynamodb() -> SocketAddr {
    let (listener, address) = listen().await;
    let database = dynoxide::Database::memory().unwrap();
    tokio::spawn(dynoxide::server::serve_on(listener, database));
    address
}

/// HTTP without TLS, as the emulators use it.
pub(crate) fn plain_http() -> SharedHttpClient {
    aws_smithy_http_client::Builder::new().build_http()
}

/// The retries of [`birdsong_aws::sdk_config`], without the waiting.
fn retries() -> RetryConfig {
    RetryConfig::standard().with_max_attempts(4).with_initial_backoff(Duration::from_millis(1))
}

fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder().operation_attempt_timeout(Duration::from_secs(10)).build()
}

/// A client of an emulator, through `http`.
pub(crate) fn kinesis_client(address: SocketAddr, http: SharedHttpClient) -> aws_sdk_kinesis::Client {
    let config = aws_sdk_kinesis::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .endpoint_url(format!("http://{address}"))
        .retry_config(retries())
        .timeout_config(timeouts())
        .http_client(http);
    aws_sdk_kinesis::Client::from_conf(config.build())
}

/// A client of an emulator, through `http`.
pub(crate) fn dynamodb_client(address: SocketAddr, http: SharedHttpClient) -> aws_sdk_dynamodb::Client {
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .endpoint_url(format!("http://{address}"))
        .retry_config(retries())
        .timeout_config(timeouts())
        .http_client(http);
    aws_sdk_dynamodb::Client::from_conf(config.build())
}

/// Waits until the stream accepts calls.
pub(crate) async fn active(client: &aws_sdk_kinesis::Client) {
    loop {
        let answer = client.describe_stream_summary().stream_name(NAME).send().await.unwrap();
        if *answer.stream_description_summary().unwrap().stream_status() == StreamStatus::Active {
            return;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// An empty stream.
pub(crate) async fn stream(options: StoreOptions, shards: i32) -> aws_sdk_kinesis::Client {
    let client = kinesis_client(kinesis(options).await, plain_http());
    client.create_stream().stream_name(NAME).shard_count(shards).send().await.unwrap();
    active(&client).await;
    client
}

/// Splits the first of two equal shards of a new stream in the middle.
pub(crate) async fn split_first(client: &aws_sdk_kinesis::Client, shard: &str) {
    let middle = "85070591730234615865843651857942052864";
    let split = client.split_shard().stream_name(NAME).shard_to_split(shard).new_starting_hash_key(middle);
    split.send().await.unwrap();
    active(client).await;
}

/// Merges two adjacent shards.
pub(crate) async fn merge(client: &aws_sdk_kinesis::Client, shards: [&str; 2]) {
    let merge = client.merge_shards().stream_name(NAME).shard_to_merge(shards[0]).adjacent_shard_to_merge(shards[1]);
    merge.send().await.unwrap();
    active(client).await;
}

/// An empty log.
pub(crate) async fn log(shards: i32) -> KinesisLog {
    let client = stream(options(), shards).await;
    KinesisLog::new(client, NAME.into()).with_read_pause(Duration::ZERO)
}

/// Makes the table.
pub(crate) async fn create_table(client: &aws_sdk_dynamodb::Client) {
    let mut call = client.create_table().table_name(NAME).billing_mode(BillingMode::PayPerRequest);
    for (name, kind) in [("pk", KeyType::Hash), ("sk", KeyType::Range)] {
        let attribute = AttributeDefinition::builder().attribute_name(name).attribute_type(S).build().unwrap();
        let key = KeySchemaElement::builder().attribute_name(name).key_type(kind).build().unwrap();
        call = call.attribute_definitions(attribute).key_schema(key);
    }
    call.send().await.unwrap();
}

/// An empty table.
pub(crate) async fn table() -> aws_sdk_dynamodb::Client {
    let client = dynamodb_client(dynamodb().await, plain_http());
    create_table(&client).await;
    client
}

/// An empty store.
pub(crate) async fn store() -> DynamoStore {
    DynamoStore::new(table().await, NAME.into())
}
