//! The ports on Kinesis and DynamoDB, and what the Lambda functions do.
//!
//! The only crate that names `aws-sdk-*`.

mod bucket;
mod config;
mod dynamo;
mod errors;
mod kinesis;
pub mod lambda;

pub use bucket::Bucket;
pub use config::sdk_config;
pub use dynamo::DynamoStore;
pub use kinesis::KinesisLog;

/// The log in `stream` and the store in `table`, with the environment's credentials and endpoint.
/// Nothing is called before the first use.
pub async fn connect(stream: String, table: String) -> (KinesisLog, DynamoStore) {
    let config = sdk_config().await;
    let log = KinesisLog::new(aws_sdk_kinesis::Client::new(&config), stream);
    (log, DynamoStore::new(aws_sdk_dynamodb::Client::new(&config), table))
}
