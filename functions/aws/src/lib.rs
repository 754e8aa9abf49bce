//! The ports on Kinesis and DynamoDB, and what the Lambda functions do.
//!
//! The only crate that names `aws-sdk-*`.
