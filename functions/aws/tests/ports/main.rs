//! The ports on Kinesis and DynamoDB, against emulators in this process and injected faults.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod bootstrap;
mod bucket;
mod contract;
mod dynamo;
mod emulators;
mod faults;
mod kinesis;
mod pipeline;
