//! The tests of the aggregator, in one program: five would each compile it for the store in memory.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod batch;
mod copy;
mod exactly_once;
mod list_log;
mod reprocess;
mod reprocess_proof;
