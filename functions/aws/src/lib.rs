//! The ports on Kinesis and DynamoDB, and what the Lambda functions do.
//!
//! The only crate that names `aws-sdk-*`.
//!
//! Reading an event of a Kinesis event source mapping needs no service:
//!
//! ```
//! use birdsong_aws::lambda::event::{BatchResponse, KinesisEvent};
//!
//! let payload = r#"{"Records":[{"eventID":"shardId-000000000006:49590338","kinesis":{"partitionKey":"fog#x#0",
//!     "sequenceNumber":"49590338","data":"QlNGMw==","approximateArrivalTimestamp":1700000000.5}}]}"#;
//! let event: KinesisEvent<'_> = serde_json::from_str(payload)?;
//! let record = event.records[0].log_record()?;
//! assert_eq!((event.records[0].shard(), record.arrived_ms), ("shardId-000000000006", 1_700_000_000_500));
//! assert_eq!(record.bytes, b"BSF3");
//! assert_eq!(serde_json::to_string(&BatchResponse::default())?, r#"{"batchItemFailures":[]}"#);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Log and store use the credentials of the environment:
//!
//! ```no_run
//! use birdsong_domain::ports::{PostLog, ReadFrom};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (log, _store) = birdsong_aws::connect("birdsong-posts".into(), "birdsong-windows".into()).await;
//! for shard in log.shards().await? {
//!     println!("{shard}: {} records", log.read(&shard, &ReadFrom::Oldest, 100).await?.len());
//! }
//! # Ok(())
//! # }
//! ```

mod bucket;
mod config;
mod dynamo;
mod errors;
mod kinesis;
pub mod lambda;
mod secrets;
mod topic;

pub use bucket::{Bucket, Object};
pub use config::sdk_config;
pub use dynamo::DynamoStore;
pub use kinesis::KinesisLog;
pub use secrets::Secrets;
pub use topic::Topic;

/// The log in `stream` and the store in `table`, with the environment's credentials and endpoint.
/// Nothing is called before the first use.
pub async fn connect(stream: String, table: String) -> (KinesisLog, DynamoStore) {
    let config = sdk_config().await;
    let log = KinesisLog::new(aws_sdk_kinesis::Client::new(&config), stream);
    (log, DynamoStore::new(aws_sdk_dynamodb::Client::new(&config), table))
}
