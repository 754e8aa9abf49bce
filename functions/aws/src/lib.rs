//! The ports on Kinesis and DynamoDB, and what the Lambda functions do.
//!
//! The only crate that names `aws-sdk-*`.

mod config;
mod dynamo;
mod errors;
mod kinesis;
pub mod lambda;

pub use config::sdk_config;
pub use dynamo::DynamoStore;
pub use kinesis::KinesisLog;
